//! The whole decision on one commit: range, signatures, policies, paths, evidence.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use super::breach::Breach;
use super::commit::Commit;
use super::key::fingerprint;
use super::object::{Format, Reader};
use super::policy::{self, Policy};
use super::range::{self, Node, Range, payload_digest};
use super::signers::{Outside, Signer};
use super::sshsig;
use super::tree::{Entry, Mode};
use super::{Anchor, Objects, Pins, Reason, Refusal, Verified, VerifiedCommit, files, mainline};
use crate::names::{CommitId, Fingerprint, Principal};

/// The namespace in which git signs (git, `gpg-interface.c`).
pub(super) const NAMESPACE: &str = "git";
/// Seconds that a commit may lie ahead of this host's clock.
const AHEAD: i64 = 600;

/// Who signed a commit.
#[derive(Clone, Debug)]
pub(super) struct Seal {
    pub(super) principal: Principal,
    pub(super) key: Fingerprint,
}

/// What one decision remembers while it is made.
pub(super) struct Judge<'a, O> {
    pub(super) reader: Reader<'a, O>,
    pub(super) pins: &'a Pins,
    pub(super) range: Range,
    /// Who signed each new commit.
    pub(super) seals: HashMap<CommitId, Seal>,
    now: i64,
    /// Policies by the id of their `.writ/`, and by commit.
    by_folder: HashMap<CommitId, Rc<Policy>>,
    by_commit: HashMap<CommitId, Rc<Policy>>,
}

pub(super) fn verify<O: Objects>(
    objects: &O,
    pins: &Pins,
    anchor: Option<&Anchor>,
    head: &CommitId,
    now: i64,
) -> Result<VerifiedCommit, Refusal> {
    let reader = reader(objects, pins, head, anchor)?;
    // An anchor below another introduction vouches for nothing but the way forward.
    let vouching = anchor.filter(|anchor| anchor.introduction == pins.introduction);
    let range = range::load(&reader, pins, vouching, head)?;
    if let Some(anchor) = anchor.filter(|anchor| !range.continues(anchor, head)) {
        return Err(no_way_back(anchor).of(head));
    }
    if !range.meets(pins) {
        return Err(below_minimum(pins).of(head));
    }
    let mut judge = Judge::new(reader, pins, range, now);
    judge.new_commits()?;
    if judge.range.new.get(head).is_some_and(|node| !node.twin) {
        judge.valid_now(head).map_err(|breach| breach.of(head))?;
    }
    judge.revocations(head)?;
    judge.evidence(head, vouching)
}

pub(super) fn recall<O: Objects>(
    objects: &O,
    pins: &Pins,
    anchor: &Anchor,
    id: &CommitId,
    now: i64,
) -> Result<VerifiedCommit, Refusal> {
    let reader = reader(objects, pins, id, Some(anchor))?;
    let accepted = range::load_accepted(&reader, pins, &anchor.commit)?;
    if !accepted.mainline(&anchor.commit).contains(&id) {
        return Err(not_on_mainline(anchor).of(id));
    }
    let range = range::load_accepted(&reader, pins, id)?;
    let mut judge = Judge::new(reader, pins, range, now);
    judge.new_commits()?;
    judge.revocations(&anchor.commit)?;
    judge.evidence(id, None)
}

fn reader<'a, O: Objects>(
    objects: &'a O,
    pins: &Pins,
    id: &CommitId,
    anchor: Option<&Anchor>,
) -> Result<Reader<'a, O>, Refusal> {
    let format = Format::of(&pins.introduction);
    let alike = |other: &CommitId| Format::of(other) == format;
    if !alike(id) || anchor.is_some_and(|anchor| !alike(&anchor.commit)) {
        let because = "its id is of another object format than the pinned introduction";
        return Err(Breach::malformed("O1", because).of(id));
    }
    Ok(Reader::new(objects, format))
}

impl<'a, O: Objects> Judge<'a, O> {
    fn new(reader: Reader<'a, O>, pins: &'a Pins, range: Range, now: i64) -> Self {
        Self {
            reader,
            pins,
            range,
            now,
            seals: HashMap::new(),
            by_folder: HashMap::new(),
            by_commit: HashMap::new(),
        }
    }

