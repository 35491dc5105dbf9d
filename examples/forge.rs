//! A git remote over HTTP for tests: hands each request to `git http-backend`, as a forge does.
//!
//! ```text
//! forge PORT DIRECTORY
//! ```

#![expect(clippy::print_stderr, reason = "the journal is what it writes to")]

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;

/// One request, its body still to be read.
struct Request {
    method: String,
    target: String,
    /// Names in lowercase.
    headers: Vec<(String, String)>,
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let [port, directory] = args.as_slice() else {
        eprintln!("usage: forge PORT DIRECTORY");
        return ExitCode::from(2);
    };
    match serve(port, directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("forge: port {port}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn serve(port: &str, directory: &str) -> io::Result<()> {
    for stream in TcpListener::bind(format!("127.0.0.1:{port}"))?.incoming() {
        let (stream, directory) = (stream?, directory.to_owned());
        thread::spawn(move || {
            if let Err(why) = answer(&stream, &directory) {
                eprintln!("forge: {why}");
            }
        });
    }
    Ok(())
}

fn answer(stream: &TcpStream, directory: &str) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let request = Request::read(&mut reader)?;
    let mut backend = request.backend(directory)?;
    let stdin = backend.stdin.take().expect("piped");
    request.copy_body(&mut reader, stdin)?;
    respond(stream, BufReader::new(backend.stdout.take().expect("piped")))?;
    backend.wait().map(drop)
}

impl Request {
    fn read(reader: &mut impl BufRead) -> io::Result<Self> {
        let first = line(reader)?;
        let mut words = first.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut headers = Vec::new();
        loop {
            let header = line(reader)?;
            let Some((name, value)) = header.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Self { method, target, headers })
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// The CGI program, with its variables (RFC 3875).
    fn backend(&self, directory: &str) -> io::Result<Child> {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        Command::new("git")
            .args(["-c", "safe.directory=*", "http-backend"])
            .env("GIT_PROJECT_ROOT", directory)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REQUEST_METHOD", &self.method)
            .env("PATH_INFO", path)
            .env("QUERY_STRING", query)
            .env("CONTENT_TYPE", self.header("content-type"))
            .env("HTTP_CONTENT_ENCODING", self.header("content-encoding"))
            .env("GIT_PROTOCOL", self.header("git-protocol"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
    }

    fn copy_body(&self, reader: &mut impl BufRead, mut to: impl Write) -> io::Result<()> {
        if !self.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
            let length = self.header("content-length").parse().unwrap_or(0);
            return io::copy(&mut reader.take(length), &mut to).map(drop);
        }
        loop {
            let size = line(reader)?;
            let size = u64::from_str_radix(size.split(';').next().unwrap_or_default(), 16)
                .map_err(io::Error::other)?;
            io::copy(&mut reader.by_ref().take(size), &mut to)?;
            line(reader)?;
            if size == 0 {
                return Ok(());
            }
        }
    }
}

/// A CGI answer as an HTTP one.
fn respond(mut stream: &TcpStream, mut answer: impl BufRead) -> io::Result<()> {
    let (mut status, mut headers) = ("200 OK".to_owned(), String::new());
    loop {
        let header = line(&mut answer)?;
        match header.split_once(':') {
            Some(("Status", value)) => value.trim().clone_into(&mut status),
            Some(_) => headers.extend([&header, "\r\n"]),
            None => break,
        }
    }
    write!(stream, "HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n")?;
    io::copy(&mut answer, &mut stream).map(drop)
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    reader.read_line(&mut text)?;
    Ok(text.trim_end().to_owned())
}
