//! The whole road: a signed push converges a host, a bad one changes nothing, a revert takes it back.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::super::lab::host::until;
use super::super::lab::workshop::example;
use super::{Running, Scene};

pub(super) const SCENES: &[Scene] = &[
    ("a_signed_push_answers_through_caddy_and_leaves_other_services_running", signed_push),
    ("a_version_that_crashes_is_rolled_back_with_its_last_words", crashes),
    ("a_version_that_answers_500_is_rolled_back_with_what_it_answered", unhealthy),
    ("a_version_that_dies_while_it_is_watched_is_rolled_back", dies_young),
    ("a_first_version_that_does_not_work_leaves_nothing_behind", first_is_broken),
    ("an_unsigned_commit_and_a_strangers_are_refused_and_change_nothing", not_trusted),
    ("a_history_that_goes_back_is_refused", goes_back),
    ("a_reverted_commit_restores_the_old_version_without_any_cache", reverted),
    ("services_run_on_while_the_agent_is_replaced", agent_restarts),
    ("a_rebooted_host_runs_everything_again", rebooted),
    ("services_are_back_after_a_reboot_without_the_agent", booted_alone),
    ("what_was_stopped_or_removed_by_hand_is_put_back", healed),
    ("the_demo_holds_to_its_end", demo),
    ("one_round_ends_with_the_verdict_as_exit_code", once),
];

fn signed_push() {
    let scene = Running::v1();
    scene.acme.publish("shop", "s1", 8002, "");
    let commit = scene.acme.release("shop: version 1");
    scene.biz.confirmed(&commit);
    scene.biz.serves("shop.acme.example", "s1");
    let (web, shop) = (scene.biz.pid("web"), scene.biz.pid("shop"));
    scene.update("v2");
    assert_ne!(scene.biz.pid("web"), web);
    assert_eq!(scene.biz.pid("shop"), shop);
}

fn crashes() {
    let scene = Running::v1();
    scene.acme.publish("web", "v2", 8001, "--crash");
    let broken = scene.acme.release("web: version 2");
    let status = scene.biz.judged(&broken, "rolled-back");
    assert_eq!(status.running(), scene.v1);
    assert!(status.why().contains("cannot find the database"), "{}", status.why());
    scene.biz.serves("web.acme.example", "v1");

    // It is not tried again until there is a new commit.
    let pid = scene.biz.pid("web");
    scene.biz.sync();
    scene.biz.judged(&broken, "rolled-back");
    scene.untouched(pid);
    scene.update("v3");
}

fn unhealthy() {
    let scene = Running::v1();
    scene.acme.publish("web", "v2", 8001, "--health 500");
    let broken = scene.acme.release("web: version 2");
    let status = scene.biz.judged(&broken, "rolled-back");
    assert!(status.why().contains("500"), "{}", status.why());
    assert!(status.why().contains("health of v2"), "{}", status.why());
    scene.biz.serves("web.acme.example", "v1");
}

fn dies_young() {
    let scene = Running::v1();
    let path = scene.acme.workshop.server("web", "v2", "--fail-after 1");
    let web = super::super::lab::acme::Web {
        name: "web",
        store_path: &path,
        port: 8001,
        hosts: "\"*\"",
        more: "",
    };
    let patient = web.toml().replace("healthyFor = \"1s\"", "healthyFor = \"5s\"");
    scene.acme.workshop.write("manifests/services/web.toml", &patient);
    let broken = scene.acme.release("web: version 2");
    let status = scene.biz.judged(&broken, "rolled-back");
    assert_eq!(status.running(), scene.v1);
    scene.biz.serves("web.acme.example", "v1");
}

fn first_is_broken() {
    let acme = super::Acme::found();
    acme.publish("web", "v1", 8001, "--crash");
    let broken = acme.release("web: version 1");
    let biz = acme.site("biz");
    biz.start();
    let status = biz.judged(&broken, "rolled-back");
    assert!(status.why().contains("cannot find the database"), "{}", status.why());
    biz.unit_gone("web");
    acme.publish("web", "v2", 8001, "");
    biz.confirmed(&acme.release("web: version 2"));
    biz.serves("web.acme.example", "v2");
}

fn not_trusted() {
    let scene = Running::v1();
    let pid = scene.biz.pid("web");
    let workshop = &scene.acme.workshop;

    scene.acme.publish("web", "v2", 8001, "");
    let unsigned = workshop.release(None, "web: version 2, in a hurry");
    assert_eq!(scene.biz.judged(&unsigned, "refused").reason(), "unsigned");
    scene.untouched(pid);

    workshop.reset(&scene.v1);
    let mallory = workshop.key("mallory");
    scene.acme.publish("web", "v2", 8001, "");
    let strange = workshop.release(Some(&mallory), "web: version 2, trust me");
    assert_eq!(scene.biz.judged(&strange, "refused").reason(), "unknown-key");
    scene.untouched(pid);

    // A good commit on top of a bad one does not make the bad one good.
    workshop.release(Some(&scene.acme.alice), "carry on");
    scene.biz.sync();
    assert_eq!(scene.biz.judged(&strange, "refused").reason(), "unknown-key");
    scene.untouched(pid);

    workshop.reset(&scene.v1);
    scene.biz.confirmed(&scene.v1);
    scene.update("v3");
}

