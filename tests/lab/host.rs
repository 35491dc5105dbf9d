//! One throw-away machine: a real systemd, nix and Caddy, and ways to look into it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fleet::Fleet;

const BOOT: &str = include_str!("boot.sh");
const BOOT_DEADLINE: Duration = Duration::from_secs(120);
const END_DEADLINE: Duration = Duration::from_secs(20);
/// The longest one command inside a host may take, in seconds.
const COMMAND_DEADLINE: &str = "180";

/// A booted host; dropping it shuts it down and forgets its disk.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
    port: usize,
    fleet: Arc<Fleet>,
    programs: Vec<Program>,
    nspawn: Child,
    /// The host's PID 1 as this machine sees it.
    init: u32,
    /// Whether it is connected when it boots.
    linked: bool,
}

/// A program of this machine that hosts see at a path of theirs.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) here: PathBuf,
    pub(crate) there: &'static str,
}

/// What a command inside a host came to.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) ok: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Host {
    /// Boots a host and waits until systemd is done starting it.
    ///
    /// # Panics
    /// Where the host does not come up; the message ends with its console.
    pub(crate) fn boot(fleet: &Arc<Fleet>, name: &str, programs: &[Program]) -> Self {
        let (name, port) = (name.to_owned(), fleet.port());
        let start = start(fleet, &name, port, programs);
        let fleet = Arc::clone(fleet);
        let mut host = Self {
            name,
            port,
            fleet,
            programs: programs.to_vec(),
            nspawn: start,
            init: 0,
            linked: true,
        };
        host.wait_for_boot();
        host
    }

    /// Reboots in good order. The disk stays, `/run` and `/tmp` do not.
    pub(crate) fn reboot(&mut self) {
        self.run(&["systemctl", "reboot"]);
        self.wait_for_end();
        self.nspawn = start(&self.fleet, &self.name, self.port, &self.programs);
        self.init = 0;
        self.wait_for_boot();
    }

    /// Everything that runs there is gone at once; the disk stays.
    pub(crate) fn lose_power(&mut self) {
        let init = i32::try_from(self.init).ok().and_then(rustix::process::Pid::from_raw);
        let killed = rustix::process::kill_process(
            init.expect("it was booted"),
            rustix::process::Signal::KILL,
        );
        killed.expect("it runs");
        self.wait_for_end();
    }

    /// Boots after [`Host::lose_power`], cut off from the others where not `linked`.
    pub(crate) fn boot_again(&mut self, linked: bool) {
        self.linked = linked;
        self.nspawn = start(&self.fleet, &self.name, self.port, &self.programs);
        self.init = 0;
        self.wait_for_boot();
    }

    fn wait_for_boot(&mut self) {
        let start = Instant::now();
        while !self.is_up() {
            let ended = self.nspawn.try_wait().expect("our own child");
            assert!(
                ended.is_none() && start.elapsed() < BOOT_DEADLINE,
                "host {} did not come up; its console:\n{}",
                self.name,
                self.console()
            );
            std::thread::sleep(POLL);
        }
    }

    /// Waits until nothing of the host runs any more, and helps in the end.
    fn wait_for_end(&mut self) {
        let start = Instant::now();
        while start.elapsed() < END_DEADLINE {
            if !matches!(self.nspawn.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(POLL);
        }
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }

    /// One look at a booting host; finds its PID 1 and gives it its address.
    fn is_up(&mut self) -> bool {
        if self.init == 0 {
            let Some(init) = init_below(self.nspawn.id()) else { return false };
            self.init = init;
            if !self.connect() {
                self.init = 0;
                return false;
            }
        }
        let state = self.run(&["systemctl", "is-system-running"]).stdout;
        ["running", "degraded"].contains(&state.trim())
    }

    fn connect(&self) -> bool {
        let inside = format!(
            "ip addr replace {}/24 dev host0 && ip link set host0 up && ip link set lo up",
            self.address()
        );
        let outside = format!(
            "ip link set port{} master switch && ip link set port{} {}",
            self.port,
            self.port,
            if self.linked { "up" } else { "down" }
        );
        let ours = self.fleet.command("sh").args(["-c", &outside]).output();
        let theirs = Command::new("nsenter")
            .args(["--target", &self.init.to_string(), "--net", "sh", "-c", &inside])
            .output();
        [ours, theirs].iter().all(|o| o.as_ref().is_ok_and(|o| o.status.success()))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The host's PID 1 as this machine sees it, for `nsenter -t PID -a`.
    pub(crate) fn init(&self) -> u32 {
        self.init
    }

    /// Where the other hosts of the fleet reach this one.
    pub(crate) fn address(&self) -> String {
        format!("10.77.0.{}", self.port)
    }

    /// The host's root directory as this process can open it. Beware of absolute
    /// links: they lead out of it.
    pub(crate) fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.init))
    }

    /// A file of the host as this process can open it.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// What the host printed since it began to boot.
    pub(crate) fn console(&self) -> String {
        let file = self.fleet.outside(&format!("/mnt/{}/console", self.name));
        fs::read_to_string(file).unwrap_or_default()
    }

    /// Runs a command inside, however it ends.
    pub(crate) fn run(&self, command: &[&str]) -> Ran {
        let init = self.init.to_string();
        let output = Command::new("timeout")
            .args(["--kill-after=5", COMMAND_DEADLINE, "nsenter", "--target", &init, "--all", "--"])
            .args(command)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .expect("timeout is part of coreutils");
        Ran {
            ok: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Begins a command inside, whose end nobody waits for.
    pub(crate) fn start(&self, command: &[&str]) {
        let unit = ["systemd-run", "--quiet", "--collect", "--"];
        self.must(&unit.iter().chain(command).copied().collect::<Vec<_>>());
    }

    /// Runs a command inside that has to succeed, and returns what it printed.
    #[track_caller]
    pub(crate) fn must(&self, command: &[&str]) -> String {
        let ran = self.run(command);
        assert!(
            ran.ok,
            "on {}: {} failed\n{}{}",
            self.name,
            command.join(" "),
            ran.stdout,
            ran.stderr
        );
        ran.stdout
    }

    /// Runs a shell script inside that has to succeed, and returns what it printed.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        self.must(&["sh", "-euc", script])
    }

    /// Writes a file inside, making its directories.
    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>, mode: u32) {
        let file = self.file(path);
        let folder = file.parent().expect("not the root itself");
        fs::create_dir_all(folder).unwrap_or_else(|e| panic!("cannot make {folder:?}: {e}"));
        fs::write(&file, content).unwrap_or_else(|e| panic!("cannot write {file:?}: {e}"));
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("just written");
    }

    /// Asks the host's own Caddy for a page of a domain: the status and the body;
    /// status 0 where nothing answers.
    pub(crate) fn get(&self, domain: &str, path: &str) -> (u16, String) {
        let url = format!("http://{domain}{path}");
        let resolve = format!("{domain}:80:127.0.0.1");
        let ran = self.run(&[
            "curl",
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--resolve",
            &resolve,
            "--write-out",
            "\n%{http_code}",
            &url,
        ]);
        let (body, status) = ran.stdout.rsplit_once('\n').unwrap_or(("", "0"));
        (status.trim().parse().unwrap_or(0), body.to_owned())
    }

    /// Cuts the host off from the others.
    pub(crate) fn link_down(&self) {
        self.link("down");
    }

    /// Ends [`Host::link_down`].
    pub(crate) fn link_up(&self) {
        self.link("up");
    }

    fn link(&self, state: &str) {
        self.on_its_port(&format!("ip link set $1 {state}"));
    }

    /// Runs a script with `$1`, the end of the host's cable that is not in the host, and
    /// returns what it printed.
    pub(super) fn on_its_port(&self, script: &str) -> String {
        let port = format!("port{}", self.port);
        let done = self.fleet.command("sh").args(["-euc", script, "sh", &port]).output();
        let done = done.expect("a shell");
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{}: {script}: {told}", self.name);
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(pid) =
            i32::try_from(self.nspawn.id()).ok().and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        self.wait_for_end();
    }
}

