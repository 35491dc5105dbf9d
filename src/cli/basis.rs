//! From where a branch is judged on an operator's machine or a server: pins, the
//! accepted head, and what hosts that are there would say to a new one.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::consequences::lacking;
use super::{Blame, Failure, whisper};
use crate::config::Config;
use crate::manifest::Manifest;
use crate::names::CommitId;
use crate::source::git_program::Checkout;
use crate::source::{budget, merging};
use crate::trust::{self, Anchor, Objects, Pins, Refusal, VerifiedCommit};

/// What git's config calls them.
pub(super) const INTRODUCTION: &str = "writ.introduction";
const CHANNEL: &str = "writ.channel";
const HOST_CONFIG: &str = "writ.hostConfig";

/// What hosts pin, as an operator names it.
#[derive(Debug, Default, ClapArgs)]
pub(super) struct PinArgs {
    /// A host's config, for its pins (default: git config writ.hostConfig).
    #[arg(long)]
    host_config: Option<PathBuf>,
    /// The full id of the commit that verification starts from (default: git config
    /// writ.introduction, or else the first commit with a policy).
    #[arg(long, conflicts_with = "host_config")]
    introduction: Option<CommitId>,
}

/// From where a history is judged.
pub(super) enum Origin {
    HostConfig(Box<Config>),
    /// Named by somebody here, or in git's config.
    Introduction(CommitId),
    /// The history's own word, which hosts never take.
    History(CommitId),
}

impl PinArgs {
    /// The pins that are named here or in git's config.
    ///
    /// # Errors
    /// What is named cannot be used.
    pub(super) fn named(
        &self,
        checkout: &Checkout,
        objects: &impl Objects,
    ) -> Result<Option<Pins>, Failure> {
        self.chosen(checkout)?.map(|origin| origin.pins(checkout, objects)).transpose()
    }

    /// The same, or what the history below `head` says of itself: hosts never take its
    /// word, so that a lie here deploys nothing. `None`: there is no policy in it.
    ///
    /// # Errors
    /// As [`Self::named`].
    pub(super) fn pins(
        &self,
        checkout: &Checkout,
        objects: &impl Objects,
        head: &CommitId,
    ) -> Result<Option<Pins>, Failure> {
        self.origin(checkout, head)?.map(|origin| origin.pins(checkout, objects)).transpose()
    }

    /// The first that there is of: what is named here, what git's config names, and what
    /// the history below `head` says of itself. `None`: there is no policy in it.
    ///
    /// # Errors
    /// What is named cannot be used.
    pub(super) fn origin(
        &self,
        checkout: &Checkout,
        head: &CommitId,
    ) -> Result<Option<Origin>, Failure> {
        match self.chosen(checkout)? {
            Some(origin) => Ok(Some(origin)),
            None => Ok(merging::introduction(checkout, head)?.map(Origin::History)),
        }
    }

    fn chosen(&self, checkout: &Checkout) -> Result<Option<Origin>, Failure> {
        if let Some(config) = self.config(checkout)? {
            return Ok(Some(Origin::HostConfig(Box::new(config))));
        }
        let introduction = match &self.introduction {
            Some(introduction) => Some(introduction.clone()),
            None => configured(checkout)?,
        };
        Ok(introduction.map(Origin::Introduction))
    }

    /// The host's config that is named here or in git's config.
    ///
    /// # Errors
    /// It cannot be used.
    pub(super) fn config(&self, checkout: &Checkout) -> Result<Option<Config>, Failure> {
        let own = self.introduction.is_none();
        let path = match checkout.ask(&["config", HOST_CONFIG])?.filter(|_| own) {
            _ if self.host_config.is_some() => self.host_config.clone(),
            path => path.map(PathBuf::from),
        };
        let load = |path: PathBuf| Config::load(&path);
        path.map(load).transpose().map_err(|error| Failure::new(Blame::Usage, &error))
    }
}

impl Origin {
    fn pins(self, checkout: &Checkout, objects: &impl Objects) -> Result<Pins, Failure> {
        match self {
            Self::HostConfig(config) => Ok(config.pins()),
            Self::Introduction(commit) | Self::History(commit) => pinned(checkout, objects, commit),
        }
    }
}

