//! `writ check`: everything that is wrong with a manifest, at once.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Blame, Failure, show, show_json};
use crate::manifest::{Manifest, Problem, WorkingTree};
use crate::plan::unsupported;
use crate::source::checkout;

/// Check a deploy repository's manifest: every problem, with file, line and column.
///
/// Reads the working tree; needs no network, no keys and no host. Exits 1 where
/// something is wrong.
///
/// Example: writ check ~/deploy
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The deploy repository.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// For programs: {"problems": [{file, line, column, what, remedy}]}.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let files =
        checkout::working_tree(&args.dir).map_err(|error| Failure::new(Blame::Refused, &error))?;
    match Manifest::draft(&files) {
        Ok(manifest) => fine(args, &manifest),
        Err(problems) => {
            if args.json {
                show_json(&serde_json::json!({ "problems": problems.0 }))?;
            } else {
                show(format!("{problems}\n"));
            }
            Err(Failure::told(Blame::Refused))
        }
    }
}

fn fine(args: &Args, manifest: &Manifest<WorkingTree>) -> Result<(), Failure> {
    let hosts = manifest.hosts();
    let mut lacking = Vec::new();
    let mut lines = Vec::new();
    for host in &hosts {
        let desired = manifest.desired(host);
        lacking.extend(unsupported(&desired).into_iter().map(|what| format!("{host}: {what}")));
        lines.push(format!("{host:<20} {} services", desired.services.len()));
    }
    if args.json {
        show_json(
            &serde_json::json!({ "problems": Vec::<Problem>::new(), "unsupported": lacking }),
        )?;
    } else {
        show(format!("{}\nno problems\n", lines.join("\n")));
    }
    if lacking.is_empty() {
        return Ok(());
    }
    let message = format!("this version cannot carry out:\n  {}", lacking.join("\n  "));
    Err(Failure { message, hint: None, blame: Blame::Refused })
}