    /// Judges every new commit, parents before children; then, with everyone's
    /// signature known, what the mainline changes.
    fn new_commits(&mut self) -> Result<(), Refusal> {
        let order = std::mem::take(&mut self.range.order);
        for id in &order {
            let seal = self.commit(id).map_err(|breach| breach.of(id))?;
            self.seals.insert(id.clone(), seal);
        }
        let head = order.last().cloned();
        self.range.order = order;
        let Some(head) = head else { return Ok(()) };
        let mainline: Vec<CommitId> = self.range.mainline(&head).into_iter().cloned().collect();
        for id in mainline.iter().rev() {
            mainline::check(self, id).map_err(|breach| breach.of(id))?;
        }
        Ok(())
    }

    /// Everything that one commit and its parents' policies decide.
    fn commit(&mut self, id: &CommitId) -> Result<Seal, Breach> {
        let node = self.range.new[id].clone();
        if !node.twin {
            self.clock(&node)?;
        }
        let (commit, _) = self.reader.commit(id)?;
        let seal = self.authenticate(id, &commit, node.effective)?;
        self.inherit(id, &node)?;
        Ok(seal)
    }

    /// Rule K1.
    fn clock(&self, node: &Node) -> Result<(), Breach> {
        let ahead = node.time.saturating_sub(self.now);
        if ahead <= AHEAD {
            return Ok(());
        }
        Err(Breach::new(
            "K1",
            Reason::Clock,
            format!(
                "its committer time lies {ahead} seconds ahead of this host's clock ({})",
                moment(self.now)
            ),
            "check this host's clock first (timedatectl); if it is right, the committer's was wrong and the commit has to be made again",
        ))
    }

    /// Rules S1 to S3, G1 and G3: whose signature it is, and that every parent's
    /// policy lets that person sign at the commit's effective time.
    fn authenticate(
        &mut self,
        id: &CommitId,
        commit: &Commit,
        effective: i64,
    ) -> Result<Seal, Breach> {
        let armor = commit.signature.as_deref().ok_or_else(unsigned)?;
        let signature = sshsig::read(armor, NAMESPACE).map_err(|bad| bad_signature(bad.0))?;
        let print = fingerprint(&signature.key);
        let introduction = *id == self.pins.introduction;
        if introduction && print != self.pins.introducer {
            return Err(stranger(
                &print,
                "G1",
                "it is not the introducer pinned in the host's config",
            ));
        }
        // The introduction has nobody before it: its own policy names its signer.
        let judges = if introduction { std::slice::from_ref(id) } else { &commit.parents[..] };
        let mut found: Option<Signer> = None;
        let mut user_verified = false;
        for parent in judges {
            let policy = self.policy(parent)?;
            let signer = authorised(&policy, &signature.key, &print, parent)?;
            if !introduction {
                in_window(signer, effective, "at the commit's time")?;
            }
            user_verified |=
                policy.rights(&signer.principal).is_some_and(|rights| rights.verify_required);
            found.get_or_insert_with(|| signer.clone());
        }
        let signer = found.ok_or_else(|| Breach::malformed("G2", "it has no parent"))?;
        let message = signature.message(NAMESPACE, &commit.payload);
        signer
            .key
            .verify(&signature.bytes, &message, user_verified)
            .map_err(|bad| bad_signature(bad.0))?;
        Ok(Seal { principal: signer.principal, key: signer.fingerprint })
    }

    /// Rules P1, P3 and P4: the commit's own policy is valid and forgets no revocation.
    fn inherit(&mut self, id: &CommitId, node: &Node) -> Result<(), Breach> {
        let own = self.policy(id)?;
        if *id == self.pins.introduction {
            return Ok(());
        }
        for parent in &node.parents {
            let parents = self.policy(parent)?;
            if Rc::ptr_eq(&own, &parents) {
                continue;
            }
            if let Some(key) = parents.revoked.keys().find(|key| !own.revoked.contains_key(*key)) {
                return Err(Breach::new(
                    "P3",
                    Reason::Revoked,
                    format!("it drops the revocation of {key}"),
                    "keep every [[revoked]] entry: a key once revoked never comes back",
                ));
            }
        }
        Ok(())
    }

