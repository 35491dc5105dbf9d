//! Places in trouble, and places in the hands of somebody hostile: a host is told what is
//! wrong, keeps nothing half, and goes around what it can.

use std::fs;
use std::sync::mpsc;
use std::time::Duration;

use writ::fault::{Fault, Retry};
use writ::source::bundles::mirror::How;
use writ::source::bundles::{BundleSource, Place};
use writ::source::fetched::{Fetched, Known};

use crate::server::Answer;
use crate::town::{Host, Town, wait};
use crate::wire::{Counted, Wire};

/// A bucket with a whole bundle and a small one, and a host that has the first commit.
fn near() -> (Town, Host) {
    let town = Town::new();
    town.commit("one");
    let s3 = town.s3();
    town.publish_s3();
    let mut host = town.host("near", &s3);
    host.follow();
    town.commit("two");
    town.publish_s3();
    (town, host)
}

impl Town {
    fn publish_s3(&self) {
        let told = self.mirror(&["--to", &self.s3()]);
        assert!(told.ends_with("exit 0\n"), "{told}");
    }

    fn fault(&self, what: &str, fetched: Result<Fetched, Fault>) -> String {
        let fault = fetched.unwrap_err();
        assert_eq!(fault.retry, Retry::Soon);
        let remedy = fault.remedy.clone().unwrap_or_default();
        self.plain(&format!("# {what}\n{fault}\nhint: {remedy}\n"))
    }
}

#[test]
fn each_fault_of_a_server_is_told_by_its_name() {
    let (town, host) = near();
    let mut told = String::new();
    const SLOW: &str = "<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>";
    const DENIED: &str = "<Error><Code>AccessDenied</Code><Message>No</Message></Error>";
    for (what, answer) in [
        ("a captive portal", Answer::Plain(b"<!DOCTYPE html><title>Log in</title>".to_vec())),
        ("something else", Answer::Plain(b"hello\n".to_vec())),
        ("100 MB", Answer::Plain(vec![b'#'; 100 << 20])),
        ("no such file", Answer::Status(404, "<Error><Code>NoSuchKey</Code></Error>")),
        ("no such bucket", Answer::Status(404, "<Error><Code>NoSuchBucket</Code></Error>")),
        ("denied", Answer::Status(403, DENIED)),
        ("the server is in trouble", Answer::Status(500, "")),
        ("slow down", Answer::Status(503, SLOW)),
        ("cut", Answer::Cut),
    ] {
        let all = answer.clone();
        town.server.rule(move |_, _| all.clone());
        told += &town.fault(what, host.fetch());
        town.server.rule(move |asked, _| match asked.contains("bundles/") {
            true => answer.clone(),
            false => Answer::Normal,
        });
        let what = format!("{what}, for bundles");
        told += &match host.fetch() {
            Ok(_) => panic!("{what}"),
            fault => town.fault(&what, fault),
        };
    }
    insta::assert_snapshot!(told);
    town.server.well();
    assert!(matches!(host.fetch(), Ok(Fetched::Packs { .. })));
}

#[test]
fn a_server_that_falls_silent_is_waited_for_until_the_deadline() {
    let (town, host) = near();
    for part in ["", "bundles/"] {
        town.server.rule(move |asked, _| match asked.contains(part) {
            true => Answer::Silence,
            false => Answer::Normal,
        });
        let place = Place {
            url: town.s3(),
            credentials: Some(town.path("home/keys").to_str().unwrap().parse().unwrap()),
        };
        let deadline = Duration::from_millis(500);
        let source = BundleSource::at(place, "main".parse().unwrap(), deadline).unwrap();
        let incoming = town.path("hosts/incoming");
        let fault = wait(source.fetch(&host.known, &incoming)).unwrap_err();
        assert_eq!(fault.because, "it took longer than 500ms");
        assert!(!incoming.exists(), "half a pack serves nobody");
    }
}

