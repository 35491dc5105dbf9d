//! An S3 server in this process, which can be in trouble.

#![allow(dead_code, reason = "each test program uses its own part of the server")]

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, ETAG, IF_NONE_MATCH};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

#[path = "files.rs"]
mod files;
pub(crate) use files::Files;

pub(crate) const ID: &str = "AKIATEST";
pub(crate) const SECRET: &str = "SeCrEt/0123456789";

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Normal,
    Status(u16, &'static str),
    /// As a plain web server would, 200 with these bytes.
    Plain(Vec<u8>),
    /// The first half of what was asked for, and then the connection is gone.
    Half,
    /// The connection is gone.
    Cut,
    /// Nothing comes.
    Silence,
    /// So many bytes of the body, then the connection is gone.
    CutAfter(usize),
    /// So many bytes of the body, then nothing.
    SilenceAfter(usize),
    /// It is done once somebody lets it go on.
    Held,
}

/// Says it from `METHOD /path?query` and how often that was asked before.
type Rule = Box<dyn Fn(&str, usize) -> Answer + Send>;

/// What is served where nothing is in trouble.
enum Service {
    S3(S3Service),
    Web(Files),
}

struct State {
    service: Service,
    asked: Mutex<Vec<String>>,
    rule: Mutex<Rule>,
    /// The server looks at a condition and writes in two steps, which S3 does in one.
    writing: tokio::sync::Mutex<()>,
    held: tokio::sync::Semaphore,
}

pub(crate) struct Server {
    pub(crate) port: u16,
    state: Arc<State>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the folders of `root` as buckets.
    pub(crate) fn of(root: &Path) -> Self {
        Self::at(root, "127.0.0.1:0")
    }

    /// The same where others reach it.
    pub(crate) fn at(root: &Path, address: &str) -> Self {
        let mut builder = S3ServiceBuilder::new(FileSystem::new(root).unwrap());
        builder.set_auth(SimpleAuth::from_single(ID, SECRET));
        Self::serving(Service::S3(builder.build()), address)
    }

    /// A web server that takes uploads.
    pub(crate) fn web(files: Files) -> Self {
        Self::serving(Service::Web(files), "127.0.0.1:0")
    }

    fn serving(service: Service, address: &str) -> Self {
        let state = Arc::new(State {
            service,
            asked: Mutex::default(),
            rule: Mutex::new(Box::new(|_, _| Answer::Normal)),
            writing: tokio::sync::Mutex::default(),
            held: tokio::sync::Semaphore::new(0),
        });
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (end, ended) = oneshot::channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                tokio::select! {
                    () = serve(listener, &shared) => {}
                    _ = ended => {}
                }
            });
        });
        Self { port, state, end: Some(end), thread: Some(thread) }
    }

    pub(crate) fn rule(&self, rule: impl Fn(&str, usize) -> Answer + Send + 'static) {
        *self.state.rule.lock().unwrap() = Box::new(rule);
    }

    pub(crate) fn well(&self) {
        self.rule(|_, _| Answer::Normal);
    }

    /// Lets one go on that is held.
    pub(crate) fn let_go(&self) {
        self.state.held.add_permits(1);
    }

    /// Everything that was asked since the last look.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.asked.lock().unwrap())
    }

    /// Whether this was asked already.
    pub(crate) fn was_asked(&self, what: impl Fn(&str) -> bool) -> bool {
        self.state.asked.lock().unwrap().iter().any(|asked| what(asked))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.end.take().unwrap().send(());
        let _ = self.thread.take().unwrap().join();
    }
}

impl Service {
    async fn call(&self, request: Request<Incoming>) -> Result<Response<Body>, &'static str> {
        match self {
            Self::S3(s3) => s3.call(request.map(Body::from)).await.map_err(|_| "the server failed"),
            Self::Web(files) => files.call(request).await,
        }
    }
}

async fn serve(listener: std::net::TcpListener, state: &Arc<State>) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let state = Arc::clone(state);
        tokio::spawn(async move {
            let answer = service_fn(|request| answer(&state, request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}

async fn normal(state: &State, request: Request<Incoming>) -> Result<Response<Body>, &'static str> {
    let writing = match *request.method() {
        Method::PUT => Some(state.writing.lock().await),
        _ => None,
    };
    let known = match *request.method() {
        Method::GET => request.headers().get(IF_NONE_MATCH).cloned(),
        _ => None,
    };
    let answered = state.service.call(request).await;
    drop(writing);
    let mut answered = answered?;
    // What S3 does and this one does not.
    if known.is_some_and(|known| answered.headers().get(ETAG) == Some(&known)) {
        *answered.status_mut() = StatusCode::NOT_MODIFIED;
        answered.headers_mut().remove(CONTENT_LENGTH);
        *answered.body_mut() = Body::empty();
    }
    Ok(answered)
}

async fn answer(state: &State, request: Request<Incoming>) -> Result<Response<Body>, &'static str> {
    let asked = format!("{} {}", request.method(), request.uri());
    let answer = {
        let mut all = state.asked.lock().unwrap();
        let before = all.iter().filter(|one| **one == asked).count();
        all.push(asked.clone());
        state.rule.lock().unwrap()(&asked, before)
    };
    match answer {
        Answer::Normal => normal(state, request).await,
        Answer::Plain(bytes) => Ok(Response::new(Body::from(bytes))),
        Answer::Half => {
            let (parts, body) = normal(state, request).await?.into_parts();
            let whole = BodyExt::collect(body).await.map_err(|_| "the server failed")?.to_bytes();
            // The header promises more than there is.
            Ok(Response::from_parts(parts, Body::from(whole.slice(..whole.len() / 2))))
        }
        Answer::Status(status, body) => {
            Ok(Response::builder().status(status).body(Body::from(body.to_owned())).unwrap())
        }
        Answer::Cut => Err("cut"),
        Answer::CutAfter(length) => {
            // What was written has to be on its way before.
            let rest = stream::once(async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(std::io::Error::other("cut"))
            });
            Ok(begun(state, request, length).await.map(|begun| whole(begun.chain(rest))))
        }
        Answer::SilenceAfter(length) => {
            let rest = stream::pending();
            Ok(begun(state, request, length).await.map(|begun| whole(begun.chain(rest))))
        }
        Answer::Held => {
            state.held.acquire().await.map_err(|_| "the server ends")?.forget();
            normal(state, request).await
        }
        Answer::Silence => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
    }
}

type Bits = stream::Iter<std::array::IntoIter<std::io::Result<Bytes>, 1>>;

/// The answer with the first bytes of its body.
async fn begun(state: &State, request: Request<Incoming>, length: usize) -> Response<Bits> {
    let answer = state.service.call(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = BodyExt::collect(body).await.unwrap().to_bytes();
    let begun = body.slice(..length.min(body.len()));
    Response::from_parts(parts, stream::iter([Ok(begun)]))
}

fn whole(bits: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static) -> Body {
    Body::http_body_unsync(StreamBody::new(bits.map_ok(Frame::data)))
}
