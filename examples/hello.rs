//! The service that tests and the demo deploy: an HTTP server that answers its text and can be told to misbehave.
//!
//! ```text
//! hello [--text T] [--port N] [--health STATUS] [--fail-after SECONDS] [--crash] [--silent]
//! ```
//!
//! The port may also come from `$PORT`. `/health` answers with the status given,
//! `/env/NAME` with an environment variable, every other path with the text. `--silent` takes
//! connections and answers none.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the journal is what it writes to")]

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

struct Manner {
    text: String,
    port: u16,
    health: u16,
    fail_after: Option<Duration>,
    crash: bool,
    silent: bool,
}

fn main() -> ExitCode {
    let manner = match manner(env::args().skip(1)) {
        Ok(manner) => manner,
        Err(why) => {
            eprintln!("hello: {why}");
            return ExitCode::from(2);
        }
    };
    if manner.crash {
        eprintln!("hello {}: cannot find the database, giving up", manner.text);
        return ExitCode::FAILURE;
    }
    match serve(&manner) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("hello {}: port {}: {why}", manner.text, manner.port);
            ExitCode::FAILURE
        }
    }
}

fn manner(mut args: impl Iterator<Item = String>) -> Result<Manner, String> {
    let port = env::var("PORT").ok().map_or(Ok(8000), |p| number(&p))?;
    let mut manner = Manner {
        text: "hello".to_owned(),
        port,
        health: 200,
        fail_after: None,
        crash: false,
        silent: false,
    };
    while let Some(option) = args.next() {
        let mut value = || args.next().ok_or(format!("{option} needs a value"));
        match option.as_str() {
            "--text" => manner.text = value()?,
            "--port" => manner.port = number(&value()?)?,
            "--health" => manner.health = number(&value()?)?,
            "--fail-after" => {
                manner.fail_after = Some(Duration::from_secs(number(&value()?)?.into()));
            }
            "--crash" => manner.crash = true,
            "--silent" => manner.silent = true,
            _ => return Err(format!("unknown option {option}")),
        }
    }
    Ok(manner)
}

fn number(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number below 65536"))
}

fn serve(manner: &Manner) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", manner.port))?;
    println!("hello {}: listening on port {}", manner.text, manner.port);
    if let Some(after) = manner.fail_after {
        thread::spawn(move || {
            thread::sleep(after);
            eprintln!("hello: out of luck after {after:?}");
            std::process::abort();
        });
    }
    if manner.silent {
        loop {
            thread::park();
        }
    }
    for stream in listener.incoming() {
        // A client that went away is its own business.
        let _ = stream.and_then(|stream| answer(manner, stream));
    }
    Ok(())
}

fn answer(manner: &Manner, stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or("/");
    let (status, body) = match path.strip_prefix("/env/") {
        Some(name) => env::var(name).map_or((404, String::new()), |value| (200, value)),
        None if path == "/health" => (manner.health, format!("health of {}", manner.text)),
        None => (200, manner.text.clone()),
    };
    let length = body.len();
    write!(
        reader.into_inner(),
        "HTTP/1.1 {status} -\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
