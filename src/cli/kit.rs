//! `writ kit`: a whole deploy in a folder or a file, for hosts that no network reaches.

mod caches;
mod label;
mod needs;
mod statement;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args as ClapArgs, Subcommand};

use super::basis::PinArgs;
use super::cache_config::CacheConfig;
use super::output::JsonFlag;
use super::progress::Progress;
use super::{Blame, Failure, show, whisper};
use crate::fault::Fault;
use crate::names::HostName;
use crate::plan::step::human_bytes;
use crate::source::carrying::carry;
use crate::source::checkout;
use crate::source::git_program::Checkout;
use crate::world::archive;
use crate::world::nix::{LocalNix, SecretKey, Sizes, Sources, Stock, Tally, ship, stock};
use crate::world::parcel::{Parcel, free, is_packed};
use crate::world::stop;
use caches::Cache;
use needs::Needs;

/// Gather a complete deploy for hosts without a network: signed commits and closures.
///
/// Carry the folder (or FILE.tar.zst) to the host on a disk. The host applies it with `writ
/// agent --once --source dir:///FOLDER`, or by itself if its config lists the folder as a
/// source. A kit contains no secrets; hosts trust only its signatures. Run it again after an
/// interruption: it adds only what is missing.
///
/// Example: writ kit --host biz --out /media/stick/kit --from https://cache.example.org
///
/// Example: writ kit --host biz --out biz.tar.zst --since 3f2a91c
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    also: Option<Also>,
    /// Host to gather for; may be repeated.
    #[arg(long = "host", value_name = "HOST", required = true)]
    hosts: Vec<HostName>,
    /// Output: a folder (empty, or an older kit) or FILE.tar.zst.
    #[arg(long, required = true)]
    out: Option<PathBuf>,
    /// The commit that the hosts have: gather only what came after it.
    #[arg(long, value_name = "REV")]
    since: Option<String>,
    /// The signed report that the host left beside an earlier kit, which says what it has.
    #[arg(long, value_name = "FILE", conflicts_with = "since")]
    receipt: Option<PathBuf>,
    /// The commit that hosts should reach.
    #[arg(long, default_value = "HEAD")]
    rev: String,
    /// A binary cache for paths that the local store lacks or has unsigned: http(s)://HOST,
    /// s3://BUCKET?…, file:///FOLDER; may be repeated (default: git config writ.cache).
    #[arg(long = "from", value_name = "CACHE")]
    caches: Vec<String>,
    /// A cache's secret key to sign paths from the local store with (default: git config
    /// writ.cacheKey).
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    pins: PinArgs,
    /// Show what would be gathered and its size, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, Subcommand)]
enum Also {
    /// Unpack FILE.tar.zst into a folder.
    ///
    /// All or nothing: on any error, written files are removed and existing ones stay. Refuses
    /// anything but plain files and folders, names that lead out of the folder, and archives
    /// that would fill the disk or unpack to more than 100 times their size. The files that
    /// make the folder a kit are written last.
    ///
    /// Example: writ kit unpack biz.tar.zst /media/stick/kit
    Unpack {
        /// The archive.
        file: PathBuf,
        /// The folder; created if missing.
        folder: PathBuf,
        #[command(flatten)]
        json: JsonFlag,
    },
}

