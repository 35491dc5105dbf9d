//! `writ revert`: the way back, signed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Output;

use crate::desk::{Desk, ok};

pub(crate) const ONE: &str = "1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf";
const TWO: &str = "7v5m1xq0w2z9c8b6n4l3k1j0h2g5f8da";

pub(crate) fn service(hash: &str, name: &str, port: u16) -> String {
    format!(
        "# {name}\nhosts = [\"biz\"]\n[artifact]\nstorePath = \"/nix/store/{hash}-{name}\"\n[exec]\ncommand = \"{name}\"\n[env]\nPORT = \"{port}\"\n"
    )
}

impl Desk {
    /// A deploy repository with the services web and api, cloned from where it is
    /// pushed to.
    pub(crate) fn with_services() -> Self {
        let desk = Self::new();
        ok(&desk.writ(&["init", "deploy", "--host", "biz"]));
        desk.write("web", &service(ONE, "web", 8000));
        desk.write("api", &service(ONE, "api", 8001));
        desk.commit("web and api");
        ok(&desk.run("git", &["init", "-q", "--bare", "-b", "main", "origin.git"]));
        desk.git(&["remote", "add", "origin", "../origin.git"]);
        desk.git(&["push", "-q", "-u", "origin", "main"]);
        desk
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let folder = self.deploy().join("manifests/services");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.toml")), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.deploy().join(format!("manifests/services/{name}.toml"));
        fs::read_to_string(path).unwrap()
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Both services, changed by one commit.
    fn both_changed(&self) -> String {
        self.write("web", &service(TWO, "web", 8000));
        self.write("api", &service(TWO, "api", 8001));
        self.commit("both to two")
    }

    fn revert(&self, args: &[&str]) -> Output {
        let args: Vec<&str> = ["revert", "--repo", "deploy"].iter().chain(args).copied().collect();
        self.writ(&args)
    }

    fn untouched(&self, head: &str) {
        assert_eq!(self.git(&["rev-parse", "HEAD"]), head);
        assert_eq!(self.git(&["status", "--short"]), "");
        assert!(!self.deploy().join(".git/REVERT_HEAD").exists());
    }
}

#[test]
fn a_commit_is_taken_back_whole_signed_and_pushed() {
    let desk = Desk::with_services();
    let before = desk.git(&["rev-parse", "HEAD^{tree}"]);
    desk.both_changed();
    desk.git(&["push", "-q"]);
    let told = ok(&desk.revert(&["HEAD", "--push"]));
    assert_eq!(desk.git(&["rev-parse", "HEAD^{tree}"]), before);
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), desk.git(&["rev-parse", "@{upstream}"]));
    assert_eq!(desk.git(&["log", "-1", "--format=%G? %GS"]), "G alice");
    let short = desk.git(&["log", "-1", "--format=%h"]);
    let both = desk.git(&["rev-parse", "HEAD^"]);
    let body = desk.git(&["log", "-1", "--format=%B"]).replace(&both, "BOTH");
    insta::assert_snapshot!(format!("{}\n---\n{body}", told.replace(&short, "REVERT")));
}

#[test]
fn one_service_is_taken_back_and_the_other_stays() {
    let desk = Desk::with_services();
    let bad = desk.both_changed();
    desk.write("web", &(desk.read("web") + "# looked at\n"));
    desk.commit("a note");
    ok(&desk.revert(&[&bad, "--service", "web"]));
    assert_eq!(desk.read("web"), service(ONE, "web", 8000) + "# looked at\n");
    assert_eq!(desk.read("api"), service(TWO, "api", 8001));
    assert_eq!(desk.git(&["log", "-1", "--format=%G? %s"]), "G web: Revert \"both to two\"");
}

#[test]
fn a_service_that_was_added_is_taken_away_again() {
    let desk = Desk::with_services();
    desk.write("late", &service(TWO, "late", 8002));
    desk.commit("late");
    ok(&desk.revert(&["HEAD", "--service", "late"]));
    assert!(!desk.deploy().join("manifests/services/late.toml").exists());
}

