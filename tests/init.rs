//! `writ init` as a new operator runs it, with real git and real keys.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A person's home with a key, and a place to work in.
struct Desk {
    dir: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(desk.home().join(".ssh")).unwrap();
        desk.make_key("id_ed25519");
        for (name, value) in [("user.name", "Alice"), ("user.email", "Alice@acme.example")] {
            ok(&desk.run("git", &["config", "--global", name, value]));
        }
        desk
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn deploy(&self) -> PathBuf {
        self.dir.path().join("deploy")
    }

    fn make_key(&self, name: &str) -> PathBuf {
        let path = self.home().join(".ssh").join(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "alice@desk", "-f"])
            .arg(&path)
            .output()
            .unwrap();
        ok(&made);
        path
    }

    fn run(&self, program: &str, args: &[&str]) -> Output {
        self.run_in(self.dir.path(), program, args)
    }

    fn run_in(&self, dir: &Path, program: &str, args: &[&str]) -> Output {
        let bin = Path::new(env!("CARGO_BIN_EXE_writ")).parent().unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        Command::new(program)
            .args(args)
            .current_dir(dir)
            .env("HOME", self.home())
            .env("PATH", path)
            .env("NO_COLOR", "1")
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("XDG_CONFIG_HOME")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap()
    }

    fn writ(&self, args: &[&str]) -> Output {
        self.run("writ", args)
    }

    fn git(&self, args: &[&str]) -> String {
        ok(&self.run_in(&self.deploy(), "git", args))
    }

    /// Everything that was printed, without what differs from run to run.
    fn told(&self, output: &Output) -> String {
        let mut text = format!(
            "{}{}exit {}\n",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            output.status.code().unwrap()
        );
        if let Some(head) = stdout(&self.run_in(&self.deploy(), "git", &["rev-parse", "HEAD"])) {
            text = text.replace(&head, "INTRODUCTION");
        }
        let key = fs::read_to_string(self.home().join(".ssh/id_ed25519.pub")).unwrap();
        text.replace(&fingerprint(&key), "SHA256:alice")
            .replace(&self.dir.path().canonicalize().unwrap().display().to_string(), "/desk")
    }
}

fn stdout(output: &Output) -> Option<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    output.status.success().then(|| text.trim().to_owned())
}

fn ok(output: &Output) -> String {
    stdout(output).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// What ssh-keygen says of a public key.
fn fingerprint(key: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pub");
    fs::write(&path, key).unwrap();
    let told = ok(&Command::new("ssh-keygen").arg("-lf").arg(&path).output().unwrap());
    told.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn a_new_repository_is_one_that_hosts_follow() {
    let desk = Desk::new();
    let url = "https://git.acme.example/deploy.git";
    let made = desk.writ(&["init", "deploy", "--host", "web-1", "--host", "db-1", "--url", url]);
    insta::assert_snapshot!(desk.told(&made));
    assert_eq!(desk.git(&["status", "--short"]), "");
    assert_eq!(desk.git(&["log", "--format=%G? %GS"]), "G alice");
    let introduction = desk.git(&["rev-parse", "HEAD"]);
    let verified =
        desk.run_in(&desk.deploy(), "writ", &["verify", "--introduction", &introduction]);
    assert!(ok(&verified).starts_with("accepted"));
    ok(&desk.run_in(&desk.deploy(), "writ", &["check"]));
}

/// The config that is printed is one that a host takes as it is.
#[test]
fn the_printed_config_is_one_that_a_host_takes() {
    let desk = Desk::new();
    let url = "https://git.acme.example/deploy.git";
    let made = ok(&desk.writ(&["init", "deploy", "--object-format", "sha256", "--url", url]));
    let (_, config) = made.split_once("# /etc/writ/agent.toml").unwrap();
    let path = desk.dir.path().join("agent.toml");
    fs::write(&path, format!("#{config}")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let verified =
        desk.run_in(&desk.deploy(), "writ", &["verify", "--host-config", path.to_str().unwrap()]);
    assert!(ok(&verified).starts_with("accepted"));
}

#[test]
fn a_repository_is_introduced_once() {
    let desk = Desk::new();
    ok(&desk.writ(&["init", "deploy"]));
    let before = desk.git(&["rev-parse", "HEAD"]);
    let again = desk.writ(&["init", "deploy"]);
    assert!(desk.told(&again).contains("is a deploy repository already"));
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), before);
}

#[test]
fn a_run_that_could_not_sign_is_finished_by_the_next() {
    let desk = Desk::new();
    let key = desk.home().join(".ssh/id_ed25519");
    let away = desk.home().join("key-at-home");
    fs::rename(&key, &away).unwrap();
    let failed = desk.writ(&["init", "deploy"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(desk.told(&failed).contains("run `writ init` again"), "{}", desk.told(&failed));
    let policy = desk.deploy().join(".writ/policy.toml");
    let edited = fs::read_to_string(&policy).unwrap() + "# looked at\n";
    fs::write(&policy, &edited).unwrap();
    fs::rename(&away, &key).unwrap();
    ok(&desk.writ(&["init", "deploy"]));
    assert_eq!(fs::read_to_string(&policy).unwrap(), edited);
    assert_eq!(desk.git(&["status", "--short"]), "");
}

#[test]
fn what_lies_in_a_repository_stays_as_it_is() {
    let desk = Desk::new();
    ok(&desk.run("git", &["init", "-q", "-b", "main", "deploy"]));
    let hook = desk.deploy().join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(desk.deploy().join("notes.txt"), "mine").unwrap();
    desk.git(&["add", "notes.txt"]);
    let made = desk.writ(&["init", "deploy", "--key", "home/.ssh/id_ed25519"]);
    assert!(ok(&made).contains("no hook installed"));
    assert_eq!(fs::read_to_string(&hook).unwrap(), "#!/bin/sh\n");
    assert_eq!(desk.git(&["status", "--short"]), "A  notes.txt", "only our files are committed");
}

#[test]
fn an_operator_without_a_key_is_told_how_to_make_one() {
    let desk = Desk::new();
    fs::remove_dir_all(desk.home().join(".ssh")).unwrap();
    fs::create_dir_all(desk.home().join(".ssh")).unwrap();
    let failed = desk.writ(&["init", "deploy"]);
    let told = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(2));
    assert!(told.contains("no key to sign with") && told.contains("ssh-keygen -t"), "{told}");
}

#[test]
fn the_hook_refuses_a_manifest_that_hosts_would_refuse() {
    let desk = Desk::new();
    ok(&desk.writ(&["init", "deploy"]));
    let services = desk.deploy().join("manifests/services");
    fs::create_dir_all(&services).unwrap();
    fs::write(services.join("web.toml"), "hots = [\"host-1\"]\n").unwrap();
    desk.git(&["add", "-A"]);
    let commit = desk.run_in(&desk.deploy(), "git", &["commit", "-m", "web"]);
    assert!(!commit.status.success());
    let said = desk.told(&commit);
    assert!(said.contains("did you mean `hosts`?"), "{said}");
}
