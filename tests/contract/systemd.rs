//! What only real systemd can show: when its files are read again, who is left alone, what a refusal says.

use std::fs;
use std::process::Command;
use std::slice::from_ref;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};
use writ::fault::{Fault, Retry};
use writ::manifest::service::{Exec, Reload, Schedule, Work};
use writ::names::UnitName;
use writ::plan::observed::{ObservedUnit, UnitState};
use writ::plan::unit::unit_files;
use writ::world::Units;
use writ::world::systemd::Systemd;

use super::sample::{exec, script, service};

/// Hands the names of all promises to a macro of the caller's. They watch the
/// whole of systemd, so they run one after another.
macro_rules! systemd_contract {
    ($each:ident) => {
        $each! {
            stop_write_start_reads_no_other_file_again,
            a_loaded_unit_is_read_again_once_for_all_who_need_it,
            a_job_runs_what_its_file_says_when_its_timer_is_started,
            a_process_that_ignores_its_end_is_killed,
            a_process_that_ends_soon_shows_in_the_pulse,
            a_signal_reaches_a_service_that_reloads_on_it,
            a_refusal_says_what_is_wrong,
            output_cannot_drive_a_terminal,
            the_journal_is_that_of_the_last_start_with_its_restarts,
            units_from_elsewhere_are_left_alone,
            a_lost_bus_is_waited_for
        }
    };
}
pub(crate) use systemd_contract;

const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) async fn stop_write_start_reads_no_other_file_again(units: &impl Units) {
    let unit = fresh(units, "writ-changes.service").await;
    let before = reloads();
    let mut last = None;
    for pass in 0..5 {
        let text = format!("[Service]\nType=exec\nExecStart=/bin/sleep 100{pass}\n");
        units.stop(&unit).await.unwrap();
        units.write(&unit, last.as_deref(), &text).await.unwrap();
        units.start(&unit, from_ref(&unit)).await.unwrap();
        let pid = units.pulse(from_ref(&unit)).await.unwrap()[&unit].main_pid.unwrap();
        let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert_eq!(arguments, format!("/bin/sleep\0100{pass}\0"));
        assert_eq!(show(unit.as_str(), "NeedDaemonReload"), "no");
        last = Some(text);
    }
    assert_eq!(reloads(), before);
    clear(units, &unit).await;
}

pub(crate) async fn a_loaded_unit_is_read_again_once_for_all_who_need_it(units: &impl Units) {
    let names: Vec<String> = (0..32).map(|i| format!("writ-many{i}.service")).collect();
    let many = join_all(names.iter().map(|name| fresh(units, name))).await;
    let (one, two) =
        ("[Service]\nExecStart=/bin/sleep 1001\n", "[Service]\nExecStart=/bin/sleep 1002\n");
    for unit in &many {
        units.write(unit, None, one).await.unwrap();
    }
    let start_all = || join_all(many.iter().map(|unit| units.start(unit, from_ref(unit))));
    let before = reloads();
    assert_eq!(start_all().await.into_iter().filter_map(Result::err).collect::<Vec<_>>(), []);
    assert_eq!(reloads(), before, "new units need none");
    for unit in &many {
        units.write(unit, Some(one), two).await.unwrap();
    }
    assert_eq!(start_all().await.into_iter().filter_map(Result::err).collect::<Vec<_>>(), []);
    assert_eq!(reloads(), before + 1);
    assert!(many.iter().all(|unit| show(unit.as_str(), "ExecStart").contains("/bin/sleep 1002")));
    assert!(units.pulse(&many).await.unwrap().values().all(|p| p.state == UnitState::Active));
    join_all(many.iter().map(|unit| clear(units, unit))).await;
}

pub(crate) async fn a_job_runs_what_its_file_says_when_its_timer_is_started(units: &impl Units) {
    let every_second =
        Schedule { cron: "* * * * *".parse().unwrap(), calendar: vec!["*-*-* *:*:*".to_owned()] };
    let mut job = service("ticks");
    job.work = Work::Job { exec: exec(script("one", "exit 0")), schedule: every_second };
    let files = unit_files(&job);
    let (run, timer) = (files[0].name.clone(), files[1].name.clone());
    let both = [run.clone(), timer.clone()];
    clear(units, &timer).await;
    clear(units, &run).await;
    for file in &files {
        units.write(&file.name, None, &file.text).await.unwrap();
    }
    units.start(&timer, &both).await.unwrap();
    until("the job has run", || show(run.as_str(), "ExecMainStartTimestampMonotonic") != "0").await;
    assert_eq!(units.pulse(from_ref(&timer)).await.unwrap()[&timer].state, UnitState::Active);

    // The timer keeps the service loaded while its file changes.
    let changed = files[0].text.replace("/one\n", "/two\n");
    script("two", "exit 0");
    units.write(&run, Some(&files[0].text), &changed).await.unwrap();
    units.start(&timer, &both).await.unwrap();
    assert!(show(run.as_str(), "ExecStart").contains("/two"));
    clear(units, &timer).await;
    clear(units, &run).await;
}

