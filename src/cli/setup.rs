//! `writ setup`: makes somebody's clone of a deploy repository ready to work in.

use std::fmt;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::basis::{self, INTRODUCTION};
use super::init::{Hooks, install_hooks, sign_with};
use super::{Blame, Failure, output, whisper};
use crate::names::{CommitId, Fingerprint, Principal};
use crate::source::git_program::Checkout;
use crate::source::signing::{self, SigningKey};
use crate::source::{checkout, merging, operator};
use crate::trust::Pins;

/// Set up a clone of a deploy repository for work.
///
/// Installs the hooks, has git sign each commit with your SSH key and show whose signatures
/// it sees, and keeps the introduction, from which reviews and checks judge. Hooks and
/// settings of yours stay. Compare the introduction that it prints with a colleague's
/// (git config writ.introduction) or a host's (writ trust show): the server of the clone
/// could have shown another one. Run it again at any time.
///
/// Example: writ setup --introduction 8f1c…
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The full id of the introduction, if somebody told you (default: the first commit with a
    /// policy).
    #[arg(long)]
    introduction: Option<CommitId>,
    /// Your SSH key: its public file, its private file, or the public key itself.
    #[arg(long)]
    key: Option<String>,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is as it should be now.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    introduction: CommitId,
    introducer: Fingerprint,
    channel: String,
    /// Whether somebody named the introduction, here or earlier.
    named: bool,
    hooks: Hooks,
    /// The fingerprint of an SSH key, or what git calls an OpenPGP key.
    key: String,
    /// For `writ trust add-signer`.
    public_key: Option<String>,
    /// Whose key that is; nobody's in this policy yet.
    principal: Option<Principal>,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let checkout = Checkout::at(checkout::root_of(&args.repo));
    let (pins, named) = introduction(args, &checkout)?;
    let key = Key::find(args, &checkout)?;
    let principal = key.owner(&checkout)?;
    key.sign(&checkout)?;
    checkout.run(&["config", "--local", INTRODUCTION, pins.introduction.as_str()])?;
    let hooks = install_hooks(&checkout)?;
    output::answer(&Ready {
        introduction: pins.introduction,
        introducer: pins.introducer,
        channel: pins.channel,
        named,
        hooks,
        public_key: key.public(),
        key: key.id(),
        principal,
    })
}

/// What somebody signs with.
enum Key {
    Ssh(Box<SigningKey>),
    /// By what git's user.signingkey calls it.
    OpenPgp(String),
}

impl Key {
    fn find(args: &Args, checkout: &Checkout) -> Result<Self, Failure> {
        let format = checkout.ask(&["config", "gpg.format"])?;
        let own = checkout.ask(&["config", "user.signingkey"])?;
        let key = signing::find(checkout, args.key.as_deref());
        match (args.key.is_none().then_some(own).flatten(), format.as_deref()) {
            (Some(own), Some("openpgp")) => Ok(Self::OpenPgp(own)),
            // Git's default, for whoever has told it a key.
            (Some(own), None) if !signing::names_ssh(&own) => Ok(Self::OpenPgp(own)),
            (_, _) => {
                Ok(Self::Ssh(Box::new(key.map_err(|error| Failure::new(Blame::Usage, &error))?)))
            }
        }
    }

    fn sign(&self, checkout: &Checkout) -> Result<(), Failure> {
        match self {
            Self::Ssh(key) => sign_with(checkout, key),
            Self::OpenPgp(_) => {
                Ok(checkout.run(&["config", "--local", "commit.gpgsign", "true"]).map(drop)?)
            }
        }
    }

    fn id(&self) -> String {
        match self {
            Self::Ssh(key) => key.fingerprint().to_string(),
            Self::OpenPgp(id) => id.clone(),
        }
    }

    fn public(&self) -> Option<String> {
        match self {
            Self::Ssh(key) => Some(key.public().to_owned()),
            Self::OpenPgp(_) => None,
        }
    }

    /// Whose key it is, by the policy of the working tree.
    fn owner(&self, checkout: &Checkout) -> Result<Option<Principal>, Failure> {
        let policy = operator::policy(checkout.root())?;
        let Ok(overview) = policy.overview() else { return Ok(None) };
        let people = overview.people.into_iter().map(|person| person.name);
        let own = |name: &Principal| {
            policy.keys_of(name).is_ok_and(|keys| keys.iter().any(|key| self.is(key)))
        };
        Ok(people.into_iter().find(own))
    }

    fn is(&self, listed: &Fingerprint) -> bool {
        match self {
            Self::Ssh(key) => key.fingerprint() == listed,
            Self::OpenPgp(id) => {
                let id = id.trim_start_matches("0x").trim_end_matches('!').to_uppercase();
                id.len() >= 16 && listed.openpgp().is_some_and(|whole| whole.ends_with(&id))
            }
        }
    }
}

/// What the history is judged from, once HEAD has been: what is wrong with the history is
/// for whoever pulls, and does not keep a clone from being set up.
///
/// # Errors
/// It is no deploy repository, or another introduction was named before.
fn introduction(args: &Args, checkout: &Checkout) -> Result<(Pins, bool), Failure> {
    let (objects, head) = checkout::history(checkout.root(), "HEAD")
        .map_err(|error| Failure::new(Blame::Usage, &error))?;
    let known = basis::configured(checkout)?;
    let named = args.introduction.clone().or_else(|| known.clone());
    let own = match &named {
        Some(introduction) => introduction.clone(),
        None => merging::introduction(checkout, &head)?.ok_or_else(basis::no_policy)?,
    };
    if let Some(known) = known.filter(|known| *known != own) {
        return Err(Failure {
            message: format!("git config {INTRODUCTION} is {known} here, and not {own}"),
            hint: Some(format!(
                "find out which one hosts pin (writ trust show there); git config --unset {INTRODUCTION} forgets this one"
            )),
            blame: Blame::Refused,
        });
    }
    let pins = basis::pinned(checkout, &objects, own)?;
    let now = jiff::Timestamp::now().as_second();
    if let Err(refusal) = basis::accepted(&objects, &pins, &head, now) {
        if args.introduction.is_some() {
            return Err(basis::refused(&refusal));
        }
        whisper(&format!("warning: hosts would refuse HEAD: {refusal}\n"));
    }
    Ok((pins, named.is_some()))
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.hooks)?;
        match &self.principal {
            Some(name) => writeln!(f, "commits are signed as {name} ({})", self.key)?,
            None => writeln!(
                f,
                "commits are signed with {}, which the policy does not list yet",
                self.key
            )?,
        }
        writeln!(f, "\nintroduction  {}", self.introduction)?;
        writeln!(f, "signed by     {}", self.introducer)?;
        writeln!(f, "channel       {}", self.channel)?;
        if !self.named {
            writeln!(
                f,
                "compare both with a colleague's (git config {INTRODUCTION}) or a host's (writ trust show):\nuntil then it is the word of the server that you cloned from"
            )?;
        }
        match &self.principal {
            Some(_) => writeln!(f, "next: writ check"),
            None => writeln!(
                f,
                "next: an administrator runs: writ trust add-signer YOU --key '{}' --grant 'manifests/services/**'",
                self.public_key.as_deref().unwrap_or("YOUR PUBLIC KEY")
            ),
        }
    }
}
