//! `--json` of the operator's commands: what they did, in one object.

use std::fs;

use serde_json::Value;

use crate::desk::{Desk, ok};
use crate::json::object;
use crate::push::NEW;
use crate::revert::{ONE, service};
use crate::review::TWO;
use crate::team::Team;

impl Desk {
    /// The object that a command prints which does what it is asked.
    fn object(&self, args: &[&str]) -> Value {
        let output = self.in_deploy(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        object(&output)
    }
}

#[test]
fn a_deploy_repository_is_made_for_a_program() {
    let desk = Desk::new();
    let made = object(&desk.writ(&["init", "deploy", "--host", "biz", "--json"]));
    assert_eq!(made["introduction"], desk.head());
    assert_eq!((&made["branch"], &made["hosts"][0]), (&"main".into(), &"biz".into()));
}

#[test]
fn a_push_tells_how_far_it_went() {
    let desk = Desk::with_services().with_nix();
    let set = ["set", "web", "--store-path", NEW];
    assert_eq!(desk.object(&set)["changed"], true);
    assert_eq!(desk.object(&set)["changed"], false);
    desk.git(&["checkout", "-q", "."]);

    let cache = format!("file://{}/cache", desk.dir.path().display());
    let uploaded = desk.object(&["upload", NEW, "--to", &cache]);
    assert_eq!(uploaded["uploaded"]["paths"], uploaded["uploaded"]["closurePaths"]);
    let again = desk.object(&["upload", NEW, "--to", &cache]);
    assert_eq!(again["uploaded"]["paths"], 0);

    let push = ["push", "web", "--store-path", NEW, "--no-upload"];
    let with = |more: &'static str| desk.object(&[&push[..], &[more]].concat());
    let (head, dry) = (desk.head(), with("--dry-run"));
    assert_eq!((&dry["landed"], desk.head()), (&Value::Null, head.clone()));
    assert!(dry["plan"].as_str().unwrap().contains("web"), "{dry}");
    assert_eq!(with("--no-commit")["landed"]["outcome"], "written");
    desk.git(&["checkout", "-q", "."]);
    let committed = with("--no-push");
    assert_eq!(committed["landed"]["outcome"], "committed");
    assert_eq!(committed["landed"]["commit"], desk.head());
    desk.git(&["reset", "-q", "--hard", &head]);
    let pushed = desk.object(&push);
    assert_eq!(pushed["landed"]["outcome"], "pushed");
    assert_eq!(pushed["landed"]["commit"], desk.git(&["rev-parse", "@{upstream}"]));
    assert_eq!(desk.object(&push)["landed"]["outcome"], "unchanged");
}

#[test]
fn a_way_back_tells_its_commit() {
    let desk = Desk::with_services();
    desk.write("web", &service(ONE, "web", 8009));
    desk.commit("another port");
    let head = desk.head();
    let dry = desk.object(&["revert", "HEAD", "--dry-run"]);
    assert_eq!((&dry["commit"], desk.head()), (&Value::Null, head));
    let done = desk.object(&["revert", "HEAD"]);
    assert_eq!((&done["commit"], &done["pushed"]), (&desk.head().into(), &false.into()));
    let signed = desk.object(&["plan", "--sign"]);
    assert_eq!((&signed["changed"], &signed["commit"]), (&true.into(), &desk.head().into()));
    assert_eq!(signed["plans"][0]["host"], "biz");
    assert_eq!(desk.object(&["plan", "--sign"])["changed"], false);
}

#[test]
fn a_review_and_its_approval_tell_what_came_of_them() {
    let team = Team::with(TWO);
    team.branch(&team.bob, "late", 8002);
    assert_eq!(team.carol.object(&["review", "late"])["branch"], "late");
    let approved = team.alice.object(&["approve", "late", "--detached"]);
    assert_eq!(approved["outcome"], "approved");
    assert!(approved["approval"].as_str().unwrap().starts_with("Writ-Approval: "), "{approved}");
    let pushed = team.carol.object(&["approve", "late"]);
    assert_eq!((&pushed["outcome"], &pushed["commit"]), (&"pushed".into(), &team.main().into()));
    assert_eq!(team.carol.object(&["approve", "late"])["outcome"], "unchanged");
    assert_eq!(team.carol.object(&["review", "late"])["merged"], true);
}

#[test]
fn what_was_there_before_is_imported_for_a_program() {
    let desk = Desk::with_services();
    let old = desk.deploy().join("manifests/manifest.json");
    let service = format!(
        r#"{{ "version": 1, "services": [ {{ "name": "old", "hosts": ["biz"],
        "artifact": {{ "storePath": "/nix/store/{ONE}-old" }}, "exec": {{ "command": "old" }} }} ] }}"#
    );
    fs::write(&old, service).unwrap();
    let done = desk.object(&["import", "manifests/manifest.json", "--replace"]);
    assert_eq!(done["written"][0], "manifests/services/old.toml");
    assert_eq!(done["removed"], "manifests/manifest.json");
    let unit = desk.dir.path().join("late.service");
    fs::write(&unit, "[Service]\nExecStart=/usr/bin/late\n").unwrap();
    let draft = desk.object(&["import", "--systemd", unit.to_str().unwrap(), "--host", "biz"]);
    assert_eq!(draft["file"], "manifests/services/late.toml");
    assert!(draft["text"].as_str().unwrap().contains("hosts"), "{draft}");
}

#[test]
fn the_policys_own_commands_tell_what_they_did() {
    let desk = Desk::with_services();
    let key = desk.make_key("id_bob");
    let newer = desk.make_key("id_newer");
    let [public, newer] = [&key, &newer].map(|key| format!("{}.pub", key.display()));
    let add = ["trust", "add-signer", "bob", "--key", &public, "--namespaces", "git,writ-approve"];
    assert_eq!(desk.object(&add)["changed"], ".writ");
    assert_eq!(desk.object(&["trust", "rotate", "bob", "--to", &newer])["changed"], ".writ");
    let revoke = ["trust", "revoke", "bob", "--good-until", &desk.head()];
    desk.git(&["checkout", "-q", "."]);
    desk.object(&add);
    desk.object(&revoke);
    desk.git(&["checkout", "-q", "."]);
    desk.object(&["trust", "show", "--repo", "."]);

    desk.write("web", &service(ONE, "web", 8009));
    desk.commit("another port");
    let key = desk.home().join(".ssh/id_ed25519").display().to_string();
    let approval = desk.object(&["trust", "approve", "HEAD", "--key", &key]);
    assert_eq!(approval["commit"], desk.head());
    let stated = desk.object(&["trust", "head", "main", "--key", &key]);
    assert_eq!(stated["ref"], "refs/writ/head/main");
    let (from, to) = (desk.head(), desk.git(&["rev-parse", "HEAD^"]));
    let recover = ["trust", "recover", "main", "--from", &from, "--to", &to, "--key", &key];
    assert_eq!(desk.object(&recover)["signatures"], 1);
    let folder = format!("dir://{}/mirror", desk.dir.path().display());
    assert_eq!(desk.object(&["mirror", "--to", &folder])["mirrors"][0]["tip"], desk.head());
    ok(&desk.run_in(&desk.deploy(), "git", &["status"]));
}
