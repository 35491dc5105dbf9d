//! `writ status --fleet` and `--wait`: git, keys and reports are real, and hosts are
//! played by whoever holds their keys.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStderr, Output, Stdio};

use jiff::{Timestamp, ToSpan as _};
use writ::condition::Condition;
use writ::report::{HostReport, Kind, State, Told, joined};

use crate::desk::{Desk, ok};

const SINCE: &str = "2026-01-02T03:04:05Z";

impl Desk {
    /// A deploy repository with these hosts, each with a key of its own.
    pub(crate) fn with_hosts(hosts: &[&str]) -> Self {
        let desk = Self::with_services();
        desk.names_hosts(hosts);
        desk
    }

    pub(crate) fn names_hosts(&self, hosts: &[&str]) {
        for host in hosts {
            self.make_key(host);
            let public = fs::read_to_string(self.home().join(format!(".ssh/{host}.pub"))).unwrap();
            self.host_file(host, &format!("reportKey = \"{}\"\n", public.trim()));
        }
        self.commit("hosts and their keys");
        self.git(&["push", "-q"]);
    }

    pub(crate) fn host_file(&self, host: &str, text: &str) {
        let folder = self.deploy().join("manifests/hosts");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{host}.toml")), text).unwrap();
    }

    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// A report of a host that is well: it confirmed HEAD two minutes ago.
    pub(crate) fn well(&self, host: &str) -> HostReport {
        let policy = fs::read_to_string(self.deploy().join(".writ/policy.toml")).unwrap();
        let channel = policy.split('"').nth(1).unwrap();
        let head = Some(self.head().parse().unwrap());
        HostReport {
            version: 1,
            repository: channel.split(':').next().unwrap().to_owned(),
            branch: "main".parse().unwrap(),
            host: host.parse().unwrap(),
            at: (Timestamp::now() - 150.seconds()).into(),
            sequence: 7,
            interval: 900,
            writ: "0.1.0".to_owned(),
            seen: None,
            state: State {
                head: head.clone(),
                commit: head,
                generation: Some(3),
                verdict: Some(told(Kind::Confirmed, None)),
                ..State::default()
            },
        }
    }

    pub(crate) fn signed(&self, key: &str, text: &str) -> String {
        let key = self.home().join(".ssh").join(key);
        let args = ["-Y", "sign", "-q", "-n", "writ-status", "-f", key.to_str().unwrap()];
        let mut signing = self.command(self.dir.path(), "ssh-keygen", &args);
        let mut child = signing.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let armor = ok(&child.wait_with_output().unwrap()) + "\n";
        joined(text, &armor)
    }

    /// Leaves bytes where the reports of a host lie.
    fn leave(&self, name: &str, bytes: &str) {
        let origin = self.dir.path().join("origin.git");
        let stream = format!(
            "commit refs/writ/status/{name}\ncommitter h <h@h> 1700000000 +0000\ndata 0\n\nM 100644 inline status\ndata {}\n{bytes}\n",
            bytes.len()
        );
        let args = ["fast-import", "--quiet", "--force"];
        let mut import = self.command(&origin, "git", &args);
        let mut child = import.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
        ok(&child.wait_with_output().unwrap());
    }

    fn tells(&self, report: &HostReport) {
        let host = report.host.as_str();
        self.leave(host, &self.signed(host, &report.text().unwrap()));
    }

    pub(crate) fn fleet(&self, args: &[&str]) -> Output {
        let all = ["status", "--fleet", "--repo", "deploy"];
        self.writ(&all.iter().chain(args).copied().collect::<Vec<_>>())
    }

    /// What is told of one host, and the exit code.
    fn of(&self, host: &str) -> (String, i32) {
        let told = self.fleet(&[]);
        let text = String::from_utf8(told.stdout).unwrap();
        let line = text.lines().find(|line| line.split(' ').next() == Some(host)).unwrap_or("");
        (line.to_owned(), told.status.code().unwrap())
    }
}

fn told(kind: Kind, reason: Option<&str>) -> Told {
    let reason = reason.map(str::to_owned);
    Told { kind, since: SINCE.parse().unwrap(), reason, detail: Vec::new() }
}

