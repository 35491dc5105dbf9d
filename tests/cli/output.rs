//! What arrives of a command's output: all of it, or an error; as JSON, one object and nothing else.

use std::fs::OpenOptions;
use std::process::{Command, Output, Stdio};

use clap::CommandFactory as _;
use writ::cli::Cli;

use crate::json::object;
use crate::{checkout, told, writ};

fn writ_to(stdout: Stdio, dir: &std::path::Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
    command.args(args).current_dir(dir).stdout(stdout).stderr(Stdio::piped());
    command.spawn().unwrap().wait_with_output().unwrap()
}

fn full_disk() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn output_that_a_full_disk_does_not_take_is_an_error() {
    let dir = checkout();
    let commands: [&[&str]; 8] = [
        &["check"],
        &["check", "--json"],
        &["plan", "HEAD", "--host", "biz"],
        &["plan", "HEAD", "--host", "biz", "--json"],
        &["diff", "HEAD^", "HEAD", "--host", "biz"],
        &["completions", "bash"],
        &["--help"],
        &["--version"],
    ];
    for args in commands {
        let output = writ_to(full_disk(), dir.path(), args);
        let text = told(&output);
        assert!(
            text.contains("error: cannot write to standard output: No space"),
            "{args:?} {text}"
        );
        assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
    }
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let dir = checkout();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = writ_to(writer.into(), dir.path(), &["completions", "bash"]);
    assert_eq!(told(&output), "exit 0\n");
}

#[test]
fn every_json_object_says_its_version_first() {
    let dir = checkout();
    let commands: [&[&str]; 3] = [
        &["check", "--json"],
        &["plan", "HEAD", "--host", "biz", "--json"],
        &["diff", "HEAD^", "HEAD", "--host", "biz", "--json"],
    ];
    commands.into_iter().for_each(|args| drop(object(&writ(dir.path(), args))));
}

/// Whoever adds a command decides whether a program may want to read it.
#[test]
fn every_command_has_json_but_those_that_no_program_reads() {
    let mut without = Vec::new();
    leaves(&Cli::command(), "", &mut without);
    let hooks = ["pre-commit", "pre-push", "pre-receive", "update", "post-receive"];
    let mut expected: Vec<String> = hooks.map(|hook| format!("hook {hook}")).into();
    // Run by systemd, by packagers and by shells.
    expected.extend(["boot", "completions", "man"].map(str::to_owned));
    without.sort();
    expected.sort();
    assert_eq!(without, expected);
}

fn leaves(command: &clap::Command, path: &str, without: &mut Vec<String>) {
    let own = command.get_arguments().any(|argument| argument.get_id() == "json");
    let mut inner = command.get_subcommands().filter(|command| !command.is_hide_set()).peekable();
    if !own && inner.peek().is_none() {
        without.push(path.trim().to_owned());
    }
    inner.for_each(|inner| leaves(inner, &format!("{path} {}", inner.get_name()), without));
}
