//! Writes a service as systemd units, every value encoded so that it arrives literally.
//!
//! The text depends on nothing but the service, so that an unchanged service
//! has an unchanged file and is left alone.

mod encode;
mod hardening;
mod impact;
mod text;

use std::fmt::Display;
use std::time::Duration;

use super::environment;
use crate::manifest::service::{
    Exec, Limit, NotifyAccess, Reload, Restart, Schedule, Service, SystemdOptions, Work,
};
use crate::names::{Literal, ServiceName, UnitName};
use encode::{duration, glob, path, prose, relative_path, word};
use text::UnitText;

pub use hardening::CLOSED;
pub use impact::{Impact, impact};

/// How long a process may take to end after SIGTERM, before systemd kills it.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A unit file in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitFile {
    pub name: UnitName,
    pub text: String,
}

/// The units of a service, the one that is [`started`] last; none for a static
/// service.
pub fn unit_files(service: &Service) -> Vec<UnitFile> {
    let name = &service.name;
    match &service.work {
        Work::Daemon { exec, notify } => {
            let kind = if *notify { Kind::Notify } else { Kind::Exec };
            vec![UnitFile { name: name.unit(), text: service_unit(service, exec, kind) }]
        }
        Work::Oneshot { exec } => {
            vec![UnitFile { name: name.unit(), text: service_unit(service, exec, Kind::Oneshot) }]
        }
        Work::Job { exec, schedule } => vec![
            UnitFile { name: name.unit(), text: service_unit(service, exec, Kind::Job) },
            UnitFile { name: name.timer(), text: timer_unit(service, schedule) },
        ],
        Work::Static { .. } => Vec::new(),
    }
}

/// The names of [`unit_files`], without making their texts.
pub fn unit_names(service: &Service) -> Vec<UnitName> {
    let name = &service.name;
    match &service.work {
        Work::Daemon { .. } | Work::Oneshot { .. } => vec![name.unit()],
        Work::Job { .. } => vec![name.unit(), name.timer()],
        Work::Static { .. } => Vec::new(),
    }
}

/// The unit of a service that is started, stopped and watched: a job's timer, or
/// the service itself; none where there is no process.
pub fn started(service: &Service) -> Option<UnitName> {
    match service.work {
        Work::Daemon { .. } | Work::Oneshot { .. } => Some(service.name.unit()),
        Work::Job { .. } => Some(service.name.timer()),
        Work::Static { .. } => None,
    }
}

/// Whether a service unit of ours is a job's, which runs and is gone again.
pub fn is_job(text: &str) -> bool {
    let line = |wanted| text.lines().any(|line| line == wanted);
    line("Type=oneshot") && !line("RemainAfterExit=yes")
}

/// What systemd is to make of the process.
#[derive(Clone, Copy)]
enum Kind {
    /// Started once its program runs.
    Exec,
    /// Started once it says so.
    Notify,
    /// Started once it has ended well; runs once for each change of its unit.
    Oneshot,
    /// The same, and runs at each elapse of its timer.
    Job,
}

fn service_unit(service: &Service, exec: &Exec, kind: Kind) -> String {
    let mut text = UnitText::default();
    unit_section(&mut text, "Writ service", service);
    text.section("Service");
    process(&mut text, service, exec, kind);
    supervision(&mut text, service, kind);
    limits(&mut text, &service.systemd);
    hardening::write(&mut text, exec, &service.hardening);
    text.finish()
}

fn timer_unit(service: &Service, schedule: &Schedule) -> String {
    let mut text = UnitText::default();
    text.section("Unit");
    text.set("Description", description("Timer of writ service", service));
    text.section("Timer");
    text.set("Unit", service.name.unit());
    text.each("OnCalendar", &schedule.calendar);
    // A run that was missed while the host was off, or while a generation was
    // being applied, is made up for.
    text.set("Persistent", "yes");
    // systemd's own default lets a timer be a minute late; cron's do not.
    text.set("AccuracySec", "1s");
    text.finish()
}

fn unit_section(text: &mut UnitText, what: &str, service: &Service) {
    let options = &service.systemd;
    let depends_on = || service.depends_on.iter().map(ServiceName::unit);
    text.section("Unit");
    text.set("Description", description(what, service));
    text.list("After", options.after.iter().cloned().chain(depends_on()));
    text.list("Requires", &options.requires);
    text.list("Wants", options.wants.iter().cloned().chain(depends_on()));
}

fn description(what: &str, service: &Service) -> String {
    match &service.revision {
        // The closing parenthesis keeps a backslash or a space from ending the
        // line, where systemd would take the one for a continuation and drop
        // the other.
        Some(revision) => format!("{what} {} ({})", service.name, prose(revision.as_str())),
        None => format!("{what} {}", service.name),
    }
}

