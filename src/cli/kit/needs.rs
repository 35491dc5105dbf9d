//! What a kit has to bring to its hosts, judged as they will.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Args, statement};
use crate::cli::basis::{branch_of, judge};
use crate::cli::way::Way;
use crate::cli::{Blame, Failure};
use crate::config::Config;
use crate::manifest::Manifest;
use crate::names::{BranchName, ClosureDigest, CommitId, HostName, StorePath};
use crate::plan::outlook::roots;
use crate::plan::step::human_bytes;
use crate::report::{LIMIT, verify};
use crate::source::carrying::Reach;
use crate::source::git_program::Checkout;
use crate::source::{checkout, inbox, lineage};
use crate::trust::VerifiedCommit;
use crate::world::nix::{CacheKey, Sizes};

/// What hosts are to come to, and from where.
pub(super) struct Needs {
    root: PathBuf,
    pub(super) hosts: BTreeSet<HostName>,
    pub(super) channel: String,
    pub(super) branch: BranchName,
    pub(super) commit: CommitId,
    /// The commit that all of them have.
    pub(super) since: Option<CommitId>,
    /// Closures that they are to run, with the digests that were signed.
    pub(super) wanted: BTreeMap<StorePath, Option<ClosureDigest>>,
    /// Closures that they have.
    pub(super) had: BTreeSet<StorePath>,
    /// Keys of binary caches, as the named host's config has them.
    pub(super) trusted: Vec<CacheKey>,
    pub(super) warnings: Vec<String>,
}

