//! What an administrator does to a host by hand, one thing after the other, and what the agent makes of it.

use std::time::Duration;

use serde_json::Value;

use super::super::lab::acme::Acme;
use super::super::lab::host::until;
use super::super::lab::site::Site;
use super::Scene;

pub(super) const SCENES: &[Scene] = &[
    ("everything_changed_by_hand_is_told_and_put_back_within_a_round", healed),
    ("a_host_that_reports_drift_leaves_it_until_the_next_generation", reported),
    ("what_stopped_with_a_bad_generation_runs_and_answers_after_the_rollback", dependents),
];

/// What is done to `web` by hand, the kind of drift that it is, and the file that it
/// leaves below the ledger.
struct Deed {
    script: &'static str,
    what: &'static str,
    kept: Option<&'static str>,
}

const fn deed(script: &'static str, what: &'static str) -> Deed {
    Deed { script, what, kept: None }
}

const PROFILE: &str = "/nix/var/nix/profiles/writ/web";

const DEEDS: &[Deed] = &[
    deed("systemctl stop writ-web", "unit-stopped"),
    deed("echo 'Nice=5' >>/run/systemd/system/writ-web.service", "unit-edited"),
    deed("rm /run/systemd/system/writ-web.service; systemctl stop writ-web", "unit-deleted"),
    deed("rm /run/systemd/system/writ-web.service", "unit-deleted"),
    Deed {
        script: "systemctl mask writ-web 2>&1",
        what: "unit-masked",
        kept: Some("etc-systemd-system-writ-web.service"),
    },
    Deed {
        script: "systemctl mask --now writ-web 2>&1",
        what: "unit-masked",
        kept: Some("etc-systemd-system-writ-web.service"),
    },
    deed(
        "ln -sf /dev/null /run/systemd/system/writ-web.service; systemctl daemon-reload",
        "unit-masked",
    ),
    Deed {
        script: "d=/etc/systemd/system/writ-web.service.d; mkdir $d; printf '[Service]\\nNice=5\\n' >$d/nice.conf
                 systemctl daemon-reload; systemctl restart writ-web",
        what: "drop-in",
        kept: Some("etc-systemd-system-writ-web.service.d-nice.conf"),
    },
    Deed {
        script: "d=/run/systemd/system/writ-web.service.d; mkdir $d; printf '[Service]\\nNice=6\\n' >$d/nice.conf",
        what: "drop-in",
        kept: Some("run-systemd-system-writ-web.service.d-nice.conf"),
    },
    Deed {
        script: "systemctl set-property writ-web TasksMax=77",
        what: "drop-in",
        kept: Some("etc-systemd-system.control-writ-web.service.d-50-TasksMax.conf"),
    },
    Deed {
        script: "printf '[Service]\\nExecStart=/bin/sleep 1000\\n' >/etc/systemd/system/writ-web.service
                 systemctl daemon-reload; systemctl restart writ-web",
        what: "unit-replaced",
        kept: Some("etc-systemd-system-writ-web.service"),
    },
    deed(
        "curl --silent --fail --unix-socket /run/caddy/admin.sock --header 'Host;' \
         -X DELETE http://localhost/id/writ-web-1",
        "route",
    ),
    deed(
        "curl --silent --fail --unix-socket /run/caddy/admin.sock --header 'Host;' \
         -X PATCH -H 'Content-Type: application/json' -d '\"127.0.0.1:1\"' \
         http://localhost/id/writ-web-1/handle/0/upstreams/0/dial",
        "route",
    ),
    deed("systemctl restart caddy", "route"),
    deed("nix-env --quiet --rollback -p /nix/var/nix/profiles/writ/web 2>&1", "profile"),
    deed("rm /nix/var/nix/profiles/writ/web", "profile"),
    deed("rm /nix/var/nix/profiles/writ/web-*-link", "closure"),
    deed("rm -rf $(readlink -f /nix/var/nix/profiles/writ/web)", "closure"),
];

/// `web` at version 2, and `shop`, which nobody touches.
fn base(more: &str) -> (Acme, Site) {
    let acme = Acme::found();
    acme.publish("web", "v1", 8001, "");
    acme.publish("shop", "s1", 8002, "");
    let first = acme.release("web and shop");
    let biz = acme.site("biz");
    // It looks when it is asked to, so that each round is one of this test's.
    biz.host.sh(&format!(
        "sed -i 's/^interval = .*/interval = \"1h\"/; 1i {more}' /etc/writ/agent.toml"
    ));
    biz.start();
    biz.confirmed(&first);
    acme.publish("web", "v2", 8001, "");
    let second = acme.release("web: version 2");
    biz.confirmed(&second);
    biz.serves("web.acme.example", "v2");
    (acme, biz)
}

