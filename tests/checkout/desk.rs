//! A person's home with a key, and a place to work in; git and keys are real.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A person at work.
pub(crate) struct Desk {
    pub(crate) dir: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(desk.home().join(".ssh")).unwrap();
        desk.make_key("id_ed25519");
        for (name, value) in [("user.name", "Alice"), ("user.email", "Alice@acme.example")] {
            ok(&desk.run("git", &["config", "--global", name, value]));
        }
        desk
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn deploy(&self) -> PathBuf {
        self.dir.path().join("deploy")
    }

    pub(crate) fn make_key(&self, name: &str) -> PathBuf {
        let path = self.home().join(".ssh").join(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "alice@desk", "-f"])
            .arg(&path)
            .output()
            .unwrap();
        ok(&made);
        path
    }

    pub(crate) fn run(&self, program: &str, args: &[&str]) -> Output {
        self.run_in(self.dir.path(), program, args)
    }

    pub(crate) fn run_in(&self, dir: &Path, program: &str, args: &[&str]) -> Output {
        self.command(dir, program, args).output().unwrap()
    }

    pub(crate) fn command(&self, dir: &Path, program: &str, args: &[&str]) -> Command {
        let bin = Path::new(env!("CARGO_BIN_EXE_writ")).parent().unwrap();
        let own = self.home().join("bin");
        let usual = std::env::var("PATH").unwrap();
        let path = format!("{}:{}:{usual}", own.display(), bin.display());
        let mut command = Command::new("env");
        // Found as a shell would: among the person's own programs first.
        command
            .arg(program)
            .args(args)
            .current_dir(dir)
            .env("HOME", self.home())
            .env("PATH", path)
            .env("NO_COLOR", "1")
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("XDG_CONFIG_HOME")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    pub(crate) fn writ(&self, args: &[&str]) -> Output {
        self.run("writ", args)
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        ok(&self.run_in(&self.deploy(), "git", args))
    }

    /// Everything that was printed, without what differs from run to run.
    pub(crate) fn told(&self, output: &Output) -> String {
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

pub(crate) fn stdout(output: &Output) -> Option<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    output.status.success().then(|| text.trim().to_owned())
}

pub(crate) fn ok(output: &Output) -> String {
    stdout(output).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// What ssh-keygen says of a public key.
pub(crate) fn fingerprint(key: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pub");
    fs::write(&path, key).unwrap();
    let told = ok(&Command::new("ssh-keygen").arg("-lf").arg(&path).output().unwrap());
    told.split(' ').nth(1).unwrap().to_owned()
}