#[test]
fn a_merge_is_taken_back_whole() {
    let desk = Desk::with_services();
    let before = desk.git(&["rev-parse", "HEAD^{tree}"]);
    desk.git(&["switch", "-q", "-c", "two"]);
    desk.both_changed();
    desk.git(&["switch", "-q", "main"]);
    desk.git(&["merge", "-q", "--no-ff", "-m", "merge two", "two"]);
    ok(&desk.revert(&["HEAD"]));
    assert_eq!(desk.git(&["rev-parse", "HEAD^{tree}"]), before);
}

#[test]
fn what_was_built_upon_is_not_half_taken_back() {
    let desk = Desk::with_services();
    let bad = desk.both_changed();
    desk.write("web", &service(ONE, "web", 8000).replace("-web\"", "-web-3\""));
    let head = desk.commit("web to three");
    for args in [vec![bad.as_str()], vec![bad.as_str(), "--service", "web"]] {
        let refused = desk.revert(&args);
        assert_eq!(refused.status.code(), Some(1));
        assert!(desk.told(&refused).contains("cannot be taken back cleanly"));
        desk.untouched(&head);
    }
    ok(&desk.revert(&[&bad, "--service", "api"]));
}

#[test]
fn a_result_that_hosts_would_refuse_is_not_committed() {
    let desk = Desk::with_services();
    desk.write("late", &service(TWO, "late", 8002));
    let late = desk.commit("late");
    desk.write("api", &("dependsOn = [\"late\"]\n".to_owned() + &service(ONE, "api", 8001)));
    let head = desk.commit("api needs late");
    let refused = desk.revert(&[&late]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(desk.told(&refused).contains("hosts would refuse the result"));
    desk.untouched(&head);
}

#[test]
fn a_dry_run_shows_and_changes_nothing() {
    let desk = Desk::with_services();
    let head = desk.both_changed();
    let told = ok(&desk.revert(&["HEAD", "--dry-run"]));
    assert!(told.contains("on biz"), "{told}");
    desk.untouched(&head);
}

#[test]
fn changes_that_are_not_committed_stop_it() {
    let desk = Desk::with_services();
    desk.both_changed();
    desk.write("web", "# being written\n");
    let refused = desk.revert(&["HEAD"]);
    assert!(desk.told(&refused).contains("not committed"));
    assert_eq!(desk.read("web"), "# being written\n");
}

/// Its second parent would be part of the revert, or be forgotten.
#[test]
fn a_merge_that_is_under_way_stops_it() {
    let desk = Desk::with_services();
    desk.both_changed();
    desk.git(&["switch", "-q", "-c", "empty", "HEAD^"]);
    desk.git(&["commit", "-q", "--allow-empty", "-m", "nothing"]);
    desk.git(&["switch", "-q", "main"]);
    desk.git(&["merge", "-q", "--no-ff", "--no-commit", "empty"]);
    let refused = desk.revert(&["HEAD"]);
    assert!(desk.told(&refused).contains("it has a MERGE_HEAD"), "{}", desk.told(&refused));
    assert!(desk.deploy().join(".git/MERGE_HEAD").exists());
}

#[test]
fn a_commit_that_cannot_be_signed_leaves_no_trace() {
    let desk = Desk::with_services();
    let head = desk.both_changed();
    fs::remove_file(desk.home().join(".ssh/id_ed25519")).unwrap();
    assert_eq!(desk.revert(&["HEAD"]).status.code(), Some(1));
    desk.untouched(&head);
}

#[test]
fn taking_back_twice_says_so() {
    let desk = Desk::with_services();
    let bad = desk.both_changed();
    ok(&desk.revert(&[&bad]));
    let again = desk.revert(&[&bad]);
    assert!(desk.told(&again).contains("nothing to take back"), "{}", desk.told(&again));
    assert_eq!(desk.revert(&["no-such"]).status.code(), Some(2));
}

/// The commit is what counts, and not what else somebody is writing.
#[test]
fn a_file_that_no_commit_has_is_no_part_of_the_plan() {
    let desk = Desk::with_services();
    desk.requires_plans();
    desk.both_changed();
    desk.write("late", &service(TWO, "late", 8002));
    let told = ok(&desk.revert(&["HEAD"]));
    assert!(!told.contains("late"), "{told}");
    let message = desk.git(&["log", "-1", "--format=%B"]);
    assert!(
        message.ends_with(&format!("\n\nWrit-Plan: biz {}", desk.digest(&["HEAD"]))),
        "{message}"
    );
    desk.write("late", "hots = 1\n");
    ok(&desk.revert(&["HEAD"]));
}

/// Whatever git's config makes of trailers.
#[test]
fn the_plan_is_named_where_hosts_look_for_it() {
    let desk = Desk::with_services();
    for (key, value) in [("trailer.separators", "="), ("trailer.ifmissing", "doNothing")] {
        desk.git(&["config", key, value]);
    }
    desk.requires_plans();
    desk.both_changed();
    ok(&desk.revert(&["HEAD"]));
    let line = format!("Writ-Plan: biz {}", desk.digest(&["HEAD"]));
    assert!(desk.git(&["log", "-1", "--format=%B"]).ends_with(&line));
    // A message whose end would hide it is told, and HEAD stays as it is.
    let bad = "odd\n\nReviewed-by: x\n# a note\n";
    fs::write(desk.dir.path().join("message"), bad).unwrap();
    desk.both_changed();
    desk.git(&["commit", "-q", "--amend", "--cleanup=verbatim", "-F", "../message"]);
    let head = desk.git(&["rev-parse", "HEAD"]);
    let signed = desk.run_in(&desk.deploy(), "writ", &["plan", "--sign"]);
    let named = desk.git(&["log", "-1", "--format=%B"]).contains(&desk.digest(&["HEAD"]));
    let told = desk.told(&signed);
    assert!(
        named || signed.status.code() == Some(1) && desk.git(&["rev-parse", "HEAD"]) == head,
        "{told}"
    );
}

#[test]
fn whatever_git_pushes_by_default_only_this_branch_goes_out() {
    let desk = Desk::with_services();
    desk.git(&["config", "push.default", "matching"]);
    desk.git(&["push", "-q", "origin", "main:other"]);
    desk.git(&["branch", "-q", "other"]);
    desk.git(&["switch", "-q", "other"]);
    desk.write("late", &service(TWO, "late", 8002));
    desk.commit("on its way");
    desk.git(&["switch", "-q", "main"]);
    desk.both_changed();
    ok(&desk.revert(&["HEAD", "--push"]));
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), desk.git(&["rev-parse", "origin/main"]));
    assert_ne!(desk.git(&["rev-parse", "other"]), desk.git(&["rev-parse", "origin/other"]));
}

