//! Who runs the process, when it is started again, what it may use: `[exec]` and `[systemd]`.

use super::draft::Draft;
use super::span::duration;
use super::unit::{Unit, boolean};
use super::words::{Names, texts};
use crate::names::{AbsolutePath, AccountName, UnitName};

/// What kind of process it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Daemon,
    Oneshot,
    Job,
}

/// Reads `Type=` and writes `exec.type`.
pub(super) fn kind(draft: &mut Draft, unit: &Unit, timer: bool) -> Kind {
    let written = unit.last("Service", "Type");
    let known = ["simple", "exec", "notify", "oneshot"];
    if let Some(other) = written.filter(|other| !known.contains(other)) {
        let why = "a process stays in the foreground; it is exec, notify or oneshot";
        draft.lost("Type", other, why);
    }
    let oneshot = written == Some("oneshot");
    let remain = unit.last("Service", "RemainAfterExit").and_then(boolean).unwrap_or(false);
    match (timer, written) {
        (true, _) => return Kind::Job,
        (false, Some("oneshot")) => draft.set("exec", "type", "oneshot"),
        (false, Some("notify" | "notify-reload")) => draft.set("exec", "type", "notify"),
        (false, _) => {}
    }
    if oneshot && !remain {
        draft.note(
            "exec",
            "runs once for each generation that changes it; with [schedule], by the clock",
        );
    }
    if remain && !oneshot {
        draft.lost("RemainAfterExit", "yes", "a daemon that has ended is not running");
    }
    if oneshot { Kind::Oneshot } else { Kind::Daemon }
}

/// Writes the user and group; whether the process is root's.
pub(super) fn account(draft: &mut Draft, unit: &Unit, names: &Names) -> bool {
    let dynamic = unit.last("Service", "DynamicUser").and_then(boolean).unwrap_or(false);
    let mut root = false;
    match unit.last("Service", "User").map(|user| (user, names.expand(user))) {
        Some((_, Ok(user))) if user.parse::<AccountName>().is_ok() => {
            root = user == "root";
            draft.set("exec", "user", user);
            if dynamic && !root {
                draft.set("hardening", "dynamicUser", true);
            }
        }
        Some((written, _)) => {
            draft.lost("User", written, "name the account, as getent passwd shows it")
        }
        None if dynamic => {}
        None => {
            root = true;
            let why = "as the unit has it; without this line it gets a user of its own";
            draft.set_because("exec", "user", "root", why);
        }
    }
    if let Some(group) = unit.last("Service", "Group") {
        match names.expand(group).ok().filter(|name| name.parse::<AccountName>().is_ok()) {
            Some(group) => draft.set("exec", "group", group),
            None => draft.lost("Group", group, "name the group, as getent group shows it"),
        }
    }
    root
}

/// Writes `workingDirectory`.
pub(super) fn directory(draft: &mut Draft, unit: &Unit, names: &Names) {
    let Some(written) = unit.last("Service", "WorkingDirectory") else { return };
    let path = names.expand(written).ok().filter(|path| path.parse::<AbsolutePath>().is_ok());
    match path {
        Some(path) => {
            draft.set("exec", "workingDirectory", path.as_str());
            let below = |folder: &str| path.starts_with(folder);
            let said = !unit.list("Service", "ReadWritePaths").is_empty()
                || unit.last("Service", "StateDirectory").is_some();
            if !said && (below("/var/") || below("/srv/") || below("/opt/")) {
                draft.note(
                    "hardening",
                    &format!("If it writes there: readWritePaths = [\"{path}\"]"),
                );
            }
        }
        None => draft.lost("WorkingDirectory", written, "it is absolute and has to be there"),
    }
}

