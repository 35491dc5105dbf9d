//! Random histories: the way over an anchor never decides otherwise than the way from
//! the introduction (rules G7 and T1).

use std::collections::BTreeMap;

use writ::names::CommitId;
use writ::trust::{Anchor, Refusal, VerifiedCommit};

use crate::forge::Draft;
use crate::scene::{API, POLICY, SIGNERS, Scene, TEAM, WEB, rules};

/// Numbers that look random and are the same in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    pub(crate) fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

const COMMITS: usize = 24;

/// Commits by the team, now and then by somebody who is invited only on some branches,
/// on one or two of the commits so far.
fn history(scene: &Scene, dice: &mut Dice) -> Vec<CommitId> {
    let mut commits = vec![scene.root.clone()];
    for n in 0..COMMITS {
        let recent = &commits[commits.len().saturating_sub(6)..];
        let (first, second) = (dice.of(recent).clone(), dice.of(recent).clone());
        let signer = match dice.below(10) {
            0 => "newcomer",
            1 => "bob",
            2..=4 => "dave",
            _ => "alice",
        };
        let mut draft = scene.forge.commit(signer).on(&first).message(&format!("commit {n}"));
        if second != first && dice.below(3) == 0 {
            draft = draft.on(&second);
        }
        commits.push(change(scene, draft, n, dice.below(8)).make());
    }
    commits
}

fn change<'f>(scene: &Scene, draft: Draft<'f>, n: usize, kind: usize) -> Draft<'f> {
    match kind {
        0 => {
            let signers = scene.forge.signers(&TEAM) + &scene.forge.signers(&["newcomer"]);
            let policy = rules()
                + "[principals.newcomer]\nmay = \"everything\"\ngrants = [\"manifests/**\"]\n";
            draft.file(SIGNERS, signers).file(POLICY, policy)
        }
        1 => draft.file(SIGNERS, scene.forge.signers(&TEAM)).file(POLICY, rules()),
        2 | 3 => draft.file(API, format!("n = {n}\n")),
        4..=6 => draft.file(WEB, format!("n = {n}\n")),
        _ => draft,
    }
}

fn mainline(scene: &Scene, head: &CommitId) -> String {
    let out = scene.forge.git(["rev-list", "--first-parent", head.as_str()], b"");
    String::from_utf8(out).unwrap()
}

type Verdict = Result<Anchor, (CommitId, String)>;

fn verdict(result: Result<VerifiedCommit, Refusal>) -> Verdict {
    result.map(|c| c.anchor().clone()).map_err(|refusal| (refusal.commit, refusal.rule))
}

#[test]
fn an_anchor_saves_work_and_changes_no_verdict() {
    for seed in [2, 4] {
        let scene = Scene::new();
        let commits = history(&scene, &mut Dice(seed));
        let whole: BTreeMap<&CommitId, Verdict> =
            commits.iter().map(|head| (head, verdict(scene.verify_from(None, head)))).collect();
        let accepted = whole.values().filter(|verdict| verdict.is_ok()).count();
        assert!((10..20).contains(&accepted), "{accepted} of {COMMITS} are good");
        for head in &commits {
            let mainline = mainline(&scene, head);
            for anchor in whole.values().flatten() {
                let step = verdict(scene.verify_from(Some(anchor), head));
                if mainline.contains(anchor.commit.as_str()) {
                    assert_eq!(step, whole[head], "seed {seed}, from {}", anchor.commit);
                } else {
                    assert_eq!(step, Err((head.clone(), "T1".to_owned())), "seed {seed}");
                }
            }
        }
    }
}
