//! systemd's manager over D-Bus: calls, properties, jobs.
//!
//! Source: org.freedesktop.systemd1(5).

use std::fmt::Write;
use std::time::Duration;

use futures_util::TryStreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, broadcast};
use tokio::task::JoinHandle;
use zbus::message::Type as MessageType;
use zbus::{Connection, DynamicType, MatchRule, Message, MessageStream, OwnedObjectPath};
use zbus::{OwnedVariant, Type};

use crate::names::UnitName;

pub(super) const SERVICE: &str = "org.freedesktop.systemd1";
pub(super) const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
pub(super) const MANAGER: &str = "org.freedesktop.systemd1.Manager";
pub(super) const UNIT: &str = "org.freedesktop.systemd1.Unit";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Calls wait for one another while systemd reads all its units again, which
/// takes seconds where there are thousands of them.
const REPLY_WITHIN: Duration = Duration::from_secs(120);
/// Calls in flight; dbus-daemon allows a connection 128 (dbus-daemon(1),
/// `max_replies_per_connection` of the system bus).
const CALLS_AT_ONCE: usize = 32;
/// Finished jobs that may wait for a reader that is slow to come.
const JOBS_REMEMBERED: usize = 4096;

/// Why something asked of systemd did not come about.
#[derive(Debug, thiserror::Error)]
pub(super) enum BusError {
    /// The bus or systemd did not answer.
    #[error("the system bus is gone: {0}")]
    Lost(String),
    /// systemd answered with an error.
    #[error("{message}")]
    Refused { name: String, message: String },
}

impl BusError {
    /// Whether systemd neither has the unit loaded nor finds its file.
    pub(super) fn is_no_such_unit(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if name.ends_with(".NoSuchUnit"))
    }
}

/// One row of `ListUnitsByPatterns`.
#[derive(Debug, serde::Deserialize, Type)]
pub(super) struct ListedUnit {
    pub(super) name: String,
    _description: String,
    _load_state: String,
    pub(super) active_state: String,
    _sub_state: String,
    _following: String,
    _path: OwnedObjectPath,
    _job_id: u32,
    _job_type: String,
    _job_path: OwnedObjectPath,
}

/// A job that has ended: its object path and its result.
type Ended = (String, String);

/// A connection to the system bus that hears every job's end.
#[derive(Debug)]
pub(super) struct Bus {
    connection: Connection,
    turns: Semaphore,
    ended: broadcast::Receiver<Ended>,
    listener: JoinHandle<()>,
}

impl Bus {
    pub(super) async fn connect() -> Result<Self, BusError> {
        let connect = async {
            let connection =
                zbus::conn::Builder::system().method_timeout(REPLY_WITHIN).build().await?;
            let rule = MatchRule::builder()
                .msg_type(MessageType::Signal)
                .sender(SERVICE)
                .interface(MANAGER)
                .member("JobRemoved")
                .build()?;
            let signals = MessageStream::for_match_rule(rule, &connection, None).await?;
            Ok::<_, zbus::Error>((connection, signals))
        };
        let (connection, signals) = tokio::time::timeout(CONNECT_WITHIN, connect)
            .await
            .map_err(|_| BusError::Lost(format!("no answer within {CONNECT_WITHIN:?}")))??;
        let (sender, ended) = broadcast::channel(JOBS_REMEMBERED);
        let listener = tokio::spawn(announce_ends(signals, sender));
        Ok(Self { connection, turns: Semaphore::new(CALLS_AT_ONCE), ended, listener })
    }

    pub(super) fn is_lost(&self) -> bool {
        self.connection.is_closed() || self.listener.is_finished()
    }

    /// Calls a method of the manager.
    pub(super) async fn call<B, R>(&self, method: &str, body: &B) -> Result<R, BusError>
    where
        B: Serialize + DynamicType,
        R: DeserializeOwned + Type,
    {
        self.call_at(MANAGER_PATH, MANAGER, method, body).await
    }

