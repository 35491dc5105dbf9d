//! Writes who a process runs as and what it may do.

use super::encode::word;
use super::text::UnitText;
use crate::manifest::service::{Exec, Hardening, ProtectHome, ProtectSystem};

/// What no service has any business with, whoever it runs as: Writ's state, config,
/// sockets and the environments of others, and the socket by which Caddy is told its
/// routes. A path that is not there is no fault.
pub const CLOSED: [&str; 5] =
    ["-/run/caddy", "-/run/writ", "-/run/writ-env", "-/var/lib/writ", "-/etc/writ"];

pub(super) fn write(text: &mut UnitText, exec: &Exec, hardening: &Hardening) {
    account(text, exec, hardening);
    capabilities(text, hardening);
    files(text, hardening);
    kernel(text, hardening);
    system_calls(text, hardening);
}

fn account(text: &mut UnitText, exec: &Exec, hardening: &Hardening) {
    text.switch("DynamicUser", hardening.dynamic_user);
    text.each("User", &exec.user);
    text.each("Group", &exec.group);
    if let Some(mask) = hardening.umask {
        text.set("UMask", format_args!("{mask:04o}"));
    }
}

/// The bounding set is always stated: no line at all would mean every capability.
fn capabilities(text: &mut UnitText, hardening: &Hardening) {
    text.switch("NoNewPrivileges", hardening.no_new_privileges);
    let kept: Vec<&str> = hardening.capabilities.iter().map(|name| name.as_str()).collect();
    text.set("CapabilityBoundingSet", kept.join(" "));
    // Without this a process that is not root would hold none of them.
    text.list("AmbientCapabilities", kept);
}

fn files(text: &mut UnitText, hardening: &Hardening) {
    text.switch("PrivateTmp", hardening.private_tmp);
    text.switch("PrivateDevices", hardening.private_devices);
    text.each("ProtectSystem", protect_system(hardening.protect_system));
    text.each("ProtectHome", protect_home(hardening.protect_home));
    text.list("InaccessiblePaths", CLOSED);
    text.each("ReadWritePaths", hardening.read_write_paths.iter().map(|p| word(p.as_str())));
}

fn protect_system(level: ProtectSystem) -> Option<&'static str> {
    match level {
        ProtectSystem::No => None,
        ProtectSystem::Yes => Some("yes"),
        ProtectSystem::Full => Some("full"),
        ProtectSystem::Strict => Some("strict"),
    }
}

fn protect_home(level: ProtectHome) -> Option<&'static str> {
    match level {
        ProtectHome::No => None,
        ProtectHome::Yes => Some("yes"),
        ProtectHome::ReadOnly => Some("read-only"),
        ProtectHome::Tmpfs => Some("tmpfs"),
    }
}

fn kernel(text: &mut UnitText, hardening: &Hardening) {
    text.switch("PrivateNetwork", hardening.private_network);
    text.switch("ProtectKernelTunables", hardening.protect_kernel_tunables);
    text.switch("ProtectKernelModules", hardening.protect_kernel_modules);
    text.switch("ProtectKernelLogs", hardening.protect_kernel_logs);
    text.switch("ProtectControlGroups", hardening.protect_control_groups);
    text.switch("ProtectClock", hardening.protect_clock);
    text.switch("ProtectHostname", hardening.protect_hostname);
    text.switch("RestrictNamespaces", hardening.restrict_namespaces);
    text.switch("RestrictRealtime", hardening.restrict_realtime);
    text.switch("RestrictSUIDSGID", hardening.restrict_suid_sgid);
    text.switch("LockPersonality", hardening.lock_personality);
    text.switch("MemoryDenyWriteExecute", hardening.memory_deny_write_execute);
}

/// One line for each item: a leading `~` counts for the whole of its line.
fn system_calls(text: &mut UnitText, hardening: &Hardening) {
    text.each("RestrictAddressFamilies", &hardening.restrict_address_families);
    if hardening.system_call_filter.is_empty() {
        return;
    }
    text.set("SystemCallArchitectures", "native");
    text.each("SystemCallFilter", &hardening.system_call_filter);
    // A refused call is an error the program can report, not its death.
    text.set("SystemCallErrorNumber", "EPERM");
}
