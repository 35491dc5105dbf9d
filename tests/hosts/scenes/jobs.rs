//! Commands that end, on a real host: before something else starts, and at their times.

use std::time::Duration;

use super::super::lab::acme::Web;
use super::super::lab::host::until;
use super::{Running, Scene};

pub(super) const SCENES: &[Scene] = &[
    ("a_migration_runs_once_before_what_depends_on_it_and_stops_it_by_failing", migration),
    ("another_schedule_restarts_nothing_and_is_kept", schedule),
];

impl Running {
    /// Publishes the oneshot `migrate`, which says so in its journal, and a `web` that
    /// depends on it.
    fn migrating(&self, version: &str, ending: &str) -> String {
        let script = format!("#!/bin/sh\necho migrating to {version}\n{ending}\n");
        let name = format!("migrate-{version}");
        let workshop = &self.acme.workshop;
        let path = workshop.closure(&name, &[("bin/migrate", &script, 0o755)]);
        let text = format!(
            "hosts = [\"*\"]\n[artifact]\ntype = \"nix-closure\"\nstorePath = \"{path}\"\n\
             [exec]\ncommand = \"migrate\"\ntype = \"oneshot\"\n"
        );
        workshop.write("manifests/services/migrate.toml", &text);
        self.dependent(version);
        self.acme.release(&format!("all: {version}"))
    }

    /// Writes a `web` that depends on `migrate`.
    fn dependent(&self, version: &str) {
        let path = self.acme.workshop.server("web", version, "");
        let web = Web { name: "web", store_path: &path, port: 8001, hosts: "\"*\"", more: "" };
        let text = format!("dependsOn = [\"migrate\"]\n{}", web.toml());
        self.acme.workshop.write("manifests/services/web.toml", &text);
    }

    fn migrations(&self) -> Vec<String> {
        let lines = ["journalctl", "--unit=writ-migrate.service", "--output=cat"];
        let journal = self.biz.host.run(&lines).stdout;
        let ours = journal.lines().filter(|line| line.starts_with("migrating"));
        ours.map(str::to_owned).collect()
    }
}

fn migration() {
    let scene = Running::v1();
    scene.biz.confirmed(&scene.migrating("v2", ""));
    scene.biz.serves("web.acme.example", "v2");
    assert_eq!(scene.migrations(), ["migrating to v2"]);

    // Not at other rounds, nor for what depends on it.
    scene.dependent("v3");
    scene.biz.confirmed(&scene.acme.release("web: version 3"));
    scene.biz.sync();
    assert_eq!(scene.migrations(), ["migrating to v2"]);

    let pid = scene.biz.pid("web");
    let status = scene.biz.judged(&scene.migrating("v4", "exit 3"), "rolled-back");
    assert!(status.why().contains("migrating to v4"), "its last words: {}", status.why());
    scene.biz.serves("web.acme.example", "v3");
    assert_eq!(scene.biz.pid("web"), pid, "it was never touched");
    // Going back is a change like any other.
    assert_eq!(scene.migrations(), ["migrating to v2", "migrating to v4", "migrating to v2"]);
}

fn schedule() {
    let scene = Running::v1();
    let script = "#!/bin/sh\necho begun as $$\nsleep 300\n";
    let path = scene.acme.workshop.closure("report-1", &[("bin/report", script, 0o755)]);
    let text = |cron: &str| {
        format!(
            "hosts = [\"*\"]\n[artifact]\ntype = \"nix-closure\"\nstorePath = \"{path}\"\n\
             [exec]\ncommand = \"report\"\n[schedule]\ncron = \"{cron}\"\ntimezone = \"UTC\"\n"
        )
    };
    let file = "manifests/services/report.toml";
    scene.acme.workshop.write(file, &text("* * * * *"));
    scene.biz.confirmed(&scene.acme.release("report: every minute"));
    let begun = until("the timer has fired", Duration::from_secs(90), || {
        Some(scene.biz.pid("report")).filter(|pid| *pid != 0)
    });
    let web = scene.biz.pid("web");
    scene.acme.workshop.write(file, &text("30 3 * * *"));
    scene.biz.confirmed(&scene.acme.release("report: at half past three"));
    assert_eq!((scene.biz.pid("report"), scene.biz.pid("web")), (begun, web));
    let next =
        ["systemctl", "show", "--value", "--property=NextElapseUSecRealtime", "writ-report.timer"];
    let next = scene.biz.host.must(&next);
    assert!(next.contains("03:30:00"), "{next}");
}