#[test]
fn what_others_pushed_is_looked_at_before_anything_is_taken_back() {
    let desk = Desk::with_services();
    let head = desk.both_changed();
    desk.git(&["push", "-q"]);
    ok(&desk.run("git", &["clone", "-q", "origin.git", "bob"]));
    let bob = desk.dir.path().join("bob");
    ok(&desk.run_in(&bob, "git", &["commit", "-q", "--allow-empty", "-m", "bob's"]));
    ok(&desk.run_in(&bob, "git", &["push", "-q"]));
    let refused = desk.revert(&["HEAD", "--push"]);
    assert!(desk.told(&refused).contains("origin has commits that are not here"));
    assert_eq!(refused.status.code(), Some(1));
    desk.untouched(&head);
}

/// Hosts refuse it below manifests/, and so it has to be possible to take it back.
#[test]
fn a_name_that_is_not_utf_8_is_refused_early_and_can_be_taken_back() {
    let desk = Desk::with_services();
    let before = desk.git(&["rev-parse", "HEAD^{tree}"]);
    fs::write(desk.deploy().join("manifests").join(OsStr::from_bytes(b"caf\xe9")), "").unwrap();
    desk.git(&["add", "-A"]);
    let refused = desk.run_in(&desk.deploy(), "git", &["commit", "-q", "-m", "coffee"]);
    let told = desk.told(&refused);
    assert!(told.contains("caf\\xe9\" is not UTF-8") && !refused.status.success(), "{told}");
    desk.git(&["commit", "-q", "--no-verify", "-m", "coffee"]);
    ok(&desk.revert(&["HEAD"]));
    assert_eq!(desk.git(&["rev-parse", "HEAD^{tree}"]), before);
}

