//! What a branch still lacks, who could give it, and the next command.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::names::Principal;
use crate::source::landing::Remote;
use crate::source::merging::Meeting;
use crate::trust::{Reason, Refusal, Review};

/// How a branch comes onto the one that hosts follow.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Advice {
    /// How hosts would accept it.
    pub(super) way: Way,
    /// What is missing, a sentence each.
    pub(super) missing: Vec<String>,
    /// What to run, or to do, one after the other.
    pub(super) next: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "by")]
pub(super) enum Way {
    FastForward,
    /// As a merge by one of these.
    Merge(Vec<Principal>),
    /// Not as it stands.
    No,
}

/// What advice is given on.
pub(super) struct Seen<'a> {
    pub(super) meeting: &'a Meeting,
    pub(super) review: &'a Review,
    /// Whether hosts would take the manifest.
    pub(super) fit: bool,
    /// Whether hosts would wait with the tip as it is: it does not name their plans.
    pub(super) waits: bool,
    pub(super) you: Option<&'a Principal>,
    /// Whether others can see the branch.
    pub(super) published: bool,
}

impl Advice {
    pub(super) fn on(seen: &Seen<'_>) -> Self {
        let review = seen.review;
        if let Some(refusal) = review.commits.iter().find_map(|commit| commit.refused.as_ref()) {
            let missing = format!("commit {}: {}", refusal.commit.short(), refusal.because);
            return Self::no(vec![missing], vec![by_author(seen, refusal)]);
        }
        if !seen.fit {
            let next = "mend the manifest (`writ check` tells the same), and commit again";
            return Self::no(
                vec!["a manifest that hosts would take".to_owned()],
                vec![next.to_owned()],
            );
        }
        let may = review.merges.iter().filter(|merger| merger.refused.is_none());
        let by: Vec<Principal> = may.map(|merger| merger.principal.clone()).collect();
        match (&review.forward, &by[..]) {
            (None, _) if !seen.waits => {
                Self { way: Way::FastForward, missing: Vec::new(), next: forward(seen, &by) }
            }
            (_, []) => Self::no(missing(seen), next(seen)),
            (_, _) => {
                let next = merge(seen, &by);
                Self { way: Way::Merge(by), missing: missing(seen), next }
            }
        }
    }

    fn no(missing: Vec<String>, next: Vec<String>) -> Self {
        Self { way: Way::No, missing, next }
    }

    pub(in crate::cli) fn would_be_accepted(&self) -> bool {
        self.way != Way::No
    }

    /// What is missing and what to do, in one line.
    pub(in crate::cli) fn told(&self) -> String {
        self.missing.iter().chain(&self.next).cloned().collect::<Vec<_>>().join("; ")
    }

    /// Who could merge it so that hosts accept it.
    pub(in crate::cli) fn mergers(&self) -> &[Principal] {
        match &self.way {
            Way::Merge(by) => by,
            Way::FastForward | Way::No => &[],
        }
    }
}

/// A commit is made anew by whoever made it; another's key would say something else.
fn by_author(Seen { meeting, .. }: &Seen<'_>, refusal: &Refusal) -> String {
    let remedy = &refusal.remedy;
    match meeting.author_elsewhere(&refusal.commit) {
        Ok(Some(author)) => format!("{author}: {remedy}"),
        Ok(None) | Err(_) => remedy.clone(),
    }
}

/// What each path lacks; paths that lack the same are told of once.
fn missing(Seen { review, waits, .. }: &Seen<'_>) -> Vec<String> {
    let mut told = Vec::new();
    if review.forward.is_none() && *waits {
        told.push(
            "the plan of each host in the tip's message, without which hosts wait".to_owned(),
        );
    }
    let mut seen = BTreeSet::new();
    for path in &review.paths {
        let sentence = if path.writers.is_empty() {
            format!("nobody may write {}", path.path)
        } else if let Some(missing) = &path.missing {
            needs(path.threshold, &path.agreed, missing.people, &missing.of)
        } else {
            continue;
        };
        if seen.insert(sentence.clone()) {
            told.push(sentence);
        }
    }
    if told.is_empty() {
        let reasons = review.merges.iter().filter_map(|merger| merger.refused.as_ref());
        told.extend(reasons.map(|refusal| refusal.because.clone()).collect::<BTreeSet<_>>());
    }
    told
}

/// `needs 2 people: alice has, any of bob, carol is missing`.
pub(super) fn needs(threshold: u32, agreed: &[Principal], people: u32, of: &[Principal]) -> String {
    let has = match agreed {
        [] => "nobody has".to_owned(),
        [one] => format!("{one} has"),
        several => format!("{} have", names(several)),
    };
    let missing = match (of.len(), people as usize) {
        (0, _) => "and nobody else could".to_owned(),
        (1, 1) => format!("{} is missing", names(of)),
        (all, needed) if all == needed => format!("{} are missing", names(of)),
        (all, needed) if all < needed => format!("and only {} could as well", names(of)),
        (_, 1) => format!("any of {} is missing", names(of)),
        (_, needed) => format!("any {needed} of {} are missing", names(of)),
    };
    format!("needs {threshold} people: {has}, {missing}")
}

