//! `writ host`, `writ setup` and `writ new`: what a deploy repository needs now and then.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::desk::{Desk, fingerprint, ok};
use crate::revert::{ONE, service};
use crate::team::Team;

/// A cache's key, and its public half, that sign nothing else.
const SECRET: &str = "cache-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==";
const PUBLIC: &str = "cache-1:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
const URL: &str = "https://git.acme.example/deploy.git";

impl Desk {
    fn founded() -> Self {
        let desk = Self::new();
        ok(&desk.writ(&["init", "deploy", "--host", "biz", "--url", URL]));
        desk
    }

    fn json(&self, args: &[&str]) -> serde_json::Value {
        let all: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&ok(&self.in_deploy(&all))).unwrap()
    }

    /// Whether a host takes this for its config, and obeys the history by it.
    fn is_a_config(&self, text: &str) {
        let path = self.dir.path().join("agent.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let verified = self.in_deploy(&["verify", "--host-config", path.to_str().unwrap()]);
        assert!(ok(&verified).starts_with("accepted"), "{text}");
    }
}

#[test]
fn a_host_is_added_with_its_tags_and_told_what_it_would_run() {
    let desk = Desk::with_services();
    let web = service(ONE, "web", 8000).replace("[\"biz\"]", "[\"biz\", \"tag:web\"]");
    desk.write("web", &web);
    desk.host_file("biz", "tags = [\"web\"]\n");
    desk.commit("web by tag");
    let added = desk.in_deploy(&["host", "add", "web-2", "--tag", "web", "--tag", "fast"]);
    let told = desk.told(&added);
    assert!(told.contains("on web-2 would run: web"), "{told}");
    assert!(told.contains("no service names the tag fast yet"), "{told}");
    assert!(told.contains("next: writ host config web-2"), "{told}");
    let text = fs::read_to_string(desk.deploy().join("manifests/hosts/web-2.toml")).unwrap();
    assert!(text.ends_with("tags = [\"web\", \"fast\"]\n"), "{text}");
    let again = desk.in_deploy(&["host", "add", "web-2"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(desk.told(&again).contains("web-2.toml is there already"));
    assert_eq!(desk.in_deploy(&["host", "add", "Web 3"]).status.code(), Some(2));
    let keyless = desk.in_deploy(&["host", "add", "web-3", "--report-key", "nonsense"]);
    assert_eq!(keyless.status.code(), Some(2));
    // What hosts would refuse is not written.
    desk.write("api", "hots = 1\n");
    let refused = desk.in_deploy(&["host", "add", "web-3"]);
    assert!(desk.told(&refused).contains("did you mean `hosts`?"), "{}", desk.told(&refused));
    assert!(!desk.deploy().join("manifests/hosts/web-3.toml").exists());
}

#[test]
fn the_config_of_a_host_is_printed_again_at_any_time() {
    let desk = Desk::founded();
    let introduction = desk.git(&["rev-parse", "HEAD"]);
    desk.write("web", &service(ONE, "web", 8000));
    desk.commit("web");
    let printed = ok(&desk.in_deploy(&["host", "config", "biz"])) + "\n";
    assert!(printed.contains(&introduction) && printed.contains(URL), "{printed}");
    desk.is_a_config(&printed);
    // With the caches that uploads go to, and whoever signs there.
    let secret = desk.dir.path().join("cache.sec");
    fs::write(&secret, SECRET).unwrap();
    desk.git(&["config", "writ.cache", "https://cache.acme.example"]);
    desk.git(&["config", "writ.cacheKey", secret.to_str().unwrap()]);
    let printed = ok(&desk.in_deploy(&["host", "config", "biz"])) + "\n";
    assert!(printed.contains("[\"https://cache.acme.example\"]"), "{printed}");
    assert!(printed.contains(&format!("[\"{}\"]", PUBLIC)), "{printed}");
    desk.is_a_config(&printed);
    let told = desk.json(&["host", "config", "biz", "--url", "file:///srv/git/deploy.git"]);
    assert_eq!(told["config"]["repository"]["introduction"], introduction.as_str());
    assert_eq!(told["config"]["repository"]["url"], "file:///srv/git/deploy.git");
    assert_eq!(told["config"]["nix"]["substituters"][0], "https://cache.acme.example");
    // From history, where nothing was kept; and from where the branch is pushed.
    desk.git(&["config", "--unset", "writ.introduction"]);
    desk.git(&["config", "--unset", "writ.url"]);
    desk.git(&["remote", "add", "origin", "/srv/git/deploy.git"]);
    let told = desk.json(&["host", "config", "biz"]);
    assert_eq!(told["config"]["repository"]["introduction"], introduction.as_str());
    assert_eq!(told["config"]["repository"]["url"], "file:///srv/git/deploy.git");
    desk.git(&["remote", "set-url", "origin", "git@git.acme.example:deploy.git"]);
    let ssh = desk.in_deploy(&["host", "config", "biz"]);
    assert!(desk.told(&ssh).contains("is written as [[source]]"), "{}", desk.told(&ssh));
    let unknown = desk.in_deploy(&["host", "config", "bis"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(desk.told(&unknown).contains("writ host add bis"), "{}", desk.told(&unknown));
}

#[test]
fn a_clone_is_set_up_and_told_what_to_compare() {
    let team = Team::with("");
    let bob = &team.bob;
    let introduction = team.alice.git(&["config", "writ.introduction"]);
    for name in ["gpg.format", "user.signingkey", "commit.gpgsign"] {
        ok(&bob.run("git", &["config", "--global", "--unset", name]));
    }
    let told = ok(&bob.in_deploy(&["setup"]));
    assert!(told.contains("commits are signed as bob"), "{told}");
    assert!(told.contains(&format!("introduction  {introduction}")), "{told}");
    let key = fs::read_to_string(team.alice.home().join(".ssh/id_ed25519.pub")).unwrap();
    assert!(told.contains(&format!("signed by     {}", fingerprint(&key))), "{told}");
    assert!(told.contains("compare both with a colleague's"), "{told}");
    assert_eq!(bob.git(&["config", "writ.introduction"]), introduction);
    for hook in ["pre-commit", "pre-push"] {
        assert!(bob.deploy().join(".git/hooks").join(hook).exists(), "{hook}");
    }
    team.branch(bob, "late", 8002);
    assert_eq!(bob.git(&["log", "-1", "--format=%G? %GS"]), "G bob");
    // Again, it says the same and asks nobody to compare what is settled.
    let again = bob.json(&["setup"]);
    assert_eq!((again["named"].clone(), again["principal"].clone()), (true.into(), "bob".into()));
    assert_eq!(again["introduction"], introduction.as_str());
    let other = bob.git(&["rev-parse", "HEAD"]);
    let refused = bob.in_deploy(&["setup", "--introduction", &other]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(bob.told(&refused).contains("writ trust show"), "{}", bob.told(&refused));
    assert_eq!(bob.git(&["config", "writ.introduction"]), introduction);
}

#[test]
fn somebody_who_is_not_listed_yet_is_told_whom_to_ask() {
    let team = Team::with("");
    let dave = Desk::new();
    let origin = team.origin().display().to_string();
    ok(&dave.run("git", &["clone", "-q", &origin, "deploy"]));
    let told = ok(&dave.in_deploy(&["setup"]));
    assert!(told.contains("which the policy does not list yet"), "{told}");
    assert!(told.contains("writ trust add-signer YOU --key 'ssh-ed25519 "), "{told}");
    // Hooks of their own stay, and somebody's OpenPGP key is not traded for another.
    let own = dave.deploy().join(".git/hooks/pre-push");
    fs::write(&own, "#!/bin/sh\n").unwrap();
    for (name, value) in [("gpg.format", "openpgp"), ("user.signingkey", "0123456789ABCDEF")] {
        dave.git(&["config", name, value]);
    }
    let told = ok(&dave.in_deploy(&["setup"]));
    assert!(told.contains("signed with 0123456789ABCDEF"), "{told}");
    assert_eq!(dave.git(&["config", "gpg.format"]), "openpgp");
    assert_eq!(fs::read_to_string(own).unwrap(), "#!/bin/sh\n");
    let elsewhere = dave.dir.path().join("plain");
    ok(&dave.run("git", &["init", "-q", "plain"]));
    ok(&dave.run_in(&elsewhere, "git", &["commit", "-q", "--allow-empty", "-m", "nothing"]));
    assert_eq!(dave.run_in(&elsewhere, "writ", &["setup"]).status.code(), Some(2));
}

#[test]
fn a_new_service_is_drafted_as_hosts_would_take_it() {
    let desk = Desk::founded().with_nix();
    let told = ok(&desk.in_deploy(&["new", "web"]));
    assert!(told.contains("wrote manifests/services/web.toml"), "{told}");
    let draft = desk.read("web");
    insta::assert_snapshot!(draft);
    ok(&desk.in_deploy(&["check"]));
    let again = desk.in_deploy(&["new", "web"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(desk.told(&again).contains("web is there already"), "{}", desk.told(&again));
    assert_eq!(desk.read("web"), draft);
    let site =
        ["new", "shop", "--domain", "shop.example.org", "--port", "8001", "--command", "serve"];
    assert_eq!(desk.json(&site)["path"], "manifests/services/shop.toml");
    insta::assert_snapshot!("with_a_domain", desk.read("shop"));
    ok(&desk.in_deploy(&["check"]));
    // The draft is what a push fills in.
    let built = crate::push::NEW;
    ok(&desk.in_deploy(&["push", "web", "--store-path", built, "--no-upload", "--no-push"]));
    assert!(desk.read("web").contains(built));
    assert_eq!(desk.git(&["log", "-1", "--format=%s"]), "web: 1.2.4");
}

#[test]
fn a_draft_that_hosts_would_refuse_is_not_written() {
    let desk = Desk::founded();
    let refused = |args: &[&str], code: i32, says: &str| {
        let output = desk.in_deploy(args);
        assert_eq!(output.status.code(), Some(code), "{}", desk.told(&output));
        assert!(desk.told(&output).contains(says), "{}", desk.told(&output));
    };
    refused(&["new", "web", "--host", "tag:none"], 1, "none");
    refused(&["new", "web", "--domain", "not a domain", "--port", "80"], 1, "not a domain");
    refused(&["new", "web", "--domain", "example.org"], 2, "--port");
    ok(&desk.in_deploy(&["host", "add", "db"]));
    refused(&["new", "web"], 2, "name it with --host; there are: biz, db");
    assert!(!Path::new(&desk.deploy().join("manifests/services/web.toml")).exists());
    refused(&["set", "web", "--store-path", crate::push::NEW], 2, "writ new web drafts");
}
