//! Hosts whose policy wants each commit to name the plan that people looked at.

use writ::config::{Config, OnDrift};
use writ::manifest::{Desired, Manifest, WorkingTree};
use writ::names::{CommitId, PlanDigest, UnitName};
use writ::plan::assume::assumed;
use writ::plan::digest::outline;
use writ::plan::observed::{Observed, Override, OverrideKind, UnitState};
use writ::source::checkout;
use writ::trust::SignedPlan;
use writ::verdict::Verdict;

use crate::forge::CHANNEL;
use crate::scene::{HOST, Scene, closure, word};
use crate::trouble::frozen;
use crate::world::How;

impl Scene {
    /// A host that runs `web` 1 under the policy.
    pub(crate) async fn requiring_plans() -> Self {
        let mut scene = Self::new();
        scene.push_service("web", "1");
        assert_eq!(word(&scene.round().await), "confirmed");
        scene.push(&[(".writ/policy.toml", Some(policy()))]);
        assert_eq!(word(&scene.round().await), "confirmed");
        scene
    }

    /// A manifest as a commit has it.
    fn asked(&self, commit: &CommitId) -> Desired<WorkingTree> {
        let files = checkout::revision(&self.forge.git_dir(), commit.as_str()).unwrap();
        Manifest::draft(&files).unwrap().desired(&HOST.parse().unwrap())
    }

    /// `name` in some version on top of the last commit, which is not pushed yet.
    fn draft(&self, name: &str, version: &str) -> CommitId {
        let text = self.service(name, version, "");
        let path = format!("manifests/services/{name}.toml");
        self.forge.commit("alice").on(&self.head).file(&path, text).make()
    }

    fn digest(&self, from: &CommitId, to: &CommitId) -> PlanDigest {
        outline(&self.asked(to), &assumed(&self.asked(from))).digest()
    }

    fn push_as(&mut self, draft: &CommitId, message: &str) {
        let draft = self.forge.commit("alice").on(&self.head).tree_of(draft).message(message);
        self.head = draft.make();
        self.point_main_at(&self.head);
    }

    /// Pushes a version of a service, signed for the way from `from`.
    pub(crate) fn push_planned(&mut self, name: &str, version: &str, from: &CommitId) {
        let draft = self.draft(name, version);
        let plan = told(HOST, self.digest(from, &draft));
        self.push_as(&draft, &format!("{name}: {version}\n\n{plan}\n"));
    }

    fn push_planned_on_top(&mut self, name: &str, version: &str) {
        let from = self.head.clone();
        self.push_planned(name, version, &from);
    }

    /// The reasons, of a generation that waits while nothing on the machine changes.
    async fn waits(&self) -> String {
        let before = self.world.state();
        let report = self.round().await;
        let Some(Verdict::Waiting { reasons, .. }) = &report.verdict else { panic!("{report:?}") };
        assert_eq!(self.world.state().changes, before.changes, "nothing was changed");
        assert_eq!(self.world.state().downloads, before.downloads, "nothing was fetched");
        reasons.join("; ")
    }
}

fn policy() -> String {
    format!(
        "channel = \"{CHANNEL}\"\nrequirePlan = true\n[principals.alice]\nmay = \"everything\"\nroles = [\"admin\"]\ngrants = [\"**\"]\n"
    )
}

fn told(host: &str, digest: PlanDigest) -> String {
    SignedPlan { host: host.parse().unwrap(), digest }.to_string()
}

fn unit(name: &str) -> UnitName {
    format!("writ-{name}.service").parse().unwrap()
}

#[tokio::test]
async fn a_commit_whose_plan_was_looked_at_is_applied() {
    let mut scene = Scene::requiring_plans().await;
    scene.push_planned_on_top("web", "2");
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
}

#[tokio::test]
async fn a_commit_without_a_plan_waits_and_a_newer_one_with_it_goes_on() {
    let mut scene = Scene::requiring_plans().await;
    let good = scene.head.clone();
    scene.push_service("web", "2");
    let (head, plan) = (scene.head.clone(), scene.digest(&good, &scene.head));
    let reason = scene.waits().await;
    insta::assert_snapshot!(
        reason
            .replace(plan.as_str(), "sha256:PLAN")
            .replace(head.short(), "HEAD")
            .replace(good.as_str(), "GOOD"),
        @"the policy requires a signed plan: the plan of this host is sha256:PLAN, and commit HEAD names none for it; its first step: switch web web-1 → web-2; sign the plan with a new commit on top: writ plan --sign --against GOOD --host biz"
    );
    scene.assert_runs(&[("web", "1")]);
    // Nothing is changed by the new commit itself: it only says what was looked at.
    let head = head.clone();
    scene.push_as(&head, &format!("look at it\n\n{}\n", told(HOST, plan)));
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
}

