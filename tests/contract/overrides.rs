//! What `Units` promises about files that others put over units of ours.

use std::slice::from_ref;

use writ::fault::Retry;
use writ::names::UnitName;
use writ::plan::observed::{Override, OverrideKind, UnitState};
use writ::plan::step::Aside;
use writ::world::Units;

const SLEEPS: &str = "[Service]\nExecStart=/bin/sleep infinity\n";
const FAILS: &str = "[Service]\nType=oneshot\nExecStart=\nExecStart=/bin/false\n";

/// A machine whose administrator puts files where they like.
pub(crate) trait Administered: Units {
    /// Puts a file there (a mask, where the text is empty) and has systemd read it.
    fn put(&self, unit: &UnitName, over: &Override);
}

/// Hands the names of all promises to a macro of the caller's.
macro_rules! overrides_contract {
    ($each:ident) => {
        $each! {
            a_drop_in_is_in_force_until_it_is_moved,
            a_masked_unit_does_not_start_until_the_mask_is_moved,
            a_mask_over_a_running_unit_leaves_it_running,
            another_unit_of_the_same_name_wins_until_it_is_moved,
            moving_what_is_gone_is_fine,
            files_over_units_of_others_are_never_touched
        }
    };
}
pub(crate) use overrides_contract;

pub(crate) async fn a_drop_in_is_in_force_until_it_is_moved(units: &impl Administered) {
    for folder in ["/etc/systemd/system", "/run/systemd/system", "/run/systemd/system.control"] {
        let path = format!("{folder}/writ-over-dropin.service.d/mine.conf");
        in_force_until_moved(units, "writ-over-dropin.service", &path, OverrideKind::DropIn).await;
    }
}

pub(crate) async fn another_unit_of_the_same_name_wins_until_it_is_moved(
    units: &impl Administered,
) {
    let name = "writ-over-replaced.service";
    let path = format!("/etc/systemd/system/{name}");
    in_force_until_moved(units, name, &path, OverrideKind::Replacement).await;
}

async fn in_force_until_moved(
    units: &impl Administered,
    name: &str,
    path: &str,
    kind: OverrideKind,
) {
    let unit = written(units, name).await;
    let over = over(path, kind, FAILS);
    units.put(&unit, &over);
    assert_eq!(units.overrides().unwrap().remove(&unit), Some(vec![over.clone()]));
    let fault = units.start(&unit, from_ref(&unit)).await.unwrap_err();
    assert_eq!(fault.retry, Retry::NextCommit, "{fault}");
    units.stop(&unit).await.unwrap();
    units.set_aside(&[aside(&unit, &over)]).await.unwrap();
    assert_eq!(units.overrides().unwrap().remove(&unit), None);
    units.start(&unit, from_ref(&unit)).await.unwrap();
    clear(units, &unit).await;
}

pub(crate) async fn a_masked_unit_does_not_start_until_the_mask_is_moved(
    units: &impl Administered,
) {
    let unit = written(units, "writ-over-masked.service").await;
    let mask = over(&format!("/etc/systemd/system/{unit}"), OverrideKind::Mask, "");
    units.put(&unit, &mask);
    assert_eq!(units.overrides().unwrap().remove(&unit), Some(vec![mask.clone()]));
    units.start(&unit, from_ref(&unit)).await.unwrap_err();
    units.set_aside(&[aside(&unit, &mask)]).await.unwrap();
    units.start(&unit, from_ref(&unit)).await.unwrap();
    clear(units, &unit).await;
}

pub(crate) async fn a_mask_over_a_running_unit_leaves_it_running(units: &impl Administered) {
    let unit = written(units, "writ-over-running.service").await;
    units.start(&unit, from_ref(&unit)).await.unwrap();
    let before = units.pulse(from_ref(&unit)).await.unwrap();
    let mask = over(&format!("/etc/systemd/system/{unit}"), OverrideKind::Mask, "");
    units.put(&unit, &mask);
    let seen = units.observe().await.unwrap().remove(&unit).unwrap();
    assert_eq!((seen.file.as_deref(), seen.state), (Some(SLEEPS), UnitState::Active));
    units.set_aside(&[aside(&unit, &mask)]).await.unwrap();
    assert_eq!(units.pulse(from_ref(&unit)).await.unwrap(), before);
    units.stop(&unit).await.unwrap();
    units.start(&unit, from_ref(&unit)).await.unwrap();
    clear(units, &unit).await;
}

pub(crate) async fn moving_what_is_gone_is_fine(units: &impl Administered) {
    let unit = written(units, "writ-over-gone.service").await;
    let path = format!("/etc/systemd/system/{unit}.d/mine.conf");
    let over = over(&path, OverrideKind::DropIn, FAILS);
    units.set_aside(&[aside(&unit, &over)]).await.unwrap();
    units.put(&unit, &over);
    for _ in 0..2 {
        units.set_aside(&[aside(&unit, &over)]).await.unwrap();
    }
    clear(units, &unit).await;
}

pub(crate) async fn files_over_units_of_others_are_never_touched(units: &impl Administered) {
    for name in ["somebodys.service", "writ-agent.service"] {
        let unit: UnitName = name.parse().unwrap();
        let path = format!("/etc/systemd/system/{name}.d/mine.conf");
        let over = over(&path, OverrideKind::DropIn, SLEEPS);
        let fault = units.set_aside(&[aside(&unit, &over)]).await.unwrap_err();
        assert_eq!(fault.retry, Retry::NextCommit, "{fault}");
    }
}

fn over(path: &str, kind: OverrideKind, text: &str) -> Override {
    Override { path: path.parse().unwrap(), kind, text: text.to_owned(), movable: true }
}

fn aside(unit: &UnitName, over: &Override) -> Aside {
    Aside { unit: unit.clone(), path: over.path.clone(), stop: false }
}

async fn written(units: &impl Units, name: &str) -> UnitName {
    let unit: UnitName = name.parse().unwrap();
    clear(units, &unit).await;
    units.write(&unit, None, SLEEPS).await.unwrap();
    unit
}

async fn clear(units: &impl Units, unit: &UnitName) {
    units.stop(unit).await.unwrap();
    let found = units.observe().await.unwrap().remove(unit).and_then(|found| found.file);
    if let Some(text) = found {
        units.remove(unit, &text).await.unwrap();
    }
}
