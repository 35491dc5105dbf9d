//! Tells when a job of one unit has ended, whoever asked for it: the unit was started, restarted, reloaded or stopped.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::time::sleep;
use zbus::message::Type as MessageType;
use zbus::{Connection, MatchRule, MessageStream};

use super::bus::{MANAGER, MANAGER_PATH, SERVICE};
use crate::names::UnitName;

/// Before another try where the bus is gone.
const AGAIN: Duration = Duration::from_secs(5);

/// Calls `tell` after each job of `unit`, for as long as it is polled. While the bus
/// is away nothing is heard; once it is back, `tell` is called for what was missed.
pub async fn jobs_of(unit: &UnitName, tell: impl Fn()) {
    loop {
        if let Err(error) = listen(unit, &tell).await {
            tracing::debug!(%error, %unit, "listening for its jobs");
        }
        sleep(AGAIN).await;
        tell();
    }
}

/// systemd sends the signals of jobs that others asked for to those who subscribed
/// (org.freedesktop.systemd1(5), `Subscribe`); the bus passes on those of this unit,
/// which is the third argument of `JobRemoved`.
async fn listen(unit: &UnitName, tell: impl Fn()) -> zbus::Result<()> {
    let bus = Connection::system().await?;
    let rule = MatchRule::builder()
        .msg_type(MessageType::Signal)
        .sender(SERVICE)
        .interface(MANAGER)
        .member("JobRemoved")
        .arg(2, unit.as_str())
        .build()?;
    let mut ends = MessageStream::for_match_rule(rule, &bus, None).await?;
    bus.call_method(Some(SERVICE), MANAGER_PATH, Some(MANAGER), "Subscribe", &()).await?;
    while ends.try_next().await?.is_some() {
        tell();
    }
    Ok(())
}
