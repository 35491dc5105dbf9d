//! A git server over HTTP in this process: `git http-backend` behind a connection that is
//! kept, as behind a web server.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A request as the web server hands it to git.
#[derive(Clone, Debug)]
struct Asked {
    env: Vec<(&'static str, String)>,
    body: Bytes,
}

#[derive(Default)]
struct State {
    folder: PathBuf,
    asked: Mutex<Vec<(Instant, Asked)>>,
    trouble: AtomicBool,
}

pub(crate) struct GitServer {
    pub(crate) port: u16,
    state: Arc<State>,
}

impl GitServer {
    /// Serves the repositories below a folder, as long as this process runs.
    pub(crate) fn of(folder: &Path) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State { folder: folder.to_owned(), ..State::default() });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve(listener, shared));
        });
        Self { port, state }
    }

    /// When each request came since the last look.
    pub(crate) fn asked(&self) -> Vec<Instant> {
        std::mem::take(&mut *self.state.asked.lock().unwrap()).iter().map(|(at, _)| *at).collect()
    }

    pub(crate) fn trouble(&self, trouble: bool) {
        self.state.trouble.store(trouble, Ordering::SeqCst);
    }

    /// The CPU that git takes for what was asked since the last look, asked again.
    pub(crate) fn cpu(&self, times: u32) -> Duration {
        let asked = self.state.asked.lock().unwrap().clone();
        let before = children();
        for _ in 0..times {
            asked.iter().for_each(|(_, asked)| drop(answered(&self.state.folder, asked)));
        }
        (children() - before) / times
    }
}

async fn serve(listener: std::net::TcpListener, state: Arc<State>) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let answer = service_fn(|request| answer(&state, request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}

async fn answer(
    state: &Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let field = |name: &str| {
        let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let env = vec![
        ("REQUEST_METHOD", parts.method.to_string()),
        ("PATH_INFO", parts.uri.path().to_owned()),
        ("QUERY_STRING", parts.uri.query().unwrap_or_default().to_owned()),
        ("CONTENT_TYPE", field("content-type")),
        ("HTTP_CONTENT_ENCODING", field("content-encoding")),
        ("CONTENT_LENGTH", body.len().to_string()),
        ("GIT_PROTOCOL", field("git-protocol")),
    ];
    let asked = Asked { env, body };
    state.asked.lock().unwrap().push((Instant::now(), asked.clone()));
    if state.trouble.load(Ordering::SeqCst) {
        let answer = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE);
        return Ok(answer.body(Full::default()).unwrap());
    }
    let state = Arc::clone(state);
    let said = tokio::task::spawn_blocking(move || answered(&state.folder, &asked)).await.unwrap();
    Ok(response(&said))
}

fn answered(folder: &Path, asked: &Asked) -> Vec<u8> {
    use std::io::Write as _;
    let mut backend = Command::new("git")
        .args(["-c", "safe.directory=*", "http-backend"])
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .envs(asked.env.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    backend.stdin.take().unwrap().write_all(&asked.body).unwrap();
    backend.wait_with_output().unwrap().stdout
}

fn response(said: &[u8]) -> Response<Full<Bytes>> {
    let end = said.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(said.len());
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&said[..end]).lines() {
        response = match line.split_once(": ") {
            Some(("Status", status)) => response.status(&status[..3]),
            Some((name, value)) => response.header(name, value),
            None => response,
        };
    }
    let body = said.get(end + 4..).unwrap_or_default().to_vec();
    response.body(Full::from(body)).unwrap()
}

/// The CPU of children that have ended, from `/proc/self/stat`.
fn children() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[13..15].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    // Linux tells programs of 100 ticks a second, whatever it counts itself.
    Duration::from_millis(ticks * 10)
}
