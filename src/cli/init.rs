//! `writ init`: a deploy repository that is ready to use, from nothing to its signed introduction.

mod text;

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use serde::Serialize;

use super::host_config::{self, Caches, HostConfig, object_format};
use super::output::JsonFlag;
use super::{Blame, Failure, show, show_as_is};
use crate::names::{BranchName, CommitId, HostName, Principal};
use crate::source::checkout::{self, CheckoutError};
use crate::source::git_program::{Checkout, GitError};
use crate::source::signing::{self, SigningKey};
use crate::trust::edit::PolicyText;
use crate::trust::{self, Pins};

/// Create a deploy repository: policy, examples, hooks and the signed introduction.
///
/// Your key becomes the first administrator's: the one that git signs with, or else one from an
/// SSH agent, or else one in ~/.ssh. Existing files stay as they are, so an interrupted run can
/// be repeated. Finally prints the config that each host pins.
///
/// Example: writ init deploy --host web-1 --host db-1 --url https://git.example.org/acme/deploy.git
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Directory of the repository, new or existing.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The repository's id, which hosts pin (default: the directory's name).
    #[arg(long)]
    id: Option<String>,
    /// The branch that hosts follow.
    #[arg(long, default_value = "main")]
    branch: BranchName,
    /// A host; may be repeated.
    #[arg(long, default_value = "host-1")]
    host: Vec<HostName>,
    /// URL that hosts fetch from (default: the remote `origin`).
    #[arg(long)]
    url: Option<String>,
    /// Your SSH key: its public file, its private file, or the public key itself.
    #[arg(long)]
    key: Option<String>,
    /// Your name in the policy (default: the local part of git's user.email).
    #[arg(long)]
    name: Option<Principal>,
    /// Object format of a new repository.
    #[arg(long, value_enum, default_value = "sha1")]
    object_format: Format,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Sha1,
    Sha256,
}

/// What is put into the repository's files.
struct Plan {
    id: String,
    branch: BranchName,
    hosts: Vec<HostName>,
    principal: Principal,
    key: SigningKey,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let checkout = repository(args)?;
    if let Some(introduced) = checkout.ask(&["rev-parse", "--verify", "--quiet", "HEAD:.writ"])? {
        return Err(Failure {
            message: format!(
                "{} is a deploy repository already (.writ is {introduced})",
                checkout.root().display()
            ),
            hint: Some(
                "in a clone of it: writ setup; another host: writ host add; who may sign: writ trust add-signer"
                    .to_owned(),
            ),
            blame: Blame::Refused,
        });
    }
    let plan = plan(args, &checkout)?;
    let policy =
        PolicyText { signers: plan.signers(), rules: plan.rules(), ..PolicyText::default() };
    policy.check().map_err(refused)?;
    let mut paths = Vec::new();
    for (path, content) in plan.files() {
        checkout.put(&path, &content, 0o644).map_err(unusable)?;
        paths.push(path);
    }
    sign_with(&checkout, &plan.key)?;
    let introduction = introduce(&checkout, &paths)?;
    let hooks = install_hooks(&checkout)?;
    let pins = judge(&checkout, &plan, &introduction)?;
    checkout.run(&["config", "--local", "writ.introduction", introduction.as_str()])?;
    let url = match &args.url {
        Some(url) => {
            checkout.run(&["config", "--local", host_config::URL, url])?;
            Some(url.clone())
        }
        None => checkout.ask(&["remote", "get-url", "origin"])?,
    };
    show(plan.told(&hooks, checkout.root()));
    let (format, caches) = (object_format(&checkout)?, Caches::of_checkout(&checkout)?);
    for host in &plan.hosts {
        let config = HostConfig::new(host, &pins, &format, url.clone(), caches.clone());
        show_as_is(format!("\n{config}"));
    }
    args.json.print(&serde_json::json!({
        "repository": checkout.root(),
        "channel": pins.channel,
        "branch": plan.branch,
        "url": url,
        "introduction": pins.introduction,
        "introducer": pins.introducer,
        "administrator": plan.principal,
        "hosts": plan.hosts,
        "hooks": hooks,
    }))
}

/// The repository of `dir`, made where there is none.
fn repository(args: &Args) -> Result<Checkout, Failure> {
    let checkout = Checkout::make(&args.dir).map_err(unusable)?;
    if checkout.ask(&["rev-parse", "--git-dir"])?.is_none() {
        let format = match args.object_format {
            Format::Sha1 => "sha1",
            Format::Sha256 => "sha256",
        };
        let branch = format!("--initial-branch={}", args.branch);
        checkout.run(&["init", "--quiet", &branch, &format!("--object-format={format}")])?;
    }
    let root = checkout.run(&["rev-parse", "--show-toplevel"])?;
    let checkout = Checkout::at(root);
    let on = checkout.ask(&["symbolic-ref", "--short", "HEAD"])?;
    if on.as_deref() != Some(args.branch.as_str()) {
        let on = on.unwrap_or_else(|| "no branch".to_owned());
        return Err(Failure {
            message: format!("the checkout is on {on}, and hosts are to follow {}", args.branch),
            hint: Some(format!("git switch {}, or name --branch", args.branch)),
            blame: Blame::Usage,
        });
    }
    Ok(checkout)
}

