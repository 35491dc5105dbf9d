//! `writ trust`: what this host trusts, root's way out of a lost anchor, and the
//! policy's own commands.

mod overview;
mod policy;
mod sign;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::output::JsonFlag;
use super::{Blame, Failure, config_at, show};
use crate::config::{Config, DEFAULT_PATH};
use crate::ledger::Ledger;
use crate::names::CommitId;
use crate::source::delivery::Delivery;
use crate::source::fetched::Known;
use crate::source::pack_import::Delivered;
use crate::source::repo::Repository;
use crate::source::roads::Order;
use crate::trust::{self, Pins};
pub(super) use sign::approval_line;

/// Show what this host trusts, or change what all hosts trust.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The host's config.
    #[arg(long, global = true, default_value = DEFAULT_PATH)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what this host's config pins and what it has recorded.
    ///
    /// With --repo, or if there is no config, shows the policy in a deploy repository's working
    /// tree instead: people, their keys and rights, protected paths, revoked keys, and where it
    /// is weaker than it looks.
    ///
    /// Example: writ trust show
    Show(overview::Show),
    /// Make this host accept a commit that does not descend from the last one it accepted. For
    /// root, after a lost state file or a rewritten history.
    ///
    /// The commit and its whole history are verified as usual. It must be on the branch, or in
    /// this host's copy of it.
    ///
    /// Example: writ trust reset --to 3f2a…
    Reset {
        /// The full id of a commit that you have verified.
        #[arg(long)]
        to: CommitId,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Add somebody's key to the policy in the working tree.
    ///
    /// Example: writ trust add-signer bob --key bob.pub --grant 'manifests/services/web*.toml'
    ///
    /// With an OpenPGP key: gpg --armor --export-options export-minimal --export dave > dave.asc;
    /// writ trust add-signer dave --openpgp dave.asc --role admin. The same again after the key
    /// was prolonged or revoked: its certificate is replaced.
    AddSigner(policy::AddSigner),
    /// Remove somebody who leaves: every key and all rights. What they signed stays valid.
    ///
    /// Refused if nobody could change the policy any more.
    ///
    /// Example: writ trust remove bob
    Remove(policy::Remove),
    /// Revoke a compromised key for good.
    ///
    /// Its signatures count up to the commit you name and no further, on every host.
    ///
    /// Example: writ trust revoke bob --good-until 3f2a…
    Revoke(policy::Revoke),
    /// Replace a key that retires with a new one; what it signed stays valid.
    ///
    /// Example: writ trust rotate bob --to bob-2027.pub
    Rotate(policy::Rotate),
    /// Approve a commit that touches protected paths.
    ///
    /// Prints a line for the commit message.
    ///
    /// Example: writ trust approve origin/new-service --key ~/.ssh/id_ed25519
    Approve(sign::Approve),
    /// Sign a statement of the branch's head, for hosts with requireHead.
    ///
    /// Example: writ trust head main --key ~/.ssh/herald --expires 24h
    Head(sign::Head),
    /// Sign, with a recovery key, that hosts may follow a rewritten history.
    ///
    /// Example: writ trust recover main --from 3f2a… --to 8f1c… --key safe-a
    Recover(sign::Recover),
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let config = || config_at(&args.config);
    match &args.command {
        Command::Show(shown) => overview::run(shown, &args.config),
        Command::Reset { to, json } => reset(&config()?, to, *json).await,
        Command::AddSigner(args) => policy::add_signer(args),
        Command::Remove(args) => policy::remove(args),
        Command::Revoke(args) => policy::revoke(args),
        Command::Rotate(args) => policy::rotate(args),
        Command::Approve(args) => sign::approve(args),
        Command::Head(args) => sign::head(args),
        Command::Recover(args) => sign::recover(args),
    }
}

async fn reset(config: &Config, to: &CommitId, json: JsonFlag) -> Result<(), Failure> {
    let ledger = Ledger::open(&config.state_directory)?;
    let format = config.repository.object_format;
    let repository = Repository::open_or_create(&ledger.repository(), format)?;
    if !repository.contains(to) {
        // What this host refused it has not kept.
        bring(config, &repository, to).await?;
    }
    let now = jiff::Timestamp::now();
    let pins = Pins { revoked: ledger.revoked()?, ..config.pins() };
    let commit =
        trust::verify(&repository, &pins, None, to, now.as_second()).map_err(|refusal| {
            let remedy = refusal.remedy.clone();
            Failure::new(Blame::Refused, &refusal).hint(remedy)
        })?;
    let accepted = jiff::Timestamp::from_second(now.as_second()).unwrap_or(now);
    let number = ledger.reset(&commit, &accepted.to_string())?;
    show(format!("generation {number}: {commit}\nthe agent goes on from there: writ sync\n"));
    json.print(&serde_json::json!({ "generation": number, "commit": commit.id() }))
}

/// Fetches the whole branch from one source after the other until the commit is here,
/// beside whatever a running agent fetches.
async fn bring(config: &Config, repository: &Repository, to: &CommitId) -> Result<(), Failure> {
    let mut lost = None;
    let order = Order {
        known: Known::default(),
        folder: config.state_directory.join("reset.packs"),
        base: None,
        format: repository.format(),
    };
    for road in config.sources() {
        match road.deliver(&order).await {
            Ok(Delivered::Packs { packs, .. }) => {
                Delivery::take(repository, packs)?;
            }
            Ok(Delivered::Unchanged { .. }) => {}
            Ok(Delivered::TooLarge { fault, .. } | Delivered::Damaged(fault)) | Err(fault) => {
                lost = Some(fault);
            }
        }
        if repository.contains(to) {
            return Ok(());
        }
    }
    // Where each was seen, the commit is nowhere: the verification says so.
    lost.map_or(Ok(()), |fault| Err(fault.into()))
}
