//! Whose signature a commit carries, and who let that person sign (rules S1 to S4, G1, G3, K2).

use super::breach::Breach;
use super::commit::Commit;
use super::judge::Judge;
use super::policy::Policy;
use super::signature::{NAMESPACE, Signature};
use super::signers::{Signer, Unfit};
use super::{Objects, Reason};
use crate::names::{CommitId, Fingerprint, Principal};

/// Who signed a commit.
#[derive(Clone, Debug)]
pub(super) struct Seal {
    pub(super) principal: Principal,
    pub(super) key: Fingerprint,
    /// With OpenPGP perhaps a subkey of `key`.
    pub(super) maker: Fingerprint,
}

impl<O: Objects> Judge<'_, O> {
    /// Rules S1 to S4, G1 and G3: whose signature it is, and that every parent's
    /// policy lets that person sign at the commit's effective time.
    pub(super) fn authenticate(
        &mut self,
        id: &CommitId,
        commit: &Commit,
        effective: i64,
    ) -> Result<Seal, Breach> {
        let signature = Signature::of(commit)?;
        let maker = signature.maker();
        let introduction = *id == self.pins.introduction;
        if introduction {
            self.introduced_by(&signature, &maker)?;
        }
        // The introduction has nobody before it: its own policy names its signer.
        let judges = if introduction { std::slice::from_ref(id) } else { &commit.parents[..] };
        let mut found: Option<Signer> = None;
        let mut user_verified = false;
        for parent in judges {
            let policy = self.policy(parent)?;
            let signer = authorised(&policy, policy.signers.of(&signature), &maker, parent)?;
            for time in signature.made().into_iter().chain((!introduction).then_some(effective)) {
                fit(signer, &maker, time, "at the commit's time")?;
            }
            user_verified |=
                policy.rights(&signer.principal).is_some_and(|rights| rights.verify_required);
            found.get_or_insert_with(|| signer.clone());
        }
        let signer = found.ok_or_else(|| Breach::malformed("G2", "it has no parent"))?;
        signature.verify(&signer, &commit.payload, user_verified)?;
        Ok(Seal { principal: signer.principal, key: signer.fingerprint, maker })
    }

    /// Rules G3 and K2 for a commit that nobody has signed yet: whether `key` could.
    pub(super) fn as_if_signed(
        &mut self,
        commit: &Commit,
        key: &Fingerprint,
        effective: i64,
    ) -> Result<Seal, Breach> {
        let mut seal = None;
        for parent in &commit.parents {
            let policy = self.policy(parent)?;
            let listed = policy.signers.iter().find(|signer| signer.fingerprint == *key);
            let signer = authorised(&policy, listed, key, parent)?;
            let maker = signer.maker_at(effective);
            fit(signer, &maker, effective, "at the commit's time")?;
            let principal = signer.principal.clone();
            seal.get_or_insert(Seal { principal, key: key.clone(), maker });
        }
        seal.ok_or_else(|| Breach::malformed("G2", "it has no parent"))
    }

    /// Rule G1 for the introduction: the host's config pins its signer. Of an OpenPGP key
    /// the primary fingerprint is pinned, and the certificate lies in the commit itself.
    fn introduced_by(&mut self, signature: &Signature, maker: &Fingerprint) -> Result<(), Breach> {
        let key = match signature {
            Signature::Ssh(_) => maker.clone(),
            Signature::OpenPgp(_) => {
                let introduction = self.pins.introduction.clone();
                let policy = self.policy(&introduction)?;
                policy.signers.of(signature).map_or(maker, |signer| &signer.fingerprint).clone()
            }
        };
        if key == self.pins.introducer {
            return Ok(());
        }
        Err(stranger(&key, "G1", "it is not the introducer pinned in the host's config"))
    }

    /// Rule S2 for a commit of a branch, whose own policy may have asked for less.
    pub(super) fn user_was_verified(&self, signer: &Signer, id: &CommitId) -> bool {
        if self.supposed.as_ref().is_some_and(|(unsigned, _)| unsigned == id) {
            return true;
        }
        let commit = self.reader.commit(id);
        commit
            .and_then(|commit| Signature::of(&commit)?.verify(signer, &commit.payload, true))
            .is_ok()
    }

    /// Rule K2 for the head: its key's window also holds at first sight.
    pub(super) fn valid_now(&mut self, head: &CommitId) -> Result<(), Breach> {
        if *head == self.pins.introduction {
            return Ok(());
        }
        let parents = self.range.new[head].parents.clone();
        let Seal { key, maker, .. } = self.seals[head].clone();
        for parent in &parents {
            let policy = self.policy(parent)?;
            if let Some(signer) = policy.signers.iter().find(|s| s.fingerprint == key) {
                fit(signer, &maker, self.now, "now, when this host first sees the commit")?;
            }
        }
        Ok(())
    }
}

/// Finds the line of a key in the policy of a parent, and that it may sign commits.
fn authorised<'p>(
    policy: &Policy,
    listed: Option<&'p Signer>,
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
    let signer = listed.ok_or_else(|| {
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

/// Rules K2 and S4: that what `maker` signed at `time` counts as its owner's.
fn fit(signer: &Signer, maker: &Fingerprint, time: i64, when: &str) -> Result<(), Breach> {
    let name = &signer.principal;
    match signer.vouches_for(maker, time) {
        Ok(()) => Ok(()),
        Err(Unfit::NotYet) => {
            Err(outside(name, Reason::NotAuthorized, "not valid yet", time, when))
        }
        Err(Unfit::NoLonger) => Err(outside(name, Reason::Expired, "expired", time, when)),
        Err(Unfit::Revoked) => Err(Breach::new(
            "S4",
            Reason::Revoked,
            format!("its key {maker} is revoked in the certificate of {name}"),
            "sign with a key that is not revoked",
        )),
        Err(Unfit::NotForSigning(why)) => Err(Breach::new(
            "S4",
            Reason::BadSignature,
            format!("the certificate of {name} does not let {maker} sign: {why}"),
            "sign with a signing key of the certificate, or let an administrator replace the certificate first",
        )),
    }
}

fn outside(name: &Principal, reason: Reason, state: &str, time: i64, when: &str) -> Breach {
    Breach::new(
        "K2",
        reason,
        format!("the key of {name} is {state} {when} ({})", moment(time)),
        "let somebody with a valid key sign a new commit, and check this host's clock",
    )
}

pub(super) fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |t| t.to_string())
}

fn stranger(print: &Fingerprint, rule: &'static str, why: &str) -> Breach {
    Breach::new(
        rule,
        Reason::UnknownKey,
        format!("it is signed by the unknown key {print}: {why}"),
        "sign with a key of .writ/allowed_signers, or let an administrator add this one first",
    )
}
