//! `writ push`: from a service's source to a signed commit that hosts follow.

mod desk;
mod source;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use clap::builder::NonEmptyStringValueParser;

use super::fleet::Waited;
use super::output::JsonFlag;
use super::upload::{Cache, CacheArgs};
use super::{Blame, Failure, fleet, programs, show, sites};
use crate::names::ServiceName;
use crate::world::nix::LocalNix;
use desk::{Desk, Landed};

/// Build a service, upload it, and push a signed commit that has hosts run it.
///
/// Shows first what hosts will do. The manifest changes only after the whole closure is in the
/// cache. The commit changes only the service's file; staged and unsaved work of yours stays as
/// it is. If somebody else pushes in the meantime, the commit is made again on top of theirs,
/// unless they changed the same service. If interrupted, run it again.
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
    /// Upload nothing, because a cache of every host has it already.
    #[arg(long, conflicts_with_all = ["to", "key", "netrc"])]
    no_upload: bool,
    /// The source revision, as free text (default: that of the source's git checkout).
    #[arg(long)]
    revision: Option<String>,
    /// The commit message (default: the version change, `web: 1.2.3 -> 1.2.4`).
    #[arg(short, long, value_parser = NonEmptyStringValueParser::new(), conflicts_with = "no_commit")]
    message: Option<String>,
    /// Only write the service's file.
    #[arg(long)]
    no_commit: bool,
    /// Commit without pushing.
    #[arg(long)]
    no_push: bool,
    /// Add each host's plan digest to the commit; always done if the policy says `requirePlan`.
    #[arg(long)]
    sign_plan: bool,
    /// Build, show what hosts would do, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Show what changes in the file and ask before continuing.
    #[arg(short, long)]
    interactive: bool,
    /// Wait until each host affected by the commit has reported a verdict. Exits 0 if all
    /// confirmed it, 1 if one did not, 3 on timeout.
    #[arg(long, conflicts_with_all = ["no_commit", "no_push", "dry_run"])]
    wait: bool,
    /// With --wait: how long to wait.
    #[arg(long, requires = "wait", value_parser = fleet::duration, default_value = "5m")]
    timeout: Duration,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
    /// Arguments for nix build.
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
    show(&preview.plan);
    let mut result = serde_json::json!({
        "service": args.service,
        "artifact": release,
        "plan": preview.plan,
        "difference": preview.difference,
        "uploaded": null,
        "landed": null,
        "hosts": null,
    });
    if args.dry_run {
        show(preview.difference);
        return args.json.print(&result);
    }
    if args.wait && running.is_none() {
        fleet::can_follow(&args.repo, &preview.hosts).await?;
    }
    if args.interactive && !preview.difference.is_empty() {
        desk::ask(&preview.difference)?;
    }
    if let Some(cache) = cache {
        let uploaded = cache.bring(&nix, &closure, std::slice::from_ref(&path)).await?;
        result["uploaded"] = serde_json::json!(uploaded);
    }
    let landed = desk.land(&release)?;
    result["landed"] = serde_json::json!(landed);
    let waited = wait(&args, &landed).await?;
    result["hosts"] = serde_json::json!(waited.as_ref().map(|waited| &waited.rows));
    args.json.print(&result)?;
    waited.map_or(Ok(()), |waited| waited.outcome)
}

/// What became of it on hosts, where that was asked for.
async fn wait(args: &Args, landed: &Landed) -> Result<Option<Waited>, Failure> {
    let (commit, before) = match landed {
        Landed::Pushed { commit, before } => (commit, before.as_ref()),
        Landed::Unchanged { commit } => (commit, None),
        Landed::Written | Landed::Committed { .. } => return Ok(None),
    };
    match args.wait {
        true => fleet::follow(&args.repo, (commit, before), args.timeout).await.map(Some),
        false => Ok(None),
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
