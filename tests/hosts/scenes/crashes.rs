//! Agents and hosts that are killed at a chosen moment of an update, and what they come back to.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::super::lab::host::{Host, until};
use super::super::lab::site::Site;
use super::{Acme, Running, Scene};

pub(super) const SCENES: &[Scene] = &[
    ("an_agent_killed_at_any_moment_of_an_update_finishes_it", killed_while_updating),
    ("an_agent_killed_at_any_moment_of_a_rollback_finishes_it", killed_while_rolling_back),
    ("an_agent_killed_during_a_download_downloads_again", killed_while_downloading),
    ("a_host_that_lost_power_during_an_update_is_back_before_the_network", power_lost),
    ("a_host_that_lost_power_is_back_on_the_last_good_version_without_the_agent", alone),
    ("an_agent_that_is_upgraded_in_the_middle_of_an_update_finishes_it", upgraded),
];

/// A moment of an update, by what can be seen of it on the host's disk.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Accepted,
    Planned,
    Applying,
    UnitWritten,
    Watched,
    RollingBack,
    UnitPutBack,
}

/// The update that is under way, and what tells its version from the one before.
struct Update<'a> {
    site: &'a Site,
    generation: u64,
    old: String,
    new: String,
}

impl Moment {
    fn has_come(self, update: &Update<'_>) -> bool {
        let host = &update.site.host;
        let folder = format!("/var/lib/writ/generations/{}", update.generation);
        let ledger = |name: &str| read(&host.file(&format!("{folder}/{name}")));
        let unit = || read(&host.file("/run/systemd/system/writ-web.service"));
        match self {
            Self::Accepted => !ledger("commit.json").is_empty(),
            Self::Planned => !ledger("plan.json").is_empty(),
            Self::Applying => ledger("verdict.json").contains("\"applying\""),
            Self::UnitWritten => unit().contains(&update.new),
            Self::Watched => {
                let page = host.run(&["curl", "--silent", "http://127.0.0.1:8001/"]).stdout;
                update.new.ends_with(&format!("web-{page}"))
            }
            Self::RollingBack => ledger("verdict.json").contains("\"rolling-back\""),
            Self::UnitPutBack => Self::RollingBack.has_come(update) && unit().contains(&update.old),
        }
    }

