//! A git server of HTTPS in the test's process, with an authority of its own: it can
//! want a login or a certificate, and stands behind a proxy where a test wants one.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::authority::Authority;

/// What the server wants to see.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wants {
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// A certificate of the authority.
    pub certificate: bool,
}

pub(crate) struct Server {
    pub port: u16,
    wants: Arc<Mutex<Wants>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves the repositories below a folder.
    pub(crate) fn new(authority: &Authority, folder: &Path, wants: Wants) -> Self {
        let config = Arc::new(config(authority, wants.certificate));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let wants = Arc::new(Mutex::new(wants));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (rule, log, folder) = (Arc::clone(&wants), Arc::clone(&seen), folder.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, rule, log) =
                    (Arc::clone(&config), Arc::clone(&rule), Arc::clone(&log));
                let folder = folder.clone();
                thread::spawn(move || {
                    let secured = ServerConnection::new(config).unwrap();
                    // Whoever hangs up early sees so itself.
                    let _ = answer(StreamOwned::new(secured, stream), &folder, &rule, &log);
                });
            }
        });
        Self { port, wants, seen }
    }

    pub(crate) fn wants_login(&self, authorization: &str) {
        self.wants.lock().unwrap().authorization = Some(authorization.to_owned());
    }

    /// The logins that were shown, one for each request.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}/deploy.git", self.port)
    }
}

fn config(authority: &Authority, wants_certificate: bool) -> ServerConfig {
    let certificate = |name: &str| CertificateDer::from_pem_file(authority.file(name)).unwrap();
    let builder = ServerConfig::builder();
    let builder = match wants_certificate {
        true => {
            let mut roots = RootCertStore::empty();
            roots.add(certificate("ca.pem")).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
        false => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::from_pem_file(authority.file("server.key")).unwrap();
    builder.with_single_cert(vec![certificate("server.pem")], key).unwrap()
}

type Stream = StreamOwned<ServerConnection, TcpStream>;

fn answer(
    stream: Stream,
    folder: &Path,
    wants: &Mutex<Wants>,
    seen: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let head = head(&mut reader)?;
    let field = |name: &str| {
        let lines = head.iter().filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim());
        values.next().unwrap_or_default().to_owned()
    };
    let body = match field("transfer-encoding").eq_ignore_ascii_case("chunked") {
        true => chunks(&mut reader)?,
        false => {
            let mut body = vec![0; field("content-length").parse().unwrap_or(0)];
            reader.read_exact(&mut body)?;
            body
        }
    };
    let mut stream = reader.into_inner();
    let login = field("authorization");
    seen.lock().unwrap().push(login.clone());
    if wants.lock().unwrap().authorization.as_ref().is_some_and(|wanted| *wanted != login) {
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        return hang_up(stream);
    }
    let mut words = head[0].split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut backend = Command::new("git")
        .args(["-c", "safe.directory=*", "http-backend"])
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", field("content-type"))
        .env("HTTP_CONTENT_ENCODING", field("content-encoding"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("GIT_PROTOCOL", field("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    backend.stdin.take().unwrap().write_all(&body)?;
    let said = backend.wait_with_output()?.stdout;
    let end = said.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(said.len());
    let fields = String::from_utf8_lossy(&said[..end]);
    let status = fields.lines().find_map(|l| l.strip_prefix("Status: ")).unwrap_or("200 OK");
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n")?;
    stream.write_all(&said)?;
    hang_up(stream)
}

fn chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        reader.by_ref().take(size).read_to_end(&mut body)?;
        reader.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn hang_up(mut stream: Stream) -> io::Result<()> {
    stream.conn.send_close_notify();
    stream.flush()
}

fn head(reader: &mut impl BufRead) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    match lines.is_empty() {
        true => Err(io::ErrorKind::UnexpectedEof.into()),
        false => Ok(lines),
    }
}

/// A proxy that takes `CONNECT`, and counts.
pub(crate) struct Proxy {
    pub port: u16,
    taken: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                thread::spawn(move || pass_on(stream));
            }
        });
        Self { port, taken }
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

fn pass_on(stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let asked = head(&mut reader)?;
    let to = asked[0].strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let to = TcpStream::connect(to.unwrap_or_default())?;
    let mut back = stream;
    back.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut there, mut here) = (to.try_clone()?, to);
    let up = thread::spawn(move || io::copy(&mut reader, &mut there));
    let _ = io::copy(&mut here, &mut back);
    back.shutdown(std::net::Shutdown::Both)?;
    let _ = up.join();
    Ok(())
}

/// A file that only its owner can read.
pub(crate) fn secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
