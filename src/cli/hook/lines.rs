//! What git writes to its hooks' standard input (githooks(5)), and nothing else.

use crate::cli::{Blame, Failure};
use crate::names::CommitId;

/// A line for pre-receive and post-receive: `<old> SP <new> SP <ref>`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Update {
    pub(super) old: CommitId,
    pub(super) new: CommitId,
    pub(super) reference: String,
}

/// A line for pre-push: `<local ref> SP <local id> SP <remote ref> SP <remote id>`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) commit: CommitId,
    pub(super) reference: String,
    /// What the remote has there.
    pub(super) there: CommitId,
}

/// Whether git means that there is nothing.
pub(super) fn is_none(id: &CommitId) -> bool {
    id.as_str().bytes().all(|b| b == b'0')
}

pub(super) fn updates(input: &str) -> Result<Vec<Update>, Failure> {
    each(input, |line| {
        let [old, new, reference] = words(line)?;
        let (old, new) = (old.parse().ok()?, new.parse().ok()?);
        Some(Update { old, new, reference: named(reference)? })
    })
}

pub(super) fn outgoing(input: &str) -> Result<Vec<Outgoing>, Failure> {
    each(input, |line| {
        // What is pushed may be an expression with spaces: `git push origin HEAD@{1 day ago}:main`.
        let mut words = line.rsplitn(4, ' ');
        let (there, reference, commit) = (words.next()?, words.next()?, words.next()?);
        words.next().filter(|local| !local.is_empty())?;
        let (commit, there) = (commit.parse().ok()?, there.parse().ok()?);
        Some(Outgoing { commit, reference: named(reference)?, there })
    })
}

fn each<T>(input: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Failure> {
    if !input.is_empty() && !input.ends_with('\n') {
        return Err(strange(input));
    }
    input.lines().map(|line| read(line).ok_or_else(|| strange(line))).collect()
}

fn words<const N: usize>(line: &str) -> Option<[&str; N]> {
    line.split(' ').collect::<Vec<_>>().try_into().ok()
}

fn named(reference: &str) -> Option<String> {
    let plain = reference.starts_with("refs/") && !reference.contains(char::is_control);
    plain.then(|| reference.to_owned())
}

fn strange(line: &str) -> Failure {
    Failure {
        message: format!("not a line that git writes to this hook: {line:?}"),
        hint: Some("this is started by git; see githooks(5)".to_owned()),
        blame: Blame::Usage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "1111111111111111111111111111111111111111";
    const NONE: &str = "0000000000000000000000000000000000000000";

    #[test]
    fn what_git_writes_is_read() {
        let read = updates(&format!("{NONE} {A} refs/heads/main\n")).unwrap();
        assert!(is_none(&read[0].old) && !is_none(&read[0].new));
        assert_eq!(read[0].reference, "refs/heads/main");
        assert!(updates("").unwrap().is_empty());
        for local in ["refs/heads/x", "HEAD", "(delete)", "HEAD@{1 day ago}"] {
            let read = outgoing(&format!("{local} {A} refs/heads/main {NONE}\n")).unwrap();
            assert_eq!(read[0].commit.as_str(), A);
            assert!(is_none(&read[0].there));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for line in [
            format!("{A} {A} refs/heads/main"),
            format!("{A} {A}  refs/heads/main\n"),
            format!("{A} {A} refs/heads/main more\n"),
            format!("{A} {A} main\n"),
            format!("{A} HEAD refs/heads/main\n"),
            "\n".to_owned(),
        ] {
            assert!(updates(&line).is_err(), "{line:?}");
        }
        for line in [
            format!("{A} refs/heads/main {A}\n"),
            format!("x {A} main {A}\n"),
            format!("x {A} refs/heads/main {A} \n"),
        ] {
            assert!(outgoing(&line).is_err(), "{line:?}");
        }
    }
}
