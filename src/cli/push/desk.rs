//! The deploy repository's side of `writ push`: what would change, and the commit that
//! changes it.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;

use serde::Serialize;

use super::super::consequences::{self, Files, accepted};
use super::super::service_file::{difference, path_of, refused, released, text_of, with_text};
use super::super::version_change::version_change;
use super::super::way::{self, Way};
use super::super::{Blame, Failure, show, whisper};
use super::Args;
use crate::manifest::edit::{Release, same_but_release};
use crate::manifest::{Manifest, WorkingTree};
use crate::names::{CommitId, HostName, ServiceName};
use crate::source::checkout::{self, CheckoutError};
use crate::source::git_program::{Checkout, GitError};
use crate::source::landing::{Branch, Change, LandingError, Remote};

/// How often somebody else may have been faster.
const ATTEMPTS: usize = 5;

/// The checkout and what is to be done in it.
pub(super) struct Desk {
    checkout: Checkout,
    service: ServiceName,
    /// What the commit says, where somebody has said so.
    message: Option<String>,
    /// Whether the commit is to name each host's plan, whatever the policy says.
    plans: bool,
    /// None where only the file is written.
    branch: Option<(Branch, Option<Remote>)>,
}

/// What would happen, told before it does.
pub(super) struct Preview {
    /// The hosts that run the service.
    pub(super) hosts: BTreeSet<HostName>,
    pub(super) plan: String,
    pub(super) manifest: Manifest<WorkingTree>,
    pub(super) difference: String,
}

/// How far a change went.
#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub(super) enum Landed {
    /// Into the service's file.
    Written,
    /// Onto the branch of this checkout.
    Committed { commit: CommitId },
    /// The remote had all of it already.
    Unchanged { commit: CommitId },
    /// To the remote, which had `before`.
    Pushed { commit: CommitId, before: Option<CommitId> },
}

/// The manifest that a change is made to.
struct Basis {
    commit: Option<CommitId>,
    /// What the remote has; none where nobody asks it.
    there: Option<CommitId>,
    files: Files,
    /// The text of the service's file.
    text: String,
}

impl Desk {
    /// # Errors
    /// There is no such service, or no branch that could be pushed; what people are
    /// writing in the service's file would not be part of it.
    pub(super) fn at(args: &Args) -> Result<Self, Failure> {
        let checkout = Checkout::at(checkout::root_of(&args.repo));
        let service = args.service.clone();
        let files = checkout::working_tree(checkout.root())?;
        text_of(&files, &service)?;
        let branch = if args.no_commit {
            None
        } else {
            let branch = Branch::of(&checkout)?;
            let remote = if args.no_push { None } else { Some(branch.remote()?) };
            Some((branch, remote))
        };
        let message = args.message.clone();
        let desk = Self { checkout, service, message, plans: args.sign_plan, branch };
        // What cannot land is told before the long work of building it.
        desk.basis()?;
        Ok(desk)
    }

    pub(super) fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    /// The hosts that are to run the service, where its file is complete already.
    pub(super) fn hosts(&self) -> Option<BTreeSet<HostName>> {
        let files = checkout::working_tree(self.checkout.root()).ok()?;
        Some(self.running(&Manifest::draft(&files).ok()?))
    }

    fn running(&self, manifest: &Manifest<WorkingTree>) -> BTreeSet<HostName> {
        let runs = |host: &HostName| manifest.desired(host).services.contains_key(&self.service);
        manifest.hosts().into_iter().filter(runs).collect()
    }

    pub(super) fn preview(&self, release: &Release) -> Result<Preview, Failure> {
        let basis = self.basis()?;
        let text = released(&basis.text, &self.service, release)?;
        let new = with_text(&basis.files, &self.service, &text);
        let mut old = basis.files;
        if basis.commit.is_none() {
            // Against what is committed, so that the plan is the one of the commit to be.
            old = checkout::revision(self.checkout.root(), "HEAD").unwrap_or(old);
        }
        let plan = consequences::told(&old, &new)?;
        let manifest = accepted(&new)?;
        let hosts = self.running(&manifest);
        let difference = difference(&self.service, &basis.text, &text);
        Ok(Preview { hosts, plan, manifest, difference })
    }

