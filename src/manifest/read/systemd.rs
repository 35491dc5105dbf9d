//! Reads `[systemd]`: systemd's own settings.

use crate::manifest::problem::Report;
use crate::manifest::service::{NotifyAccess, Restart, SystemdOptions};
use crate::manifest::table::{Field, Spotted, Table, choice, text};
use crate::manifest::tree::{Node, Value};
use crate::manifest::value::whole;
use crate::names::{Literal, UnitName};

/// Reads the table. `once` is a service whose process is meant to end.
pub(super) fn read(table: &Table<'_, '_>, once: bool) -> SystemdOptions {
    let cpu_quota = table.entry("cpuQuota").and_then(|e| percent(&e.node, table.report));
    let state = table.entry("stateDirectory").map(|entry| match &entry.node.value {
        Value::Text(_) => StateDirectory::read(&entry.node, table.report).into_iter().collect(),
        _ => Vec::<StateDirectory>::read(&entry.node, table.report).unwrap_or_default(),
    });
    SystemdOptions {
        after: units(table, "after"),
        requires: units(table, "requires"),
        wants: units(table, "wants"),
        restart: restart(table, once).unwrap_or(usual_restart(once)),
        restart_sec: table.value("restartSec"),
        state_directory: state.unwrap_or_default().into_iter().map(|dir| dir.0).collect(),
        memory_max: table.value("memoryMax"),
        cpu_quota,
        tasks_max: table.value("tasksMax"),
        limit_nofile: table.value("limitNofile"),
        watchdog_sec: table.value("watchdogSec"),
        notify_access: notify_access(table),
    }
}

/// The state directories, for the claims of a host.
pub(super) fn claimed<'a>(service: &Table<'_, 'a>) -> Vec<Spotted<'a, String>> {
    let Some(Value::Table(entries)) = service.entry("systemd").map(|entry| &entry.node.value)
    else {
        return Vec::new();
    };
    let key = entries.iter().find(|entry| entry.key == "stateDirectory");
    let nodes = match key.map(|entry| &entry.node) {
        Some(Node { value: Value::List(nodes), .. }) => nodes.as_slice(),
        Some(node) => std::slice::from_ref(node),
        None => &[],
    };
    let texts = nodes.iter().filter_map(|node| match &node.value {
        Value::Text(text) => Some(Spotted { value: text.to_string(), at: node.at }),
        _ => None,
    });
    texts.collect()
}

/// A process that ran to its end has failed or is done; starting it again is for
/// the operator, or the timer, to decide.
pub(super) fn usual_restart(once: bool) -> Restart {
    if once { Restart::No } else { Restart::OnFailure }
}

fn restart(table: &Table<'_, '_>, once: bool) -> Option<Restart> {
    let words = [
        ("no", Restart::No),
        ("on-success", Restart::OnSuccess),
        ("on-failure", Restart::OnFailure),
        ("on-abnormal", Restart::OnAbnormal),
        ("on-abort", Restart::OnAbort),
        ("on-watchdog", Restart::OnWatchdog),
        ("always", Restart::Always),
    ];
    let entry = table.entry("restart")?;
    let restart = choice(&entry.node, table.report, &words)?;
    // systemd.service(5) refuses these two with Type=oneshot.
    if once && matches!(restart, Restart::Always | Restart::OnSuccess) {
        let what = "a process that is meant to end cannot be started again whenever it does";
        table.report.add(entry.node.at, what, "write \"no\" or \"on-failure\"");
    }
    Some(restart)
}

/// Units that end what the host does, or are part of its end: starting one for a service,
/// or waiting for one, is never meant (systemd.special(7)).
const ENDS_THE_HOST: [&str; 22] = [
    "emergency",
    "exit",
    "factory-reset",
    "final",
    "halt",
    "hibernate",
    "hybrid-sleep",
    "initrd-switch-root",
    "kexec",
    "poweroff",
    "reboot",
    "rescue",
    "runlevel0",
    "runlevel1",
    "runlevel6",
    "shutdown",
    "sleep",
    "soft-reboot",
    "suspend",
    "suspend-then-hibernate",
    "system-update",
    "umount",
];

fn ends_the_host(unit: &UnitName) -> bool {
    let name = unit.as_str().strip_prefix("systemd-").unwrap_or(unit.as_str());
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    ENDS_THE_HOST.contains(&stem) || stem == "ctrl-alt-del"
}

/// Without it, systemd listens to the main process alone.
fn notify_access(table: &Table<'_, '_>) -> Option<NotifyAccess> {
    let words =
        [("main", NotifyAccess::Main), ("exec", NotifyAccess::Exec), ("all", NotifyAccess::All)];
    choice(&table.entry("notifyAccess")?.node, table.report, &words)
}

fn units(table: &Table<'_, '_>, key: &'static str) -> Vec<UnitName> {
    let units = table.list::<UnitName>(key);
    for unit in units.iter().filter(|unit| ends_the_host(&unit.value)) {
        let what = format!("`{}` takes the host down", unit.value);
        table.report.add(unit.at, what, "remove it: no service may start or wait for it");
    }
    for unit in units.iter().filter(|unit| unit.value.as_str().starts_with("writ-")) {
        let what = format!("`{}` is one of writ's own units", unit.value);
        table.report.add(unit.at, what, "name the service in `dependsOn`");
    }
    units.into_iter().map(|unit| unit.value).collect()
}

/// Percent of one core: `"150%"` or 150.
fn percent(node: &Node<'_>, report: &Report) -> Option<u32> {
    const MOST: i64 = 1_000_000;
    let Value::Text(text) = &node.value else {
        return whole(node, report, 1..=MOST)?.try_into().ok();
    };
    let digits = text.strip_suffix('%').filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
    let number = digits.and_then(|d| d.parse().ok()).filter(|n| (1..=1_000_000).contains(n));
    if number.is_none() {
        let what = format!("{text:?} is no share of processor time");
        report.add(node.at, what, "write \"50%\" for half a core, \"200%\" for two");
    }
    number
}

/// A directory below /var/lib.
struct StateDirectory(Literal);

impl Field for StateDirectory {
    fn read(node: &Node<'_>, report: &Report) -> Option<Self> {
        let text = text(node, report)?;
        let plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+@".contains(&b))
        };
        let first = text.split('/').next();
        let (what, remedy) = if !text.split('/').all(plain) || text.len() > 200 {
            let remedy = "write a name below /var/lib, of letters, digits and ._-+@: \"web\" or \"web/cache\"";
            (format!("{text:?} is no state directory"), remedy)
        } else if matches!(first, Some("writ" | "private")) {
            let what = format!("/var/lib/{text} is not a service's to own");
            (what, "choose another name: writ and systemd keep their own state there")
        } else {
            return Literal::read(node, report).map(Self);
        };
        report.add(node.at, what, remedy);
        None
    }
}