fn healed() {
    let (_acme, biz) = base("drift = \"heal\"");
    let shop = instance(&biz, "shop");
    for Deed { script, what, kept } in DEEDS {
        biz.host.sh(script);
        round(&biz);
        let status = status(&biz);
        assert_eq!(status["drift"], serde_json::json!([]), "{script}\n{status:#}");
        let found = status["healed"]["drift"].as_array().expect(script);
        let told = found.iter().find(|drift| drift["what"] == *what && drift["service"] == "web");
        assert!(told.is_some(), "{script}\n{status:#}");
        assert_whole(&biz, script);
        assert_eq!(instance(&biz, "shop"), shop, "{script}: others are left alone");
        let events = biz.host.must(&["writ", "events", "-n", "30"]);
        let last: Vec<_> = events.lines().rev().take(2).collect();
        assert!(last[0].contains("drift-healed"), "{script}\n{events}");
        assert!(last[1].contains("drift-found") && last[1].contains(what), "{script}\n{events}");
        let folder = biz.host.sh("ls /var/lib/writ/drift 2>/dev/null || true");
        let kept = kept.unwrap_or_default();
        assert!(folder.lines().any(|file| file.ends_with(kept)) || kept.is_empty(), "{folder}");
    }
    collected(&biz);
    read_only(&biz);
}

/// Its roots removed, its process stopped, and `nix-store --delete` behind that.
fn collected(biz: &Site) {
    let path = biz.host.must(&["readlink", "--canonicalize", PROFILE]);
    biz.host.sh(&format!(
        "systemctl stop writ-web; rm {PROFILE}-*-link {PROFILE}; nix-store --delete {path} >&2"
    ));
    assert!(!biz.host.run(&["test", "-e", path.trim()]).ok, "it is gone");
    round(biz);
    assert_whole(biz, "a collected closure");
    assert!(biz.host.run(&["test", "-e", path.trim()]).ok);
    assert_eq!(status(biz)["drift"], serde_json::json!([]));
    let text = biz.host.must(&["writ", "status"]);
    assert!(text.contains("healed     web: closure, expected /nix/store/"), "{text}");
}

/// As on NixOS, where `/etc/systemd/system` belongs to the system's configuration.
fn read_only(biz: &Site) {
    let place = "/etc/systemd/system";
    biz.host.sh(&format!(
        "mkdir {place}/writ-web.service.d; echo '[Service]' >{place}/writ-web.service.d/x.conf
         mount --bind {place} {place}; mount -o remount,ro,bind {place}
         systemctl stop writ-shop; systemctl restart writ-agent"
    ));
    biz.sync();
    biz.serves("shop.acme.example", "s1");
    let told = status(biz);
    assert_eq!(told["drift"][0]["what"], "drop-in", "{told:#}");
    assert!(told["waiting"][0].as_str().unwrap().contains("x.conf changes its unit"), "{told:#}");
    // The agent sees the folder as it was when it started.
    biz.host.sh(&format!("umount {place}; systemctl restart writ-agent"));
    biz.sync();
    assert_whole(biz, "a folder that was read-only");
}

/// One round, begun after this call and over when it returns.
fn round(biz: &Site) {
    let ran = biz.sync();
    assert!(ran.ok, "{ran:?}\n{}", biz.journal());
}

fn status(biz: &Site) -> Value {
    let text = biz.host.run(&["writ", "status", "--json"]).stdout;
    serde_json::from_str(&text).expect("JSON")
}

/// `web` runs version 2 from its own unit alone, is routed, and its profile says so.
#[track_caller]
fn assert_whole(biz: &Site, what: &str) {
    let properties =
        "--property=ActiveState,LoadState,FragmentPath,DropInPaths,NeedDaemonReload,Nice";
    let shown = biz.host.must(&["systemctl", "show", properties, "writ-web"]);
    let mut shown: Vec<_> = shown.lines().collect();
    shown.sort_unstable();
    let expected = [
        "ActiveState=active",
        "DropInPaths=",
        "FragmentPath=/run/systemd/system/writ-web.service",
        "LoadState=loaded",
        "NeedDaemonReload=no",
        "Nice=0",
    ];
    assert_eq!(shown, expected, "{what}");
    let path = biz.host.must(&["readlink", "--canonicalize", PROFILE]);
    assert!(path.trim().ends_with("-web-v2"), "{what}: {path}");
    assert_ne!(
        biz.host.must(&["systemctl", "show", "--property=TasksMax", "writ-web"]),
        "TasksMax=77\n"
    );
    biz.serves("web.acme.example", "v2");
}

