//! Caddy's configuration over its admin API, on loopback or a unix socket.
//!
//! Protocol facts from caddy `admin.go` (2.6.2 to 2.11): `GET /config/` sends its
//! ETag as a trailer, a change with a stale `If-Match` is answered 412, and what
//! Caddy cannot load is answered 400 or 500 with `{"error": …}` while the old
//! configuration goes on. An `Origin` header is asked for by an endpoint with
//! `enforce_origin`, and held against its `origins` by every other as well: one on
//! `:2019` allows no origin that names a host. So it is sent only where it is missed.

mod admin;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use reqwest::header::{CONTENT_TYPE, ETAG, HOST, HeaderMap, HeaderValue, IF_MATCH, ORIGIN};
use reqwest::{Client, Method, RequestBuilder, StatusCode, redirect};
use serde::Deserialize;
use serde_json::Value;

pub use admin::{Admin, BadAdmin};

use super::Routes;
use crate::fault::{Fault, causes};
use crate::plan::observed::ObservedRoutes;
use crate::plan::routes::{Features, owned};

/// No request takes longer, from connecting to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);
/// No configuration is longer, in bytes.
const LIMIT: usize = 64 << 20;
/// How often a request is made before a cut connection counts.
const ATTEMPTS: u8 = 3;
const CONFIG: &str = "/config/";
/// Asks for nothing but whether it can be read (caddy `caddyconfig/load.go`).
const ADAPT: &str = "/adapt";
/// Caddy 2.7 and later read this.
const WITH_STREAMS: &str =
    ":80 {\n\treverse_proxy localhost:1 {\n\t\tstream_close_delay 1h\n\t}\n}\n";
const DOING: &str = "change Caddy's configuration";

/// The real Caddy.
#[derive(Debug)]
pub struct CaddyRoutes {
    admin: Admin,
    client: Client,
    /// Whether the last answer that was not 403 came to a request with an origin.
    with_origin: AtomicBool,
    /// What this Caddy can do, once it was asked.
    features: Mutex<Option<Features>>,
}

impl CaddyRoutes {
    /// Connects at the first question, and keeps one connection after it.
    ///
    /// # Errors
    /// The HTTP client cannot be set up.
    pub fn new(admin: &Admin) -> Result<Self, Fault> {
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .http1_only()
            // The endpoint is plain HTTP; no certificates have to be read for it.
            .tls_certs_only([])
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(1);
        let client = match admin {
            Admin::Tcp(_) => client,
            Admin::Unix(socket) => client.unix_socket(socket.as_path()),
        };
        let client =
            client.build().map_err(|e| Fault::wait("set up the client for Caddy", causes(&e)))?;
        Ok(Self {
            admin: admin.clone(),
            client,
            with_origin: AtomicBool::new(false),
            features: Mutex::default(),
        })
    }

    fn request(&self, (method, path): (&Method, &str), with_origin: bool) -> RequestBuilder {
        match &self.admin {
            Admin::Tcp(base) => {
                let request = self.client.request(method.clone(), format!("{base}{path}"));
                if with_origin { request.header(ORIGIN, base) } else { request }
            }
            // Caddy 2.6 answers 403 on a socket unless the host is empty
            // (RFC 9112, 3.2: an empty host is sent as an empty field).
            Admin::Unix(_) => self
                .client
                .request(method.clone(), format!("http://localhost{path}"))
                .header(HOST, HeaderValue::from_static("")),
        }
    }

    async fn read(&self) -> Result<(String, Value), String> {
        let answer = self.ask().await.map_err(|lost| unreachable(&self.admin, &lost.because))?;
        let Answer { status, headers, body } = answer;
        match status {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN => return Err(refuses(&self.admin, &words(&body))),
            _ => return Err(format!("{} answered {status}: {}", self.admin, words(&body))),
        }
        let etag = headers.get(ETAG).and_then(|tag| tag.to_str().ok());
        let etag = etag
            .ok_or_else(|| format!("{} sent no ETag; it needs Caddy 2.5.2 or later", self.admin))?;
        let config = serde_json::from_slice(&body)
            .map_err(|e| format!("{} sent a configuration that is not JSON: {e}", self.admin))?;
        Ok((etag.to_owned(), config))
    }

    /// With every change Caddy replaces its admin server as well, and a connection
    /// that is still waiting at the old one is cut.
    async fn ask(&self) -> Result<Answer, Lost> {
        for _ in 1..ATTEMPTS {
            match self.send((&Method::GET, CONFIG), |request| request).await {
                Err(Lost { cut: true, .. }) => {}
                answer => return answer,
            }
        }
        self.send((&Method::GET, CONFIG), |request| request).await
    }

    async fn change(&self, etag: &HeaderValue, config: &[u8]) -> Result<Answer, Lost> {
        let filled = |request: RequestBuilder| {
            let request = request.header(IF_MATCH, etag).header(CONTENT_TYPE, "application/json");
            request.body(config.to_vec())
        };
        self.send((&Method::POST, CONFIG), filled).await
    }

