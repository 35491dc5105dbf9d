//! `writ set` and `writ push`: git and keys are real, nix is a stand-in (`nix.sh`); the
//! real one is on the hosts of `tests/hosts/scenes/push.rs`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Output;

use crate::desk::{Desk, ok};
use crate::revert::{ONE, service};

pub(crate) const NEW: &str = "/nix/store/7v5m1xq0w2z9c8b6n4l3k1j0h2g5f8da-web-1.2.4";

/// Has a hook play somebody else, once, at the moment of a push.
const FASTER: &str = "#!/bin/sh\nunset $(git rev-parse --local-env-vars)\n[ ! -e \"$HOME/faster\" ] || exit 0\n: >\"$HOME/faster\"\ngit -C ../bob push -q\n";

impl Desk {
    /// A deploy repository with the services web and api, and nix at hand.
    fn at_work() -> Self {
        Self::with_services().with_nix()
    }

    /// Nix, and what it has built.
    pub(crate) fn with_nix(self) -> Self {
        let desk = self;
        desk.program("bin/nix", include_str!("nix.sh"));
        symlink("nix", desk.home().join("bin/nix-store")).unwrap();
        symlink("nix", desk.home().join("bin/nix-build")).unwrap();
        fs::write(desk.home().join("built"), format!("{NEW}\n")).unwrap();
        desk
    }

    fn program(&self, path: &str, text: &str) {
        let path = self.home().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn push_with(&self, args: &[&str]) -> Output {
        let cache = format!("file://{}/cache", self.dir.path().display());
        let all = ["push", "web", "--repo", "deploy", "--store-path", NEW];
        let to: &[&str] = if args.contains(&"--no-upload") { &[] } else { &["--to", &cache] };
        self.writ(&all.iter().chain(to).chain(args).copied().collect::<Vec<_>>())
    }

    fn uploaded(&self) -> bool {
        self.dir.path().join("cache/7v5m1xq0w2z9c8b6n4l3k1j0h2g5f8da.narinfo").exists()
    }

    /// What the remote has: subjects, the newest first.
    fn landed(&self) -> String {
        let origin = self.dir.path().join("origin.git");
        ok(&self.run_in(&origin, "git", &["log", "--format=%s", "main"]))
    }

    /// Nothing is left of a push that did not land.
    fn as_before(&self, head: &str) {
        assert_eq!(self.git(&["rev-parse", "HEAD"]), head);
        assert_eq!(self.git(&["status", "--short"]), "");
        assert!(!self.landed().contains("web: 1.2.4"), "{}", self.landed());
    }

    /// Bob's clone, with a change of one service that is not pushed yet; a hook of
    /// Alice's pushes it while she does.
    fn bob_is_faster(&self, name: &str) {
        ok(&self.run("git", &["clone", "-q", "origin.git", "bob"]));
        let bob = self.dir.path().join("bob");
        for (key, value) in [("user.name", "Bob"), ("user.email", "bob@acme.example")] {
            ok(&self.run_in(&bob, "git", &["config", key, value]));
        }
        let file = bob.join(format!("manifests/services/{name}.toml"));
        fs::write(&file, fs::read_to_string(&file).unwrap() + "# Bob was here\n").unwrap();
        ok(&self.run_in(&bob, "git", &["commit", "-q", "-a", "-m", "bob's change"]));
        let hook = self.deploy().join(".git/hooks/pre-push");
        fs::write(&hook, FASTER).unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_service_is_uploaded_committed_signed_and_pushed() {
    let desk = Desk::at_work();
    desk.write("api", &(desk.read("api") + "# being written\n"));
    desk.write("late", &service(ONE, "late", 8002));
    desk.git(&["add", "manifests/services/late.toml"]);
    let told = ok(&desk.push_with(&["--revision", "abc123"]));
    assert!(desk.uploaded());
    assert_eq!(desk.landed().lines().next(), Some("web: 1.2.4 (abc123)"));
    assert_eq!(desk.git(&["log", "-1", "--format=%G? %GS"]), "G alice");
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), desk.git(&["rev-parse", "@{upstream}"]));
    let files = desk.git(&["show", "--format=", "--name-only", "HEAD"]);
    assert_eq!(files, "manifests/services/web.toml");
    // What others are doing in this checkout is as it was.
    let status = desk.git(&["status", "--short"]);
    assert_eq!(status, "M manifests/services/api.toml\nA  manifests/services/late.toml");
    let short = desk.git(&["log", "-1", "--format=%h"]);
    insta::assert_snapshot!(format!("{}\n---\n{}", told.replace(&short, "PUSH"), desk.read("web")));
    let again = ok(&desk.push_with(&["--revision", "abc123"]));
    assert!(again.contains("the remote has it already"), "{again}");
}

#[test]
fn what_is_built_is_pushed_with_its_sources_revision() {
    let desk = Desk::at_work();
    let shop = desk.dir.path().join("shop");
    ok(&desk.run("git", &["init", "-q", "shop"]));
    fs::write(shop.join("main.c"), "").unwrap();
    ok(&desk.run_in(&shop, "git", &["add", "-A"]));
    ok(&desk.run_in(&shop, "git", &["commit", "-q", "-m", "shop"]));
    let short = ok(&desk.run_in(&shop, "git", &["rev-parse", "--short", "HEAD"]));
    let push = |installable: &str| {
        let args = ["push", "web", "--repo", "deploy", "--no-upload", "--installable", installable];
        ok(&desk.writ(&args))
    };
    push("./shop#web");
    assert_eq!(desk.landed().lines().next(), Some(format!("web: 1.2.4 ({short})").as_str()));
    fs::write(shop.join("main.c"), "int x;").unwrap();
    push("./shop#web");
    assert!(desk.read("web").contains(&format!("revision = \"{short}-dirty\"")));
}

#[test]
fn two_people_who_push_different_services_at_once_both_land() {
    let desk = Desk::at_work();
    desk.bob_is_faster("api");
    desk.write("late", &service(ONE, "late", 8002));
    desk.git(&["add", "manifests/services/late.toml"]);
    let told = ok(&desk.push_with(&[]));
    assert!(told.ends_with("pushed"), "{told}");
    let landed = desk.landed();
    let newest: Vec<&str> = landed.lines().take(2).collect();
    assert_eq!(newest, ["web: 1.2.4", "bob's change"]);
    assert_eq!(desk.git(&["log", "-1", "--format=%G?"]), "G");
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), desk.git(&["rev-parse", "@{upstream}"]));
    assert!(desk.read("api").ends_with("# Bob was here\n"));
    assert_eq!(desk.git(&["status", "--short"]), "A  manifests/services/late.toml");
}

