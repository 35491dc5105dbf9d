//! A host in trouble: a clear word about it, what runs goes on running, and recovery as soon as the trouble is over.

use super::{Acme, Running, Scene};

pub(super) const SCENES: &[Scene] = &[
    ("a_caddy_that_is_down_is_waited_for", caddy_down),
    ("a_caddy_that_comes_back_empty_gets_its_routes_without_hands", caddy_empty),
    (
        "a_caddy_that_was_restarted_or_reloaded_gets_its_routes_before_the_next_poll",
        caddy_restarted,
    ),
    ("a_bus_that_is_gone_for_a_while_is_waited_for", no_bus),
    ("a_full_store_is_waited_for", full_store),
    ("a_full_ledger_changes_nothing", full_ledger),
    ("a_ledger_that_is_read_only_changes_nothing", read_only_ledger),
    ("a_clock_that_jumps_is_named_and_waited_for", jumping_clock),
    ("a_damaged_anchor_is_never_taken_for_a_first_boot", damaged_anchor),
    ("a_lost_anchor_is_never_taken_for_a_first_boot", lost_anchor),
    ("a_remote_that_is_gone_is_waited_for", no_remote),
];

fn caddy_down() {
    let scene = Running::v1();
    let biz = &scene.biz;
    let direct = || biz.host.run(&["curl", "--silent", "http://127.0.0.1:8001/"]).stdout;
    biz.host.must(&["systemctl", "stop", "caddy"]);
    scene.acme.publish("shop", "s1", 8002, "");
    let commit = scene.acme.release("shop: version 1");
    let status = biz.judged(&commit, "waiting");
    assert!(status.why().contains("Caddy"), "{}", status.why());
    assert_eq!(direct(), "v1");
    biz.host.must(&["systemctl", "start", "caddy"]);
    biz.confirmed(&commit);
    biz.serves("web.acme.example", "v1");
    biz.serves("shop.acme.example", "s1");
}

fn caddy_empty() {
    let mut scene = Running::v1();
    scene.biz.reconfigure(|config| config.poll = "1s");
    let (biz, pid) = (&scene.biz, scene.biz.pid("web"));
    biz.host.must(&["systemctl", "stop", "caddy"]);
    let status = biz.status_where("a word about Caddy", |status| status.why().contains("Caddy"));
    assert_eq!(status.kind(), "confirmed", "{status:?}");
    assert_eq!(biz.host.run(&["curl", "--silent", "http://127.0.0.1:8001/"]).stdout, "v1");
    biz.host.must(&["systemctl", "start", "caddy"]);
    biz.serves("web.acme.example", "v1");
    assert_eq!(biz.pid("web"), pid);
    biz.status_where("peace", |status| !status.why().contains("Caddy"));
}

fn caddy_restarted() {
    let mut scene = Running::v1();
    scene.biz.reconfigure(|config| config.poll = "1h");
    let biz = &scene.biz;
    biz.status_where("its first round", |status| status.kind() == "confirmed");
    for how in ["restart", "reload"] {
        biz.host.must(&["systemctl", how, "caddy"]);
        biz.serves("web.acme.example", "v1");
    }
}

fn no_bus() {
    let scene = Running::v1();
    let biz = &scene.biz;
    let (web, agent) = (biz.pid("web"), biz.pid("agent"));
    biz.host.must(&["systemctl", "stop", "--quiet", "dbus.socket", "dbus.service"]);
    scene.acme.publish("web", "v2", 8001, "");
    let commit = scene.acme.release("web: version 2");
    let status = biz.status_where("a word about the bus", |status| {
        status.head() == commit && status.why().contains("over the system bus")
    });
    assert_ne!(status.kind(), "rolled-back");
    let told = biz.host.run(&["writ", "status"]).stdout;
    assert!(told.contains("hint     `systemctl status dbus`"), "{told}");
    scene.untouched(web);
    biz.host.must(&["systemctl", "start", "dbus.socket"]);
    biz.confirmed(&commit);
    biz.serves("web.acme.example", "v2");
    assert_eq!(biz.pid("agent"), agent, "the agent died of it");
}

/// A host with a small disk of its own below `path`, which a file named `ballast`
/// can fill.
fn small_disk(acme: &Acme, path: &str, megabytes: u32) -> super::Site {
    let biz = acme.site("biz");
    biz.host
        .sh(&format!("mkdir -p {path}; mount -t tmpfs -o size={megabytes}m,mode=755 tmpfs {path}"));
    biz
}

fn fill(biz: &super::Site, path: &str) {
    let full = biz.host.run(&["dd", "if=/dev/zero", &format!("of={path}/ballast"), "bs=4k"]);
    assert!(full.stderr.contains("No space left"), "{}", full.stderr);
}

fn running_on(biz: super::Site, acme: Acme) -> Running {
    acme.publish("web", "v1", 8001, "");
    let v1 = acme.release("web: version 1");
    biz.start();
    biz.confirmed(&v1);
    biz.serves("web.acme.example", "v1");
    Running { acme, biz, v1 }
}

fn full_store() {
    let acme = Acme::found();
    let biz = small_disk(&acme, "/nix", 64);
    let scene = running_on(biz, acme);
    let pid = scene.biz.pid("web");
    fill(&scene.biz, "/nix");
    scene.acme.publish("web", "v2", 8001, "");
    let commit = scene.acme.release("web: version 2");
    let status = scene.biz.judged(&commit, "waiting");
    assert!(
        status.why().contains("No space left") || status.why().contains("full"),
        "{}",
        status.why()
    );
    scene.untouched(pid);
    scene.biz.host.must(&["rm", "/nix/ballast"]);
    scene.biz.confirmed(&commit);
    scene.biz.serves("web.acme.example", "v2");
}

