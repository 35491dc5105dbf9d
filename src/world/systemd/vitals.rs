//! Since when units run, and how often systemd started them again by itself.
//!
//! Sources: org.freedesktop.systemd1(5) for `NRestarts` and the timestamps; systemd's
//! `core/unit.c` (`unit_export_invocation_id`, since 235) for the links in
//! `/run/systemd/units`, which are made at each start.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use tokio::try_join;

use super::bus::{Bus, BusError, UNIT};
use super::files::is_ours;
use super::properties::{SERVICE, interface};
use crate::names::UnitName;
use crate::plan::observed::Vitals;

const STARTED: &str = "/run/systemd/units";

pub(super) async fn vitals_of(bus: &Bus, unit: &UnitName) -> Result<Vitals, BusError> {
    if interface(unit) != Some(SERVICE) {
        return Ok(Vitals::default());
    }
    let (restarts, entered, left) = try_join!(
        bus.property::<u32>(unit, SERVICE, "NRestarts"),
        bus.property::<u64>(unit, UNIT, "ActiveEnterTimestampMonotonic"),
        bus.property::<u64>(unit, UNIT, "ActiveExitTimestampMonotonic"),
    )?;
    let now = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
    let uptime = (entered > left).then(|| now.saturating_sub(Duration::from_micros(entered)));
    Ok(Vitals { restarts, uptime })
}

/// Units of ours that were started less than `within` ago. Only a folder is read.
pub(super) fn started_within(within: Duration) -> BTreeSet<UnitName> {
    started_in(Path::new(STARTED), within)
}

fn started_in(folder: &Path, within: Duration) -> BTreeSet<UnitName> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeSet::new() };
    let lately = |entry: &fs::DirEntry| {
        let made = entry.metadata().and_then(|found| found.modified()).ok();
        // A clock that was put back makes it look as if it was started in the future.
        made.is_some_and(|made| {
            SystemTime::now().duration_since(made).map_or(true, |age| age < within)
        })
    };
    let named = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let unit: UnitName = name.to_str()?.strip_prefix("invocation:")?.parse().ok()?;
        (is_ours(&unit) && lately(&entry)).then_some(unit)
    };
    entries.filter_map(Result::ok).filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_known_by_its_link() {
        let folder = tempfile::tempdir().unwrap();
        for unit in ["writ-web.service", "ssh.service"] {
            let link = folder.path().join(format!("invocation:{unit}"));
            std::os::unix::fs::symlink("0123456789abcdef", link).unwrap();
        }
        fs::write(folder.path().join("log-level-max:writ-web.service"), "").unwrap();
        let web: UnitName = "writ-web.service".parse().unwrap();
        assert_eq!(started_in(folder.path(), Duration::from_secs(600)), BTreeSet::from([web]));
        assert_eq!(started_in(folder.path(), Duration::ZERO), BTreeSet::new());
        assert_eq!(started_in(Path::new("/nowhere"), Duration::MAX), BTreeSet::new());
    }
}
