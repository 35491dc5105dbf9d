//! `writ host`: a host's file in the manifest, and the config that it pins.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;

use super::basis::PinArgs;
use super::consequences::accepted;
use super::host_config::{HostConfig, is_fetched_plainly};
use super::{Blame, Failure, output, whisper};
use crate::manifest::Manifest;
use crate::names::{HostName, ServiceName, Tag};
use crate::source::checkout;
use crate::source::git_program::Checkout;
use crate::trust::HostKey;

/// Add a host to the manifest, or print the config that a host pins.
///
/// Example: writ host add web-2 --tag web
///
/// Example: writ host config web-2
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(Add),
    Config(ConfigArgs),
}

/// Write manifests/hosts/NAME.toml and list what would run there.
///
/// Refused if the file exists or hosts would refuse the result. Nothing is committed.
///
/// Example: writ host add web-2 --tag web
#[derive(Debug, ClapArgs)]
struct Add {
    /// The host's name.
    name: HostName,
    /// A tag that services use to select it; may be repeated.
    #[arg(long = "tag")]
    tags: Vec<Tag>,
    /// The key it signs reports with, as printed by `writ report key` there.
    #[arg(long, value_name = "KEY", value_parser = public_key)]
    report_key: Option<String>,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Print a host's config: what it pins, where it fetches from, and its caches.
///
/// The introduction is the one of git config writ.introduction, or else the first commit
/// with a policy; compare it with what other hosts pin (`writ trust show` there). Caches
/// and the public half of their key come from git config writ.cache and writ.cacheKey.
/// `jq .config` of the JSON is services.writ.settings of the NixOS module.
///
/// Example: writ host config web-2 | ssh root@web-2 'tee /etc/writ/agent.toml'
#[derive(Debug, ClapArgs)]
struct ConfigArgs {
    /// The host.
    name: HostName,
    /// URL to fetch from (default: git config writ.url, or else the remote `origin`).
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    pins: PinArgs,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Add(args) => add(args),
        Command::Config(args) => config(args),
    }
}

/// A host that was added.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Added<'a> {
    host: &'a HostName,
    path: String,
    /// What it would run by the manifest as it is now.
    services: BTreeSet<ServiceName>,
    next: Vec<String>,
}

fn add(args: &Add) -> Result<(), Failure> {
    let checkout = Checkout::at(checkout::root_of(&args.repo));
    let (name, path) = (&args.name, format!("manifests/hosts/{}.toml", args.name));
    let mut files = checkout::working_tree(checkout.root())?;
    if files.contains_key(&path) {
        return Err(Failure {
            message: format!("{path} is there already"),
            hint: Some(format!("edit it by hand; writ host config {name} prints its config")),
            blame: Blame::Refused,
        });
    }
    let text = args.text();
    files.insert(path.clone(), text.clone().into_bytes());
    let manifest = accepted(&files)?;
    checkout.put(&path, &text, 0o644)?;
    unused(&manifest, args);
    output::answer(&Added {
        host: name,
        services: manifest.desired(name).services.keys().cloned().collect(),
        next: vec![
            format!("git add {path}"),
            format!("git commit -S -m \"the host {name}\""),
            "git push".to_owned(),
            format!("writ host config {name}"),
        ],
        path,
    })
}

impl Add {
    fn text(&self) -> String {
        let tags: Vec<String> = self.tags.iter().map(|tag| format!("\"{tag}\"")).collect();
        let mut text = format!(
            "# Services can name hosts by tag: hosts = [\"tag:web\"]\ntags = [{}]\n",
            tags.join(", ")
        );
        if let Some(key) = &self.report_key {
            text += &format!("reportKey = {}\n", toml_edit::Value::from(key));
        }
        text
    }
}

/// An SSH public key that reports can be signed with.
fn public_key(text: &str) -> Result<String, String> {
    text.parse::<HostKey>().map(|_| text.trim().to_owned())
}

/// A tag may have been mistyped: nothing runs by it.
fn unused<Source: Clone>(manifest: &Manifest<Source>, args: &Add) {
    let known = manifest.tags();
    for tag in args.tags.iter().filter(|tag| !known.contains(*tag)) {
        whisper(&format!("no service names the tag {tag} yet\n"));
    }
}

impl fmt::Display for Added<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, path, services, next } = self;
        writeln!(f, "wrote {path}")?;
        let names: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
        match names.is_empty() {
            true => writeln!(f, "no service runs on {host} yet")?,
            false => writeln!(f, "on {host} would run: {}", names.join(", "))?,
        }
        next.iter().try_for_each(|next| writeln!(f, "next: {next}"))
    }
}

/// A host's config, for programs below a key of its own.
#[derive(Serialize)]
struct Printed {
    config: HostConfig,
}

fn config(args: &ConfigArgs) -> Result<(), Failure> {
    let checkout = Checkout::at(checkout::root_of(&args.repo));
    let files = checkout::working_tree(checkout.root())?;
    known(&args.name, &files)?;
    let config = HostConfig::of_checkout(&checkout, &args.name, &args.pins, args.url.clone())?;
    match &config.repository.url {
        Some(url) if is_fetched_plainly(url) => config.check()?,
        Some(url) => whisper(&format!(
            "{url} is no `url` of a host: docs/sources.md tells how it is written as [[source]], or name another one with --url\n"
        )),
        None => whisper("nobody has said from where hosts fetch: name it with --url\n"),
    }
    output::answer_as_is(&Printed { config })
}

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

/// # Errors
/// The manifest does not name the host: it would obey, and run nothing.
fn known(name: &HostName, files: &super::consequences::Files) -> Result<(), Failure> {
    let Ok(manifest) = Manifest::draft(files) else { return Ok(()) };
    let hosts = manifest.hosts();
    if hosts.contains(name) { Ok(()) } else { Err(unknown(name, &hosts)) }
}

/// The manifest does not name a host.
pub(super) fn unknown(name: &HostName, known: &BTreeSet<HostName>) -> Failure {
    let known: Vec<&str> = known.iter().map(HostName::as_str).collect();
    Failure {
        message: format!("the manifest names no host `{name}`; it names: {}", known.join(", ")),
        hint: Some(format!("writ host add {name} adds it")),
        blame: Blame::Usage,
    }
}
