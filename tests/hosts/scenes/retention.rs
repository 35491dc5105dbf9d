//! The disk: a download that does not fit, what is kept of the past, and nix's collector.

use serde_json::Value;

use super::{Acme, Running, Scene};

pub(super) const SCENES: &[Scene] = &[
    ("a_download_that_does_not_fit_waits_until_gc_made_room", too_large),
    ("seven_versions_are_five_kept_and_the_rest_collected", seven_versions),
    ("what_the_host_booted_with_is_kept_until_the_next_boot", booted),
];

const PROFILE: &str = "/nix/var/nix/profiles/writ/web";

/// The store is a small disk, most of it taken by a path that nobody needs.
fn too_large() {
    let acme = Acme::found();
    let biz = acme.site("biz");
    biz.host.sh("mkdir -p /nix; mount -t tmpfs -o size=128m,mode=755 tmpfs /nix");
    acme.publish("web", "v1", 8001, "");
    let v1 = acme.release("web: version 1");
    biz.start();
    biz.confirmed(&v1);
    biz.serves("web.acme.example", "v1");
    let free = || -> u64 {
        let told = biz.host.sh("df --output=avail --block-size=1M /nix/store | tail -1");
        told.trim().parse().expect("megabytes")
    };
    let pid = biz.pid("web");
    let ballast = biz.host.sh(&format!(
        "truncate --size={}M /root/ballast; nix-store --add /root/ballast",
        free().saturating_sub(20)
    ));
    let before = free();
    assert!(before < 25, "{before} MiB are free");

    let script = "#!/bin/sh\nexec HELLO --text v2 \"$@\"\n";
    let zeros = "0".repeat(32 << 20);
    let files = [("bin/web", script, 0o755), ("zeros", zeros.as_str(), 0o644)];
    let path = acme.workshop.closure("web-v2", &files);
    let web = super::super::lab::acme::Web {
        name: "web",
        store_path: &path,
        port: 8001,
        hosts: "\"*\"",
        more: "",
    };
    acme.web(&web);
    let commit = acme.release("web: version 2");
    let why = biz.judged(&commit, "waiting").why();
    assert!(why.contains("the disk is too full: it needs 32.0 MiB ("), "{why}");
    assert!(why.contains("free on /nix/store") && why.contains("writ gc --collect"), "{why}");
    assert_eq!(free(), before, "nothing was begun");
    biz.serves("web.acme.example", "v1");
    assert_eq!(biz.pid("web"), pid, "what runs was not touched");

    let told = biz.host.must(&["writ", "gc", "--collect"]);
    assert!(told.contains("MiB are free again"), "{told}");
    assert!(!biz.host.run(&["test", "-e", ballast.trim()]).ok);
    // By itself: nobody asks the agent to look again.
    biz.confirmed(&commit);
    biz.serves("web.acme.example", "v2");
}

fn seven_versions() {
    let scene = Running::v1();
    let host = &scene.biz.host;
    // Roots and profiles of others, and a path that only one of them holds.
    let foreign = host.sh("echo mine >/root/mine; path=$(nix-store --add /root/mine)
         ln -s $path /nix/var/nix/gcroots/mine
         ln -s $path /nix/var/nix/profiles/other-1-link
         echo $path");
    let first = store_path(&scene, 1);
    for version in ["v2", "v3", "v4", "v5", "v6", "v7"] {
        scene.update(version);
    }
    assert_eq!(versions(&scene), [3, 4, 5, 6, 7]);
    assert_eq!(host.sh("ls -A /nix/var/nix/gcroots/writ"), "", "no root of a download is left");
    // Nix 2.34 quotes them.
    let roots = host.must(&["nix-store", "--gc", "--print-roots"]).replace('"', "");
    assert!(roots.contains(&format!("{PROFILE}-3-link ")), "{roots}");
    assert!(!roots.contains(&first), "{roots}");
    assert!(host.run(&["nix-store", "--check-validity", &first]).ok, "only the collector deletes");

    let (pid, newest) = (scene.biz.pid("web"), store_path(&scene, 7));
    let told = gc(&scene, &["--collect"]);
    assert!(told["collected"]["paths"].as_u64() >= Some(2), "{told:#}");
    assert!(!host.run(&["nix-store", "--check-validity", &first]).ok);
    for path in [foreign.trim(), &newest, &store_path(&scene, 3)] {
        host.must(&["nix-store", "--check-validity", path]);
    }
    assert_eq!(scene.biz.pid("web"), pid, "what runs was not touched");
    scene.biz.serves("web.acme.example", "v7");

    host.sh("echo '[retention]\nversions = 2\ngenerations = 3' >>/etc/writ/agent.toml");
    let dry = host.must(&["writ", "gc", "--dry-run"]);
    assert!(dry.contains("web-v5") && dry.contains("would go"), "{dry}");
    assert_eq!(versions(&scene), [3, 4, 5, 6, 7]);
    gc(&scene, &[]);
    assert_eq!(versions(&scene), [6, 7]);
    assert_eq!(gc(&scene, &["--dry-run"])["versions"].as_array().map(Vec::len), Some(2));
    let left = host.sh("ls /var/lib/writ/generations | sort -n | tr '\\n' ' '");
    assert_eq!(left, "5 6 7 ");

    scene.biz.stop();
    host.must(&["nix-env", "--rollback", "--profile", PROFILE]);
    let listed = host.must(&["nix-env", "--list-generations", "--profile", PROFILE]);
    assert!(listed.lines().next().is_some_and(|line| line.contains("(current)")), "{listed}");
    let told = gc(&scene, &[]);
    let kept = |n: usize| told["versions"][n]["kept"].to_string();
    assert!(kept(0).contains("current") && kept(1).contains("last-good"), "{told:#}");
}

fn booted() {
    let mut scene = Running::v1();
    scene.biz.host.sh("echo '[retention]\nversions = 1\ngenerations = 1' >>/etc/writ/agent.toml");
    scene.biz.host.reboot();
    scene.biz.serves("web.acme.example", "v1");
    scene.update("v2");
    scene.update("v3");
    assert_eq!(versions(&scene), [1, 3]);
    let told = scene.biz.host.must(&["writ", "gc", "--dry-run"]);
    assert!(told.contains("kept: booted"), "{told}");
    scene.biz.host.reboot();
    scene.biz.serves("web.acme.example", "v3");
    gc(&scene, &[]);
    assert_eq!(versions(&scene), [3]);
}

fn gc(scene: &Running, args: &[&str]) -> Value {
    let told = scene.biz.host.must(&[&["writ", "gc", "--json"], args].concat());
    serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"))
}

/// The versions that the profile of `web` has.
fn versions(scene: &Running) -> Vec<u32> {
    let host = &scene.biz.host;
    // The round goes on for a moment after its verdict.
    host.must(&["writ", "sync"]);
    let links = host.sh(&format!("ls -d {PROFILE}-*-link"));
    let number = |link: &str| link.rsplit('-').nth(1).expect("web-N-link").parse().unwrap();
    let mut versions: Vec<u32> = links.lines().map(number).collect();
    versions.sort_unstable();
    versions
}

fn store_path(scene: &Running, version: u32) -> String {
    let link = format!("{PROFILE}-{version}-link");
    scene.biz.host.must(&["readlink", &link]).trim().to_owned()
}
