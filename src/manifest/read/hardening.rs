//! Reads `[hardening]`: what the process may do.

use super::exec::User;
use crate::manifest::problem::{Report, either, nearest};
use crate::manifest::service::{Hardening, ProtectHome, ProtectSystem};
use crate::manifest::table::{Field, Table, choice, text};
use crate::manifest::tree::{Node, Value};
use crate::names::Literal;

/// The user a service runs as without a table: one of its own, made up by
/// systemd, unless `exec.user` names another.
pub(super) fn usual(user: &User) -> Hardening {
    Hardening { dynamic_user: *user == User::MadeUp, ..Hardening::default() }
}

/// Reads the table over the closed default.
pub(super) fn read(table: &Table<'_, '_>, user: &User) -> Hardening {
    let usual = usual(user);
    let flag = |key, default| table.value::<bool>(key).unwrap_or(default);
    let system = table.entry("protectSystem").and_then(|e| protect_system(&e.node, table.report));
    let home = table.entry("protectHome").and_then(|e| protect_home(&e.node, table.report));
    let umask = table.entry("umask").and_then(|e| mode_bits(&e.node, table.report));
    check_user(table, user);
    Hardening {
        dynamic_user: flag("dynamicUser", usual.dynamic_user),
        private_tmp: flag("privateTmp", usual.private_tmp),
        protect_system: system.unwrap_or(usual.protect_system),
        protect_home: home.unwrap_or(usual.protect_home),
        no_new_privileges: flag("noNewPrivileges", usual.no_new_privileges),
        capabilities: words::<Capability>(table, "capabilities").unwrap_or(usual.capabilities),
        read_write_paths: table.value("readWritePaths").unwrap_or(usual.read_write_paths),
        system_call_filter: words::<SystemCalls>(table, "systemCallFilter")
            .unwrap_or(usual.system_call_filter),
        private_network: flag("privateNetwork", usual.private_network),
        private_devices: flag("privateDevices", usual.private_devices),
        protect_kernel_tunables: flag("protectKernelTunables", usual.protect_kernel_tunables),
        protect_kernel_modules: flag("protectKernelModules", usual.protect_kernel_modules),
        protect_kernel_logs: flag("protectKernelLogs", usual.protect_kernel_logs),
        protect_control_groups: flag("protectControlGroups", usual.protect_control_groups),
        protect_clock: flag("protectClock", usual.protect_clock),
        protect_hostname: flag("protectHostname", usual.protect_hostname),
        restrict_namespaces: flag("restrictNamespaces", usual.restrict_namespaces),
        restrict_realtime: flag("restrictRealtime", usual.restrict_realtime),
        restrict_suid_sgid: flag("restrictSuidSgid", usual.restrict_suid_sgid),
        lock_personality: flag("lockPersonality", usual.lock_personality),
        memory_deny_write_execute: flag("memoryDenyWriteExecute", usual.memory_deny_write_execute),
        restrict_address_families: words::<AddressFamily>(table, "restrictAddressFamilies")
            .unwrap_or(usual.restrict_address_families),
        umask,
    }
}

/// Root is never what is left over when something else is switched off.
fn check_user(table: &Table<'_, '_>, user: &User) {
    let Some(dynamic) = table.spotted::<bool>("dynamicUser") else { return };
    match (dynamic.value, user) {
        (false, User::MadeUp) => {
            let what =
                "without `dynamicUser` and without `exec.user` the service would run as root";
            let remedy = "name the user in [exec]: user = \"web\" (or \"root\", if root is meant)";
            table.report.add(dynamic.at, what, remedy);
        }
        (true, User::Named(name)) if name.as_str() == "root" => {
            let what = "root cannot be a dynamic user";
            table.report.add(dynamic.at, what, "remove `dynamicUser`, or `exec.user`");
        }
        (true, User::MadeUp) | (true | false, User::Named(_) | User::Unread) => {}
    }
}

fn protect_system(node: &Node<'_>, report: &Report) -> Option<ProtectSystem> {
    match node.value {
        Value::Bool(true) => Some(ProtectSystem::Yes),
        Value::Bool(false) => Some(ProtectSystem::No),
        _ => choice(
            node,
            report,
            &[
                ("no", ProtectSystem::No),
                ("yes", ProtectSystem::Yes),
                ("full", ProtectSystem::Full),
                ("strict", ProtectSystem::Strict),
            ],
        ),
    }
}

