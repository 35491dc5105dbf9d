//! What a command prints: text for people or one JSON object for programs, and whether it arrived.
//!
//! Nothing else in the program writes to standard output. Whatever goes wrong there is kept
//! until the command has ended, and [`finish`] makes it a failure: no command can forget to.

mod ages;
mod layout;
mod paint;
mod terminal;

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use clap::Args as ClapArgs;
use serde_json::Value;

use super::{Blame, Failure, fit};
pub(super) use ages::age;
pub(super) use layout::lay_out;
pub use terminal::Color;
pub(super) use terminal::Terminal;

/// The version of the JSON that commands print. Fields may be added to it; one that is
/// removed or changes its meaning takes a new version.
pub const VERSION: u64 = 1;

/// For whom a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one JSON object on standard output, and nothing else.
    Json,
}

static ASKED: OnceLock<(Format, Color)> = OnceLock::new();
static STDOUT: Sink = Sink::new();

/// Says, once and before anything is printed, for whom this process prints, and when in
/// colours.
pub fn begin(format: Format, color: Color) {
    let _ = ASKED.set((format, color));
}

fn format() -> Format {
    ASKED.get().map_or(Format::Text, |(format, _)| *format)
}

fn color() -> Color {
    ASKED.get().map_or(Color::Never, |(_, color)| *color)
}

/// What standard output leads to, for tables that fit themselves.
pub(super) fn terminal() -> Terminal {
    Terminal::stdout(color())
}

/// `--json` of a command that tells people what it does while it does it.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub struct JsonFlag {
    /// Print the result as one JSON object; what is for people goes to standard error.
    #[arg(long)]
    json: bool,
}

impl JsonFlag {
    /// Prints the result for a program, where one has asked.
    ///
    /// # Errors
    /// It cannot be JSON, which is a fault of this program.
    pub fn print(self, result: &impl serde::Serialize) -> Result<(), Failure> {
        if self.json { show_json(result) } else { Ok(()) }
    }
}

/// Prints the answer: as JSON where that was asked for, and as text otherwise.
///
/// # Errors
/// It cannot be JSON, which is a fault of this program.
pub fn answer(value: &(impl serde::Serialize + fmt::Display)) -> Result<(), Failure> {
    match format() {
        Format::Json => show_json(value),
        Format::Text => {
            show(value);
            Ok(())
        }
    }
}

/// As [`answer`], with text that is copied or read by another program.
///
/// # Errors
/// It cannot be JSON, which is a fault of this program.
pub fn answer_as_is(value: &(impl serde::Serialize + fmt::Display)) -> Result<(), Failure> {
    match format() {
        Format::Json => show_json(value),
        Format::Text => {
            show_as_is(value);
            Ok(())
        }
    }
}

/// Prints for people. With `--json` it goes to standard error, where people look too.
pub fn show(text: impl fmt::Display) {
    match format() {
        Format::Text => print(&dressed(&text.to_string(), terminal())),
        Format::Json => whisper(&text.to_string()),
    }
}

/// As [`show`], for what is copied or read by another program: a terminal changes nothing.
pub fn show_as_is(text: impl fmt::Display) {
    match format() {
        Format::Text => print(&fit::fit(&text.to_string())),
        Format::Json => draw(&fit::fit(&text.to_string())),
    }
}

fn print(text: &str) {
    STDOUT.write(&mut io::stdout().lock(), text);
}

/// Text that is fit for what it is written to: in colours, with ages, and lines that fit.
fn dressed(text: &str, terminal: Terminal) -> String {
    let mut text = fit::fit(text).into_owned();
    if let Some(width) = terminal.width {
        text = lay_out(&ages::with_ages(&text, jiff::Timestamp::now()), width);
    }
    if terminal.color { paint::paint(&text) } else { text }
}

/// Prints an object as JSON, with its version first and a newline at the end.
///
/// # Errors
/// It cannot be JSON, which is a fault of this program.
pub fn show_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = versioned(value).and_then(|value| serde_json::to_string_pretty(&value));
    print_json(text)
}

/// As [`show_json`], in one line: for what goes on, an object a line.
///
/// # Errors
/// It cannot be JSON, which is a fault of this program.
pub fn show_json_line(value: &impl serde::Serialize) -> Result<(), Failure> {
    print_json(versioned(value).map(|value| value.to_string()))
}

fn print_json(text: serde_json::Result<String>) -> Result<(), Failure> {
    let text = text.map_err(|error| Failure::new(Blame::Refused, &error))?;
    print(&(fit::fit_json(text) + "\n"));
    Ok(())
}

/// The same object with `"version"` as its first field.
fn versioned(value: &impl serde::Serialize) -> serde_json::Result<Value> {
    use serde::ser::Error as _;
    let Value::Object(fields) = serde_json::to_value(value)? else {
        return Err(serde_json::Error::custom("the JSON of a command is an object"));
    };
    let mut object = serde_json::Map::new();
    object.insert("version".to_owned(), VERSION.into());
    object.extend(fields);
    Ok(Value::Object(object))
}

/// Tells how long work is going, beside what the user asked for. Whether anybody sees it
/// changes nothing.
pub fn whisper(text: &str) {
    draw(&dressed(text, Terminal::stderr(color())));
}

/// As [`whisper`], with commands to the terminal that this program makes itself.
pub(super) fn draw(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Whether what is printed still arrives (a reader such as `| head` goes away early).
pub fn is_read() -> bool {
    STDOUT.is_open()
}

/// What has become of the output, once the command has ended.
///
/// # Errors
/// Not all of it arrived. A reader that went away is no error: it had what it wanted.
pub fn finish() -> Result<(), Failure> {
    STDOUT.outcome().map_err(|error| Failure {
        message: format!("cannot write to standard output: {error}"),
        hint: Some("the command itself has ended; only what it printed is incomplete".to_owned()),
        blame: Blame::Refused,
    })
}

/// A stream that nothing more is written to after the first error.
struct Sink {
    error: Mutex<Option<io::Error>>,
}

impl Sink {
    const fn new() -> Self {
        Self { error: Mutex::new(None) }
    }

    fn write(&self, stream: &mut impl Write, text: &str) {
        let mut error = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        if error.is_none() {
            // Flushed each time: what stays in a buffer fails when nobody looks.
            let written = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
            *error = written.err();
        }
    }

    fn is_open(&self) -> bool {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn outcome(&self) -> io::Result<()> {
        let error = self.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        match error {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is full, or a reader that went away.
    struct Broken(io::ErrorKind, usize);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.1 += 1;
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_an_error_and_a_reader_that_left_is_none() {
        for (kind, is_error) in
            [(io::ErrorKind::StorageFull, true), (io::ErrorKind::BrokenPipe, false)]
        {
            let (sink, mut stream) = (Sink::new(), Broken(kind, 0));
            assert!(sink.is_open());
            sink.write(&mut stream, "one\n");
            sink.write(&mut stream, "two\n");
            assert!(!sink.is_open());
            assert_eq!(stream.1, 1, "nothing is written after the first error");
            assert_eq!(sink.outcome().is_err(), is_error);
        }
    }

    #[test]
    fn every_object_says_its_version_first() {
        let value = versioned(&serde_json::json!({ "host": "biz" })).unwrap();
        assert_eq!(value.to_string(), r#"{"version":1,"host":"biz"}"#);
        assert!(versioned(&["biz"]).is_err(), "a list has no place for a version");
    }
}
