//! A program that may take so long, say so much, and no more.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Bytes that are taken of each output; whoever says more is hung up on.
const SAID: u64 = 1024 * 1024;
/// Characters of complaints that are passed on.
const TOLD: usize = 1000;

/// How a program is run.
pub(super) struct Bounded {
    pub(super) command: Command,
    pub(super) deadline: Duration,
    /// Whether what it starts ends with it. Such a program cannot ask at a terminal.
    pub(super) apart: bool,
}

impl Bounded {
    /// Runs it and gives what it printed. Dropping the future ends it.
    ///
    /// # Errors
    /// Its own words, or that it took too long.
    pub(super) async fn run(mut self, input: &[u8]) -> Result<Vec<u8>, String> {
        if self.apart {
            self.command.process_group(0);
        }
        let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let name = self.command.as_std().get_program().to_string_lossy().into_owned();
        let child =
            self.command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
        let group = Group::of(&child, self.apart);
        let ended = timeout(self.deadline, Self::words(child, input)).await;
        let ended = ended.map_err(|_| format!("{name} took longer than {:?}", self.deadline))?;
        // Nobody is left whose id another process might have by now.
        group.let_go();
        ended
    }
}

impl Bounded {
    /// What a program prints where it ends well.
    async fn words(child: Child, input: &[u8]) -> Result<Vec<u8>, String> {
        let (printed, complaint, status) =
            talk(child, input).await.map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(printed);
        }
        match complaint.as_str() {
            "" => Err(format!("it ended with {status}")),
            words => Err(words.to_owned()),
        }
    }
}

/// Asks this program's own child, which may be killed with all that it started: dropping
/// the future does. What it prints, the end of its complaints, and how it ended.
///
/// # Errors
/// It cannot be started.
pub(super) async fn ask(
    program: &Path,
    verb: &str,
    request: &[u8],
) -> io::Result<(Vec<u8>, String, ExitStatus)> {
    let mut command = Command::new(program);
    command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.kill_on_drop(true).process_group(0).spawn().map_err(|error| {
        io::Error::new(error.kind(), format!("starting {}: {error}", program.display()))
    })?;
    let group = Group::of(&child, true);
    let ended = talk(child, request).await?;
    group.let_go();
    Ok(ended)
}

/// What a program prints, the end of its complaints, and how it ended.
async fn talk(mut child: Child, input: &[u8]) -> io::Result<(Vec<u8>, String, ExitStatus)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program that died early is told by its exit code, not by this pipe.
            let _ = stdin.write_all(input).await;
        }
    };
    let ((), printed, complaint) = tokio::join!(feed, take(stdout), take(stderr));
    let status = child.wait().await?;
    let complaint = String::from_utf8_lossy(&complaint);
    let complaint = complaint.trim();
    let from = complaint.char_indices().rev().nth(TOLD).map_or(0, |(at, _)| at);
    Ok((printed, complaint[from..].to_owned(), status))
}

async fn take(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What was read before a failure is all there is to tell.
        let _ = pipe.take(SAID).read_to_end(&mut bytes).await;
    }
    bytes
}

/// Ends a program and all that it started, unless that is over.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child, apart: bool) -> Self {
        let id = child.id().filter(|_| apart).and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    fn let_go(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