impl Needs {
    /// # Errors
    /// Hosts would refuse the commit, or one of them is not in the manifest.
    pub(super) fn of(args: &Args) -> Result<Self, Failure> {
        let root = checkout::root_of(&args.repo);
        let desk = Checkout::at(root.clone());
        let (objects, head) = checkout::history(&root, &args.rev).map_err(usage)?;
        let pins = args.pins.pins(&desk, &objects, &head)?.ok_or_else(unsigned)?;
        let config = args.pins.config(&desk)?;
        let now = jiff::Timestamp::now().as_second();
        let verified = judge(&desk, &objects, &pins, None, &head, now)?;
        let manifest = Manifest::of(verified.clone())
            .map_err(|problems| Failure::new(Blame::Refused, &problems))?;
        let hosts: BTreeSet<HostName> = args.hosts.iter().cloned().collect();
        known(&manifest, &hosts)?;
        let since = since(args, &desk, &manifest, &pins.channel, &head)?;
        let branch: BranchName = branch_of(&pins).parse().map_err(usage)?;
        let required = config.as_ref().map(|config| config.repository.require_head);
        let told = statement::Told { root: &root, branch: &branch, channel: &pins.channel };
        let mut warnings = told.warnings(&verified, required, now)?;
        warnings.extend(unpublished(&desk, &head)?);
        Ok(Self {
            had: since.as_ref().map_or(Ok(BTreeSet::new()), |since| had(&root, since, &hosts))?,
            warnings,
            trusted: config.map(|config| keys(&config)).unwrap_or_default(),
            channel: pins.channel.clone(),
            commit: head,
            branch,
            wanted: wanted(&manifest, &hosts),
            root,
            hosts,
            since,
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The commits that are to be carried.
    pub(super) fn history(&self) -> Reach<'_> {
        Reach { branch: &self.branch, tip: &self.commit }
    }

    pub(super) fn names(&self) -> String {
        self.hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")
    }

    /// What is gathered, before anything is.
    pub(super) fn told(&self, sizes: &Sizes) -> String {
        let since = self.since.as_ref();
        let since = since.map_or(String::new(), |since| format!(", since {}", since.short()));
        let packed = match sizes.at_most {
            most if most == sizes.at_least => human_bytes(most),
            most => format!("at most {}", human_bytes(most)),
        };
        format!(
            "kit for {}: commit {}{since}\n{} {}, {} unpacked, {packed} in the kit\n",
            self.names(),
            self.commit.short(),
            sizes.paths,
            if sizes.paths == 1 { "path" } else { "paths" },
            human_bytes(sizes.unpacked),
        )
    }
}

/// Hosts that follow a remote would go another way than those with the kit.
fn unpublished(desk: &Checkout, head: &CommitId) -> Result<Option<String>, Failure> {
    let contains = format!("--contains={head}");
    let asked = ["for-each-ref", "--count=1", &contains, "refs/remotes"];
    if desk.ask(&["remote"])?.is_none() || desk.ask(&asked)?.is_some() {
        return Ok(None);
    }
    Ok(Some(format!(
        "no remote has commit {}, as of the last fetch: hosts that take this kit never go to another commit that is pushed instead of it; git push first",
        head.short()
    )))
}

fn usage(error: impl std::error::Error) -> Failure {
    Failure::new(Blame::Usage, &error)
}

fn unsigned() -> Failure {
    Failure {
        message: "no commit below it has a policy, and hosts follow signed commits alone"
            .to_owned(),
        hint: Some("is this a checkout of the deploy repository? name it with --repo".to_owned()),
        blame: Blame::Usage,
    }
}

/// The closures that hosts are to run.
fn wanted(
    manifest: &Manifest<VerifiedCommit>,
    hosts: &BTreeSet<HostName>,
) -> BTreeMap<StorePath, Option<ClosureDigest>> {
    let services = hosts.iter().flat_map(|host| manifest.desired(host).services.into_values());
    let artifacts = services.map(|service| service.artifact);
    artifacts.map(|artifact| (artifact.store_path, artifact.closure_digest)).collect()
}

/// Whose signatures on closures a host takes.
fn keys(config: &Config) -> Vec<CacheKey> {
    config.nix.trusted_public_keys.iter().filter_map(|key| CacheKey::parse(key)).collect()
}

fn known(manifest: &Manifest<VerifiedCommit>, hosts: &BTreeSet<HostName>) -> Result<(), Failure> {
    let named = manifest.hosts();
    let Some(unknown) = hosts.iter().find(|host| !named.contains(*host)) else { return Ok(()) };
    Err(crate::cli::host::unknown(unknown, &named))
}

/// The commit that hosts have, as somebody says or as the host itself has signed.
fn since(
    args: &Args,
    desk: &Checkout,
    manifest: &Manifest<VerifiedCommit>,
    channel: &str,
    head: &CommitId,
) -> Result<Option<CommitId>, Failure> {
    let since = match (&args.since, &args.receipt) {
        (Some(revision), _) => Some(checkout::history(desk.root(), revision).map_err(usage)?.1),
        (None, Some(file)) => received(args, file, manifest, channel)?,
        (None, None) => None,
    };
    let Some(since) = since else { return Ok(None) };
    if !lineage::has(desk, &since)? || !lineage::follows(desk, &since, head)? {
        let (since, head) = (since.short(), head.short());
        return Err(Failure {
            message: format!("commit {head} does not follow {since}, which the host has"),
            hint: Some("git pull, or name a commit on top of it with --rev".to_owned()),
            blame: Blame::Usage,
        });
    }
    Ok(Some(since))
}

/// What the host runs, by its own signed word; none where it runs nothing of ours.
fn received(
    args: &Args,
    file: &Path,
    manifest: &Manifest<VerifiedCommit>,
    channel: &str,
) -> Result<Option<CommitId>, Failure> {
    let refused = |why: String, hint: &str| Failure {
        message: format!("the receipt {} does not count: {why}", file.display()),
        hint: Some(hint.to_owned()),
        blame: Blame::Refused,
    };
    let [host] = &args.hosts[..] else {
        let why = "it is one host's, and the kit is for several".to_owned();
        return Err(refused(why, "make a kit for each host, or say --since"));
    };
    let key = manifest.report_key(host).ok_or_else(|| {
        let why = format!("manifests/hosts/{host}.toml names no reportKey");
        refused(why, "on the host: writ report key")
    })?;
    let bytes = inbox::read(file, LIMIT).map_err(|why| refused(why, "name the file itself"))?;
    let report = verify(&bytes, key)
        .map_err(|flaw| refused(flaw.to_string(), "take it from the disk again, or say --since"))?;
    if report.host != *host || report.channel() != channel {
        let why = format!("it is of the host {} and follows {}", report.host, report.channel());
        return Err(refused(why, "name the receipt of this host"));
    }
    Ok(report.state.commit)
}

/// The closures that these hosts run at a commit.
fn had(
    root: &Path,
    since: &CommitId,
    hosts: &BTreeSet<HostName>,
) -> Result<BTreeSet<StorePath>, Failure> {
    let Some(manifest) = Way::base(root, since.as_str())? else { return Ok(BTreeSet::new()) };
    let mut all: Option<BTreeSet<StorePath>> = None;
    for host in hosts {
        let desired = manifest.desired(host);
        let own: BTreeSet<StorePath> = roots([&desired]).into_iter().cloned().collect();
        // What one of them lacks is brought.
        all = Some(match all {
            Some(all) => all.intersection(&own).cloned().collect(),
            None => own,
        });
    }
    Ok(all.unwrap_or_default())
}
