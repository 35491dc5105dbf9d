//! Runs a service's check command in a transient unit of its own, closed and without a shell.

use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::{io, join};

use super::{LONGEST_BODY, with_excerpt};
use crate::names::{AbsolutePath, Literal, ServiceName};
use crate::plan::unit::CLOSED;

/// What a check may do: ask its service, and nothing else.
const CONFINED: [&str; 16] = [
    "DynamicUser=yes",
    "CapabilityBoundingSet=",
    "ProtectHome=yes",
    "PrivateDevices=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
];

/// Runs the command once; systemd ends it at the `timeout`, whatever becomes of
/// this process.
pub(super) async fn run(
    service: &ServiceName,
    command: &AbsolutePath,
    args: &[Literal],
    timeout: Duration,
) -> Result<(), String> {
    let child = systemd_run(service, command, args, timeout)
        .spawn()
        .map_err(|error| format!("{command}: cannot start systemd-run: {error}"))?;
    let (status, output) = finish(child).await.map_err(|error| format!("{command}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let ended = match status.code() {
        Some(code) => format!("{command} ended with status {code}"),
        None => format!("{command} was ended by a signal"),
    };
    Err(with_excerpt(ended, &output))
}

fn systemd_run(
    service: &ServiceName,
    command: &AbsolutePath,
    args: &[Literal],
    timeout: Duration,
) -> Command {
    let mut run = Command::new("systemd-run");
    run.args(["--quiet", "--wait", "--collect", "--pipe", "--service-type=exec"])
        .args(["--slice=writ.slice", &format!("--unit={}", unit_name(service))])
        .arg(format!("--property=RuntimeMaxSec={}us", timeout.as_micros()))
        .arg("--property=TimeoutStopSec=1s")
        .args(CONFINED.map(|property| format!("--property={property}")))
        .arg(format!("--property=InaccessiblePaths={}", CLOSED.join(" ")))
        .arg("--")
        .arg(command.as_str())
        // systemd substitutes variables in arguments, and `$$` stands for `$`.
        .args(args.iter().map(|arg| arg.as_str().replace('$', "$$")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    run
}

/// Unlike a service's unit, so that no round takes it for one.
fn unit_name(service: &ServiceName) -> String {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let nth = ASKED.fetch_add(1, Ordering::Relaxed);
    format!("writ_probe-{service}-{}-{nth}.service", std::process::id())
}

/// Waits for the end, keeping the beginning of what is said on either stream.
async fn finish(mut child: Child) -> io::Result<(ExitStatus, Vec<u8>)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (status, said, complained) = join!(child.wait(), beginning(stdout), beginning(stderr));
    let mut output = complained;
    output.extend(said);
    Ok((status?, output))
}

/// Reads to the end, so that the writer never waits for a reader.
async fn beginning(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    let limit = u64::try_from(LONGEST_BODY).unwrap_or(u64::MAX);
    // A stream that breaks off is as good as one that ends.
    let _read = (&mut stream).take(limit).read_to_end(&mut kept).await;
    let _discarded = io::copy(&mut stream, &mut io::sink()).await;
    kept
}