/// The process of a service, as only it can be.
fn instance(biz: &Site, service: &str) -> String {
    let unit = format!("writ-{service}");
    biz.host.must(&["systemctl", "show", "--property=MainPID,InvocationID", &unit])
}

fn reported() {
    let (acme, biz) = base("drift = \"report\"");
    biz.host.sh(
        "d=/etc/systemd/system/writ-web.service.d; mkdir $d; printf '[Service]\\nNice=5\\n' >$d/nice.conf
         systemctl daemon-reload; systemctl restart writ-web
         curl --silent --fail --unix-socket /run/caddy/admin.sock --header 'Host;' \
           -X DELETE http://localhost/id/writ-shop-1",
    );
    let before = (instance(&biz, "web"), instance(&biz, "shop"));
    let mut told = Vec::new();
    for _ in 0..2 {
        assert!(!biz.sync().ok, "what is only told is not as it should be");
        told.push(biz.host.must(&["writ", "events"]));
        let status = status(&biz);
        let what: Vec<_> = status["drift"].as_array().unwrap().iter().map(|d| &d["what"]).collect();
        assert_eq!(what, ["drop-in", "route"], "{status:#}");
        assert_eq!((instance(&biz, "web"), instance(&biz, "shop")), before);
        assert_ne!(biz.host.get("shop.acme.example", "/").1, "s1");
    }
    // A round of the agent's own may have come between two of the changes by hand.
    assert_eq!(told[0], told[1], "what was told already is not told again");
    assert!(told[0].contains("drift-found"), "{}", told[0]);
    let text = biz.host.run(&["writ", "status"]).stdout;
    assert!(text.contains("drift      web: drop-in, expected"), "{text}");

    // Caddy's routes live in memory: a restart is nobody's wish that they be gone.
    biz.host.must(&["systemctl", "restart", "caddy"]);
    let ran = biz.sync();
    assert!(!ran.ok, "the drop-in is left as it is, and said: {ran:?}");
    biz.serves("shop.acme.example", "s1");
    assert_eq!((instance(&biz, "web"), instance(&biz, "shop")), before);

    acme.publish("shop", "s2", 8002, "");
    let next = acme.release("shop: version 2");
    biz.confirmed(&next);
    assert_whole(&biz, "a new generation");
    biz.serves("shop.acme.example", "s2");
}

/// A unit of the host's own requires `db`, and `web` requires that one.
fn dependents() {
    let acme = Acme::found();
    acme.publish("db", "d1", 8003, "");
    let path = acme.workshop.server("web", "v1", "");
    let more = "\n[systemd]\nrequires = [\"glue.service\"]\n";
    acme.web(&super::super::lab::acme::Web {
        name: "web",
        store_path: &path,
        port: 8001,
        hosts: "\"*\"",
        more,
    });
    let first = acme.release("db and web");
    let biz = acme.site("biz");
    let glue = "[Unit]\nRequires=writ-db.service\nAfter=writ-db.service\n\
                [Service]\nExecStart=/bin/sleep infinity\n";
    biz.host.put("/etc/systemd/system/glue.service", glue, 0o644);
    biz.host.must(&["systemctl", "daemon-reload"]);
    biz.start();
    biz.confirmed(&first);
    biz.serves("web.acme.example", "v1");
    let web = biz.pid("web");

    acme.publish("db", "d2", 8003, "--health 500");
    let broken = acme.release("db: version 2");
    biz.judged(&broken, "rolled-back");
    // At once, and not by the next round.
    assert_eq!(biz.host.get("web.acme.example", "/"), (200, "v1".to_owned()));
    assert_eq!(biz.host.get("db.acme.example", "/"), (200, "d1".to_owned()));
    assert_ne!(biz.pid("web"), web, "systemd had stopped it");
    let events = biz.host.must(&["writ", "events"]);
    assert!(
        events.contains("ask     http://db.acme.example/, http://web.acme.example/"),
        "{events}"
    );
    assert!(!events.contains("drift-found"), "{events}");
    until("the host settles", Duration::from_secs(20), || {
        biz.status().filter(|status| status.running() == first).map(|_| ())
    });
}
