//! `writ check`: everything that is wrong with a manifest, at once.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::consequences::Files;
use super::{Blame, Failure, show, show_json};
use crate::manifest::{Manifest, Problem, Problems, WorkingTree};
use crate::plan::unsupported;
use crate::source::checkout::{self, CheckoutError};
use crate::source::git_program::Checkout;
use crate::source::worktree::Worktree;
use crate::trust::{Inspection, PolicyState, Violation, inspect};

/// Check a deploy repository's manifest and list every problem with file, line and column.
///
/// Reads the working tree. Needs no network, no keys and no host. Exits 1 if there is a
/// problem, also with the policy in .writ/ or with any file that hosts would not accept. Warns
/// if the policy is weaker than it looks; warnings alone do not change the exit code.
///
/// Example: writ check ~/deploy
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The deploy repository.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Print JSON: {"problems": [{file, line, column, what, remedy}], "violations":
    /// [{rule, reason, because, remedy}], "warnings": […]}.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let unreadable = |error: CheckoutError| Failure::new(Blame::Refused, &error);
    let root = root(&args.dir).map_err(unreadable)?;
    let tree = Worktree::list(&root).map_err(unreadable)?;
    let had = Checkout::at(&root).ask(&["rev-parse", "--verify", "--quiet", "HEAD:./.writ"]);
    // Without git there is no history that could have had a policy.
    let had = had.is_ok_and(|policy| policy.is_some());
    let findings = Findings::of(inspect(&tree, tree.root()), had);
    told(&findings, Voice::Command { json: args.json })
}

/// A folder of a checkout stands for the whole, as for every other command.
fn root(dir: &Path) -> Result<PathBuf, CheckoutError> {
    let root = checkout::root_of(dir);
    let found = [dir.to_owned(), root].into_iter().find(|dir| dir.join("manifests").is_dir());
    found.ok_or_else(|| CheckoutError::NoManifests { path: dir.to_owned() })
}

/// The same of a tree that git is about to commit: silent where all is well, but for what
/// is to be said of a policy that changes.
pub(super) fn staged(mut findings: Findings, policy_changes: bool) -> Result<(), Failure> {
    if !policy_changes {
        findings.warnings.clear();
    }
    told(&findings, Voice::Hook)
}

/// Who is told.
#[derive(Clone, Copy)]
enum Voice {
    Command { json: bool },
    Hook,
}

/// What a tree comes to, before its manifest is read.
pub(super) struct Findings {
    files: Option<Files>,
    violations: Vec<Violation>,
    warnings: Vec<String>,
}

impl Findings {
    /// `had`: whether there was a policy before, which a commit must not take away. A
    /// folder that never had one may be checked as well.
    pub(super) fn of(found: Inspection, had: bool) -> Self {
        let Inspection { files, policy, mut violations } = found;
        let mut warnings = Vec::new();
        match policy {
            PolicyState::Absent(violation) => violations.extend(had.then_some(violation)),
            PolicyState::Refused => {}
            PolicyState::Valid(text) => {
                warnings = text.check().unwrap_or_else(|why| vec![why]);
            }
        }
        Self { files, violations, warnings }
    }
}

fn told(findings: &Findings, voice: Voice) -> Result<(), Failure> {
    let Findings { files, violations, warnings } = findings;
    let draft = files.as_ref().map(Manifest::draft);
    match draft {
        Some(Ok(manifest)) if violations.is_empty() => fine(voice, &manifest, warnings),
        draft => {
            let problems = draft.and_then(Result::err).map_or(Vec::new(), |problems| problems.0);
            wrong(voice, problems, violations, warnings)
        }
    }
}

fn wrong(
    voice: Voice,
    problems: Vec<Problem>,
    violations: &[Violation],
    warnings: &[String],
) -> Result<(), Failure> {
    if matches!(voice, Voice::Command { json: true }) {
        show_json(&serde_json::json!({
            "problems": problems, "violations": violations, "warnings": warnings,
        }))?;
        return Err(Failure::told(Blame::Refused));
    }
    let mut text: String = violations
        .iter()
        .map(|Violation { rule, reason, because, remedy }| {
            format!("refused by rule {rule} ({}): {because}\n  hint: {remedy}\n", reason.word())
        })
        .collect();
    text += &match (problems.is_empty(), violations.len()) {
        (false, _) => format!("{}\n", Problems(problems)),
        (true, 1) => "1 problem; no host will act on this commit\n".to_owned(),
        (true, n) => format!("{n} problems; no host will act on this commit\n"),
    };
    show(format!("{text}{}", lines(warnings)));
    Err(Failure::told(Blame::Refused))
}

fn lines(warnings: &[String]) -> String {
    warnings.iter().map(|warning| format!("warning: {warning}\n")).collect()
}

fn fine(
    voice: Voice,
    manifest: &Manifest<WorkingTree>,
    warnings: &[String],
) -> Result<(), Failure> {
    let hosts = manifest.hosts();
    let mut lacking = Vec::new();
    let mut counts = Vec::new();
    for host in &hosts {
        let desired = manifest.desired(host);
        lacking.extend(unsupported(&desired).into_iter().map(|what| format!("{host}: {what}")));
        counts.push(format!("{host:<20} {} services", desired.services.len()));
    }
    match voice {
        Voice::Command { json: true } => {
            let none = Vec::<Problem>::new();
            show_json(&serde_json::json!({
                "problems": none, "unsupported": lacking, "warnings": warnings,
            }))?;
        }
        Voice::Command { json: false } => {
            let well = if lacking.is_empty() { "no problems\n" } else { "" };
            show(format!("{}\n{well}{}", counts.join("\n"), lines(warnings)));
        }
        Voice::Hook => show(lines(warnings)),
    }
    if lacking.is_empty() {
        return Ok(());
    }
    let message = format!("this version cannot carry out:\n  {}", lacking.join("\n  "));
    Err(Failure { message, hint: None, blame: Blame::Refused })
}
