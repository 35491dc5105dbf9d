//! A ledger on a real disk.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, symlink};

use super::files::{decode, encode};
use super::*;
use crate::names::UnitName;
use crate::trust::Anchor;

fn ledger() -> (tempfile::TempDir, Ledger) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    (dir, ledger)
}

fn anchor() -> Anchor {
    let commit: CommitId = "a".repeat(40).parse().unwrap();
    Anchor { commit: commit.clone(), payload: "b".repeat(64), time: 0, introduction: commit }
}

#[test]
fn a_new_ledger_has_no_anchor() {
    let (_dir, ledger) = ledger();
    assert_eq!(ledger.anchor().unwrap(), None);
}

#[test]
fn a_damaged_anchor_is_never_a_first_boot() {
    let (dir, ledger) = ledger();
    for damage in ["", "{", "{\"version\":2}", "{\"version\":1,\"commit\":\"x\",\"payload\":\"\"}"]
    {
        fs::write(dir.path().join("anchor.json"), damage).unwrap();
        let error = ledger.anchor().unwrap_err();
        assert!(matches!(error, LedgerError::Damaged { .. }), "{damage}: {error}");
        assert!(error.remedy().contains("writ trust reset"));
    }
}

#[test]
fn an_anchor_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, ledger) = ledger();
    ledger.write("anchor.json", 0o600, &anchor()).unwrap();
    assert_eq!(ledger.anchor().unwrap(), Some(anchor()));
    let path = dir.path().join("anchor.json");
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    assert!(matches!(ledger.anchor(), Err(LedgerError::Writable { .. })));
}

#[test]
fn a_lost_anchor_is_not_a_first_boot_where_generations_are() {
    let (dir, ledger) = ledger();
    let folder = dir.path().join("generations/1");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("commit.json"), "{}").unwrap();
    assert!(matches!(ledger.anchor(), Err(LedgerError::AnchorLost { .. })));
}

fn recorded(dir: &Path, number: u64, verdict: &str) {
    let folder = dir.join(format!("generations/{number}"));
    fs::create_dir_all(&folder).unwrap();
    let record = CommitRecord {
        commit: "a".repeat(40).parse().unwrap(),
        signer: "alice".parse().unwrap(),
        key: format!("SHA256:{}", "b".repeat(43)).parse().unwrap(),
        author: String::new(),
        committed: 0,
        subject: String::new(),
        accepted: String::new(),
        urgent: false,
        must_pass: false,
        behind: None,
    };
    fs::write(folder.join("commit.json"), encode(&record).unwrap()).unwrap();
    fs::write(folder.join("verdict.json"), verdict).unwrap();
}

#[test]
fn the_last_good_generation_is_known_without_its_link() {
    let (dir, ledger) = ledger();
    let good = "{\"version\": 1, \"kind\": \"confirmed\", \"at\": \"x\"}";
    let begun = "{\"version\": 1, \"kind\": \"applying\", \"since\": \"x\"}";
    for (number, verdict) in [(1, good), (2, good), (3, "{"), (4, begun)] {
        recorded(dir.path(), number, verdict);
    }
    let link = dir.path().join("last-good");
    let remove = || fs::remove_file(&link).unwrap();
    assert_eq!(ledger.last_good().unwrap(), Some(2), "the link is lost");
    for target in ["generations/9", "somewhere/else", "generations/1"] {
        symlink(target, &link).unwrap();
        let known = if target == "generations/1" { 1 } else { 2 };
        assert_eq!(ledger.last_good().unwrap(), Some(known), "{target}");
        remove();
    }
    fs::write(&link, "no link").unwrap();
    assert_eq!(ledger.last_good().unwrap(), Some(2));
    ledger.set_good(1).unwrap();
    assert_eq!(ledger.last_good().unwrap(), Some(1), "it can be written again");
}

#[test]
fn a_damaged_refused_head_is_written_again_and_forgotten() {
    let (dir, ledger) = ledger();
    fs::write(dir.path().join("head.json"), "{").unwrap();
    assert!(ledger.refused_head().unwrap_err().remedy().contains("delete"));
    assert!(ledger.forget_head().unwrap());
    assert!(!ledger.forget_head().unwrap());
}

