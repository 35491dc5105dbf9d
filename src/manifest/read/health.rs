//! Reads `[health]`: when a service counts as healthy.

use std::time::Duration;

use super::command::{self, Closure};
use super::http::Target;
use super::{Claim, Spotted};
use crate::manifest::service::{Check, Health, HttpRoute};
use crate::manifest::table::Table;
use crate::manifest::value::Port;
use crate::names::Domain;

/// The health of a service, and the port it is asked on.
pub(super) struct Written<'a> {
    pub(super) health: Health,
    pub(super) claim: Option<Spotted<'a, Claim>>,
}

/// What the rest of a service says about how to ask for its health.
#[derive(Clone, Copy, Default)]
pub(super) struct Asked<'r> {
    /// The routes that have been read.
    pub(super) routes: &'r [HttpRoute],
    /// There are routes, all of them wrong: that has been said.
    pub(super) unread: bool,
    /// There is no process that goes on running.
    pub(super) ends: bool,
}

impl Asked<'_> {
    fn first_port(self) -> Option<u16> {
        self.routes.iter().find_map(|route| route.internal_port)
    }

    /// The domain of the first route to a port.
    fn domain(self, port: u16) -> Option<Domain> {
        let route = self.routes.iter().find(|route| route.internal_port == Some(port));
        route.map(|route| route.domain.clone())
    }
}

/// The check of a service that does not name one.
pub(super) fn usual(asked: Asked<'_>) -> Health {
    Health {
        check: asked.first_port().map_or(Check::Active, |port| Check::Tcp { port }),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(5),
        // What has ended well stays so.
        healthy_for: Duration::from_secs(if asked.ends { 0 } else { 10 }),
        deadline: Duration::from_secs(300),
    }
}

/// Reads the table.
pub(super) fn read<'a>(
    table: &Table<'_, 'a>,
    closure: Closure<'_>,
    asked: Asked<'_>,
) -> Written<'a> {
    let usual = usual(asked);
    let port = table.spotted::<Port>("port");
    let claim = port.as_ref().map(|p| Spotted { value: Claim::Port(p.value.0), at: p.at });
    let health = Health {
        check: check(table, closure, asked).unwrap_or(usual.check),
        interval: some_time(table, "interval").unwrap_or(usual.interval),
        timeout: some_time(table, "timeout").unwrap_or(usual.timeout),
        healthy_for: table.value("healthyFor").unwrap_or(usual.healthy_for),
        deadline: table.value("deadline").unwrap_or(usual.deadline),
    };
    if health.deadline <= health.healthy_for {
        let (deadline, healthy_for) = (health.deadline, health.healthy_for);
        let what =
            format!("the deadline, {deadline:?}, leaves no time for `healthyFor`, {healthy_for:?}");
        let at = table.spot("deadline").unwrap_or_else(|| table.spot_or_self("healthyFor"));
        table.report.add(at, what, "make `deadline` longer than `healthyFor`");
    }
    if asked.ends
        && let Check::Http { .. } | Check::Tcp { .. } = health.check
    {
        let what = "a process that is meant to end does not answer on a port";
        table.report.add(
            table.at(),
            what,
            "remove `port` and `path`: it is healthy once it has ended well",
        );
    }
    Written { health, claim }
}

/// Reads the one check that the table names.
pub(super) fn check(
    table: &Table<'_, '_>,
    closure: Closure<'_>,
    asked: Asked<'_>,
) -> Option<Check> {
    let path = table.entry("path");
    let port = table.value::<Port>("port").map(|port| port.0);
    let command = table.entry("command");
    if let Some(command) = command
        && (path.is_some() || table.entry("port").is_some())
    {
        let what = "a command and a port or path are two checks";
        table.report.add(command.at, what, "keep one of the two");
    }
    if let Some(command) = command {
        let line = command::line(&command.node, closure, table.report)?;
        return Some(Check::Command { command: line.command, args: line.args });
    }
    if let Some(host) = table.entry("host")
        && path.is_none()
    {
        let what = "`host` is the name that `path` is asked for by, and there is no `path`";
        table.report.add(host.at, what, "write `path` beside it, or remove `host`");
        table.value::<Domain>("host");
    }
    let Some(path) = path else { return port.map(|port| Check::Tcp { port }) };
    let port = port.or(asked.first_port());
    if port.is_none() && table.entry("port").is_none() && !asked.unread {
        let what = "there is no port to ask for the path on";
        table.report.add(
            path.at,
            what,
            "write `port` beside it: there is no [http] to take it from",
        );
    }
    let path = table.value::<Target>("path")?.0;
    let host = table.value::<Domain>("host").or_else(|| asked.domain(port?));
    Some(Check::Http { port: port?, path, host })
}

/// A duration of which zero makes no sense.
fn some_time(table: &Table<'_, '_>, key: &'static str) -> Option<Duration> {
    let duration = table.spotted::<Duration>(key)?;
    if duration.value.is_zero() {
        table.report.add(duration.at, format!("`{key}` is zero"), "write for example \"1s\"");
    }
    Some(duration.value)
}
