//! What a team does when a key is lost, a key is stolen, or a history was rewritten:
//! the drills of docs/trust.md, with the commands that stand there, on a running host.

use std::path::PathBuf;
use std::process::{Command, Output};

use writ::names::CommitId;
use writ::trust::Reason;

use crate::forge::CHANNEL;
use crate::scene::{HOST, Scene, word};

/// A host, the deploy repository, and an operator's checkout of it.
struct Drill {
    scene: Scene,
    tree: PathBuf,
}

const RULES: &str = "# who may what\n[principals.alice]   # on holiday in May\nmay = \"everything\"\nroles = [\"admin\"]\n[principals.bob]\nmay = \"everything\"\ngrants = [\"manifests/services/**\"]\n[principals.dave]\nmay = \"everything\"\nroles = [\"admin\"]\n";

impl Drill {
    /// alice and dave are administrators, bob writes services; web 1 runs.
    async fn new(more: &str) -> Self {
        let mut scene = Scene::new();
        let signers = scene.forge.signers(&["alice", "bob", "dave"]);
        let signers = signers.replace("\"git\"", "\"git,writ-approve\"");
        let rules = format!("channel = \"{CHANNEL}\"\n{RULES}{more}");
        scene.push(&[
            (".writ/allowed_signers", Some(format!("# the team\n{signers}"))),
            (".writ/policy.toml", Some(rules)),
        ]);
        let tree = scene.forge.path().join("checkout");
        let drill = Self { scene, tree };
        drill.git(&["clone", "-q", &drill.scene.forge.git_dir().display().to_string(), "."]);
        let mut drill = drill;
        drill.service("bob", "web", "1");
        assert_eq!(word(&drill.scene.round().await), "confirmed");
        drill
    }