/// The introduction that `writ init` or `writ setup` has put into git's config.
pub(super) fn configured(checkout: &Checkout) -> Result<Option<CommitId>, Failure> {
    let Some(text) = checkout.ask(&["config", INTRODUCTION])? else { return Ok(None) };
    let id = text.parse().map_err(|error| Failure {
        message: format!("git config {INTRODUCTION} is {text:?}: {error}"),
        hint: Some(format!("git config {INTRODUCTION} COMMIT, by its full id")),
        blame: Blame::Usage,
    })?;
    Ok(Some(id))
}

/// The commit is pinned by its id, and with it the key and the channel that it names.
pub(super) fn pinned(
    checkout: &Checkout,
    objects: &impl Objects,
    introduction: CommitId,
) -> Result<Pins, Failure> {
    let claims = trust::claims(objects, &introduction).map_err(|refusal| refused(&refusal))?;
    Ok(Pins {
        channel: checkout.ask(&["config", CHANNEL])?.unwrap_or(claims.channel),
        introducer: claims.key,
        introduction,
        minimum: None,
        revoked: Default::default(),
    })
}

/// The branch that hosts with these pins follow.
pub(super) fn branch_of(pins: &Pins) -> &str {
    pins.channel.rsplit_once(':').map_or(pins.channel.as_str(), |(_, branch)| branch)
}

/// The head that hosts are taken to have accepted, verified from the introduction on.
///
/// # Errors
/// They would not have.
pub(super) fn accepted(
    objects: &impl Objects,
    pins: &Pins,
    head: &CommitId,
    now: i64,
) -> Result<VerifiedCommit, Refusal> {
    let introduction = pins.introduction.clone();
    // Names the commit and vouches for nothing: all below it is verified.
    let unproven =
        Anchor { commit: head.clone(), payload: String::new(), time: i64::MIN, introduction };
    trust::recall(objects, pins, &unproven, head, now)
}

/// Whether hosts that follow `old` would go on to `new`, its manifest included.
///
/// Where they refuse `old` too, nobody has followed it, and `new` is judged as by a
/// host that starts.
///
/// # Errors
/// They would not, with rule and remedy.
pub(super) fn judge(
    checkout: &Checkout,
    objects: &impl Objects,
    pins: &Pins,
    old: Option<&CommitId>,
    new: &CommitId,
    now: i64,
) -> Result<VerifiedCommit, Failure> {
    let before = old.map(|old| accepted(objects, pins, old, now)).transpose();
    let before = before.unwrap_or_else(|refusal| {
        whisper(&format!("what the branch has now is refused by hosts: {refusal}\n"));
        None
    });
    let anchor = before.as_ref().map(VerifiedCommit::anchor);
    let commit =
        trust::verify(objects, pins, anchor, new, now).map_err(|refusal| refused(&refusal))?;
    let known = old.filter(|_| before.is_some());
    if let Some(refusal) = budget::exceeded(checkout, known, new)? {
        return Err(refused(&refusal));
    }
    let digests = commit.requires_closure_digests();
    let manifest = Manifest::of(commit.clone())
        .map_err(|problems| unfit(new, &format!("is not valid\n{problems}")))?;
    match &lacking(&manifest, digests)[..] {
        [] => Ok(commit),
        lacking => Err(unfit(new, &format!("cannot be carried out:\n  {}", lacking.join("\n  ")))),
    }
}

fn unfit(commit: &CommitId, what: &str) -> Failure {
    Failure {
        message: format!("the manifest of commit {} {what}", commit.short()),
        hint: Some("mend it, and commit again: `writ check` tells the same".to_owned()),
        blame: Blame::Refused,
    }
}

pub(super) fn no_policy() -> Failure {
    Failure {
        message: "there is no policy in the history: this is no deploy repository".to_owned(),
        hint: Some("name the commit it begins with, with --introduction".to_owned()),
        blame: Blame::Usage,
    }
}

/// A refusal in words.
pub(super) fn refused(refusal: &Refusal) -> Failure {
    let Refusal { commit, rule, because, remedy, .. } = refusal;
    let reason = refusal.reason.word();
    Failure {
        message: format!(
            "commit {} is refused by rule {rule} ({reason}): {because}",
            commit.short()
        ),
        hint: Some(remedy.clone()),
        blame: Blame::Refused,
    }
}
