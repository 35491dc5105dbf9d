//! The host itself: nix, systemd, Caddy, disks, clock, and the agent.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::{Checked, Noted, Patient, Word};
use crate::agent::control::{Reply, Request};
use crate::agent::socket;
use crate::agent::status::gather;
use crate::condition::Subject;
use crate::fault::Fault;
use crate::plan::observed::ObservedRoutes;
use crate::plan::routes;
use crate::plan::step::human_bytes;
use crate::trust::{Reason, Refusal};
use crate::world::clock::is_synchronised;
use crate::world::{Routes as _, Store as _, Units as _, World as _};

/// Less free space than this is too little for most closures, in bytes.
const FREE: u64 = 1 << 30;
/// Fewer files than this is too few for one.
const FREE_FILES: u64 = 10_000;
/// How far a clock may be behind a commit that was made elsewhere, in seconds.
const BEHIND: i64 = 300;

/// What is said of an admin endpoint on TCP.
const OPEN: &str = "; any process on this host can change routes there, and read keys: put `admin unix//run/caddy/admin.sock` into the global options of the Caddyfile, install systemd/caddy.service.d/writ.conf, and say caddy.admin = \"unix:///run/caddy/admin.sock\"";

pub(super) async fn nix(patient: &Patient) -> Checked {
    let version = patient.world.store().version(patient.deadline).await?;
    let profiles = patient.world.store().observe().await?.current.len();
    Ok(format!("{version}; {profiles} profiles of services"))
}

pub(super) async fn systemd(patient: &Patient) -> Checked {
    let units = patient.world.units().observe().await.map_err(|fault| match fault.remedy {
        Some(_) => fault,
        None => {
            fault.remedy("systemctl status dbus; as root, and not in a container without systemd")
        }
    })?;
    Ok(format!("answers on D-Bus; {} units of services", units.len()))
}

pub(super) async fn caddy(patient: &Patient) -> Noted {
    let admin = &patient.config.caddy.admin;
    match patient.world.routes().observe().await {
        ObservedRoutes::Up { config, .. } => {
            let routes = routes::listed(&config).len();
            let text = format!("{admin} answers; {routes} routes of services");
            Ok(match admin.starts_with("unix:") {
                true => Word::Fine(text),
                false => Word::Note { text: text + OPEN, remedy: None },
            })
        }
        ObservedRoutes::Down { because } => {
            Err(Fault::wait(format!("ask Caddy at {admin}"), because).remedy(
                "systemctl start caddy; caddy.admin of the config has to name its admin endpoint",
            ))
        }
    }
}

/// The folders whose disks fill up, each disk once.
pub(super) fn folders(patient: &Patient) -> Vec<(&'static str, PathBuf)> {
    let state = ("the state", patient.config.state_directory.clone());
    let device = |path: &Path| rustix::fs::stat(path).ok().map(|stat| stat.st_dev);
    // Nix makes the store when it is first used: until then, the disk that it will be on.
    let places = ["/nix/store", "/nix", "/"].map(PathBuf::from);
    let store = places.into_iter().find(|path| path.exists()).unwrap_or_default();
    if device(&store).is_some() && device(&store) == device(&state.1) {
        return vec![("the store and the state", store)];
    }
    vec![("the store", store), state]
}

pub(super) async fn disk(what: &'static str, folder: PathBuf) -> Checked {
    let doing = || format!("keep {what} on the disk of {}", folder.display());
    let found = rustix::fs::statvfs(&folder).map_err(|error| {
        Fault::wait(doing(), error)
            .remedy("nix makes the store; the agent makes the state at its first start")
    })?;
    let free = found.f_bavail * found.f_frsize;
    let because =
        if found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) && what != "the store" {
            Some("its disk is read-only".to_owned())
        } else if free < FREE {
            Some(format!("only {} are free", human_bytes(free)))
        } else if found.f_files > 0 && found.f_favail < FREE_FILES {
            Some(format!("only {} more files fit", found.f_favail))
        } else {
            None
        };
    match because {
        Some(because) => Err(Fault::wait(doing(), because)
            .remedy("free some space on that disk; as root: writ gc --collect")),
        None => Ok(format!("{} are free for {what} in {}", human_bytes(free), folder.display())),
    }
}

