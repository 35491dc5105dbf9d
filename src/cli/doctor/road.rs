//! The road to this host: what it pins, what it accepted, the branch, the caches.

use std::path::Path;

use super::host::refused_from;
use super::{Checked, Noted, Patient, Word};
use crate::fault::Fault;
use crate::source::repo::Repository;
use crate::source::roads::Road;
use crate::trust;
use crate::world::nix::check_public_key;
use crate::world::{Store as _, World as _};

/// The file itself was read and checked; here, whether somebody could swap it.
pub(super) async fn config(patient: &Patient) -> Checked {
    let path = &patient.config_path;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    only_roots(folder.unwrap_or(Path::new(".")))?;
    let pins = patient.config.pins();
    Ok(format!("{}: {} from {} on", path.display(), pins.channel, pins.introduction.short()))
}

/// A folder that others may write holds files that others may replace.
fn only_roots(folder: &Path) -> Result<(), Fault> {
    let doing = || format!("trust the files in {}", folder.display());
    let stat = rustix::fs::stat(folder).map_err(|error| Fault::wait(doing(), error))?;
    let (mode, own) = (stat.st_mode & 0o7777, rustix::process::geteuid().as_raw());
    // Where the sticky bit is set, as on /nix/store, files are their owners'.
    let kept = mode & 0o022 == 0 || mode & 0o1000 != 0;
    if kept && [0, own].contains(&stat.st_uid) {
        return Ok(());
    }
    let because = format!(
        "others may write there (mode {mode:o}, owner {}), and so replace them",
        stat.st_uid
    );
    Err(Fault::wait(doing(), because)
        .remedy(format!("chown root {0}; chmod 0755 {0}", folder.display())))
}

/// The last accepted commit, and that its objects are here.
pub(super) async fn anchor(patient: &Patient) -> Checked {
    let Some(anchor) = patient.ledger.anchor()? else {
        return Ok("nothing was accepted yet".to_owned());
    };
    only_roots(&patient.config.state_directory)?;
    let repository = Repository::open(&patient.ledger.repository())?;
    if !repository.contains(&anchor.commit) {
        let doing = format!("find the accepted commit {}", anchor.commit.short());
        let because = "it is not in this host's copy of the repository";
        return Err(Fault::wait(doing, because).remedy("have the agent fetch it: writ sync"));
    }
    Ok(format!("commit {} was accepted last, and is here", anchor.commit.short()))
}

/// Where the branch stands at one source, by the road that the agent takes.
pub(super) async fn source(patient: &Patient, road: Road) -> Checked {
    let tip = road.source.look().await?;
    let stands =
        format!("{} of {} is at {}", patient.config.repository.branch, road.name, tip.short());
    let Some(anchor) = patient.ledger.anchor().ok().flatten() else { return Ok(stands) };
    if anchor.commit == tip {
        return Ok(format!("{stands}, which is accepted"));
    }
    let refused = refused_from(patient, &road.name).await.filter(|refusal| refusal.commit == tip);
    if let Some(refusal) = refused {
        return Err(Fault::wait(format!("follow {}", road.name), &refusal).remedy(refusal.remedy));
    }
    let copy = Repository::open(&patient.ledger.repository()).ok();
    match copy.and_then(|copy| trust::first_met(&copy, &anchor, &[&tip]).cloned()) {
        Some(_) => Ok(format!("{stands}, which is behind the accepted one")),
        None => Ok(format!("{stands}, which is not the accepted one")),
    }
}

/// The keys of the caches: each well-formed, and at least one where there is a cache.
pub(super) async fn keys(patient: &Patient) -> Checked {
    let nix = &patient.config.nix;
    let doing = "use nix.trustedPublicKeys";
    for key in &nix.trusted_public_keys {
        check_public_key(key).map_err(|bad| {
            Fault::wait(doing, bad)
                .remedy("write it as the cache's owner published it: NAME:BASE64")
        })?;
    }
    match (nix.substituters.len(), nix.trusted_public_keys.len()) {
        (0, _) => Ok("no cache is named: closures have to be in the store already".to_owned()),
        (_, 0) => Err(Fault::wait(doing, "there is none, so nix takes nothing from the caches")
            .remedy("add the caches' public keys to nix.trustedPublicKeys")),
        (caches, keys) => Ok(format!("{keys} for {caches} caches")),
    }
}

pub(super) async fn cache(patient: &Patient, url: &str) -> Noted {
    match patient.world.store().ask_cache(url, patient.deadline).await {
        Ok(told) => Ok(Word::Fine(format!("{url}: {told}"))),
        Err(_) if is_to_come(patient, url).await => Ok(Word::Note {
            text: format!("{url}: there is no such folder yet, and no service here needs it"),
            remedy: Some("the first upload makes it: writ push".to_owned()),
        }),
        Err(fault) => Err(fault),
    }
}

/// A cache in a folder that nobody has uploaded to, on a host that runs nothing yet.
async fn is_to_come(patient: &Patient, url: &str) -> bool {
    let Some(folder) = url.strip_prefix("file://") else { return false };
    let runs = patient.world.store().observe().await.map(|store| !store.current.is_empty());
    !Path::new(folder).exists() && runs.is_ok_and(|runs| !runs)
}