const POLL: Duration = Duration::from_millis(20);

/// Looks until there is an answer, and returns it.
///
/// # Panics
/// At the deadline, saying what was waited for.
#[track_caller]
pub(crate) fn until<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < deadline, "waited {deadline:?} in vain: {what}");
        std::thread::sleep(POLL);
    }
}

/// Starts systemd-nspawn on a host's disk, making the disk where there is none.
fn start(fleet: &Fleet, name: &str, port: usize, programs: &[Program]) -> Child {
    let mut command = fleet.command("sh");
    command.args(["-euc", BOOT, "writ-host", fleet.name()]).arg(fleet.tree());
    command.args([name, &format!("port{port}")]);
    for Program { here, there } in programs {
        command.arg(format!("--bind-ro={}:{there}", here.display()));
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.spawn().expect("nsenter is part of util-linux")
}

/// The child of a process that is PID 1 of a namespace of its own.
fn init_below(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().filter_map(|c| c.parse().ok()).find(|child: &u32| {
        let process = Path::new("/proc").join(child.to_string());
        // Before it became systemd it still stood in this machine's own root.
        let is_systemd = fs::read_to_string(process.join("comm")).is_ok_and(|c| c == "systemd\n");
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        let ids = status.lines().find_map(|l| l.strip_prefix("NSpid:")).unwrap_or_default();
        is_systemd && ids.split_whitespace().skip(1).last() == Some("1")
    })
}