fn full_ledger() {
    let acme = Acme::found();
    let biz = small_disk(&acme, "/var/lib/writ", 8);
    let scene = running_on(biz, acme);
    let pid = scene.biz.pid("web");
    fill(&scene.biz, "/var/lib/writ");
    scene.acme.publish("web", "v2", 8001, "");
    let commit = scene.acme.release("web: version 2");
    scene.biz.status_where("a word about the disk", |status| {
        status.why().contains("No space left") || status.why().contains("full")
    });
    scene.untouched(pid);
    scene.biz.host.must(&["rm", "/var/lib/writ/ballast"]);
    scene.biz.confirmed(&commit);
    scene.biz.serves("web.acme.example", "v2");
}

fn read_only_ledger() {
    let acme = Acme::found();
    let biz = small_disk(&acme, "/var/lib/writ", 8);
    let mut scene = running_on(biz, acme);
    scene.biz.reconfigure(|config| config.poll = "1s");
    let pid = scene.biz.pid("web");
    // As the agent sees it: it holds a file open, and so the disk itself is busy.
    let (agent, disk) = (scene.biz.pid("agent").to_string(), "/var/lib/writ");
    let mount = |script: &str| {
        scene.biz.host.must(&["nsenter", "--target", &agent, "--mount", "sh", "-euc", script]);
    };
    mount(&format!("mount --bind {disk} {disk}; mount -o remount,bind,ro {disk}"));
    scene.acme.publish("web", "v2", 8001, "");
    let commit = scene.acme.release("web: version 2");
    scene.biz.status_where("a word about the disk", |status| {
        status.faults().iter().any(|fault| fault.contains("Read-only file system"))
    });
    scene.untouched(pid);
    // What runs is looked after all the same.
    scene.biz.host.must(&["systemctl", "stop", "writ-web"]);
    scene.biz.serves("web.acme.example", "v1");
    mount(&format!("mount -o remount,bind,rw {disk}"));
    scene.biz.confirmed(&commit);
    scene.biz.serves("web.acme.example", "v2");
}

/// The agent's clock is set while it runs; it is never restarted.
fn jumping_clock() {
    let acme = Acme::found();
    let mut biz = acme.site("biz");
    let drop_in = "/etc/systemd/system/writ-agent.service.d/clock.conf";
    let fake = "[Service]\nEnvironment=LD_PRELOAD=/usr/$LIB/faketime/libfaketime.so.1 \
                FAKETIME_TIMESTAMP_FILE=/run/clock FAKETIME_NO_CACHE=1 \
                FAKETIME_DONT_FAKE_MONOTONIC=1\n";
    biz.host.put(drop_in, fake, 0o644);
    biz.host.put("/run/clock", "+0", 0o644);
    biz.host.must(&["systemctl", "daemon-reload"]);
    biz.reconfigure(|config| config.poll = "1s");
    let scene = running_on(biz, acme);
    let set = |clock: &str| scene.biz.host.put("/run/clock", clock, 0o644);
    let (web, agent) = (scene.biz.pid("web"), scene.biz.pid("agent"));

    set("-2d");
    scene.acme.publish("web", "v2", 8001, "");
    let commit = scene.acme.release("web: version 2");
    let status = scene.biz.judged(&commit, "refused");
    assert_eq!(status.reason(), "clock", "{status:?}");
    scene.untouched(web);
    set("+0");
    scene.biz.confirmed(&commit);
    scene.biz.serves("web.acme.example", "v2");

    // Ahead, in the middle of a watch, and back.
    scene.acme.publish("web", "v3", 8001, "");
    let commit = scene.acme.release("web: version 3");
    scene.biz.serves("web.acme.example", "v3");
    set("+400d");
    scene.biz.confirmed(&commit);
    set("+0");
    scene.acme.publish("web", "v4", 8001, "--crash");
    let status = scene.biz.judged(&scene.acme.release("web: version 4"), "rolled-back");
    assert!(status.why().contains("cannot find the database"), "{}", status.why());
    scene.biz.serves("web.acme.example", "v3");
    assert_eq!(scene.biz.pid("agent"), agent);
}

const ANCHOR: &str = "/var/lib/writ/anchor.json";

fn damaged_anchor() {
    without_its_anchor(&format!("echo '{{\"version\": 1, \"comm' >{ANCHOR}"));
}

fn lost_anchor() {
    without_its_anchor(&format!("rm {ANCHOR}"));
}

fn without_its_anchor(harm: &str) {
    let scene = Running::v1();
    let pid = scene.biz.pid("web");
    scene.biz.host.sh(&format!("cp -a {ANCHOR} /root/anchor.json; {harm}"));
    scene.biz.host.must(&["systemctl", "restart", "writ-agent"]);
    scene.acme.publish("web", "v2", 8001, "");
    let commit = scene.acme.release("web: version 2");
    scene.biz.status_where("a word about the anchor", |status| status.why().contains(ANCHOR));
    scene.untouched(pid);
    scene.biz.host.sh(&format!("cp -a /root/anchor.json {ANCHOR}"));
    scene.biz.confirmed(&commit);
    scene.biz.serves("web.acme.example", "v2");
}

fn no_remote() {
    let scene = Running::v1();
    let pid = scene.biz.pid("web");
    scene.acme.workshop.host.must(&["mv", "/srv/git", "/srv/gone"]);
    scene.biz.status_where("a word about the remote", |status| {
        drop(scene.biz.sync());
        status.why().contains("deploy.git")
    });
    scene.untouched(pid);
    scene.acme.workshop.host.must(&["mv", "/srv/gone", "/srv/git"]);
    scene.update("v2");
}