#[test]
fn two_people_who_push_the_same_service_are_told_of_each_other() {
    let desk = Desk::at_work();
    let head = desk.git(&["rev-parse", "HEAD"]);
    desk.bob_is_faster("web");
    let refused = desk.push_with(&[]);
    assert_eq!(refused.status.code(), Some(1));
    let bobs =
        ok(&desk.run_in(&desk.dir.path().join("bob"), "git", &["rev-parse", "--short", "HEAD"]));
    let told = String::from_utf8_lossy(&refused.stderr).replace(&bobs, "BOBS");
    let told = told.replace(&desk.dir.path().display().to_string(), "/desk");
    // How long the upload took is another matter.
    let lines = told.lines().filter(|line| !line.starts_with("uploaded "));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
    desk.as_before(&head);
    assert!(desk.uploaded(), "so that the next try is quick");
    desk.git(&["pull", "-q"]);
    ok(&desk.push_with(&[]));
    assert!(desk.read("web").contains(NEW) && desk.read("web").ends_with("# Bob was here\n"));
}

#[test]
fn a_cache_that_does_not_take_it_leaves_everything_as_it_was() {
    let desk = Desk::at_work();
    let head = desk.git(&["rev-parse", "HEAD"]);
    let in_the_way = desk.dir.path().join("cache");
    fs::write(&in_the_way, "").unwrap();
    let refused = desk.push_with(&[]);
    assert_eq!(refused.status.code(), Some(3));
    desk.as_before(&head);
    fs::remove_file(in_the_way).unwrap();
    ok(&desk.push_with(&[]));
}