#[test]
fn units_are_kept_for_the_next_boot_and_shared_while_they_do_not_change() {
    let (dir, ledger) = ledger();
    let unit = |name: &str| -> UnitName { format!("writ-{name}.service").parse().unwrap() };
    let one = BTreeMap::from([(unit("a"), "a1".to_owned()), (unit("b"), "b1".to_owned())]);
    let two = BTreeMap::from([(unit("a"), "a2".to_owned()), (unit("b"), "b1".to_owned())]);
    for (number, units) in [(1, &one), (2, &two)] {
        recorded(dir.path(), number, "");
        ledger.keep_units(number, units, &BTreeMap::new()).unwrap();
        ledger.keep_units(number, units, &BTreeMap::new()).unwrap();
        ledger.verdict(number, &Verdict::Confirmed { at: String::new() }).unwrap();
    }
    assert_eq!((ledger.units(1).unwrap(), ledger.units(2).unwrap()), (one, two));
    let inode = |n: u64, name: &str| {
        let path = dir.path().join(format!("generations/{n}/units/writ-{name}.service"));
        fs::metadata(path).unwrap().ino()
    };
    assert_eq!(inode(1, "b"), inode(2, "b"));
    assert_ne!(inode(1, "a"), inode(2, "a"));
    let own = BTreeMap::from([("a".parse().unwrap(), "A=\"1\"\n".to_owned())]);
    ledger.keep_units(2, &ledger.units(2).unwrap(), &own).unwrap();
    assert_eq!(ledger.environments(2).unwrap(), own);
    assert_eq!(ledger.units(2).unwrap().len(), 2, "an environment is no unit");
    let private = fs::metadata(dir.path().join("generations/2/units/a.env")).unwrap();
    assert_eq!(private.mode() & 0o777, 0o600);
}

#[test]
fn the_state_is_closed_to_others_and_lies_where_only_root_can_move_it() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("open/state");
    fs::create_dir_all(&state).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(&state, 0o755);
    Ledger::open(&state).unwrap();
    assert_eq!(fs::metadata(&state).unwrap().mode() & 0o027, 0, "an older version's is closed");
    mode(&dir.path().join("open"), 0o777);
    let error = Ledger::open(&state).unwrap_err();
    assert!(error.to_string().contains("/open may be changed by others"), "{error}");
}

#[test]
fn a_confirmed_generation_is_the_last_good_one() {
    let (dir, ledger) = ledger();
    recorded(dir.path(), 3, "");
    let verdict = Verdict::Confirmed { at: "2026-01-01T00:00:00Z".to_owned() };
    ledger.verdict(3, &verdict).unwrap();
    assert_eq!(ledger.last_good().unwrap(), Some(3));
    assert_eq!(ledger.current().unwrap(), Some(3));
    let text = fs::read_to_string(dir.path().join("generations/3/verdict.json")).unwrap();
    assert_eq!(decode::<Verdict>(text.as_bytes()).unwrap(), verdict);
}

#[test]
fn of_agents_that_start_in_the_same_instant_one_has_the_host() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let start = std::sync::Barrier::new(8);
    let claims: Vec<_> = std::thread::scope(|scope| {
        let claim = || {
            start.wait();
            ledger.claim()
        };
        let agents: Vec<_> = (0..8).map(|_| scope.spawn(claim)).collect();
        agents.into_iter().map(|agent| agent.join().unwrap()).collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = claims.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 7));
    let refused = ledger.claim().unwrap_err().to_string();
    assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
    drop(won);
    ledger.claim().unwrap();
}

#[test]
fn a_generation_that_is_forgotten_goes_whole() {
    let (dir, ledger) = ledger();
    let good = "{\"version\": 1, \"kind\": \"confirmed\", \"at\": \"x\"}";
    for number in 1..=4 {
        recorded(dir.path(), number, good);
    }
    ledger.retire([2, 9].into_iter()).unwrap();
    assert_eq!(ledger.numbers().unwrap(), [1, 3, 4]);
    // Killed while the folder of 3 was being emptied.
    let all = dir.path().join("generations");
    fs::rename(all.join("3"), all.join(".gone-3")).unwrap();
    fs::remove_file(all.join(".gone-3/verdict.json")).unwrap();
    assert_eq!(ledger.numbers().unwrap(), [1, 4]);
    ledger.retire(std::iter::empty()).unwrap();
    let mut left: Vec<_> = fs::read_dir(&all).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["1", "4"]);
}