pub(crate) async fn a_process_that_ignores_its_end_is_killed(units: &impl Units) {
    let stubborn = script("stubborn", "trap '' TERM\nwhile :; do sleep 1; done");
    let text = format!("[Service]\nExecStart={stubborn}\nTimeoutStopSec=1s\n");
    let unit = fresh(units, "writ-stubborn.service").await;
    units.write(&unit, None, &text).await.unwrap();
    units.start(&unit, from_ref(&unit)).await.unwrap();
    units.stop(&unit).await.unwrap();
    let pulse = units.pulse(from_ref(&unit)).await.unwrap().remove(&unit).unwrap();
    assert_eq!((pulse.state, pulse.main_pid), (UnitState::Inactive, None));
    clear(units, &unit).await;
}

pub(crate) async fn a_process_that_ends_soon_shows_in_the_pulse(units: &impl Units) {
    let brief = script("brief", "echo going; exit 3");
    let unit = fresh(units, "writ-brief.service").await;
    let text = format!("[Service]\nType=exec\nExecStart={brief}\n");
    units.write(&unit, None, &text).await.unwrap();
    if let Err(fault) = units.start(&unit, from_ref(&unit)).await {
        assert_eq!(fault.retry, Retry::NextCommit, "{fault}");
    }
    until("it has failed", || show(unit.as_str(), "ActiveState") == "failed").await;
    let pulse = units.pulse(from_ref(&unit)).await.unwrap().remove(&unit).unwrap();
    assert_eq!(pulse.state, UnitState::Failed);
    assert_eq!(pulse.failure.as_deref(), Some("exit-code, status 3"));
    assert!(units.journal(&unit, 20).await.contains(&"going".to_owned()));
    clear(units, &unit).await;
}

pub(crate) async fn a_signal_reaches_a_service_that_reloads_on_it(units: &impl Units) {
    let trap = script("trap", "trap 'echo reloaded' USR1\nwhile :; do sleep 0.1; done");
    let mut service = service("signalled");
    let reload = Some(Reload::Signal("SIGUSR1".parse().unwrap()));
    service.work = Work::Daemon { exec: Exec { reload, ..exec(trap) }, notify: false };
    let file = unit_files(&service).remove(0);
    let unit = fresh(units, file.name.as_str()).await;
    units.write(&unit, None, &file.text).await.unwrap();
    units.start(&unit, from_ref(&unit)).await.unwrap();
    let before = units.pulse(from_ref(&unit)).await.unwrap();
    // The shell may not have set its trap yet; a signal before would end it.
    let ready = format!("/proc/{}/status", before[&unit].main_pid.unwrap());
    until("the trap is set", || catches_signals(&fs::read_to_string(&ready).unwrap())).await;
    units.reload(&unit).await.unwrap();
    let deadline = Instant::now() + DEADLINE;
    while !units.journal(&unit, 20).await.contains(&"reloaded".to_owned()) {
        assert!(Instant::now() < deadline, "the signal never came");
    }
    assert_eq!(units.pulse(from_ref(&unit)).await.unwrap(), before);
    clear(units, &unit).await;
}

pub(crate) async fn a_refusal_says_what_is_wrong(units: &impl Units) {
    let fine = "Type=exec\nExecStart=/bin/sleep 1000\n";
    let cases = [
        ("[Service]\nType=exec\nExecStart=/nonexistent/web\n".to_owned(), "203/EXEC"),
        (format!("[Service]\n{fine}User=nosuchuser\n"), "217/USER"),
        (format!("[Service]\n{fine}Group=nosuchgroup\n"), "216/GROUP"),
        (format!("[Service]\n{fine}WorkingDirectory=/nonexistent\n"), "200/CHDIR"),
        (format!("[Service]\n{fine}ReadWritePaths=/nonexistent\n"), "226/NAMESPACE"),
        (format!("[Service]\n{fine}EnvironmentFile=/nonexistent\n"), "environment file"),
        (format!("[Unit]\nRequires=nosuch.service\n[Service]\n{fine}"), "nosuch.service not found"),
        ("[Service]\nType=exec\n".to_owned(), "bad unit file setting"),
        ("[Service]\nType=oneshot\nExecStart=/bin/sh -c 'kill -9 $$$$'\n".to_owned(), "signal 9"),
        ("[Service]\nType=notify\nExecStart=/bin/true\n".to_owned(), "said that it is ready"),
    ];
    for (i, (text, expected)) in cases.iter().enumerate() {
        let unit = fresh(units, &format!("writ-refused{i}.service")).await;
        units.write(&unit, None, text).await.unwrap();
        let fault = units.start(&unit, from_ref(&unit)).await.expect_err(text);
        assert_eq!(fault.retry, Retry::NextCommit, "{fault}");
        assert!(fault.because.contains(expected), "{fault}, not {expected}");
        assert!(fault.remedy.is_some(), "{fault}");
        clear(units, &unit).await;
    }
}

