//! What operators do and what goes wrong, played on real machines; each scene has machines of its own.

mod bad_input;
mod bad_link;
mod bad_world;
pub(crate) mod bucket;
mod certificates;
mod crashes;
mod drift;
mod failing;
mod fleet;
mod jobs;
mod lies;
mod manifest;
mod migrating;
mod operator;
mod plans;
mod push;
mod quick_start;
mod retention;
mod road;
mod sources;
mod stick;
mod two_hosts;
mod windows;

use super::Scene;
use super::lab::acme::Acme;
use super::lab::site::Site;

/// The scenes by subject.
pub(crate) const ALL: [(&str, &[Scene]); 23] = [
    ("quick_start", quick_start::SCENES),
    ("road", road::SCENES),
    ("sources", sources::SCENES),
    ("two_hosts", two_hosts::SCENES),
    ("manifest", manifest::SCENES),
    ("migrating", migrating::SCENES),
    ("jobs", jobs::SCENES),
    ("windows", windows::SCENES),
    ("operator", operator::SCENES),
    ("plans", plans::SCENES),
    ("push", push::SCENES),
    ("bucket", bucket::SCENES),
    ("fleet", fleet::SCENES),
    ("bad_input", bad_input::SCENES),
    ("bad_world", bad_world::SCENES),
    ("retention", retention::SCENES),
    ("crashes", crashes::SCENES),
    ("drift", drift::SCENES),
    ("failing", failing::SCENES),
    ("lies", lies::SCENES),
    ("bad_link", bad_link::SCENES),
    ("certificates", certificates::SCENES),
    ("stick", stick::SCENES),
];

/// A company with one host, which runs version 1 of `web`.
struct Running {
    acme: Acme,
    biz: Site,
    /// The commit that it runs.
    v1: String,
}

impl Running {
    fn v1() -> Self {
        let acme = Acme::found();
        acme.publish("web", "v1", 8001, "");
        let v1 = acme.release("web: version 1");
        let biz = acme.site("biz");
        biz.start();
        biz.confirmed(&v1);
        biz.serves("web.acme.example", "v1");
        Self { acme, biz, v1 }
    }

    /// Pushes another version and waits until it is confirmed.
    fn update(&self, version: &str) -> String {
        self.acme.publish("web", version, 8001, "");
        let commit = self.acme.release(&format!("web: {version}"));
        self.biz.confirmed(&commit);
        self.biz.serves("web.acme.example", version);
        commit
    }

    /// What was there goes on as if nothing had been pushed.
    #[track_caller]
    fn untouched(&self, pid: u32) {
        self.biz.serves("web.acme.example", "v1");
        assert_eq!(self.biz.pid("web"), pid, "the service was restarted");
        let what = format!("{} still running", self.v1);
        self.biz.status_where(&what, |status| status.running() == self.v1);
    }
}
