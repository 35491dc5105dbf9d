//! `writ check`: everything that is wrong with a manifest, at once.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::consequences::Files;
use super::{Blame, Failure, show, show_json};
use crate::fault::causes;
use crate::manifest::{Manifest, Problem, WorkingTree};
use crate::plan::unsupported;
use crate::source::checkout::CheckoutError;
use crate::source::{checkout, operator};

/// Check a deploy repository's manifest: every problem, with file, line and column.
///
/// Reads the working tree; needs no network, no keys and no host. Exits 1 where
/// something is wrong. Warns where the policy in .writ/ is weaker than it looks, or
/// hosts would refuse it; a warning alone does not change the exit code.
///
/// Example: writ check ~/deploy
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The deploy repository.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// For programs: {"problems": [{file, line, column, what, remedy}], "warnings": […]}.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let files = match checkout::working_tree(&args.dir) {
        // A folder of a checkout stands for the whole, as for every other command.
        Err(CheckoutError::NoManifests { .. }) => {
            checkout::working_tree(&checkout::root_of(&args.dir))
        }
        files => files,
    };
    let files = files.map_err(|error| Failure::new(Blame::Refused, &error))?;
    told(&files, &warnings(&args.dir), args.json)
}

/// The same of files that lie in no folder.
pub(super) fn staged(files: &Files, warnings: &[String]) -> Result<(), Failure> {
    told(files, warnings, false)
}

fn told(files: &Files, warnings: &[String], json: bool) -> Result<(), Failure> {
    match Manifest::draft(files) {
        Ok(manifest) => fine(json, &manifest, warnings),
        Err(problems) => {
            if json {
                show_json(&serde_json::json!({ "problems": problems.0, "warnings": warnings }))?;
            } else {
                show(format!("{problems}\n{}", lines(warnings)));
            }
            Err(Failure::told(Blame::Refused))
        }
    }
}

/// What is to be said of the policy. Its history is judged by `writ verify`; a folder
/// without one may be checked as well.
fn warnings(dir: &Path) -> Vec<String> {
    if !operator::has_policy(dir) {
        return Vec::new();
    }
    let policy = operator::policy(&checkout::root_of(dir)).map_err(|error| causes(&error));
    policy.and_then(|policy| policy.check()).unwrap_or_else(|why| vec![why])
}

fn lines(warnings: &[String]) -> String {
    warnings.iter().map(|warning| format!("warning: {warning}\n")).collect()
}

fn fine(json: bool, manifest: &Manifest<WorkingTree>, warnings: &[String]) -> Result<(), Failure> {
    let hosts = manifest.hosts();
    let mut lacking = Vec::new();
    let mut counts = Vec::new();
    for host in &hosts {
        let desired = manifest.desired(host);
        lacking.extend(unsupported(&desired).into_iter().map(|what| format!("{host}: {what}")));
        counts.push(format!("{host:<20} {} services", desired.services.len()));
    }
    if json {
        let none = Vec::<Problem>::new();
        show_json(
            &serde_json::json!({ "problems": none, "unsupported": lacking, "warnings": warnings }),
        )?;
    } else {
        show(format!("{}\nno problems\n{}", counts.join("\n"), lines(warnings)));
    }
    if lacking.is_empty() {
        return Ok(());
    }
    let message = format!("this version cannot carry out:\n  {}", lacking.join("\n  "));
    Err(Failure { message, hint: None, blame: Blame::Refused })
}
