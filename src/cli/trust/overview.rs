//! `writ trust show`: what this host trusts, or what the policy of a working tree says.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::cli::{Blame, Failure, config_at, show, show_json};
use crate::config::{Config, DEFAULT_PATH};
use crate::ledger::Ledger;
use crate::names::{CommitId, Fingerprint, Principal};
use crate::source::{checkout, operator};
use crate::trust::{HeadStatement, Key, Overview, Person, Pins};

#[derive(Debug, ClapArgs)]
pub(super) struct Show {
    /// Show the policy of this deploy repository.
    #[arg(long)]
    repo: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Show, config: &Path) -> Result<(), Failure> {
    // Who looks after a deploy repository has no host's config.
    let no_host = config == Path::new(DEFAULT_PATH) && !config.exists();
    let here = Path::new(".");
    let repo = args.repo.as_deref().or(no_host.then_some(here).filter(|r| operator::has_policy(r)));
    match repo {
        Some(repo) => tell(args, &Told(policy(repo)?)),
        None => tell(args, &Host::of(&config_at(config)?)?),
    }
}

fn tell(args: &Show, what: &(impl Serialize + fmt::Display)) -> Result<(), Failure> {
    if args.json {
        return show_json(what);
    }
    show(what);
    Ok(())
}

fn policy(repo: &Path) -> Result<Overview, Failure> {
    let policy = operator::policy(&checkout::root_of(repo))
        .map_err(|error| Failure::new(Blame::Usage, &error))?;
    let invalid = |message| Failure { message, hint: None, blame: Blame::Refused };
    policy.overview().map_err(invalid)
}

/// What a host pins, and what it remembers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Host {
    channel: String,
    introduction: CommitId,
    introducer: Fingerprint,
    minimum: Option<CommitId>,
    require_head: bool,
    max_staleness: Option<String>,
    recovery_keys: Vec<Fingerprint>,
    recovery_threshold: Option<usize>,
    accepted: Option<CommitId>,
    revoked: BTreeSet<Fingerprint>,
    statement: Option<Statement>,
    /// The sequence of the last statement of recovery keys that was obeyed.
    recovered: Option<u64>,
}

/// The newest statement about the head, as people read times.
#[derive(Serialize)]
struct Statement {
    commit: CommitId,
    sequence: u64,
    issued: String,
    expires: String,
    by: Option<Principal>,
}

impl Host {
    fn of(config: &Config) -> Result<Self, Failure> {
        let ledger = Ledger::look(&config.state_directory);
        let Pins { channel, introduction, introducer, minimum, .. } = config.pins();
        let recovery = config.recovery();
        let keys = recovery.iter().flat_map(|recovery| &recovery.keys);
        let staleness = config.repository.max_staleness.map(SignedDuration::try_from);
        Ok(Self {
            channel,
            introduction,
            introducer,
            minimum,
            require_head: config.repository.require_head,
            max_staleness: staleness.and_then(Result::ok).map(|most| format!("{most:#}")),
            recovery_keys: keys.map(|key| key.fingerprint()).collect(),
            recovery_threshold: recovery.as_ref().map(|recovery| recovery.threshold),
            accepted: ledger.anchor()?.map(|anchor| anchor.commit),
            revoked: ledger.revoked()?,
            statement: ledger.freshness()?.map(Statement::from),
            recovered: Some(ledger.recovered()?).filter(|&sequence| sequence > 0),
        })
    }
}

impl From<HeadStatement> for Statement {
    fn from(statement: HeadStatement) -> Self {
        let HeadStatement { commit, sequence, issued, expires, by } = statement;
        Self { commit, sequence, issued: moment(issued), expires: moment(expires), by }
    }
}

pub(super) fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "channel       {}", self.channel)?;
        writeln!(f, "introduction  {}", self.introduction)?;
        writeln!(f, "introducer    {}", self.introducer)?;
        self.minimum.iter().try_for_each(|minimum| writeln!(f, "minimum       {minimum}"))?;
        match &self.accepted {
            Some(accepted) => writeln!(f, "accepted      {accepted}")?,
            None => writeln!(f, "accepted      nothing yet")?,
        }
        self.freshness(f)?;
        self.recovery(f)?;
        self.revoked.iter().try_for_each(|key| writeln!(f, "revoked       {key}"))
    }
}

impl Host {
    fn freshness(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needed = if self.require_head { "needed for every new commit" } else { "not needed" };
        write!(f, "statements    {needed}")?;
        match &self.max_staleness {
            Some(most) => writeln!(f, "; an alarm where the newest is older than {most}")?,
            None => writeln!(f)?,
        }
        let Some(Statement { commit, sequence, issued, expires, by }) = &self.statement else {
            return writeln!(f, "newest        none was seen");
        };
        write!(f, "newest        {commit}\n              sequence {sequence}")?;
        by.iter().try_for_each(|by| write!(f, ", by {by}"))?;
        writeln!(f, ", issued {issued}, expires {expires}")
    }

    fn recovery(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(threshold) = self.recovery_threshold else {
            return writeln!(f, "recovery      by root alone: writ trust reset");
        };
        writeln!(f, "recovery      by {threshold} of these keys, or root")?;
        for key in &self.recovery_keys {
            writeln!(f, "              {key}")?;
        }
        let obeyed = |last| writeln!(f, "              last obeyed: sequence {last}");
        self.recovered.iter().try_for_each(obeyed)
    }
}

/// A policy, for a person.
#[derive(Serialize)]
#[serde(transparent)]
struct Told(Overview);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = &self.0;
        writeln!(f, "channel  {}", policy.channel)?;
        if policy.require_closure_digest {
            writeln!(f, "every artifact carries a closureDigest")?;
        }
        if policy.require_plan {
            writeln!(f, "every commit names the plan of each host that it changes")?;
        }
        policy.people.iter().try_for_each(|someone| person(f, someone))?;
        for protected in &policy.protected {
            let named = protected.paths.iter().cloned().chain(protected.may.lines());
            let named: Vec<String> = named.collect();
            writeln!(f, "{} people: {}", protected.threshold, named.join(", "))?;
        }
        for (key, good_until) in &policy.revoked {
            writeln!(f, "revoked {key}\n  good until {good_until}")?;
        }
        policy.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

fn person(f: &mut fmt::Formatter<'_>, person: &Person) -> fmt::Result {
    write!(f, "{}", person.name)?;
    if !person.roles.is_empty() {
        write!(f, "  ({})", person.roles.join(", "))?;
    }
    writeln!(f)?;
    for grant in &person.grants {
        writeln!(f, "  may write {grant}")?;
    }
    person.only.iter().try_for_each(|only| writeln!(f, "  there only {}", only.join(", ")))?;
    for line in person.may.lines() {
        writeln!(f, "  may ask hosts for {line}")?;
    }
    if person.verify_required {
        writeln!(f, "  hardware keys verify their user")?;
    }
    person.keys.iter().try_for_each(|held| key(f, held))
}

fn key(f: &mut fmt::Formatter<'_>, key: &Key) -> fmt::Result {
    let signs = key.namespaces.as_ref().map_or("anything".to_owned(), |list| list.join(", "));
    write!(f, "  {} {}, signs {signs}", key.kind, key.fingerprint)?;
    key.valid_after.iter().try_for_each(|after| write!(f, ", from {after}"))?;
    key.valid_before.iter().try_for_each(|before| write!(f, ", until {before}"))?;
    writeln!(f)
}