pub(super) fn names(people: &[Principal]) -> String {
    people.iter().map(Principal::as_str).collect::<Vec<_>>().join(", ")
}

/// A name that can be pasted, whatever somebody called the branch.
fn shell(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/@+-".contains(c);
    if name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', "'\\''"))
    }
}

/// What leads on where hosts take the tip as it is: a merge in your name, if you may, or
/// the tip itself. By its id: a branch of that name may not be here.
fn forward(seen: &Seen<'_>, by: &[Principal]) -> Vec<String> {
    let Seen { meeting, review, you, .. } = seen;
    let own = review.commits.iter().all(|commit| commit.principal.as_ref() == *you);
    let (tip, against) = (&meeting.tip, &meeting.against);
    let to = meeting.remote.as_ref().map_or(".", Remote::name);
    let push = format!("git push {to} {tip}:refs/heads/{against}");
    match you {
        Some(you) if by.contains(you) && !own => vec![
            format!("writ approve {}", shell(&meeting.name)),
            format!("or as it is, without a merge: {push}"),
        ],
        Some(_) | None => vec![push],
    }
}

/// What leads to a merge by one of `by`.
fn merge(Seen { meeting, you, published, .. }: &Seen<'_>, by: &[Principal]) -> Vec<String> {
    let approve = format!("writ approve {}", shell(&meeting.name));
    if you.is_some_and(|you| by.contains(you)) {
        return vec![approve];
    }
    let mut next = Vec::new();
    if let Some(remote) = meeting.remote.as_ref().filter(|_| !*published) {
        next.push(format!("git push {} {}", remote.name(), shell(&meeting.name)));
    }
    let who: Vec<&str> = by.iter().map(Principal::as_str).collect();
    next.push(format!("{}: {approve}", who.join(" or ")));
    next
}

/// What leads on where no merge would do.
fn next(Seen { meeting, review, you, .. }: &Seen<'_>) -> Vec<String> {
    let refusals: Vec<&Refusal> =
        review.merges.iter().filter_map(|merger| merger.refused.as_ref()).collect();
    let threshold = |refusal: &&&Refusal| refusal.reason == Reason::Threshold;
    let people = review.paths.iter().filter_map(|path| path.missing.as_ref());
    let most = people.map(|missing| missing.people).max().unwrap_or_default();
    let (branch, against) = (shell(&meeting.name), &meeting.against);
    match refusals.iter().find(threshold) {
        Some(_) if !matches!(meeting.is_on_top(), Ok(true)) => {
            let onto = match &meeting.remote {
                Some(remote) => format!("{}/{against}", remote.name()),
                None => against.to_string(),
            };
            let author = review.commits.last().and_then(|commit| commit.principal.as_ref());
            let who = author.filter(|author| *you != Some(*author));
            let who = who.map(|author| format!("{author}: ")).unwrap_or_default();
            vec![format!("{who}git rebase {onto} {branch}")]
        }
        Some(_) if most > 1 => vec![
            format!("{} of them: writ approve --detached {branch}", most - 1),
            format!("then one more: writ approve {branch} --approval 'Writ-Approval: …'"),
        ],
        Some(refusal) => vec![refusal.remedy.clone()],
        None => refusals.first().map(|refusal| refusal.remedy.clone()).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_a_sentence() {
        let people = |names: &str| -> Vec<Principal> {
            names.split_whitespace().map(|name| name.parse().unwrap()).collect()
        };
        let told =
            |agreed: &str, needed: u32, of: &str| needs(3, &people(agreed), needed, &people(of));
        assert_eq!(told("a b", 1, "c d"), "needs 3 people: a, b have, any of c, d is missing");
        assert_eq!(told("a", 2, "c d e"), "needs 3 people: a has, any 2 of c, d, e are missing");
        assert_eq!(told("a", 2, "c d"), "needs 3 people: a has, c, d are missing");
        assert_eq!(told("a b", 1, "c"), "needs 3 people: a, b have, c is missing");
        assert_eq!(told("", 3, "c"), "needs 3 people: nobody has, and only c could as well");
        assert_eq!(told("a", 2, ""), "needs 3 people: a has, and nobody else could");
    }

    #[test]
    fn a_command_runs_nothing_that_a_branch_is_called() {
        assert_eq!(shell("new/service-2"), "new/service-2");
        assert_eq!(shell("a;rm$IFS-rf"), "'a;rm$IFS-rf'");
        assert_eq!(shell("it's"), "'it'\\''s'");
    }
}
