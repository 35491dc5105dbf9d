//! Services as a checked manifest would give them, for tests on real systemd.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use writ::manifest::service::{
    Exec, Hardening, Limit, Reload, Restart, Schedule, Service, SystemdOptions, Work,
};
use writ::names::AbsolutePath;

use super::service::daemon;

/// Where scripts and other files of these services are.
pub(crate) const PLACE: &str = "/run/writ-contract";

/// Writes a shell script that a service can run.
pub(crate) fn script(name: &str, body: &str) -> AbsolutePath {
    let path = format!("{PLACE}/{name}");
    fs::create_dir_all(PLACE).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.parse().unwrap()
}

/// A process that stays, and shows its arguments and environment in /proc.
pub(crate) fn stay() -> Exec {
    exec(script("stay", "while :; do sleep 1000; done"))
}

pub(crate) fn exec(command: AbsolutePath) -> Exec {
    Exec {
        command,
        args: Vec::new(),
        user: None,
        group: None,
        working_directory: None,
        reload: None,
    }
}

/// A daemon as closed as can be.
pub(crate) fn service(name: &str) -> Service {
    Service {
        work: Work::Daemon { exec: stay(), notify: false },
        hardening: Hardening {
            memory_deny_write_execute: true,
            restrict_address_families: vec!["AF_UNIX".parse().unwrap(), "AF_INET".parse().unwrap()],
            umask: Some(0o027),
            ..Hardening::default()
        },
        ..daemon(name, Vec::new())
    }
}

/// A service for which a manifest says whatever it can.
pub(crate) fn everything() -> Service {
    let mut service = service("everything");
    let process = Exec {
        args: vec!["a b".parse().unwrap(), ";".parse().unwrap()],
        user: Some("daemon".parse().unwrap()),
        group: Some("daemon".parse().unwrap()),
        working_directory: Some("/srv/100% web\\".parse().unwrap()),
        reload: Some(Reload::Signal("SIGHUP".parse().unwrap())),
        ..stay()
    };
    service.work = Work::Daemon { exec: process, notify: true };
    service.revision = Some("abc%n\\".parse().unwrap());
    service.env = BTreeMap::from([("A".parse().unwrap(), "%n \\ \" '".parse().unwrap())]);
    service.env_file = Some("/run/secrets/a*b %.env".parse().unwrap());
    service.systemd = SystemdOptions {
        after: vec!["network-online.target".parse().unwrap()],
        requires: vec!["dbus.service".parse().unwrap()],
        wants: vec!["network-online.target".parse().unwrap()],
        restart: Restart::Always,
        restart_sec: Some(Duration::from_millis(500)),
        state_directory: vec!["web".parse().unwrap(), "web/a b".parse().unwrap()],
        memory_max: Some(Limit::Count(536_870_912)),
        cpu_quota: Some(150),
        tasks_max: Some(Limit::Percent(20)),
        limit_nofile: Some(65_536),
        watchdog_sec: Some(Duration::from_secs(20)),
        notify_access: Some(writ::manifest::service::NotifyAccess::All),
    };
    service.hardening.dynamic_user = false;
    service.hardening.capabilities =
        vec!["CAP_NET_BIND_SERVICE".parse().unwrap(), "CAP_CHOWN".parse().unwrap()];
    service.hardening.system_call_filter =
        vec!["@system-service".parse().unwrap(), "~@mount".parse().unwrap()];
    service
}

pub(crate) fn oneshot() -> Service {
    let mut service = service("oneshot");
    service.systemd.restart = Restart::No;
    service.work = Work::Oneshot { exec: stay() };
    service
}

pub(crate) fn job() -> Service {
    let mut service = service("job");
    service.systemd.restart = Restart::No;
    let schedule = Schedule {
        cron: "0 3 1 * 1".parse().unwrap(),
        calendar: vec![
            "*-*-1 03:00:00 Europe/Berlin".to_owned(),
            "Mon *-*-* 03:00:00 Europe/Berlin".to_owned(),
        ],
    };
    service.work = Work::Job { exec: stay(), schedule };
    service
}
