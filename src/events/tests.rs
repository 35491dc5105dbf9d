//! A journal on a real disk.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;

use super::*;

fn journal() -> (tempfile::TempDir, Events) {
    let dir = tempfile::tempdir().unwrap();
    let events = Events::at(dir.path().join("events.jsonl"));
    (dir, events)
}

fn kinds(events: &Events) -> Vec<Kind> {
    events.read().unwrap().into_iter().map(|event| event.kind).collect()
}

#[test]
fn what_was_told_last_is_not_told_again_even_after_a_restart() {
    let (_dir, events) = journal();
    events.tell(Kind::SourceFound, None, "it was never lost");
    for events in [events.clone(), Events::at(events.path().to_owned())] {
        events.tell(Kind::Waiting, Some(1), "for Caddy");
        events.tell(Kind::SourceLost, None, "port 1");
        events.tell(Kind::SourceLost, None, "port 2");
    }
    assert_eq!(kinds(&events), [Kind::Waiting, Kind::SourceLost]);
    events.tell(Kind::SourceFound, None, "");
    events.tell(Kind::SourceFound, None, "");
    events.tell(Kind::Waiting, Some(1), "for a disk");
    events.tell(Kind::Waiting, Some(2), "for a disk");
    assert_eq!(kinds(&events)[2..], [Kind::SourceFound, Kind::Waiting, Kind::Waiting]);
}

#[test]
fn half_a_line_costs_no_other_event() {
    let (_dir, events) = journal();
    events.tell(Kind::Confirmed, Some(1), "");
    let mut file = OpenOptions::new().append(true).open(events.path()).unwrap();
    file.write_all(b"{\"time\":\"2026-").unwrap();
    Events::at(events.path().to_owned()).tell(Kind::Confirmed, Some(2), "");
    assert_eq!(kinds(&events), [Kind::Confirmed, Kind::Confirmed]);
}

#[test]
fn a_long_journal_is_begun_anew_and_the_old_one_kept() {
    let (_dir, events) = journal();
    let mut follower = Follower::from_the_end(&events).unwrap();
    events.tell(Kind::Confirmed, Some(1), "");
    assert_eq!(follower.news().unwrap().len(), 1);
    let old = File::options().append(true).open(events.path()).unwrap();
    old.set_len(LENGTH).unwrap();
    events.tell(Kind::Confirmed, Some(2), "");
    assert!(fs::metadata(events.path()).unwrap().len() < 200);
    assert_eq!(events.read().unwrap().len(), 2);
    let seen: Vec<_> = follower.news().unwrap().iter().map(|e| e.generation).collect();
    assert_eq!(seen, [Some(2)], "a follower goes over to the new file");
}

#[test]
fn a_follower_waits_for_the_end_of_a_line() {
    let (_dir, events) = journal();
    events.tell(Kind::Confirmed, Some(1), "");
    let mut follower = Follower::from_the_end(&events).unwrap();
    let line = serde_json::to_vec(&events.read().unwrap()[0]).unwrap();
    let mut file = OpenOptions::new().append(true).open(events.path()).unwrap();
    file.write_all(&line[..9]).unwrap();
    assert_eq!(follower.news().unwrap(), []);
    file.write_all(&line[9..]).unwrap();
    file.write_all(b"\n").unwrap();
    assert_eq!(follower.news().unwrap(), events.read().unwrap()[..1]);
}

#[test]
fn a_text_without_end_is_cut_off() {
    let (_dir, events) = journal();
    events.tell(Kind::Waiting, None, "é".repeat(TEXT));
    assert!(events.read().unwrap()[0].text.len() <= TEXT + 3);
}
