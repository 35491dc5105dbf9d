//! Hosts that report by pushing to the repository that they follow, and an operator who
//! waits for their verdicts.

use std::time::Duration;

use super::push::{CACHE, KEY};
use super::{Running, Scene};
use crate::lab::host::until;

pub(super) const SCENES: &[Scene] =
    &[("a_push_waits_until_the_host_has_reported_its_verdict", verdicts)];

/// An exit code beside what was printed.
const CODE: &str = "\"$@\"; echo \"exit $?\"";

impl Running {
    fn told(&self, args: &[&str]) -> String {
        let all = ["sh", "-c", CODE, "sh", "writ"];
        let ran = self.acme.workshop.host.run(&all.iter().chain(args).copied().collect::<Vec<_>>());
        ran.stdout + &ran.stderr
    }

    /// Has the host report, and the manifest say whose reports are its own.
    fn report(&self) -> String {
        let host = &self.biz.host;
        host.sh("printf '\\n[report]\\nto = \"git\"\\n' >>/etc/writ/agent.toml
             systemctl restart writ-agent");
        let key = host.must(&["writ", "report", "key"]);
        let text = format!("tags = [\"front\"]\nreportKey = \"{}\"\n", key.trim());
        self.acme.workshop.write("manifests/hosts/biz.toml", &text);
        self.acme.release("biz: its key")
    }
}

fn verdicts() {
    let scene = Running::v1();
    scene.desks();
    scene.biz.confirmed(&scene.report());
    let fleet = ["status", "--fleet", "--repo", "/root/deploy"];
    until("the host has reported", Duration::from_secs(60), || {
        scene.told(&fleet).contains("exit 0").then_some(())
    });

    let pushed = |path: &str| {
        let wait = ["--wait", "--timeout", "90s"];
        let push = ["push", "web", "--repo", "/root/deploy", "--store-path", path];
        let cache = ["--to", CACHE, "--key", KEY];
        scene.told(&[&push[..], &cache, &wait].concat())
    };
    let good = pushed(&scene.built("web", "v2"));
    assert!(good.contains("exit 0") && good.contains("biz: confirmed"), "{good}");
    scene.biz.serves("web.acme.example", "v2");

    let broken = ("bin/web", "#!/bin/sh\nexit 1\n", 0o755);
    let bad = pushed(&scene.acme.workshop.build("web-v3", &[broken]));
    assert!(bad.contains("exit 1") && bad.contains("error: biz: rolled-back: "), "{bad}");
    scene.biz.serves("web.acme.example", "v2");
    let table = scene.told(&fleet);
    assert!(table.contains("exit 1") && table.contains("(1 behind)"), "{table}");
    // What the host may push is its own ref; its key and journal stay where they are.
    let refs = ["git", "-C", "/srv/git/deploy.git", "for-each-ref", "--format=%(refname)"];
    let refs = scene.acme.workshop.host.must(&refs);
    assert_eq!(refs, "refs/heads/main\nrefs/writ/status/biz\n");
    let show = ["git", "-C", "/srv/git/deploy.git", "show", "refs/writ/status/biz:status"];
    let report = scene.acme.workshop.host.must(&show);
    assert!(!report.contains("journal:") && !report.contains("PRIVATE"), "{report}");
}
