//! What every implementation of `Units` promises.
//!
//! The units here are so plain that a fresh machine can run them, and that a
//! fake can do without systemd's rules: a unit whose text says
//! `ExecStart=/bin/false` fails at each start, any other runs until it is stopped.

use std::slice::from_ref;

use writ::fault::Retry;
use writ::names::UnitName;
use writ::plan::environment::{self, ContentDigest, Environment};
use writ::plan::observed::{ObservedUnit, Pulse, UnitState};
use writ::world::Units;

const SLEEPS: &str = "[Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/true\n";
const SLEEPS_LONG: &str = "[Service]\nExecStart=/bin/sleep 1000000\n";
const FAILS: &str = "[Service]\nType=oneshot\nExecStart=/bin/false\n";

/// Hands the names of all promises to a macro of the caller's.
macro_rules! units_contract {
    ($each:ident) => {
        $each! {
            a_unit_never_written_is_not_started,
            a_write_that_expects_something_else_changes_nothing,
            a_written_unit_is_observed,
            starting_a_running_unit_changes_nothing,
            stopping_what_does_not_run_is_fine,
            a_changed_text_takes_effect_on_stop_write_start,
            a_failed_unit_starts_once_it_is_mended,
            a_process_that_fails_at_once_is_the_generations_fault,
            a_restart_shows_in_the_pulse,
            a_reload_keeps_the_process,
            a_removed_unit_is_gone,
            a_running_unit_without_its_file_is_seen,
            units_of_others_are_never_touched,
            a_unit_that_never_ran_has_no_journal,
            an_environment_is_kept_and_a_unit_that_lacks_it_is_not_started
        }
    };
}
pub(crate) use units_contract;

pub(crate) async fn an_environment_is_kept_and_a_unit_that_lacks_it_is_not_started(
    units: &impl Units,
) {
    let unit = fresh(units, "writ-contract-environment.service").await;
    let service = unit.service().unwrap();
    let text = format!("{SLEEPS}EnvironmentFile={}\n", environment::path(&service));
    let none = Environment::default();
    units.set_environment(&service, &none).await.unwrap();
    units.write(&unit, None, &text).await.unwrap();
    let fault = units.start(&unit, from_ref(&unit)).await.unwrap_err();
    assert!(fault.because.contains("environment file"), "{fault}");
    let all = Environment {
        text: Some("A=\"1\"\n".to_owned()),
        started_with: Some(ContentDigest([7; 32])),
    };
    for to in [&all, &Environment { started_with: None, ..all.clone() }, &all] {
        for _ in 0..2 {
            units.set_environment(&service, to).await.unwrap();
        }
        assert_eq!(units.environments().unwrap().get(&service), Some(to));
    }
    units.start(&unit, from_ref(&unit)).await.unwrap();
    units.stop(&unit).await.unwrap();
    units.remove(&unit, &text).await.unwrap();
    units.set_environment(&service, &none).await.unwrap();
    assert_eq!(units.environments().unwrap().get(&service), None);
}

pub(crate) async fn a_unit_never_written_is_not_started(units: &impl Units) {
    let unit = fresh(units, "writ-contract-never.service").await;
    let fault = units.start(&unit, from_ref(&unit)).await.unwrap_err();
    assert_eq!(fault.retry, Retry::NextCommit, "{fault}");
    assert!(fault.to_string().contains(unit.as_str()), "{fault}");
    assert_eq!(observed(units, &unit).await, None);
}

pub(crate) async fn a_write_that_expects_something_else_changes_nothing(units: &impl Units) {
    let unit = fresh(units, "writ-contract-expect.service").await;
    assert!(units.write(&unit, Some(SLEEPS), SLEEPS_LONG).await.is_err());
    assert_eq!(observed(units, &unit).await, None);
    units.write(&unit, None, SLEEPS).await.unwrap();
    for stale in [None, Some(FAILS)] {
        let fault = units.write(&unit, stale, SLEEPS_LONG).await.unwrap_err();
        assert_eq!(fault.retry, Retry::Soon, "{fault}");
        assert_eq!(file(units, &unit).await.as_deref(), Some(SLEEPS));
    }
    units.write(&unit, Some(SLEEPS), SLEEPS_LONG).await.unwrap();
    // Writing what is there already is writing it again.
    units.write(&unit, Some(SLEEPS), SLEEPS_LONG).await.unwrap();
    assert_eq!(file(units, &unit).await.as_deref(), Some(SLEEPS_LONG));
    clear(units, &unit).await;
}