#[test]
fn what_is_needed_is_told_with_its_closures() {
    use crate::plan::retention::Why::{Booted, Current, LastGood, Newest, Unfinished};
    let (dir, ledger) = ledger();
    let good = "{\"version\": 1, \"kind\": \"confirmed\", \"at\": \"x\"}";
    let waiting = "{\"version\": 1, \"kind\": \"waiting\", \"since\": \"x\", \"reasons\": []}";
    let verdicts = [(1, good), (2, waiting), (3, good), (4, waiting), (5, "{")];
    for (number, verdict) in verdicts {
        recorded(dir.path(), number, verdict);
    }
    ledger.set_good(3).unwrap();
    ledger.set_booted(Some(1)).unwrap();
    let path: crate::names::StorePath =
        format!("/nix/store/{}-web", "0".repeat(32)).parse().unwrap();
    for number in [2, 3, 5] {
        let closures = BTreeMap::from([("web".parse().unwrap(), path.clone())]);
        ledger.keep_closures(number, closures).unwrap();
    }
    fs::write(dir.path().join("generations/5/closures.json"), "").unwrap();
    let needed = ledger.needed().unwrap();
    let why: Vec<Vec<_>> =
        needed.needed.into_values().map(|why| why.into_iter().collect()).collect();
    let wanted: [Vec<_>; 5] =
        [vec![Booted], vec![], vec![Current, LastGood], vec![], vec![Newest, Unfinished]];
    let mut doubtful = wanted.clone();
    doubtful[3] = vec![Unfinished];
    assert_eq!(why, doubtful, "2 was overtaken, 4 maybe: the verdict of 5 cannot be read");
    let told = [(1, None), (3, Some([path].into())), (4, None), (5, None)];
    assert_eq!(needed.closures, BTreeMap::from(told));
    fs::write(dir.path().join("generations/5/verdict.json"), waiting).unwrap();
    let why: Vec<Vec<_>> =
        ledger.needed().unwrap().needed.into_values().map(|w| w.into_iter().collect()).collect();
    assert_eq!(why, wanted, "2 and 4 were overtaken");
}

#[test]
fn retiring_leaves_alone_what_others_are_writing() {
    let (dir, ledger) = ledger();
    recorded(dir.path(), 1, "");
    let written = ["incoming.pack", "pause.json.new", "generations/1/commit.json.new"];
    for name in written {
        fs::write(dir.path().join(name), "").unwrap();
    }
    ledger.retire(std::iter::empty()).unwrap();
    assert!(written.iter().all(|name| dir.path().join(name).exists()), "`writ gc` took some");
    ledger.sweep().unwrap();
    assert!(dir.path().join("incoming.pack").exists(), "a fetch may be under way");
    ledger.sweep_incoming();
    assert!(!written.iter().any(|name| dir.path().join(name).exists()));
}

#[test]
fn only_one_has_the_turn() {
    let (_dir, ledger) = ledger();
    let turn = ledger.turn().unwrap();
    assert!(turn.is_some() && ledger.turn().unwrap().is_none());
    drop(turn);
    assert!(ledger.turn().unwrap().is_some());
}

#[test]
fn what_has_to_pass_is_needed_and_what_was_overtaken_is_not() {
    let (dir, ledger) = ledger();
    let good = "{\"version\": 1, \"kind\": \"confirmed\", \"at\": \"x\"}";
    let waiting = "{\"version\": 1, \"kind\": \"waiting\", \"since\": \"x\", \"reasons\": []}";
    for (number, verdict) in [(1, good), (2, waiting), (3, waiting), (4, waiting)] {
        recorded(dir.path(), number, verdict);
    }
    // 4 has to wait for 3.
    let path = dir.path().join("generations/4/commit.json");
    let text = fs::read_to_string(&path).unwrap().replacen('{', "{\"behind\": 3,", 1);
    fs::write(&path, text).unwrap();
    let overtaken = |number| ledger.is_overtaken(&ledger.generation(number).unwrap()).unwrap();
    assert_eq!([1, 2, 3, 4].map(overtaken), [false, true, false, false]);
    let needed = ledger.needed().unwrap().needed;
    let unfinished = |number| needed[&number].contains(&crate::plan::retention::Why::Unfinished);
    assert_eq!([2, 3, 4].map(unfinished), [false, true, true]);
}