    /// Changes the manifest, and commits and pushes it as was asked for.
    pub(super) fn land(&self, release: &Release) -> Result<Landed, Failure> {
        let Some((branch, remote)) = &self.branch else {
            return self.write(release).map(|()| Landed::Written);
        };
        let path = path_of(&self.service);
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            let basis = self.basis_for(release)?;
            let text = released(&basis.text, &self.service, release)?;
            let new = accepted(&with_text(&basis.files, &self.service, &text))?;
            let base = basis.commit.as_ref().ok_or(LandingError::Detached)?;
            let message = match &self.message {
                Some(message) => message.clone(),
                None => format!("{}: {}", self.service, version_change(Some(&basis.text), &text)),
            };
            let message = self.with_plans(&message, base, new)?;
            let change = Change { path: &path, text: &text, message: &message };
            let there = basis.files.get(&path).map(Vec::as_slice);
            let commit = if there == Some(text.as_bytes()) {
                base.clone()
            } else {
                branch.commit(base, &change)?
            };
            let Some(remote) = remote else {
                self.committed(branch, &commit, &change)?;
                return Ok(Landed::Committed { commit });
            };
            if basis.there.as_ref() == Some(&commit) {
                show("the remote has it already\n");
                self.follow(branch, &commit, &change);
                return Ok(Landed::Unchanged { commit });
            }
            match branch.push(remote, &commit) {
                Ok(()) => {
                    self.pushed(branch, &commit, &change)?;
                    return Ok(Landed::Pushed { commit, before: basis.there });
                }
                Err(error) => {
                    // Who was faster has moved the branch; anything else stays wrong.
                    let now = branch.newer(remote, &branch.fetch(remote)?)?;
                    if Some(&now) == basis.commit.as_ref() && !error.is_contention() {
                        return Err(error.into());
                    }
                    lost = Some(error);
                    whisper("somebody else pushed meanwhile, trying again\n");
                }
            }
        }
        Err(lost
            .map_or_else(|| LandingError::Detached.into(), Failure::from)
            .hint("others push all the time; run it again"))
    }

    /// What the commit says, with the plan of each host where that is asked for.
    fn with_plans(
        &self,
        message: &str,
        base: &CommitId,
        new: Manifest<WorkingTree>,
    ) -> Result<String, Failure> {
        let root = self.checkout.root();
        // Of the commit that it goes on top of, which this checkout may not stand at yet.
        if !self.plans && !way::plans_are_required(root, &format!("{base}^{{tree}}"))? {
            return Ok(message.to_owned());
        }
        let way = Way { old: Way::base(root, base.as_str())?, new };
        way::with_plans(&self.checkout, message, &way.signed(&way.hosts()))
    }

    fn write(&self, release: &Release) -> Result<(), Failure> {
        let basis = self.basis()?;
        let text = released(&basis.text, &self.service, release)?;
        accepted(&with_text(&basis.files, &self.service, &text))?;
        let path = path_of(&self.service);
        self.checkout.replace(&path, &text)?;
        show(format!("wrote {path}; look at it, then: git commit -S\n"));
        Ok(())
    }

    fn committed(
        &self,
        branch: &Branch,
        commit: &CommitId,
        change: &Change<'_>,
    ) -> Result<(), Failure> {
        branch.follow(commit, change)?;
        show(format!("{}\nlook at it, then: git push\n", self.told(commit)?));
        Ok(())
    }

    fn pushed(
        &self,
        branch: &Branch,
        commit: &CommitId,
        change: &Change<'_>,
    ) -> Result<(), Failure> {
        show(format!("{}\npushed\n", self.told(commit)?));
        self.follow(branch, commit, change);
        Ok(())
    }

    fn told(&self, commit: &CommitId) -> Result<String, Failure> {
        Ok(self.checkout.run(&["log", "-1", "--format=%h %s", commit.as_str(), "--"])?)
    }

    /// It has landed, whether this checkout can go on to it or not.
    fn follow(&self, branch: &Branch, commit: &CommitId, change: &Change<'_>) {
        if let Err(error) = branch.follow(commit, change) {
            whisper(&format!(
                "this checkout stays behind ({error}); git pull, when that is out of the way\n"
            ));
        }
    }

    /// What the change is made to now. Others may have pushed since the last look.
    fn basis(&self) -> Result<Basis, Failure> {
        let files = checkout::working_tree(self.checkout.root())?;
        let written = text_of(&files, &self.service)?.to_owned();
        let Some((branch, remote)) = &self.branch else {
            return Ok(Basis { commit: None, there: None, files, text: written });
        };
        let head = branch.head()?;
        let own = checkout::revision(self.checkout.root(), head.as_str())?;
        self.nothing_of_theirs(&own, &written)?;
        let Some(remote) = remote else {
            return Ok(self.on((head, None), own, written));
        };
        let there = branch.fetch(remote)?;
        let base = branch.newer(remote, &there)?;
        let files = checkout::revision(self.checkout.root(), base.as_str())?;
        Ok(self.on((base, Some(there)), files, written))
    }

    /// A file that no commit has yet is taken as it is written.
    fn on(
        &self,
        (commit, there): (CommitId, Option<CommitId>),
        files: Files,
        written: String,
    ) -> Basis {
        let text = text_of(&files, &self.service).map_or(written, str::to_owned);
        Basis { commit: Some(commit), there, files, text }
    }

    /// As [`Self::basis`], where nobody else changed this service since this checkout.
    fn basis_for(&self, release: &Release) -> Result<Basis, Failure> {
        let basis = self.basis()?;
        let (Some((branch, _)), Some(base)) = (&self.branch, &basis.commit) else {
            return Ok(basis);
        };
        let path = path_of(&self.service);
        let head = branch.head()?;
        let own = checkout::revision(self.checkout.root(), head.as_str())?;
        let same = own.get(&path) == basis.files.get(&path);
        if same || released(&basis.text, &self.service, release)? == basis.text {
            return Ok(basis);
        }
        let others = branch.touched(&head, base, &path)?;
        let told: Vec<String> = others.into_iter().map(|other| other.told).collect();
        let hint = "nothing was changed here, and what was uploaded stays in the cache; git pull, \
                    look at their change, and run this again if yours is to replace it";
        let message =
            format!("{} was changed by others meanwhile: {}", self.service, told.join("; "));
        Err(refused(message, Some(hint.to_owned())))
    }

    /// What somebody is writing in the file would neither be committed nor be kept.
    fn nothing_of_theirs(&self, committed: &Files, written: &str) -> Result<(), Failure> {
        let path = path_of(&self.service);
        let text = committed.get(&path).map(|bytes| String::from_utf8_lossy(bytes));
        let own = text.is_none_or(|text| same_but_release(&text, written));
        let staged = self.checkout.ask(&["show", &format!(":{path}")])?;
        let written = written.trim_end_matches('\n');
        let staged = staged.is_none_or(|text| {
            same_but_release(&text, written)
                || committed
                    .get(&path)
                    .is_some_and(|old| old.trim_ascii_end() == text.trim_ascii_end().as_bytes())
        });
        if own && staged {
            return Ok(());
        }
        let message = format!("{path} has changes of yours that are not committed");
        Err(refused(message, Some("commit or stash them first".to_owned())))
    }
}