/// Somebody's key may be listed again by it.
#[test]
fn a_change_of_who_may_sign_is_told() {
    let desk = Desk::with_services();
    let policy = desk.deploy().join(".writ/policy.toml");
    fs::write(&policy, fs::read_to_string(&policy).unwrap() + "# looked at\n").unwrap();
    desk.commit("a note");
    let told = ok(&desk.revert(&["HEAD", "--dry-run"]));
    assert!(told.contains("changes who may do what: .writ/policy.toml"), "{told}");
}

impl Desk {
    /// Three versions of web, each built upon the one before; the commits, oldest first.
    fn three_versions(&self) -> Vec<String> {
        let one = self.git(&["rev-parse", "HEAD"]);
        let next = |version: &str, port: u16| {
            let text = service(TWO, "web", port).replace("-web\"", &format!("-web-{version}\""));
            self.write("web", &text);
            self.commit(&format!("web to {version}"))
        };
        vec![one, next("2.0", 8000), next("3.0", 9000)]
    }
}

#[test]
fn a_service_goes_back_to_what_it_was_whatever_was_built_upon_it() {
    let desk = Desk::with_services();
    let versions = desk.three_versions();
    desk.write("api", &service(TWO, "api", 8001));
    desk.commit("api to two");
    desk.git(&["push", "-q"]);
    let second = desk.git(&["show", &format!("{}:manifests/services/web.toml", versions[1])]);
    let told = ok(&desk.revert(&["--service", "web", "--to", &versions[1], "--push"]));
    assert!(told.contains("on biz") && told.contains("restart web"), "{told}");
    assert!(told.ends_with("pushed"), "{told}");
    assert_eq!(desk.read("web").trim_end(), second);
    assert_eq!(desk.read("api"), service(TWO, "api", 8001));
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), desk.git(&["rev-parse", "@{upstream}"]));
    let short = &versions[1][..10];
    let message = desk.git(&["log", "-1", "--format=%G? %B"]);
    assert_eq!(
        message,
        format!(
            "G web: 3.0 -> 2.0 (back to {short})\n\nThis puts manifests/services/web.toml back to what it was at commit\n{}.",
            versions[1]
        )
    );
}

#[test]
fn a_service_goes_back_to_a_day() {
    let desk = Desk::with_services();
    desk.write("web", &service(TWO, "web", 8000));
    desk.git(&["add", "-A"]);
    let dated = |day: &str, message: &str| {
        let date = format!("{day}T12:00:00+0000");
        let args = ["commit", "-q", "--allow-empty", "-m", message];
        let mut command = desk.command(&desk.deploy(), "git", &args);
        ok(&command.env("GIT_COMMITTER_DATE", date).output().unwrap());
    };
    dated("2031-06-02", "on Monday");
    desk.write("web", &service(ONE, "web", 9000));
    desk.git(&["add", "-A"]);
    dated("2031-06-04", "on Wednesday");
    ok(&desk.revert(&["--service", "web", "--to", "2031-06-03"]));
    assert_eq!(desk.read("web"), service(TWO, "web", 8000));
    let before = desk.revert(&["--service", "web", "--to", "1999-01-01"]);
    assert_eq!(before.status.code(), Some(2));
    assert!(desk.told(&before).contains("had no commit yet at the end of 1999-01-01"));
}

