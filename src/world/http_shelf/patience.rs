//! How long a cache is waited for, and how often it is asked again.

use std::pin::pin;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Response, StatusCode};
use tokio::sync::mpsc::UnboundedReceiver;

use super::sending::Sent;
use crate::fault::causes;

/// The longest that a server may ask to be left alone.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) connect: Duration,
    /// Without a byte going or coming for this long, the server is taken to be gone.
    pub(super) stall: Duration,
    /// Before it is asked again; twice that the next time.
    pub(super) pause: Duration,
    pub(super) again: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(60),
            pause: Duration::from_millis(250),
            again: 5,
        }
    }
}

impl Patience {
    pub(super) fn client(&self) -> ClientBuilder {
        Client::builder()
            .connect_timeout(self.connect)
            .user_agent(concat!("writ/", env!("CARGO_PKG_VERSION")))
    }

    pub(super) fn pauses(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let Self { pause, again, .. } = *self;
        (0..again).map(move |n| pause * 2u32.pow(n))
    }

    /// One answer, or the next piece of one.
    pub(super) async fn within<T>(
        &self,
        asked: impl Future<Output = reqwest::Result<T>>,
    ) -> Result<T, String> {
        match tokio::time::timeout(self.stall, asked).await {
            Ok(answer) => answer.map_err(told),
            Err(_) => Err(self.silence()),
        }
    }

    /// An answer to what is long to send: as long as it goes on, there is time.
    pub(super) async fn while_it_goes(
        &self,
        asked: impl Future<Output = reqwest::Result<Response>>,
        mut reached: UnboundedReceiver<u64>,
        sent: &Sent<'_>,
    ) -> Result<Response, String> {
        let mut asked = pin!(asked);
        loop {
            tokio::select! {
                biased;
                answer = &mut asked => return answer.map_err(told),
                Some(position) = reached.recv() => sent.reached(position),
                () = tokio::time::sleep(self.stall) => return Err(self.silence()),
            }
        }
    }

    fn silence(&self) -> String {
        format!("nothing came or went for {:?}", self.stall)
    }
}

/// Whether a server may answer otherwise when it is asked again.
pub(super) fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// How long a server asked to be left alone for.
pub(super) fn asked_for(seconds: u64) -> Duration {
    Duration::from_secs(seconds).min(LONGEST)
}

/// The fault names the place already.
fn told(error: reqwest::Error) -> String {
    causes(&error.without_url())
}