fn plan(args: &Args, checkout: &Checkout) -> Result<Plan, Failure> {
    let name = checkout.root().file_name().and_then(|name| name.to_str());
    let id = args.id.clone().or_else(|| name.map(str::to_owned)).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if id.is_empty() || !id.chars().all(plain) {
        return Err(Failure {
            message: format!("{id:?} cannot be a repository's id: letters, digits and `._-`"),
            hint: Some("name one with --id".to_owned()),
            blame: Blame::Usage,
        });
    }
    let principal = match &args.name {
        Some(name) => name.clone(),
        None => own_name(checkout)?,
    };
    let key = signing::find(checkout, args.key.as_deref())
        .map_err(|error| Failure::new(Blame::Usage, &error))?;
    Ok(Plan { id, branch: args.branch.clone(), hosts: args.host.clone(), principal, key })
}

/// The name that git knows the operator's mail by.
fn own_name(checkout: &Checkout) -> Result<Principal, Failure> {
    let mail = checkout.ask(&["config", "user.email"])?.unwrap_or_default();
    let name = mail.split('@').next().unwrap_or_default().to_lowercase();
    name.parse().map_err(|_| Failure {
        message: "git does not know your mail address, so you have no name yet".to_owned(),
        hint: Some("git config --global user.email YOU@EXAMPLE.ORG, or name --name".to_owned()),
        blame: Blame::Usage,
    })
}

/// Has git sign every commit in this checkout, as hosts ask for.
pub(super) fn sign_with(checkout: &Checkout, key: &SigningKey) -> Result<(), Failure> {
    let settings = [
        ("gpg.format", "ssh"),
        ("user.signingkey", key.for_git()),
        ("commit.gpgsign", "true"),
        ("gpg.ssh.allowedSignersFile", text::SIGNERS_PATH),
    ];
    for (name, value) in settings {
        if checkout.ask(&["config", name])?.as_deref() != Some(value) {
            checkout.run(&["config", "--local", name, value])?;
        }
    }
    Ok(())
}

/// What became of the hooks.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Hooks {
    /// Those that are new; where there was one, it is somebody else's and stays.
    Installed(Vec<&'static str>),
    /// Git looks for them in a folder of other repositories as well (`core.hooksPath`).
    Shared(String),
}

/// Installs the hooks that are not somebody else's.
pub(super) fn install_hooks(checkout: &Checkout) -> Result<Hooks, Failure> {
    let folder = checkout.run(&["rev-parse", "--git-path", "hooks"])?;
    let own = checkout.run(&["rev-parse", "--git-common-dir"])? + "/hooks";
    if folder != own {
        return Ok(Hooks::Shared(folder));
    }
    let mut installed = Vec::new();
    for (name, content) in text::HOOKS {
        let path = format!("{folder}/{name}");
        if checkout.put(&path, content, 0o755).map_err(unusable)? {
            installed.push(name);
        }
    }
    Ok(Hooks::Installed(installed))
}

fn introduce(checkout: &Checkout, paths: &[String]) -> Result<CommitId, Failure> {
    let mut add = vec!["add", "--"];
    add.extend(paths.iter().map(String::as_str));
    checkout.run(&add)?;
    let mut commit = vec!["commit", "--quiet", "-S", "-m", "introduce the deploy repository", "--"];
    commit.extend(paths.iter().map(String::as_str));
    checkout.run(&commit).map_err(|error| {
        let hint = "the files are in place; mend this and run `writ init` again";
        Failure::new(Blame::Refused, &error).hint(hint)
    })?;
    let id = checkout.run(&["rev-parse", "HEAD"])?;
    id.parse().map_err(|_| refused(format!("git gave {id:?} for the id of the introduction")))
}

/// Judges the introduction as a host will.
fn judge(checkout: &Checkout, plan: &Plan, introduction: &CommitId) -> Result<Pins, Failure> {
    let (objects, id) =
        checkout::history(checkout.root(), introduction.as_str()).map_err(unusable)?;
    let pins = Pins {
        channel: plan.channel(),
        introduction: id.clone(),
        introducer: plan.key.fingerprint().clone(),
        minimum: None,
        revoked: Default::default(),
    };
    let now = jiff::Timestamp::now().as_second();
    trust::verify(&objects, &pins, None, &id, now).map_err(|refusal| {
        let remedy = refusal.remedy.clone();
        Failure::new(Blame::Refused, &refusal).hint(remedy)
    })?;
    Ok(pins)
}

fn refused(message: String) -> Failure {
    Failure { message, hint: None, blame: Blame::Refused }
}

fn unusable(error: CheckoutError) -> Failure {
    Failure::new(Blame::Refused, &error)
}

impl From<GitError> for Failure {
    fn from(error: GitError) -> Self {
        let blame = match &error {
            GitError::Start { .. } | GitError::Slow { .. } => Blame::World,
            GitError::Failed { .. } | GitError::Text { .. } => Blame::Refused,
        };
        Self::new(blame, &error)
    }
}
