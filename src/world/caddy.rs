//! Caddy's configuration over its admin API, on loopback or a unix socket.
//!
//! Protocol facts from caddy `admin.go` (2.6.2 to 2.11): `GET /config/` sends its
//! ETag as a trailer, a change with a stale `If-Match` is answered 412, and what
//! Caddy cannot load is answered 400 or 500 with `{"error": …}` while the old
//! configuration goes on.

mod admin;

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

/// No request takes longer, from connecting to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);
/// No configuration is longer, in bytes.
const LIMIT: usize = 64 << 20;
/// How often a request is made before a cut connection counts.
const ATTEMPTS: u8 = 3;
const DOING: &str = "change Caddy's configuration";

/// The real Caddy.
#[derive(Debug)]
pub struct CaddyRoutes {
    admin: Admin,
    client: Client,
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
        Ok(Self { admin: admin.clone(), client })
    }

    fn request(&self, method: Method) -> RequestBuilder {
        match &self.admin {
            Admin::Tcp(base) => self
                .client
                .request(method, format!("{base}/config/"))
                // For an endpoint with `enforce_origin`.
                .header(ORIGIN, base),
            // Caddy 2.6 answers 403 on a socket unless the host is empty
            // (RFC 9112, 3.2: an empty host is sent as an empty field).
            Admin::Unix(_) => self
                .client
                .request(method, "http://localhost/config/")
                .header(HOST, HeaderValue::from_static("")),
        }
    }

    async fn read(&self) -> Result<(String, Value), String> {
        let Answer { status, headers, body } = self.ask().await.map_err(|lost| lost.because)?;
        if status != StatusCode::OK {
            return Err(format!("{} answered {status}: {}", self.admin, words(&body)));
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
            match receive(self.request(Method::GET)).await {
                Err(Lost { cut: true, .. }) => {}
                answer => return answer,
            }
        }
        receive(self.request(Method::GET)).await
    }

    async fn change(&self, etag: &HeaderValue, config: &[u8]) -> Result<Answer, Lost> {
        let request = self.request(Method::POST).header(IF_MATCH, etag);
        receive(request.header(CONTENT_TYPE, "application/json").body(config.to_vec())).await
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
            Ok((etag, config)) => ObservedRoutes::Up { etag, config },
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
                    return verdict(answer.status, &words(&answer.body)).map_err(
                        |fault| match answer.status {
                            StatusCode::FORBIDDEN => fault.remedy(self.advice()),
                            _ => fault,
                        },
                    );
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
