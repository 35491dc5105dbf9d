//! The process: `ExecStart=` and what goes with it.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::secret::secret_args;
use super::unit::Unit;
use super::words::{Names, substituted, words};
use crate::names::{AbsolutePath, Literal, StorePath};

/// A command line of a unit, as far as a manifest can say it.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) program: String,
    pub(super) args: Vec<String>,
    /// What it says beyond that, in words.
    pub(super) beyond: Vec<String>,
}

/// Reads a command line; `None` where systemd would not take it.
///
/// `known` are the variables whose values the unit itself gives.
pub(super) fn line(text: &str, names: &Names, known: &BTreeMap<String, String>) -> Option<Line> {
    let mut read = Line::default();
    let mut all = words(text)?.into_iter();
    let first = all.next()?;
    let flags =
        first.text.len() - first.text.trim_start_matches(['@', '-', ':', '+', '!', '|']).len();
    let (flags, program) = first.text.split_at(flags);
    read.prefixes(flags);
    read.program = names.expand(program).unwrap_or_else(|_| program.to_owned());
    if flags.contains('@') {
        all.next();
    }
    for word in all {
        if word.plain && word.text == ";" {
            read.beyond.push("only the first of its commands is".to_owned());
            break;
        }
        read.argument(&word.text, names, (!flags.contains(':')).then_some(known));
    }
    read.withhold();
    Some(read)
}

impl Line {
    fn prefixes(&mut self, flags: &str) {
        for flag in flags.chars() {
            let why = match flag {
                '@' => "`@`: the program is called by its own name",
                '-' => "`-`: a failure is one",
                '+' | '!' => "`+` and `!`: no part of it has more rights than the rest",
                '|' => "`|`: no shell is between",
                _ => continue,
            };
            self.beyond.push(why.to_owned());
        }
    }

    fn argument(&mut self, word: &str, names: &Names, known: Option<&BTreeMap<String, String>>) {
        let text = match names.expand(word) {
            Ok(text) => text,
            Err(why) => {
                self.beyond.push(why);
                word.to_owned()
            }
        };
        let Some(known) = known else { return self.args.push(text) };
        match substituted(&text, known) {
            Ok(words) => self.args.extend(words),
            Err(name) => {
                let why = format!("no variable is put in, and the unit does not tell ${name}");
                self.beyond.push(why);
                self.args.push(text);
            }
        }
    }

    /// Takes out what looks like a secret and what a manifest cannot hold.
    fn withhold(&mut self) {
        let secret = secret_args(&self.args);
        if secret.contains(&true) {
            let why = "an argument looks like a secret and is left out: have the program read it from envFile";
            self.beyond.push(why.to_owned());
        }
        let kept = self.args.drain(..).zip(secret).filter(|(_, secret)| !secret);
        let kept: Vec<String> = kept.map(|(arg, _)| arg).collect();
        for arg in kept {
            match arg.parse::<Literal>() {
                Ok(_) => self.args.push(arg),
                Err(_) => self.beyond.push("an argument has control characters".to_owned()),
            }
        }
    }
}

/// A path below `/nix/store`, taken apart: its closure's root, and what a manifest
/// calls the program.
pub(super) fn in_store(path: &str) -> Option<(StorePath, String)> {
    let path: AbsolutePath = path.parse().ok()?;
    let rest = path.as_str().strip_prefix("/nix/store/")?;
    let (root, inside) = rest.split_once('/')?;
    let store_path: StorePath = format!("/nix/store/{root}").parse().ok()?;
    if path.as_str().contains(['"', '\'', '\\']) {
        return None;
    }
    let name = match inside.strip_prefix("bin/") {
        Some(name) if !name.contains(['/', ' ']) => name.to_owned(),
        _ => path.as_str().to_owned(),
    };
    Some((store_path, name))
}

/// Writes `[artifact]` and the command of `[exec]`; the closure.
pub(super) fn write(
    draft: &mut Draft,
    unit: &Unit,
    names: &Names,
    known: &BTreeMap<String, String>,
) -> Option<StorePath> {
    let mut starts = unit.list("Service", "ExecStart").into_iter();
    let start = starts.next();
    for other in starts {
        draft.lost(
            "ExecStart",
            other,
            "a service has one command: make each a service of its own, with dependsOn",
        );
    }
    let Some(line) = start.and_then(|start| line(start, names, known)) else {
        draft.note("exec", "command = \"…\": the unit has no ExecStart= that systemd would take");
        return None;
    };
    if !line.beyond.is_empty() {
        draft.lost("ExecStart", start.unwrap_or_default(), &line.beyond.join("; "));
    }
    let found = in_store(&line.program);
    match &found {
        Some((store_path, command)) => {
            draft.set("artifact", "storePath", store_path.as_str());
            draft.set("exec", "command", command.as_str());
        }
        None => {
            let what = format!(
                "storePath = \"…\": {} is in no nix closure; build one that has it",
                line.program
            );
            draft.note("artifact", &what);
            let name = line.program.rsplit('/').next().unwrap_or_default();
            draft.set("exec", "command", name);
        }
    }
    if !line.args.is_empty() {
        draft.list("exec", "args", &line.args);
    }
    found.map(|(store_path, _)| store_path)
}

/// `ExecReload=` as `exec.reload`: a signal, or a command of the same closure.
pub(super) fn reload(draft: &mut Draft, unit: &Unit, names: &Names, closure: Option<&StorePath>) {
    let lines = unit.list("Service", "ExecReload");
    for (number, text) in lines.iter().enumerate() {
        let read =
            line(text, names, &BTreeMap::from([("MAINPID".to_owned(), "$MAINPID".to_owned())]));
        let read = read.filter(|_| number == 0);
        if let Some(signal) = read.as_ref().and_then(signal) {
            draft.set("exec", "reload", signal);
        } else if let Some(read) = read.filter(|read| read.beyond.is_empty())
            && let Some((store_path, command)) = in_store(&read.program)
            && Some(&store_path) == closure
            && !read.args.iter().any(|arg| arg.contains("$MAINPID"))
        {
            draft.list("exec", "reload", &[vec![command], read.args].concat());
        } else {
            draft.lost(
                "ExecReload",
                text,
                "reload is a signal's name, or a command of the same closure",
            );
        }
    }
}

/// The signal that `kill` sends to the main process.
fn signal(line: &Line) -> Option<&'static str> {
    let known = ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCONT"];
    let (last, args) = line.args.split_last()?;
    if line.program.rsplit('/').next() != Some("kill") || last != "$MAINPID" {
        return None;
    }
    let name = match args {
        [] => return None,
        [one] => one.strip_prefix('-')?.trim_start_matches('-').trim_start_matches("signal="),
        [flag, name] if flag == "-s" || flag == "--signal" => name.as_str(),
        _ => return None,
    };
    known.into_iter().find(|signal| {
        let bare = signal.trim_start_matches("SIG");
        *signal == name || bare == name || (bare == "HUP" && name == "1")
    })
}
