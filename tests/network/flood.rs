//! Servers that send without end what is kept until it is asked for.

use std::fs;
use std::io::{BufRead, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use writ::source::access::Access;

use crate::{fault, source};

/// Whoever takes this much takes anything; so much, and no more, is sent.
const ENOUGH: usize = 512 << 20;
/// KiB of its own memory that the child may have at any time.
const MEMORY: u64 = 128 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Refs,
    RefsAtOnce,
    Capabilities,
    Acknowledgments,
}

fn line(text: &str) -> String {
    format!("{:04x}{text}\n", text.len() + 5)
}

/// Sends one answer: first what is fit, then what has no end. Tells how much memory the
/// children of this process came to have meanwhile.
fn send(mut stream: TcpStream, first: &str, more: impl Fn(usize) -> String, peak: &AtomicU64) {
    let head =
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/x-git-upload-pack-";
    let kind = if first.contains("# service") { "advertisement" } else { "result" };
    let _ = write!(stream, "{head}{kind}\r\n\r\n{first}");
    let (mut sent, mut n) = (0, 0);
    while sent < ENOUGH {
        let piece: String = (n..n + 10_000).map(&more).collect();
        if piece.is_empty() || stream.write_all(piece.as_bytes()).is_err() {
            break;
        }
        (sent, n) = (sent + piece.len(), n + 10_000);
        peak.fetch_max(memory_of_children(), Ordering::SeqCst);
    }
}

/// KiB that are no files, of all fetching children together.
fn memory_of_children() -> u64 {
    let own = format!("PPid:\t{}", std::process::id());
    let all = fs::read_dir("/proc").unwrap().flatten();
    let status = all.filter_map(|entry| fs::read_to_string(entry.path().join("status")).ok());
    let ours = status.filter(|text| text.lines().any(|line| line == own));
    ours.filter_map(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    })
    .sum()
}

/// Answers each request of a fetch, and floods where it is told to.
fn answer(stream: TcpStream, what: What, peak: &AtomicU64) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut asked = String::new();
    let mut length = 0;
    while reader.read_line(&mut asked)? > 2 {
        let last = asked.lines().last().unwrap_or_default().to_ascii_lowercase();
        if let Some(value) = last.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        } else if last.starts_with("transfer-encoding: chunked") {
            // The last chunk's end is as good as a length.
            length = usize::MAX;
        }
    }
    let mut body = Vec::new();
    while body.len() < length && !body.ends_with(b"\r\n0\r\n\r\n") {
        let mut byte = [0];
        reader.read_exact(&mut byte)?;
        body.extend(byte);
    }
    let said = String::from_utf8_lossy(&body);
    let id = |n: usize| format!("{n:040x}");
    let none = |_| String::new();
    let service = format!("{}0000", line("# service=git-upload-pack"));
    let greeting: String = ["version 2", "agent=x", "ls-refs", "fetch", "object-format=sha1"]
        .into_iter()
        .map(line)
        .collect();
    let head = line(&format!("{} refs/heads/main", id(1)));
    match (asked.starts_with("GET"), what) {
        (true, What::RefsAtOnce) => {
            let first = format!("{service}{}", line(&format!("{} HEAD\0agent=x", id(1))));
            send(stream, &first, |n| line(&format!("{} refs/tags/{n:050}", id(n))), peak);
        }
        (true, What::Capabilities) => {
            send(stream, &format!("{service}{greeting}"), |n| line(&format!("x{n:0100}")), peak);
        }
        (true, _) => send(stream, &format!("{service}{greeting}0000"), none, peak),
        (false, What::Refs) => {
            send(stream, &head, |n| line(&format!("{} refs/tags/{n:050}", id(n))), peak);
        }
        (false, _) if said.contains("ls-refs") => send(stream, &format!("{head}0000"), none, peak),
        (false, _) => {
            let first = line("acknowledgments");
            send(stream, &first, |n| line(&format!("ACK {}", id(n))), peak);
        }
    }
    Ok(())
}

fn flooding(what: What) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/deploy.git", listener.local_addr().unwrap());
    let peak = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&peak);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = Arc::clone(&seen);
            // Whoever hangs up early sees so itself.
            thread::spawn(move || drop(answer(stream, what, &seen)));
        }
    });
    (url, peak)
}

#[tokio::test]
async fn a_server_that_sends_without_end_before_a_pack_is_hung_up_on() {
    let dir = tempfile::tempdir().unwrap();
    for what in [What::Refs, What::RefsAtOnce, What::Capabilities, What::Acknowledgments] {
        let (url, peak) = flooding(what);
        let told = fault(&source(&url, Access::Open), &dir.path().join("incoming")).await;
        let peak = peak.load(Ordering::SeqCst);
        assert!(peak < MEMORY, "{what:?}: {peak} KiB; {told}");
        let told = told.replace(&url, "URL");
        let words = "could not fetch main of URL: the server sends more than 128 MiB before it sends a pack";
        assert!(told.contains(words), "{what:?}: {told}");
    }
}
