//! That what is approved is what was looked at: a branch of somebody else's may be moved in between.

use crate::cli::{Blame, Failure};
use crate::source::looked::Looked;
use crate::source::merging::Meeting;

/// Keeps what has been looked at.
pub(super) fn note(meeting: &Meeting) -> Result<(), Failure> {
    Ok(Looked::of(&meeting.checkout)?.keep(branch(meeting), &meeting.tip)?)
}

/// # Errors
/// It has been looked at here, and was another commit then.
pub(in crate::cli) fn is_as_looked_at(meeting: &Meeting) -> Result<(), Failure> {
    if is_own(meeting)? {
        return Ok(());
    }
    let (name, now) = (&meeting.name, &meeting.tip);
    let then = Looked::of(&meeting.checkout)?.at(branch(meeting))?;
    let Some(then) = then.filter(|then| then != now) else { return Ok(()) };
    let range = format!("{}..{}", then.short(), now.short());
    Err(Failure {
        message: format!(
            "{name} is not what you have looked at: since then somebody has moved it ({range})"
        ),
        hint: Some(format!(
            "nothing was changed; look again: writ review {name}, git diff {range}"
        )),
        blame: Blame::Refused,
    })
}

/// `late`, also where it was called `origin/late`.
fn branch(meeting: &Meeting) -> &str {
    let name = meeting.name.strip_prefix("refs/remotes/").unwrap_or(&meeting.name);
    let remote = meeting.remote.as_ref();
    let bare = remote.and_then(|remote| name.strip_prefix(remote.name())?.strip_prefix('/'));
    bare.unwrap_or(name)
}

/// A branch of this checkout, which nobody else moves, and a commit by its id.
fn is_own(meeting: &Meeting) -> Result<bool, Failure> {
    let own = ["rev-parse", "--verify", "--quiet", &format!("refs/heads/{}", meeting.name)];
    let fixed = meeting.name == "HEAD" || meeting.tip.as_str().starts_with(&meeting.name);
    Ok(fixed || meeting.checkout.ask(&own)?.is_some())
}
