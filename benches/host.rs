//! The whole road on a real host, with the release agent: `cargo bench --bench host`, as root on Debian.
//!
//! Prints what Writ takes beside what the stock tools take for the same stage, on the
//! same machine in the same run.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is made to be read")]

#[path = "../tests/lab/mod.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod lab;

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use lab::acme::Acme;
use lab::site::Site;

const SAMPLES: usize = 10;
const SERVICES: usize = 100;
const QUIET_ROUNDS: u32 = 20;

fn main() {
    if let Err(why) = lab::fleet::Fleet::new() {
        eprintln!("test hosts cannot be booted here: {}", why.0);
        return;
    }
    let acme = Acme::found();
    let biz = acme.site("biz");
    biz.start();
    started_after_a_push(&acme, &biz);
    floors(&acme, &biz);
    many_services(&acme, &biz);
}

/// From the end of `git push` to the new version's unit being active.
fn started_after_a_push(acme: &Acme, biz: &Site) {
    let mut road = Vec::new();
    for n in 0..=SAMPLES {
        acme.publish("web", &format!("v{n}"), 8001, "");
        acme.workshop.commit(Some(&acme.alice), "another version");
        let before = Instant::now();
        acme.workshop.push();
        let (pushed, push) = (SystemTime::now(), before.elapsed());
        biz.confirmed(&acme.workshop.head());
        let started = active_since(biz, "writ-web.service");
        // The agent may begin before `git push` has ended; the first start has no
        // version to stop.
        if n > 0 {
            road.push(started.duration_since(pushed - push).unwrap_or_default());
        }
    }
    tell("git push begun → the new version runs (fetch, verify, download, restart)", &mut road);
}

/// What the stages cost with the stock tools, one after the other.
fn floors(acme: &Acme, biz: &Site) {
    let host = &biz.host;
    let remote = lab::workshop::REMOTE;
    host.must(&["git", "config", "--global", "safe.directory", "*"]);
    host.must(&["git", "clone", "--quiet", remote, "/root/floor"]);
    sample("floor: git fetch, nothing new", || {
        host.must(&["git", "-C", "/root/floor", "fetch", "--quiet"]);
    });
    sample("floor: git verify-commit's ssh-keygen, one signature", || {
        acme.workshop.git(None, &["log", "-1", "--format=%G?"]);
    });
    let profile = "/nix/var/nix/profiles/writ/web";
    sample("floor: nix-store --realise, one valid path", || {
        host.must(&["nix-store", "--realise", profile]);
    });
    sample("floor: systemctl reset-failed and restart of the service", || {
        host.must(&["systemctl", "reset-failed", "writ-web.service"]);
        host.must(&["systemctl", "restart", "writ-web.service"]);
    });
    sample("floor: entering the host with `true`, part of each line above", || {
        host.must(&["true"]);
    });
}

/// A hundred services: how long they take, and what a round costs afterwards.
fn many_services(acme: &Acme, biz: &Site) {
    let path = acme.workshop.server("web", "many", "");
    for n in 0..SERVICES {
        let mut text = format!("hosts = [\"*\"]\n[artifact]\nstorePath = \"{path}\"\n");
        let _ = write!(text, "[exec]\ncommand = \"web\"\n[env]\nPORT = \"{}\"\n", 9000 + n);
        text.push_str("[health]\nhealthyFor = \"1s\"\ndeadline = \"2m\"\n");
        acme.workshop.write(&format!("manifests/services/s{n}.toml"), &text);
    }
    let commit = acme.release("many services");
    let before = Instant::now();
    biz.confirmed(&commit);
    println!("{SERVICES} new services, confirmed after 1 s of health: {:.2?}", before.elapsed());
    assert!(biz.sync().ok, "the agent is content");
    let agent =
        biz.host.must(&["systemctl", "show", "--property=MainPID", "--value", "writ-agent"]);
    let stat = format!("/proc/{}/stat", agent.trim());
    let before = processor_time(biz, &stat);
    for _ in 0..QUIET_ROUNDS {
        assert!(biz.sync().ok, "the agent is content");
    }
    let spent = processor_time(biz, &stat) - before;
    println!(
        "a quiet round of {SERVICES} services, its fetch and one status: {:.1?} of CPU",
        spent / QUIET_ROUNDS
    );
    let memory = biz.host.must(&["grep", "VmRSS", &format!("/proc/{}/status", agent.trim())]);
    println!("the agent's resident memory: {}", memory.trim_start_matches("VmRSS:").trim());
    let size = std::fs::metadata(lab::workshop::target().join("writ")).map_or(0, |m| m.len());
    println!("the binary: {:.1} MB", size as f64 / 1e6);
}

/// CPU of the process and its ended children, from proc_pid_stat(5): fields 14 to
/// 17, in ticks of a hundredth of a second.
fn processor_time(biz: &Site, stat: &str) -> Duration {
    let text = biz.host.must(&["cat", stat]);
    let fields = text.rsplit_once(')').expect("a name in brackets").1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(4).map(|f| f.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

fn active_since(biz: &Site, unit: &str) -> SystemTime {
    let show =
        ["systemctl", "show", "--timestamp=us+utc", "--property=ActiveEnterTimestamp", "--value"];
    let text = biz.host.must(&[&show[..], &[unit]].concat());
    let (date, time) = text
        .trim()
        .split_once(' ')
        .expect("a weekday first")
        .1
        .trim_end_matches(" UTC")
        .split_once(' ')
        .expect("a date and a time");
    let stamp: jiff::Timestamp = format!("{date}T{time}Z").parse().expect("a time");
    stamp.into()
}

fn sample(what: &str, mut work: impl FnMut()) {
    let mut times: Vec<Duration> = (0..SAMPLES)
        .map(|_| {
            let before = Instant::now();
            work();
            before.elapsed()
        })
        .collect();
    tell(what, &mut times);
}

fn tell(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let (least, median, most) = (times[0], times[times.len() / 2], times[times.len() - 1]);
    println!("{what}: median {median:.0?} ({least:.0?} to {most:.0?}, {} runs)", times.len());
}
