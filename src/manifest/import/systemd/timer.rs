//! A timer that starts the unit, as `[schedule]`.

use super::draft::Draft;
use super::span::cron;
use super::unit::{Unit, boolean};

/// Writes `[schedule]`, and what of the timer has no place.
pub(super) fn write(draft: &mut Draft, timer: &Unit) {
    let mut found = false;
    for event in timer.list("Timer", "OnCalendar") {
        match cron(event).filter(|_| !found) {
            Some((line, zone)) => {
                found = true;
                draft.set("schedule", "cron", line);
                if let Some(zone) = zone {
                    draft.set("schedule", "timezone", zone);
                }
            }
            None if found => draft.lost("OnCalendar", event, "there is one cron line"),
            None => draft.lost("OnCalendar", event, "five cron fields cannot say it"),
        }
    }
    if !found {
        draft.note("schedule", "cron = \"…\": the timer has no time that five cron fields can say");
    }
    // Those that hold for every job, and what installs the timer.
    let persistent = timer.last("Timer", "Persistent").and_then(boolean);
    if persistent != Some(true) {
        draft.note("schedule", "a run that is missed while the host is off is made up for");
    }
    timer.list("Timer", "Unit");
    timer.list("Install", "WantedBy");
    timer.list("Unit", "Description");
    timer.list("Unit", "Documentation");
    if timer.last("Timer", "AccuracySec").is_some_and(|value| !matches!(value, "1s" | "1min")) {
        let value = timer.last("Timer", "AccuracySec").unwrap_or_default();
        draft.lost("AccuracySec", value, "a job starts within a second of its time");
    }
    for (_, key, value) in timer.strangers() {
        draft.lost(key, value, "a schedule has no such setting");
    }
}
