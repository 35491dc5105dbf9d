//! `writ plan`: what a host would do with a commit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::{Blame, Failure, show, show_json};
use crate::manifest::window::Gate;
use crate::manifest::{Desired, Manifest, WorkingTree};
use crate::names::HostName;
use crate::plan::assume::assumed;
use crate::plan::observed::Observed;
use crate::plan::{Waiting, plan, unsupported};
use crate::source::checkout;

/// Show what a host would do with a commit, or with the working tree.
///
/// Needs no access to the host: it is taken to run --from, healthy. Nothing is
/// verified and nothing is changed. Where a deploy window of the host is closed, it
/// says when the next one opens.
///
/// Example: writ plan HEAD --host biz
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The commit; the working tree where it is left out.
    revision: Option<String>,
    /// The host, as the manifest names it.
    #[arg(long)]
    host: HostName,
    /// What the host runs now; the commit's first parent where it is left out, and
    /// HEAD for the working tree. `none`: a new host.
    #[arg(long)]
    from: Option<String>,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    /// For programs.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let root = checkout::root_of(&args.repo);
    let desired = desired(&files(&root, args.revision.as_deref())?, &args.host)?;
    let lacking = unsupported(&desired);
    if !lacking.is_empty() {
        let message = format!("this version cannot carry out:\n  {}", lacking.join("\n  "));
        return Err(Failure { message, hint: None, blame: Blame::Refused });
    }
    let mut plan = plan(&desired, &before(args, &root)?);
    if let Gate::Closed { opens } = desired.windows.at(jiff::Timestamp::now())
        && !plan.steps.is_empty()
    {
        plan.waiting.push(Waiting::Window { opens: desired.windows.told(opens) });
    }
    if args.json {
        return show_json(&plan);
    }
    show(plan);
    Ok(())
}

/// The host as it is taken to be.
fn before(args: &Args, root: &Path) -> Result<Observed, Failure> {
    let from = match (&args.from, &args.revision) {
        (Some(from), _) if from == "none" => return Ok(Observed::default()),
        (Some(from), _) => from.clone(),
        (None, None) => "HEAD".to_owned(),
        (None, Some(revision)) => format!("{revision}^"),
    };
    match checkout::revision(root, &from) {
        // Of a commit that hosts refused, nobody here can tell what they run instead.
        Ok(files) => Ok(match Manifest::draft(&files) {
            Ok(manifest) => assumed(&manifest.desired(&args.host)),
            Err(_) => Observed::default(),
        }),
        // The first commit has no parent, and nothing ran before it.
        Err(_) if args.from.is_none() => Ok(Observed::default()),
        Err(error) => Err(Failure::new(Blame::Usage, &error)),
    }
}

fn files(root: &Path, revision: Option<&str>) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    match revision {
        Some(revision) => checkout::revision(root, revision),
        None => checkout::working_tree(root),
    }
    .map_err(|error| Failure::new(Blame::Usage, &error))
}

fn desired(
    files: &BTreeMap<String, Vec<u8>>,
    host: &HostName,
) -> Result<Desired<WorkingTree>, Failure> {
    let manifest = Manifest::draft(files).map_err(|problems| Failure {
        message: format!("the manifest is not valid\n{problems}"),
        hint: Some("hosts would refuse this commit and keep what they run".to_owned()),
        blame: Blame::Refused,
    })?;
    let known = manifest.hosts();
    if !known.contains(host) {
        let known: Vec<_> = known.iter().map(ToString::to_string).collect();
        let message =
            format!("the manifest names no host `{host}`; it names: {}", known.join(", "));
        return Err(Failure { message, hint: None, blame: Blame::Usage });
    }
    Ok(manifest.desired(host))
}
