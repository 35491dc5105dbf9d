//! A host under the agent's care, and the one place that knows the agent's config and status.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::fleet::Fleet;
use super::host::{Host, Program, Ran, until};
use super::workshop::{CACHE, REMOTE, target};

/// A host with an agent.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) host: Host,
    config: Config,
}

/// What an agent's config says.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) url: String,
    /// The commit that the history of trust begins with.
    pub(crate) introduction: String,
    /// The fingerprint of its signer.
    pub(crate) introducer: String,
    pub(crate) cache: String,
    pub(crate) cache_key: String,
    pub(crate) caddy: &'static str,
    /// How often the agent looks by itself.
    pub(crate) poll: &'static str,
    /// The longest a fetch may take.
    pub(crate) deadline: &'static str,
}

/// How the agent's last round on a commit ended.
#[derive(Clone, Debug)]
pub(crate) struct Status(pub(crate) Value);

/// Caddy 2.6 takes requests over a socket from nobody but the nameless host.
pub(crate) const CURL: [&str; 7] =
    ["curl", "--silent", "--fail", "--unix-socket", "/run/caddy/admin.sock", "--header", "Host;"];

/// The longest an agent may take to come to a verdict.
pub(crate) const VERDICT: Duration = Duration::from_secs(90);

/// Where Caddy's admin endpoint is.
const SOCKET: &str = "unix:///run/caddy/admin.sock";
/// What operators install beside Caddy's own unit.
const GROUP: &str = include_str!("../../systemd/sysusers.d/writ.conf");
const CADDY: &str = include_str!("../../systemd/caddy.service.d/writ.conf");

/// The units that operators install, as they are.
const UNITS: [(&str, &str); 2] = [
    ("writ-agent.service", include_str!("../../systemd/writ-agent.service")),
    ("writ-boot.service", include_str!("../../systemd/writ-boot.service")),
];

impl Config {
    /// Fetches over the shared directory.
    pub(crate) fn local(introduction: &str, introducer: &str, cache_key: &str) -> Self {
        Self {
            url: format!("file://{REMOTE}"),
            introduction: introduction.to_owned(),
            introducer: introducer.to_owned(),
            cache: CACHE.to_owned(),
            cache_key: cache_key.trim().to_owned(),
            caddy: SOCKET,
            poll: "30s",
            deadline: "120s",
        }
    }

    fn toml(&self, host: &str) -> String {
        let Self { url, introduction, introducer, cache, cache_key, caddy, poll, deadline } = self;
        let watch = url
            .strip_prefix("file://")
            .map_or(String::new(), |path| format!("watch = [\"{path}/refs/heads\"]\n"));
        format!(
            "host = \"{host}\"\n\n\
             [repository]\nid = \"acme-infra\"\nurl = \"{url}\"\nbranch = \"main\"\n\
             objectFormat = \"sha1\"\nintroduction = \"{introduction}\"\nintroducer = \"{introducer}\"\n\n\
             [poll]\ninterval = \"{poll}\"\ndeadline = \"{deadline}\"\n{watch}\n\
             [nix]\nsubstituters = [\"{cache}\"]\ntrustedPublicKeys = [\"{cache_key}\"]\n\n\
             [caddy]\nadmin = \"{caddy}\"\n"
        )
    }
}

impl Site {
    /// Boots a host and installs the agent there, not yet running.
    pub(crate) fn open(fleet: &Arc<Fleet>, name: &str, config: Config) -> Self {
        let host = Host::boot(fleet, name, &[program()]);
        for (name, text) in UNITS {
            host.put(&format!("/etc/systemd/system/{name}"), text, 0o644);
        }
        host.put("/etc/writ/agent.toml", config.toml(name), 0o600);
        host.put("/etc/sysusers.d/writ.conf", GROUP, 0o644);
        host.must(&["systemd-sysusers"]);
        host.put("/etc/systemd/system/caddy.service.d/writ.conf", CADDY, 0o644);
        let site = Self { host, config };
        let caddyfile = site.host.must(&["cat", "/etc/caddy/Caddyfile"]);
        site.caddyfile(&caddyfile);
        site.host.sh("systemctl daemon-reload; systemctl restart caddy");
        site
    }

    /// Writes Caddy's own configuration, below the line that says where its admin
    /// endpoint is.
    pub(crate) fn caddyfile(&self, text: &str) {
        let admin = match self.config.caddy.strip_prefix("unix://") {
            Some(socket) => format!("{{\n\tadmin unix/{socket}\n}}\n"),
            None => String::new(),
        };
        self.host.put("/etc/caddy/Caddyfile", format!("{admin}{text}"), 0o644);
    }

    /// Asks Caddy's admin endpoint as root does by hand.
    pub(crate) fn caddy(&self, args: &[&str]) -> String {
        self.host.must(&[&CURL[..], args].concat())
    }

    /// Starts the agent, as at each boot from now on.
    pub(crate) fn start(&self) {
        self.host.must(&["systemctl", "enable", "--quiet", "writ-boot"]);
        self.host.must(&["systemctl", "enable", "--quiet", "--now", "writ-agent"]);
    }

    /// Stops the agent and what it watches; services run on.
    pub(crate) fn stop(&self) {
        self.host.must(&["systemctl", "stop", "writ-agent"]);
    }