#[test]
fn a_remote_that_does_not_take_it_leaves_everything_as_it_was() {
    let desk = Desk::at_work();
    let head = desk.git(&["rev-parse", "HEAD"]);
    let hook = desk.dir.path().join("origin.git/hooks/pre-receive");
    fs::write(&hook, "#!/bin/sh\necho not today >&2\nexit 1\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = desk.push_with(&[]);
    assert!(desk.told(&refused).contains("not today"), "{}", desk.told(&refused));
    desk.as_before(&head);
    fs::remove_file(&hook).unwrap();
    fs::remove_file(desk.home().join(".ssh/id_ed25519")).unwrap();
    let unsigned = desk.push_with(&[]);
    assert!(desk.told(&unsigned).contains("see that git can sign"), "{}", desk.told(&unsigned));
    desk.as_before(&head);
}

/// Killed before and after everything that changes something, and run again.
#[test]
fn killed_anywhere_and_run_again_it_lands_once() {
    let desk = Desk::under_the_killer();
    killed_everywhere(&desk);
    // The file of a service that no commit has yet must not get lost.
    desk.git(&["reset", "-q", "--hard", "@{upstream}"]);
    desk.git(&["rm", "-q", "manifests/services/web.toml"]);
    desk.commit("no web");
    desk.git(&["push", "-q"]);
    desk.write("web", &service(ONE, "web", 8000));
    killed_everywhere(&desk);
}

fn killed_everywhere(desk: &Desk) {
    // Paths in git's config are absolute, so each trial is in the same place.
    let kept = tempfile::tempdir().unwrap();
    let copy = |from: &Path, to: &Path| {
        let from = format!("{}/.", from.display());
        ok(&desk.run("cp", &["-a", &from, to.to_str().unwrap()]));
    };
    fs::write(desk.home().join("steps"), "0").unwrap();
    copy(desk.dir.path(), kept.path());
    ok(&desk.push_with(&[]));
    let steps: usize =
        fs::read_to_string(desk.home().join("steps")).unwrap().trim().parse().unwrap();
    assert!(steps > 9, "{steps}");
    for moment in (1..=steps).flat_map(|n| [format!("before {n}"), format!("after {n}")]) {
        for entry in fs::read_dir(desk.dir.path()).unwrap() {
            fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
        copy(kept.path(), desk.dir.path());
        killed(desk, &moment);
    }
}

fn killed(desk: &Desk, moment: &str) {
    let cache = format!("file://{}/cache", desk.dir.path().display());
    let args = ["push", "web", "--repo", "deploy", "--store-path", NEW, "--to", &cache];
    let pushed = |desk: &Desk| desk.landed().matches("web: 1.2.4").count();
    let before = pushed(desk);
    let died = desk.command(desk.dir.path(), "writ", &args).env("WRIT_KILL", moment).output();
    assert_eq!(died.unwrap().status.code(), None, "{moment}");
    let text = desk.read("web");
    assert!(text.starts_with("# web\n") && text.ends_with("PORT = \"8000\"\n"), "{moment}: {text}");
    assert!(desk.uploaded() || !text.contains(NEW), "{moment}");
    let again = desk.push_with(&[]);
    assert!(again.status.success(), "{moment}: {}", desk.told(&again));
    assert_eq!(pushed(desk), before + 1, "{moment}");
    assert!(desk.read("web").contains(NEW), "{moment}");
    assert_eq!(desk.git(&["status", "--short"]), "", "{moment}");
    let both = desk.git(&["rev-parse", "HEAD", "@{upstream}"]);
    let (here, there) = both.split_once('\n').unwrap();
    assert_eq!(here, there, "{moment}");
}

impl Desk {
    /// At work, with a script before git and nix that can kill whoever started them.
    fn under_the_killer() -> Self {
        let desk = Self::at_work();
        let home = desk.home();
        let git = ok(&desk.run("sh", &["-c", "command -v git"]));
        fs::create_dir_all(home.join("real")).unwrap();
        symlink(git, home.join("real/git")).unwrap();
        for name in ["nix", "nix-store", "nix-build"] {
            fs::rename(home.join("bin").join(name), home.join("real").join(name)).unwrap();
        }
        desk.program("bin/git", include_str!("killer.sh"));
        for name in ["nix", "nix-store", "nix-build"] {
            symlink("git", home.join("bin").join(name)).unwrap();
        }
        desk
    }
}

#[test]
fn what_was_committed_and_not_pushed_is_pushed() {
    let desk = Desk::at_work();
    let before = desk.landed();
    ok(&desk.push_with(&["--no-push"]));
    assert_eq!(desk.landed(), before);
    assert_eq!(desk.git(&["log", "-1", "--format=%G? %s"]), "G web: 1.2.4");
    let committed = desk.git(&["rev-parse", "HEAD"]);
    ok(&desk.push_with(&[]));
    assert_eq!(desk.git(&["rev-parse", "@{upstream}"]), committed);
}

#[test]
fn each_step_can_be_left_out() {
    let desk = Desk::at_work();
    let head = desk.git(&["rev-parse", "HEAD"]);
    let shown = ok(&desk.push_with(&["--dry-run"]));
    assert!(shown.contains("on biz") && shown.contains("+storePath"), "{shown}");
    assert!(!desk.uploaded());
    desk.as_before(&head);
    assert_eq!(desk.push_with(&["-i"]).status.code(), Some(2), "nobody can be asked");
    ok(&desk.push_with(&["--no-commit"]));
    assert_eq!(desk.git(&["status", "--short"]), "M manifests/services/web.toml");
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), head);
    // What --no-commit wrote is no change of somebody's.
    ok(&desk.push_with(&["--no-upload"]));
    assert_eq!(desk.git(&["status", "--short"]), "");
}

