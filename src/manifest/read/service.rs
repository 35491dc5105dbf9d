//! Reads a service: its parts, and what they must not contradict in each other.

use std::collections::BTreeMap;
use std::time::Duration;

use super::command::Closure;
use super::exec::{self, User};
use super::health::{self, Asked};
use super::http::{self, Routes};
use super::work::Kind;
use super::{Claim, Spotted, Written, hardening, hosts, systemd, work};
use crate::manifest::service::{
    Artifact, Check, Health, Service, Strategy, SystemdOptions, Update,
};
use crate::manifest::table::{Field, Table, choice};
use crate::manifest::value::Built;
use crate::names::{EnvName, Literal, ServiceName};

/// A service's keys read one by one, before they become a [`Service`].
struct Parts<'a> {
    kind: Kind,
    exec: Option<exec::Written<'a>>,
    routes: Routes<'a>,
}

/// Reads the table of a service.
pub(super) fn read<'a>(table: &Table<'_, 'a>, name: ServiceName) -> Written<'a, Service> {
    let (hosts, tags) = hosts::read(table);
    let depends_on = table.list::<ServiceName>("dependsOn");
    let artifact = artifact(table);
    let closure = artifact.as_ref().map(|artifact| &artifact.store_path);
    let is_static = table.entry("static").is_some();
    let exec = table.table("exec", "[exec]", |table| exec::read(table, closure));
    let routes = http::read(table, is_static);
    let parts = Parts { kind: work::kind(table, exec.as_ref()), exec, routes };
    work::check_keys(table, parts.kind, parts.exec.as_ref());
    let work = work::read(table, parts.kind, parts.exec.as_ref());
    let user = parts.exec.as_ref().map(|exec| &exec.user).unwrap_or(&User::MadeUp);
    let (health, health_claim) = read_health(table, &parts, closure);
    let hardening = table
        .table("hardening", "[hardening]", |table| hardening::read(table, user))
        .unwrap_or_else(|| hardening::usual(user));
    check_network(table, hardening.private_network, &parts, &health);
    let once = matches!(parts.kind, Kind::Oneshot | Kind::Job);
    let systemd = table
        .table("systemd", "[systemd]", |table| systemd::read(table, once))
        .unwrap_or_else(|| SystemdOptions {
            restart: systemd::usual_restart(once),
            ..SystemdOptions::default()
        });
    let (update, env) = (update(table, &parts), env(table));
    let (revision, env_file) = (table.value("revision"), table.value("envFile"));
    foreign_account(table, &name, parts.exec.as_ref());
    let Routes { routes, mut claims, https, domains } = parts.routes;
    claims.extend(health_claim);
    let state = systemd::claimed(table);
    let depends: Vec<ServiceName> = depends_on.iter().map(|d| d.value.clone()).collect();
    let content = match (artifact, work) {
        (Some(artifact), Some(work)) => Some(Service {
            name: name.clone(),
            artifact,
            revision,
            work,
            env,
            env_file,
            depends_on: depends.into_iter().collect(),
            http: routes,
            health,
            update,
            systemd,
            hardening,
        }),
        (None, _) | (_, None) => None,
    };
    Written { name, hosts, tags, depends_on, claims, https, domains, state, content }
}

/// `writ-db` is the account that systemd makes up for the service `db`, of its unit's name
/// (systemd.exec(5), `DynamicUser=`).
fn foreign_account(table: &Table<'_, '_>, name: &ServiceName, exec: Option<&exec::Written<'_>>) {
    let Some(exec) = exec.and_then(|written| written.exec.as_ref()) else { return };
    for account in [&exec.user, &exec.group].into_iter().flatten() {
        let other = account.as_str().strip_prefix("writ-").filter(|of| *of != name.as_str());
        if let Some(other) = other {
            let what = format!("`{account}` is the account that is made for the service `{other}`");
            table.report.add(table.spot_or_self("exec"), what, "name another account");
        }
    }
}