#[test]
fn around_a_broken_bundle_there_is_another_road() {
    let (town, mut host) = near();
    // The small one is found out by its bytes; the whole one leads to an older commit.
    town.commit("three");
    let told = town.mirror(&["--to", &town.s3(), "--anew"]);
    assert!(told.ends_with("exit 0\n"));
    town.commit("four");
    town.publish_s3();
    let index = town.index(&town.bucket());
    host.known.have = vec![index.entries[0].tip.clone()];
    host.known.tips = host.known.have.clone();
    let step = town.bucket().join(index.entries[1].file.name());
    let whole = town.bucket().join(index.entries[0].file.name());
    let (good, good_whole) = (fs::read(&step).unwrap(), fs::read(&whole).unwrap());
    let mut flipped = good.clone();
    let last = flipped.len() - 25;
    flipped[last] ^= 4;
    let longer = [&good[..], b"more"].concat();
    let mut told = String::new();
    for (what, bytes) in [
        ("flipped", flipped),
        ("shorter", good[..good.len() / 2].to_vec()),
        ("longer", longer),
        ("empty", Vec::new()),
        ("a web page", b"<html>".to_vec()),
        ("another bundle", good_whole.clone()),
    ] {
        fs::write(&step, bytes).unwrap();
        // The newest commit is in that bundle alone.
        told += &town.fault(what, host.fetch());
    }
    fs::remove_file(&step).unwrap();
    told += &town.fault("none", host.fetch());
    insta::assert_snapshot!(told);
    // With a whole bundle of the newest commit there, that is taken.
    fs::write(&step, &good).unwrap();
    let mut index = index;
    let anew = town.mirror(&["--to", &town.folder()]);
    assert!(anew.ends_with("exit 0\n"));
    let other = town.index(&town.path("stick")).entries.remove(0);
    fs::copy(town.path("stick").join(other.file.name()), town.bucket().join(other.file.name()))
        .unwrap();
    let token = index.entries[1].token + 1;
    index.entries.push(writ::source::bundles::index::Entry { token, ..other });
    fs::write(town.bucket().join("index"), index.to_string()).unwrap();
    fs::write(&step, b"<html>").unwrap();
    let mut fresh = town.host("fresh", &town.s3());
    fresh.known = host.known;
    let Ok(Fetched::Packs { tip, packs, .. }) = fresh.fetch() else { panic!("there is a road") };
    assert_eq!((tip, packs.len()), (town.tip(), 1));
}

#[test]
fn an_answer_that_breaks_off_is_asked_for_again() {
    let (town, mut host) = near();
    town.server.rule(|asked, before| match asked.contains("bundles/") && before == 0 {
        true => Answer::Half,
        false => Answer::Normal,
    });
    assert_eq!(host.follow(), 1);
    host.assert_whole(&town);
}

/// Whoever publishes put newer bundles in the place of those that were being taken.
#[test]
fn an_index_that_changed_meanwhile_is_read_again() {
    let (town, mut host) = near();
    let index = fs::read(town.bucket().join("index")).unwrap();
    town.server.rule(move |asked, before| match asked.contains("/index") && before == 0 {
        true => Answer::Plain(index.clone()),
        false => Answer::Normal,
    });
    for file in fs::read_dir(town.bucket().join("bundles")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    let anew = town.mirroring(&["--to", &town.s3(), "--anew"]);
    drop(anew);
    town.commit("three");
    let told = town.mirror(&["--to", &town.folder()]);
    assert!(told.ends_with("exit 0\n"));
    let from = town.path("stick");
    for file in fs::read_dir(from.join("bundles")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), town.bucket().join("bundles").join(file.file_name())).unwrap();
    }
    fs::copy(from.join("index"), town.bucket().join("index")).unwrap();
    assert_eq!(host.follow(), 1);
    host.assert_whole(&town);
}