fn process(text: &mut UnitText, service: &Service, exec: &Exec, kind: Kind) {
    text.set(
        "Type",
        match kind {
            Kind::Exec => "exec",
            Kind::Notify => "notify",
            Kind::Oneshot | Kind::Job => "oneshot",
        },
    );
    text.set("Slice", "writ.slice");
    text.set("ExecStart", command_line(exec.command.as_str(), &exec.args));
    if let Some(reload) = &exec.reload {
        text.set("ExecReload", reload_line(reload));
    }
    if let Some(directory) = &exec.working_directory {
        text.set("WorkingDirectory", path(directory.as_str()));
    }
    if environment::text(service).is_some() {
        text.set("EnvironmentFile", environment::path(&service.name));
    }
    if let Some(file) = &service.env_file {
        text.set("EnvironmentFile", glob(file.as_str()));
    }
}

/// A command whose words mean exactly their characters: the leading `:` turns
/// systemd's own environment substitution off.
fn command_line(command: &str, args: impl IntoIterator<Item = impl Display>) -> String {
    let mut line = format!(":{}", word(command));
    for arg in args {
        line.push(' ');
        line.push_str(&word(&arg.to_string()));
    }
    line
}

/// `ReloadSignal=` would need the process to speak `Type=notify-reload`, and the
/// place of kill(1) differs between distributions; every one has `/bin/sh`.
fn reload_line(reload: &Reload) -> String {
    match reload {
        Reload::Command { command, args } => command_line(command.as_str(), args),
        Reload::Signal(signal) => {
            let signal = signal.as_str();
            let bare = signal.strip_prefix("SIG").unwrap_or(signal);
            command_line("/bin/sh", ["-c", r#"kill -s "$1" "$MAINPID""#, "reload", bare])
        }
    }
}

fn supervision(text: &mut UnitText, service: &Service, kind: Kind) {
    let options = &service.systemd;
    match kind {
        // The manifest's deadline, in place of systemd's 90 s and no limit at all.
        Kind::Notify => text.set("TimeoutStartSec", duration(service.health.deadline)),
        Kind::Oneshot => {
            text.set("TimeoutStartSec", duration(service.health.deadline));
            text.set("RemainAfterExit", "yes");
        }
        Kind::Exec | Kind::Job => {}
    }
    text.set("TimeoutStopSec", duration(STOP_TIMEOUT));
    text.set("Restart", restart(options.restart));
    if let Some(pause) = options.restart_sec {
        text.set("RestartSec", duration(pause));
    }
    if let Some(period) = options.watchdog_sec {
        text.set("WatchdogSec", duration(period));
    }
    if let Some(access) = options.notify_access {
        text.set(
            "NotifyAccess",
            match access {
                NotifyAccess::Main => "main",
                NotifyAccess::Exec => "exec",
                NotifyAccess::All => "all",
            },
        );
    }
}

fn restart(restart: Restart) -> &'static str {
    match restart {
        Restart::No => "no",
        Restart::OnSuccess => "on-success",
        Restart::OnFailure => "on-failure",
        Restart::OnAbnormal => "on-abnormal",
        Restart::OnAbort => "on-abort",
        Restart::OnWatchdog => "on-watchdog",
        Restart::Always => "always",
    }
}

/// Whether a unit of ours has this state directory.
pub fn has_state_directory(text: &str, directory: &Literal) -> bool {
    let encoded = relative_path(directory.as_str());
    let lines = text.lines().filter_map(|line| line.strip_prefix("StateDirectory="));
    lines.flat_map(|list| list.split(' ')).any(|word| word == encoded)
}

fn limits(text: &mut UnitText, options: &SystemdOptions) {
    let state = options.state_directory.iter().map(|name| relative_path(name.as_str()));
    text.list("StateDirectory", state);
    if let Some(max) = options.memory_max {
        text.set("MemoryMax", limit(max));
    }
    if let Some(percent) = options.cpu_quota {
        text.set("CPUQuota", format_args!("{percent}%"));
    }
    if let Some(max) = options.tasks_max {
        text.set("TasksMax", limit(max));
    }
    if let Some(max) = options.limit_nofile {
        text.set("LimitNOFILE", max);
    }
}

fn limit(limit: Limit) -> String {
    match limit {
        Limit::Count(count) => count.to_string(),
        Limit::Percent(percent) => format!("{percent}%"),
        Limit::Infinity => "infinity".to_owned(),
    }
}

#[cfg(test)]
mod tests;
