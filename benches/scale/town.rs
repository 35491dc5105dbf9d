//! A host with many services, and the changes that are pushed to it.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use crate::lab::acme::Acme;
use crate::lab::site::Site;

/// The longest a generation may take.
const DEADLINE: Duration = Duration::from_secs(300);
const REFS: &str = "/srv/git/deploy.git/refs/heads/main";

pub(crate) struct Town {
    pub(crate) services: usize,
    acme: Acme,
    pub(crate) site: Site,
    /// The closure that all services share, apart from the one that changes alone.
    shared: String,
}

impl Town {
    pub(crate) fn found(services: usize) -> Self {
        let acme = Acme::found();
        let site = acme.site("biz");
        site.start();
        site.confirmed(&acme.introduction);
        let shared = acme.workshop.server("web", "many", "");
        Self { services, acme, site, shared }
    }

    pub(crate) fn units(&self) -> Vec<String> {
        (0..self.services).map(|n| format!("writ-s{n}.service")).collect()
    }

    /// A round that finds nothing to do, and a status.
    pub(crate) fn sync(&self) {
        assert!(self.site.sync().ok, "the agent is content");
    }

    /// Has the agent look at the branch, and ask for nothing else.
    pub(crate) fn nudge(&self) {
        let branch = fs::File::open(self.site.host.file(REFS)).expect("the branch is there");
        branch.set_modified(SystemTime::now()).expect("it is ours");
    }

    /// Another version of one service; how long after the branch moved it runs.
    pub(crate) fn one_changed(&self, version: u32) -> Duration {
        let path = self.acme.workshop.server("web", &format!("v{version}"), "");
        self.write(0, &path, "alone");
        let moved = self.push("one service");
        since(moved, self.last_started(&["writ-s0.service".to_owned()]))
    }

    /// Every service changes; how long after the branch moved all of them run.
    pub(crate) fn all_changed(&self, what: &str) -> Duration {
        for n in 0..self.services {
            self.write(n, &self.shared, what);
        }
        let moved = self.push(what);
        let confirmed = since(moved, SystemTime::now());
        let started = since(moved, self.last_started(&self.units()));
        eprintln!("  started after {started:.2?}, confirmed after {confirmed:.2?}");
        started
    }

    fn write(&self, n: usize, path: &str, what: &str) {
        let port = 9000 + n;
        let mut text = format!("hosts = [\"*\"]\n[artifact]\nstorePath = \"{path}\"\n");
        let _ = write!(
            text,
            "[exec]\ncommand = \"web\"\n[env]\nPORT = \"{port}\"\nWHAT = \"{what}\"\n"
        );
        let _ = write!(
            text,
            "[http]\ndomain = \"s{n}.acme.example\"\ninternalPort = {port}\nhttps = \"off\"\n"
        );
        text.push_str("[health]\npath = \"/health\"\nhealthyFor = \"1s\"\ndeadline = \"3m\"\n");
        self.acme.workshop.write(&format!("manifests/services/s{n}.toml"), &text);
    }

    /// Returns when the branch moved, once the generation is confirmed. Only links are
    /// looked at meanwhile, so that looking costs the host nothing.
    fn push(&self, what: &str) -> SystemTime {
        let before = self.last_good();
        self.acme.release(what);
        let moved = fs::metadata(self.site.host.file(REFS)).and_then(|meta| meta.modified());
        let began = Instant::now();
        while self.last_good() == before {
            let journal = || self.site.journal();
            assert!(began.elapsed() < DEADLINE, "{what} was not confirmed\n{}", journal());
            std::thread::sleep(Duration::from_millis(20));
        }
        moved.expect("the branch is there")
    }

    fn last_good(&self) -> Option<std::path::PathBuf> {
        fs::read_link(self.site.host.file("/var/lib/writ/last-good")).ok()
    }

    fn last_started(&self, units: &[String]) -> SystemTime {
        let show = ["systemctl", "show", "--timestamp=us+utc", "--value"];
        let show = [&show[..], &["--property=ActiveEnterTimestamp"]].concat();
        let units: Vec<&str> = units.iter().map(String::as_str).collect();
        let text = self.site.host.must(&[&show[..], &units].concat());
        let stamps = text.lines().filter(|line| !line.is_empty()).map(parsed);
        stamps.max().expect("there are services")
    }
}

fn since(moved: SystemTime, started: SystemTime) -> Duration {
    started.duration_since(moved).expect("nothing starts before the branch moves")
}

/// `Sat 2026-11-21 12:00:00.123456 UTC`
fn parsed(stamp: &str) -> SystemTime {
    let mut words = stamp.split(' ').skip(1);
    let (date, time) = (words.next().expect("a date"), words.next().expect("a time"));
    let stamp: jiff::Timestamp = format!("{date}T{time}Z").parse().expect("a time");
    stamp.into()
}
