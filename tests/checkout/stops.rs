//! Commands that are stopped, and servers that do not answer.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::desk::Desk;
use crate::push::NEW;

/// Stands for an `ssh` whose server says nothing for ever: tells its own id, and waits.
const SILENT: &str =
    "#!/bin/sh\necho $$ >\"$HOME/ssh.new\"\nmv \"$HOME/ssh.new\" \"$HOME/ssh\"\nexec sleep 600\n";

/// Long for a process to be there or gone, on a busy machine.
const LONG: Duration = Duration::from_secs(60);

impl Desk {
    /// A deploy repository whose server does not answer.
    fn with_a_silent_server() -> Self {
        let desk = Self::with_services().with_nix();
        desk.script(&desk.home().join("bin/silent"), SILENT);
        desk.git(&["config", "core.sshCommand", "silent"]);
        desk.git(&["remote", "set-url", "origin", "ssh://git.acme.example/deploy.git"]);
        desk
    }

    fn started(&self, args: &[&str]) -> Child {
        let mut command = self.command(&self.deploy(), "writ", args);
        let own = self.home().join("tmp");
        fs::create_dir_all(&own).unwrap();
        command.env("TMPDIR", own);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// Waits until there is something.
#[track_caller]
fn until<T>(look: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < LONG, "nothing after {LONG:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

/// Gone, or dead and waited for by nobody.
fn is_gone(id: &str) -> Option<()> {
    match fs::read_to_string(format!("/proc/{}/stat", id.trim())) {
        Ok(stat) => stat.rsplit_once(')').unwrap().1.starts_with(" Z").then_some(()),
        Err(_) => Some(()),
    }
}

#[test]
fn a_command_that_is_stopped_takes_what_it_started_with_it() {
    for (name, code) in [("-TERM", 143), ("-INT", 130)] {
        for args in [&["push", "web", "--store-path", NEW, "--no-upload"][..], &["review", "late"]]
        {
            let desk = Desk::with_a_silent_server();
            let mut writ = desk.started(args);
            let ssh = until(|| fs::read_to_string(desk.home().join("ssh")).ok());
            signal(&writ, name);
            assert_eq!(writ.wait().unwrap().code(), Some(code), "{args:?}");
            until(|| is_gone(&ssh));
        }
    }
}

/// While somebody looks for the key to sign with.
#[test]
fn a_revert_that_is_stopped_leaves_the_checkout_as_it_was() {
    let desk = Desk::with_services();
    desk.write("web", &desk.read("web").replace("8000", "9000"));
    let head = desk.commit("web on 9000");
    desk.script(&desk.home().join("bin/silent"), SILENT);
    desk.git(&["config", "gpg.ssh.program", "silent"]);
    let mut writ = desk.started(&["revert", "HEAD"]);
    let signer = until(|| fs::read_to_string(desk.home().join("ssh")).ok());
    assert_eq!(desk.git(&["status", "--short"]), "M  manifests/services/web.toml");
    signal(&writ, "-INT");
    assert_eq!(writ.wait().unwrap().code(), Some(130));
    until(|| is_gone(&signer));
    assert_eq!(desk.git(&["status", "--short"]), "");
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), head);
    assert!(!desk.deploy().join(".git/REVERT_HEAD").exists());
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let desk = Desk::with_a_silent_server();
    desk.git(&["config", "writ.deadline", "1s"]);
    let head = desk.git(&["rev-parse", "HEAD"]);
    let gone =
        desk.run_in(&desk.deploy(), "writ", &["push", "web", "--store-path", NEW, "--no-upload"]);
    let told = desk.told(&gone);
    assert!(told.contains("was not done after 1"), "{told}");
    assert_eq!(gone.status.code(), Some(3));
    until(|| is_gone(&fs::read_to_string(desk.home().join("ssh")).unwrap()));
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), head);
    desk.git(&["config", "writ.deadline", "soon"]);
    let told = desk.told(&desk.run_in(&desk.deploy(), "writ", &["review", "late"]));
    assert!(told.contains("\"soon\" is no duration"), "{told}");
}

/// Also after an upload, which answers Ctrl-C by itself while it lasts.
#[test]
fn whoever_waits_for_hosts_can_stop_waiting() {
    let desk = Desk::with_hosts(&["biz"]).with_nix();
    let cache = format!("file://{}/cache", desk.dir.path().display());
    let mut writ = desk.started(&["push", "web", "--store-path", NEW, "--to", &cache, "--wait"]);
    let mut told = String::new();
    let mut stderr = writ.stderr.take().unwrap();
    while !told.contains("waiting for 1 host(s)") {
        let mut bytes = [0; 256];
        let read = stderr.read(&mut bytes).unwrap();
        assert!(read > 0, "{told}");
        told.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    let scratch = || fs::read_dir(desk.home().join("tmp")).unwrap().count();
    assert_eq!(scratch(), 1);
    assert!(Path::new(&desk.dir.path().join("cache/nix-cache-info")).exists());
    signal(&writ, "-INT");
    assert_eq!(writ.wait().unwrap().code(), Some(130));
    assert_eq!(scratch(), 0);
}
