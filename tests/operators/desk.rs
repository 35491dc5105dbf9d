//! A person at a host whose generations came from real rounds: asks the binary, reads what it prints.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::Value;
use writ::names::CommitId;

use crate::scene::Scene;

/// Runs a command of the binary with the scene's config.
pub(crate) fn writ(scene: &Scene, args: &[&str]) -> Output {
    command(scene, args).output().unwrap()
}

fn command(scene: &Scene, args: &[&str]) -> Command {
    scene.config();
    let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
    command.args(args).arg("--config").arg(scene.config_path());
    command.env("NO_COLOR", "1").env("WRIT_LOG", "off");
    command
}

/// A command that goes on, and its lines as they come.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(scene: &Scene, args: &[&str]) -> Self {
        let mut child = command(scene, args).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(
            move || while out.next().is_some_and(|l| sender.send(l.unwrap()).is_ok()) {},
        );
        Self { child, lines }
    }

    /// Reads on to a line that has this in it.
    pub(crate) fn line_with(&self, what: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(30)).expect(what);
            if line.contains(what) {
                return line;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything that was printed, and the exit code, without what differs from run to run.
pub(crate) fn told(scene: &Scene, output: &Output, commits: &[CommitId]) -> String {
    let mut text = format!(
        "{}{}exit {}\n",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().unwrap()
    );
    for (number, commit) in commits.iter().enumerate() {
        let name = format!("commit-{number:03}");
        text = text.replace(commit.as_str(), &name).replace(commit.short(), &name);
    }
    text.replace(scene.forge.fingerprint("alice").as_str(), "SHA256:alice")
        .replace(scene.state().to_str().unwrap(), "/var/lib/writ")
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Rewrites the ledger's times: generation n was accepted at n minutes past midnight
/// and had its verdict 7 n seconds later.
pub(crate) fn fix_times(scene: &Scene) {
    for n in scene.ledger().numbers().unwrap() {
        let folder = scene.state().join(format!("generations/{n}"));
        let accepted = format!("2026-01-01T00:{n:02}:00Z");
        let ended = format!("2026-01-01T00:{n:02}:{:02}Z", 7 * n);
        for (file, keys, time) in [
            ("commit.json", &["accepted"][..], accepted),
            ("verdict.json", &["at", "since"], ended),
        ] {
            let path = folder.join(file);
            let Ok(text) = std::fs::read(&path) else { continue };
            let mut object: Value = serde_json::from_slice(&text).unwrap();
            for key in keys {
                if object.get(key).is_some() {
                    object[*key] = time.clone().into();
                }
            }
            std::fs::write(&path, object.to_string()).unwrap();
        }
    }
}
