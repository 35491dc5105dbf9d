//! Services that fail in many ways, and others' failures: who is taken back, who is left alone, and what is told.

use std::time::{Duration, Instant};

use super::super::lab::acme::Web;
use super::super::lab::host::until;
use super::{Running, Scene};

pub(super) const SCENES: &[Scene] = &[
    ("a_service_that_never_settles_is_taken_back_with_the_words_of_its_last_start", unsettled),
    ("what_had_failed_before_fails_no_generation_and_bars_no_other_service", failed_before),
    ("a_service_that_ignores_its_end_is_killed_and_replaced", stubborn),
];

/// A second service: its version, the arguments of its program, and what is changed in
/// its manifest.
fn shop(scene: &Running, version: &str, args: &str, change: fn(String) -> String) -> String {
    let path = scene.acme.workshop.server("shop", version, args);
    write(scene, &path, change);
    scene.acme.release(&format!("shop: {version}"))
}

fn write(scene: &Running, path: &str, change: fn(String) -> String) {
    let web = Web { name: "shop", store_path: path, port: 8002, hosts: "\"*\"", more: "" };
    scene.acme.workshop.write("manifests/services/shop.toml", &change(web.toml()));
}

fn unsettled() {
    let scene = Running::v1();
    let pid = scene.biz.pid("web");
    let taken_back = |commit: &str| -> String {
        let status = scene.biz.judged(commit, "rolled-back");
        scene.untouched(pid);
        scene.biz.unit_gone("shop");
        status.failure().join("\n")
    };

    let flapping = |text: String| {
        let text = text.replace("healthyFor = \"1s\"", "healthyFor = \"10s\"");
        format!("{text}\n[systemd]\nrestart = \"always\"\nrestartSec = \"50ms\"\n")
    };
    let flaps = taken_back(&shop(&scene, "s1", "--fail-after 1", flapping));
    assert!(flaps.matches("out of luck").count() >= 2, "of more than one start:\n{flaps}");
    assert!(flaps.contains("restart counter is at 4"), "{flaps}");

    let hanging =
        |text: String| text.replace("deadline = \"15s\"", "deadline = \"3s\"\ntimeout = \"300ms\"");
    let hangs = taken_back(&shop(&scene, "s2", "--silent", hanging));
    assert!(hangs.starts_with("it was not healthy for 1s without a break within 3s"), "{hangs}");
    assert!(hangs.contains("last probe: GET http://127.0.0.1:8002/health: no answer within 300ms"));
    assert!(!hangs.contains("out of luck"), "words of an earlier start:\n{hangs}");

    let late = |text: String| text.replace("healthyFor = \"1s\"", "healthyFor = \"6s\"");
    let dies = taken_back(&shop(&scene, "s3", "--fail-after 4", late));
    assert!(dies.contains("out of luck after 4s"), "{dies}");

    let crashes = taken_back(&shop(&scene, "s4", "--crash", |text| text));
    assert!(crashes.contains("hello s4: cannot find the database"), "{crashes}");
    assert!(!["s1", "s2", "s3"].iter().any(|old| crashes.contains(old)), "{crashes}");

    let log = scene.biz.host.must(&["writ", "log"]);
    assert_eq!(log.matches("rolled-back").count(), 4, "{log}");
    scene.biz.confirmed(&shop(&scene, "s5", "", |text| text));
    scene.biz.serves("shop.acme.example", "s5");
    assert_eq!(scene.biz.pid("web"), pid);
}

fn failed_before() {
    let mut scene = Running::v1();
    scene.biz.reconfigure(|config| config.poll = "1s");
    let host = &scene.biz.host;
    host.run(&["systemd-run", "--unit=others", "false"]);
    host.put("/etc/systemd/system/writ-theirs.service", "[Service]\nExecStart=/bin/false\n", 0o644);
    host.run(&["systemctl", "start", "writ-theirs"]);
    until("others have failed", Duration::from_secs(20), || {
        let failed = host.run(&["systemctl", "is-failed", "others", "writ-theirs"]);
        (failed.stdout == "failed\nfailed\n").then_some(())
    });
    // It works as long as a file is there.
    host.sh("touch /srv/till");
    let script =
        "#!/bin/sh\n[ -e /srv/till ] || { echo the till is gone; exit 1; }\nexec HELLO --text s1\n";
    let path = scene.acme.workshop.closure("shop-s1", &[("bin/shop", script, 0o755)]);
    write(&scene, &path, |text| text);
    scene.biz.confirmed(&scene.acme.release("shop: s1"));
    scene.biz.serves("shop.acme.example", "s1");

    host.sh("rm /srv/till; systemctl kill --signal=KILL writ-shop");
    let fault = "could not start writ-shop.service";
    scene.biz.status_where("a word about the shop", |status| {
        status.faults().iter().any(|told| told.starts_with(fault) || told.contains("shop healthy"))
    });
    let pid = scene.biz.pid("web");
    host.must(&["systemctl", "restart", "caddy"]);
    scene.biz.serves("web.acme.example", "v1");
    assert_eq!(scene.biz.pid("web"), pid);

    scene.acme.publish("web", "v2", 8001, "--crash");
    let status = scene.biz.judged(&scene.acme.release("web: version 2"), "rolled-back");
    assert!(status.why().contains("cannot find the database"), "{}", status.why());
    scene.biz.serves("web.acme.example", "v1");
    scene.update("v3");
    let shown = host.must(&["writ", "show", "4"]);
    assert!(shown.contains("spares  shop, which was not up before"), "{shown}");
    assert_eq!(scene.biz.pid("shop"), 0);

    host.sh("touch /srv/till");
    scene.biz.serves("shop.acme.example", "s1");
    let states = host.run(&["systemctl", "is-failed", "others", "writ-theirs"]).stdout;
    assert_eq!(states, "failed\nfailed\n", "they are nobody's business");
}

fn stubborn() {
    let scene = Running::v1();
    // The host's own business: for all units of ours.
    let limit = "[Service]\nTimeoutStopSec=2s\n";
    scene.biz.host.put("/etc/systemd/system/writ-.service.d/limit.conf", limit, 0o644);
    scene.biz.host.must(&["systemctl", "daemon-reload"]);
    let script = "#!/bin/sh\ntrap '' TERM\nHELLO --text s1 &\nwhile :; do sleep 1; done\n";
    let path = scene.acme.workshop.closure("shop-s1", &[("bin/shop", script, 0o755)]);
    write(&scene, &path, |text| text);
    scene.biz.confirmed(&scene.acme.release("shop: s1"));
    let (web, began) = (scene.biz.pid("web"), Instant::now());
    scene.biz.confirmed(&shop(&scene, "s2", "", |text| text));
    scene.biz.serves("shop.acme.example", "s2");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(scene.biz.pid("web"), web);
}
