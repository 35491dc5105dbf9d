//! What the agent on a host spends, seen from outside of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::lab::site::Site;

const BUS: &str = "/tmp/bus";
/// An agent that spends nothing for so long has ended its round. It is also more than
/// the calm between two rounds, so that the next one begins at once.
const REST: Duration = Duration::from_millis(300);
const MARK: &str = "GetDefaultTarget";

pub(crate) struct Meter<'a> {
    site: &'a Site,
    /// The agent's cgroup: itself and the processes that it starts.
    cgroup: PathBuf,
}

/// What was asked of others while something was done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    /// Method calls to systemd.
    pub(crate) bus: usize,
    /// Those that are about one unit.
    pub(crate) about_a_unit: usize,
    pub(crate) daemon_reloads: usize,
    pub(crate) caddy_reads: usize,
    pub(crate) caddy_changes: usize,
    /// Programs that were started; none where strace is not installed.
    pub(crate) programs: Option<Vec<String>>,
}

impl<'a> Meter<'a> {
    pub(crate) fn on(site: &'a Site) -> Self {
        let cgroup = site.host.file("/sys/fs/cgroup/system.slice/writ-agent.service");
        Self { site, cgroup }
    }

    /// CPU of the agent and its children while `work` is done.
    pub(crate) fn cpu(&self, work: impl FnOnce()) -> Duration {
        let before = self.spent();
        work();
        self.spent() - before
    }

    /// How long the agent is busy with what `begin` begins.
    pub(crate) fn until_idle(&self, begin: impl FnOnce()) -> Duration {
        let (began, mut spent) = (Instant::now(), self.spent());
        begin();
        let (mut last, mut seen) = (Instant::now(), false);
        while !seen || last.elapsed() < REST {
            std::thread::sleep(Duration::from_millis(2));
            let now = self.spent();
            if now != spent {
                (spent, last, seen) = (now, Instant::now(), true);
            }
            assert!(began.elapsed() < Duration::from_secs(60), "the agent never rests");
        }
        last - began
    }

    fn spent(&self) -> Duration {
        let stat = fs::read_to_string(self.cgroup.join("cpu.stat")).expect("a cgroup of its own");
        let usage = stat.lines().find_map(|line| line.strip_prefix("usage_usec "));
        Duration::from_micros(usage.expect("cgroup2 counts").parse().expect("a number"))
    }

    /// The agent's memory at its highest, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.agent()));
        let status = status.expect("the agent runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.expect("Linux tells").trim().trim_end_matches(" kB");
        kib.parse::<u64>().expect("a number") * 1024
    }

    /// The agent's process as this machine sees it.
    fn agent(&self) -> u32 {
        let pids = fs::read_to_string(self.cgroup.join("cgroup.procs")).unwrap_or_default();
        pids.lines().next().expect("the agent runs").parse().expect("a number")
    }

    /// What was asked of systemd and Caddy, and which programs were started, while
    /// `work` is done. Listening makes it slower.
    pub(crate) fn calls(&self, work: impl FnOnce()) -> Calls {
        let host = &self.site.host;
        let caddy = self.caddy_log().len();
        let listen = format!(
            "exec dbus-monitor --system --profile \
             \"type='method_call',destination='org.freedesktop.systemd1'\" >{BUS}"
        );
        let listener = ["systemd-run", "--quiet", "--collect", "--unit=bus-monitor", "sh", "-c"];
        host.must(&[&listener[..], &[&listen]].concat());
        wait(|| !fs::read_to_string(host.file(BUS)).unwrap_or_default().is_empty());
        let trace = std::env::temp_dir().join(format!("writ-scale-{}", std::process::id()));
        let tracer = Command::new("strace")
            .args(["-f", "-qq", "-e", "trace=execve", "-p", &self.agent().to_string(), "-o"])
            .arg(&trace)
            .stderr(Stdio::null())
            .spawn();
        wait(|| tracer.is_err() || is_traced(self.agent()));
        work();
        let programs = tracer.ok().map(|mut tracer| {
            let pid = rustix::process::Pid::from_child(&tracer);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = tracer.wait();
            programs(&trace)
        });
        let _ = fs::remove_file(&trace);
        let mark = ["--system", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1"];
        let mark = [&["busctl"], &mark[..], &["org.freedesktop.systemd1.Manager", MARK]].concat();
        host.must(&mark);
        wait(|| fs::read_to_string(host.file(BUS)).unwrap_or_default().contains(MARK));
        let bus = fs::read_to_string(host.file(BUS)).unwrap_or_default();
        host.must(&["systemctl", "stop", "bus-monitor"]);
        let caddy = self.caddy_log().split_off(caddy);
        Calls { programs, ..counted(&bus, &caddy) }
    }

    fn caddy_log(&self) -> Vec<String> {
        let log = ["journalctl", "--unit=caddy", "--output=cat", "--no-pager"];
        let log = self.site.host.must(&log);
        log.lines().filter(|line| line.contains("received request")).map(str::to_owned).collect()
    }
}

fn counted(bus: &str, caddy: &[String]) -> Calls {
    let mut calls = Calls::default();
    for line in bus.lines().filter(|line| line.starts_with("mc\t") && !line.contains(MARK)) {
        calls.bus += 1;
        let of_a_unit = line.contains("/systemd1/unit/") || line.contains("Unit\t");
        calls.about_a_unit += usize::from(of_a_unit || line.ends_with("Unit"));
        calls.daemon_reloads += usize::from(line.ends_with("\tReload"));
    }
    calls.caddy_reads = caddy.iter().filter(|line| line.contains("\"GET\"")).count();
    calls.caddy_changes = caddy.len() - calls.caddy_reads;
    calls
}

/// The names of what was started, from strace's lines.
fn programs(trace: &Path) -> Vec<String> {
    let trace = fs::read_to_string(trace).unwrap_or_default();
    let started = trace.lines().filter(|line| line.contains("execve(") && line.ends_with("= 0"));
    let names = started.filter_map(|line| line.split('"').nth(1)?.rsplit('/').next());
    names.map(str::to_owned).collect()
}

fn is_traced(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
}

fn wait(mut until: impl FnMut() -> bool) {
    let began = Instant::now();
    while !until() {
        assert!(began.elapsed() < Duration::from_secs(20), "the meters do not start");
        std::thread::sleep(Duration::from_millis(10));
    }
}
