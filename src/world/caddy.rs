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
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use serde::Deserialize;
use serde_json::Value;

pub use admin::{Admin, BadAdmin};

use super::Routes;
use crate::fault::Fault;
use crate::plan::observed::ObservedRoutes;

/// No request takes longer, from connecting to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);
/// No configuration is longer, in bytes.
const LIMIT: usize = 64 << 20;

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
            client.build().map_err(|e| Fault::wait("set up the client for Caddy", chain(&e)))?;
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
        let response = self.request(Method::GET).send().await.map_err(|e| chain(&e))?;
        let status = response.status();
        let (body, headers) = receive(response).await?;
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
}

impl Routes for CaddyRoutes {
    async fn observe(&self) -> ObservedRoutes {
        match self.read().await {
            Ok((etag, config)) => ObservedRoutes::Up { etag, config },
            Err(because) => ObservedRoutes::Down { because },
        }
    }

    async fn apply(&self, etag: &str, config: &Value) -> Result<(), Fault> {
        let doing = "change Caddy's configuration";
        let etag = HeaderValue::from_str(etag)
            .map_err(|_| Fault::wait(doing, format!("{etag:?} is not an ETag")))?;
        let request = self.request(Method::POST).header(IF_MATCH, etag);
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .body(serde_json::to_vec(config).map_err(|e| Fault::refuse(doing, e))?);
        let unreachable = |because: String| Fault::wait(doing, because).remedy(self.advice());
        let response = request.send().await.map_err(|e| unreachable(chain(&e)))?;
        let status = response.status();
        let (body, _) = receive(response).await.map_err(unreachable)?;
        verdict(status, &words(&body)).map_err(|fault| match status {
            StatusCode::FORBIDDEN => fault.remedy(self.advice()),
            _ => fault,
        })
    }
}

impl CaddyRoutes {
    fn advice(&self) -> String {
        format!(
            "start Caddy, and have its admin endpoint listen where this host's config says: {}",
            self.admin
        )
    }
}

/// What Caddy's answer to a change means.
fn verdict(status: StatusCode, words: &str) -> Result<(), Fault> {
    let doing = "change Caddy's configuration";
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::PRECONDITION_FAILED => {
            Err(Fault::wait(doing, "it was changed by somebody else in the meantime"))
        }
        StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR if of_the_host(words) => {
            Err(Fault::wait(doing, words)
                .remedy("free the address, permission or space that Caddy asks for"))
        }
        StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR => {
            Err(Fault::refuse(doing, words))
        }
        _ => Err(Fault::wait(doing, format!("Caddy answered {status}: {words}"))),
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

/// The body, and the headers with the trailers among them.
async fn receive(response: Response) -> Result<(Vec<u8>, HeaderMap), String> {
    let mut headers = response.headers().clone();
    let mut body = reqwest::Body::from(response);
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame.map_err(|e| chain(&e))?.into_data() {
            Ok(data) if bytes.len() + data.len() > LIMIT => {
                return Err(format!("the answer is longer than {} MiB", LIMIT >> 20));
            }
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => headers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    Ok((bytes, headers))
}

/// What Caddy says about an error, else the start of whatever it sent.
fn words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Answer {
        error: String,
    }
    match serde_json::from_slice(body) {
        Ok(Answer { error }) => error,
        Err(_) => String::from_utf8_lossy(body).chars().take(400).collect::<String>(),
    }
}

/// An error with its causes, which reqwest keeps out of its `Display`.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
    })
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
