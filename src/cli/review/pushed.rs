//! That a name stands for one commit: a branch that is here may not be the one that was pushed.

use crate::cli::{Blame, Failure};
use crate::source::merging::Meeting;
use crate::source::pushed::Pushed;

/// # Errors
/// The other one has commits that are not here: whoever looks at the name cannot know
/// which one is meant.
pub(super) fn is_one(meeting: &Meeting) -> Result<(), Failure> {
    let Some(pushed) = meeting.pushed.as_ref().filter(|pushed| pushed.there > 0) else {
        return Ok(());
    };
    let (other, here) = (&pushed.name, meeting.tip.short());
    let hint =
        format!("writ review {other} shows what was pushed, writ review {here} what is here");
    Err(refused(lacks(meeting, pushed), hint))
}

/// # Errors
/// What is here is not what was pushed, nor does it go on from there.
pub(in crate::cli) fn is_what_was_pushed(meeting: &Meeting) -> Result<(), Failure> {
    let Some(pushed) = &meeting.pushed else { return Ok(()) };
    let (name, here, other) = (&meeting.name, meeting.tip.short(), &pushed.name);
    match &pushed.at {
        Some(_) if pushed.there == 0 => Ok(()),
        Some(at) => {
            let hint = format!(
                "nothing was changed; for what was pushed: writ review {other}, writ approve {other}; \
                 for what is here: writ approve {here}; git diff {here} {} tells them apart",
                at.short()
            );
            Err(refused(lacks(meeting, pushed), hint))
        }
        // A branch is tidied up once it is merged.
        None if meeting.is_there()? => Ok(()),
        None => Err(refused(
            format!("{name} ({here}) was pushed, and {other} was taken away since"),
            format!(
                "nothing was changed; ask whose it is, or name what is here by its commit: writ approve {here}"
            ),
        )),
    }
}

/// What a person is to know of the other one.
pub(super) fn told(meeting: &Meeting) -> Option<String> {
    let pushed = meeting.pushed.as_ref()?;
    let (name, here) = (&pushed.name, commits(pushed.here));
    Some(match &pushed.at {
        None => format!("{name} was taken away"),
        Some(at) if pushed.there == 0 => {
            format!("{name} is at {}: {here} of this {} not pushed", at.short(), is(pushed.here))
        }
        Some(_) => lacks(meeting, pushed),
    })
}

fn lacks(meeting: &Meeting, pushed: &Pushed) -> String {
    let Pushed { name: other, here, there, at } = pushed;
    let at = at.as_ref().map(|at| at.short()).filter(|at| at != other);
    let at = at.map(|at| format!(" ({at})")).unwrap_or_default();
    let own = format!("{} ({})", meeting.name, meeting.tip.short());
    match here {
        0 => format!("{own} lacks {} of {other}{at}", commits(*there)),
        _ => format!(
            "{own} and {other}{at} have gone different ways: {} {} only here, {} only there",
            commits(*here),
            is(*here),
            there
        ),
    }
}

fn commits(count: u32) -> String {
    match count {
        1 => "1 commit".to_owned(),
        count => format!("{count} commits"),
    }
}

fn is(count: u32) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

fn refused(message: String, hint: String) -> Failure {
    Failure { message, hint: Some(hint), blame: Blame::Refused }
}
