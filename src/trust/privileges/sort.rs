//! Which key of a manifest asks a host for what: the one list of what is judged, and of
//! what is the owner's own business.
//!
//! What is its owner's stays so: hosts judge the history that they have accepted again
//! before a rollback, and a stricter reading would refuse it. A new key begins as strict as
//! it may ever have to be.

use super::Privilege;

/// How a key is judged.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sort {
    /// The business of whoever may write the file.
    Own,
    /// A table of keys, or a list of such tables.
    Table(&'static str),
    /// A table or list of things that have a name of their own, in the JSON form.
    Subjects(&'static str),
    /// A text or a list of texts, each of which may be a privilege.
    Words(fn(&Context<'_>, &str) -> Option<Privilege>),
    /// A loopback port.
    Port,
    /// A setting of `[hardening]`, with the values that loosen nothing.
    Hardening(&'static [&'static str]),
    /// A list of `[hardening]`, and whether it loosens nothing.
    HardeningList(fn(&[&str]) -> bool),
    /// A setting of a host.
    HostSetting,
}

/// What the file says of whoever asks, for what depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) subject: &'a str,
    pub(super) store_path: &'a str,
}

/// How `key` of the table `group` is judged; `None` where this version does not know it.
/// The groups are those of the manifest's reference.
pub(super) fn of(group: &str, key: &str) -> Option<Sort> {
    use Sort::{Hardening, HardeningList, HostSetting, Own, Port, Subjects, Table, Words};
    Some(match (group, key) {
        ("service" | "profile", "hosts") => Words(host),
        ("service", "name" | "revision" | "env" | "dependsOn") => Own,
        ("service", "envFile") => Words(env_file),
        ("service", "exec") => Table("exec"),
        ("service", "http") => Table("http"),
        ("service", "health") => Table("health"),
        ("service", "systemd") => Table("systemd"),
        ("service", "hardening") => Table("hardening"),
        ("service", "artifact") => Table("artifact"),
        ("service", "update") => Table("update"),
        ("service", "schedule") => Table("schedule"),
        ("service", "static") => Table("static"),
        // A closure says what runs, and not what of the host it reaches.
        ("artifact", "type" | "storePath" | "closureDigest" | "closureSize") => Own,
        ("update", "strategy" | "drain") | ("schedule", "cron" | "timezone") => Own,
        ("static", "root") => Own,
        ("exec", "command" | "args" | "type" | "reload") => Own,
        ("exec", "user") => Words(|_, name| Some(Privilege::User(name.to_owned()))),
        ("exec", "group") => Words(|_, name| Some(Privilege::Group(name.to_owned()))),
        ("exec", "workingDirectory") => Words(working_directory),
        ("http", "domain" | "stagingDomain" | "redirectFrom") => {
            Words(|_, name| Some(Privilege::Domain(name.to_owned())))
        }
        ("http", "path" | "https" | "headers" | "compress" | "sharedWith") => Own,
        ("http", "internalPort") | ("health" | "probe", "port") => Port,
        (
            "health" | "probe",
            "path" | "host" | "command" | "interval" | "timeout" | "healthyFor" | "deadline",
        ) => Own,
        ("systemd", "after" | "requires" | "wants") => Words(unit),
        ("systemd", "stateDirectory") => Words(state_directory),
        (
            "systemd",
            "restart" | "restartSec" | "memoryMax" | "cpuQuota" | "tasksMax" | "limitNofile"
            | "watchdogSec" | "notifyAccess",
        ) => Own,
        ("hardening", "capabilities") => {
            Words(|_, name| Some(Privilege::Capability(name.to_owned())))
        }
        ("hardening", "readWritePaths") => {
            Words(|_, path| Some(Privilege::WritePath(path.to_owned())))
        }
        // Root is asked for by `exec.user`; without either the file is refused.
        ("hardening", "dynamicUser" | "umask") => Own,
        // Both are tighter than the default, or the default.
        ("hardening", "privateNetwork" | "memoryDenyWriteExecute") => Own,
        ("hardening", "protectSystem") => Hardening(&["\"strict\""]),
        ("hardening", "protectHome") => Hardening(&["\"yes\"", "true", "\"tmpfs\""]),
        (
            "hardening",
            "privateTmp"
            | "noNewPrivileges"
            | "privateDevices"
            | "protectKernelTunables"
            | "protectKernelModules"
            | "protectKernelLogs"
            | "protectControlGroups"
            | "protectClock"
            | "protectHostname"
            | "restrictNamespaces"
            | "restrictRealtime"
            | "restrictSuidSgid"
            | "lockPersonality",
        ) => Hardening(&["true"]),
        ("hardening", "systemCallFilter") => HardeningList(filters_as_usual),
        ("hardening", "restrictAddressFamilies") => HardeningList(families_as_usual),
        (
            "profile",
            "name" | "storePath" | "closureDigest" | "revision" | "kind" | "mode" | "activate",
        ) => Own,
        ("profile", "user") => Words(|_, name| Some(Privilege::User(name.to_owned()))),
        ("profile", "confirm") => Table("confirm"),
        ("confirm", "timeout") => Own,
        ("confirm", "probes") => Table("probe"),
        ("host", "name") => Own,
        ("host", "tags" | "windows" | "timezone" | "reportKey") => HostSetting,
        ("json", "version" | "generation") => Own,
        ("json", "services") => Subjects("service"),
        ("json", "profiles") => Subjects("profile"),
        ("json", "hosts") => Subjects("host"),
        _ => return None,
    })
}

fn host(_: &Context<'_>, pattern: &str) -> Option<Privilege> {
    Some(Privilege::Host(pattern.to_owned()))
}

/// `/var/lib/secrets/<service>.env`, and all below `/var/lib/secrets/<service>/`, are a
/// service's own.
fn env_file(context: &Context<'_>, path: &str) -> Option<Privilege> {
    let own = path
        .strip_prefix("/var/lib/secrets/")
        .and_then(|rest| rest.strip_prefix(context.subject))
        .is_some_and(|rest| rest == ".env" || (rest.starts_with('/') && is_plain(rest)));
    (!own).then(|| Privilege::EnvFile(path.to_owned()))
}

/// `/var/lib/<service>`, and all below it, are a service's own.
fn state_directory(context: &Context<'_>, name: &str) -> Option<Privilege> {
    let own = is_own(name, context.subject);
    (!own).then(|| Privilege::StateDirectory(format!("/var/lib/{name}")))
}

fn working_directory(context: &Context<'_>, path: &str) -> Option<Privilege> {
    let in_closure = !context.store_path.is_empty() && is_own(path, context.store_path);
    let in_state = path.strip_prefix("/var/lib/").is_some_and(|rest| is_own(rest, context.subject));
    (path != "/" && !in_closure && !in_state).then(|| Privilege::WorkingDirectory(path.to_owned()))
}

/// Whether `path` is `owned` or lies below it.
fn is_own(path: &str, owned: &str) -> bool {
    path.strip_prefix(owned)
        .is_some_and(|rest| rest.is_empty() || (rest.starts_with('/') && is_plain(rest)))
}

fn is_plain(rest: &str) -> bool {
    rest.split('/').all(|name| name != ".." && name != ".")
}

/// Units that any service may wait for: they say that the host has come so far, and
/// waiting for them changes nothing.
const MILESTONES: [&str; 8] = [
    "basic.target",
    "local-fs.target",
    "network.target",
    "network-online.target",
    "nss-lookup.target",
    "nss-user-lookup.target",
    "remote-fs.target",
    "time-sync.target",
];

fn unit(_: &Context<'_>, name: &str) -> Option<Privilege> {
    (!MILESTONES.contains(&name)).then(|| Privilege::Unit(name.to_owned()))
}

/// `@system-service` and what is taken away from it. The first item decides whether the
/// list allows or forbids (systemd.exec(5)), so a list that begins otherwise is looser.
fn filters_as_usual(items: &[&str]) -> bool {
    items.split_first().is_some_and(|(first, rest)| {
        *first == "@system-service" && rest.iter().all(|item| item.starts_with('~'))
    })
}

/// An empty list would restrict nothing.
fn families_as_usual(items: &[&str]) -> bool {
    !items.is_empty() && items.iter().all(|item| ["AF_UNIX", "AF_INET", "AF_INET6"].contains(item))
}
