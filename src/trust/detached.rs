//! Approvals that lie in the message of the commit they approve (rule G5).
//!
//! An approval is an SSH signature in the namespace `writ-approve` over the channel,
//! the commit's first parent and its tree. It is made before the commit is, so the
//! commit itself carries it, in a line of its message:
//!
//! ```text
//! Writ-Approval: <the signature in base 64>
//! ```
//!
//! Cherry-picked or reverted, the line stands beside another parent and tree and
//! counts for nothing.

use super::commit::Commit;
use super::judge::Judge;
use super::policy::{Policy, Rights};
use super::{Objects, base64, key, sshsig, trailers};
use crate::names::{CommitId, Fingerprint, Principal};

/// What approvals are signed in.
pub const NAMESPACE: &str = "writ-approve";
/// What their lines begin with.
pub const TRAILER: &str = "Writ-Approval: ";
/// Signatures are work; no commit needs more of them.
const MOST: usize = 16;

/// The text that an approval signs.
pub fn approval(channel: &str, base: &CommitId, tree: &CommitId) -> String {
    format!("writ-approve 1\nchannel {channel}\nbase {base}\ntree {tree}\n")
}

/// The line of a message for an armored signature over [`approval`]; `None` where it
/// is not one.
pub fn trailer(armor: &str) -> Option<String> {
    let mut lines = armor.trim_end().lines();
    let marks = (lines.next()?, lines.next_back()?);
    let text: String = lines.collect();
    let armored = marks == ("-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----");
    sshsig::read_blob(&base64::decode(text.as_bytes()).filter(|_| armored)?, NAMESPACE).ok()?;
    Some(format!("{TRAILER}{text}"))
}

/// Somebody who approved, by the policy of the parent.
pub(super) struct Approver<'p> {
    pub(super) principal: &'p Principal,
    pub(super) rights: &'p Rights,
    pub(super) key: &'p Fingerprint,
}

/// Who approved the commit `id` in its message, and why other lines do not count.
pub(super) fn approvers<'p, O: Objects>(
    judge: &Judge<'_, O>,
    id: &CommitId,
    commit: &Commit,
    policy: &'p Policy,
) -> (Vec<Approver<'p>>, Vec<String>) {
    let Some(base) = commit.parents.first() else { return (Vec::new(), Vec::new()) };
    let text = approval(&judge.pins.channel, base, &commit.tree);
    let time = judge.range.new.get(id).map_or(commit.time, |node| node.effective);
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    // Wherever it stands: it is signed for this parent and tree by itself.
    let lines = commit.message.lines().filter(|line| line.starts_with(TRAILER));
    for line in lines.filter_map(trailers::split).take(MOST) {
        match one(&line.value, &text, policy, time) {
            Ok(approver) => good.push(approver),
            Err(why) => bad.push(why),
        }
    }
    (good, bad)
}

fn one<'p>(line: &str, text: &str, policy: &'p Policy, time: i64) -> Result<Approver<'p>, String> {
    let blob = base64::decode(line.as_bytes()).ok_or("it is not base 64")?;
    let signature = sshsig::read_blob(&blob, NAMESPACE).map_err(|bad| bad.0.to_owned())?;
    let signer = policy
        .signers
        .find(&signature.key)
        .ok_or_else(|| format!("nobody has the key {}", key::fingerprint(&signature.key)))?;
    let name = &signer.principal;
    if !signer.may_sign(NAMESPACE) {
        return Err(format!("the key of {name} is not allowed the namespace {NAMESPACE}"));
    }
    signer.valid_at(time).map_err(|_| format!("the key of {name} is outside of its window"))?;
    let rights = policy.rights(name).ok_or_else(|| format!("{name} has no rights"))?;
    let message = signature.message(NAMESPACE, text.as_bytes());
    signer
        .key
        .ssh()
        .and_then(|key| key.verify(&signature.bytes, &message, rights.verify_required))
        .map_err(|bad| format!("that of {name}: {}; it is for another parent or tree", bad.0))?;
    Ok(Approver { principal: name, rights, key: &signer.fingerprint })
}
