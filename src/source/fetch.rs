//! The killable child that talks to a git server: it asks for one branch and leaves a pack for its parent.
//!
//! gix cannot be interrupted in a handshake or on a stalled read, so this runs as
//! a process of its own, which the agent kills at the deadline. It believes
//! nothing and imports nothing: the parent does, by the code that reads bundles.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use gix::progress::Discard;
use gix::protocol::fetch::negotiate::{Action, Round, one_round};
use gix::protocol::fetch::{Arguments, Context, Negotiate, Options, Response, Shallow, Tags};
use gix::protocol::handshake::Ref;
use gix::protocol::ls_refs::RefPrefixes;
use gix::protocol::transport::Service;
use gix::protocol::{Handshake, LsRefsCommand, SendFlushOnDrop};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use serde::{Deserialize, Serialize};

use super::access::Keys;
use super::fetched::Statements;
use super::git_url::{GitScheme, GitUrl};
use super::line::Line;
use super::words::plain;
use crate::fault::causes;
use crate::names::{BranchName, CommitId};

/// Bytes that the child may take: of refs, capabilities and acknowledgments a server may
/// send any number, and gix keeps them all. A pack goes straight to the disk.
pub(super) const MEMORY: u64 = 128 << 20;

/// How a server's branch that is a symbolic ref is told.
pub(super) const ALIAS: &str = "is another name for";
/// What is said of a branch that is not there.
pub(super) const NO_BRANCH: &str = "has no branch";

/// What the parent asks for, as one JSON document on standard input.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    pub url: String,
    /// What the server wants to see of this host.
    #[serde(default)]
    pub keys: Keys,
    pub branch: BranchName,
    /// Tips whose history the parent has or does not want: with one of these at
    /// the branch, no pack is asked for.
    pub known: Vec<CommitId>,
    /// Commits that the parent has whole, so that only what follows is sent.
    pub have: Vec<CommitId>,
    /// Where the pack is written, its folder made; replaced where it exists.
    pub pack: PathBuf,
    /// Nothing but where the branch stands is asked for: the answer is
    /// [`Answer::Unchanged`], and no pack is written.
    #[serde(default)]
    pub look: bool,
    /// Bytes at most.
    pub pack_limit: u64,
}

/// What the child found, as one JSON document on standard output.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Answer {
    /// The branch stands at a commit that the parent named as known, and so do the
    /// statements about it; or the parent only looked.
    Unchanged { tip: CommitId },
    /// The pack was written.
    Pack { tip: CommitId, statements: Statements },
    /// What the server or the network said instead.
    Failed { because: String },
}

/// Reads a request, answers it. The pack is complete when the answer says so.
///
/// # Errors
/// Standard input is no request, or the answer cannot be written.
pub fn run() -> io::Result<()> {
    // It has a process group of its own, and no reason to outlive whoever asks.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let request: Request = serde_json::from_reader(io::stdin().lock())?;
    let answer = answer(&request).unwrap_or_else(|because| Answer::Failed { because });
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &answer)?;
    out.flush()
}

fn answer(request: &Request) -> Result<Answer, String> {
    let url: GitUrl = request.url.parse()?;
    // An SSH client is ended last.
    let Line { transport, client: _client } = Line::open(&url, &request.keys)?;
    if url.scheme() != GitScheme::File {
        limit_memory().map_err(explain)?;
    }
    let mut transport = SendFlushOnDrop::new(transport, false);
    let no_credentials = |_| Ok(None);
    let mut handshake = gix::protocol::handshake(
        &mut transport.inner,
        Service::UploadPack,
        no_credentials,
        Vec::new(),
        &mut Discard,
    )
    .map_err(explain)?;
    let branch = &request.branch;
    let names =
        ["refs/heads", "refs/writ/head", "refs/writ/reset"].map(|f| format!("{f}/{branch}"));
    let refs = list(&mut handshake, &mut transport.inner, &names)?;
    let [tip, head, reset] = names.each_ref().map(|name| find(&refs, name));
    let tip = tip.ok_or_else(|| absent(&refs, &names[0], branch))?;
    let name = |id: gix::ObjectId| id.to_string().parse::<CommitId>().map_err(explain);
    let statements =
        Statements { head: head.map(name).transpose()?, reset: reset.map(name).transpose()? };
    let id = name(tip)?;
    let known = std::iter::once(&id).chain(statements.ids()).all(|id| request.known.contains(id));
    if request.look || known {
        return Ok(Answer::Unchanged { tip: id });
    }
    // A tip that was refused is not kept, so it comes again with a new statement.
    let tip = (!request.have.contains(&id)).then_some(tip);
    let wants = tip.into_iter().chain(head).chain(reset).collect();
    download(request, wants, &mut handshake, &mut transport.inner)?;
    Ok(Answer::Pack { tip: id, statements })
}