/// Writes `[systemd]`, and `[health]` where the unit bounds its start.
pub(super) fn write(draft: &mut Draft, unit: &Unit, names: &Names, kind: Kind) {
    dependencies(draft, unit, names);
    restart(draft, unit, kind);
    for (key, ours) in [("RestartSec", "restartSec"), ("WatchdogSec", "watchdogSec")] {
        span(draft, unit, key, ("systemd", ours));
    }
    // The only one that systemd bounds by itself.
    let oneshot = matches!(kind, Kind::Oneshot);
    if oneshot || unit.last("Service", "Type") == Some("notify") {
        span(draft, unit, "TimeoutStartSec", ("health", "deadline"));
    }
    state(draft, unit, names);
    limits(draft, unit);
}

fn dependencies(draft: &mut Draft, unit: &Unit, names: &Names) {
    for (key, ours) in [("After", "after"), ("Requires", "requires"), ("Wants", "wants")] {
        let mut kept = Vec::new();
        for line in unit.list("Unit", key) {
            for word in texts(line).unwrap_or_default() {
                let name = names.expand(&word).ok();
                match name
                    .filter(|name| name.parse::<UnitName>().is_ok() && !name.starts_with("writ-"))
                {
                    Some(name) => kept.push(name),
                    None => draft.lost(key, &word, "it names another kind of unit"),
                }
            }
        }
        if !kept.is_empty() {
            draft.list("systemd", ours, &kept);
        }
    }
}

/// Without a word systemd leaves a process that ended alone; a manifest does not.
fn restart(draft: &mut Draft, unit: &Unit, kind: Kind) {
    let known =
        ["no", "on-success", "on-failure", "on-abnormal", "on-abort", "on-watchdog", "always"];
    let ends = kind != Kind::Daemon;
    match unit.last("Service", "Restart") {
        None if ends => {}
        None => draft.set("systemd", "restart", "no"),
        Some(word @ ("always" | "on-success")) if ends => {
            draft.lost(
                "Restart",
                word,
                "a process that is meant to end is not started again whenever it does",
            );
        }
        Some(word) if known.contains(&word) => draft.set("systemd", "restart", word),
        Some(word) => draft.lost("Restart", word, "there is no such word"),
    }
}

fn span(draft: &mut Draft, unit: &Unit, key: &str, (table, ours): (&str, &str)) {
    let Some(written) = unit.last("Service", key) else { return };
    match duration(written) {
        Some(told) if told != "0s" || ours == "restartSec" => draft.set(table, ours, told),
        _ => draft.lost(key, written, "it is no time between a millisecond and a year"),
    }
}

fn state(draft: &mut Draft, unit: &Unit, names: &Names) {
    let mut kept = Vec::new();
    for line in unit.list("Service", "StateDirectory") {
        for word in texts(line).unwrap_or_default() {
            match names.expand(&word).ok().filter(|name| !name.contains(':')) {
                Some(name) => kept.push(name),
                None => draft.lost("StateDirectory", &word, "it is a plain name below /var/lib"),
            }
        }
    }
    if !kept.is_empty() {
        draft.list("systemd", "stateDirectory", &kept);
    }
}

fn limits(draft: &mut Draft, unit: &Unit) {
    for (key, ours) in
        [("MemoryMax", "memoryMax"), ("TasksMax", "tasksMax"), ("CPUQuota", "cpuQuota")]
    {
        let Some(written) = unit.last("Service", key) else { continue };
        let digits = written.trim_end_matches(['K', 'M', 'G', 'T', '%']);
        let sound = digits.parse::<u64>().is_ok_and(|n| n > 0) && written.len() <= digits.len() + 1;
        let percent = key != "CPUQuota" || written.ends_with('%');
        match (sound && percent) || (written == "infinity" && key != "CPUQuota") {
            true => draft.set("systemd", ours, written),
            false => draft.lost(key, written, "it is a whole number with K, M, G, T or %"),
        }
    }
    let Some(written) = unit.last("Service", "LimitNOFILE") else { return };
    let (soft, hard) = written.split_once(':').unwrap_or((written, written));
    match soft.parse::<i64>().ok().filter(|n| *n > 0 && soft == hard) {
        Some(number) => draft.set("systemd", "limitNofile", number),
        None => draft.lost("LimitNOFILE", written, "it is one whole number"),
    }
}