    /// Waits without a break: some moments are short.
    #[track_caller]
    fn wait_for(self, update: &Update<'_>) {
        let start = Instant::now();
        while !self.has_come(update) {
            assert!(start.elapsed() < Duration::from_secs(60), "{self:?} has not come");
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// A process of a host as this machine numbers it.
fn process(host: &Host, inside: u32) -> Pid {
    let space = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let hosts = space(&host.init().to_string());
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let found = entries.filter_map(|entry| entry.file_name().into_string().ok()).find(|pid| {
        let status = read(Path::new(&format!("/proc/{pid}/status")));
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        ids.split_whitespace().last() == Some(&inside.to_string()) && space(pid) == hosts
    });
    Pid::from_raw(found.expect("the process runs").parse().unwrap()).unwrap()
}

fn agent(site: &Site) -> Pid {
    until("the agent runs", Duration::from_secs(30), || Some(site.pid("agent")).filter(|p| *p > 0));
    process(&site.host, site.pid("agent"))
}

/// `kill -9` of the agent at a moment of the update that `release` pushes; systemd
/// starts it again.
fn kill_at(moment: Moment, update: &Update<'_>, release: impl FnOnce() -> String) -> String {
    let agent = agent(update.site);
    let commit = release();
    moment.wait_for(update);
    kill_process(agent, Signal::KILL).unwrap();
    commit
}

fn restarts(site: &Site) -> usize {
    let asked = ["systemctl", "show", "--value", "--property=NRestarts", "writ-agent"];
    site.host.must(&asked).trim().parse().unwrap()
}

fn killed_while_updating() {
    use Moment::{Accepted, Applying, Planned, UnitWritten, Watched};
    let scene = Running::v1();
    let mut old = scene.acme.workshop.server("web", "v1", "");
    let moments = [Accepted, Planned, Applying, UnitWritten, Watched];
    for (n, moment) in moments.into_iter().enumerate() {
        let version = format!("v{}", n + 2);
        let new = scene.acme.publish("web", &version, 8001, "");
        let update = Update { site: &scene.biz, generation: n as u64 + 2, old, new: new.clone() };
        let commit = kill_at(moment, &update, || scene.acme.release("web: another version"));
        scene.biz.confirmed(&commit);
        scene.biz.serves("web.acme.example", &version);
        assert_eq!(restarts(&scene.biz), n + 1, "{moment:?}");
        old = new;
    }
    no_remains(&scene.biz);
}

fn killed_while_rolling_back() {
    let scene = Running::v1();
    let old = scene.acme.workshop.server("web", "v1", "");
    for (n, moment) in [Moment::RollingBack, Moment::UnitPutBack].into_iter().enumerate() {
        let new = scene.acme.publish("web", &format!("v{}", n + 2), 8001, "--crash");
        let generation = n as u64 + 2;
        let update = Update { site: &scene.biz, generation, old: old.clone(), new };
        let broken = kill_at(moment, &update, || scene.acme.release("web: a bad version"));
        let status = scene.biz.judged(&broken, "rolled-back");
        assert!(status.why().contains("cannot find the database"), "{}", status.why());
        scene.biz.serves("web.acme.example", "v1");
        assert_eq!(restarts(&scene.biz), n + 1, "{moment:?}");
    }
    scene.update("v4");
    no_remains(&scene.biz);
}

/// A cache that sends the beginning of an archive and then nothing more.
fn killed_while_downloading() {
    let scene = Running::v1();
    let pid = scene.biz.pid("web");
    let new = scene.acme.publish("web", "v2", 8001, "");
    let cache = &scene.acme.workshop.host;
    let hash = &new["/nix/store/".len()..][..32];
    let nar = cache.sh(&format!("sed -n 's/^URL: //p' /srv/cache/{hash}.narinfo"));
    let nar = format!("/srv/cache/{}", nar.trim());
    cache.sh(&format!("mv {nar} /root/nar; mkfifo {nar}"));
    let before = agent(&scene.biz);
    let commit = scene.acme.release("web: version 2");
    let root = scene.biz.host.file("/nix/var/nix/gcroots/writ").join(&new["/nix/store/".len()..]);
    until("the download has begun", Duration::from_secs(60), || {
        root.is_symlink().then_some(()).filter(|()| scene.biz.host.run(&["pgrep", "nix"]).ok)
    });
    kill_process(before, Signal::KILL).unwrap();
    scene.untouched(pid);
    cache.sh(&format!("rm {nar}; mv /root/nar {nar}"));
    scene.biz.confirmed(&commit);
    scene.biz.serves("web.acme.example", "v2");
    no_remains(&scene.biz);
}

fn answers(host: &Host, version: &str) {
    until("the service answers", Duration::from_secs(60), || {
        let page = host.run(&["curl", "--silent", "http://127.0.0.1:8001/"]);
        (page.stdout == version).then_some(())
    });
}

/// A repository that can be reached over the network alone, and a host whose network is
/// away when its power is back.
fn power_lost() {
    use Moment::{Applying, RollingBack, UnitWritten, Watched};
    let acme = Acme::found();
    let mut biz = acme.site("biz");
    let mut old = acme.publish("web", "v1", 8001, "");
    let mut good = acme.release("web: version 1");
    acme.forge().serve(&mut biz);
    biz.start();
    let told = biz.sync();
    assert!(told.ok, "{told:?}");
    biz.confirmed(&good);
    let mut runs = "v1".to_owned();
    for (n, moment) in [Applying, RollingBack, UnitWritten, Watched].into_iter().enumerate() {
        let version = format!("v{}", n + 2);
        let works = !matches!(moment, RollingBack);
        let new = acme.publish("web", &version, 8001, if works { "" } else { "--crash" });
        let commit = acme.release("web: another version");
        biz.host.start(&["writ", "sync"]);
        let update = Update { site: &biz, generation: n as u64 + 2, old, new: new.clone() };
        moment.wait_for(&update);
        old = update.old;
        biz.host.lose_power();
        biz.host.boot_again(false);
        if works {
            (old, good, runs) = (new, commit.clone(), version);
        }
        answers(&biz.host, &runs);
        biz.judged(&commit, if works { "confirmed" } else { "rolled-back" });
        biz.serves("web.acme.example", &runs);
        biz.host.link_up();
        biz.status_where("the branch seen again", |status| {
            drop(biz.sync());
            !status.why().contains("deploy.git") && status.running() == good
        });
    }
    no_remains(&biz);
}

fn alone() {
    let mut scene = Running::v1();
    scene.biz.host.must(&["systemctl", "disable", "--quiet", "writ-agent"]);
    let old = scene.acme.workshop.server("web", "v1", "");
    let new = scene.acme.publish("web", "v2", 8001, "");
    let commit = scene.acme.release("web: version 2");
    Moment::UnitWritten.wait_for(&Update { site: &scene.biz, generation: 2, old, new });
    scene.biz.host.lose_power();
    scene.biz.host.boot_again(false);
    answers(&scene.biz.host, "v1");
    assert_eq!(scene.biz.host.run(&["systemctl", "is-active", "writ-agent"]).stdout, "inactive\n");
    scene.biz.host.link_up();
    scene.biz.start();
    scene.biz.confirmed(&commit);
    scene.biz.serves("web.acme.example", "v2");
}

fn upgraded() {
    let scene = Running::v1();
    let drop_in = "/etc/systemd/system/writ-agent.service.d/upgrade.conf";
    let exec = "/usr/local/bin/writ-next agent --config /etc/writ/agent.toml";
    scene.biz.host.must(&["cp", "/usr/local/bin/writ", "/usr/local/bin/writ-next"]);
    scene.biz.host.put(drop_in, format!("[Service]\nExecStart=\nExecStart={exec}\n"), 0o644);
    scene.biz.host.must(&["systemctl", "daemon-reload"]);
    let old = scene.acme.workshop.server("web", "v1", "");
    let new = scene.acme.publish("web", "v2", 8001, "");
    let commit = scene.acme.release("web: version 2");
    Moment::Applying.wait_for(&Update { site: &scene.biz, generation: 2, old, new });
    scene.biz.host.must(&["systemctl", "restart", "writ-agent"]);
    scene.biz.confirmed(&commit);
    scene.biz.serves("web.acme.example", "v2");
    let program = format!("/proc/{}/exe", scene.biz.pid("agent"));
    let program = scene.biz.host.must(&["readlink", &program]);
    assert_eq!(program.trim(), "/usr/local/bin/writ-next");
}

/// Nothing half-made is left, nor a root that only a download needed.
#[track_caller]
fn no_remains(site: &Site) {
    let look = "find /var/lib/writ /run/systemd/system /nix/var/nix/profiles/writ \
                /nix/var/nix/gcroots/writ -name '*.new' -o -name '.tmp*' -o -name 'incoming.*'; \
                ls /nix/var/nix/gcroots/writ";
    until("nothing is left behind", Duration::from_secs(60), || {
        drop(site.sync());
        site.host.sh(look).is_empty().then_some(())
    });
}