/// A clock that is behind the commits it judges, or follows nobody.
pub(super) async fn clock(patient: &Patient) -> Noted {
    let doing = "trust the clock";
    let remedy = "timedatectl set-ntp true, or run another NTP client";
    let refused = patient.ledger.refused_head().ok().flatten();
    if let Some(head) = refused.filter(|head| head.refusal.reason == Reason::Clock) {
        return Err(Fault::wait(doing, head.refusal).remedy(remedy));
    }
    let now = Timestamp::now().as_second();
    if let Some(newest) = patient.ledger.newest().ok().flatten()
        && newest.record.committed > now + BEHIND
    {
        let behind = SignedDuration::from_secs(newest.record.committed - now);
        let because = format!("it is {behind:#} behind the newest accepted commit");
        return Err(Fault::wait(doing, because).remedy(remedy));
    }
    match is_synchronised().await {
        Some(true) => Ok(Word::Fine("follows a time server".to_owned())),
        // Nobody in it could set the clock.
        Some(false) if is_container() => Ok(Word::Note {
            text: "it is the clock of the machine that this container runs on: see there that it \
                   follows a time server"
                .to_owned(),
            remedy: None,
        }),
        Some(false) => Err(Fault::wait(doing, "it follows no time server").remedy(remedy)),
        None => Ok(Word::Note {
            text: "not behind the commits; nobody tells whether it follows a time server"
                .to_owned(),
            remedy: None,
        }),
    }
}

/// Whether this is a container, as those who make them say (systemd's CONTAINER_INTERFACE,
/// Docker, Podman).
fn is_container() -> bool {
    ["/run/systemd/container", "/.dockerenv", "/run/.containerenv"]
        .iter()
        .any(|file| Path::new(file).exists())
}

/// Why the agent does not obey what a source shows; nothing where it does, or where no
/// agent runs.
pub(super) async fn refused_from(patient: &Patient, source: &str) -> Option<Refusal> {
    let path = socket::path(&patient.config.runtime_directory);
    match socket::ask(&path, Request::Status, patient.deadline).await {
        Ok(Reply::Status(status)) => {
            let mut sources = status.sources.into_iter();
            sources.find(|one| one.name == source).and_then(|one| one.refusal)
        }
        Ok(Reply::Refused { .. }) | Err(_) => None,
    }
}

/// What the host runs, judged as `writ status` does; that no agent runs is told apart.
pub(super) async fn condition(patient: &Patient) -> Checked {
    let path = socket::path(&patient.config.runtime_directory);
    let host = &patient.config.host;
    let status = match socket::ask(&path, Request::Status, patient.deadline).await {
        Ok(Reply::Status(status)) => *status,
        Ok(Reply::Refused { .. }) | Err(_) => {
            gather(host, &patient.ledger, &patient.world, None).await?
        }
    };
    if status.generation.is_none() {
        return Ok("nothing was accepted yet, so nothing runs".to_owned());
    }
    let reasons = status.judgement.reasons.iter().filter(|reason| reason.about != Subject::Agent);
    let reasons: Vec<&str> = reasons.map(|reason| reason.text.as_str()).collect();
    if reasons.is_empty() {
        return Ok(format!("{} services, as the commit says", status.services.len()));
    }
    let failed = status.services.iter().filter(|(_, service)| service.failure.is_some());
    let remedy = failed.map(|(name, _)| format!("; journalctl -u writ-{name}"));
    Err(Fault::wait("see everything as the commit says", reasons.join("\n"))
        .remedy(format!("writ status{}", remedy.collect::<String>())))
}

pub(super) async fn agent(patient: &Patient) -> Checked {
    let path = socket::path(&patient.config.runtime_directory);
    let doing = || format!("ask the agent at {}", path.display());
    match socket::ask(&path, Request::Status, patient.deadline).await {
        Ok(Reply::Status(status)) => match (status.paused, status.fetched) {
            (Some(pause), _) => Ok(format!("runs, {pause}")),
            (None, Some(fetched)) => Ok(format!("runs, and saw the branch at {fetched}")),
            (None, None) => Ok("runs, and has not seen the branch yet".to_owned()),
        },
        Ok(Reply::Refused { because }) => Err(Fault::wait(doing(), because)),
        Err(error) if socket::nobody_listens(&error) => {
            Err(Fault::wait(doing(), "nobody is there, so nothing follows the branch")
                .remedy("systemctl enable --now writ-agent"))
        }
        Err(error) => Err(Fault::wait(doing(), error).remedy("journalctl -u writ-agent")),
    }
}
