//! Manifests that are wrong: a clear word about each, what runs goes on running, and the next good commit is taken.

use super::super::lab::acme::Web;
use super::{Running, Scene};

pub(super) const SCENES: &[Scene] = &[
    ("broken_toml_is_refused_with_its_place", broken_toml),
    ("a_service_without_a_closure_is_refused", no_closure),
    ("a_port_or_a_domain_taken_twice_is_refused", taken_twice),
    ("an_unknown_user_is_waited_for", unknown_user),
    ("a_closure_that_no_cache_has_is_waited_for", no_such_path),
    ("a_closure_signed_by_an_unknown_key_is_not_taken", foreign_key),
    ("a_unit_that_systemd_refuses_is_rolled_back", refused_by_systemd),
];

/// Pushes a file that is wrong, sees it refused with these words and nothing
/// changed, and mends it with the next commit.
#[track_caller]
fn refused(path: &str, text: &str, words: &[&str]) {
    let scene = Running::v1();
    let pid = scene.biz.pid("web");
    scene.acme.workshop.write(path, text);
    let broken = scene.acme.release("something is wrong with this");
    let status = scene.biz.judged(&broken, "refused");
    for word in words {
        assert!(status.why().contains(word), "{word:?} in {}", status.why());
    }
    scene.untouched(pid);
    scene.acme.workshop.remove(path);
    let mended = scene.acme.release("mended");
    scene.biz.confirmed(&mended);
    scene.biz.serves("web.acme.example", "v1");
    assert_eq!(scene.biz.pid("web"), pid, "the service was restarted");
}

fn broken_toml() {
    let text = "hosts = [\"biz\"]\n[artifact\n";
    refused("manifests/services/shop.toml", text, &["manifests/services/shop.toml:2"]);
}

fn no_closure() {
    let text = "hosts = [\"biz\"]\n[exec]\ncommand = \"shop\"\n";
    refused("manifests/services/shop.toml", text, &["manifests/services/shop.toml", "artifact"]);
}

fn taken_twice() {
    let store_path = format!("/nix/store/{}-shop", "0".repeat(32));
    let web = |name: &'static str, port| {
        Web { name, store_path: &store_path, port, hosts: "\"biz\"", more: "" }.toml()
    };
    let file = "manifests/services/shop.toml";
    refused(file, &web("shop", 8001), &[file, "8001"]);
    let domain = web("shop", 8002).replace("shop.acme.example", "web.acme.example");
    refused(file, &domain, &[file, "web.acme.example"]);
}

fn unknown_user() {
    let scene = Running::v1();
    let pid = scene.biz.pid("web");
    let path = scene.acme.workshop.server("web", "v2", "");
    let web = Web { name: "web", store_path: &path, port: 8001, hosts: "\"*\"", more: "" };
    let text =
        web.toml().replace("command = \"web\"\n", "command = \"web\"\nuser = \"webmaster\"\n");
    scene.acme.workshop.write("manifests/services/web.toml", &text);
    let commit = scene.acme.release("web: run as the webmaster");
    let status = scene.biz.judged(&commit, "waiting");
    assert!(status.why().contains("webmaster"), "{}", status.why());
    scene.untouched(pid);
    scene.biz.host.must(&["useradd", "--system", "webmaster"]);
    scene.biz.confirmed(&commit);
    scene.biz.serves("web.acme.example", "v2");
    let pid = scene.biz.pid("web").to_string();
    assert_eq!(scene.biz.host.must(&["ps", "-o", "user:16=", "-p", &pid]).trim(), "webmaster");
}

fn no_such_path() {
    let scene = Running::v1();
    let pid = scene.biz.pid("web");
    let files = [("bin/web", "#!/bin/sh\nexec HELLO --text v2\n", 0o755)];
    let path = scene.acme.workshop.build("web-v2", &files);
    scene.acme.web(&Web { name: "web", store_path: &path, port: 8001, hosts: "\"*\"", more: "" });
    let commit = scene.acme.release("web: version 2, forgotten to upload");
    let status = scene.biz.judged(&commit, "waiting");
    assert!(status.why().contains(&path), "{}", status.why());
    scene.untouched(pid);
    assert_eq!(scene.acme.workshop.closure("web-v2", &files), path);
    scene.biz.confirmed(&commit);
    scene.biz.serves("web.acme.example", "v2");
}

fn foreign_key() {
    let mut scene = Running::v1();
    let pid = scene.biz.pid("web");
    let ours = scene.acme.workshop.cache_key.trim().to_owned();
    scene.biz.reconfigure(|config| {
        "cache-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=".clone_into(&mut config.cache_key);
    });
    scene.acme.publish("web", "v2", 8001, "");
    let commit = scene.acme.release("web: version 2");
    let status = scene.biz.judged(&commit, "waiting");
    assert!(status.why().contains("no key that this host trusts"), "{}", status.why());
    scene.untouched(pid);
    scene.biz.reconfigure(|config| config.cache_key = ours);
    scene.biz.confirmed(&commit);
    scene.biz.serves("web.acme.example", "v2");
}

fn refused_by_systemd() {
    let scene = Running::v1();
    let path = scene.acme.workshop.server("web", "v2", "");
    let more = "[systemd]\nrequires = [\"no-such-thing.service\"]\n";
    scene.acme.web(&Web { name: "web", store_path: &path, port: 8001, hosts: "\"*\"", more });
    let commit = scene.acme.release("web: needs what is not there");
    let status = scene.biz.judged(&commit, "rolled-back");
    assert!(status.why().contains("no-such-thing"), "{}", status.why());
    scene.biz.serves("web.acme.example", "v1");
    scene.update("v3");
}
