//! What a stream of this process leads to: a terminal with a width and colours, or a program.

use std::io::{IsTerminal, stderr, stdout};
use std::sync::OnceLock;

use clap::ValueEnum;

/// Narrower terminals are written to as if they were this wide.
const NARROWEST: usize = 60;
/// What a terminal that does not tell is taken for.
const USUAL: usize = 80;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    Always,
    Never,
}

/// How a stream is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Terminal {
    /// Columns; none where it is no terminal and lines stay as long as they are.
    pub(in crate::cli) width: Option<usize>,
    pub(in crate::cli) color: bool,
}

impl Terminal {
    /// What standard output leads to.
    pub(in crate::cli) fn stdout(color: Color) -> Self {
        static FOUND: OnceLock<Option<usize>> = OnceLock::new();
        let found = FOUND.get_or_init(|| width(&stdout(), &console::Term::stdout()));
        Self::new(*found, color)
    }

    /// What standard error leads to.
    pub(in crate::cli) fn stderr(color: Color) -> Self {
        static FOUND: OnceLock<Option<usize>> = OnceLock::new();
        let found = FOUND.get_or_init(|| width(&stderr(), &console::Term::stderr()));
        Self::new(*found, color)
    }

    fn new(width: Option<usize>, color: Color) -> Self {
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => width.is_some() && !is_unwanted(),
        };
        Self { width, color }
    }
}

fn width(stream: &impl IsTerminal, terminal: &console::Term) -> Option<usize> {
    let told = || terminal.size_checked().map(|(_, columns)| usize::from(columns));
    stream.is_terminal().then(|| told().filter(|&width| width > 0).unwrap_or(USUAL).max(NARROWEST))
}

/// Whether the person wants no colours at all (no-color.org), or the terminal has none.
fn is_unwanted() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}
