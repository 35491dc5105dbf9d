//! A team, its repository, and attacks on it: each attack stands beside its
//! legitimate twin, and both are judged from the anchor and from the introduction.

use writ::names::CommitId;
use writ::source::repo::Repository;
use writ::trust::{Anchor, Pins, Reason, Refusal, VerifiedCommit, verify};

use crate::forge::{CHANNEL, Draft, Forge, NOW};

/// A repository whose introduction a host has accepted.
///
/// alice and dave are administrators, bob may write web services, ci may move
/// closures, erin may sign and write nothing; mallory is nobody.
pub(crate) struct Scene {
    pub(crate) forge: Forge,
    pub(crate) repo: Repository,
    pub(crate) root: CommitId,
    pub(crate) pins: Pins,
    pub(crate) anchor: Anchor,
    pub(crate) now: i64,
}

pub(crate) const TEAM: [&str; 5] = ["alice", "bob", "ci", "dave", "erin"];
pub(crate) const WEB: &str = "manifests/services/web.toml";
pub(crate) const API: &str = "manifests/services/api.toml";
pub(crate) const SIGNERS: &str = ".writ/allowed_signers";
pub(crate) const POLICY: &str = ".writ/policy.toml";
/// A service as `ci` may move it.
pub(crate) const SERVICE: &str = "hosts = [\"biz\"]\nrevision = \"1\"\n[artifact]\nstorePath = \"old\"\n[exec]\nuser = \"web\"\n";

/// The team's policy.
pub(crate) fn rules() -> String {
    format!(
        r#"channel = "{CHANNEL}"
[principals.alice]
may = "everything"
roles = ["admin"]
[principals.bob]
may = "everything"
grants = ["manifests/services/web*.toml"]
[principals.ci]
grants = ["manifests/services/**"]
only = ["artifact", "revision"]
[principals.dave]
may = "everything"
roles = ["admin"]
[principals.erin]
may = "everything"
"#
    )
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(Forge::new(), "")
    }

    /// The team's scene with more rules at the end of its policy.
    pub(crate) fn with(forge: Forge, more: &str) -> Self {
        let signers = forge.signers(&TEAM);
        Self::introduce(forge, &signers, &format!("{}{more}", rules()))
    }

    /// A scene with its own signers and policy, introduced by alice.
    pub(crate) fn introduce(forge: Forge, signers: &str, policy: &str) -> Self {
        let root = forge
            .commit("alice")
            .file(SIGNERS, signers)
            .file(POLICY, policy)
            .file(WEB, SERVICE)
            .file(API, SERVICE)
            .make();
        let (repo, pins) = (forge.repository(), forge.pins(&root, "alice"));
        let anchor = verify(&repo, &pins, None, &root, NOW).unwrap().anchor().clone();
        Self { forge, repo, root, pins, anchor, now: NOW }
    }

    /// A commit by `signer` on the introduction.
    pub(crate) fn next(&self, signer: &str) -> Draft<'_> {
        self.forge.commit(signer).on(&self.root)
    }

    pub(crate) fn verify(&self, head: &CommitId) -> Result<VerifiedCommit, Refusal> {
        self.verify_from(Some(&self.anchor), head)
    }

    pub(crate) fn verify_from(
        &self,
        anchor: Option<&Anchor>,
        head: &CommitId,
    ) -> Result<VerifiedCommit, Refusal> {
        verify(&self.repo, &self.pins, anchor, head, self.now)
    }

    /// The anchor once `head` is accepted.
    pub(crate) fn accept(&self, head: &CommitId) -> Anchor {
        self.verify(head).unwrap().anchor().clone()
    }
}

/// One attack and its twin; each makes a head on the scene's introduction.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) rule: &'static str,
    pub(crate) reason: Reason,
    pub(crate) attack: fn(&Scene) -> CommitId,
    pub(crate) twin: fn(&Scene) -> CommitId,
}

/// An attack on what a host remembers or reads beside its branch, and its twin. Each
/// says why it is refused; of a [`Refusal`] see [`told`].
pub(crate) struct Act {
    pub(crate) name: &'static str,
    pub(crate) rule: &'static str,
    /// What the attack's refusal holds.
    pub(crate) because: &'static str,
    pub(crate) attack: fn(&Scene) -> Result<(), String>,
    pub(crate) twin: fn(&Scene) -> Result<(), String>,
}

/// Rule and reason of a refusal: `T1 rollback`.
pub(crate) fn told(verdict: Result<VerifiedCommit, Refusal>) -> Result<(), String> {
    let words = |refusal: Refusal| format!("{} {}", refusal.rule, refusal.reason.word());
    verdict.map(drop).map_err(words)
}

/// Plays every act and reports all that went wrong.
pub(crate) fn play(scene: &Scene, acts: &[Act]) {
    let mut failures = Vec::new();
    for act in acts {
        match (act.attack)(scene) {
            Err(why) if why.contains(act.because) => {}
            other => failures.push(format!("{}: {other:?}", act.name)),
        }
        if let Err(why) = (act.twin)(scene) {
            failures.push(format!("{}: the twin is refused: {why}", act.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Runs every row and reports all that went wrong.
pub(crate) fn run(scene: &Scene, rows: &[Row]) {
    let failures: Vec<String> = rows
        .iter()
        .flat_map(|row| {
            let (attack, twin) = (attack(scene, row), twin(scene, row));
            [attack, twin].into_iter().filter_map(Result::err).map(|f| format!("{}: {f}", row.name))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn attack(scene: &Scene, row: &Row) -> Result<(), String> {
    let head = (row.attack)(scene);
    for anchor in [Some(&scene.anchor), None] {
        match scene.verify_from(anchor, &head) {
            Ok(_) => return Err(format!("accepted, anchor {}", anchor.is_some())),
            Err(refusal) if (refusal.rule.as_str(), refusal.reason) != (row.rule, row.reason) => {
                return Err(format!("refused otherwise: {refusal} ({:?})", refusal.reason));
            }
            Err(_) => {}
        }
    }
    Ok(())
}

fn twin(scene: &Scene, row: &Row) -> Result<(), String> {
    let head = (row.twin)(scene);
    let refused = |refusal: Refusal| format!("the twin is refused: {refusal}");
    let step = scene.verify(&head).map_err(refused)?;
    let whole = scene.verify_from(None, &head).map_err(refused)?;
    if step.anchor() != whole.anchor() {
        return Err(format!("{:?} is not {:?}", step.anchor(), whole.anchor()));
    }
    scene.forge.git_verifies(&head)
}
