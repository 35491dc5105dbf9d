//! Whether hosts can take in what new commits bring (rule O5): a host refuses such a pack
//! before it knows of commits and paths, so whoever has them tells it first.

use std::io::{self, Read as _, Write as _};
use std::process::Stdio;

use super::git::PACK_LIMIT;
use super::git_program::{Checkout, GitError};
use crate::names::CommitId;
use crate::trust::{LARGEST_OBJECT, Refusal, oversized, overweight};

/// Why hosts could not take in the commits up to `new` that `old` does not lead to; all of
/// them where there is no `old`.
///
/// # Errors
/// Git fails; what hosts would make of the commits is not known then.
pub fn exceeded(
    checkout: &Checkout,
    old: Option<&CommitId>,
    new: &CommitId,
) -> Result<Option<Refusal>, GitError> {
    let mut range = vec![new.to_string()];
    range.extend(old.map(|old| format!("^{old}")));
    if let Some(object) = largest(checkout, &range)? {
        return brought_in(checkout, &range, new, &object).map(Some);
    }
    let size = on_the_way(checkout, &range)?;
    Ok((size > PACK_LIMIT).then(|| overweight(new, size, PACK_LIMIT)))
}

/// A file among the objects of the commits that is over the limit, by its id.
fn largest(checkout: &Checkout, range: &[String]) -> Result<Option<String>, GitError> {
    let filter = format!("--filter=blob:limit={}", LARGEST_OBJECT + 1);
    let list = ["rev-list", "--objects", "--no-object-names", "--filter-print-omitted", &filter];
    let args: Vec<&str> = list.into_iter().chain(range.iter().map(String::as_str)).collect();
    let told = checkout.run(&args)?;
    Ok(told.lines().find_map(|line| line.strip_prefix('~')).map(str::to_owned))
}

/// The commit that brought an object in, and where.
fn brought_in(
    checkout: &Checkout,
    range: &[String],
    new: &CommitId,
    object: &str,
) -> Result<Refusal, GitError> {
    let find = format!("--find-object={object}");
    // What is not ASCII in a path is quoted, so that it can be read as text.
    let list = ["-c", "core.quotePath=true", "log", "--format=%H", "--raw", "--no-renames"];
    let list = list.into_iter().chain(["--root", "-m", "--no-abbrev", "--reverse", &find]);
    let args: Vec<&str> = list.chain(range.iter().map(String::as_str)).collect();
    let told = checkout.run(&args)?;
    let mut lines = told.lines().filter(|line| !line.is_empty());
    let commit = lines.next().and_then(|line| line.parse().ok());
    let adds = |line: &&str| line.split(' ').nth(3) == Some(object);
    let path = lines.find(adds).and_then(|line| line.split_once('\t')).map(|(_, path)| path);
    let size = checkout.run(&["cat-file", "-s", object])?.parse().unwrap_or(LARGEST_OBJECT);
    Ok(oversized(&commit.unwrap_or_else(|| new.clone()), path.unwrap_or(object), size))
}

/// The bytes of a pack of the objects, counted where their files are not small enough to
/// tell that it is.
fn on_the_way(checkout: &Checkout, range: &[String]) -> Result<u64, GitError> {
    let list = ["rev-list", "--objects", "--disk-usage"];
    let args: Vec<&str> = list.into_iter().chain(range.iter().map(String::as_str)).collect();
    let told = checkout.run(&args)?;
    let stored: u64 = told
        .trim()
        .parse()
        .map_err(|_| GitError::Text { command: "rev-list --disk-usage".to_owned() })?;
    if stored <= PACK_LIMIT { Ok(stored) } else { packed(checkout, range) }
}

/// What `git push` and a server make of them. Objects that nobody has packed yet are stored
/// without regard to each other.
fn packed(checkout: &Checkout, range: &[String]) -> Result<u64, GitError> {
    let args = ["pack-objects", "--revs", "--thin", "--delta-base-offset", "--stdout", "-q"];
    let start = |source| GitError::Start { source };
    let mut child = checkout
        .command(&args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(start)?;
    if let Some(mut stdin) = child.stdin.take() {
        let lines: String = range.iter().map(|line| format!("{line}\n")).collect();
        // A git that died early is told by its exit code, not by this pipe.
        let _ = stdin.write_all(lines.as_bytes());
    }
    let mut size = 0;
    if let Some(stdout) = &mut child.stdout {
        size = io::copy(&mut stdout.by_ref(), &mut io::sink()).map_err(start)?;
    }
    match child.wait().map_err(start)?.success() {
        true => Ok(size),
        false => Err(GitError::Failed { command: args.join(" "), said: "see above".to_owned() }),
    }
}