    /// Rule K2 for the head: its key's window also holds at first sight.
    fn valid_now(&mut self, head: &CommitId) -> Result<(), Breach> {
        if *head == self.pins.introduction {
            return Ok(());
        }
        let parents = self.range.new[head].parents.clone();
        let key = self.seals[head].key.clone();
        for parent in &parents {
            let policy = self.policy(parent)?;
            if let Some(signer) = policy.signers.iter().find(|s| s.fingerprint == key) {
                in_window(signer, self.now, "now, when this host first sees the commit")?;
            }
        }
        Ok(())
    }

    /// Rule K3: a compromised key counts up to the commit that the newest policy
    /// names, wherever in the history it signed.
    fn revocations(&mut self, newest: &CommitId) -> Result<(), Refusal> {
        let policy = self.policy(newest).map_err(|breach| breach.of(newest))?;
        for (key, good_until) in &policy.revoked {
            let good = self.range.down_from(good_until);
            let counts = |id: &CommitId| {
                self.seals[id].key != *key || good.contains_key(id) || self.range.new[id].twin
            };
            if let Some(bad) = self.range.order.iter().find(|id| !counts(id)) {
                return Err(revoked(key, good_until).of(bad));
            }
        }
        Ok(())
    }

    /// The policy of a commit, read once for each `.writ/`.
    pub(super) fn policy(&mut self, id: &CommitId) -> Result<Rc<Policy>, Breach> {
        if let Some(policy) = self.by_commit.get(id) {
            return Ok(Rc::clone(policy));
        }
        let tree = match self.range.new.get(id) {
            Some(node) => node.tree.clone(),
            None => self.reader.commit(id)?.0.tree,
        };
        let root = self.reader.tree(&tree)?;
        let folder = root.iter().find(|e| e.name == policy::FOLDER && e.mode == Mode::Folder);
        let folder =
            folder.ok_or_else(|| Breach::policy(policy::FOLDER, "there is no such folder"))?;
        let policy = match self.by_folder.get(&folder.id) {
            Some(policy) => Rc::clone(policy),
            None => self.read_policy(folder)?,
        };
        self.by_commit.insert(id.clone(), Rc::clone(&policy));
        Ok(policy)
    }

    fn read_policy(&mut self, folder: &Entry) -> Result<Rc<Policy>, Breach> {
        let entries = self.reader.tree(&folder.id)?;
        let policy = Rc::new(Policy::read(&self.reader, &entries, &self.pins.channel)?);
        self.by_folder.insert(folder.id.clone(), Rc::clone(&policy));
        Ok(policy)
    }

    /// Makes the evidence. Only what passed [`verify`] or [`recall`] gets here.
    fn evidence(
        mut self,
        head: &CommitId,
        anchor: Option<&Anchor>,
    ) -> Result<VerifiedCommit, Refusal> {
        let verified = self.verified(head, anchor).map_err(|breach| breach.of(head))?;
        Ok(VerifiedCommit { inner: Arc::new(verified) })
    }

    fn verified(&mut self, head: &CommitId, anchor: Option<&Anchor>) -> Result<Verified, Breach> {
        let (commit, _) = self.reader.commit(head)?;
        let payload = payload_digest(&commit.payload);
        let time = match (self.range.new.get(head), anchor) {
            (Some(node), _) => node.effective,
            (None, Some(anchor)) if anchor.payload == payload => anchor.time,
            (None, _) => return Err(foreign_anchor()),
        };
        self.policy(head)?;
        let seal = match self.seals.get(head) {
            Some(seal) => seal.clone(),
            None => self.authenticate(head, &commit, time)?,
        };
        let files: BTreeMap<String, Vec<u8>> = files::manifests(&self.reader, &commit.tree)?;
        let introduction = self.pins.introduction.clone();
        Ok(Verified {
            anchor: Anchor { commit: head.clone(), payload, time, introduction },
            principal: seal.principal,
            key: seal.key,
            author: commit.author,
            committed: commit.time,
            message: commit.message,
            files,
        })
    }
}

