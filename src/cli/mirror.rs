//! `writ mirror`: publishes the branch in buckets and folders, for hosts that follow it there.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args as ClapArgs;
use indicatif::BinaryBytes;
use serde::Serialize;

use super::{Blame, Failure, show, show_json, whisper};
use crate::fault::Fault;
use crate::names::BranchName;
use crate::source::bundles::mirror::{How, Outcome, Published, Tally, publish};
use crate::source::bundles::site::{Purpose, Site, SiteUrl};
use crate::source::bundles::snapshot::Snapshot;
use crate::source::git_program::Checkout;
use crate::world::stop;

/// Between lines that tell how far an upload is.
const LINE: Duration = Duration::from_secs(10);

/// Publish the branch, and the statements about it, in S3 buckets and folders.
///
/// Git bundles and an index of them: hosts follow the branch there (docs/sources.md), and
/// git clones it (--bundle-uri). What hosts have already is not uploaded again, and where
/// nothing is new, nothing is written. Nobody has to trust the place, nor what runs this:
/// hosts verify what they take. Several may publish at one place; it never goes back.
///
/// Example: writ mirror --to s3://acme-deploy/main?region=eu-west-1
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Where to: s3://BUCKET/FOLDER?region=…&endpoint=…&profile=…, or dir:///FOLDER.
    #[arg(long, required = true, value_name = "URL")]
    to: Vec<String>,
    /// The deploy repository, with its whole history; a bare one on a server, too.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    /// The branch; that of the checkout unless it is named.
    #[arg(long)]
    branch: Option<BranchName>,
    /// Begin again with one whole bundle: after a reset of the history that hosts
    /// follow, or where what lies there is damaged.
    #[arg(long)]
    anew: bool,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// What became of one place.
#[derive(Debug, Serialize)]
struct Told<'a> {
    to: &'a str,
    #[serde(flatten)]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let sites = args.to.iter().map(|url| SiteUrl::read(url)).collect::<Result<Vec<_>, _>>();
    let sites = sites.map_err(|message| Failure {
        message,
        hint: Some("docs/sources.md tells what it may say".to_owned()),
        blame: Blame::Usage,
    })?;
    let branch = args.branch.clone().map_or_else(|| checked_out(&args), Ok)?;
    let snapshot = Snapshot::of(&args.repo, &branch, None)?;
    let how = How { since: None, anew: args.anew };
    let (mut all, mut worst) = (Vec::new(), None);
    for (to, url) in args.to.iter().zip(&sites) {
        let done = reach(url, &snapshot, &how).await;
        if !args.json {
            tell(to, &done);
        }
        let (outcome, fault) = done.map_or_else(|f| (None, Some(f)), |done| (Some(done), None));
        worst = worst.or_else(|| fault.clone());
        all.push(Told { to, outcome, fault });
    }
    if args.json {
        show_json(&serde_json::json!({ "mirrors": all }))?;
    }
    // Each was told with its place.
    worst.map_or(Ok(()), |fault| Err(Failure::told(Failure::from(fault).blame)))
}

fn checked_out(args: &Args) -> Result<BranchName, Failure> {
    let unnamed = |message: String| Failure {
        message,
        hint: Some("name it with --branch".to_owned()),
        blame: Blame::Usage,
    };
    let asked = Checkout::at(&args.repo).ask(&["symbolic-ref", "--quiet", "--short", "HEAD"]);
    let name = asked.map_err(|error| unnamed(error.to_string()))?;
    let name = name.ok_or_else(|| unnamed("the checkout is on no branch".to_owned()))?;
    name.parse().map_err(|error| unnamed(format!("{error}")))
}

/// Publishes at one place, until it is done or somebody stops it.
async fn reach(url: &SiteUrl, snapshot: &Snapshot, how: &How) -> Result<Outcome, Fault> {
    let site = url.open(Purpose::Publish)?;
    let (tally, own) = (Tally::default(), stop::answering());
    let done = tokio::select! {
        biased;
        () = own.asked() => Err(stopped(&site)),
        done = publish(snapshot, &site, how, &tally) => done,
        () = follow(&tally) => Ok(Outcome::Unchanged { tip: snapshot.tip.clone() }),
    };
    if done.is_err() {
        site.tidy().await;
    }
    done
}

fn stopped(site: &Site) -> Fault {
    let doing = format!("publish to {}", site.told(""));
    Fault::wait(doing, "stopped; hosts see what was there before")
        .remedy("run it again: what is uploaded stays")
}

/// Tells now and then how far a long upload is; never ends by itself.
async fn follow(tally: &Tally) {
    loop {
        tokio::time::sleep(LINE).await;
        let (sent, of) = (tally.sent.load(Ordering::Relaxed), tally.of.load(Ordering::Relaxed));
        if sent < of {
            let percent = sent.saturating_mul(100).checked_div(of).unwrap_or(100);
            whisper(&format!("{percent} %: {} of {}\n", BinaryBytes(sent), BinaryBytes(of)));
        }
    }
}

fn tell(to: &str, done: &Result<Outcome, Fault>) {
    match done {
        Ok(Outcome::Unchanged { tip }) => show(format!("{to}: at {} already\n", tip.short())),
        Ok(Outcome::Ahead { tip }) => {
            show(format!("{to}: left at {}, which is newer\n", tip.short()));
        }
        Ok(Outcome::Published(Published { tip, bundles, bytes, removed, left })) => {
            let (count, size) = (bundles.len(), BinaryBytes(*bytes));
            let bundles = if count == 1 { "bundle" } else { "bundles" };
            let gone = match removed {
                0 => String::new(),
                n => format!(", {n} old removed"),
            };
            show(format!("{to}: at {} now, {count} {bundles}, {size}{gone}\n", tip.short()));
            left.iter().for_each(|left| whisper(&format!("warning: {left}\n")));
        }
        Err(fault) => {
            let hint = fault.remedy.iter().map(|remedy| format!("hint: {remedy}\n"));
            whisper(&format!("error: {fault}\n{}", hint.collect::<String>()));
        }
    }
}
