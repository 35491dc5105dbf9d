//! The way from what hosts run to what they are to run, for those who decide over it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::consequences::Files;
pub(super) use super::consequences::accepted;
use super::{Blame, Failure};
use crate::manifest::window::Gate;
use crate::manifest::{Desired, Manifest, WorkingTree};
use crate::names::HostName;
use crate::plan::assume::assumed;
use crate::plan::contents::Contents;
use crate::plan::digest::outline;
use crate::plan::observed::Observed;
use crate::plan::outlook::{HostOutlook, Outlook};
use crate::plan::{Waiting, unsupported};
use crate::source::git_program::Checkout;
use crate::source::{checkout, operator};
use crate::trust::{SignedPlan, named_plans, requires_plans};

/// How far down to look for a commit that hosts did not refuse.
const BELOW: usize = 20;

/// From one manifest to another.
pub(super) struct Way {
    /// None: hosts that run nothing yet.
    pub(super) old: Option<Manifest<WorkingTree>>,
    pub(super) new: Manifest<WorkingTree>,
}

impl Way {
    /// The manifest that hosts run at a revision: its own, or that of the nearest commit
    /// below it that they did not refuse; none where there is none.
    ///
    /// # Errors
    /// There is no such revision.
    pub(super) fn base(
        root: &Path,
        revision: &str,
    ) -> Result<Option<Manifest<WorkingTree>>, Failure> {
        let files = checkout::revision(root, revision)
            .map_err(|error| Failure::new(Blame::Usage, &error))?;
        Ok(Self::valid(&files).or_else(|| {
            let below = (1..=BELOW).map_while(|depth| {
                checkout::revision(root, &format!("{revision}{}", "^".repeat(depth))).ok()
            });
            below.into_iter().find_map(|files| Self::valid(&files))
        }))
    }

    fn valid(files: &Files) -> Option<Manifest<WorkingTree>> {
        Manifest::draft(files).ok()
    }

    /// Every host that either manifest names.
    pub(super) fn hosts(&self) -> BTreeSet<HostName> {
        self.old.iter().chain([&self.new]).flat_map(Manifest::hosts).collect()
    }

    /// What these hosts are to be, before and after.
    pub(super) fn desired(
        &self,
        host: &HostName,
    ) -> (Option<Desired<WorkingTree>>, Desired<WorkingTree>) {
        (self.old.as_ref().map(|old| old.desired(host)), self.new.desired(host))
    }

    /// # Errors
    /// A host would refuse it: this version cannot carry it out.
    pub(super) fn outlook(
        &self,
        hosts: &BTreeSet<HostName>,
        contents: &Contents,
    ) -> Result<Outlook, Failure> {
        let mut outlook = Outlook { hosts: BTreeMap::new(), unchanged: Vec::new() };
        for host in hosts {
            let (old, new) = self.desired(host);
            supported(&new)?;
            let mut told = HostOutlook::of(old.as_ref(), &new, contents);
            if told.plan.steps.is_empty() && told.plan.privileges.is_empty() {
                outlook.unchanged.push(host.clone());
                continue;
            }
            if let Gate::Closed { opens } = new.windows.at(jiff::Timestamp::now()) {
                told.plan.waiting.push(Waiting::window(&new.windows, opens));
            }
            outlook.hosts.insert(host.clone(), told);
        }
        Ok(outlook)
    }

    /// The plans of these hosts, for a commit's message.
    pub(super) fn signed(&self, hosts: &BTreeSet<HostName>) -> Vec<SignedPlan> {
        let plan = |host: &HostName| {
            let (old, new) = self.desired(host);
            let before = old.as_ref().map_or_else(Observed::default, assumed);
            let outline = outline(&new, &before);
            let digest = (!outline.is_empty()).then(|| outline.digest())?;
            Some(SignedPlan { host: host.clone(), digest })
        };
        hosts.iter().filter_map(plan).collect()
    }
}

/// Whether the policy of a tree asks for plans: that of the commit which is to name them.
pub(super) fn plans_are_required(root: &Path, tree: &str) -> Result<bool, Failure> {
    let files = checkout::tree(root, tree)?;
    Ok(operator::policy_in(&files).is_some_and(|policy| requires_plans(&policy)))
}

/// A message that names these plans, where hosts look for them.
///
/// # Errors
/// They would be overlooked there.
pub(super) fn with_plans(
    checkout: &Checkout,
    message: &str,
    plans: &[SignedPlan],
) -> Result<String, Failure> {
    if plans.is_empty() {
        return Ok(message.to_owned());
    }
    let mut asked: Vec<String> = TRAILERS.map(str::to_owned).to_vec();
    asked.extend(plans.iter().map(|plan| format!("--trailer={plan}")));
    let told = checkout.feed(&asked, &format!("{}\n", message.trim_end()))?;
    let found = named_plans(&told);
    if plans.iter().all(|plan| found.contains(plan)) {
        return Ok(told);
    }
    Err(Failure {
        message: "hosts would overlook the plans at the end of this message".to_owned(),
        hint: Some("write it anew, without lines that begin with # at its end".to_owned()),
        blame: Blame::Refused,
    })
}

/// Whatever git's config says of trailers: each plan is there once, at the end.
const TRAILERS: [&str; 7] = [
    "-c",
    "trailer.separators=:",
    "interpret-trailers",
    "--no-divider",
    "--where=end",
    "--if-exists=addIfDifferent",
    "--if-missing=add",
];

fn supported(desired: &Desired<WorkingTree>) -> Result<(), Failure> {
    let lacking = unsupported(desired);
    if lacking.is_empty() {
        return Ok(());
    }
    let message = format!("this version cannot carry out:\n  {}", lacking.join("\n  "));
    Err(Failure { message, hint: None, blame: Blame::Refused })
}