#[test]
fn each_host_is_told_as_it_is_and_each_lie_as_one() {
    let honest = ["ahead", "behind", "broken", "busy", "late", "lost", "nasty", "paused", "well"];
    let liars = ["copied", "elsewhere", "forged", "huge", "junk", "naked", "never", "old", "twin"];
    let desk = Desk::with_hosts(&[&honest[..], &liars].concat());
    let before = desk.well("behind");
    desk.host_file("keyless", "");
    desk.commit("a host without a key");
    desk.git(&["push", "-q"]);
    let good = desk.well("well");
    desk.tells(&good);
    let told_by = |host: &str, change: &dyn Fn(&mut HostReport)| {
        let mut report = desk.well(host);
        change(&mut report);
        desk.tells(&report);
    };
    desk.tells(&before);
    told_by("ahead", &|report| report.at = (Timestamp::now() + 190.minutes()).into());
    told_by("late", &|report| report.at = (Timestamp::now() - 5.hours()).into());
    told_by("broken", &|report| {
        report.state.commit = before.state.commit.clone();
        report.state.verdict = Some(told(Kind::RolledBack, Some("check web: no answer")));
        report.state.verdict.as_mut().unwrap().detail = vec!["journal: out of luck".to_owned()];
    });
    told_by("busy", &|report| report.state.verdict = Some(told(Kind::Applying, None)));
    told_by("lost", &|report| report.state.commit = Some("1".repeat(40).parse().unwrap()));
    told_by("nasty", &|report| {
        report.state.verdict =
            Some(told(Kind::Waiting, Some("\x1b[2Jall is fine\n-----BEGIN SSH SIGNATURE-----")));
    });
    told_by("paused", &|report| {
        report.state.paused = Some(SINCE.parse().unwrap());
        report.state.drift = 2;
        report.state.fault = Some("could not fetch main: no route".to_owned());
    });
    told_by("elsewhere", &|report| report.repository = "other".to_owned());
    told_by("old", &|_| {});
    assert_eq!(desk.fleet(&[]).status.code(), Some(1));
    told_by("old", &|report| report.sequence -= 1);
    let text = good.text().unwrap();
    desk.leave("copied", &desk.signed("well", &text));
    desk.leave("forged", &desk.signed("forged", &text).replace("confirmed", "confirmeD"));
    desk.leave("naked", &text);
    desk.leave("junk", &desk.signed("junk", "not json\n"));
    desk.leave("huge", &"x".repeat(70_000));
    desk.leave("keyless", &desk.signed("well", &text));
    desk.leave("twin", &desk.signed("twin", &text));
    desk.leave("stranger", &desk.signed("well", &text));
    let told = desk.fleet(&[]);
    let text = desk.told(&told).replace(&desk.head()[..10], "HEAD------");
    insta::assert_snapshot!(text.replace(before.state.commit.unwrap().short(), "BEFORE----"));
}

/// It has confirmed the head, and is not well all the same.
#[test]
fn a_host_with_a_service_that_crashes_is_not_well() {
    let desk = Desk::with_hosts(&["biz"]);
    let mut report = desk.well("biz");
    report.state.condition = Some(Condition::Failed);
    let services = [("web".parse().unwrap(), "crash loop".to_owned())];
    report.state.services = services.into();
    desk.tells(&report);
    let (line, code) = desk.of("biz");
    assert!(line.contains("confirmed") && line.ends_with("web: crash loop"), "{line}");
    assert_eq!(code, 1);
    report.state.condition = Some(Condition::NotReady);
    report.state.services.clear();
    report.state.waiting = vec!["Caddy: connection refused".to_owned()];
    report.sequence += 1;
    desk.tells(&report);
    let (line, code) = desk.of("biz");
    assert!(line.ends_with("Caddy: connection refused") && code == 1, "{line}");
    report.state.condition = Some(Condition::Fine);
    report.state.waiting.clear();
    report.sequence += 1;
    desk.tells(&report);
    assert_eq!(desk.of("biz").1, 0);
}

