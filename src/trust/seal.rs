//! Whose signature a commit carries, and who let that person sign (rules S1 to S3, G1, G3, K2).

use super::breach::Breach;
use super::commit::Commit;
use super::judge::Judge;
use super::key::fingerprint;
use super::policy::Policy;
use super::signers::{Outside, Signer};
use super::sshsig;
use super::{Objects, Reason};
use crate::names::{CommitId, Fingerprint, Principal};

/// The namespace in which git signs (git, `gpg-interface.c`).
pub(super) const NAMESPACE: &str = "git";
/// Who signed a commit.
#[derive(Clone, Debug)]
pub(super) struct Seal {
    pub(super) principal: Principal,
    pub(super) key: Fingerprint,
}

impl<O: Objects> Judge<'_, O> {
    /// Rules S1 to S3, G1 and G3: whose signature it is, and that every parent's
    /// policy lets that person sign at the commit's effective time.
    pub(super) fn authenticate(
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

    /// Rule K2 for the head: its key's window also holds at first sight.
    pub(super) fn valid_now(&mut self, head: &CommitId) -> Result<(), Breach> {
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

pub(super) fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |t| t.to_string())
}

pub(super) fn unsigned() -> Breach {
    Breach::new(
        "O1",
        Reason::Unsigned,
        "it is not signed",
        "sign it: git commit --amend --no-edit -S (with gpg.format=ssh), or git rebase --exec for several",
    )
}

pub(super) fn bad_signature(because: &str) -> Breach {
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