pub(crate) async fn a_written_unit_is_observed(units: &impl Units) {
    let unit = fresh(units, "writ-contract-written.service").await;
    units.write(&unit, None, SLEEPS).await.unwrap();
    let expected = ObservedUnit { file: Some(SLEEPS.to_owned()), state: UnitState::Inactive };
    assert_eq!(observed(units, &unit).await, Some(expected));
    clear(units, &unit).await;
}

pub(crate) async fn starting_a_running_unit_changes_nothing(units: &impl Units) {
    let unit = running(units, "writ-contract-twice.service").await;
    let before = pulse(units, &unit).await;
    assert_eq!(before.state, UnitState::Active);
    assert_eq!(before.failure, None);
    assert_ne!(before.invocation, "");
    units.start(&unit, from_ref(&unit)).await.unwrap();
    assert_eq!(pulse(units, &unit).await, before);
    clear(units, &unit).await;
}

pub(crate) async fn stopping_what_does_not_run_is_fine(units: &impl Units) {
    let unit = fresh(units, "writ-contract-stop.service").await;
    units.stop(&unit).await.unwrap();
    units.write(&unit, None, SLEEPS).await.unwrap();
    units.stop(&unit).await.unwrap();
    units.start(&unit, from_ref(&unit)).await.unwrap();
    units.stop(&unit).await.unwrap();
    units.stop(&unit).await.unwrap();
    assert_eq!(pulse(units, &unit).await.state, UnitState::Inactive);
    clear(units, &unit).await;
}

pub(crate) async fn a_changed_text_takes_effect_on_stop_write_start(units: &impl Units) {
    let unit = running(units, "writ-contract-change.service").await;
    units.stop(&unit).await.unwrap();
    units.write(&unit, Some(SLEEPS), FAILS).await.unwrap();
    assert!(units.start(&unit, from_ref(&unit)).await.is_err());
    clear(units, &unit).await;
}

/// A text that changes below a unit that is loaded still, too.
pub(crate) async fn a_failed_unit_starts_once_it_is_mended(units: &impl Units) {
    let unit = fresh(units, "writ-contract-mended.service").await;
    units.write(&unit, None, FAILS).await.unwrap();
    units.start(&unit, from_ref(&unit)).await.unwrap_err();
    assert_eq!(pulse(units, &unit).await.state, UnitState::Failed);
    units.write(&unit, Some(FAILS), SLEEPS).await.unwrap();
    units.start(&unit, from_ref(&unit)).await.unwrap();
    assert_eq!(pulse(units, &unit).await.state, UnitState::Active);
    clear(units, &unit).await;
}

pub(crate) async fn a_process_that_fails_at_once_is_the_generations_fault(units: &impl Units) {
    let unit = fresh(units, "writ-contract-fails.service").await;
    units.write(&unit, None, FAILS).await.unwrap();
    let fault = units.start(&unit, from_ref(&unit)).await.unwrap_err();
    assert_eq!(fault.retry, Retry::NextCommit, "{fault}");
    assert!(!fault.evidence.is_empty(), "{fault}");
    let after = pulse(units, &unit).await;
    assert_eq!(after.state, UnitState::Failed);
    assert_eq!(after.failure.as_deref(), Some("exit-code, status 1"));
    units.stop(&unit).await.unwrap();
    assert_eq!(pulse(units, &unit).await.state, UnitState::Inactive);
    clear(units, &unit).await;
}

