//! What a person sees at a terminal, which is a real one here: colours, widths and ages.

use std::path::Path;
use std::process::Command;

use crate::{checkout, told, writ};

/// What is on a terminal of so many columns. `script` makes one; what it is given goes
/// through a shell, so that these are words of this test.
fn on_terminal(dir: &Path, columns: usize, args: &str, env: &[(&str, &str)]) -> String {
    let writ = env!("CARGO_BIN_EXE_writ");
    let command = format!("stty cols {columns} rows 24; exec {writ} {args}");
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    script.current_dir(dir).env_remove("NO_COLOR").env("TERM", "xterm").envs(env.iter().copied());
    let output = script.output().unwrap();
    String::from_utf8(output.stdout).unwrap().replace('\r', "")
}

/// With something to say that is longer than a narrow terminal is wide.
fn mistaken() -> tempfile::TempDir {
    let dir = checkout();
    let web = dir.path().join("manifests/services/web.toml");
    let text = std::fs::read_to_string(&web).unwrap();
    std::fs::write(&web, text.replace("storePath", "sotrePath")).unwrap();
    dir
}

#[test]
fn lines_fit_a_terminal_and_stay_whole_for_programs() {
    let dir = mistaken();
    let plain = told(&writ(dir.path(), &["check"]));
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for columns in [60, 80, 120] {
        let seen = on_terminal(dir.path(), columns, "check", &[("NO_COLOR", "1")]);
        let longest = seen.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(columns), "{columns}:\n{seen}");
        assert_eq!(words(&format!("{seen}exit 1")), words(&plain), "no word is lost or broken");
    }
    assert!(plain.lines().any(|line| line.len() > 60), "{plain}");
}

#[test]
fn colours_are_for_terminals_and_for_those_who_want_them() {
    let dir = mistaken();
    let colored = |text: &str| text.contains('\x1b');
    let seen = |args, env: &[_]| on_terminal(dir.path(), 80, args, env);
    let plan = "plan --all-hosts";
    assert!(colored(&seen(plan, &[])) && colored(&seen("--color auto plan --all-hosts", &[])));
    assert!(!colored(&seen("plan --all-hosts --color never", &[])));
    assert!(!colored(&seen(plan, &[("NO_COLOR", "1")])), "no-color.org");
    assert!(colored(&seen(plan, &[("NO_COLOR", "")])), "no-color.org: not when empty");
    assert!(!colored(&seen(plan, &[("TERM", "dumb")])));
    assert!(!colored(&seen("paln", &[("NO_COLOR", "1")])), "a mistake is like any error");
    assert!(!colored(&told(&writ(dir.path(), &["plan", "--all-hosts"]))));
    let wanted = writ(dir.path(), &["plan", "--all-hosts", "--color", "always"]);
    assert!(colored(&told(&wanted)), "{}", told(&wanted));
    let json = writ(dir.path(), &["check", "--json", "--color", "always"]);
    assert!(!colored(&told(&json)), "{}", told(&json));
}

#[test]
fn what_is_copied_is_not_laid_out() {
    let dir = checkout();
    let plain = writ(dir.path(), &["completions", "bash"]);
    let seen = on_terminal(dir.path(), 60, "completions bash", &[]);
    assert_eq!(seen.trim(), String::from_utf8_lossy(&plain.stdout).trim());
}