    /// Changes the agent's config and restarts it.
    pub(crate) fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        let text = self.config.toml(self.host.name());
        self.host.put("/etc/writ/agent.toml", text, 0o600);
        self.host.must(&["systemctl", "restart", "writ-agent"]);
    }

    /// Asks the agent to look at its repository now.
    pub(crate) fn sync(&self) -> Ran {
        self.host.run(&["writ", "sync"])
    }

    /// What `writ status` says, where the agent answers.
    pub(crate) fn status(&self) -> Option<Status> {
        let ran = self.host.run(&["writ", "status", "--json"]);
        serde_json::from_str(&ran.stdout).ok().map(Status)
    }

    /// Waits for a commit to be confirmed.
    #[track_caller]
    pub(crate) fn confirmed(&self, commit: &str) -> Status {
        self.status_where(&format!("commit {commit} confirmed"), |status| {
            status.head() == commit && status.kind() == "confirmed"
        })
    }

    /// Waits for a commit to come to a verdict of this kind.
    #[track_caller]
    pub(crate) fn judged(&self, commit: &str, kind: &str) -> Status {
        self.status_where(&format!("commit {commit} {kind}"), |status| {
            status.head() == commit && status.kind() == kind
        })
    }

    /// Waits for a status.
    ///
    /// # Panics
    /// At the deadline; says how far the agent came.
    #[track_caller]
    pub(crate) fn status_where(&self, what: &str, holds: impl Fn(&Status) -> bool) -> Status {
        let start = std::time::Instant::now();
        loop {
            let status = self.status();
            if let Some(status) = status.clone().filter(|status| holds(status)) {
                return status;
            }
            assert!(
                start.elapsed() < VERDICT,
                "{} did not come to {what}\nstatus: {status:#?}\njournal:\n{}",
                self.host.name(),
                self.journal()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The agent's last journal lines.
    pub(crate) fn journal(&self) -> String {
        self.host.run(&["journalctl", "--unit=writ-agent", "--lines=40", "--output=cat"]).stdout
    }

    /// The main process of a service; 0 where it does not run.
    pub(crate) fn pid(&self, service: &str) -> u32 {
        let unit = format!("writ-{service}.service");
        let shown = self.host.must(&["systemctl", "show", "--value", "--property=MainPID", &unit]);
        shown.trim().parse().expect("systemd prints a number")
    }

    /// Waits until a page of this host's Caddy reads so.
    #[track_caller]
    pub(crate) fn serves(&self, domain: &str, text: &str) {
        let mut last = (0, String::new());
        let start = std::time::Instant::now();
        while last != (200, text.to_owned()) {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "http://{domain}/ on {} should read {text:?}; it is {last:?}",
                self.host.name()
            );
            last = self.host.get(domain, "/");
        }
    }

    /// Waits until nothing but the agent's own state is as before: the unit is gone.
    #[track_caller]
    pub(crate) fn unit_gone(&self, service: &str) {
        let unit = format!("writ-{service}.service");
        until(&format!("{unit} is gone"), VERDICT, || {
            let state = ["systemctl", "show", "--value", "--property=LoadState", unit.as_str()];
            (self.host.must(&state).trim() == "not-found").then_some(())
        });
    }
}

impl Status {
    /// The newest commit the agent has judged, obeyed or not.
    pub(crate) fn head(&self) -> &str {
        let refused = self.0["refused"]["refusal"]["commit"].as_str();
        refused.or(self.0["commit"].as_str()).unwrap_or_default()
    }

    /// The commit whose generation runs.
    pub(crate) fn running(&self) -> &str {
        let other = self.0["running"]["commit"].as_str();
        other.or(self.0["commit"].as_str()).unwrap_or_default()
    }

    /// The verdict on [`Status::head`].
    pub(crate) fn kind(&self) -> &str {
        if self.0["refused"].is_object() {
            return "refused";
        }
        self.0["verdict"]["kind"].as_str().unwrap_or_default()
    }

    /// Everything the agent has to say about [`Status::head`], to search in.
    pub(crate) fn why(&self) -> String {
        ["refused", "verdict", "waiting", "faults"].map(|key| self.0[key].to_string()).join("\n")
    }

    /// What keeps the agent from its work, each with the machine's own words.
    pub(crate) fn faults(&self) -> Vec<String> {
        let told = |fault: &Value| {
            let word = |key: &str| fault[key].as_str().unwrap_or_default().to_owned();
            format!("could not {}: {}", word("doing"), word("because"))
        };
        self.0["faults"].as_array().into_iter().flatten().map(told).collect()
    }

    /// What [`Status::head`] failed with: the reason, then what the machine showed.
    pub(crate) fn failure(&self) -> Vec<String> {
        let fault = &self.0["verdict"]["fault"];
        let reason = [&fault["because"]]
            .into_iter()
            .chain(fault["evidence"].as_array().into_iter().flatten());
        reason.filter_map(|line| line.as_str().map(str::to_owned)).collect()
    }

    /// What the generation waits for.
    pub(crate) fn waits_for(&self) -> String {
        self.0["verdict"]["reasons"][0].as_str().unwrap_or_default().to_owned()
    }

    /// The machine-readable reason of a refusal.
    pub(crate) fn reason(&self) -> &str {
        let head = self.0["refused"]["refusal"]["reason"].as_str();
        head.or(self.0["verdict"]["reason"].as_str()).unwrap_or_default()
    }
}

/// The program under test, where agents' units expect it.
pub(crate) fn program() -> Program {
    Program { here: target().join("writ"), there: "/usr/local/bin/writ" }
}
