//! `writ trust add-signer`, `remove`, `revoke` and `rotate`: the policy of a working tree, changed
//! with its comments and order kept.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use crate::cli::output::JsonFlag;
use crate::cli::{Blame, Failure, show};
use crate::names::{Fingerprint, Principal};
use crate::source::{checkout, operator};
use crate::trust::edit::{NewKey, Newcomer, PolicyText};

#[derive(Debug, ClapArgs)]
pub(super) struct AddSigner {
    /// The person's name; an existing name gets an additional key.
    principal: Principal,
    /// The public key, or a file with it.
    #[arg(long, required_unless_present = "openpgp")]
    key: Option<String>,
    /// A file with an armored OpenPGP certificate, instead of --key.
    #[arg(long, conflicts_with = "key", value_name = "FILE")]
    openpgp: Option<String>,
    /// A pattern of paths that they may write; may be repeated.
    #[arg(long)]
    grant: Vec<String>,
    /// What their files may ask of hosts beyond the closed default: `hosts=tag:web`,
    /// `ports=8000-8099`, `files=/var/lib/secrets/web*.env`, `directories=…`, `accounts=…`,
    /// `domains=…`, `units=…`, `capabilities=…`, `hardening=…`, or `everything`; may be repeated.
    #[arg(long, value_name = "KIND=PATTERN|everything")]
    may: Vec<String>,
    /// `admin`, `rollback` or `merge`; may be repeated.
    #[arg(long)]
    role: Vec<String>,
    /// What the key may sign: `git`, `writ-approve`, or `writ-head` alone.
    #[arg(long, value_delimiter = ',', default_value = "git")]
    namespaces: Vec<String>,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Revoke {
    /// The key's fingerprint, or the name of a person with one key.
    key: String,
    /// The last commit whose signature by this key counts; any revision, as git takes it.
    #[arg(long, value_name = "REV")]
    good_until: String,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Remove {
    /// Who leaves.
    principal: Principal,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Rotate {
    /// The old key's fingerprint, or the name of a person with one key.
    key: String,
    /// The new public key, or a file with it; for OpenPGP, a file with another certificate.
    #[arg(long)]
    to: String,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn add_signer(args: &AddSigner) -> Result<(), Failure> {
    let newcomer = Newcomer {
        principal: args.principal.clone(),
        key: new_key(args)?,
        namespaces: args.namespaces.clone(),
        roles: args.role.clone(),
        grants: args.grant.clone(),
        may: args.may.clone(),
    };
    edit(&args.repo, args.json, |policy| policy.add(&newcomer))
}

fn new_key(args: &AddSigner) -> Result<NewKey, Failure> {
    match (&args.key, &args.openpgp) {
        (Some(key), _) => operator::public_key(key).map(NewKey::Ssh).map_err(usage),
        (None, Some(file)) => operator::public_key(file).map(NewKey::OpenPgp).map_err(usage),
        (None, None) => Err(Failure::told(Blame::Usage).hint("name --key or --openpgp")),
    }
}

pub(super) fn revoke(args: &Revoke) -> Result<(), Failure> {
    // A commit that does not exist would make none of the key's commits count.
    let (_, good_until) = checkout::history(&args.repo, &args.good_until).map_err(usage)?;
    edit(&args.repo, args.json, |policy| policy.revoke(&key(policy, &args.key)?, &good_until))
}

pub(super) fn remove(args: &Remove) -> Result<(), Failure> {
    edit(&args.repo, args.json, |policy| policy.remove(&args.principal))
}

pub(super) fn rotate(args: &Rotate) -> Result<(), Failure> {
    let new = operator::public_key(&args.to).map_err(usage)?;
    edit(&args.repo, args.json, |policy| policy.rotate(&key(policy, &args.key)?, &new))
}

/// Changes the policy, and writes it only if hosts would take it.
fn edit(
    repo: &Path,
    json: JsonFlag,
    change: impl Fn(&mut PolicyText) -> Result<(), String>,
) -> Result<(), Failure> {
    let root = checkout::root_of(repo);
    let mut policy = operator::policy(&root).map_err(usage)?;
    let refused = |message: String| Failure {
        message,
        hint: Some("nothing was changed".to_owned()),
        blame: Blame::Refused,
    };
    change(&mut policy).map_err(refused)?;
    let warnings = policy.check().map_err(refused)?;
    operator::write_policy(&root, &policy).map_err(usage)?;
    for warning in &warnings {
        show(format!("warning: {warning}\n"));
    }
    show("changed .writ/; look at it with `git diff .writ`, commit and sign it\n");
    json.print(&serde_json::json!({ "changed": ".writ", "warnings": warnings }))
}

fn key(policy: &PolicyText, given: &str) -> Result<Fingerprint, String> {
    if let Ok(key) = given.parse() {
        return Ok(key);
    }
    let name: Principal =
        given.parse().map_err(|_| format!("{given:?} is neither key nor name"))?;
    match &policy.keys_of(&name)?[..] {
        [key] => Ok(key.clone()),
        [] => Err(format!("{name} has no key")),
        keys => {
            let keys: Vec<&str> = keys.iter().map(Fingerprint::as_str).collect();
            Err(format!("{name} has several keys; name one of {}", keys.join(", ")))
        }
    }
}

fn usage(error: checkout::CheckoutError) -> Failure {
    Failure::new(Blame::Usage, &error)
}
