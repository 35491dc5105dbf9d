//! `writ plan`: what hosts would do with a commit.

mod sign;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde::Serialize;

use super::cache_config::CacheConfig;
use super::way::Way;
use super::{Blame, Failure, host, programs, show, show_as_is, show_json, sites};
use crate::manifest::{Manifest, WorkingTree};
use crate::names::HostName;
use crate::plan::contents::Contents;
use crate::plan::outlook::{Outlook, roots};
use crate::source::checkout;
use crate::source::git_program::Checkout;
use crate::world::nix::{check_substituter, contents};

/// Show what hosts would do with a commit, or with the working tree.
///
/// Needs no access to a host: each is assumed to run --against, healthy. Nothing is verified
/// and, without --sign, nothing is changed. If a host's deploy window is closed, says when the
/// next one opens.
///
/// Example: writ plan HEAD --host biz
///
/// Example: writ plan HEAD --against origin/main --all-hosts --markdown --cache https://cache.example.org
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The commit (default: the working tree).
    revision: Option<String>,
    /// The host's name in the manifest.
    #[arg(long, required_unless_present_any = ["all_hosts", "sign"])]
    host: Option<HostName>,
    /// All hosts in either manifest.
    #[arg(long, conflicts_with = "host")]
    all_hosts: bool,
    /// What hosts run now (default: the commit's first parent, or HEAD for the working tree).
    /// `none`: new hosts.
    #[arg(long, alias = "from", value_name = "REV")]
    against: Option<String>,
    /// A binary cache to ask for the size and contents of closures; may be repeated (default:
    /// git config writ.cache).
    #[arg(long = "cache", value_name = "URL")]
    caches: Vec<String>,
    /// Add the digest of each host's plan to HEAD's message and sign it again: for hosts that
    /// run its first parent and, with --against, for those that run that commit.
    #[arg(long, conflicts_with_all = ["markdown", "caches"])]
    sign: bool,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    /// Print Markdown, for a comment on a change under review.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What programs read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    /// The revision as it was given; `none` for new hosts.
    from: &'a str,
    /// None for the working tree.
    to: Option<&'a str>,
    #[serde(flatten)]
    outlook: &'a Outlook,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let root = checkout::root_of(&args.repo);
    if args.sign {
        return sign::run(&args, &root);
    }
    let from = against(&args);
    let way = Way { old: before(&args, &root, &from)?, new: after(&args, &root)? };
    let hosts = hosts(&args, &way)?;
    let new: Vec<_> = hosts.iter().map(|host| way.desired(host).1).collect();
    sites::warn(&new).await;
    programs::warn(&new).await;
    let contents = look_inside(&caches(&args, &root)?, &way, &hosts).await;
    let outlook = way.outlook(&hosts, &contents)?;
    if args.json {
        return show_json(&Told { from: &from, to: args.revision.as_deref(), outlook: &outlook });
    }
    if args.markdown {
        show_as_is(outlook.markdown(&from, args.revision.as_deref().unwrap_or("the working tree")));
        return Ok(());
    }
    match &args.host {
        Some(host) => show(outlook.alone(host)),
        None => show(outlook),
    }
    Ok(())
}

/// What hosts are taken to run.
fn against(args: &Args) -> String {
    match (&args.against, &args.revision) {
        (Some(against), _) => against.clone(),
        (None, None) => "HEAD".to_owned(),
        (None, Some(revision)) => format!("{revision}^"),
    }
}

fn before(args: &Args, root: &Path, from: &str) -> Result<Option<Manifest<WorkingTree>>, Failure> {
    match Way::base(root, from) {
        _ if args.against.as_deref() == Some("none") => Ok(None),
        // The first commit has no parent, and nothing ran before it.
        Err(_) if args.against.is_none() => Ok(None),
        base => base,
    }
}

fn after(args: &Args, root: &Path) -> Result<Manifest<WorkingTree>, Failure> {
    let files = match &args.revision {
        Some(revision) => checkout::revision(root, revision),
        None => checkout::working_tree(root),
    };
    let files = files.map_err(|error| Failure::new(Blame::Usage, &error))?;
    Manifest::draft(&files).map_err(|problems| Failure {
        message: format!("the manifest is not valid\n{problems}"),
        hint: Some("hosts would refuse this commit and keep what they run".to_owned()),
        blame: Blame::Refused,
    })
}

fn hosts(args: &Args, way: &Way) -> Result<BTreeSet<HostName>, Failure> {
    let known = way.hosts();
    match &args.host {
        None => Ok(known),
        Some(host) if known.contains(host) => Ok(BTreeSet::from([host.clone()])),
        Some(host) => Err(host::unknown(host, &known)),
    }
}

/// The caches that are named here, or those of git's config that a plan can read.
fn caches(args: &Args, root: &Path) -> Result<Vec<String>, Failure> {
    let named = !args.caches.is_empty();
    let mut caches = match named {
        true => args.caches.clone(),
        false => CacheConfig(&Checkout::at(root)).all()?,
    };
    let is_bucket = |cache: &String| cache.starts_with("s3://");
    if let Some(cache) = caches.iter().find(|cache| named && is_bucket(cache)) {
        let message = format!("{cache}: a plan reads caches over http and in folders");
        return Err(Failure { message, hint: None, blame: Blame::Usage });
    }
    // What is uploaded to may be a bucket; the local store tells as much, where it has it.
    caches.retain(|cache| !is_bucket(cache));
    for cache in &caches {
        check_substituter(cache).map_err(|error| Failure::new(Blame::Usage, &error))?;
    }
    Ok(caches)
}

/// What the closures are made of that come and go.
async fn look_inside(caches: &[String], way: &Way, hosts: &BTreeSet<HostName>) -> Contents {
    let mut moving = BTreeSet::new();
    for host in hosts {
        let (old, new) = way.desired(host);
        let (here, wanted) = (roots(&old), roots([&new]));
        if here != wanted {
            moving.extend(here.into_iter().chain(wanted).cloned());
        }
    }
    let moving = moving.iter().collect();
    contents(caches, &moving).await
}
