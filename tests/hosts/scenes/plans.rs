//! Hosts that begin nothing but the plan that was signed, on a real machine.

use super::{Running, Scene};

pub(super) const SCENES: &[Scene] =
    &[("only_what_was_looked_at_is_done_and_drift_is_put_back_first", signed)];

const POLICY: &str = ".writ/policy.toml";
const DEPLOY: &str = "/root/deploy";

fn signed() {
    let scene = Running::v1();
    let workshop = &scene.acme.workshop;
    let policy = workshop.host.must(&["cat", &format!("{DEPLOY}/{POLICY}")]);
    workshop.write(POLICY, &format!("requirePlan = true\n{policy}\n"));
    let good = scene.acme.release("plans are looked at");
    scene.biz.confirmed(&good);
    let pid = scene.biz.pid("web");

    scene.acme.publish("web", "v2", 8001, "");
    let unsigned = scene.acme.release("web: version 2");
    let why = scene.biz.judged(&unsigned, "waiting").why();
    assert!(why.contains("the policy requires a signed plan"), "{why}");
    assert!(why.contains("writ plan --sign --against"), "{why}");
    assert!(why.contains(&good), "{why}");
    scene.biz.serves("web.acme.example", "v1");
    assert_eq!(scene.biz.pid("web"), pid, "the service was restarted");

    // As the host says: a new commit, signed for what it runs, whatever was done to it.
    scene.biz.host.sh("echo 'Nice=5' >>/run/systemd/system/writ-web.service");
    scene.biz.caddy(&["-X", "DELETE", "http://localhost/id/writ-web-1"]);
    scene.acme.publish("api", "v1", 8002, "");
    workshop.commit(Some(&scene.acme.alice), "api: version 1");
    for (key, value) in [
        ("user.name", "alice"),
        ("user.email", "alice@acme.example"),
        ("gpg.format", "ssh"),
        ("user.signingKey", "/root/keys/alice"),
    ] {
        workshop.host.must(&["git", "-C", DEPLOY, "config", key, value]);
    }
    let sign = ["writ", "plan", "--sign", "--against", &good, "--repo", DEPLOY];
    let told = workshop.host.must(&sign);
    assert!(told.contains("signed with the plan of biz"), "{told}");
    workshop.push();
    let head = workshop.host.must(&["git", "-C", DEPLOY, "rev-parse", "HEAD"]);
    scene.biz.confirmed(head.trim());
    let healed = scene.biz.host.must(&["writ", "events"]);
    assert!(healed.contains("unit-edited"), "{healed}");
    scene.biz.serves("web.acme.example", "v2");
    scene.biz.serves("api.acme.example", "v1");
}