fn artifact(table: &Table<'_, '_>) -> Option<Artifact> {
    let remedy = "say what to run: [artifact] with storePath = \"/nix/store/…\"";
    if table.entry("artifact").is_none() {
        table.lacks("artifact", remedy);
    }
    table.table("artifact", "[artifact]", |table| {
        if let Some(kind) = table.entry("type") {
            choice(&kind.node, table.report, &[("nix-closure", ())]);
        }
        let remedy = "paste the path that `nix build --print-out-paths` shows";
        let store_path = table.required::<Built>("storePath", remedy).map(|built| built.0);
        let closure_digest = table.value("closureDigest");
        let closure_size = table.value("closureSize");
        Some(Artifact { store_path: store_path?, closure_digest, closure_size })
    })?
}

fn read_health<'a>(
    table: &Table<'_, 'a>,
    parts: &Parts<'a>,
    closure: Closure<'_>,
) -> (Health, Option<Spotted<'a, Claim>>) {
    let first_port = parts.routes.routes.iter().find_map(|route| route.internal_port);
    let asked = Asked {
        routes: &parts.routes.routes,
        unread: table.entry("http").is_some() && first_port.is_none(),
        ends: parts.kind != Kind::Daemon,
    };
    let read = |table: &Table<'_, 'a>| health::read(table, closure, asked);
    match table.table("health", "[health]", read) {
        Some(written) => (written.health, written.claim),
        None => (health::usual(asked), None),
    }
}

/// A process without a network cannot be reached, by Caddy or by a health check.
fn check_network(table: &Table<'_, '_>, private: bool, parts: &Parts<'_>, health: &Health) {
    let asked = matches!(health.check, Check::Http { .. } | Check::Tcp { .. });
    if private && (asked || !parts.routes.routes.is_empty()) {
        let what = "`privateNetwork` cuts the service off from Caddy and from the health check";
        let remedy = "remove `privateNetwork` from [hardening], or [http] and the port of [health]";
        table.report.add(table.spot_or_self("hardening"), what, remedy);
    }
}

fn update(table: &Table<'_, '_>, parts: &Parts<'_>) -> Update {
    const USUAL: Update = Update { strategy: Strategy::Restart, drain: Duration::from_secs(30) };
    let read = |table: &Table<'_, '_>| {
        let strategy = table.entry("strategy").and_then(|entry| {
            let words = [("restart", Strategy::Restart), ("blue-green", Strategy::BlueGreen)];
            choice(&entry.node, table.report, &words)
        });
        if strategy == Some(Strategy::BlueGreen) && parts.routes.routes.is_empty() {
            let what = "`blue-green` needs a route to move from the old instance to the new";
            table.report.add(
                table.spot_or_self("strategy"),
                what,
                "add [http], or write \"restart\"",
            );
        }
        Update {
            strategy: strategy.unwrap_or(USUAL.strategy),
            drain: table.value("drain").unwrap_or(USUAL.drain),
        }
    };
    table.table("update", "[update]", read).unwrap_or(USUAL)
}

/// Variables by which systemd talks to the process; setting them would make it
/// listen or answer elsewhere (systemd.exec(5), sd_notify(3), sd_listen_fds(3)).
const RESERVED: [&str; 6] = [
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
];

fn env(table: &Table<'_, '_>) -> BTreeMap<EnvName, Literal> {
    let mut env = BTreeMap::new();
    for entry in table.free("env", "[env]") {
        let value = Literal::read(&entry.node, table.report);
        match entry.key.parse::<EnvName>() {
            Ok(name) if RESERVED.contains(&name.as_str()) => {
                let what = format!("systemd sets `{name}` itself");
                table.report.add(entry.at, what, "remove it");
            }
            Ok(name) if name.as_str().starts_with("LD_") => {
                let what = format!("`{name}` would have the dynamic loader run other code");
                let remedy = "remove it, and wrap the program in its closure (makeWrapper)";
                table.report.add(entry.at, what, remedy);
            }
            Ok(name) => env.extend(value.map(|value| (name, value))),
            Err(bad) => {
                table.report.add(
                    entry.at,
                    bad.to_string(),
                    "use letters, digits and `_`, no digit first",
                );
            }
        }
    }
    env
}