#[test]
fn a_new_service_is_committed_with_its_file() {
    let desk = Desk::at_work();
    desk.write("shop", "# shop\nhosts = [\"biz\"]\n[exec]\ncommand = \"web\"\n");
    let args = ["push", "shop", "--repo", "deploy", "--store-path", NEW, "--no-upload"];
    ok(&desk.writ(&args));
    assert!(desk.read("shop").starts_with("# shop\n") && desk.read("shop").contains(NEW));
    assert_eq!(desk.git(&["status", "--short"]), "");
    assert_eq!(desk.landed().lines().next(), Some("shop: 1.2.4"));
}

#[test]
fn what_somebody_is_writing_in_the_file_stops_it() {
    let desk = Desk::at_work();
    let written = desk.read("web").replace("8000", "9000");
    desk.write("web", &written);
    let refused = desk.push_with(&[]);
    assert!(desk.told(&refused).contains("not committed"), "{}", desk.told(&refused));
    assert_eq!(desk.read("web"), written);
    assert!(!desk.uploaded());
}

#[test]
fn a_branch_that_went_another_way_is_told_before_anything_is_built() {
    let desk = Desk::at_work();
    desk.bob_is_faster("api");
    ok(&desk.run_in(&desk.dir.path().join("bob"), "git", &["push", "-q"]));
    desk.git(&["commit", "-q", "--allow-empty", "-m", "mine"]);
    let refused = desk.push_with(&[]);
    assert!(desk.told(&refused).contains("git pull --rebase"), "{}", desk.told(&refused));
    assert!(!desk.uploaded());
    desk.git(&["switch", "-q", "--detach"]);
    assert_eq!(desk.push_with(&[]).status.code(), Some(2));
}

