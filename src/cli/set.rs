//! `writ set`: puts a closure into a service's file, and nothing else.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::consequences::accepted;
use super::output::JsonFlag;
use super::service_file::{path_of, released, text_of, with_text};
use super::{Blame, Failure, show};
use crate::names::{ServiceName, StorePath};
use crate::source::checkout;
use crate::source::git_program::Checkout;
use crate::world::nix::LocalNix;

/// Write a closure into a service's file: store path, digest, size and revision.
///
/// Digest and size are taken from the local nix store. Comments and everything else in the file
/// stay as they are. If hosts would refuse the result, the file is not touched. Nothing is
/// committed; `writ push` does everything in one step.
///
/// Example: writ set web --store-path "$(nix build --no-link --print-out-paths .#web)"
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The service.
    service: ServiceName,
    /// The store path to run; it must be in the local nix store.
    #[arg(long)]
    store_path: StorePath,
    /// The source revision, as free text (default: unchanged).
    #[arg(long)]
    revision: Option<String>,
    /// The deploy repository.
    #[arg(long, alias = "repo", default_value = ".")]
    file_root: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let broken = |error| Failure::new(Blame::Refused, &error);
    let root = checkout::root_of(&args.file_root);
    let files = checkout::working_tree(&root).map_err(broken)?;
    let old = text_of(&files, &args.service)?;
    let closure = LocalNix::default().closure(std::slice::from_ref(&args.store_path)).await?;
    let release = closure.release(&args.store_path, args.revision)?;
    let new = released(old, &args.service, &release)?;
    accepted(&with_text(&files, &args.service, &new))?;
    let path = path_of(&args.service);
    if new == old {
        show(format!("{path} says so already\n"));
    } else {
        Checkout::at(root).replace(&path, &new).map_err(broken)?;
        show(format!("wrote {path}\n"));
    }
    args.json.print(&serde_json::json!({
        "service": args.service, "file": path, "changed": new != old, "artifact": release,
    }))
}
