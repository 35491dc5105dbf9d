//! A fleet of throw-away hosts: their common network and their end.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const WARDEN: &str = include_str!("warden.sh");

/// Hosts that see each other and the same `/srv`, and nothing else.
///
/// They end when the fleet and all of its hosts are dropped, and when the process
/// that made them ends in any way: a process of its own, the warden, sees to it.
#[derive(Debug)]
pub(crate) struct Fleet {
    name: String,
    tree: PathBuf,
    warden: Child,
    /// The warden ends the fleet when this closes.
    leash: Mutex<Option<ChildStdin>>,
    ports: AtomicUsize,
}

/// Why this machine cannot boot hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unavailable(pub(crate) String);

impl Fleet {
    /// A fleet without hosts.
    pub(crate) fn new() -> Result<Self, Unavailable> {
        let tree = tree()?;
        let mut warden = Command::new("unshare")
            .args(["--mount", "--net", "--", "sh", "-euc", WARDEN, "writ-warden"])
            .arg(&tree)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0) // Ctrl-C ends the tests; the warden then tidies up
            .spawn()
            .map_err(|e| Unavailable(format!("cannot run unshare (package util-linux): {e}")))?;
        let leash = warden.stdin.take();
        let mut said = String::new();
        let stdout = warden.stdout.take().expect("piped above");
        let read = BufReader::new(stdout).read_line(&mut said);
        if read.is_err() || said != "ready\n" {
            drop(leash);
            let mut why = String::new();
            let _ = warden.stderr.take().expect("piped above").read_to_string(&mut why);
            let _ = warden.wait();
            return Err(Unavailable(format!("namespaces cannot be made here: {}", why.trim())));
        }
        let name = format!("writ-fleet-{}", warden.id());
        let leash = Mutex::new(leash);
        Ok(Self { name, tree, warden, leash, ports: AtomicUsize::new(2) })
    }

    /// A command that runs where the hosts' mounts and network are.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let warden = self.warden.id().to_string();
        command.args(["--target", &warden, "--mount", "--net", "--", program]);
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn tree(&self) -> &Path {
        &self.tree
    }

    /// Lets the hosts outlive this process; returns the process to end for them to
    /// end, too.
    pub(crate) fn keep(&self) -> std::io::Result<u32> {
        let leash = self.leash().take().map_or_else(Stdio::null, Stdio::from);
        let mut holder = Command::new("sleep");
        holder.arg("infinity").stdin(Stdio::null()).stdout(leash).stderr(Stdio::null());
        holder.process_group(0).spawn().map(|holder| holder.id())
    }

    fn leash(&self) -> MutexGuard<'_, Option<ChildStdin>> {
        self.leash.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a host that no other of this fleet has, from 2.
    pub(crate) fn port(&self) -> usize {
        self.ports.fetch_add(1, Ordering::Relaxed)
    }

    /// A path of the warden's mounts as this process can open it.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.warden.id()))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        drop(self.leash().take());
        let _ = self.warden.wait();
    }
}

/// The file tree that hosts boot from, where this machine can boot any.
fn tree() -> Result<PathBuf, Unavailable> {
    if !rustix::process::geteuid().is_root() {
        return Err(Unavailable("only root can boot test hosts".to_owned()));
    }
    if !Path::new("/usr/bin/systemd-nspawn").exists() {
        return Err(Unavailable("systemd-nspawn is missing: install systemd-container".to_owned()));
    }
    let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/hosts-tree");
    let found = Command::new(tool).arg("--where").stdin(Stdio::null()).output();
    match found {
        Ok(found) if found.status.success() => {
            Ok(PathBuf::from(String::from_utf8_lossy(&found.stdout).trim()))
        }
        Ok(found) if found.status.code() == Some(2) => {
            Err(Unavailable(String::from_utf8_lossy(&found.stderr).trim().to_owned()))
        }
        _ => Err(Unavailable("no tree to boot hosts from: run tools/hosts-tree".to_owned())),
    }
}