    /// Sends a request, and once more the other way where it is refused for its origin.
    async fn send(
        &self,
        to: (&Method, &str),
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, Lost> {
        let usual = self.with_origin.load(Ordering::Relaxed);
        let answer = receive(fill(self.request(to, usual))).await?;
        if answer.status != StatusCode::FORBIDDEN || matches!(self.admin, Admin::Unix(_)) {
            return Ok(answer);
        }
        let other = receive(fill(self.request(to, !usual))).await?;
        if other.status == StatusCode::FORBIDDEN {
            return Ok(answer);
        }
        self.with_origin.store(!usual, Ordering::Relaxed);
        Ok(other)
    }

    /// What this Caddy can do. One without any of our routes may have been started since
    /// it was asked, and be another.
    async fn features(&self, config: &Value) -> Features {
        let known = *self.features.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known
            && !owned(config).is_empty()
        {
            return known;
        }
        let caddyfile = |request: RequestBuilder| {
            request.header(CONTENT_TYPE, "text/caddyfile").body(WITH_STREAMS)
        };
        // One that does not say is asked again.
        let Ok(answer) = self.send((&Method::POST, ADAPT), caddyfile).await else {
            return Features::default();
        };
        let features = Features { stream_close_delay: answer.status == StatusCode::OK };
        *self.features.lock().unwrap_or_else(PoisonError::into_inner) = Some(features);
        features
    }

    fn advice(&self) -> String {
        format!(
            "start Caddy, and have its admin endpoint listen where this host's config says: {}",
            self.admin
        )
    }
}

impl Routes for CaddyRoutes {
    async fn observe(&self) -> ObservedRoutes {
        match self.read().await {
            Ok((etag, config)) => {
                let features = self.features(&config).await;
                ObservedRoutes::Up { etag, config, features }
            }
            Err(because) => ObservedRoutes::Down { because },
        }
    }

    async fn apply(&self, etag: &str, config: &Value) -> Result<(), Fault> {
        let tag = HeaderValue::from_str(etag)
            .map_err(|_| Fault::wait(DOING, format!("{etag:?} is not an ETag")))?;
        let bytes = serde_json::to_vec(config).map_err(|e| Fault::refuse(DOING, e))?;
        for _ in 0..ATTEMPTS {
            match self.change(&tag, &bytes).await {
                Ok(answer) => {
                    let said = words(&answer.body);
                    return match answer.status {
                        StatusCode::FORBIDDEN => {
                            Err(Fault::wait(DOING, refuses(&self.admin, &said)))
                        }
                        status => verdict(status, &said),
                    };
                }
                // Nobody said whether it took effect, so look.
                Err(lost) => match self.read().await {
                    Ok((_, now)) if now == *config => return Ok(()),
                    Ok((now, _)) if now == etag && lost.cut => {}
                    Ok(_) | Err(_) => {
                        return Err(Fault::wait(DOING, lost.because).remedy(self.advice()));
                    }
                },
            }
        }
        Err(Fault::wait(DOING, "Caddy cut every connection").remedy(self.advice()))
    }
}

fn unreachable(admin: &Admin, because: &str) -> String {
    format!(
        "nobody answers at {admin}: {because}; start Caddy, and have its admin endpoint listen there"
    )
}

/// Caddy is there, and has rules about who may ask.
fn refuses(admin: &Admin, words: &str) -> String {
    format!(
        "{admin} answered 403 Forbidden: {words}; in the `admin` block of Caddy's global options, allow it with `origins`"
    )
}

/// What Caddy's answer to a change means.
fn verdict(status: StatusCode, words: &str) -> Result<(), Fault> {
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::PRECONDITION_FAILED => {
            Err(Fault::wait(DOING, "it was changed by somebody else in the meantime"))
        }
        StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR if of_the_host(words) => {
            Err(Fault::wait(DOING, words)
                .remedy("free the address, permission or space that Caddy asks for"))
        }
        StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR => {
            Err(Fault::refuse(DOING, words))
        }
        _ => Err(Fault::wait(DOING, format!("Caddy answered {status}: {words}"))),
    }
}

/// Whether Caddy failed at something that no other generation would mend.
fn of_the_host(words: &str) -> bool {
    const ERRNO: [&str; 6] = [
        "address already in use",
        "cannot assign requested address",
        "permission denied",
        "no space left on device",
        "too many open files",
        "read-only file system",
    ];
    ERRNO.iter().any(|errno| words.contains(errno))
}

/// What Caddy sent, trailers among the headers.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// A request without a whole answer.
struct Lost {
    because: String,
    /// There was a connection, and Caddy ended it.
    cut: bool,
}

impl From<reqwest::Error> for Lost {
    fn from(error: reqwest::Error) -> Self {
        Self { because: causes(&error), cut: !error.is_connect() && !error.is_timeout() }
    }
}

async fn receive(request: RequestBuilder) -> Result<Answer, Lost> {
    let response = request.send().await?;
    let status = response.status();
    let mut headers = response.headers().clone();
    let mut frames = reqwest::Body::from(response);
    let mut body = Vec::new();
    while let Some(frame) = frames.frame().await {
        match frame?.into_data() {
            Ok(data) if body.len() + data.len() > LIMIT => {
                let because = format!("the answer is longer than {} MiB", LIMIT >> 20);
                return Err(Lost { because, cut: false });
            }
            Ok(data) => body.extend_from_slice(&data),
            Err(frame) => headers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    Ok(Answer { status, headers, body })
}

/// What Caddy says about an error, else the start of whatever it sent.
fn words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    match serde_json::from_slice(body) {
        Ok(Refusal { error }) => error,
        Err(_) => String::from_utf8_lossy(body).chars().take(400).collect::<String>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_caddy_cannot_load_is_the_generations_fault() {
        use crate::fault::Retry;
        let retry = |status: u16, words: &str| {
            verdict(StatusCode::from_u16(status).unwrap(), words).unwrap_err().retry
        };
        assert_eq!(retry(400, "unknown module"), Retry::NextCommit);
        assert_eq!(retry(500, "loading new config: unknown field"), Retry::NextCommit);
        assert_eq!(retry(500, "listen tcp :443: bind: address already in use"), Retry::Soon);
        assert_eq!(retry(412, ""), Retry::Soon);
        assert_eq!(retry(403, "host not allowed"), Retry::Soon);
        assert_eq!(retry(502, "some proxy"), Retry::Soon);
    }
}