#[test]
fn set_writes_the_file_and_says_what_it_cannot() {
    let desk = Desk::at_work();
    let json = desk.deploy().join("manifests/manifest.json");
    fs::write(&json, r#"{ "version": 1, "services": [ { "name": "old" } ] }"#).unwrap();
    let mut told = String::new();
    let set = |service: &str, path: &str| {
        desk.writ(&["set", service, "--file-root", "deploy", "--store-path", path])
    };
    for (service, path) in [("wev", NEW), ("old", NEW), ("zzz", NEW), ("web", &missing())] {
        told.push_str(&format!("$ writ set {service}\n{}", desk.told(&set(service, path))));
    }
    fs::remove_file(json).unwrap();
    desk.write("api", "hosts = [\"biz\"]\nport = 1\n");
    told.push_str(&format!("$ writ set web\n{}", desk.told(&set("web", NEW))));
    desk.git(&["checkout", "-q", "."]);
    assert_eq!(desk.git(&["status", "--short"]), "");
    for _ in 0..2 {
        told.push_str(&format!("$ writ set web\n{}", desk.told(&set("web", NEW))));
    }
    told.push_str(&desk.git(&["diff"]));
    insta::assert_snapshot!(told);
}

fn missing() -> String {
    format!("/nix/store/{ONE}-missing")
}

#[test]
fn what_hosts_would_refuse_is_neither_uploaded_nor_committed() {
    let desk = Desk::at_work();
    let outside = format!("command = \"/nix/store/{ONE}-web/bin/web\"");
    desk.write("web", &desk.read("web").replace("command = \"web\"", &outside));
    let head = desk.commit("an absolute path");
    let refused = desk.push_with(&[]);
    assert!(desk.told(&refused).contains("lies outside of the closure"), "{}", desk.told(&refused));
    assert!(!desk.uploaded());
    desk.as_before(&head);
}

#[test]
fn a_cache_has_to_be_named() {
    let desk = Desk::at_work();
    let push = || desk.writ(&["push", "web", "--repo", "deploy", "--store-path", NEW]);
    assert!(desk.told(&push()).contains("git config writ.cache"));
    let cache = format!("file://{}/cache", Path::new(desk.dir.path()).display());
    desk.git(&["config", "writ.cache", &cache]);
    ok(&push());
    assert!(desk.uploaded());
    let s3 = desk.push_with(&["--to", "ssh://bucket"]);
    assert_eq!(s3.status.code(), Some(2));
}

#[test]
fn a_pushed_commit_names_the_plan_of_each_host_where_that_is_asked_for() {
    let desk = Desk::at_work();
    ok(&desk.push_with(&["--no-upload", "--sign-plan"]));
    let plan = ok(&desk.writ(&["plan", "HEAD", "--repo", "deploy", "--host", "biz"]));
    let digest = plan.lines().find_map(|line| line.strip_prefix("digest  ")).unwrap();
    let message = desk.git(&["log", "-1", "--format=%B"]);
    assert_eq!(message, format!("web: 1.2.4\n\nWrit-Plan: biz {digest}"));
    assert_eq!(desk.landed().lines().next(), Some("web: 1.2.4"));
}

/// This checkout may not have the policy yet that asks for it.
#[test]
fn the_policy_of_what_the_commit_goes_on_top_of_says_whether_plans_are_named() {
    let desk = Desk::at_work();
    let before = desk.git(&["rev-parse", "HEAD"]);
    desk.requires_plans();
    desk.git(&["reset", "-q", "--hard", &before]);
    ok(&desk.push_with(&["--no-upload"]));
    let message = desk.git(&["log", "-1", "--format=%B"]);
    assert!(
        message.ends_with(&format!("\n\nWrit-Plan: biz {}", desk.digest(&["HEAD"]))),
        "{message}"
    );
}

#[test]
fn the_subject_tells_versions_apart_and_can_be_given() {
    let desk = Desk::at_work();
    let old = desk.read("web").replace("-web\"", "-web-1.2.3\"");
    desk.write("web", &old);
    desk.commit("web at 1.2.3");
    ok(&desk.push_with(&["--no-upload"]));
    assert_eq!(desk.landed().lines().next(), Some("web: 1.2.3 -> 1.2.4"));
    let other = format!("/nix/store/{ONE}-web-1.2.4");
    let push = |more: &[&str]| {
        let args = ["push", "web", "--repo", "deploy", "--no-upload", "--store-path"];
        desk.writ(&args.iter().chain(more).copied().collect::<Vec<_>>())
    };
    ok(&push(&[&other]));
    assert_eq!(desk.landed().lines().next(), Some("web: 1.2.4 (7v5m1xq -> 1b9p0v3)"));
    ok(&push(&[NEW, "-m", "web: without the leak\n\nIt grew by 1 MB an hour."]));
    let message = desk.git(&["log", "-1", "--format=%G? %B"]);
    assert_eq!(message, "G web: without the leak\n\nIt grew by 1 MB an hour.");
    assert_eq!(push(&[&other, "-m", ""]).status.code(), Some(2));
}

/// A push that nobody can wait for is one that nobody has seen the end of.
#[test]
fn what_cannot_be_waited_for_is_not_pushed() {
    let desk = Desk::at_work();
    let head = desk.git(&["rev-parse", "HEAD"]);
    let refused = desk.push_with(&["--wait", "--timeout", "1s"]);
    assert_eq!(refused.status.code(), Some(2), "{}", desk.told(&refused));
    let told = desk.told(&refused);
    assert!(told.contains("the verdict of biz cannot be waited for"), "{told}");
    assert!(told.contains("`writ report key`") && told.contains("hosts/biz.toml"), "{told}");
    assert!(!desk.uploaded());
    desk.as_before(&head);
    // With a key, but without a place that could be read.
    desk.names_hosts(&["biz"]);
    let head = desk.git(&["rev-parse", "HEAD"]);
    let gone = format!("dir://{}/gone", desk.dir.path().display());
    desk.git(&["config", "writ.reports", &gone]);
    let refused = desk.push_with(&["--wait", "--timeout", "1s"]);
    assert!(desk.told(&refused).contains("/gone"), "{}", desk.told(&refused));
    desk.as_before(&head);
    fs::create_dir(desk.dir.path().join("gone")).unwrap();
    let silent = desk.push_with(&["--wait", "--timeout", "1s"]);
    assert_eq!(silent.status.code(), Some(3), "{}", desk.told(&silent));
    assert!(desk.landed().contains("web: 1.2.4"));
}

/// Said once, it serves every command that reads or fills a cache.
#[test]
fn the_cache_of_gits_config_serves_every_command() {
    let desk = Desk::at_work();
    let upload = || desk.writ(&["upload", NEW, "--repo", "deploy"]);
    assert!(desk.told(&upload()).contains("git config writ.cache"), "{}", desk.told(&upload()));
    let kit = |more: &[&str]| {
        let args = ["kit", "--host", "biz", "--repo", "deploy", "--out", "kit", "--dry-run"];
        desk.writ(&args.iter().chain(more).copied().collect::<Vec<_>>())
    };
    let plan = || desk.writ(&["plan", "--repo", "deploy", "--all-hosts"]);
    desk.git(&["config", "writ.cache", "ssh://nowhere"]);
    for refused in [upload(), kit(&[]), plan()] {
        assert_eq!(refused.status.code(), Some(2), "{}", desk.told(&refused));
        assert!(desk.told(&refused).contains("ssh://nowhere"), "{}", desk.told(&refused));
    }
    // What is named on the command line counts alone.
    let cache = format!("file://{}/cache", desk.dir.path().display());
    assert!(!desk.told(&kit(&["--from", &cache])).contains("ssh://nowhere"));
    // Plans cannot look into a bucket, and are shown all the same.
    desk.git(&["config", "writ.cache", "s3://acme-nix?region=eu-central-1"]);
    ok(&plan());
    desk.git(&["config", "writ.cache", &cache]);
    desk.git(&["config", "writ.cacheKey", "~/no-such-key"]);
    let keyless = upload();
    let home = desk.home().canonicalize().unwrap();
    assert!(
        desk.told(&keyless).contains("/desk/home/no-such-key"),
        "{} {}",
        home.display(),
        desk.told(&keyless)
    );
    desk.git(&["config", "--unset", "writ.cacheKey"]);
    ok(&upload());
    assert!(desk.uploaded());
}

#[test]
fn a_kit_of_a_commit_that_no_remote_has_says_so() {
    let desk = Desk::with_hosts(&["lonely"]).with_nix();
    let kit = || {
        let args = ["kit", "--host", "lonely", "--repo", "deploy", "--out", "kit", "--dry-run"];
        desk.told(&desk.writ(&args))
    };
    assert!(!kit().contains("no remote has"), "{}", kit());
    desk.commit_of("a note");
    let told = kit();
    assert!(told.contains("warning: no remote has commit") && told.ends_with("exit 0\n"), "{told}");
    desk.git(&["push", "-q"]);
    assert!(!kit().contains("no remote has"), "{}", kit());
}

impl Desk {
    fn commit_of(&self, message: &str) {
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }
}
