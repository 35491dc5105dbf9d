//! The commands as a person runs them: what they print and how they exit.

#[path = "trust/forge.rs"]
mod forge;
#[path = "cli/help.rs"]
mod help;
#[path = "cli/programs.rs"]
mod json;
#[path = "cli/output.rs"]
mod output;
#[path = "cli/terminal.rs"]
mod terminal;

use std::path::Path;
use std::process::{Command, Output};

use forge::Forge;
use tempfile::TempDir;

const HASH_ONE: &str = "1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf";
const HASH_TWO: &str = "7v5m1xq0w2z9c8b6n4l3k1j0h2g5f8da";

fn writ(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(args)
        .current_dir(dir)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

/// Everything that was printed, and the exit code.
fn told(output: &Output) -> String {
    format!(
        "{}{}exit {}\n",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().unwrap()
    )
}

fn web(hash: &str, version: &str) -> String {
    format!(
        "hosts = [\"biz\"]\n[artifact]\nstorePath = \"/nix/store/{hash}-web-{version}\"\nclosureSize = 52428800\n[exec]\ncommand = \"web\"\n[http]\ndomain = \"example.org\"\ninternalPort = 8000\n[health]\npath = \"/health\"\n"
    )
}

fn api() -> String {
    web(HASH_TWO, "9").replace("example.org", "api.example.org").replace("8000", "8001")
}

/// A checkout with two commits: `web` 1, then `web` 2 and `api`.
fn checkout() -> TempDir {
    let forge = Forge::new();
    let first = forge
        .commit("alice")
        .file("manifests/hosts/biz.toml", "tags = [\"web\"]\n")
        .file("manifests/services/web.toml", web(HASH_ONE, "1"))
        .make();
    let second = forge
        .commit("alice")
        .on(&first)
        .file("manifests/services/web.toml", web(HASH_TWO, "2"))
        .file("manifests/services/api.toml", api())
        .make();
    forge.git(["update-ref", "refs/heads/main", second.as_str()], b"");
    let dir = tempfile::tempdir().unwrap();
    let cloned = Command::new("git")
        .args(["clone", "-q"])
        .arg(forge.git_dir())
        .arg(dir.path())
        .status()
        .unwrap();
    assert!(cloned.success());
    dir
}

#[test]
fn check_says_that_all_is_well() {
    let dir = checkout();
    insta::assert_snapshot!(told(&writ(dir.path(), &["check"])));
}

#[test]
fn check_tells_every_problem_at_once_and_exits_1() {
    let dir = checkout();
    let services = dir.path().join("manifests/services");
    std::fs::write(services.join("web.toml"), web(HASH_TWO, "2").replace("storePath", "sotrePath"))
        .unwrap();
    std::fs::write(services.join("api.toml"), api().replace("8001", "\"8001\"")).unwrap();
    std::fs::write(services.join("jobs.toml"), "hosts = [\"biz\"\n").unwrap();
    insta::assert_snapshot!(told(&writ(dir.path(), &["check"])));
    let json = writ(dir.path(), &["check", "--json"]);
    let problems: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let files: Vec<_> =
        problems["problems"].as_array().unwrap().iter().map(|p| &p["file"]).collect();
    assert!(files.len() >= 3, "{problems}");
    assert_eq!(json.status.code(), Some(1));
}

/// One person could take the threshold away; what is wrong beside it decides how the
/// command exits.
#[test]
fn check_warns_of_a_policy_that_does_not_protect_itself() {
    let dir = checkout();
    let (forge, writ_folder) = (Forge::new(), dir.path().join(".writ"));
    let policy = |paths: &str| {
        format!(
            "channel = \"acme-infra:main\"\n[principals.alice]\nroles = [\"admin\"]\n[principals.bob]\nroles = [\"admin\"]\n[principals.dave]\nroles = [\"admin\"]\n[[protect]]\npaths = [{paths}]\nthreshold = 2\n"
        )
    };
    std::fs::create_dir(&writ_folder).unwrap();
    let signers = forge.signers(&["alice", "bob", "dave"]);
    std::fs::write(writ_folder.join("allowed_signers"), signers).unwrap();
    let rules = writ_folder.join("policy.toml");
    std::fs::write(&rules, policy("\"manifests/**\"")).unwrap();
    insta::assert_snapshot!(told(&writ(dir.path(), &["check"])));
    let json = writ(dir.path(), &["check", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(found["warnings"].as_array().unwrap().len(), 1, "{found}");

    std::fs::write(&rules, policy("\".writ/**\", \"manifests/**\"")).unwrap();
    assert!(!told(&writ(dir.path(), &["check"])).contains("warning"));
    std::fs::write(&rules, "channel = 1\n").unwrap();
    let invalid = told(&writ(dir.path(), &["check"]));
    assert!(
        invalid.contains("refused by rule P1 (policy-malformed): .writ/policy.toml"),
        "{invalid}"
    );
    assert!(invalid.ends_with("exit 1\n"), "{invalid}");
    let json = writ(dir.path(), &["check", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(found["violations"][0]["rule"], "P1", "{found}");
}

#[test]
fn check_outside_of_a_deploy_repository_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let output = writ(dir.path(), &["check", "."]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("has no folder `manifests`"), "{}", told(&output));
}

#[test]
fn plan_shows_what_a_commit_would_do() {
    let dir = checkout();
    insta::assert_snapshot!(told(&writ(dir.path(), &["plan", "HEAD", "--host", "biz"])));
}

#[test]
fn plan_of_an_unchanged_working_tree_is_nothing() {
    let dir = checkout();
    let output = writ(dir.path(), &["plan", "--host", "biz"]);
    assert_eq!(told(&output), "nothing to do\nexit 0\n");
}

#[test]
fn plan_shows_a_new_host_everything() {
    let dir = checkout();
    insta::assert_snapshot!(told(&writ(dir.path(), &["plan", "--host", "biz", "--from", "none"])));
}

#[test]
fn plan_tells_when_the_deploy_window_opens() {
    let dir = checkout();
    // Once in four years.
    let window = "timezone = \"Europe/Berlin\"\nwindows = [\"0 30 2 29 2 *\"]\n";
    std::fs::write(dir.path().join("manifests/hosts/biz.toml"), window).unwrap();
    let output = writ(dir.path(), &["plan", "--host", "biz", "--from", "none"]);
    let text = told(&output);
    let line = text.lines().next().unwrap();
    assert!(line.starts_with("waits   the deploy window opens 20"), "{text}");
    assert!(line.ends_with("-02-29 02:30 Europe/Berlin"), "{text}");
    assert!(text.contains("\nstart   api"), "the plan itself is shown too: {text}");
    let quiet = writ(dir.path(), &["plan", "--host", "biz"]);
    assert_eq!(told(&quiet), "nothing to do\nexit 0\n", "what changes nothing waits for nothing");
}

#[test]
fn plan_is_json_for_programs() {
    let dir = checkout();
    let output = writ(dir.path(), &["plan", "HEAD", "--host", "biz", "--json"]);
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let steps: Vec<_> = plan["hosts"]["biz"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["fetch", "switch", "restart", "start", "route", "watch"]);
}

#[test]
fn plan_for_an_unknown_host_names_those_there_are() {
    let dir = checkout();
    let output = writ(dir.path(), &["plan", "--host", "bitz"]);
    assert_eq!(
        told(&output),
        "error: the manifest names no host `bitz`; it names: biz\nhint: writ host add bitz adds it\nexit 2\n"
    );
}

#[test]
fn a_wrong_command_line_exits_2() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(writ(dir.path(), &["plan"]).status.code(), Some(2));
    assert_eq!(writ(dir.path(), &["deploy"]).status.code(), Some(2));
}

#[test]
fn a_config_with_a_mistake_names_its_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("agent.toml"), "host = \"biz\"\nrepo = 3\n").unwrap();
    let output = writ(dir.path(), &["agent", "--once", "--config", "agent.toml"]);
    let told = told(&output);
    assert!(told.contains("agent.toml") && told.contains("line 2"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let dir = tempfile::tempdir().unwrap();
    for command in [
        &["agent"][..],
        &["status"],
        &["sync"],
        &["check"],
        &["plan"],
        &["verify"],
        &["log"],
        &["show"],
        &["doctor"],
        &["diff"],
        &["events"],
        &["pause"],
        &["resume"],
        &["trust", "show"],
        &["trust", "reset"],
        &["trust", "add-signer"],
        &["trust", "revoke"],
        &["trust", "rotate"],
        &["trust", "approve"],
        &["trust", "head"],
        &["trust", "recover"],
    ] {
        let output = writ(dir.path(), &[command, &["--help"]].concat());
        let text = told(&output);
        assert!(text.contains("Example: writ"), "{command:?}: {text}");
    }
}

#[test]
fn diff_of_two_commits_tells_what_they_ask_differently() {
    let dir = checkout();
    let output = writ(dir.path(), &["diff", "HEAD^", "HEAD", "--host", "biz"]);
    insta::assert_snapshot!(told(&output));
    let tree = writ(dir.path(), &["diff", "HEAD", "--host", "biz"]);
    assert_eq!(told(&tree), "HEAD → the working tree, not verified\nno difference\nexit 0\n");
    let unknown = writ(dir.path(), &["diff", "HEAD", "--host", "bitz"]);
    assert_eq!(
        told(&unknown),
        "error: neither manifest names the host `bitz`; they name: biz\nexit 2\n"
    );
}