/// Finds the line of a key in the policy of a parent, and that it may sign commits.
fn authorised<'p>(
    policy: &'p Policy,
    blob: &[u8],
    print: &Fingerprint,
    parent: &CommitId,
) -> Result<&'p Signer, Breach> {
    if policy.revoked.contains_key(print) {
        return Err(Breach::new(
            "G3",
            Reason::Revoked,
            format!("its key {print} is revoked by the policy of {}", parent.short()),
            "sign with a key that is not revoked",
        ));
    }
    let signer = policy.signers.find(blob).ok_or_else(|| {
        stranger(print, "G3", &format!("the policy of {} does not list it", parent.short()))
    })?;
    let denied = |because: String| {
        Breach::new(
            "G3",
            Reason::NotAuthorized,
            because,
            "let an administrator extend .writ/ first, or let somebody else sign this commit",
        )
    };
    if !signer.may_sign(NAMESPACE) {
        return Err(denied(format!("the key {print} is not allowed the namespace `git`")));
    }
    if policy.rights(&signer.principal).is_none() {
        let name = &signer.principal;
        return Err(denied(format!("the policy of {} gives {name} no rights", parent.short())));
    }
    Ok(signer)
}

fn in_window(signer: &Signer, time: i64, when: &str) -> Result<(), Breach> {
    let (reason, state) = match signer.valid_at(time) {
        Ok(()) => return Ok(()),
        Err(Outside::NotYet) => (Reason::NotAuthorized, "not valid yet"),
        Err(Outside::NoLonger) => (Reason::Expired, "expired"),
    };
    Err(Breach::new(
        "K2",
        reason,
        format!("the key of {} is {state} {when} ({})", signer.principal, moment(time)),
        "let somebody with a valid key sign a new commit, and check this host's clock",
    ))
}

fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |t| t.to_string())
}

fn unsigned() -> Breach {
    Breach::new(
        "O1",
        Reason::Unsigned,
        "it is not signed",
        "sign it: git commit --amend --no-edit -S (with gpg.format=ssh), or git rebase --exec for several",
    )
}

fn bad_signature(because: &str) -> Breach {
    Breach::new(
        "S1",
        Reason::BadSignature,
        format!("its signature does not count: {because}"),
        "sign the commit again with gpg.format=ssh and a key of .writ/allowed_signers",
    )
}

fn stranger(print: &Fingerprint, rule: &'static str, why: &str) -> Breach {
    Breach::new(
        rule,
        Reason::UnknownKey,
        format!("it is signed by the unknown key {print}: {why}"),
        "sign with a key of .writ/allowed_signers, or let an administrator add this one first",
    )
}

fn revoked(key: &Fingerprint, good_until: &CommitId) -> Breach {
    Breach::new(
        "K3",
        Reason::Revoked,
        format!("its key {key} is revoked and counts only up to {}", good_until.short()),
        "rebase without this commit, or let an administrator name a later goodUntil if it is harmless",
    )
}

fn no_way_back(anchor: &Anchor) -> Breach {
    Breach::new(
        "T1",
        Reason::Rollback,
        format!(
            "its mainline does not go through {}, which this host has accepted",
            anchor.commit.short()
        ),
        "undo with `git revert`, which goes forward; if the branch was rewritten on purpose, run `writ trust reset` on the host",
    )
}

fn below_minimum(pins: &Pins) -> Breach {
    let minimum = pins.minimum.as_ref().map_or("", |minimum| minimum.short());
    Breach::new(
        "T1",
        Reason::Rollback,
        format!("it does not descend from the minimum commit {minimum} of the host's config"),
        "push the newest state of the branch, or correct the minimum in the host's config",
    )
}

fn not_on_mainline(anchor: &Anchor) -> Breach {
    Breach::new(
        "T1",
        Reason::Rollback,
        format!(
            "it is not on the mainline of {}, which this host has accepted",
            anchor.commit.short()
        ),
        "roll back to a commit that was on the branch",
    )
}

fn foreign_anchor() -> Breach {
    Breach::new(
        "T2",
        Reason::Rollback,
        "the host's record of the accepted commit does not fit its content",
        "the trust state on this host is damaged; run `writ trust reset` after checking the branch",
    )
}
