//! A binary cache over HTTP that takes uploads: a file is looked for, and put where none is.

mod patience;
mod refusal;
mod sending;
#[cfg(test)]
mod tests;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, IF_NONE_MATCH, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};

use super::netrc::{Login, Netrc};
use super::shelf::{Content, Created, Shelf, TEXT, location};
use crate::fault::{Fault, causes};
use patience::Patience;
use sending::Sent;

/// A cache to which `PUT` brings files, with the password to it.
pub struct HttpShelf {
    url: String,
    place: String,
    host: String,
    reader: Client,
    writer: Client,
    netrc: Netrc,
    login: Result<Option<Login>, String>,
    patience: Patience,
}

/// What a server answered.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl HttpShelf {
    /// Reads the password to a cache; asks no server.
    ///
    /// # Errors
    /// The URL is none, or a netrc that was named cannot be read. Nix's own may be closed
    /// to whoever runs this: that is told where a password is asked for.
    pub fn open(url: &str, netrc: Netrc) -> Result<Self, Fault> {
        let bad = |why: String| Fault::refuse(format!("use {url}"), why);
        let place = location(url).to_owned();
        let host = Url::parse(&place).map_err(|error| bad(error.to_string()))?;
        let host = host.host_str().unwrap_or_default().to_owned();
        let login = match (netrc.login(&host), &netrc) {
            (Err(why), Netrc::Named(_)) => return Err(bad(why)),
            (login, _) => login,
        };
        let patience = Patience::default();
        let client = |policy| patience.client().redirect(policy).build();
        let reader = client(Policy::limited(5)).map_err(|error| bad(causes(&error)))?;
        // An upload that is sent elsewhere is one that nobody named.
        let writer = client(Policy::none()).map_err(|error| bad(causes(&error)))?;
        Ok(Self { url: url.to_owned(), place, host, reader, writer, netrc, login, patience })
    }

    /// Whether it answers at all; so that of one that is down not every path is asked for.
    ///
    /// # Errors
    /// It does not, or lets nobody in.
    pub async fn answers(&self) -> Result<(), Fault> {
        self.read("nix-cache-info").await.map(|_| ())
    }

    fn request(&self, client: &Client, method: Method, name: &str) -> RequestBuilder {
        let request = client.request(method, format!("{}/{name}", self.place));
        match &self.login {
            Ok(Some(Login { user, password })) => request.basic_auth(user, Some(password)),
            Ok(None) | Err(_) => request,
        }
    }

    /// `None`: it is not there.
    async fn look(&self, doing: &str, method: Method, name: &str) -> Result<Option<Reply>, Fault> {
        let once = || async {
            let sent = self.request(&self.reader, method.clone(), name).send();
            let answer = self.patience.within(sent).await?;
            let mut reply = Reply::of(&answer);
            if method == Method::GET && answer.status().is_success() {
                reply.body = self.body(answer).await?;
            }
            Ok(reply)
        };
        let reply = self.insist(doing, name, once).await?;
        match reply.status {
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            status if status.is_success() => Ok(Some(reply)),
            status => Err(self.refused(doing, name, status)),
        }
    }

    async fn body(&self, mut answer: Response) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        while let Some(chunk) = self.patience.within(answer.chunk()).await? {
            body.extend_from_slice(&chunk);
            if body.len() as u64 > TEXT {
                return Err("it is too long for a text of a cache".to_owned());
            }
        }
        Ok(body)
    }

    /// Asks again while that may help.
    async fn insist<F>(&self, doing: &str, name: &str, once: impl Fn() -> F) -> Result<Reply, Fault>
    where
        F: Future<Output = Result<Reply, String>>,
    {
        let mut pauses = self.patience.pauses();
        loop {
            let outcome = once().await;
            let again = outcome.as_ref().map_or(true, |reply| patience::may_pass(reply.status));
            match (pauses.next(), outcome) {
                (Some(pause), outcome) if again => {
                    let asked = outcome.ok().and_then(|reply| reply.pause());
                    tokio::time::sleep(asked.unwrap_or_default().max(pause)).await;
                }
                (_, Ok(reply)) => return Ok(reply),
                (_, Err(because)) => return Err(self.lost(doing, name, &because)),
            }
        }
    }

    /// Puts it there if the server finds none. One that knows no conditions would replace
    /// what is there, which is why it was looked for.
    async fn put(&self, name: &str, what: &Content, sent: &Sent<'_>) -> Result<Reply, String> {
        let (body, told) = sending::body(what);
        let request = self
            .request(&self.writer, Method::PUT, name)
            .header(IF_NONE_MATCH, "*")
            .header(CONTENT_TYPE, what.kind())
            .header(CONTENT_LENGTH, what.size())
            .body(body);
        Ok(Reply::of(&self.patience.while_it_goes(request.send(), told, sent).await?))
    }
}

impl Reply {
    fn of(answer: &Response) -> Self {
        Self { status: answer.status(), headers: answer.headers().clone(), body: Vec::new() }
    }

    fn number(&self, header: reqwest::header::HeaderName) -> Option<u64> {
        self.headers.get(header)?.to_str().ok()?.trim().parse().ok()
    }

    fn pause(&self) -> Option<std::time::Duration> {
        self.number(RETRY_AFTER).map(patience::asked_for)
    }
}

impl Shelf for HttpShelf {
    fn name(&self) -> &str {
        &self.url
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.look("read", Method::GET, name).await?.map(|reply| reply.body))
    }

    async fn size(&self, name: &str) -> Result<Option<u64>, Fault> {
        let Some(reply) = self.look("look at", Method::HEAD, name).await? else { return Ok(None) };
        let size = reply.number(CONTENT_LENGTH);
        size.map(Some).ok_or_else(|| self.lost("look at", name, "it does not tell the size"))
    }

    async fn create(
        &self,
        name: &str,
        what: &Content,
        on_sent: &(dyn Fn(u64) + Sync),
    ) -> Result<Created, Fault> {
        if self.look("look at", Method::HEAD, name).await?.is_some() {
            return Ok(Created::There);
        }
        let sent = Sent::new(on_sent);
        let reply = self.insist("upload", name, || self.put(name, what, &sent)).await?;
        match reply.status {
            status if status.is_success() => Ok(Created::New),
            StatusCode::PRECONDITION_FAILED => Ok(Created::There),
            // Another upload at the same moment, or no folder to put it in.
            StatusCode::CONFLICT if self.look("look at", Method::HEAD, name).await?.is_some() => {
                Ok(Created::There)
            }
            status => Err(self.refused("upload", name, status)),
        }
    }

    /// A server keeps nothing of what it was not sent whole.
    async fn tidy(&self) {}
}

impl std::fmt::Debug for HttpShelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpShelf").field("url", &self.url).finish_non_exhaustive()
    }
}
