//! Whole unit files as golden text.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::manifest::service::{
    Artifact, Check, Hardening, Health, NotifyAccess, ProtectHome, ProtectSystem, Strategy, Update,
};

fn exec() -> Exec {
    Exec {
        command: "/nix/store/00000000000000000000000000000000-web-1.0/bin/web".parse().unwrap(),
        args: Vec::new(),
        user: None,
        group: None,
        working_directory: None,
        reload: None,
    }
}

fn service(work: Work) -> Service {
    Service {
        name: "web".parse().unwrap(),
        artifact: Artifact {
            store_path: "/nix/store/00000000000000000000000000000000-web-1.0".parse().unwrap(),
            closure_digest: None,
            closure_size: None,
        },
        revision: None,
        work,
        env: BTreeMap::new(),
        env_file: None,
        depends_on: BTreeSet::new(),
        http: Vec::new(),
        health: Health {
            check: Check::Active,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            healthy_for: Duration::from_secs(10),
            deadline: Duration::from_secs(300),
        },
        update: Update { strategy: Strategy::Restart, drain: Duration::from_secs(30) },
        systemd: SystemdOptions::default(),
        hardening: Hardening::default(),
    }
}

fn daemon() -> Service {
    service(Work::Daemon { exec: exec(), notify: false })
}

fn only_text(service: &Service) -> String {
    let files = unit_files(service);
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].name.as_str(), "writ-web.service");
    files[0].text.clone()
}