/// Whether somebody sits before this.
pub(super) fn can_be_asked() -> bool {
    std::io::stdin().is_terminal()
}

/// Goes on with a yes only.
pub(super) fn ask(difference: &str) -> Result<(), Failure> {
    show(format!("{difference}go on? [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    match (read, answer.trim()) {
        (Ok(_), "y" | "Y" | "yes") => Ok(()),
        (Ok(_) | Err(_), _) => Err(refused("not confirmed: nothing was changed".to_owned(), None)),
    }
}

impl From<CheckoutError> for Failure {
    fn from(error: CheckoutError) -> Self {
        Self::new(Blame::Refused, &error)
    }
}

impl From<LandingError> for Failure {
    fn from(error: LandingError) -> Self {
        let (blame, hint) = match &error {
            LandingError::Detached => {
                (Blame::Usage, Some("git switch to the branch that hosts follow"))
            }
            LandingError::NoRemote { .. } => {
                (Blame::Usage, Some("git push -u REMOTE BRANCH, once"))
            }
            LandingError::Diverged { .. } => {
                (Blame::Refused, Some("git pull --rebase, then run this again"))
            }
            LandingError::Unreachable { .. } => {
                (Blame::World, Some("nothing was changed; run it again"))
            }
            LandingError::Refused { source: GitError::Slow { .. }, .. } => (
                Blame::World,
                Some("it may have arrived all the same; run it again, and it says so"),
            ),
            LandingError::Refused { .. } => (
                Blame::Refused,
                Some("nothing was changed here; what was uploaded stays in the cache"),
            ),
            LandingError::Commit { .. } => {
                (Blame::Refused, Some("nothing was changed; see that git can sign: git commit -S"))
            }
            LandingError::Git(GitError::Start { .. } | GitError::Slow { .. }) => {
                (Blame::World, None)
            }
            LandingError::Git(GitError::Failed { .. } | GitError::Text { .. }) => {
                (Blame::Refused, None)
            }
            LandingError::Checkout(_) => (Blame::Refused, None),
        };
        let failure = Self::new(blame, &error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