pub(crate) async fn output_cannot_drive_a_terminal(units: &impl Units) {
    let loud = script("loud", r"printf '\033[31mred\007\n'; exit 1");
    let unit = fresh(units, "writ-loud.service").await;
    let text = format!("[Service]\nType=oneshot\nExecStart={loud}\n");
    units.write(&unit, None, &text).await.unwrap();
    let fault: Fault = units.start(&unit, from_ref(&unit)).await.unwrap_err();
    assert!(fault.evidence.iter().any(|line| line.contains("red")), "{:?}", fault.evidence);
    assert!(!fault.evidence.concat().contains(char::is_control), "{:?}", fault.evidence);
    clear(units, &unit).await;
}

pub(crate) async fn the_journal_is_that_of_the_last_start_with_its_restarts(units: &impl Units) {
    let count = "n=$(cat count || echo 0); n=$((n + 1)); echo $n >count; echo run $n; exit 1";
    let counting = script("counting", &format!("cd /run/writ-contract; {count}"));
    let _ = fs::remove_file("/run/writ-contract/count");
    let unit = fresh(units, "writ-counting.service").await;
    let text = format!("[Service]\nType=oneshot\nExecStart={counting}\n");
    units.write(&unit, None, &text).await.unwrap();
    let runs = |lines: Vec<String>| -> Vec<String> {
        lines.into_iter().filter(|line| line.starts_with("run ")).collect()
    };
    for n in 1..4 {
        let fault = units.start(&unit, from_ref(&unit)).await.unwrap_err();
        assert_eq!(runs(fault.evidence), [format!("run {n}")]);
    }
    // So it is for who did not start it.
    let lines = Systemd::new().journal(&unit, 20).await;
    assert!(lines.iter().any(|line| line.contains("Failed with result")), "{lines:?}");
    assert_eq!(runs(lines), ["run 3"]);

    let again =
        format!("[Unit]\nStartLimitIntervalSec=0\n{text}Restart=on-failure\nRestartSec=1ms\n");
    units.write(&unit, Some(&text), &again).await.unwrap();
    // systemd says nothing of a job whose unit it starts again.
    let _ = tokio::time::timeout(Duration::from_secs(1), units.start(&unit, from_ref(&unit))).await;
    let deadline = Instant::now() + DEADLINE;
    while !runs(units.journal(&unit, 200).await).contains(&"run 6".to_owned()) {
        assert!(Instant::now() < deadline, "it was not started again");
    }
    assert_eq!(runs(units.journal(&unit, 200).await)[0], "run 4");
    clear(units, &unit).await;
}

pub(crate) async fn units_from_elsewhere_are_left_alone(units: &impl Units) {
    for name in ["writ-agent.service", "writ-somebodys.service"] {
        let path = format!("/etc/systemd/system/{name}");
        fs::write(&path, "[Service]\nExecStart=/bin/sleep infinity\n").unwrap();
        systemctl(&["start", name]);
        let seen = units.observe().await.unwrap();
        assert_eq!(seen.get(&name.parse::<UnitName>().unwrap()), None::<&ObservedUnit>);
        systemctl(&["stop", name]);
        fs::remove_file(&path).unwrap();
    }
}

/// Cuts every program on the host off from the bus, so it runs last.
pub(crate) async fn a_lost_bus_is_waited_for(units: &impl Units) {
    units.observe().await.unwrap();
    systemctl(&["stop", "dbus.socket", "dbus.service"]);
    for _ in 0..2 {
        let fault = units.observe().await.unwrap_err();
        assert_eq!(fault.retry, Retry::Soon, "{fault}");
        assert!(fault.remedy.is_some(), "{fault}");
    }
    systemctl(&["start", "dbus.socket"]);
    let deadline = Instant::now() + DEADLINE;
    while let Err(fault) = units.observe().await {
        assert_eq!(fault.retry, Retry::Soon, "{fault}");
        assert!(Instant::now() < deadline, "{fault}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Whether a process catches SIGUSR1, from its status in /proc (proc(5), SigCgt).
fn catches_signals(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
    u64::from_str_radix(mask, 16).unwrap() & (1 << 9) != 0
}

/// How often systemd has read all its files again since it was started.
fn reloads() -> usize {
    let said = Command::new("journalctl")
        .args(["--sync"])
        .status()
        .and_then(|_| {
            Command::new("journalctl").args(["--boot", "--output=cat", "_PID=1"]).output()
        })
        .unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    text.lines().filter(|line| line.starts_with("Reloading finished")).count()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn fresh(units: &impl Units, name: &str) -> UnitName {
    let unit = name.parse().unwrap();
    clear(units, &unit).await;
    unit
}

async fn clear(units: &impl Units, unit: &UnitName) {
    units.stop(unit).await.unwrap();
    let found = units.observe().await.unwrap().remove(unit).and_then(|found| found.file);
    if let Some(text) = found {
        units.remove(unit, &text).await.unwrap();
    }
}

fn show(unit: &str, property: &str) -> String {
    let shown = Command::new("systemctl").args(["show", "--value", "-p", property, unit]).output();
    String::from_utf8(shown.unwrap().stdout).unwrap().trim_end().to_owned()
}

fn systemctl(args: &[&str]) {
    let done = Command::new("systemctl").args(args).status().unwrap();
    assert!(done.success(), "systemctl {args:?}");
}
