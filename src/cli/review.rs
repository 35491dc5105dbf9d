//! `writ review`: what a branch would change, who has signed it, and whose word is missing.

mod advice;
mod pushed;
mod seen;
mod text;
mod you;

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::basis::{self, PinArgs};
use super::way::{Way, with_plans};
use super::{Blame, Failure, consequences, show, show_json};
use crate::fault::causes;
use crate::manifest::Manifest;
use crate::names::{BranchName, Principal};
use crate::source::checkout;
use crate::source::git_program::Checkout;
use crate::source::merging::{Meeting, MergeError};
use crate::source::pushed::Pushed;
use crate::source::repo::Repository;
use crate::trust::detached::TRAILER;
use crate::trust::{self, Pins, Proposal, Review, SignedPlan, VerifiedCommit};
use advice::{Advice, Seen};
pub(super) use pushed::is_what_was_pushed;
pub(super) use seen::is_as_looked_at;

/// Show what merging a branch into the hosts' branch would do.
///
/// Lists its commits with their signers, the changed paths and who may write them, what each
/// host would do, whose approval is missing, and the next command. Uses the hosts' own rules
/// and changes nothing. Exit code 0: hosts would accept it as it is, or once one of the people
/// listed merges it; 1: something is missing.
///
/// Example: writ review new-service
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    pub(super) look: LookArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Which branch is looked at, and from where it is judged.
#[derive(Debug, ClapArgs)]
pub(super) struct LookArgs {
    /// The branch or commit (default: the current branch).
    pub(super) branch: Option<String>,
    /// The branch that hosts follow (default: the one in the policy).
    #[arg(long, value_name = "BRANCH")]
    against: Option<BranchName>,
    /// An approval line from `writ approve --detached`; may be repeated.
    #[arg(long, value_name = "LINE")]
    pub(super) approval: Vec<String>,
    /// Do not fetch; use the deploy branch as last fetched.
    #[arg(long)]
    no_fetch: bool,
    #[command(flatten)]
    pins: PinArgs,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    pub(super) repo: PathBuf,
}

/// A branch, and what is to be said of it.
pub(super) struct Sight {
    pub(super) meeting: Meeting,
    pub(super) pins: Pins,
    pub(super) proposal: Proposal,
    pub(super) review: Review,
    /// What hosts would do, or why they would refuse the manifest.
    plan: Result<String, String>,
    pub(super) you: Option<Principal>,
    pub(super) advice: Advice,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    branch: &'a str,
    against: &'a BranchName,
    #[serde(flatten)]
    review: &'a Review,
    plan: Option<&'a str>,
    problems: Option<&'a str>,
    you: Option<&'a Principal>,
    pushed: Option<&'a Pushed>,
    #[serde(flatten)]
    advice: &'a Advice,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let meeting = args.look.meeting()?;
    // What is checked out is what is asked about, where no name is given.
    if args.look.branch.is_some() {
        pushed::is_one(&meeting)?;
    }
    if meeting.is_there()? {
        show(format!("{} has it already\n", meeting.against));
        let (branch, against) = (&meeting.name, &meeting.against);
        if args.json {
            show_json(
                &serde_json::json!({ "branch": branch, "against": against, "merged": true }),
            )?;
        }
        return Ok(());
    }
    let sight = args.look.sight(meeting, "a merge")?;
    if args.json {
        show_json(&sight.told())?;
    } else {
        show(text::of(&sight));
        seen::note(&sight.meeting)?;
    }
    match sight.advice.would_be_accepted() {
        true => Ok(()),
        false => Err(Failure::told(Blame::Refused)),
    }
}

impl LookArgs {
    pub(super) fn meeting(&self) -> Result<Meeting, Failure> {
        let checkout = Checkout::at(checkout::root_of(&self.repo));
        let against = match &self.against {
            Some(against) => against.clone(),
            None => followed(&checkout)?,
        };
        Ok(Meeting::find(&checkout, self.branch.as_deref(), &against, !self.no_fetch)?)
    }

    /// Judges the merge of a branch with `message`.
    ///
    /// # Errors
    /// The two cannot be merged, or hosts refuse what the deploy branch has already.
    pub(super) fn sight(&self, meeting: Meeting, message: &str) -> Result<Sight, Failure> {
        let (objects, base) = history(&meeting)?;
        let pins =
            self.pins.pins(&meeting.checkout, &objects, &base)?.ok_or_else(basis::no_policy)?;
        let now = jiff::Timestamp::now().as_second();
        let accepted = basis::accepted(&objects, &pins, &base, now).map_err(|refusal| Failure {
            message: format!("hosts refuse what {} has now: {refusal}", meeting.against),
            hint: Some(refusal.remedy),
            blame: Blame::Refused,
        })?;
        let mut approvals = meeting.lines(TRAILER)?;
        approvals.extend(self.approvals()?);
        let mut proposal = meeting.proposal(message, &approvals)?;
        let review = trust::review(&objects, &pins, accepted.anchor(), &proposal, now)
            .map_err(|refusal| basis::refused(&refusal))?;
        let plan = plan(&accepted, &review);
        let named = plans(&meeting, &review)?;
        proposal.message = with_plans(&meeting.checkout, &proposal.message, &named)?;
        let you = you::of(&meeting.checkout, &review)?;
        let advice = Advice::on(&Seen {
            meeting: &meeting,
            review: &review,
            fit: plan.is_ok(),
            waits: named.iter().any(|plan| !review.plans.contains(plan)),
            you: you.as_ref(),
            published: meeting.remote.is_none() || meeting.is_published()?,
        });
        Ok(Sight { meeting, pins, proposal, review, plan, you, advice })
    }
}

