//! What the test hosts promise, so that the other scenes mean something.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::Scene;
use super::lab::acme::Acme;
use super::lab::fleet::Fleet;
use super::lab::host::{Host, until};
use super::lab::workshop::{CACHE, REMOTE, Workshop};

pub(crate) const SCENES: &[Scene] = &[
    ("a_unit_stopped_on_one_host_leaves_its_namesake_on_another_alone", namesakes),
    ("a_host_cut_off_cannot_be_reached_until_its_link_is_up", link),
    ("a_rebooted_host_has_its_disk_and_its_neighbours", rebooted),
    ("a_fleet_ends_with_the_process_that_made_it_however_that_ends", killed),
    ("a_kept_fleet_ends_with_the_process_that_holds_it", kept),
    ("a_closure_travels_from_the_workshop_through_the_signed_cache", closure),
    ("a_repository_can_be_cloned_from_the_forge_over_https", forge),
    ("git_itself_vouches_for_a_commit_of_the_workshop", commit),
];

/// Set for a process that is to boot a host and be killed.
pub(crate) const VICTIM: &str = "WRIT_TEST_VICTIM";

/// Boots a host, says which, and stays.
pub(crate) fn be_the_victim() -> ! {
    let fleet = Arc::new(Fleet::new().expect("hosts can be booted here"));
    let host = Host::boot(&fleet, "gone", &[]);
    println!("{} {}", fleet.name(), host.init());
    loop {
        std::thread::park();
    }
}

fn namesakes() {
    let fleet = Arc::new(Fleet::new().expect("hosts can be booted here"));
    let [one, other] = ["one", "other"].map(|name| Host::boot(&fleet, name, &[]));
    for host in [&one, &other] {
        host.must(&["systemd-run", "--unit=writ-web", "sleep", "infinity"]);
    }
    let pid = || other.must(&["systemctl", "show", "--value", "--property=MainPID", "writ-web"]);
    let before = pid();
    one.must(&["systemctl", "stop", "writ-web"]);
    assert_eq!(pid(), before);
    other.must(&["kill", "-0", before.trim()]);
    assert_ne!(one.sh("cat /etc/machine-id"), other.sh("cat /etc/machine-id"));
}

fn link() {
    let fleet = Arc::new(Fleet::new().expect("hosts can be booted here"));
    let [one, other] = ["one", "other"].map(|name| Host::boot(&fleet, name, &[]));
    let url = format!("http://{}/", other.address());
    let reachable = || one.run(&["curl", "--silent", "--max-time", "2", &url]).ok;
    until("one host reaches another's Caddy", Duration::from_secs(20), || {
        reachable().then_some(())
    });
    other.link_down();
    assert!(!reachable());
    other.link_up();
    until("the link is up again", Duration::from_secs(20), || reachable().then_some(()));
}

fn rebooted() {
    let fleet = Arc::new(Fleet::new().expect("hosts can be booted here"));
    let [mut one, other] = ["one", "other"].map(|name| Host::boot(&fleet, name, &[]));
    one.sh("echo kept >/root/kept; echo lost >/run/lost");
    let before = one.init();
    one.reboot();
    assert_ne!(one.init(), before);
    assert_eq!(one.sh("cat /root/kept"), "kept\n");
    assert!(!one.run(&["test", "-e", "/run/lost"]).ok);
    let url = format!("http://{}/", other.address());
    until("one host reaches another's Caddy", Duration::from_secs(20), || {
        one.run(&["curl", "--silent", "--max-time", "2", &url]).ok.then_some(())
    });
}

fn killed() {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(victim.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (fleet, init) = line.trim().split_once(' ').expect("the fleet and its host's PID 1");
    assert!(traces(fleet).contains(fleet), "its cgroups should name it");
    victim.kill().unwrap();
    victim.wait().unwrap();
    until("the host and its cgroup are gone", Duration::from_secs(20), || {
        let left = Path::new("/proc").join(init).exists() || !traces(fleet).is_empty();
        (!left).then_some(())
    });
}

fn kept() {
    let fleet = Arc::new(Fleet::new().expect("hosts can be booted here"));
    let host = Host::boot(&fleet, "kept", &[]);
    let holder = fleet.keep().unwrap().to_string();
    let init = Path::new("/proc").join(host.init().to_string());
    std::mem::forget((host, fleet)); // as the end of this process would
    assert!(init.exists());
    assert!(Command::new("kill").arg(holder).status().unwrap().success());
    until("the host is gone", Duration::from_secs(20), || (!init.exists()).then_some(()));
}

/// What this machine still has of a fleet: cgroups, mounts, processes.
fn traces(fleet: &str) -> String {
    let script = "mount -t cgroup2 none /mnt; ls -d /mnt/$1; umount /mnt; pgrep -f $1-
                  grep $1 /proc/mounts; ls /run/systemd/nspawn/propagate | grep $1";
    let mut look = Command::new("unshare");
    look.args(["--mount", "sh", "-c", script, "sh", fleet]);
    String::from_utf8(look.output().unwrap().stdout).unwrap()
}

fn closure() {
    let fleet = Arc::new(Fleet::new().expect("hosts can be booted here"));
    let workshop = Workshop::open(&fleet);
    let host = Host::boot(&fleet, "biz", &[]);
    let path = workshop.server("web", "v1", "--port 8000");
    let key = workshop.cache_key.trim();
    let realise = |key: &str| {
        let keys = format!("trusted-public-keys = {key}");
        host.run(&[
            "env",
            &format!("NIX_CONFIG={keys}"),
            "nix-store",
            "--realise",
            &path,
            "--option",
            "substituters",
            CACHE,
        ])
    };
    assert!(!realise("other-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=").ok);
    let ran = realise(key);
    assert!(ran.ok, "{}", ran.stderr);
    host.must(&["systemd-run", "--property=DynamicUser=yes", &format!("{path}/bin/web")]);
    until("the server answers", Duration::from_secs(10), || {
        host.run(&["curl", "--silent", "http://127.0.0.1:8000/"]).stdout.eq("v1").then_some(())
    });
}

fn commit() {
    let fleet = Arc::new(Fleet::new().expect("hosts can be booted here"));
    let workshop = Workshop::open(&fleet);
    let alice = workshop.key("alice");
    workshop.write(".writ/allowed_signers", &format!("alice {}\n", alice.public));
    let good = workshop.release(Some(&alice), "the first");
    let bare = workshop.release(None, "unsigned");
    let verify =
        |commit: &str| workshop.host.run(&["git", "-C", "/root/deploy", "verify-commit", commit]);
    let said = verify(&good);
    assert!(said.ok && said.stderr.contains(&alice.fingerprint), "{}", said.stderr);
    assert!(!verify(&bare).ok);
    let remote = workshop.host.must(&["git", "-C", REMOTE, "rev-parse", "main"]);
    assert_eq!(remote.trim(), bare);
}

fn forge() {
    let acme = Acme::found();
    let forge = acme.forge();
    let host = Host::boot(&acme.fleet, "biz", &[]);
    forge.introduce(&host);
    host.must(&["git", "clone", "--quiet", &forge.git_url(), "/root/copy"]);
    let copy = host.must(&["git", "-C", "/root/copy", "rev-parse", "HEAD"]);
    assert_eq!(copy.trim(), acme.introduction);
    let info = format!("{}/nix-cache-info", forge.cache_url());
    acme.workshop.server("web", "v1", "");
    assert!(host.must(&["curl", "--silent", "--fail", &info]).contains("StoreDir: /nix/store"));
}
