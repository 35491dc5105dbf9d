//! Whether this host's clock follows another one, as systemd-timedated says.

use std::time::Duration;

use tokio::time::timeout;
use zbus::OwnedVariant;

/// The longest an answer may take; timedated is started for the question.
const WITHIN: Duration = Duration::from_secs(5);

/// `NTPSynchronized` of org.freedesktop.timedate1(5); `None` where nobody tells.
pub async fn is_synchronised() -> Option<bool> {
    let asked = async {
        let connection = zbus::Connection::system().await.ok()?;
        let reply = connection
            .call_method(
                Some("org.freedesktop.timedate1"),
                "/org/freedesktop/timedate1",
                Some("org.freedesktop.DBus.Properties"),
                "Get",
                &("org.freedesktop.timedate1", "NTPSynchronized"),
            )
            .await
            .ok()?;
        let value: OwnedVariant = reply.body().deserialize().ok()?;
        bool::try_from(value).ok()
    };
    timeout(WITHIN, asked).await.ok().flatten()
}