    fn run(&self, command: &mut Command) -> Output {
        std::fs::create_dir_all(&self.tree).unwrap();
        command
            .current_dir(&self.tree)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GNUPGHOME", self.scene.forge.path().join("gnupg"))
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "Somebody")))
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "some@body")))
            .output()
            .unwrap()
    }

    fn git(&self, args: &[&str]) -> String {
        let output = self.run(Command::new("git").args(args));
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn writ(&self, args: &[&str]) -> Output {
        self.run(Command::new(env!("CARGO_BIN_EXE_writ")).args(args))
    }

    /// `writ`, which has to succeed; what it printed.
    fn must(&self, args: &[&str]) -> String {
        let output = self.writ(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn key(&self, name: &str) -> String {
        self.scene.forge.key(name).display().to_string()
    }

    fn public(&self, name: &str) -> String {
        format!("{}.pub", self.key(name))
    }

    /// git, signing as `signer` wherever it makes a commit.
    fn git_as(&self, signer: &str, args: &[&str]) -> String {
        let key = format!("user.signingkey={}", self.key(signer));
        let signing = ["-c", "gpg.format=ssh", "-c", &key, "-c", "commit.gpgsign=true"];
        self.git(&[&signing[..], args].concat())
    }

    /// The same with an OpenPGP key.
    #[cfg(feature = "openpgp")]
    fn git_by(&self, key: &str, args: &[&str]) -> String {
        let key = format!("user.signingkey={key}");
        let signing = ["-c", "gpg.format=openpgp", "-c", &key, "-c", "commit.gpgsign=true"];
        self.git(&[&signing[..], args].concat())
    }

    fn commit(&self, signer: &str, message: &str) -> CommitId {
        self.git(&["add", "-A"]);
        self.git_as(signer, &["commit", "-q", "--allow-empty", "-m", message]);
        self.head()
    }

    fn head(&self) -> CommitId {
        self.git(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    fn push(&self, refs: &[&str]) {
        self.git(&[&["push", "-q", "--force", "origin"], refs].concat());
    }

    /// A version of a service, committed and pushed.
    fn service(&mut self, signer: &str, name: &str, version: &str) -> CommitId {
        let text = self.scene.service(name, version, "");
        let path = self.tree.join(format!("manifests/services/{name}.toml"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        let commit = self.commit(signer, &format!("{name} {version}"));
        self.push(&["HEAD:main"]);
        commit
    }

    fn policy(&self) -> String {
        ["policy.toml", "allowed_signers"]
            .map(|name| std::fs::read_to_string(self.tree.join(".writ").join(name)).unwrap())
            .concat()
    }

    async fn reason(&self) -> Option<Reason> {
        self.scene.round().await.refused.map(|refusal| refusal.reason)
    }

    /// A host that begins with the introduction today.
    fn new_host_verifies(&self) -> bool {
        self.writ(&["verify", "--introduction", self.scene.root.as_str()]).status.success()
    }
}

#[tokio::test]
async fn a_lost_key_is_rotated_by_another_administrator() {
    let mut drill = Drill::new("").await;
    drill.service("alice", "web", "2");
    let told = drill.must(&["trust", "rotate", "alice", "--to", &drill.public("alice+new")]);
    assert!(told.contains("commit and sign it"), "{told}");
    assert!(drill.policy().contains(
        "# who may what\n[principals.alice]   # on holiday in May\nmay = \"everything\"\n"
    ));
    drill.commit("dave", "alice has a new key");
    drill.service("alice+new", "web", "3");
    assert_eq!(word(&drill.scene.round().await), "confirmed");
    drill.scene.assert_runs(&[("web", "3")]);
    assert!(drill.new_host_verifies(), "what the old key signed stays good");
    drill.service("alice", "web", "4");
    assert_eq!(drill.reason().await, Some(Reason::UnknownKey), "whoever finds it can do nothing");
    drill.scene.assert_runs(&[("web", "3")]);
}

#[tokio::test]
async fn a_stolen_key_is_revoked_and_what_it_did_is_taken_back() {
    let mut drill = Drill::new("").await;
    let bad = drill.service("bob", "web", "666");
    assert_eq!(word(&drill.scene.round().await), "confirmed");
    drill.scene.assert_runs(&[("web", "666")]);

    drill.git_as("alice", &["revert", "--no-edit", bad.as_str()]);
    let stolen = drill.scene.forge.fingerprint("bob").to_string();
    drill.must(&["trust", "revoke", "bob", "--good-until", bad.as_str()]);
    drill.must(&[
        "trust",
        "add-signer",
        "bob",
        "--key",
        &drill.public("bob+new"),
        "--grant",
        "manifests/services/**",
    ]);
    assert!(drill.policy().contains(&stolen));
    drill.commit("alice", "bob's laptop was stolen");
    drill.push(&["HEAD:main"]);
    assert_eq!(word(&drill.scene.round().await), "confirmed");
    drill.scene.assert_runs(&[("web", "1")]);
    assert!(drill.new_host_verifies());

    let good = drill.head();
    drill.service("bob", "web", "667");
    assert_eq!(drill.reason().await, Some(Reason::Revoked));
    // Nor can the thief hide behind a branch that was begun before.
    drill.git(&["reset", "-q", "--hard", bad.as_str()]);
    drill.commit("bob", "begun before the revocation");
    let side = drill.head().to_string();
    drill.git(&["reset", "-q", "--hard", good.as_str()]);
    drill.git_as("alice", &["merge", "-q", "--no-ff", "-s", "ours", "-m", "merge", &side]);
    drill.push(&["HEAD:main"]);
    assert_eq!(drill.reason().await, Some(Reason::Revoked));
    // The branch is good again as soon as it is put back.
    drill.git(&["reset", "-q", "--hard", good.as_str()]);
    drill.push(&["HEAD:main"]);
    assert_eq!(drill.reason().await, None);
    drill.service("bob+new", "web", "2");
    assert_eq!(word(&drill.scene.round().await), "confirmed");
    drill.scene.assert_runs(&[("web", "2")]);
}

#[tokio::test]
async fn a_rewritten_history_is_followed_once_two_recovery_keys_say_so() {
    let mut drill = Drill::new("").await;
    let keys = ["safe-a", "safe-b"].map(|key| format!("{:?}", drill.scene.forge.public(key)));
    drill.scene.more = format!("recoveryKeys = [{}]\n", keys.join(", "));
    let lost = drill.service("bob", "web", "2");
    drill.scene.round().await;
    drill.git(&["reset", "-q", "--hard", drill.scene.head.as_str()]);
    let to = drill.service("bob", "web", "3");
    assert_eq!(drill.reason().await, Some(Reason::Rollback));
    drill.scene.assert_runs(&[("web", "2")]);

    let name = "refs/writ/reset/main";
    for (key, reason) in [("safe-a", Some(Reason::Rollback)), ("safe-b", None)] {
        let key = drill.key(key);
        let told = drill.must(&[
            "trust",
            "recover",
            "main",
            "--from",
            lost.as_str(),
            "--to",
            to.as_str(),
            "--key",
            &key,
        ]);
        assert!(told.contains(&format!("git push origin {name}")), "{told}");
        drill.push(&[name]);
        assert_eq!(drill.reason().await, reason);
    }
    drill.scene.assert_runs(&[("web", "3")]);
}

#[tokio::test]
async fn an_approval_lets_a_protected_path_through() {
    let protect =
        format!("[[protect]]\npaths = [\"manifests/hosts/{HOST}.toml\"]\nthreshold = 2\n");
    let mut drill = Drill::new(&protect).await;
    let host = drill.tree.join(format!("manifests/hosts/{HOST}.toml"));
    std::fs::write(host, "tags = [\"web\", \"db\"]\n").unwrap();
    drill.commit("alice", "more tags");
    drill.push(&["HEAD:main"]);
    assert_eq!(drill.reason().await, Some(Reason::Threshold));
    let line = drill.must(&["trust", "approve", "HEAD", "--key", &drill.key("dave")]);
    drill.git_as("alice", &["commit", "-q", "--amend", "-m", &format!("more tags\n\n{line}")]);
    drill.push(&["HEAD:main"]);
    assert_eq!(drill.reason().await, None);
    drill.service("bob", "web", "2");
    assert_eq!(word(&drill.scene.round().await), "confirmed");
}

#[tokio::test]
async fn a_head_statement_is_made_and_renewed_by_the_command() {
    let mut drill = Drill::new("").await;
    drill.must(&[
        "trust",
        "add-signer",
        "herald",
        "--key",
        &drill.public("herald"),
        "--namespaces",
        "writ-head",
    ]);
    drill.commit("alice", "a herald");
    drill.scene.more = "requireHead = true\nmaxStaleness = \"2h\"\n".to_owned();
    for version in ["2", "3"] {
        drill.service("bob", "web", version);
        assert_eq!(drill.reason().await, Some(Reason::Stale));
        drill.must(&["trust", "head", "main", "--key", &drill.key("herald")]);
        drill.push(&["refs/writ/head/main"]);
        assert_eq!(word(&drill.scene.round().await), "confirmed");
        drill.scene.assert_runs(&[("web", version)]);
    }
}

#[tokio::test]
async fn nobody_is_locked_out_by_a_command() {
    let drill = Drill::new("[[protect]]\npaths = [\".writ/**\"]\nthreshold = 2\n").await;
    let before = drill.policy();
    let head = drill.head().to_string();
    let output = drill.writ(&["trust", "revoke", "dave", "--good-until", &head]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("nobody could change it any more"), "{told}");
    let public = drill.public("alice");
    for bad in [
        &["trust", "add-signer", "eve", "--key", &public][..],
        &["trust", "add-signer", "eve", "--key", "ssh-ed25519 what"],
        &["trust", "add-signer", "eve", "--key", &public, "--role", "king"],
        &["trust", "rotate", "nobody", "--to", &public],
        &["trust", "rotate", "bob", "--to", "ssh-dss AAAA"],
    ] {
        let output = drill.writ(bad);
        assert_eq!(output.status.code(), Some(1), "{bad:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("nothing was changed"));
    }
    let nowhere = "0".repeat(40);
    let output = drill.writ(&["trust", "revoke", "bob", "--good-until", &nowhere]);
    assert_eq!(output.status.code(), Some(2), "a commit that does not exist");
    assert_eq!(drill.policy(), before);
}

#[cfg(feature = "openpgp")]
#[tokio::test]
async fn an_openpgp_key_is_added_prolonged_replaced_and_revoked() {
    use crate::gpg::Gpg;

    let mut drill = Drill::new("").await;
    let gpg = Gpg::today(&drill.scene.forge);
    let _agents = Gpg::agents(&[&gpg]);
    let export = |drill: &Drill, name: &str| {
        let path = drill.scene.forge.path().join(format!("{name}.asc"));
        std::fs::write(&path, gpg.export(name)).unwrap();
        path.display().to_string()
    };
    let add = |drill: &Drill, file: &str| {
        let grant = ["--grant", "manifests/services/**"];
        drill.must(&[&["trust", "add-signer", "mia", "--openpgp", file][..], &grant].concat());
        drill.commit("alice", "mia's key");
    };
    let deploy = |drill: &mut Drill, key: &str, version: &str| {
        drill.service("alice", "web", version);
        drill.git(&["reset", "-q", "--soft", "HEAD^"]);
        drill.git_by(key, &["commit", "-q", "-m", version]);
        drill.push(&["HEAD:main"]);
    };
    for name in ["mia", "mia-new"] {
        gpg.make(name, "ed25519", "sign", "1d");
    }
    let [old, new] = ["mia", "mia-new"].map(|name| gpg.fingerprint(name));

    add(&drill, &export(&drill, "mia"));
    let once = drill.policy();
    deploy(&mut drill, &old, "2");
    assert_eq!(word(&drill.scene.round().await), "confirmed");
    drill.scene.assert_runs(&[("web", "2")]);
    let told = drill.must(&["verify", "--introduction", drill.scene.root.as_str(), "--explain"]);
    assert!(told.contains(&format!("signed by mia (openpgp:{old})")), "{told}");

    gpg.make_with(&["--quick-set-expire", &old, "2y"]);
    let file = drill.tree.join(format!(".writ/openpgp/{old}.asc"));
    let before = std::fs::read(&file).unwrap();
    add(&drill, &export(&drill, "mia"));
    assert_ne!(std::fs::read(&file).unwrap(), before, "prolonged");
    assert_eq!(drill.policy(), once, "and otherwise the same");
    deploy(&mut drill, &old, "3");
    assert_eq!(word(&drill.scene.round().await), "confirmed");

    drill.must(&["trust", "rotate", "mia", "--to", &export(&drill, "mia-new")]);
    assert!(!file.exists());
    drill.commit("alice", "mia has a new key");
    deploy(&mut drill, &new, "4");
    assert_eq!(word(&drill.scene.round().await), "confirmed");
    assert!(drill.new_host_verifies(), "what the old key signed stays good");
    let good = drill.head();
    deploy(&mut drill, &old, "666");
    assert_eq!(drill.reason().await, Some(Reason::UnknownKey));
    drill.git(&["reset", "-q", "--hard", good.as_str()]);

    drill.must(&["trust", "revoke", "mia", "--good-until", good.as_str()]);
    let revoked = drill.commit("alice", "mia's card was stolen");
    drill.push(&["HEAD:main"]);
    assert_eq!(drill.reason().await, None);
    assert!(drill.new_host_verifies());
    deploy(&mut drill, &new, "667");
    assert_eq!(drill.reason().await, Some(Reason::Revoked));
    drill.scene.assert_runs(&[("web", "4")]);
    // Nor does it come back, on this history or another.
    drill.git(&["reset", "-q", "--hard", revoked.as_str()]);
    let again = ["trust", "add-signer", "mia", "--openpgp", &export(&drill, "mia-new")];
    let output = drill.writ(&again);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("is allowed and revoked"), "{told}");
}
