//! What systemd itself takes for the same units, asked over one connection.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath, conn};

use crate::town::Town;

const SERVICE: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
/// Calls in flight.
const BURST: usize = 16;

/// The times for all units of a host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    pub(crate) restart: Duration,
    pub(crate) start: Duration,
}

impl Floor {
    pub(crate) fn of(town: &Town) -> Self {
        let host = &town.site.host;
        let units = town.units();
        // The agent would start what was stopped.
        host.must(&["writ", "pause", "--reason", "the floor is measured"]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let bus = host.file("/run/dbus/system_bus_socket");
        let (restart, start) = runtime.expect("a runtime").block_on(async {
            let restart = jobs(&bus, "RestartUnit", &units).await;
            jobs(&bus, "StopUnit", &units).await;
            (restart, jobs(&bus, "StartUnit", &units).await)
        });
        host.must(&["writ", "resume"]);
        town.sync();
        Self { restart, start }
    }
}

/// From the first call to the end of the last job.
async fn jobs(bus: &Path, method: &str, units: &[String]) -> Duration {
    let socket = UnixStream::connect(bus).expect("the host's bus");
    let connection = conn::Builder::unix_stream(socket).build().await.expect("the host's bus");
    let rule = MatchRule::builder().sender(SERVICE).interface(MANAGER).member("JobRemoved");
    let rule = rule.build().expect("good names");
    let signals = MessageStream::for_match_rule(rule, &connection, NonZero::new(4096)).await;
    let mut signals = signals.expect("signals");
    let before = Instant::now();
    let calls = units.iter().map(|unit| job(&connection, method, unit));
    let mut open: BTreeSet<String> = stream::iter(calls).buffer_unordered(BURST).collect().await;
    while !open.is_empty() {
        let signal = signals.next().await.expect("the bus stays").expect("a signal");
        let (_, job): (u32, OwnedObjectPath) = prefix(&signal);
        open.remove(job.as_str());
    }
    before.elapsed()
}

async fn job(connection: &Connection, method: &str, unit: &str) -> String {
    let body = (unit, "replace");
    let reply = connection.call_method(Some(SERVICE), PATH, Some(MANAGER), method, &body).await;
    let job: OwnedObjectPath =
        reply.expect("a job").body().deserialize().expect("the path of a job");
    job.as_str().to_owned()
}

fn prefix(signal: &zbus::Message) -> (u32, OwnedObjectPath) {
    let body: (u32, OwnedObjectPath, String, String) =
        signal.body().deserialize().expect("the form of JobRemoved");
    (body.0, body.1)
}