pub async fn run(args: Args) -> Result<(), Failure> {
    if let Some(Also::Unpack { file, folder, json }) = &args.also {
        return unpack(file, folder, *json);
    }
    let out = args.out.clone().ok_or_else(|| Failure::told(Blame::Usage).hint("name --out"))?;
    let nix = LocalNix::default();
    let mut caches = Vec::new();
    let checkout = Checkout::at(checkout::root_of(&args.repo));
    let config = CacheConfig(&checkout);
    let urls = if args.caches.is_empty() { config.all()? } else { args.caches.clone() };
    for url in &urls {
        caches.push(Cache::named(url, &nix).await?);
    }
    let key = if args.key.is_some() { args.key.clone() } else { config.key()? };
    let key = key.as_deref().map(SecretKey::read).transpose()?;
    let needs = Needs::of(&args)?;
    let sources =
        Sources { nix: &nix, depots: &caches, key: key.as_ref(), trusted: &needs.trusted };
    let whole = stock(&needs.wanted, &needs.had, &sources).await?;
    show(needs.told(&whole.sizes()));
    needs.warnings.iter().for_each(|warning| whisper(&format!("warning: {warning}\n")));
    if !args.dry_run {
        write(&out, &needs, &whole, &sources).await?;
        show(format!("{} is ready; unmount the disk before you pull it out\n", out.display()));
    }
    let sizes = whole.sizes();
    args.json.print(&serde_json::json!({
        "out": out,
        "written": !args.dry_run,
        "hosts": needs.hosts,
        "commit": needs.commit,
        "since": needs.since,
        "paths": sizes.paths,
        "unpackedBytes": sizes.unpacked,
        "packedBytesAtMost": sizes.at_most,
        "warnings": needs.warnings,
    }))
}

/// The closures, then the commits, and what makes it a kit at last.
async fn write(
    out: &Path,
    needs: &Needs,
    whole: &Stock,
    sources: &Sources<'_, Cache>,
) -> Result<(), Failure> {
    let parcel = Parcel::at(out)?;
    let missing = whole.clone().lacking(&parcel).await?;
    has_room(out, &missing.sizes())?;
    parcel.furnish()?;
    fill(&missing, sources, &parcel).await?;
    if !is_packed(out) && !whole.clone().lacking(&parcel).await?.is_empty() {
        return Err(damaged(out));
    }
    carry(needs.root(), needs.history(), parcel.history()).await?;
    parcel.note("kit.json", &label::json(needs, &whole.sizes())?)?;
    parcel.note("README.txt", &label::readme(needs, &whole.sizes()))?;
    Ok(parcel.end()?)
}

/// Writes what is missing, until it is done or somebody stops it.
async fn fill(
    missing: &Stock,
    sources: &Sources<'_, Cache>,
    parcel: &Parcel,
) -> Result<(), Failure> {
    let (progress, tally) = (Progress::begin(), Arc::<Tally>::default());
    let own = stop::answering();
    let shipped = ship(missing, sources, parcel, &tally);
    let left = "what is written stays, and is no kit yet";
    let outcome = progress.beside(&own, &tally, shipped, left).await;
    drop(progress);
    if outcome.is_err() {
        stop::end_children();
    }
    outcome?;
    let look = tally.look();
    whisper(&match look.of_paths {
        0 => "no path was missing\n".to_owned(),
        1 => format!("wrote 1 path, {}\n", human_bytes(look.uploaded)),
        paths => format!("wrote {paths} paths, {}\n", human_bytes(look.uploaded)),
    });
    Ok(())
}

/// What certainly does not fit is not begun.
fn has_room(out: &Path, sizes: &Sizes) -> Result<(), Failure> {
    let Some(free) = free(out) else { return Ok(()) };
    let [least, most, free_text] = [sizes.at_least, sizes.at_most, free].map(human_bytes);
    if sizes.at_least > free {
        let because = format!("it needs {least}, and {free_text} are free there");
        let doing = format!("write to {}", out.display());
        return Err(Fault::wait(doing, because)
            .remedy("take a larger disk, or say --since")
            .into());
    }
    if sizes.at_most > free {
        whisper(&format!(
            "warning: it may not fit: up to {most} are written, and {free_text} are free\n"
        ));
    }
    Ok(())
}

fn unpack(file: &Path, folder: &Path, json: JsonFlag) -> Result<(), Failure> {
    let count = archive::unpack(file, folder)?;
    show(format!("{count} files are in {}\n", folder.display()));
    json.print(&serde_json::json!({ "folder": folder, "files": count }))
}

fn damaged(out: &Path) -> Failure {
    Failure {
        message: format!("files in {} are not what was written there", out.display()),
        hint: Some("the disk may be failing: take another one".to_owned()),
        blame: Blame::World,
    }
}
