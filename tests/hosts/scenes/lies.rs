//! Servers that are down, stall or lie: nothing on the host changes, each is told by its name, and honest ones are believed at once.

use super::super::lab::acme::Acme;
use super::super::lab::forge::{HONEST, Manners};
use super::super::lab::site::Site;
use super::{Running, Scene};

pub(super) const SCENES: &[Scene] = &[
    ("a_git_server_that_stalls_or_lies_is_waited_for", git),
    ("a_cache_that_is_down_or_lies_is_waited_for", cache),
];

/// What the git server does, and how that is made to happen.
const GIT: &[(&str, &str)] = &[
    ("is overloaded", "respond 503"),
    ("asks for a password", "respond 401"),
    ("has moved", "redir https://elsewhere.acme.example/deploy.git"),
    ("shows a web page", "respond \"<html><title>Sign in</title></html>\""),
    (
        "talks nonsense",
        "header Content-Type application/x-git-upload-pack-advertisement\n\t\trespond \"001e# service=git-upload-pack\"",
    ),
    ("answers nothing", "reverse_proxy 127.0.0.1:8089"),
    ("breaks off", "reverse_proxy 127.0.0.1:8081"),
];

/// One that never takes the connection up, and one that breaks off in a pack.
const LIARS: &str = "
    systemd-run --quiet --unit=silent --socket-property=ListenStream=127.0.0.1:8089 sleep infinity
    mkdir /root/short
    printf '#!/bin/sh\\n/usr/bin/git \"$@\" | head --bytes=20000\\n' >/root/short/git
    chmod +x /root/short/git
    systemd-run --quiet --unit=short --setenv=PATH=/root/short:/usr/bin:/bin /usr/local/lib/forge 8081 /srv/git";

pub(super) fn running_with_a_forge() -> (Running, String) {
    let acme = Acme::found();
    let mut biz = acme.site("biz");
    let forge = acme.forge();
    forge.serve(&mut biz);
    biz.reconfigure(|config| (config.poll, config.deadline) = ("1s", "2s"));
    acme.publish("web", "v1", 8001, "");
    let v1 = acme.release("web: version 1");
    biz.confirmed(&v1);
    biz.serves("web.acme.example", "v1");
    (Running { acme, biz, v1 }, forge.git_url())
}

fn git() {
    let (scene, url) = running_with_a_forge();
    let Running { acme, biz, .. } = &scene;
    let pid = biz.pid("web");
    acme.workshop.host.sh(LIARS);
    acme.forge_answers(Manners { git: GIT[0].1, ..HONEST });
    // Too large for the one that breaks off.
    acme.workshop.write("blob", &acme.workshop.host.sh("head -c 60000 /dev/urandom | base64"));
    acme.publish("web", "v2", 8001, "");
    let commit = acme.release("web: version 2");
    let mut told = String::new();
    for (what, git) in GIT {
        acme.forge_answers(Manners { git, ..HONEST });
        drop(biz.sync());
        let status = biz.status().expect("the agent answers");
        let faults = status.faults();
        assert!(faults.iter().any(|fault| fault.contains(&url)), "{what}: {status:?}");
        told.push_str(&format!("a server that {what}\n  {}\n", faults.join("\n  ")));
        scene.untouched(pid);
    }
    insta::assert_snapshot!(told);
    healed_meanwhile(biz);
    acme.forge_answers(HONEST);
    let status = biz.confirmed(&commit);
    biz.serves("web.acme.example", "v2");
    assert!(status.faults().is_empty(), "{status:?}");
}

/// A host that sees no branch looks after what it has.
fn healed_meanwhile(biz: &Site) {
    biz.host.must(&["systemctl", "stop", "writ-web"]);
    biz.serves("web.acme.example", "v1");
}

/// What is done to the cache's files, `NARINFO` and `NAR` those of the new version.
const CACHE: &[(&str, &str)] = &[
    ("has another archive", "echo otherwise >NAR"),
    ("has half of the archive", "head --bytes=150 /root/kept/NAR >NAR"),
    ("has lost the archive", "rm NAR"),
    ("has no signature", "sed -i '/^Sig:/d' NARINFO"),
    ("has somebody else's signature", "sed -i 's/^Sig: cache-1:/Sig: other-1:/' NARINFO"),
    ("has the signature of something else", "sed -i 's/^NarSize: .*/NarSize: 1/' NARINFO"),
];

fn cache() {
    let (scene, _) = running_with_a_forge();
    let Running { acme, biz, .. } = &scene;
    let (pid, workshop) = (biz.pid("web"), &acme.workshop.host);
    let path = acme.publish("web", "v2", 8001, "");
    let narinfo = format!("{}.narinfo", &path["/nix/store/".len()..][..32]);
    let nar = workshop.sh(&format!("sed -n 's/^URL: //p' /srv/cache/{narinfo}"));
    workshop.sh("cp -a /srv/cache /root/kept");
    let mut told = String::new();
    let mut look = |commit: &str, what: &str| {
        drop(biz.sync());
        let status = biz.judged(commit, "waiting");
        let reason = status.waits_for().replace(&path, "WEB");
        told.push_str(&format!("a cache that {what}\n  {reason}\n"));
        scene.untouched(pid);
    };

    acme.forge_answers(Manners { cache: "respond 503", ..HONEST });
    let commit = acme.release("web: version 2");
    look(&commit, "is overloaded");
    acme.forge_answers(Manners { cache: "respond \"<html>Sign in</html>\"", ..HONEST });
    look(&commit, "shows a web page");
    acme.forge_answers(HONEST);
    for (what, deed) in CACHE {
        // In one step, so that no round sees the honest cache in between.
        let deed = deed.replace("NARINFO", &narinfo).replace("NAR", nar.trim());
        workshop.sh(&format!(
            "rm -rf /root/next; cp -a /root/kept /root/next; cd /root/next; {deed}
             rm -rf /srv/cache.old; mv /srv/cache /srv/cache.old; mv /root/next /srv/cache"
        ));
        look(&commit, what);
    }
    insta::assert_snapshot!(told);
    workshop.sh("mv /srv/cache /srv/bad; mv /root/kept /srv/cache");
    biz.confirmed(&commit);
    biz.serves("web.acme.example", "v2");
}