#[tokio::test]
async fn a_plan_of_another_change_waits_and_names_both_digests() {
    let mut scene = Scene::requiring_plans().await;
    let good = scene.head.clone();
    let (draft, other) = (scene.draft("web", "2"), scene.draft("web", "3"));
    let (own, signed) = (scene.digest(&good, &draft), scene.digest(&good, &other));
    scene.push_as(&draft, &format!("web: 2\n\n{}\n", told(HOST, signed.clone())));
    let reason = scene.waits().await;
    assert!(reason.contains(own.as_str()) && reason.contains(signed.as_str()), "{reason}");
    assert!(reason.contains("its first step: switch web web-1 → web-2"), "{reason}");
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn a_plan_counts_for_its_host_and_only_among_the_trailers() {
    let mut scene = Scene::requiring_plans().await;
    let good = scene.head.clone();
    let draft = scene.draft("web", "2");
    let own = scene.digest(&good, &draft);
    let plan = told(HOST, own.clone());
    let elsewhere = "last paragraph of the message";
    for (message, ignored) in [
        (format!("web: 2\n\n{}\n", told("elsewhere", own)), ""),
        (format!("web: 2\n\n{plan}\n\nand more text\n"), elsewhere),
        (format!("{plan}\n"), elsewhere),
        (format!("web: 2\n\n{}\n", plan.replace("sha256:", "sha256:0")), "a host and a digest"),
    ] {
        scene.head = good.clone();
        scene.push_as(&draft, &message);
        let twin = scene.twin();
        let why = twin.waits().await;
        assert!(why.contains("names none for it") && why.contains(ignored), "{message}: {why}");
        twin.assert_runs(&[("web", "1")]);
    }
}

/// What anybody types into a forge's form orders nothing.
#[tokio::test]
async fn a_plan_signed_by_somebody_who_may_write_nothing_alone_counts_for_nothing() {
    let mut scene = Scene::new();
    let text = policy()
        + "[principals.bob]\nmay = \"everything\"\ngrants = [\"**\"]\n[principals.forge]\nmay = \"everything\"\nroles = [\"merge\"]\n";
    let signers = scene.forge.signers(&["alice", "bob", "forge"]);
    scene.push(&[(".writ/policy.toml", Some(text)), (".writ/allowed_signers", Some(signers))]);
    assert_eq!(word(&scene.round().await), "confirmed");
    let good = scene.head.clone();
    let branch = scene.draft("web", "1");
    let plan = told(HOST, scene.digest(&good, &branch));
    for (merger, verdict) in [("forge", "waiting"), ("bob", "confirmed")] {
        let merge = scene.forge.commit(merger).on(&good).on(&branch).tree_of(&branch);
        scene.head = merge.message(&format!("Merge web\n\n{plan}\n")).make();
        let twin = scene.twin();
        twin.point_main_at(&scene.head);
        let report = twin.round().await;
        assert_eq!(word(&report), verdict, "{merger}: {report:?}");
    }
}

#[tokio::test]
async fn what_changes_nothing_here_needs_no_plan() {
    let mut scene = Scene::requiring_plans().await;
    let other = scene.service("far", "1", "").replace(HOST, "elsewhere");
    scene.push(&[
        ("manifests/hosts/elsewhere.toml", Some(String::new())),
        ("manifests/services/far.toml", Some(other)),
    ]);
    assert_eq!(word(&scene.round().await), "confirmed");
}

#[tokio::test]
async fn drift_alone_is_put_back_and_the_commit_applied_in_the_same_round() {
    let hands: [fn(&mut crate::world::Machine); 5] = [
        |machine| machine.files.get_mut(&unit("web")).unwrap().push_str("Nice=5\n"),
        |machine| drop(machine.files.remove(&unit("web"))),
        |machine| drop(machine.profiles.remove(&"web".parse().unwrap())),
        |machine| machine.config = serde_json::Value::Null,
        |machine| {
            machine.files.insert(unit("ghost"), "[Service]\nExecStart=/bin/ghost\n".to_owned());
        },
    ];
    for (n, hand) in hands.into_iter().enumerate() {
        let mut scene = Scene::requiring_plans().await;
        scene.push_planned_on_top("web", "2");
        scene.world.touch(hand);
        let report = scene.round().await;
        assert_eq!(word(&report), "confirmed", "{n}: {report:?}");
        scene.assert_runs(&[("web", "2")]);
    }
}

/// The commit that mends a service must not be held back by how broken it is.
#[tokio::test]
async fn a_service_that_does_not_run_makes_no_other_plan() {
    for hand in [
        |machine: &mut crate::world::Machine| drop(machine.loaded.remove(&unit("web"))),
        |machine: &mut crate::world::Machine| {
            machine.loaded.get_mut(&unit("web")).unwrap().state = UnitState::Failed;
        },
    ] {
        let mut scene = Scene::requiring_plans().await;
        scene.push_planned_on_top("web", "2");
        scene.world.touch(|machine| {
            machine.sick.insert(closure("web", "1"));
            hand(machine);
        });
        assert_eq!(word(&scene.round().await), "confirmed");
        scene.assert_runs(&[("web", "2")]);
    }
}

fn only_told(scene: &Scene) -> Config {
    Config { drift: OnDrift::Report, ..scene.config() }
}

#[tokio::test]
async fn what_somebody_changed_and_is_to_stay_is_waited_for_by_its_name() {
    let mut scene = Scene::requiring_plans().await;
    let mine = Override {
        path: "/etc/systemd/system/writ-web.service.d/mine.conf".parse().unwrap(),
        kind: OverrideKind::DropIn,
        text: "[Service]\nNice=5\n".to_owned(),
        movable: true,
    };
    scene.world.touch(|machine| drop(machine.overrides.insert(unit("web"), vec![mine])));
    scene.push_planned_on_top("web", "2");
    let mut agent = scene.agent_with(only_told(&scene));
    let report = agent.round().await;
    let Some(Verdict::Waiting { reasons, .. }) = &report.verdict else { panic!("{report:?}") };
    assert!(
        reasons[0].contains("here `aside web /etc/systemd/system/writ-web.service.d/mine.conf`"),
        "{reasons:?}"
    );
    assert!(reasons[0].contains("was to be `switch web web-1 → web-2`"), "{reasons:?}");
    scene.assert_runs(&[("web", "1")]);
    // It goes on by itself.
    scene.world.touch(|machine| machine.overrides.clear());
    assert_eq!(word(&agent.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
}

#[tokio::test]
async fn commits_that_came_together_are_applied_where_each_was_signed() {
    for signed in [true, false] {
        let mut scene = Scene::requiring_plans().await;
        match signed {
            true => scene.push_planned_on_top("web", "2"),
            false => drop(scene.push_service("web", "2")),
        }
        scene.push_planned_on_top("api", "1");
        let report = scene.round().await;
        assert_eq!(word(&report), if signed { "confirmed" } else { "waiting" }, "{report:?}");
        match signed {
            true => scene.assert_runs(&[("api", "1"), ("web", "2")]),
            false => scene.assert_runs(&[("web", "1")]),
        }
    }
}

#[tokio::test]
async fn after_a_rollback_the_next_commit_is_signed_as_ever() {
    let mut scene = Scene::requiring_plans().await;
    scene.world.touch(|machine| {
        machine.sick.insert(closure("web", "2"));
    });
    scene.push_planned_on_top("web", "2");
    assert_eq!(word(&scene.round().await), "rolled-back");
    scene.push_planned_on_top("web", "3");
    let report = scene.round().await;
    assert_eq!(word(&report), "confirmed", "{report:?}");
    scene.assert_runs(&[("web", "3")]);
}

#[tokio::test]
async fn a_new_host_goes_the_way_that_was_signed_from_nothing() {
    let mut scene = Scene::new();
    scene.push(&[(".writ/policy.toml", Some(policy()))]);
    scene.push_planned_on_top("web", "1");
    scene.push_planned_on_top("web", "2");
    let nothing = scene.twin();
    assert!(nothing.waits().await.contains("--against none"));
    let head = scene.head.clone();
    let plan = outline(&scene.asked(&head), &Observed::default()).digest();
    scene.push_as(&head, &format!("for new hosts\n\n{}\n", told(HOST, plan)));
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
}

#[tokio::test]
async fn one_that_was_begun_is_brought_to_its_end_and_one_that_overtook_it_is_looked_at() {
    for (overtaken, signed) in [(false, true), (true, true), (true, false)] {
        let mut scene = Scene::requiring_plans().await;
        scene.push_planned_on_top("web", "2");
        // Killed after its first change to a unit.
        scene.world.trouble_at(3, How::FreezesAfter);
        let mut agent = scene.agent();
        tokio::select! {
            report = agent.round() => panic!("it was to be killed: {report:?}"),
            () = frozen(&scene) => {}
        }
        scene.world.heal();
        match (overtaken, signed) {
            (false, _) => {}
            (true, true) => scene.push_planned_on_top("api", "1"),
            (true, false) => drop(scene.push_service("api", "1")),
        }
        let report = scene.round().await;
        assert_eq!(word(&report), if signed { "confirmed" } else { "waiting" }, "{report:?}");
        match (overtaken, signed) {
            (false, _) => scene.assert_runs(&[("web", "2")]),
            (true, true) => scene.assert_runs(&[("api", "1"), ("web", "2")]),
            (true, false) => scene.assert_runs(&[("web", "1")]),
        }
    }
}

/// Nothing newer could overtake it.
#[tokio::test]
async fn the_plan_of_a_commit_that_must_pass_may_be_named_by_the_newest() {
    let mut scene = Scene::requiring_plans().await;
    let (good, draft) = (scene.head.clone(), scene.draft("web", "2"));
    scene.push_as(&draft, "web: 2\n\nWrit-Must-Pass: yes\n");
    let plan = told(HOST, scene.digest(&good, &draft));
    let why = scene.waits().await;
    assert!(why.contains(&format!("--trailer \"{plan}\"")), "{why}");
    let must = scene.head.clone();
    scene.push_as(&must, "something else\n");
    assert_eq!(word(&scene.round().await), "waiting");
    scene.assert_runs(&[("web", "1")]);
    scene.push_as(&must, &format!("look at it\n\n{plan}\n"));
    let report = scene.round().await;
    assert_eq!(word(&report), "confirmed", "{report:?}");
    scene.assert_runs(&[("web", "2")]);
}