#[test]
fn all_is_well_once_every_host_has_confirmed_the_head() {
    let desk = Desk::with_hosts(&["biz", "web"]);
    desk.tells(&desk.well("biz"));
    assert_eq!(desk.of("web").1, 1, "one never reported");
    desk.tells(&desk.well("web"));
    assert_eq!(desk.of("web").1, 0);
    // Strangers harm nobody.
    desk.leave("gone", "who knows");
    assert_eq!(
        desk.of("gone"),
        (
            "gone  -           -    -          -                     the manifest has no such host"
                .to_owned(),
            0
        )
    );
    let json = desk.fleet(&["--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["good"], &json["head"]), (&true.into(), &desk.head().into()));
    assert_eq!(json["hosts"][0]["report"]["sequence"], 7);
    assert_eq!(desk.fleet(&["--stale", "1m"]).status.code(), Some(1));
    desk.write("web", &(desk.read("web") + "# more\n"));
    desk.commit("more");
    assert_eq!(desk.of("biz").1, 0, "what nobody has pushed is nobody's duty");
    desk.git(&["push", "-q"]);
    let (line, code) = desk.of("biz");
    assert!(line.contains("(1 behind)") && code == 1, "{line}");
    assert_eq!(desk.git(&["for-each-ref", "refs/writ"]), "", "the checkout is left alone");
}

/// A key that the manifest gives up takes its past with it.
#[test]
fn an_old_report_is_none_however_it_comes() {
    let desk = Desk::with_hosts(&["biz"]);
    let mut report = desk.well("biz");
    desk.tells(&report);
    assert_eq!(desk.of("biz").1, 0);
    report.sequence = 3;
    desk.tells(&report);
    let (line, code) = desk.of("biz");
    assert!(line.contains("its sequence is 3, and 7 was seen before") && code == 1, "{line}");
    fs::create_dir(desk.dir.path().join("mail")).unwrap();
    let mail = |report: &HostReport| {
        let text = desk.signed("biz", &report.text().unwrap());
        fs::write(desk.dir.path().join("mail/biz.status"), text).unwrap();
        let from = format!("dir://{}/mail", desk.dir.path().display());
        desk.fleet(&["--from", &from]).status.code()
    };
    assert_eq!(mail(&report), Some(1));
    report.sequence = 8;
    assert_eq!(mail(&report), Some(0));
    report.sequence = 1;
    desk.make_key("biz2");
    let public = fs::read_to_string(desk.home().join(".ssh/biz2.pub")).unwrap();
    desk.host_file("biz", &format!("reportKey = \"{}\"\n", public.trim()));
    desk.commit("a new key");
    desk.git(&["push", "-q"]);
    report.state = desk.well("biz").state;
    desk.leave("biz", &desk.signed("biz2", &report.text().unwrap()));
    assert_eq!(desk.of("biz").1, 0);
    let marks = desk.deploy().join(".git/writ/fleet.json");
    fs::write(marks, "{").unwrap();
    assert!(desk.told(&desk.fleet(&[])).contains("remove it"));
}

#[test]
fn places_that_hold_no_reports_are_told() {
    let desk = Desk::with_hosts(&["biz"]);
    let code = |args: &[&str]| desk.fleet(args).status.code();
    assert_eq!(code(&["--from", "dir://mail"]), Some(2));
    assert_eq!(code(&["--from", "dir:///no/such/folder"]), Some(1));
    assert_eq!(code(&["--from", "file:///no/such/repository"]), Some(3));
    let url = format!("file://{}/origin.git", desk.dir.path().display());
    assert_eq!(code(&["--from", &url]), Some(1));
    desk.tells(&desk.well("biz"));
    assert_eq!(code(&["--from", &url]), Some(0));
    fs::rename(desk.dir.path().join("origin.git"), desk.dir.path().join("away")).unwrap();
    assert_eq!(code(&[]), Some(3));
    assert_eq!(desk.writ(&["status", "--from", &url]).status.code(), Some(2));
    // One that spoils the fetch of all others is told alone.
    fs::rename(desk.dir.path().join("away"), desk.dir.path().join("origin.git")).unwrap();
    let commit = "printf 'tree %040d\\nauthor h <h@h> 1 +0000\\ncommitter h <h@h> 1 +0000\\n\\n' 1";
    let lost = format!("{commit} | git hash-object -t commit -w --stdin --literally");
    let script = format!("git update-ref refs/writ/status/lost $({lost})");
    ok(&desk.run_in(&desk.dir.path().join("origin.git"), "sh", &["-c", &script]));
    let fetch = ["fetch", "-q", "--no-write-fetch-head", "origin", "refs/writ/status/*:refs/x/*"];
    assert!(!desk.run_in(&desk.deploy(), "git", &fetch).status.success());
    assert_eq!(desk.of("biz").1, 0);
    // As a person may keep it.
    desk.git(&["config", "writ.reports", "dir:///no/such/folder"]);
    assert_eq!(code(&[]), Some(1));
    desk.git(&["config", "--unset", "writ.reports"]);
}

/// Somebody who waits, and what they are told.
struct Waiting {
    child: Child,
    told: BufReader<ChildStderr>,
}

impl Waiting {
    fn start(desk: &Desk, args: &[&str]) -> Self {
        let mut command = desk.command(desk.dir.path(), "writ", args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(child.stderr.take().unwrap());
        Self { child, told }
    }

    /// Reads on until a line holds this.
    #[track_caller]
    fn until(&mut self, text: &str) {
        let mut all = String::new();
        while !all.lines().last().is_some_and(|line| line.contains(text)) {
            assert!(self.told.read_line(&mut all).unwrap() > 0, "{text:?} is not in {all:?}");
        }
    }

    fn code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

#[test]
fn whoever_waits_sees_each_step_and_the_end() {
    let desk = Desk::with_hosts(&["biz"]);
    let args = ["status", "--fleet", "--repo", "deploy", "--wait", "HEAD", "--timeout", "2m"];
    let mut waiting = Waiting::start(&desk, &args);
    waiting.until("biz: … never reported");
    let mut report = desk.well("biz");
    report.state.verdict = Some(told(Kind::Applying, None));
    desk.tells(&report);
    waiting.until("biz: … applying");
    desk.tells(&desk.well("biz"));
    waiting.until("biz: confirmed");
    assert_eq!(waiting.code(), Some(0));
    report.state.verdict = Some(told(Kind::RolledBack, Some("check web: no answer")));
    desk.tells(&report);
    let failed = desk.writ(&args);
    assert_eq!(failed.status.code(), Some(1));
    assert!(desk.told(&failed).contains("error: biz: rolled-back: check web: no answer"));
}

#[test]
fn whoever_waits_for_too_long_is_told_who_is_missing() {
    let desk = Desk::with_hosts(&["biz", "web"]);
    desk.tells(&desk.well("biz"));
    let short = desk.fleet(&["--wait", "HEAD", "--timeout", "1s"]);
    insta::assert_snapshot!(desk.told(&short).replace(&desk.head()[..10], "HEAD------"));
    // Nobody can ever tell, so nobody waits.
    desk.host_file("web", "");
    desk.commit("web has no key any more");
    desk.git(&["push", "-q"]);
    desk.tells(&desk.well("biz"));
    let never = desk.fleet(&["--wait", "HEAD", "--timeout", "1h"]);
    assert_eq!(never.status.code(), Some(3));
    assert!(desk.told(&never).contains("web: manifests/hosts/web.toml names no reportKey"));
}

#[test]
fn a_push_waits_for_the_hosts_that_it_concerns() {
    // `web` has no service, so that the push changes nothing there.
    let desk = Desk::with_hosts(&["biz", "web"]).with_nix();
    let cache = format!("file://{}/cache", desk.dir.path().display());
    let args = ["push", "web", "--repo", "deploy", "--store-path", crate::push::NEW, "--to"];
    let args: Vec<&str> = args.into_iter().chain([&*cache, "--wait"]).collect();
    let mut waiting = Waiting::start(&desk, &args);
    waiting.until("waiting for 1 host(s)");
    waiting.until("biz: … never reported");
    // Somebody else's commit on top of it, which this checkout does not have yet.
    ok(&desk.run("git", &["clone", "-q", "origin.git", "bob"]));
    let bob = desk.dir.path().join("bob");
    ok(&desk.run_in(&bob, "git", &["commit", "-q", "--allow-empty", "-m", "bob's"]));
    ok(&desk.run_in(&bob, "git", &["push", "-q"]));
    let mut report = desk.well("biz");
    let later = Some(ok(&desk.run_in(&bob, "git", &["rev-parse", "HEAD"])).parse().unwrap());
    (report.state.head, report.state.commit) = (later.clone(), later);
    desk.tells(&report);
    waiting.until("biz: confirmed");
    assert_eq!(waiting.code(), Some(0));
}

/// What was committed here before goes out with it, and so do its consequences.
#[test]
fn a_push_waits_also_for_what_it_takes_along() {
    let desk = Desk::with_hosts(&["biz", "web", "db"]).with_nix();
    desk.write("api", &desk.read("api").replace("\"biz\"", "\"biz\", \"web\""));
    desk.commit("api on web too, not pushed yet");
    let args = ["push", "web", "--repo", "deploy", "--store-path", crate::push::NEW, "--no-upload"];
    let args: Vec<&str> = args.into_iter().chain(["--wait", "--timeout", "1s"]).collect();
    let short = desk.writ(&args);
    let said = desk.told(&short);
    assert!(said.contains("waiting for 2 host(s)") && said.contains("  web: never"), "{said}");
    assert_eq!(short.status.code(), Some(3));
}
