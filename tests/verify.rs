//! `writ verify` as a person runs it: what it prints of good and bad histories.

#[path = "trust/forge.rs"]
mod forge;

use std::process::{Command, Output};

use forge::{CHANNEL, Forge};
use writ::names::CommitId;

const WEB: &str = "manifests/services/web.toml";

/// A repository of two administrators and a person with one grant, and what its ids
/// and keys are called in golden text.
struct Scene {
    forge: Forge,
    root: CommitId,
    names: Vec<(String, String)>,
}

impl Scene {
    fn new(more: &str) -> Self {
        let forge = Forge::new();
        let policy = format!(
            "channel = \"{CHANNEL}\"\n[principals.alice]\nmay = \"everything\"\nroles = [\"admin\"]\n[principals.dave]\nmay = \"everything\"\nroles = [\"admin\"]\n[principals.bob]\nmay = \"everything\"\ngrants = [\"manifests/services/web*.toml\"]\n{more}"
        );
        let root = forge
            .commit("alice")
            .file(".writ/allowed_signers", forge.signers(&["alice", "bob", "dave"]))
            .file(".writ/policy.toml", policy)
            .file(WEB, "a = 1\n")
            .message("begin")
            .make();
        let keys = ["alice", "bob", "dave", "mallory"];
        let mut names: Vec<_> =
            keys.map(|name| (forge.fingerprint(name).to_string(), format!("KEY-OF-{name}"))).into();
        names.push((root.to_string(), "ROOT".to_owned()));
        Self { forge, root, names }
    }

    /// Gives a commit its name in golden text.
    fn call(&mut self, name: &str, commit: CommitId) -> CommitId {
        self.names.push((commit.to_string(), name.to_owned()));
        commit
    }

    fn verify(&self, head: &CommitId, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_writ"))
            .args(["verify", "--introduction", self.root.as_str(), "--repo"])
            .arg(self.forge.git_dir())
            .args(more)
            .arg(head.as_str())
            .env("NO_COLOR", "1")
            .output()
            .unwrap()
    }

    /// Everything that was printed, and the exit code, with names in place of ids.
    fn told(&self, output: &Output) -> String {
        let text = format!(
            "{}{}exit {}\n",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            output.status.code().unwrap()
        );
        let text = text.replace(&self.forge.path().display().to_string(), "DIR");
        self.names.iter().fold(text, |text, (id, name)| {
            let short = if id.contains(':') { id.as_str() } else { &id[..10] };
            text.replace(id.as_str(), name).replace(short, name)
        })
    }

    fn golden(&self, head: &CommitId, more: &[&str]) -> String {
        self.told(&self.verify(head, more))
    }
}