pub(crate) async fn a_restart_shows_in_the_pulse(units: &impl Units) {
    let unit = running(units, "writ-contract-restart.service").await;
    let before = pulse(units, &unit).await;
    units.stop(&unit).await.unwrap();
    units.start(&unit, from_ref(&unit)).await.unwrap();
    let after = pulse(units, &unit).await;
    assert_eq!(after.state, UnitState::Active);
    assert_ne!(after.invocation, before.invocation);
    assert_ne!(after.main_pid, before.main_pid);
    clear(units, &unit).await;
}

pub(crate) async fn a_reload_keeps_the_process(units: &impl Units) {
    let unit = running(units, "writ-contract-reload.service").await;
    let before = pulse(units, &unit).await;
    units.reload(&unit).await.unwrap();
    assert_eq!(pulse(units, &unit).await, before);
    clear(units, &unit).await;
}

pub(crate) async fn a_removed_unit_is_gone(units: &impl Units) {
    let unit = running(units, "writ-contract-removed.service").await;
    units.stop(&unit).await.unwrap();
    let fault = units.remove(&unit, SLEEPS_LONG).await.unwrap_err();
    assert_eq!(fault.retry, Retry::Soon, "{fault}");
    assert_eq!(file(units, &unit).await.as_deref(), Some(SLEEPS));
    units.remove(&unit, SLEEPS).await.unwrap();
    units.remove(&unit, SLEEPS).await.unwrap();
    assert_eq!(observed(units, &unit).await, None);
    units.start(&unit, from_ref(&unit)).await.unwrap_err();
}

pub(crate) async fn a_running_unit_without_its_file_is_seen(units: &impl Units) {
    let unit = running(units, "writ-contract-orphan.service").await;
    units.remove(&unit, SLEEPS).await.unwrap();
    let expected = ObservedUnit { file: None, state: UnitState::Active };
    assert_eq!(observed(units, &unit).await, Some(expected));
    units.stop(&unit).await.unwrap();
    assert_eq!(observed(units, &unit).await, None);
}

pub(crate) async fn units_of_others_are_never_touched(units: &impl Units) {
    for name in ["dbus.service", "writ-agent.service", "writ-boot.service"] {
        let unit: UnitName = name.parse().unwrap();
        units.write(&unit, None, SLEEPS).await.unwrap_err();
        units.remove(&unit, SLEEPS).await.unwrap_err();
        units.start(&unit, &[]).await.unwrap_err();
        units.stop(&unit).await.unwrap_err();
        units.reload(&unit).await.unwrap_err();
        assert_eq!(observed(units, &unit).await, None);
    }
}

pub(crate) async fn a_unit_that_never_ran_has_no_journal(units: &impl Units) {
    let unit = fresh(units, "writ-contract-silent.service").await;
    assert_eq!(units.journal(&unit, 10).await, Vec::<String>::new());
}

/// A unit of this name, with nothing left of an earlier run.
async fn fresh(units: &impl Units, name: &str) -> UnitName {
    let unit = name.parse().unwrap();
    clear(units, &unit).await;
    unit
}

async fn running(units: &impl Units, name: &str) -> UnitName {
    let unit = fresh(units, name).await;
    units.write(&unit, None, SLEEPS).await.unwrap();
    units.start(&unit, from_ref(&unit)).await.unwrap();
    unit
}

async fn clear(units: &impl Units, unit: &UnitName) {
    units.stop(unit).await.unwrap();
    if let Some(text) = file(units, unit).await {
        units.remove(unit, &text).await.unwrap();
    }
}

async fn observed(units: &impl Units, unit: &UnitName) -> Option<ObservedUnit> {
    units.observe().await.unwrap().remove(unit)
}

async fn file(units: &impl Units, unit: &UnitName) -> Option<String> {
    observed(units, unit).await.and_then(|found| found.file)
}

async fn pulse(units: &impl Units, unit: &UnitName) -> Pulse {
    let mut pulses = units.pulse(from_ref(unit)).await.unwrap();
    pulses.remove(unit).unwrap()
}