impl LookArgs {
    /// Lines that others sent go into a message that you sign: each is one, and says no more.
    fn approvals(&self) -> Result<Vec<String>, Failure> {
        let start = TRAILER;
        let line = |given: &String| {
            let line = given.trim();
            let fit = line.starts_with(start) && !line.contains(char::is_control);
            fit.then(|| line.to_owned()).ok_or_else(|| Failure {
                message: format!("{line:?} is no approval: one line, `{start}…`"),
                hint: Some("give it as `writ approve --detached` has printed it".to_owned()),
                blame: Blame::Usage,
            })
        };
        self.approval.iter().map(line).collect()
    }
}

impl Sight {
    fn told(&self) -> Told<'_> {
        Told {
            branch: &self.meeting.name,
            against: &self.meeting.against,
            review: &self.review,
            plan: self.plan.as_deref().ok(),
            problems: self.plan.as_ref().err().map(String::as_str),
            you: self.you.as_ref(),
            pushed: self.meeting.pushed.as_ref(),
            advice: &self.advice,
        }
    }

    /// Whether hosts would refuse the manifest.
    pub(super) fn has_problems(&self) -> bool {
        self.plan.is_err()
    }

    pub(super) fn text(&self) -> String {
        text::of(self)
    }
}

/// The objects of a checkout as they are by now, and the deploy branch's head.
pub(super) fn history(meeting: &Meeting) -> Result<(Repository, crate::names::CommitId), Failure> {
    Ok(checkout::history(meeting.checkout.root(), meeting.base.as_str())?)
}

/// What every host would do, going from what is accepted to the merge.
fn plan(accepted: &VerifiedCommit, review: &Review) -> Result<String, String> {
    let Some(files) = &review.files else {
        return Err("the files below manifests/ cannot be read".to_owned());
    };
    let manifest = Manifest::draft(files).map_err(|problems| problems.to_string())?;
    match &consequences::lacking(&manifest, review.closure_digests)[..] {
        [] => consequences::told(accepted.files(), files).map_err(|failure| failure.message),
        lacking => Err(lacking.join("\n")),
    }
}

/// The plans that a merge is to name, where its policy asks for them.
fn plans(meeting: &Meeting, review: &Review) -> Result<Vec<SignedPlan>, Failure> {
    let new = review.files.as_ref().and_then(|files| Manifest::draft(files).ok());
    let Some(new) = new.filter(|_| review.requires_plan) else { return Ok(Vec::new()) };
    let way = Way { old: Way::base(meeting.checkout.root(), review.base.as_str())?, new };
    Ok(way.signed(&way.hosts()))
}

/// The branch that the policy of this checkout is for.
fn followed(checkout: &Checkout) -> Result<BranchName, Failure> {
    let unknown = |why: &str| Failure {
        message: format!("it is not known which branch hosts follow: {why}"),
        hint: Some("name it with --against".to_owned()),
        blame: Blame::Usage,
    };
    let history = checkout::history(checkout.root(), "HEAD");
    let (objects, head) = history.map_err(|error| unknown(&causes(&error)))?;
    let channel = trust::channel(&objects, &head).map_err(|refusal| unknown(&refusal.because))?;
    let branch = channel.rsplit_once(':').and_then(|(_, branch)| branch.parse().ok());
    branch.ok_or_else(|| unknown("the policy's channel names none"))
}

impl From<MergeError> for Failure {
    fn from(error: MergeError) -> Self {
        let (blame, hint) = match error {
            MergeError::Landing(error) => return error.into(),
            MergeError::Git(error) => return error.into(),
            MergeError::NoBranch { .. } => (Blame::Usage, "git branch --all shows what there is"),
            MergeError::Gone { .. } => (
                Blame::Refused,
                "ask whose it is; git rev-parse tells at which commit it was last seen",
            ),
            MergeError::Same { .. } => (Blame::Usage, "writ review BRANCH"),
            MergeError::Conflict { .. } => (
                Blame::Refused,
                "nothing was changed; rebase the branch onto what is there now, and push it again",
            ),
            MergeError::NoTree { .. } => (Blame::Refused, "nothing was changed"),
        };
        Self::new(blame, &error).hint(hint)
    }
}
