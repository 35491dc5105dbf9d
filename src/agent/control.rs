//! The control socket: a line of JSON in, a line of JSON out, peers checked per verb.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::socket::{Peer, in_group};
use super::status::{self, Status};
use super::{Report, Shared};
use crate::fault::{Fault, causes};
use crate::ledger::Ledger;
use crate::names::{HostName, ServiceName};
use crate::world::{Store as _, World};

/// A request is one short line.
const REQUEST_LIMIT: u64 = 4096;
const REQUEST_DEADLINE: Duration = Duration::from_secs(5);

/// Before accepting again after a failure (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What can be asked of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// For root and members of the group `writ`.
    Status,
    /// A round now; answered with the status after it. For root.
    Sync,
    /// A service begun anew; answered with the status after the round that follows, or
    /// with why it is not healthy. For root.
    Restart { service: ServiceName },
}

/// The line that asks it. A struct by itself: serde would let a tagged enum's unit
/// variants carry any other field.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    verb: Verb,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service: Option<ServiceName>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Verb {
    Status,
    Sync,
    Restart,
}

impl From<Request> for Asked {
    fn from(request: Request) -> Self {
        match request {
            Request::Status => Self { verb: Verb::Status, service: None },
            Request::Sync => Self { verb: Verb::Sync, service: None },
            Request::Restart { service } => Self { verb: Verb::Restart, service: Some(service) },
        }
    }
}

impl TryFrom<Asked> for Request {
    type Error = &'static str;

    fn try_from(asked: Asked) -> Result<Self, Self::Error> {
        match (asked.verb, asked.service) {
            (Verb::Status, None) => Ok(Self::Status),
            (Verb::Sync, None) => Ok(Self::Sync),
            (Verb::Restart, Some(service)) => Ok(Self::Restart { service }),
            (Verb::Restart, None) => Err("it names no service"),
            (Verb::Status | Verb::Sync, Some(_)) => Err("it is not about a service"),
        }
    }
}

/// What the agent answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    Status(Box<Status>),
    Refused { because: String },
}

/// Somebody who waits for a round.
#[derive(Debug)]
pub struct SyncRequest {
    pub answer: oneshot::Sender<Report>,
    /// What is done before it.
    pub restart: Option<Restart>,
}

/// A service to be begun anew, and who is told how that went.
#[derive(Debug)]
pub struct Restart {
    pub service: ServiceName,
    pub outcome: oneshot::Sender<Result<(), Fault>>,
}

/// The agent's side of the socket.
pub struct Control<W> {
    pub host: HostName,
    pub ledger: Ledger,
    /// Connections of its own to the host.
    pub world: Arc<W>,
    /// The agent's, which knows what it downloads.
    pub agents: Arc<W>,
    pub shared: Arc<Shared>,
    pub asked: mpsc::Sender<SyncRequest>,
}

impl<W: World + Send + Sync + 'static> Control<W> {
    /// Answers for ever on a thread of its own: whatever holds the agent up, it says how
    /// the host is.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn serve_apart(self, listener: UnixListener) -> std::io::Result<()> {
        let listener = listener.into_std()?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let serve = move || {
            runtime.block_on(async {
                match UnixListener::from_std(listener) {
                    Ok(listener) => self.serve(listener).await,
                    Err(error) => tracing::error!(%error, "the control socket"),
                }
            });
        };
        // It ends with the program.
        std::thread::Builder::new().name("control".to_owned()).spawn(serve).map(drop)
    }

    /// Answers for ever, each peer by itself.
    pub async fn serve(self, listener: UnixListener) {
        let control = Arc::new(self);
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let control = Arc::clone(&control);
                    tokio::spawn(async move {
                        if let Err(error) = control.answer(stream).await {
                            tracing::debug!(%error, "a control connection ended early");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting on the control socket");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn answer(&self, stream: UnixStream) -> std::io::Result<()> {
        let credentials = stream.peer_cred()?;
        let peer = Peer { uid: credentials.uid(), gid: credentials.gid() };
        let (read, mut write) = stream.into_split();
        let mut line = String::new();
        let mut read = BufReader::new(read.take(REQUEST_LIMIT));
        timeout(REQUEST_DEADLINE, read.read_line(&mut line)).await??;
        let asked = serde_json::from_str::<Asked>(&line).map_err(|error| error.to_string());
        let reply = match asked.and_then(|asked| Ok(Request::try_from(asked)?)) {
            Ok(request) if may(peer, &request) => self.reply(request).await,
            Ok(request) => Reply::Refused { because: denial(&request) },
            Err(error) => Reply::Refused { because: format!("not a request: {error}") },
        };
        let mut text = serde_json::to_vec(&reply)?;
        text.push(b'\n');
        timeout(REQUEST_DEADLINE, write.write_all(&text)).await?
    }

    /// A round that begins now.
    async fn round(&self, restart: Option<Restart>) -> Result<(), String> {
        let stopping = || "the agent is stopping".to_owned();
        let (answer, report) = oneshot::channel();
        self.asked.send(SyncRequest { answer, restart }).await.map_err(|_| stopping())?;
        report.await.map(drop).map_err(|_| stopping())
    }

    async fn restart(&self, service: ServiceName) -> Result<(), String> {
        let (outcome, done) = oneshot::channel();
        self.round(Some(Restart { service, outcome })).await?;
        match done.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fault)) => Err(match &fault.remedy {
                Some(remedy) => format!("{fault}; {remedy}"),
                None => fault.to_string(),
            }),
            Err(_) => Err("the agent is stopping".to_owned()),
        }
    }

    async fn reply(&self, request: Request) -> Reply {
        let done = match request {
            Request::Status => Ok(()),
            Request::Sync => self.round(None).await,
            Request::Restart { service } => self.restart(service).await,
        };
        if let Err(because) = done {
            return Reply::Refused { because };
        }
        let snapshot = Some(self.shared.snapshot());
        match status::gather(&self.host, &self.ledger, &*self.world, snapshot).await {
            Ok(status) => {
                let store = self.agents.store();
                let (download, caches_away) = (store.downloading(), store.away());
                Reply::Status(Box::new(Status { download, caches_away, ..status }))
            }
            Err(error) => Reply::Refused { because: causes(&error) },
        }
    }
}

/// Default deny: root may do everything, members of the group may look.
fn may(peer: Peer, request: &Request) -> bool {
    // The agent's own user counts as root, so that it can run unprivileged in tests.
    let root = peer.uid == 0 || peer.uid == rustix::process::geteuid().as_raw();
    match request {
        Request::Status => root || in_group(peer),
        Request::Sync | Request::Restart { .. } => root,
    }
}

fn denial(request: &Request) -> String {
    match request {
        Request::Status => {
            "only root and members of the group `writ` may see the status".to_owned()
        }
        Request::Sync => "only root may ask for a round".to_owned(),
        Request::Restart { service } => format!("only root may restart {service}"),
    }
}