fn goes_back() {
    let scene = Running::v1();
    let v2 = scene.update("v2");
    let workshop = &scene.acme.workshop;
    workshop.reset(&scene.v1);
    assert_eq!(scene.biz.judged(&scene.v1, "refused").reason(), "rollback");
    scene.biz.serves("web.acme.example", "v2");
    workshop.reset(&v2);
    scene.biz.confirmed(&v2);
}

fn reverted() {
    let scene = Running::v1();
    let v2 = scene.update("v2");
    let workshop = &scene.acme.workshop;
    workshop.host.must(&["mv", "/srv/cache", "/srv/gone"]);
    let reverted = workshop.revert(&scene.acme.alice, &v2);
    workshop.push();
    scene.biz.confirmed(&reverted);
    scene.biz.serves("web.acme.example", "v1");
}

fn agent_restarts() {
    let scene = Running::v1();
    let pid = scene.biz.pid("web");
    scene.biz.stop();
    scene.biz.serves("web.acme.example", "v1");
    let status = scene.biz.host.run(&["writ", "status"]);
    assert!(status.stdout.contains("no agent is running"), "{}{}", status.stdout, status.stderr);
    scene.biz.start();
    scene.biz.confirmed(&scene.v1);
    scene.untouched(pid);
    scene.biz.host.must(&["systemctl", "kill", "--signal=KILL", "writ-agent"]);
    scene.biz.confirmed(&scene.v1);
    scene.untouched(pid);
    scene.update("v2");
}

fn rebooted() {
    let mut scene = Running::v1();
    let v2 = scene.update("v2");
    scene.biz.host.reboot();
    scene.biz.confirmed(&v2);
    scene.biz.serves("web.acme.example", "v2");
    scene.update("v3");
}

fn booted_alone() {
    let mut scene = Running::v1();
    scene.update("v2");
    let host = &mut scene.biz.host;
    host.must(&["systemctl", "disable", "--quiet", "writ-agent"]);
    host.reboot();
    until("the service answers without the agent", Duration::from_secs(30), || {
        let page = host.run(&["curl", "--silent", "http://127.0.0.1:8001/"]);
        (page.stdout == "v2").then_some(())
    });
    let asked = ["systemctl", "is-active", "writ-agent", "writ-boot"];
    assert_eq!(host.run(&asked).stdout, "inactive\nactive\n");
    // It waits for nothing that could be away: neither network nor Caddy.
    let order = host.must(&["systemctl", "show", "--property=After", "--value", "writ-boot"]);
    assert!(!order.contains("network"), "{order}");
}

fn healed() {
    let scene = Running::v1();
    let healed = |what: &str| {
        until(what, Duration::from_secs(60), || {
            scene.biz.sync();
            let served = scene.biz.host.get("web.acme.example", "/") == (200, "v1".to_owned());
            (served && scene.biz.pid("web") != 0).then_some(())
        });
    };
    scene.biz.host.must(&["systemctl", "stop", "writ-web"]);
    healed("a stopped unit runs again");
    scene.biz.host.must(&["systemctl", "restart", "caddy"]);
    healed("a Caddy that forgot its routes has them again");
    scene.biz.host.sh("rm /run/systemd/system/writ-web.service; systemctl stop writ-web");
    healed("a removed unit file is back");
}

fn once() {
    let acme = super::Acme::found();
    let biz = acme.site("biz");
    let code = || {
        biz.host.sh("writ agent --config /etc/writ/agent.toml --once >/dev/null 2>&1 || echo $?")
    };
    acme.publish("web", "v1", 8001, "");
    acme.release("web: version 1");
    assert_eq!(code().trim(), "");
    biz.serves("web.acme.example", "v1");
    acme.publish("web", "v2", 8001, "--crash");
    acme.release("web: version 2");
    assert_eq!(code().trim(), "1");
    biz.serves("web.acme.example", "v1");
    acme.publish("web", "v3", 8001, "");
    acme.release("web: version 3");
    assert_eq!(code().trim(), "");
    acme.workshop.host.must(&["mv", "/srv/git", "/srv/gone"]);
    assert_eq!(code().trim(), "3");
    biz.serves("web.acme.example", "v3");
}

fn demo() {
    let demo = example("demo");
    let told = Command::new(demo).stdin(Stdio::null()).output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert!(told.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("6. git revert: held"), "{stdout}");
}