fn protect_home(node: &Node<'_>, report: &Report) -> Option<ProtectHome> {
    match node.value {
        Value::Bool(true) => Some(ProtectHome::Yes),
        Value::Bool(false) => Some(ProtectHome::No),
        _ => choice(
            node,
            report,
            &[
                ("no", ProtectHome::No),
                ("yes", ProtectHome::Yes),
                ("read-only", ProtectHome::ReadOnly),
                ("tmpfs", ProtectHome::Tmpfs),
            ],
        ),
    }
}

/// `"0027"`: a string, because TOML and JSON would read other digits out of it.
fn mode_bits(node: &Node<'_>, report: &Report) -> Option<u16> {
    let remedy = "write three or four octal digits in quotes: \"0027\"";
    let Value::Text(text) = &node.value else {
        let what = format!("expected a string, found {}", node.value.kind());
        report.add(node.at, what, remedy);
        return None;
    };
    let octal = matches!(text.len(), 3 | 4) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
    let bits = octal.then(|| u16::from_str_radix(text, 8).ok()).flatten();
    if bits.is_none_or(|bits| bits > 0o777) {
        report.add(node.at, format!("{text:?} is no umask"), remedy);
        return None;
    }
    bits
}

/// The items of a list of words, each checked as a `W`.
fn words<W: Field + Into<Literal>>(
    table: &Table<'_, '_>,
    key: &'static str,
) -> Option<Vec<Literal>> {
    table.entry(key)?;
    Some(table.list::<W>(key).into_iter().map(|word| word.value.into()).collect())
}

/// A name of capabilities(7).
struct Capability(Literal);

const CAPABILITIES: [&str; 41] = [
    "CAP_AUDIT_CONTROL",
    "CAP_AUDIT_READ",
    "CAP_AUDIT_WRITE",
    "CAP_BLOCK_SUSPEND",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_KILL",
    "CAP_LEASE",
    "CAP_LINUX_IMMUTABLE",
    "CAP_MAC_ADMIN",
    "CAP_MAC_OVERRIDE",
    "CAP_MKNOD",
    "CAP_NET_ADMIN",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_RAW",
    "CAP_PERFMON",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYSLOG",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_CHROOT",
    "CAP_SYS_MODULE",
    "CAP_SYS_NICE",
    "CAP_SYS_PACCT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_WAKE_ALARM",
];

impl Field for Capability {
    fn read(node: &Node<'_>, report: &Report) -> Option<Self> {
        let text = text(node, report)?;
        if CAPABILITIES.contains(&text) {
            return text.parse().ok().map(Self);
        }
        let remedy = match nearest(text, &CAPABILITIES).or_else(|| prefixed(text)) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => "capabilities(7) lists them, such as \"CAP_NET_BIND_SERVICE\"".to_owned(),
        };
        report.add(node.at, format!("{text:?} is no capability"), remedy);
        None
    }
}

/// The capability meant by a name without `CAP_`.
fn prefixed(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_uppercase();
    CAPABILITIES.into_iter().find(|name| name.strip_prefix("CAP_") == Some(&text))
}

/// An item of `SystemCallFilter=`: a call, or a group such as `@system-service`;
/// `~` in front takes it away.
struct SystemCalls(Literal);

impl Field for SystemCalls {
    fn read(node: &Node<'_>, report: &Report) -> Option<Self> {
        let text = text(node, report)?;
        let name = text.strip_prefix('~').unwrap_or(text);
        let name = name.strip_prefix('@').unwrap_or(name);
        let sound = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b));
        if sound {
            return text.parse().ok().map(Self);
        }
        let remedy =
            "write one call or group per item: \"@system-service\", \"mbind\", \"~@privileged\"";
        report.add(node.at, format!("{text:?} is no system call filter"), remedy);
        None
    }
}

/// An item of `RestrictAddressFamilies=`.
struct AddressFamily(Literal);

const FAMILIES: [&str; 9] = [
    "AF_UNIX",
    "AF_INET",
    "AF_INET6",
    "AF_NETLINK",
    "AF_PACKET",
    "AF_VSOCK",
    "AF_CAN",
    "AF_BLUETOOTH",
    "AF_ALG",
];

impl Field for AddressFamily {
    fn read(node: &Node<'_>, report: &Report) -> Option<Self> {
        let text = text(node, report)?;
        if FAMILIES.contains(&text) {
            return text.parse().ok().map(Self);
        }
        let remedy = match nearest(text, &FAMILIES) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("write {}", either(&FAMILIES)),
        };
        report.add(node.at, format!("{text:?} is no address family"), remedy);
        None
    }
}

/// A word that was checked is the literal it was read from.
macro_rules! literals {
    ($($word:ident),*) => {$(
        impl From<$word> for Literal {
            fn from(word: $word) -> Self {
                word.0
            }
        }
    )*};
}

literals!(Capability, SystemCalls, AddressFamily);