#[test]
fn a_good_history_is_accepted() {
    let mut scene = Scene::new("");
    let head = scene.forge.commit("bob").on(&scene.root).file(WEB, "a = 2\n").make();
    let head = scene.call("HEAD", head);
    insta::assert_snapshot!(scene.golden(&head, &[]), @r"
    accepted: HEAD
      signed by bob (KEY-OF-bob)
    exit 0
    ");
    insta::assert_snapshot!(scene.golden(&head, &["--json"]), @r#"
    {
      "version": 1,
      "verdict": "accepted",
      "commit": "HEAD",
      "principal": "bob",
      "key": "KEY-OF-bob"
    }
    exit 0
    "#);
}

#[test]
fn a_refusal_names_rule_commit_and_remedy() {
    let mut scene = Scene::new("");
    let bad = scene.forge.commit("bob").on(&scene.root).file("README", "x").make();
    let bad = scene.call("BAD", bad);
    let head = scene.forge.commit("alice").on(&bad).file(WEB, "a = 3\n").make();
    insta::assert_snapshot!(scene.golden(&head, &[]));
    insta::assert_snapshot!(scene.golden(&head, &["--json"]));
}

#[test]
fn an_explanation_tells_every_mainline_commit_up_to_the_refused_one() {
    let mut scene = Scene::new("[[protect]]\npaths = [\"vault/**\"]\nthreshold = 2\n");
    let web = scene
        .forge
        .commit("bob")
        .on(&scene.root)
        .file(WEB, "[exec]\nuser = \"root\"\n")
        .message("web 2")
        .make();
    let web = scene.call("WEB", web);
    let branch = scene.forge.commit("alice").on(&web).file("vault/x", "1").delete(WEB).make();
    let merge = scene.forge.commit("dave").on(&web).on(&branch).tree_of(&branch).message("vault");
    let merge = merge.make();
    let merge = scene.call("MERGE", merge);
    insta::assert_snapshot!(scene.golden(&merge, &["--explain"]));
    insta::assert_snapshot!(scene.golden(&merge, &["--explain", "--json"]));
    let bad = scene.forge.commit("mallory").on(&merge).message("bad\u{1b}[31m").make();
    let bad = scene.call("BAD", bad);
    insta::assert_snapshot!(scene.golden(&bad, &["--explain"]));
}

#[test]
fn a_policy_that_is_weaker_than_it_looks_is_told() {
    let mut scene = Scene::new(
        "[principals.eve]\nmay = \"everything\"\ngrants = [\".writ/**\"]\n[[protect]]\npaths = [\".writ/**\"]\nthreshold = 2\n[[protect]]\npaths = [\"vault/**\"]\nthreshold = 4\n",
    );
    let head = scene.forge.commit("alice").on(&scene.root).make();
    let head = scene.call("HEAD", head);
    insta::assert_snapshot!(scene.golden(&head, &["--explain"]));
}

#[test]
fn a_merge_by_a_forge_tells_whose_rights_it_was_by() {
    let mut scene = Scene::new(
        "[principals.forge]\nmay = \"everything\"\nroles = [\"merge\"]\ngrants = [\"docs/**\"]\n[[protect]]\npaths = [\"manifests/**\"]\nthreshold = 2\n",
    );
    let branch = scene.forge.commit("alice").on(&scene.root);
    let signers = scene.forge.signers(&["alice", "bob", "dave", "forge"]);
    let base = branch.file(".writ/allowed_signers", signers).message("a forge").make();
    let base = scene.call("BASE", base);
    let branch = scene.forge.commit("bob").on(&base).file(WEB, "a = 2\n").make();
    let merge = scene.forge.commit("forge").on(&base).on(&branch).tree_of(&branch);
    let merge = merge.message("merge of bob's branch").make();
    let merge = scene.call("MERGE", merge);
    scene.names.push((scene.forge.fingerprint("forge").to_string(), "KEY-OF-forge".to_owned()));
    insta::assert_snapshot!(scene.golden(&merge, &["--explain"]));
}

#[test]
fn what_is_pinned_is_held_against_the_history() {
    let scene = Scene::new("");
    let stranger = scene.forge.fingerprint("mallory").to_string();
    let refused = |args: &[&str]| {
        let output = scene.verify(&scene.root, &[args, &["--json"]].concat());
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), format!("{} {}", told["rule"], told["reason"]))
    };
    assert_eq!(
        refused(&["--introducer", &stranger]),
        (Some(1), "\"G1\" \"unknown-key\"".to_owned())
    );
    assert_eq!(refused(&["--channel", "acme:x"]), (Some(1), "\"P4\" \"channel\"".to_owned()));
    let right = scene.forge.fingerprint("alice").to_string();
    let output = scene.verify(&scene.root, &["--introducer", &right, "--channel", CHANNEL]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_pins_of_a_hosts_config_are_taken_and_head_is_the_default() {
    let scene = Scene::new("");
    let head = scene.forge.commit("bob").on(&scene.root).file(WEB, "a = 2\n").make();
    scene.forge.git(["update-ref", "refs/heads/main", head.as_str()], b"");
    let config = format!(
        "host = \"biz\"\n[repository]\nid = \"acme-infra\"\nurl = \"https://example.org/x\"\nbranch = \"main\"\nintroduction = \"{}\"\nintroducer = \"{}\"\n",
        scene.root,
        scene.forge.fingerprint("alice")
    );
    let path = scene.forge.path().join("agent.toml");
    std::fs::write(&path, config).unwrap();
    // From a working tree, as an operator has it.
    let tree = scene.forge.path().join("tree");
    let mut clone = Command::new("git");
    clone.args(["clone", "-q"]).arg(scene.forge.git_dir()).arg(&tree);
    assert!(clone.status().unwrap().success());
    let output = Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(["verify", "--host-config"])
        .arg(&path)
        .current_dir(&tree)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", scene.told(&output));
    assert!(scene.told(&output).contains(head.as_str()));
}

#[test]
fn a_shallow_clone_and_a_missing_commit_are_told_apart_from_a_refusal() {
    let scene = Scene::new("");
    let head = scene.forge.commit("bob").on(&scene.root).file(WEB, "a = 2\n").make();
    scene.forge.git(["update-ref", "refs/heads/main", head.as_str()], b"");
    let url = format!("file://{}", scene.forge.git_dir().display());
    let tree = scene.forge.path().join("shallow");
    let clone = Command::new("git").args(["clone", "-q", "--depth", "1", &url]).arg(&tree).status();
    assert!(clone.unwrap().success());
    for (args, words) in [
        (&["verify", "--introduction", scene.root.as_str()][..], "it is shallow"),
        (&["verify", "--introduction", scene.root.as_str(), "nowhere"], "no commit `nowhere`"),
        (&["verify"], "it is shallow"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_writ"))
            .args(args)
            .current_dir(&tree)
            .output()
            .unwrap();
        let told = scene.told(&output);
        assert!(told.contains(words) && output.status.code() == Some(2), "{told}");
    }
}

#[test]
fn a_stricter_policy_tells_beforehand_whose_work_it_would_have_stopped() {
    let mut scene = Scene::new("");
    let web = scene.forge.commit("bob").on(&scene.root).file(WEB, "a = 2\n").make();
    let web = scene.call("WEB", web);
    let other = scene.forge.commit("alice").on(&web).file("README", "x").make();
    let head = scene.call("HEAD", other);
    scene.forge.git(["update-ref", "refs/heads/main", head.as_str()], b"");
    let tree = scene.forge.path().join("tree");
    let mut clone = Command::new("git");
    clone.args(["clone", "-q"]).arg(scene.forge.git_dir()).arg(&tree);
    assert!(clone.status().unwrap().success());
    let path = tree.join(".writ/policy.toml");
    let policy = std::fs::read_to_string(&path).unwrap().replace("web*", "api*");
    let draft = |policy: &str| {
        std::fs::write(&path, policy).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_writ"))
            .args(["verify", "--explain", "--draft", "--introduction", scene.root.as_str()])
            .current_dir(&tree)
            .output()
            .unwrap();
        scene.told(&output)
    };
    let told = draft(&policy);
    let line = "would refuse WEB by rule G4: bob may not change manifests/services/web.toml: nothing grants this path";
    assert!(told.contains(line) && !told.contains("would refuse HEAD"), "{told}");
    assert!(told.ends_with("exit 0\n"), "{told}");
    let two = format!("{policy}[[protect]]\npaths = [\"README\"]\nthreshold = 2\n");
    assert!(draft(&two).contains("would refuse HEAD by rule G5: README needs 2 people"));
    assert!(draft("what").ends_with("exit 1\n"));
}
