//! What CI runs, step by step as a runner does: the workflow that `writ init` writes, and
//! the one of docs/pushing.md.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::desk::{Desk, ok};

/// A cache's secret key: a seed of 32 bytes of seven, and its public half.
const CACHE_KEY: &str =
    "k1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwfqSmxj4pxSCr71UHsTLsX5lUd2rr6+e5JCHuppFEbSLA==";

/// The scripts of a workflow's steps, in their order.
fn scripts(workflow: &str) -> Vec<String> {
    let mut lines = workflow.lines().peekable();
    let mut scripts = Vec::new();
    let indent = |line: &str| line.len() - line.trim_start().len();
    while let Some(line) = lines.next() {
        let Some((before, script)) = line.split_once("run: ") else { continue };
        let mut script = script.to_owned();
        if script == "|" {
            script.clear();
            while let Some(line) = lines.next_if(|line| indent(line) > before.len()) {
                script += &format!("{}\n", line.trim_start());
            }
        }
        scripts.push(script);
    }
    scripts
}

impl Desk {
    /// As runners do it.
    fn step(&self, dir: &Path, script: &str, environment: &[(&str, &str)]) -> Output {
        let mut step = self.command(dir, "bash", &["-e", "-c", script]);
        step.envs(environment.iter().copied()).output().unwrap()
    }

    /// Whether each step of the deploy repository's own workflow passes.
    fn passes(&self) -> Vec<bool> {
        let folders = [".github", ".forgejo"];
        let [workflow, other] = folders.map(|folder| {
            fs::read_to_string(self.deploy().join(folder).join("workflows/writ.yml")).unwrap()
        });
        assert_eq!(workflow, other);
        let step = |script: &String| self.step(&self.deploy(), script, &[]).status.success();
        scripts(&workflow).iter().map(step).collect()
    }
}

#[test]
fn the_workflow_of_a_new_repository_refuses_what_hosts_would() {
    let desk = Desk::with_services();
    assert_eq!(desk.passes(), [true, true]);
    desk.git(&["-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-m", "unsigned"]);
    assert_eq!(desk.passes(), [true, false]);
    desk.git(&["reset", "-q", "--hard", "HEAD^"]);
    desk.write("web", "hosts = [");
    desk.git(&["commit", "-q", "--no-verify", "-am", "a mistake"]);
    assert_eq!(desk.passes(), [false, true]);
}

#[test]
fn the_recipe_of_the_documentation_builds_uploads_and_deploys() {
    let desk = Desk::with_services().with_nix();
    let key = desk.make_key("ci");
    let public = key.with_extension("pub");
    let add = ["trust", "add-signer", "ci", "--grant", "manifests/services/web.toml", "--key"];
    let add: Vec<&str> = add.into_iter().chain([public.to_str().unwrap()]).collect();
    ok(&desk.run_in(&desk.deploy(), "writ", &add));
    let policy = desk.deploy().join(".writ/policy.toml");
    let text = fs::read_to_string(&policy).unwrap();
    let only = "[principals.ci]\nonly = [\"artifact\", \"revision\"]\n";
    // The first stands in a comment.
    let (before, after) = text.rsplit_once("[principals.ci]\n").unwrap();
    fs::write(&policy, [before, only, after].concat()).unwrap();
    desk.commit("a key for CI");
    desk.git(&["push", "-q"]);

    let place = |name: &str| desk.dir.path().join(name).display().to_string();
    let (workspace, temporary) = (place("source"), place("runner"));
    for folder in [&workspace, &temporary] {
        fs::create_dir(folder).unwrap();
    }
    ok(&desk.run_in(Path::new(&workspace), "git", &["init", "-q"]));
    let (cache, deploy) = (format!("file://{}", place("cache")), place("origin.git"));
    let secret = fs::read_to_string(key).unwrap();
    let environment = [
        ("CACHE", &*cache),
        ("CACHE_KEY", CACHE_KEY),
        ("CI_KEY", &*secret),
        ("DEPLOY_URL", &*deploy),
        ("GITHUB_WORKSPACE", &*workspace),
        ("RUNNER_TEMP", &*temporary),
    ];
    let docs = include_str!("../../docs/pushing.md");
    let (_, recipe) = docs.split_once("```yaml\n   on: push\n").unwrap();
    let steps = scripts(recipe.split("```").next().unwrap());
    assert_eq!(steps.len(), 3, "{steps:?}");
    for script in &steps {
        ok(&desk.step(Path::new(&workspace), script, &environment));
    }
    desk.git(&["pull", "-q"]);
    assert_eq!(desk.git(&["log", "-1", "--format=%G? %GS"]), "G ci");
    assert_eq!(desk.git(&["diff", "--name-only", "HEAD^"]), "manifests/services/web.toml");
    assert!(desk.read("web").contains(crate::push::NEW));
    let introduction = desk.git(&["rev-list", "--max-parents=0", "HEAD"]);
    let verify = ["verify", "--introduction", &introduction];
    assert!(ok(&desk.run_in(&desk.deploy(), "writ", &verify)).starts_with("accepted"));
}
