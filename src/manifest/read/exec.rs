//! Reads `[exec]`: the process of a service.

use super::command::{self, Closure};
use crate::manifest::problem::{Report, Spot};
use crate::manifest::service::{Exec, Reload};
use crate::manifest::table::{Spotted, Table, choice};
use crate::manifest::tree::{Node, Value};
use crate::names::{AccountName, Literal};

/// The process, and what the rest of the service must know of it.
pub(super) struct Written<'a> {
    /// `None` where the command is missing or wrong.
    pub(super) exec: Option<Exec>,
    pub(super) user: User,
    pub(super) start: Option<Spotted<'a, Start>>,
    pub(super) reload: Option<Spot<'a>>,
}

/// Who runs the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum User {
    /// Nobody is named: systemd makes a user up.
    MadeUp,
    Named(AccountName),
    /// Somebody is named, but no name; that has been said.
    Unread,
}

/// `exec.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Exec,
    Notify,
    Oneshot,
}

/// Signals that a process may take as a wish to read its settings again.
const SIGNALS: [(&str, &str); 5] = [
    ("SIGHUP", "SIGHUP"),
    ("SIGUSR1", "SIGUSR1"),
    ("SIGUSR2", "SIGUSR2"),
    ("SIGWINCH", "SIGWINCH"),
    ("SIGCONT", "SIGCONT"),
];

/// Reads the table.
pub(super) fn read<'a>(table: &Table<'_, 'a>, closure: Closure<'_>) -> Written<'a> {
    let report = table.report;
    let command = match table.entry("command") {
        Some(entry) => command::program(&entry.node, closure, report),
        None => {
            table.lacks("command", "name the program: command = \"web\" means <storePath>/bin/web");
            None
        }
    };
    let args = table.value("args").unwrap_or_default();
    let user = match (table.entry("user"), table.value::<AccountName>("user")) {
        (None, _) => User::MadeUp,
        (Some(_), Some(name)) => User::Named(name),
        (Some(_), None) => User::Unread,
    };
    let group = table.value("group");
    let working_directory = table.value("workingDirectory");
    let reload = table.entry("reload");
    let start = table.entry("type").and_then(|entry| {
        let words = [("exec", Start::Exec), ("notify", Start::Notify), ("oneshot", Start::Oneshot)];
        choice(&entry.node, report, &words).map(|value| Spotted { value, at: entry.node.at })
    });
    let reload_read = reload.and_then(|entry| read_reload(&entry.node, closure, report));
    let exec = command.map(|command| Exec {
        command,
        args,
        user: match &user {
            User::Named(name) => Some(name.clone()),
            User::MadeUp | User::Unread => None,
        },
        group,
        working_directory,
        reload: reload_read,
    });
    Written { exec, user, start, reload: reload.map(|entry| entry.at) }
}

/// A signal's name, or a command.
fn read_reload(node: &Node<'_>, closure: Closure<'_>, report: &Report) -> Option<Reload> {
    if let Value::Text(text) = &node.value
        && text.starts_with("SIG")
    {
        let signal: Option<Literal> = choice(node, report, &SIGNALS)?.parse().ok();
        return signal.map(Reload::Signal);
    }
    let line = command::line(node, closure, report)?;
    Some(Reload::Command { command: line.command, args: line.args })
}
