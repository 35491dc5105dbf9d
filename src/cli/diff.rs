//! `writ diff`: what two generations, or two commits, ask differently of a host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::generation::Which;
use super::{Blame, Failure, config_at, show, show_json, whisper};
use crate::config::DEFAULT_PATH;
use crate::fault::Fault;
use crate::ledger::Ledger;
use crate::manifest::{Manifest, WorkingTree};
use crate::names::{CommitId, HostName, StorePath};
use crate::plan::closure::closure_of;
use crate::plan::difference::{ClosureLine, Difference, difference};
use crate::plan::packages::packages as compare;
use crate::source::checkout;
use crate::world::nix::{NixConfig, NixStore};

/// Compare two generations of this host, or two commits of a checkout: services, closures,
/// routes, and unit files as a unified diff.
///
/// For closures in this machine's nix store, lists each package that is added, removed or
/// changed, with its size.
///
/// Manifests are only displayed here, not verified. Only a host's agent decides whether the
/// host may act on a commit.
///
/// Example: writ diff 11 12
///
/// Example: writ diff HEAD^ HEAD --host biz --repo ~/deploy
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// A generation (a number, `current`, `last-good`, `newest`); with --host, a commit.
    from: String,
    /// Default: the newest generation; with --host, the working tree.
    to: Option<String>,
    /// Compare commits of a checkout, for this host of the manifest.
    #[arg(long)]
    host: Option<HostName>,
    /// The checkout, with --host.
    #[arg(long, default_value = ".", requires = "host")]
    repo: PathBuf,
    /// The config of this host, without --host.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One side, before it is read.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Side {
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    /// The commit, or the revision as it was given; none for the working tree.
    commit: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Compared {
    host: HostName,
    from: Side,
    to: Side,
    /// Always: manifests are read to be shown.
    verified: bool,
    #[serde(flatten)]
    difference: Difference,
}

pub async fn run(args: &Args) -> Result<(), Failure> {
    let mut compared = match &args.host {
        Some(host) => commits(args, host)?,
        None => generations(args)?,
    };
    if let Err(fault) = look_inside(&mut compared.difference.closures).await {
        whisper(&format!("warning: {fault}\n"));
    }
    if args.json {
        return show_json(&compared);
    }
    show(format!("{} → {}, not verified\n{}", compared.from, compared.to, compared.difference));
    Ok(())
}

/// Compares the closures that are here, package by package.
async fn look_inside(lines: &mut [ClosureLine]) -> Result<(), Fault> {
    let nix = NixStore::new(NixConfig::new(Vec::new(), Vec::new()));
    let mut pairs = Vec::new();
    for line in lines {
        let ClosureLine { from: Some(from), to: Some(to), packages, .. } = line else { continue };
        if nix.has(&from.store_path) && nix.has(&to.store_path) {
            pairs.push((&from.store_path, &to.store_path, packages));
        }
    }
    if pairs.is_empty() {
        return Ok(());
    }
    let roots: Vec<&StorePath> = pairs.iter().flat_map(|(from, to, _)| [*from, *to]).collect();
    let known = nix.closures(&roots).await?;
    for (from, to, packages) in pairs {
        if let (Ok(from), Ok(to)) = (closure_of(from, &known), closure_of(to, &known)) {
            *packages = Some(compare(from, to));
        }
    }
    Ok(())
}

fn commits(args: &Args, host: &HostName) -> Result<Compared, Failure> {
    let root = checkout::root_of(&args.repo);
    let read = |revision: Option<&str>| {
        match revision {
            Some(revision) => checkout::revision(&root, revision),
            None => checkout::working_tree(&root),
        }
        .map_err(|error| Failure::new(Blame::Usage, &error))
    };
    let from = Side { generation: None, commit: Some(args.from.clone()) };
    let to = Side { generation: None, commit: args.to.clone() };
    let (old, new) = (read(Some(&args.from))?, read(args.to.as_deref())?);
    compared(host, (from, old), (to, new))
}

fn generations(args: &Args) -> Result<Compared, Failure> {
    let config = config_at(&args.config)?;
    let ledger = Ledger::look(&config.state_directory);
    let find = |text: &str| -> Result<(Side, Files), Failure> {
        let which: Which = text.parse().map_err(|message| {
            Failure { message, hint: None, blame: Blame::Usage }
                .hint("to compare commits of a checkout, name a host: --host H")
        })?;
        let generation = which.find(&ledger)?;
        let commit = generation.record.commit;
        let files = files_of(&ledger, &commit)?;
        let side = Side { generation: Some(generation.number), commit: Some(commit.to_string()) };
        Ok((side, files))
    };
    compared(&config.host, find(&args.from)?, find(args.to.as_deref().unwrap_or("newest"))?)
}

/// Files by path, as the checkout has them.
type Files = BTreeMap<String, Vec<u8>>;

/// Plainly read from this host's copy of the repository, whose objects nobody has
/// checked here: enough to look at, never to act on.
fn files_of(ledger: &Ledger, commit: &CommitId) -> Result<Files, Failure> {
    checkout::revision(&ledger.repository(), commit.as_str()).map_err(|error| {
        Failure::new(Blame::World, &error)
            .hint("the copy of the repository is incomplete; the agent fetches it again: writ sync")
    })
}

fn compared(
    host: &HostName,
    (from, old): (Side, Files),
    (to, new): (Side, Files),
) -> Result<Compared, Failure> {
    let (old, new) = (manifest(&from, &old)?, manifest(&to, &new)?);
    let known: BTreeSet<_> = old.hosts().into_iter().chain(new.hosts()).collect();
    if !known.contains(host) && from.generation.is_none() {
        let known: Vec<_> = known.iter().map(ToString::to_string).collect();
        let message =
            format!("neither manifest names the host `{host}`; they name: {}", known.join(", "));
        return Err(Failure { message, hint: None, blame: Blame::Usage });
    }
    let difference = difference(&old.desired(host), &new.desired(host));
    Ok(Compared { host: host.clone(), from, to, verified: false, difference })
}

fn manifest(side: &Side, files: &Files) -> Result<Manifest<WorkingTree>, Failure> {
    Manifest::draft(files).map_err(|problems| Failure {
        message: format!("the manifest of {side} is not valid\n{problems}"),
        hint: None,
        blame: Blame::Refused,
    })
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.commit, self.generation) {
            (Some(commit), Some(generation)) => {
                write!(f, "generation {generation} (commit {})", &commit[..10.min(commit.len())])
            }
            (Some(commit), None) => f.write_str(commit),
            (None, _) => f.write_str("the working tree"),
        }
    }
}