/// What does not fit ends the child, so there must be no core: it would hold its keys. A
/// folder is read by a `git` of this machine, which would be held to the same.
fn limit_memory() -> io::Result<()> {
    let limit = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    setrlimit(Resource::Core, limit(0))?;
    Ok(setrlimit(Resource::Data, limit(MEMORY))?)
}

fn list<T>(
    handshake: &mut Handshake,
    transport: &mut T,
    names: &[String],
) -> Result<Vec<Ref>, String>
where
    T: gix::protocol::transport::client::blocking_io::Transport,
{
    if let Some(refs) = handshake.refs.take() {
        return Ok(refs);
    }
    let mut prefixes = RefPrefixes::new();
    prefixes.extend(names.iter().map(|name| name.as_str().into()));
    LsRefsCommand::new(Some(prefixes), &handshake.capabilities, user_agent())
        .invoke_blocking(transport, &mut Discard, false)
        .map_err(explain)
}

fn find(refs: &[Ref], name: &str) -> Option<gix::ObjectId> {
    refs.iter().find_map(|candidate| match candidate {
        Ref::Direct { full_ref_name, object } if *full_ref_name == name => Some(*object),
        Ref::Direct { .. } | Ref::Peeled { .. } | Ref::Symbolic { .. } | Ref::Unborn { .. } => None,
    })
}

/// Why a branch cannot be followed. One that is another name for a branch is not: whoever
/// serves the repository would choose which one is meant.
fn absent(refs: &[Ref], name: &str, branch: &BranchName) -> String {
    let alias = refs.iter().find_map(|candidate| match candidate {
        Ref::Symbolic { full_ref_name, target, .. } if *full_ref_name == name => Some(target),
        Ref::Symbolic { .. } | Ref::Direct { .. } | Ref::Peeled { .. } | Ref::Unborn { .. } => None,
    });
    match alias {
        Some(target) => format!("the repository's branch `{branch}` {ALIAS} {target}"),
        None => format!("the repository {NO_BRANCH} `{branch}`"),
    }
}

fn download<T>(
    request: &Request,
    wants: Vec<gix::ObjectId>,
    handshake: &mut Handshake,
    transport: &mut T,
) -> Result<(), String>
where
    T: gix::protocol::transport::client::blocking_io::Transport,
{
    let have = request.have.iter().map(|id| gix::ObjectId::from_hex(id.as_str().as_bytes()));
    let mut once = Once { wants, have: have.collect::<Result<_, _>>().map_err(explain)? };
    let (pack, limit) = (request.pack.clone(), request.pack_limit);
    gix::protocol::fetch(
        &mut once,
        move |read, _, _| {
            save(read, &pack, limit).map_err(gix::Error::from_error)?;
            Ok(true)
        },
        Discard,
        &AtomicBool::new(false),
        Context { handshake, transport, user_agent: user_agent(), trace_packetlines: false },
        Options {
            // Never there and never written: shallow histories are refused.
            shallow_file: request.pack.with_extension("shallow"),
            shallow: &Shallow::NoChange,
            tags: Tags::None,
            reject_shallow_remote: true,
        },
    )
    .map_err(explain)?
    .map(|_| ())
    .ok_or_else(|| "the server sent no pack".to_owned())
}

fn save(read: &mut dyn BufRead, path: &Path, limit: u64) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let bytes = io::copy(&mut read.take(limit + 1), &mut file)?;
    if bytes > limit {
        return Err(io::Error::other(format!("the pack is larger than {limit} bytes")));
    }
    Ok(())
}

fn user_agent() -> gix::protocol::command::Feature {
    let agent = gix::protocol::agent(concat!("writ-", env!("CARGO_PKG_VERSION")));
    ("agent", Some(agent))
}

/// gix says the most telling thing last.
fn explain(error: impl std::error::Error) -> String {
    plain(&causes(&error))
}

/// A negotiation of one round: all wishes, all that is there already, done.
struct Once {
    wants: Vec<gix::ObjectId>,
    have: Vec<gix::ObjectId>,
}

impl Negotiate for Once {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<Action> {
        Ok(Action::MustNegotiate { remote_ref_target_known: vec![false] })
    }

    fn add_wants(&mut self, arguments: &mut Arguments, _: &[bool]) -> bool {
        for id in &self.wants {
            arguments.want(id);
        }
        true
    }

    fn one_round(
        &mut self,
        _: &mut one_round::State,
        arguments: &mut Arguments,
        _: Option<&Response>,
    ) -> gix::Result<(Round, bool)> {
        for id in &self.have {
            arguments.have(id);
        }
        let round = Round {
            haves_sent: self.have.len(),
            in_vain: 0,
            haves_to_send: self.have.len(),
            previous_response_had_at_least_one_in_common: false,
        };
        Ok((round, true))
    }
}