#[test]
fn a_service_goes_back_to_a_generation_of_this_host() {
    let desk = Desk::with_services();
    let versions = desk.three_versions();
    let config = desk.is_a_host(&versions[1]);
    let to = |generation: &str| {
        desk.revert(&["--service", "web", "--to", generation, "--config", &config])
    };
    let unknown = to("9");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(desk.told(&unknown).contains("generation 9 is not known here"));
    ok(&to("4"));
    assert!(desk.read("web").contains("-web-2.0"), "{}", desk.read("web"));
    let elsewhere = desk.revert(&["--service", "web", "--to", "4", "--config", "/none.toml"]);
    assert_eq!(elsewhere.status.code(), Some(2));
    assert!(desk.told(&elsewhere).contains("`writ log` there tells the commit of each"));
}

impl Desk {
    /// This machine is a host, too, whose generation 4 is a commit's.
    fn is_a_host(&self, commit: &str) -> String {
        let state = self.dir.path().join("state");
        let generation = state.join("generations/4");
        fs::create_dir_all(&generation).unwrap();
        let record = format!(
            r#"{{"version":1,"commit":"{commit}","signer":"alice","key":"SHA256:{}","author":"Alice","subject":"s","committed":1,"accepted":"2026-01-01T00:00:00Z"}}"#,
            "A".repeat(43)
        );
        fs::write(generation.join("commit.json"), record).unwrap();
        let config = self.dir.path().join("agent.toml");
        fs::write(
            &config,
            format!(
                "host = \"biz\"\nstateDirectory = {state:?}\n[repository]\nid = \"acme\"\nurl = \"https://git.acme.example/deploy.git\"\nbranch = \"main\"\nintroduction = \"{commit}\"\nintroducer = \"SHA256:{}\"\n",
                "A".repeat(43)
            ),
        )
        .unwrap();
        config.display().to_string()
    }
}

#[test]
fn what_cannot_go_back_is_told_with_what_there_was() {
    let desk = Desk::with_services();
    let versions = desk.three_versions();
    let to = |to: &str| desk.revert(&["--service", "web", "--to", to]);
    let unknown = to("no-such");
    assert_eq!(unknown.status.code(), Some(2));
    let told = desk.told(&unknown);
    assert!(told.contains("web to 2.0") && told.contains("web to 3.0"), "{told}");
    let same = to("HEAD");
    assert_eq!(same.status.code(), Some(1));
    assert!(desk.told(&same).contains("is the same now"), "{}", desk.told(&same));
    let introduction = desk.git(&["rev-list", "--max-parents=0", "HEAD"]);
    let never = to(&introduction);
    assert_eq!(never.status.code(), Some(1));
    assert!(desk.told(&never).contains("there was no manifests/services/web.toml"));
    // A commit that cannot be taken back names what can.
    let conflict = desk.revert(&[&versions[1], "--service", "web"]);
    let hint = format!("writ revert --service web --to {}", &versions[0][..7]);
    assert!(desk.told(&conflict).contains(&hint), "{}", desk.told(&conflict));
    assert_eq!(desk.revert(&["--to", "HEAD"]).status.code(), Some(2), "of which service");
    desk.untouched(&versions[2]);
}

/// Nobody would get it back.
#[test]
fn a_file_that_no_commit_has_is_not_written_over() {
    let desk = Desk::with_services();
    let before = desk.git(&["rev-parse", "HEAD"]);
    desk.git(&["rm", "-q", "manifests/services/web.toml"]);
    desk.commit("no web");
    desk.write("web", "# being written\n");
    let refused = desk.revert(&["--service", "web", "--to", &before]);
    assert!(desk.told(&refused).contains("no commit has it"), "{}", desk.told(&refused));
    assert_eq!(desk.read("web"), "# being written\n");
    fs::remove_file(desk.deploy().join("manifests/services/web.toml")).unwrap();
    ok(&desk.revert(&["--service", "web", "--to", &before]));
    assert_eq!(desk.read("web"), service(ONE, "web", 8000));
}