/// Everything a manifest can say, each value as awkward as its type lets it be.
fn everything() -> Service {
    let mut service = daemon();
    let process = Exec {
        args: ["--name", "a b", "", ";", "100%n", "$HOME", r#"q"\'"#, "grüß"]
            .map(|arg| arg.parse().unwrap())
            .to_vec(),
        user: Some("web".parse().unwrap()),
        group: Some("www".parse().unwrap()),
        working_directory: Some("/srv/100% web\\".parse().unwrap()),
        reload: Some(Reload::Command {
            command: "/nix/store/00000000000000000000000000000000-web-1.0/bin/ctl".parse().unwrap(),
            args: vec!["re load".parse().unwrap()],
        }),
        ..exec()
    };
    service.work = Work::Daemon { exec: process, notify: true };
    service.revision = Some("abc%n\\".parse().unwrap());
    service.env = BTreeMap::from([
        ("PLAIN".parse().unwrap(), "8000".parse().unwrap()),
        ("NASTY".parse().unwrap(), " a=%n $X \"q\" \\ ' ; # ü".parse().unwrap()),
    ]);
    service.env_file = Some("/run/secrets/a*b %.env".parse().unwrap());
    service.depends_on = BTreeSet::from(["migrate".parse().unwrap(), "cache".parse().unwrap()]);
    service.systemd = SystemdOptions {
        after: vec!["network-online.target".parse().unwrap()],
        requires: vec!["postgresql.service".parse().unwrap()],
        wants: vec!["network-online.target".parse().unwrap()],
        restart: Restart::Always,
        restart_sec: Some(Duration::from_millis(500)),
        state_directory: vec!["web".parse().unwrap(), "web/a b".parse().unwrap()],
        memory_max: Some(Limit::Count(536_870_912)),
        cpu_quota: Some(150),
        tasks_max: Some(Limit::Percent(20)),
        limit_nofile: Some(65_536),
        watchdog_sec: Some(Duration::from_secs(20)),
        notify_access: Some(NotifyAccess::All),
    };
    service.hardening = Hardening {
        dynamic_user: false,
        capabilities: vec!["CAP_NET_BIND_SERVICE".parse().unwrap(), "CAP_CHOWN".parse().unwrap()],
        read_write_paths: vec!["/var/lib/a b".parse().unwrap(), "/srv/100%".parse().unwrap()],
        system_call_filter: vec!["@system-service".parse().unwrap(), "~@mount".parse().unwrap()],
        private_network: true,
        memory_deny_write_execute: true,
        restrict_address_families: vec!["AF_UNIX".parse().unwrap(), "AF_INET".parse().unwrap()],
        umask: Some(0o027),
        protect_system: ProtectSystem::Full,
        protect_home: ProtectHome::ReadOnly,
        ..Hardening::default()
    };
    service
}

#[test]
fn a_daemon_is_closed_by_default() {
    insta::assert_snapshot!(only_text(&daemon()), @"
    [Unit]
    Description=Writ service web

    [Service]
    Type=exec
    Slice=writ.slice
    ExecStart=:/nix/store/00000000000000000000000000000000-web-1.0/bin/web
    TimeoutStopSec=30s
    Restart=on-failure
    DynamicUser=yes
    NoNewPrivileges=yes
    CapabilityBoundingSet=
    PrivateTmp=yes
    PrivateDevices=yes
    ProtectSystem=strict
    ProtectHome=yes
    InaccessiblePaths=-/run/caddy -/run/writ -/run/writ-env -/var/lib/writ -/etc/writ
    ProtectKernelTunables=yes
    ProtectKernelModules=yes
    ProtectKernelLogs=yes
    ProtectControlGroups=yes
    ProtectClock=yes
    ProtectHostname=yes
    RestrictNamespaces=yes
    RestrictRealtime=yes
    RestrictSUIDSGID=yes
    LockPersonality=yes
    RestrictAddressFamilies=AF_UNIX
    RestrictAddressFamilies=AF_INET
    RestrictAddressFamilies=AF_INET6
    SystemCallArchitectures=native
    SystemCallFilter=@system-service
    SystemCallErrorNumber=EPERM
    ");
}

#[test]
fn everything_a_manifest_says_stands_in_the_unit() {
    insta::assert_snapshot!(only_text(&everything()), @r#"
    [Unit]
    Description=Writ service web (abc%%n\)
    After=network-online.target writ-cache.service writ-migrate.service
    Requires=postgresql.service
    Wants=network-online.target writ-cache.service writ-migrate.service

    [Service]
    Type=notify
    Slice=writ.slice
    ExecStart=:/nix/store/00000000000000000000000000000000-web-1.0/bin/web --name "a b" "" ";" "100%%n" "$HOME" "q\"\\'" "grüß"
    ExecReload=:/nix/store/00000000000000000000000000000000-web-1.0/bin/ctl "re load"
    WorkingDirectory=/srv/100%% web\/
    EnvironmentFile=/run/writ-env/web.env
    EnvironmentFile=/run/secrets/a[*]b[ ]%%.env
    TimeoutStartSec=300s
    TimeoutStopSec=30s
    Restart=always
    RestartSec=500ms
    WatchdogSec=20s
    NotifyAccess=all
    StateDirectory=web web/a\x20b
    MemoryMax=536870912
    CPUQuota=150%
    TasksMax=20%
    LimitNOFILE=65536
    User=web
    Group=www
    UMask=0027
    NoNewPrivileges=yes
    CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_CHOWN
    AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_CHOWN
    PrivateTmp=yes
    PrivateDevices=yes
    ProtectSystem=full
    ProtectHome=read-only
    InaccessiblePaths=-/run/caddy -/run/writ -/run/writ-env -/var/lib/writ -/etc/writ
    ReadWritePaths="/var/lib/a b"
    ReadWritePaths="/srv/100%%"
    PrivateNetwork=yes
    ProtectKernelTunables=yes
    ProtectKernelModules=yes
    ProtectKernelLogs=yes
    ProtectControlGroups=yes
    ProtectClock=yes
    ProtectHostname=yes
    RestrictNamespaces=yes
    RestrictRealtime=yes
    RestrictSUIDSGID=yes
    LockPersonality=yes
    MemoryDenyWriteExecute=yes
    RestrictAddressFamilies=AF_UNIX
    RestrictAddressFamilies=AF_INET
    SystemCallArchitectures=native
    SystemCallFilter=@system-service
    SystemCallFilter=~@mount
    SystemCallErrorNumber=EPERM
    "#);
}

#[test]
fn an_oneshot_counts_as_started_once_it_has_ended_well() {
    let mut oneshot = service(Work::Oneshot { exec: exec() });
    oneshot.systemd.restart = Restart::No;
    insta::assert_snapshot!(only_text(&oneshot), @"
    [Unit]
    Description=Writ service web

    [Service]
    Type=oneshot
    Slice=writ.slice
    ExecStart=:/nix/store/00000000000000000000000000000000-web-1.0/bin/web
    TimeoutStartSec=300s
    RemainAfterExit=yes
    TimeoutStopSec=30s
    Restart=no
    DynamicUser=yes
    NoNewPrivileges=yes
    CapabilityBoundingSet=
    PrivateTmp=yes
    PrivateDevices=yes
    ProtectSystem=strict
    ProtectHome=yes
    InaccessiblePaths=-/run/caddy -/run/writ -/run/writ-env -/var/lib/writ -/etc/writ
    ProtectKernelTunables=yes
    ProtectKernelModules=yes
    ProtectKernelLogs=yes
    ProtectControlGroups=yes
    ProtectClock=yes
    ProtectHostname=yes
    RestrictNamespaces=yes
    RestrictRealtime=yes
    RestrictSUIDSGID=yes
    LockPersonality=yes
    RestrictAddressFamilies=AF_UNIX
    RestrictAddressFamilies=AF_INET
    RestrictAddressFamilies=AF_INET6
    SystemCallArchitectures=native
    SystemCallFilter=@system-service
    SystemCallErrorNumber=EPERM
    ");
}

#[test]
fn a_job_is_a_service_and_the_timer_that_starts_it() {
    let schedule = Schedule {
        cron: "0 3 1 * 1".parse().unwrap(),
        calendar: vec![
            "*-*-1 03:00:00 Europe/Berlin".to_owned(),
            "Mon *-*-* 03:00:00 Europe/Berlin".to_owned(),
        ],
    };
    let mut job = service(Work::Job { exec: exec(), schedule });
    job.systemd.restart = Restart::No;
    job.revision = Some("abc123".parse().unwrap());
    let files = unit_files(&job);
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["writ-web.service", "writ-web.timer"]);
    assert_eq!(started(&job).as_ref(), files.last().map(|file| &file.name));
    insta::assert_snapshot!(files[0].text, @"
    [Unit]
    Description=Writ service web (abc123)

    [Service]
    Type=oneshot
    Slice=writ.slice
    ExecStart=:/nix/store/00000000000000000000000000000000-web-1.0/bin/web
    TimeoutStopSec=30s
    Restart=no
    DynamicUser=yes
    NoNewPrivileges=yes
    CapabilityBoundingSet=
    PrivateTmp=yes
    PrivateDevices=yes
    ProtectSystem=strict
    ProtectHome=yes
    InaccessiblePaths=-/run/caddy -/run/writ -/run/writ-env -/var/lib/writ -/etc/writ
    ProtectKernelTunables=yes
    ProtectKernelModules=yes
    ProtectKernelLogs=yes
    ProtectControlGroups=yes
    ProtectClock=yes
    ProtectHostname=yes
    RestrictNamespaces=yes
    RestrictRealtime=yes
    RestrictSUIDSGID=yes
    LockPersonality=yes
    RestrictAddressFamilies=AF_UNIX
    RestrictAddressFamilies=AF_INET
    RestrictAddressFamilies=AF_INET6
    SystemCallArchitectures=native
    SystemCallFilter=@system-service
    SystemCallErrorNumber=EPERM
    ");
    insta::assert_snapshot!(files[1].text, @"
    [Unit]
    Description=Timer of writ service web (abc123)

    [Timer]
    Unit=writ-web.service
    OnCalendar=*-*-1 03:00:00 Europe/Berlin
    OnCalendar=Mon *-*-* 03:00:00 Europe/Berlin
    Persistent=yes
    AccuracySec=1s
    ");
}

#[test]
fn a_static_service_has_no_units() {
    let service = service(Work::Static { root: "share/www".parse().unwrap() });
    assert_eq!(unit_files(&service), []);
    assert_eq!(started(&service), None);
}

#[test]
fn a_service_that_reloads_on_a_signal_is_sent_it() {
    let mut reloads = exec();
    reloads.reload = Some(Reload::Signal("SIGUSR1".parse().unwrap()));
    let text = only_text(&service(Work::Daemon { exec: reloads, notify: false }));
    let line = text.lines().find(|line| line.starts_with("ExecReload=")).unwrap();
    insta::assert_snapshot!(line, @r#"ExecReload=:/bin/sh -c "kill -s \"$1\" \"$MAINPID\"" reload USR1"#);
}

#[test]
fn an_equal_service_has_an_equal_text() {
    assert_eq!(unit_files(&everything()), unit_files(&everything()));
}

#[test]
fn a_new_revision_of_the_same_closure_restarts_nothing() {
    let (old, mut new) = (daemon(), daemon());
    new.revision = Some("another".parse().unwrap());
    assert_eq!(impact(&only_text(&old), &only_text(&new)), Impact::Write);
}

#[test]
fn a_new_closure_restarts_its_service() {
    let old = daemon();
    let mut command = exec();
    command.command =
        "/nix/store/11111111111111111111111111111111-web-1.1/bin/web".parse().unwrap();
    let new = service(Work::Daemon { exec: command, notify: false });
    assert_eq!(impact(&only_text(&old), &only_text(&new)), Impact::Restart);
}

#[test]
fn a_services_units_can_be_named_without_their_texts() {
    let schedule = Schedule {
        cron: "0 3 1 * 1".parse().unwrap(),
        calendar: vec![
            "*-*-1 03:00:00 Europe/Berlin".to_owned(),
            "Mon *-*-* 03:00:00 Europe/Berlin".to_owned(),
        ],
    };
    for work in [
        Work::Daemon { exec: exec(), notify: true },
        Work::Oneshot { exec: exec() },
        Work::Job { exec: exec(), schedule },
        Work::Static { root: "share/www".parse().unwrap() },
    ] {
        let service = service(work);
        let named: Vec<_> = unit_files(&service).into_iter().map(|file| file.name).collect();
        assert_eq!(unit_names(&service), named);
    }
}
