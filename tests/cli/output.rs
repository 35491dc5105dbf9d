//! What arrives of a command's output: all of it, or an error; as JSON, one object and nothing else.

use std::fs::OpenOptions;
use std::process::{Command, Output, Stdio};

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
    for args in commands {
        let output = writ(dir.path(), args);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let first = json.as_object().unwrap().iter().next().unwrap();
        assert_eq!((first.0.as_str(), first.1), ("version", &1.into()), "{args:?}");
    }
}
