//! A profile as it is meant: a whole system or home that is activated at once.

use std::time::Duration;

use super::service::Check;
use crate::names::{AbsolutePath, AccountName, ClosureDigest, Literal, ServiceName, StorePath};

/// One profile of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub name: ServiceName,
    pub store_path: StorePath,
    pub closure_digest: Option<ClosureDigest>,
    /// The source revision, free text.
    pub revision: Option<Literal>,
    /// Who activates it.
    pub user: AccountName,
    pub kind: Kind,
    pub mode: Mode,
    pub confirm: Confirm,
}

/// What a profile is, and so how it is activated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Nixos,
    HomeManager,
    NixDarwin,
    DeployRs,
    /// A command of the closure, absolute.
    Custom {
        activate: AbsolutePath,
    },
    /// Only put in place, never activated.
    Noop,
}

/// When the new system takes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    Switch,
    Boot,
    Test,
    /// Boot where kernel, initrd, kernel modules or systemd itself change; else switch.
    #[default]
    Auto,
}

/// What must hold before a profile is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirm {
    pub timeout: Duration,
    /// Checks on this host, all of which must hold.
    pub probes: Vec<Check>,
}
