//! A link that is down, slow or loses packets, between a host and a forge of HTTPS with a cache.

use std::time::{Duration, Instant};

use super::super::lab::link::Link;
use super::certificates::Published;
use super::lies::running_with_a_forge;
use super::{Running, Scene};

pub(super) const SCENES: &[Scene] = &[
    ("a_link_that_is_down_is_waited_for", down),
    ("a_slow_link_and_one_that_loses_packets_are_waited_for", bad),
    ("a_mirror_over_a_slow_link_and_one_that_loses_packets_is_waited_for", mirror),
];

fn down() {
    let (scene, url) = running_with_a_forge();
    let Running { acme, biz, .. } = &scene;
    let pid = biz.pid("web");
    biz.host.link_down();
    acme.publish("web", "v2", 8001, "");
    let v2 = acme.release("web: version 2");
    let status = biz.status_where("a word about the forge", |status| {
        status.faults().iter().any(|fault| fault.contains(&url))
    });
    assert!(status.faults()[0].contains("no answer within 2s"), "{status:?}");
    scene.untouched(pid);
    biz.host.must(&["systemctl", "stop", "writ-web"]);
    biz.serves("web.acme.example", "v1");
    biz.host.link_up();
    let status = biz.confirmed(&v2);
    biz.serves("web.acme.example", "v2");
    assert!(status.faults().is_empty(), "{status:?}");
}

/// 300 KB for the next commit: more than 2 s at 1 Mbit/s.
const NOISE: &str = "head -c 225000 /dev/urandom | base64";

fn bad() {
    let (mut scene, _) = running_with_a_forge();
    scene.biz.reconfigure(|config| config.deadline = "20s");
    over_bad_links(&scene, || ());
}

fn mirror() {
    let published = Published::begin();
    published.mirror();
    published.follow("20s");
    over_bad_links(&published.scene, || published.mirror());
}

/// Each version comes over such a link, once `publish` has made it known.
fn over_bad_links(scene: &Running, publish: impl Fn()) {
    let Running { acme, biz, .. } = scene;
    for (link, version) in [(Link::Slow, "v2"), (Link::Lossy, "v3"), (Link::Clear, "v4")] {
        biz.host.link_is(link);
        acme.workshop.write("noise", &acme.workshop.host.sh(NOISE));
        acme.publish("web", version, 8001, "");
        let commit = acme.release(&format!("web: {version}"));
        let begun = Instant::now();
        publish();
        biz.confirmed(&commit);
        biz.serves("web.acme.example", version);
        let took = begun.elapsed();
        match link {
            Link::Slow => assert!(took > Duration::from_secs(2), "{took:?}: it is not slow"),
            Link::Lossy => assert!(biz.host.lost() > 0, "none is lost"),
            Link::Clear => {}
        }
        eprintln!("{link:?}: confirmed after {took:?}, {} packets lost", biz.host.lost());
    }
}
