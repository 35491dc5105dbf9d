//! What the program says of itself: help, completions and manual pages.

use std::path::Path;
use std::process::{Command, Stdio};

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use writ::cli::Cli;

use super::{told, writ};

/// Every command that somebody may type, with its path.
fn commands() -> Vec<(String, clap::Command)> {
    let mut root = Cli::command();
    root.build();
    let mut left = vec![("writ".to_owned(), root)];
    let mut found = Vec::new();
    while let Some((path, command)) = left.pop() {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            if sub.get_name() != "help" {
                left.push((format!("{path} {}", sub.get_name()), sub.clone()));
            }
        }
        found.push((path, command));
    }
    found
}

/// The words of a command line as a shell splits it, as far as examples go.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ' ') => words.push(std::mem::take(&mut word)),
            (_, c) => word.push(c),
        }
    }
    words.push(word);
    // What a shell does with the rest is none of ours.
    words.into_iter().take_while(|word| !matches!(word.as_str(), ">" | "|")).collect()
}

#[test]
fn every_command_has_an_example_that_it_understands() {
    let commands = commands();
    assert!(commands.len() > 30, "{}", commands.len());
    for (path, mut command) in commands {
        if command.has_subcommands() {
            continue;
        }
        let help = command.render_long_help().to_string();
        let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(&format!("Example: {path}")), "{path} has no example:\n{help}");
        let about = command.get_long_about().unwrap().to_string();
        for example in about.lines().filter_map(|line| line.trim().strip_prefix("Example: ")) {
            // Values are often told with an ellipsis; all else has to be right.
            if let Err(error) = Cli::try_parse_from(words(example))
                && !matches!(error.kind(), ErrorKind::ValueValidation)
            {
                panic!("{example}\n{error}");
            }
        }
    }
}

#[test]
fn help_tells_the_exit_codes_and_has_no_colours() {
    for args in [&["--help"][..], &["help", "check"], &["help", "trust", "rotate"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
        command.env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1");
        let output = command.args(args).output().unwrap();
        assert!(!told(&output).contains('\u{1b}'), "{}", told(&output));
    }
    let help = told(&writ(Path::new("."), &["--help"]));
    for code in ["0  success", "1  refused", "2  invalid command line", "3  something could not"] {
        assert!(help.contains(code), "{help}");
    }
}

#[test]
fn completions_are_scripts_that_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = writ(Path::new("."), &["completions", shell]);
        assert_eq!(script.status.code(), Some(0), "{}", told(&script));
        let text = String::from_utf8(script.stdout).unwrap();
        for (path, _) in commands() {
            let name = path.rsplit(' ').next().unwrap();
            assert!(text.contains(name), "{shell}: {path}");
        }
    }
    assert_eq!(writ(Path::new("."), &["completions", "csh"]).status.code(), Some(2));
}

#[test]
fn bash_completes_a_command_and_an_option() {
    let script = format!(
        "source <({} completions bash); complete_it() {{
            COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            _writ writ \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"
            echo \"${{COMPREPLY[*]}}\"; }}
         complete_it writ reve; complete_it writ trust rot; complete_it writ plan --ho",
        env!("CARGO_BIN_EXE_writ")
    );
    let mut bash = Command::new("bash");
    let output = bash.args(["--norc", "-c", &script]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(told(&output), "revert\nrotate\n--host\nexit 0\n");
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let wrote = writ(Path::new("."), &["man", dir.path().to_str().unwrap()]);
    assert_eq!(wrote.status.code(), Some(0), "{}", told(&wrote));
    for (path, _) in commands() {
        let file = dir.path().join(format!("{}.1", path.replace(' ', "-")));
        let page = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file:?}: {e}"));
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{page}");
    }
    let page = std::fs::read_to_string(dir.path().join("writ.1")).unwrap();
    assert!(page.contains("Exit codes") && page.contains("could not be reached"), "{page}");
    assert!(!dir.path().join("writ-fetch-branch.1").exists());
    let nowhere = dir.path().join("none");
    let refused = writ(Path::new("."), &["man", nowhere.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "{}", told(&refused));
}
