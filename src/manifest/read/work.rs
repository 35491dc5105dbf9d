//! Reads how a service does its work, and notes the keys that have no meaning for that.

use super::exec::{self, Start};
use super::{Spotted, command};
use crate::manifest::cron;
use crate::manifest::service::{Schedule, Work};
use crate::manifest::table::Table;
use crate::names::Literal;

/// What kind of work the keys of a service make it, whether or not they are sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Daemon,
    Oneshot,
    Job,
    Static,
}

/// Which kind of work the keys stand for.
pub(super) fn kind(table: &Table<'_, '_>, exec: Option<&exec::Written<'_>>) -> Kind {
    let start = exec.and_then(|exec| exec.start.as_ref()).map(|start| start.value);
    if table.entry("static").is_some() {
        Kind::Static
    } else if table.entry("schedule").is_some() {
        Kind::Job
    } else if start == Some(Start::Oneshot) {
        Kind::Oneshot
    } else {
        Kind::Daemon
    }
}

/// Notes the keys that have no meaning for the kind of work this is.
pub(super) fn check_keys(table: &Table<'_, '_>, kind: Kind, exec: Option<&exec::Written<'_>>) {
    let (keys, why): (&[&'static str], _) = match kind {
        Kind::Daemon => (&[], ""),
        Kind::Oneshot => (&["http", "update"], "a oneshot has ended before anybody could ask it"),
        Kind::Job => (&["http", "update", "health"], "a scheduled job does not run all the time"),
        Kind::Static => (
            &["exec", "schedule", "env", "envFile", "health", "update", "systemd", "hardening"],
            "a static service has no process",
        ),
    };
    for key in keys {
        if let Some(at) = table.spot(key) {
            let remedy = match kind {
                Kind::Static => format!("remove `{key}`, or `static`"),
                Kind::Job => format!("remove `{key}`, or `schedule`"),
                Kind::Oneshot | Kind::Daemon => format!("remove `{key}`, or `type` of [exec]"),
            };
            table.report.add(at, format!("`{key}` has no effect: {why}"), remedy);
        }
    }
    if kind == Kind::Static && table.entry("http").is_none() {
        table.lacks("http", "say where Caddy serves the files: [http] with a `domain`");
    }
    let Some(exec) = exec else { return };
    if let (Kind::Job, Some(Spotted { value: Start::Notify, at })) = (kind, &exec.start) {
        let what = "a scheduled job has no moment at which it is ready";
        table.report.add(*at, what, "remove `type`, or `schedule`");
    }
    if let (Kind::Job | Kind::Oneshot, Some(at)) = (kind, exec.reload) {
        let what = "a process that is meant to end has nothing to reload";
        table.report.add(at, what, "remove `reload`");
    }
}

/// Reads the work itself.
pub(super) fn read(
    table: &Table<'_, '_>,
    kind: Kind,
    exec: Option<&exec::Written<'_>>,
) -> Option<Work> {
    let root = table.table("static", "[static]", |table| match table.entry("root") {
        Some(root) => command::relative(&root.node, table.report),
        None => {
            table.lacks("root", "name the folder inside the closure: root = \"share/www\"");
            None
        }
    });
    let schedule = table.table("schedule", "[schedule]", schedule);
    if kind != Kind::Static && table.entry("exec").is_none() {
        table.lacks("exec", "say what runs: [exec] with a `command`; or [static] for files alone");
    }
    let start = exec.as_ref().and_then(|exec| exec.start.as_ref()).map(|start| start.value);
    let exec = || exec.as_ref()?.exec.clone();
    Some(match kind {
        Kind::Static => Work::Static { root: root?? },
        Kind::Job => Work::Job { exec: exec()?, schedule: schedule?? },
        Kind::Oneshot => Work::Oneshot { exec: exec()? },
        Kind::Daemon => Work::Daemon { exec: exec()?, notify: start == Some(Start::Notify) },
    })
}

fn schedule(table: &Table<'_, '_>) -> Option<Schedule> {
    let line = table.spotted::<Literal>("cron");
    if table.entry("cron").is_none() {
        table.lacks("cron", "write when it runs: cron = \"0 3 * * *\" is at three every night");
    }
    let zone = table.spotted::<Literal>("timezone");
    if let Some(zone) = zone.as_ref().filter(|zone| !cron::is_timezone(zone.value.as_str())) {
        let what = format!("{:?} is no time zone", zone.value.as_str());
        table.report.add(zone.at, what, "write an IANA name: \"Europe/Berlin\" or \"UTC\"");
        return None;
    }
    let zone = zone.as_ref().map(|zone| zone.value.as_str());
    let line = line?;
    match cron::calendar(line.value.as_str(), zone) {
        Ok(calendar) => Some(Schedule { cron: line.value, calendar }),
        Err(bad) => {
            table.report.add(line.at, bad.what, bad.remedy);
            None
        }
    }
}
