//! `writ push`: from a service's source to a signed commit that hosts follow.

mod desk;
mod source;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use clap::builder::NonEmptyStringValueParser;

use super::upload::{Cache, CacheArgs};
use super::{Blame, Failure, fleet, programs, show, sites};
use crate::names::ServiceName;
use crate::world::nix::LocalNix;
use desk::{Desk, Landed};

/// Build a service, upload it, and push a signed commit that has hosts run it.
///
/// Nothing of the manifest is changed before the whole closure is in the cache. What
/// hosts will do is shown first. The commit changes the service's file only; what you
/// have staged or are writing stays as it is. Where somebody else pushed meanwhile, the
/// commit is made again on top of theirs, unless they changed the same service.
/// Interrupted at any point, run it again.
///
/// Example: writ push web --installable .#web --repo ~/deploy --to https://cache.example.org --key cache.sec
///
/// Example: writ push web --store-path /nix/store/…-web-1.2.3 --no-upload
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The service.
    service: ServiceName,
    #[command(flatten)]
    source: source::SourceArgs,
    #[command(flatten)]
    cache: CacheArgs,
    /// Upload nothing: a cache of every host has it already.
    #[arg(long, conflicts_with_all = ["to", "key", "netrc"])]
    no_upload: bool,
    /// The source revision, as free text; that of the source's git checkout where it
    /// is left out.
    #[arg(long)]
    revision: Option<String>,
    /// What the commit says; the change of the version (`web: 1.2.3 -> 1.2.4`), where it
    /// is left out.
    #[arg(short, long, value_parser = NonEmptyStringValueParser::new(), conflicts_with = "no_commit")]
    message: Option<String>,
    /// Write the service's file only.
    #[arg(long)]
    no_commit: bool,
    /// Commit, and push nothing.
    #[arg(long)]
    no_push: bool,
    /// Name each host's plan in the commit; always so where the policy says `requirePlan`.
    #[arg(long)]
    sign_plan: bool,
    /// Build, show what hosts would do, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Show what changes in the file, and ask first.
    #[arg(short, long)]
    interactive: bool,
    /// Wait until each host that the commit concerns has told its verdict: exits 0 where
    /// all have confirmed it, 1 where one has not, 3 where the time is over.
    #[arg(long, conflicts_with_all = ["no_commit", "no_push", "dry_run"])]
    wait: bool,
    /// With --wait: the longest to wait.
    #[arg(long, requires = "wait", value_parser = fleet::duration, default_value = "5m")]
    timeout: Duration,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    /// For nix, as it builds.
    #[arg(last = true, value_name = "NIX ARGS")]
    nix: Vec<OsString>,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    if args.interactive && !desk::can_be_asked() {
        return Err(Failure {
            message: "there is no terminal to ask at".to_owned(),
            hint: Some("leave --interactive out".to_owned()),
            blame: Blame::Usage,
        });
    }
    let desk = Desk::at(&args)?;
    let cache = cache(&args, &desk).await?;
    // What cannot be waited for is told before the long work of building it.
    let running = if args.wait { desk.hosts() } else { None };
    if let Some(hosts) = &running {
        fleet::can_follow(&args.repo, hosts).await?;
    }
    let nix = LocalNix::default();
    let path = nix.build(&args.source.source(&args.service), &args.nix).await?;
    let closure = nix.closure(std::slice::from_ref(&path)).await?;
    let revision = match &args.revision {
        Some(revision) => Some(revision.clone()),
        None => args.source.revision()?,
    };
    let release = closure.release(&path, revision)?;
    let preview = desk.preview(&release)?;
    sites::accepted(&preview.manifest).await?;
    programs::accepted(&preview.manifest, &args.service).await?;
    show(preview.plan);
    if args.dry_run {
        show(preview.difference);
        return Ok(());
    }
    if args.wait && running.is_none() {
        fleet::can_follow(&args.repo, &preview.hosts).await?;
    }
    if args.interactive && !preview.difference.is_empty() {
        desk::ask(&preview.difference)?;
    }
    if let Some(cache) = cache {
        cache.bring(&nix, &closure, std::slice::from_ref(&path)).await?;
    }
    match desk.land(&release)? {
        Some(Landed { commit, before }) if args.wait => {
            fleet::follow(&args.repo, (&commit, before.as_ref()), args.timeout).await
        }
        Some(_) | None => Ok(()),
    }
}

/// Where the closure is uploaded; nowhere where that is not asked for.
async fn cache(args: &Args, desk: &Desk) -> Result<Option<Cache>, Failure> {
    if args.no_upload {
        return Ok(None);
    }
    match args.cache.cache(desk.checkout()).await? {
        None if !args.dry_run => Err(Failure {
            message: "no cache is named to upload to".to_owned(),
            hint: Some(
                "name it with --to; `git config writ.cache URL` in the deploy repository keeps it; \
                 or say --no-upload where hosts have a cache with it"
                    .to_owned(),
            ),
            blame: Blame::Usage,
        }),
        cache => Ok(cache),
    }
}