#[test]
fn a_folder_that_is_not_there_is_told_as_that() {
    let town = Town::new();
    town.commit("one");
    let mut host = town.host("a", &town.folder());
    let mut told = town.fault("no stick", host.fetch());
    assert!(host.source.is_unplugged());
    fs::create_dir(town.path("stick")).unwrap();
    let huge = fs::File::create(town.path("stick/index")).unwrap();
    huge.set_len(100 << 20).unwrap();
    told += &town.fault("100 MB", host.fetch());
    fs::remove_file(town.path("stick/index")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", town.path("stick/index")).unwrap();
    told += &town.fault("a link out of it", host.fetch());
    fs::remove_file(town.path("stick/index")).unwrap();
    town.publish(&town.folder(), &How::default()).unwrap();
    assert_eq!(host.follow(), 1);
    assert!(!host.source.is_unplugged());
    insta::assert_snapshot!(told);
}

/// What is asked of a host's disk and memory is bounded by what an index may say.
#[test]
fn an_index_that_promises_too_much_is_not_followed() {
    let town = Town::new();
    town.commit("one");
    town.publish(&town.folder(), &How::default()).unwrap();
    let host = town.host("a", &town.folder());
    let mut index = town.index(&town.path("stick"));
    index.entries[0].file.size = (256 << 20) + 1;
    fs::write(town.path("stick/index"), index.to_string()).unwrap();
    let told = town.fault("a whole bundle that is too large", host.fetch());
    assert!(told.contains("268435457 bytes, and 268435456 are taken at once"), "{told}");
}

#[test]
fn an_object_that_unpacks_to_much_more_is_not_imported() {
    let town = Town::new();
    fs::write(town.deploy().join("zeros"), vec![0; 96 << 20]).unwrap();
    town.git(&town.deploy(), &["add", "zeros"]);
    town.commit("one");
    town.publish(&town.folder(), &How::default()).unwrap();
    let size = town.index(&town.path("stick")).entries[0].file.size;
    assert!(size < 200 << 10, "{size}");
    let host = town.host("a", &town.folder());
    let Ok(Fetched::Packs { packs, .. }) = host.fetch() else { panic!("it is small") };
    let told = host.import(&packs).unwrap_err();
    assert!(told.contains("16777216 are taken"), "{told}");
    assert!(!town.path("hosts/a/incoming").exists());
    let left = fs::read_dir(town.path("hosts/a/repo.git/objects/pack")).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
#[expect(clippy::print_stdout, reason = "the numbers of docs/sources.md")]
fn an_idle_look_is_one_small_request_and_a_new_commit_costs_its_own_objects() {
    let town = Town::new();
    town.long_history(10_000);
    town.state("head", 1);
    town.publish_s3();
    let wire = Wire::to(town.server.port);
    let bytes = || {
        let Counted { up, down, .. } = wire.count();
        up + down
    };
    let mut host =
        town.host("a", &town.s3().replace(&town.server.port.to_string(), &wire.port.to_string()));
    assert_eq!(host.follow(), 1);
    let whole = bytes();
    town.server.asked();
    assert_eq!(host.follow(), 0);
    let (idle, asked) = (bytes(), town.server.asked());
    assert_eq!(asked.len(), 1, "{asked:?}");
    town.commit("one more");
    town.publish_s3();
    town.server.asked();
    assert_eq!(host.follow(), 1);
    let (new, asked) = (bytes(), town.server.asked());
    assert_eq!(asked.len(), 2, "{asked:?}");
    println!("bytes on the wire: everything {whole}, an idle look {idle}, a new commit {new}");
    assert!(idle < 1024, "{idle}");
    assert!(new < 6 * 1024, "{new}");
    assert!(whole > 100 * new, "{whole}");
    host.assert_whole(&town);
}

/// The future of a fetch can be sent to another thread, and is dropped at any time.
#[test]
fn sources_are_asked_side_by_side() {
    fn sent<T: Send>(work: T) -> T {
        work
    }
    let (town, host) = near();
    let incoming = town.path("hosts/incoming");
    let (known, source): (Known, BundleSource) = (host.known.clone(), host.source.clone());
    let (done, waits) = mpsc::channel();
    std::thread::spawn(move || {
        let fetched = wait(sent(source.fetch(&known, &incoming)));
        done.send(fetched.is_ok()).unwrap();
    });
    assert!(waits.recv_timeout(Duration::from_secs(60)).unwrap());
}
