//! The control socket's file: who can reach it at all.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::control::{Asked, Reply, Request};

/// Members of this group may ask for the status.
const GROUP: &str = "writ";

/// Who is at the other end, as the kernel says (SO_PEERCRED).
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub uid: u32,
    pub gid: u32,
}

/// The socket's path in the agent's runtime directory.
pub fn path(runtime: &Path) -> PathBuf {
    runtime.join("control.sock")
}

/// Makes the socket for root and, where it exists, the group `writ`; never for
/// the world.
///
/// # Errors
/// Another agent listens there, or the directory cannot be written.
pub fn listen(runtime: &Path) -> std::io::Result<UnixListener> {
    DirBuilder::new().recursive(true).mode(0o755).create(runtime)?;
    let path = path(runtime);
    if std::os::unix::net::UnixStream::connect(&path).is_ok() {
        let why = format!("another agent listens on {}", path.display());
        return Err(Error::new(ErrorKind::AddrInUse, why));
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Bound under another name and with no way in, so that nobody slips through
    // before the mode is set.
    let fresh = runtime.join(".control.sock.new");
    let _ = fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh)?;
    let group = uzers::get_group_by_name(GROUP).map(|group| group.gid());
    if let Some(group) = group {
        chown(&fresh, None, Some(group))?;
    }
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    fs::set_permissions(&fresh, Permissions::from_mode(mode))?;
    fs::rename(&fresh, &path)?;
    Ok(listener)
}

/// Whether a peer belongs to the group, by its main group or by name.
pub(super) fn in_group(peer: Peer) -> bool {
    let Some(group) = uzers::get_group_by_name(GROUP) else { return false };
    let named = || {
        let user = uzers::get_user_by_uid(peer.uid)?;
        user.groups().map(|groups| groups.iter().any(|g| g.gid() == group.gid()))
    };
    peer.gid == group.gid() || named().unwrap_or(false)
}

/// Asks the agent one thing, and does not wait for the answer.
///
/// # Errors
/// Nobody listens, or did not take the question within the deadline.
pub async fn tell(path: &Path, request: Request, deadline: Duration) -> std::io::Result<()> {
    let telling = async {
        let mut stream = UnixStream::connect(path).await?;
        stream.write_all(&line(request)?).await
    };
    timeout(deadline, telling).await.unwrap_or_else(|_| Err(late(deadline)))
}

/// Asks the agent one thing.
///
/// # Errors
/// Nobody listens, or there was no answer within the deadline.
pub async fn ask(path: &Path, request: Request, deadline: Duration) -> std::io::Result<Reply> {
    let asking = async {
        let stream = UnixStream::connect(path).await?;
        let (read, mut write) = stream.into_split();
        write.write_all(&line(request)?).await?;
        let mut answer = String::new();
        if BufReader::new(read).read_line(&mut answer).await? == 0 {
            let why = "the agent stopped before it answered";
            return Err(Error::new(ErrorKind::UnexpectedEof, why));
        }
        Ok(serde_json::from_str(&answer)?)
    };
    timeout(deadline, asking).await.unwrap_or_else(|_| Err(late(deadline)))
}

fn line(request: Request) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Asked::from(request))?;
    line.push(b'\n');
    Ok(line)
}

fn late(deadline: Duration) -> Error {
    Error::new(ErrorKind::TimedOut, format!("no answer within {deadline:?}"))
}

/// Says why the agent could not be asked, and what to do.
pub fn explain(path: &Path, error: &Error) -> (String, &'static str) {
    let socket = path.display();
    if nobody_listens(error) {
        let why = format!("no agent is running: nobody listens at {socket}");
        return (
            why,
            "start it: systemctl start writ-agent; or one round without it: writ agent --once",
        );
    }
    let doing = format!("could not ask the agent at {socket}");
    match error.kind() {
        ErrorKind::PermissionDenied => (
            format!("{doing}: only root and members of the group `{GROUP}` may"),
            "run it as root, or join the group",
        ),
        ErrorKind::TimedOut => (
            format!("{doing}: {error}"),
            "it goes on by itself: writ status, or journalctl -u writ-agent",
        ),
        _ => (format!("{doing}: {error}"), "see how it is: systemctl status writ-agent"),
    }
}

/// Whether a failure to ask means that no agent is running, or that it ended just
/// now with the question still in its queue.
pub fn nobody_listens(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
    )
}