    /// Calls a method that queues a job, and waits for the job's end; its result
    /// is in the words of org.freedesktop.systemd1(5), or `None` where it has not
    /// ended `within` that time.
    pub(super) async fn job(
        &self,
        method: &str,
        unit: &UnitName,
        within: Duration,
    ) -> Result<Option<String>, BusError> {
        // Listening begins before the call, so that no end is missed.
        let mut ended = self.ended.resubscribe();
        let job: OwnedObjectPath = self.call(method, &(unit.as_str(), "replace")).await?;
        let end = async {
            loop {
                match ended.recv().await {
                    Ok((path, result)) if path == job.as_str() => return Ok(result),
                    Ok(_) => {}
                    Err(gone) => return Err(BusError::Lost(gone.to_string())),
                }
            }
        };
        tokio::time::timeout(within, end).await.ok().transpose()
    }

    /// A property of a unit; systemd loads a unit that it has not loaded.
    pub(super) async fn property<T>(
        &self,
        unit: &UnitName,
        interface: &str,
        name: &str,
    ) -> Result<T, BusError>
    where
        T: TryFrom<OwnedVariant>,
        T::Error: Into<zbus::Error>,
    {
        let path = unit_path(unit);
        let value: OwnedVariant =
            self.call_at(&path, PROPERTIES, "Get", &(interface, name)).await?;
        T::try_from(value).map_err(|error| BusError::from(error.into()))
    }

    async fn call_at<B, R>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<R, BusError>
    where
        B: Serialize + DynamicType,
        R: DeserializeOwned + Type,
    {
        let _turn = self.turns.acquire().await.map_err(|e| BusError::Lost(e.to_string()))?;
        let reply =
            self.connection.call_method(Some(SERVICE), path, Some(interface), method, body).await?;
        Ok(reply.body().deserialize_ignore_signature()?)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Passes on each job's end until the connection closes; dropping the sender
/// tells those who wait.
async fn announce_ends(mut signals: MessageStream, ended: broadcast::Sender<Ended>) {
    while let Ok(Some(signal)) = signals.try_next().await {
        if let Ok(end) = end_of_job(&signal) {
            // Nobody waiting is fine: others' jobs end, too.
            let _unheard = ended.send(end);
        }
    }
}

fn end_of_job(signal: &Message) -> zbus::Result<Ended> {
    let body = signal.body();
    let (_id, path, _unit, result): (u32, OwnedObjectPath, String, String) = body.deserialize()?;
    Ok((path.as_str().to_owned(), result))
}

/// The object of a unit: every byte but letters and digits stands as `_` and its
/// code, a digit in front as well (sd_bus_path_encode(3)).
fn unit_path(unit: &UnitName) -> String {
    let mut path = format!("{MANAGER_PATH}/unit/");
    for (i, byte) in unit.as_str().bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (i > 0 && byte.is_ascii_digit()) {
            path.push(char::from(byte));
        } else {
            write!(path, "_{byte:02x}").expect("writing to a String cannot fail");
        }
    }
    path
}

impl From<zbus::Error> for BusError {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, message, _) => {
                let name = name.to_string();
                Self::Refused { message: message.unwrap_or_else(|| name.clone()), name }
            }
            zbus::Error::FDO(error) => match *error {
                // The caller's fault; the rest is that of the bus or of the moment.
                zbus::fdo::Error::InvalidArgs(message) => {
                    Self::Refused { name: "InvalidArgs".to_owned(), message }
                }
                other => Self::Lost(other.to_string()),
            },
            other => Self::Lost(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_has_an_object_path() {
        let path = unit_path(&"writ-web1.service".parse().unwrap());
        assert_eq!(path, "/org/freedesktop/systemd1/unit/writ_2dweb1_2eservice");
        let path = unit_path(&"1.service".parse().unwrap());
        assert_eq!(path, "/org/freedesktop/systemd1/unit/_31_2eservice");
    }
}
