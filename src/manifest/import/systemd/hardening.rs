//! What the process may do: the unit's sandbox as `[hardening]`.

use super::draft::Draft;
use super::unit::{Unit, boolean};
use super::words::{Names, texts};
use crate::names::AbsolutePath;

/// Switches that systemd and a manifest have in common.
const SWITCHES: [(&str, &str); 15] = [
    ("PrivateTmp", "privateTmp"),
    ("NoNewPrivileges", "noNewPrivileges"),
    ("PrivateNetwork", "privateNetwork"),
    ("PrivateDevices", "privateDevices"),
    ("ProtectKernelTunables", "protectKernelTunables"),
    ("ProtectKernelModules", "protectKernelModules"),
    ("ProtectKernelLogs", "protectKernelLogs"),
    ("ProtectControlGroups", "protectControlGroups"),
    ("ProtectClock", "protectClock"),
    ("ProtectHostname", "protectHostname"),
    ("RestrictNamespaces", "restrictNamespaces"),
    ("RestrictRealtime", "restrictRealtime"),
    ("RestrictSUIDSGID", "restrictSuidSgid"),
    ("LockPersonality", "lockPersonality"),
    ("MemoryDenyWriteExecute", "memoryDenyWriteExecute"),
];

/// Writes `[hardening]`. What the unit does not say stays closed: a service that needs
/// more is rolled back and told, while one that has too much is never noticed.
pub(super) fn write(draft: &mut Draft, unit: &Unit, names: &Names, root: bool) {
    draft.note(
        "hardening",
        "What the unit does not say stays closed, tighter than systemd's own defaults.",
    );
    for (key, ours) in SWITCHES {
        let Some(value) = unit.last("Service", key) else { continue };
        match boolean(value) {
            Some(flag) => draft.set("hardening", ours, flag),
            None => draft.lost(key, value, "true or false is all that it can be"),
        }
    }
    level(draft, unit, "ProtectSystem", "protectSystem", &["full", "strict"]);
    level(draft, unit, "ProtectHome", "protectHome", &["read-only", "tmpfs"]);
    capabilities(draft, unit, root);
    paths(draft, unit, names);
    calls(draft, unit);
    families(draft, unit);
    if let Some(mask) = unit.last("Service", "UMask") {
        let digits = mask.len() <= 4 && mask.bytes().all(|b| matches!(b, b'0'..=b'7'));
        match digits {
            true => draft.set("hardening", "umask", format!("{mask:0>4}")),
            false => draft.lost("UMask", mask, "it is no umask"),
        }
    }
}

fn level(draft: &mut Draft, unit: &Unit, key: &str, ours: &str, words: &[&str]) {
    let Some(value) = unit.last("Service", key) else { return };
    match boolean(value) {
        Some(flag) => draft.set("hardening", ours, flag),
        None if words.contains(&value) => draft.set("hardening", ours, value),
        None => draft.lost(key, value, "there is no such level"),
    }
}

/// The process of root has what bounds it, any other one what is ambient.
fn capabilities(draft: &mut Draft, unit: &Unit, root: bool) {
    let bounding = unit.list("Service", "CapabilityBoundingSet");
    let ambient = unit.list("Service", "AmbientCapabilities");
    let (key, held) = match root {
        true => ("CapabilityBoundingSet", &bounding),
        false => ("AmbientCapabilities", &ambient),
    };
    let held: Vec<String> =
        held.iter().flat_map(|line| line.split_whitespace()).map(str::to_owned).collect();
    if held.iter().any(|name| !name.starts_with("CAP_")) {
        draft.lost(key, &held.join(" "), "capabilities lists those that are left, one by one");
    } else if !held.is_empty() {
        draft.list("hardening", "capabilities", &held);
    } else if root && unit.last("Service", "CapabilityBoundingSet").is_none() {
        draft.note(
            "hardening",
            "The unit's root has every capability. Name those it needs: capabilities = [\"CAP_…\"]",
        );
    }
}

fn paths(draft: &mut Draft, unit: &Unit, names: &Names) {
    let mut kept = Vec::new();
    for line in unit.list("Service", "ReadWritePaths") {
        for word in texts(line).unwrap_or_default() {
            match names.expand(&word).ok().filter(|path| path.parse::<AbsolutePath>().is_ok()) {
                Some(path) => kept.push(path),
                None => draft.lost(
                    "ReadWritePaths",
                    &word,
                    "a path is absolute and has to be there, so without `-` and `+`",
                ),
            }
        }
    }
    if !kept.is_empty() {
        draft.list("hardening", "readWritePaths", &kept);
    }
}

/// A leading `~` counts for its whole line; a manifest has it on each item.
fn calls(draft: &mut Draft, unit: &Unit) {
    let mut items = Vec::new();
    for line in unit.list("Service", "SystemCallFilter") {
        let (sign, words) = line.strip_prefix('~').map_or(("", line), |rest| ("~", rest));
        for word in words.split_whitespace() {
            match word.contains(':') {
                true => draft.lost(
                    "SystemCallFilter",
                    word,
                    "every call that is refused ends with EPERM",
                ),
                false => items.push(format!("{sign}{word}")),
            }
        }
    }
    if !items.is_empty() {
        draft.list("hardening", "systemCallFilter", &items);
    }
    for (key, same) in [("SystemCallArchitectures", "native"), ("SystemCallErrorNumber", "EPERM")] {
        if let Some(value) = unit.last("Service", key).filter(|value| *value != same) {
            draft.lost(key, value, &format!("it is always {same}"));
        }
    }
}

fn families(draft: &mut Draft, unit: &Unit) {
    let lines = unit.list("Service", "RestrictAddressFamilies");
    let items: Vec<String> =
        lines.iter().flat_map(|line| line.split_whitespace()).map(str::to_owned).collect();
    if items.iter().any(|item| !item.starts_with("AF_")) {
        draft.lost(
            "RestrictAddressFamilies",
            &items.join(" "),
            "the families that are left are named, one by one",
        );
    } else if !items.is_empty() {
        draft.list("hardening", "restrictAddressFamilies", &items);
    }
}
