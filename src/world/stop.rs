//! Ctrl-C and SIGTERM: an operator's command ends at once, and what it started ends with it.
//!
//! Every such command may be killed anywhere and run again, so that nothing has to be
//! finished first. Without this, a `git push` would go on behind the back of whoever
//! stopped it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// What a shell adds to a signal's number (bash(1), "EXIT STATUS").
const BY_SIGNAL: i32 = 128;

/// The parts of this program that answer signals by themselves now.
static ANSWERING: Mutex<Vec<Arc<Notify>>> = Mutex::new(Vec::new());

/// Folders that nobody needs after this process.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// What brings back what was there, where this process ends in the middle.
static UNDO: Mutex<Option<Command>> = Mutex::new(None);

/// Whether this process is about to end by a signal.
static LEAVING: AtomicBool = AtomicBool::new(false);

/// Has this process end by Ctrl-C and SIGTERM from now on, with its children.
pub fn watch() {
    // Without the thread, signals do what they do to every program.
    let _ = std::thread::Builder::new().name("stop".to_owned()).spawn(wait);
}

fn wait() {
    let Ok(runtime) = Builder::new_current_thread().enable_io().build() else { return };
    runtime.block_on(async {
        let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
        let (Ok(mut interrupted), Ok(mut terminated)) = (signal(interrupt), signal(terminate))
        else {
            return;
        };
        loop {
            let kind = tokio::select! {
                _ = interrupted.recv() => interrupt,
                _ = terminated.recv() => terminate,
            };
            if !handed_over() {
                leave(kind.as_raw_value());
            }
        }
    });
}

/// Leaves a signal to whoever answers signals; whether there is anybody.
fn handed_over() -> bool {
    let answering = ANSWERING.lock().unwrap_or_else(PoisonError::into_inner);
    answering.iter().for_each(|asked| asked.notify_one());
    !answering.is_empty()
}

#[expect(clippy::exit, reason = "a signal ends a program wherever it is")]
fn leave(number: i32) {
    LEAVING.store(true, Ordering::SeqCst);
    end_children();
    undo();
    for folder in FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        // Whoever cleans the folder for temporary files does it otherwise.
        let _ = fs::remove_dir_all(folder);
    }
    std::process::exit(BY_SIGNAL + number);
}

/// A folder that is removed also where a signal ends this process.
pub fn goes_with_us(folder: &Path) {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).push(folder.to_owned());
}

/// Goes no further where this process is about to end: what its children have come to is
/// no answer then, and nothing new is begun.
pub fn rest_if_leaving() {
    while LEAVING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// Takes back by this command what a signal cuts short, while the result lives.
pub fn undone_by(command: Command) -> Undoing {
    *UNDO.lock().unwrap_or_else(PoisonError::into_inner) = Some(command);
    Undoing(())
}

/// See [`undone_by`].
#[derive(Debug)]
#[must_use = "nothing is taken back once it is dropped"]
pub struct Undoing(());

impl Drop for Undoing {
    fn drop(&mut self) {
        *UNDO.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn undo() {
    let command = UNDO.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut command) = command else { return };
    // Who is asked to end may hold a lock until then.
    for _ in 0..200 {
        if below(std::process::id()).is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // Whoever stopped this sees by `git status` what it could not.
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
}

/// While it lives, signals are answered by whoever holds it.
#[derive(Debug)]
pub struct Answering(Arc<Notify>);

/// Takes signals for oneself.
pub fn answering() -> Answering {
    let asked = Arc::new(Notify::new());
    ANSWERING.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&asked));
    Answering(asked)
}

impl Answering {
    /// Until Ctrl-C, or until a CI is told to stop.
    pub async fn asked(&self) {
        self.0.notified().await;
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut answering = ANSWERING.lock().unwrap_or_else(PoisonError::into_inner);
        answering.retain(|asked| !Arc::ptr_eq(asked, &self.0));
    }
}

/// Ends every process that this one has started, and theirs. What has made itself
/// independent, as agents for keys do, is nobody's child any more.
pub fn end_children() {
    below(std::process::id()).into_iter().for_each(end);
}

/// Ends a child, and what it has started.
pub fn end_with_children(child: u32) {
    let all = below(child);
    end(child);
    all.into_iter().for_each(end);
}

/// By SIGTERM, on which git removes its locks.
fn end(process: u32) {
    let id = i32::try_from(process).ok().and_then(Pid::from_raw);
    // It may have ended by itself.
    let _ = id.map(|id| kill_process(id, Signal::TERM));
}

/// The processes that one has started, and those that they have.
fn below(process: u32) -> BTreeSet<u32> {
    let all = parents();
    let mut found = BTreeSet::from([process]);
    // Each turn goes one generation down.
    loop {
        let known = found.len();
        found.extend(
            all.iter()
                .filter(|(_, parent)| found.contains(parent))
                .map(|(id, _)| *id)
                .collect::<Vec<_>>(),
        );
        if found.len() == known {
            found.remove(&process);
            return found;
        }
    }
}

/// Every process and its parent.
fn parents() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let parent = |name: &str| {
        let stat = fs::read_to_string(format!("/proc/{name}/stat")).ok()?;
        // proc(5): the name in brackets may hold anything, also brackets.
        let mut words = stat.rsplit_once(')')?.1.split_whitespace();
        // One that has ended and nobody has asked after is none.
        words.next().filter(|state| *state != "Z")?;
        words.next()?.parse().ok()
    };
    let pair = |name: String| Some((name.parse().ok()?, parent(&name)?));
    entries.flatten().filter_map(|entry| pair(entry.file_name().into_string().ok()?)).collect()
}
