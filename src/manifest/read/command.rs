//! Reads a command of the closure: its path resolved, so that nothing outside of it ever runs.

use crate::manifest::problem::Report;
use crate::manifest::table::{Field, text};
use crate::manifest::tree::{Node, Value};
use crate::names::{AbsolutePath, Literal, StorePath};

/// A command with its arguments.
pub(super) struct Command {
    pub(super) command: AbsolutePath,
    pub(super) args: Vec<Literal>,
}

/// Where commands are looked for. Without a sound store path nothing can be
/// resolved, which has been said already.
pub(super) type Closure<'c> = Option<&'c StorePath>;

/// Reads a program: a name in the closure's `bin/`, or an absolute path inside
/// the closure.
pub(super) fn program(
    node: &Node<'_>,
    closure: Closure<'_>,
    report: &Report,
) -> Option<AbsolutePath> {
    let literal = Literal::read(node, report)?;
    let text = literal.as_str();
    let (what, remedy) = if text.contains(['"', '\'', '\\']) {
        // systemd takes no quotes and backslashes in the path of a program.
        (format!("{text:?} is no program's name"), "rename the program in the closure".to_owned())
    } else if text.starts_with('/') {
        let path = AbsolutePath::read(node, report)?;
        let closure = closure?;
        if inside(closure, &path) {
            return Some(path);
        }
        let what = format!("{text:?} lies outside of the closure {closure}");
        (what, "write the program's bare name, or a path below `storePath`".to_owned())
    } else if text.is_empty() || matches!(text, "." | "..") {
        (format!("{text:?} is no program"), "write the program's name".to_owned())
    } else if let Some(name) = text.strip_prefix("bin/").filter(|name| !name.contains('/')) {
        (
            format!("{text:?} is a relative path"),
            format!("write \"{name}\": a bare name means bin/"),
        )
    } else if text.contains('/') {
        let remedy = "write the program's bare name, or an absolute path below `storePath`";
        (format!("{text:?} is a relative path"), remedy.to_owned())
    } else if text.contains(' ') {
        let remedy = "write the arguments apart from it, in a list: no shell splits this";
        (format!("{text:?} is no program's name"), remedy.to_owned())
    } else {
        return format!("{}/bin/{text}", closure?).parse().ok();
    };
    report.add(node.at, what, remedy);
    None
}

/// Whether a path lies below the closure's root.
fn inside(closure: &StorePath, path: &AbsolutePath) -> bool {
    path.as_str().strip_prefix(closure.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

/// Reads `"program"` or `["program", "argument", …]`.
pub(super) fn line(node: &Node<'_>, closure: Closure<'_>, report: &Report) -> Option<Command> {
    let nodes = match &node.value {
        Value::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let Some((first, rest)) = nodes.split_first() else {
        report.add(node.at, "the list names no program", "write [\"program\", \"argument\"]");
        return None;
    };
    let args = rest.iter().filter_map(|node| Literal::read(node, report)).collect();
    Some(Command { command: program(first, closure, report)?, args })
}

/// Reads a path relative to the closure's root, such as `share/www`.
pub(super) fn relative(node: &Node<'_>, report: &Report) -> Option<Literal> {
    let text = text(node, report)?;
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    let sound = text.split('/').all(plain) && !text.contains(['{', '}']);
    if sound {
        return Literal::read(node, report);
    }
    let remedy = "write it from the closure's root, without a leading or trailing `/`, `.`, `..` and braces: \"share/www\"";
    report.add(node.at, format!("{text:?} is no path inside the closure"), remedy);
    None
}
