//! An outlook as a terminal shows it.

use std::fmt;

use super::{HostOutlook, Known, Outlook, Size, moved};
use crate::names::HostName;
use crate::plan::difference::ClosureLine;
use crate::plan::step::human_bytes;

/// One host's plan, and under it what the plan brings.
impl fmt::Display for HostOutlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(f)?;
        for line in &self.closures {
            writeln!(f, "{:<8}{}", "closure", closure(line))?;
            let packages = line.packages.iter().flat_map(|packages| &packages.changes);
            packages.into_iter().try_for_each(|change| writeln!(f, "          {change}"))?;
        }
        if let Some(size) = self.size.told() {
            writeln!(f, "{:<8}{size}", "size")?;
        }
        self.digest.iter().try_for_each(|digest| writeln!(f, "{:<8}{digest}", "digest"))
    }
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (host, outlook) in &self.hosts {
            write!(f, "on {host}\n{outlook}\n")?;
        }
        if !self.unchanged.is_empty() {
            let names: Vec<&str> = self.unchanged.iter().map(HostName::as_str).collect();
            writeln!(f, "nothing to do on {}", names.join(", "))?;
        }
        if self.hosts.is_empty() { Ok(()) } else { writeln!(f, "no host reboots") }
    }
}

impl Outlook {
    /// The text of a single host, which needs no heading.
    pub fn alone(&self, host: &HostName) -> String {
        match self.hosts.get(host) {
            Some(outlook) => format!("{outlook}reboot  none\n"),
            None => "nothing to do\n".to_owned(),
        }
    }
}

impl Size {
    /// None where nothing is fetched.
    pub(super) fn told(self) -> Option<String> {
        let Self { known, download, disk } = self;
        let disk = human_bytes(disk.unwrap_or_default());
        Some(match (known, download) {
            (Known::Nothing, _) => return None,
            (Known::Contents, Some(download)) => {
                format!("at most {} to download, {disk} on disk", human_bytes(download))
            }
            (Known::Contents, None) => {
                format!("at most {disk} on disk; --cache URL tells how much is downloaded")
            }
            (Known::Manifest, _) => {
                format!("at most {disk} on disk, the whole closures by the manifest's closureSize")
            }
            (Known::Unknown, _) => {
                "not known: neither this machine's nix store nor a cache (--cache URL) has the closures"
                    .to_owned()
            }
        })
    }
}

/// `web  web 1 → 2, upgraded`, and where the names alone tell that, so.
pub(super) fn closure(line: &ClosureLine) -> String {
    let unseen = line.from.is_some() && line.to.is_some() && line.packages.is_none();
    let only = if unseen { "; by its name, what is in it is not known" } else { "" };
    let told = line.to_string();
    format!("{}, {}{only}", told.lines().next().unwrap_or_default(), moved(line).word())
}
