//! Uploads that are stopped half-way.

use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::server::Answer;
use crate::shop::{Shop, narinfos, noise};

/// An upload that hangs in the second part of its large path, all else done.
fn hanging() -> (Shop, Child) {
    let shop = Shop::open();
    shop.add('3', "data", &noise(20), "0");
    shop.server.rule(|asked, _| match asked.contains("partNumber=2") {
        true => Answer::Silence,
        false => Answer::Normal,
    });
    let child = shop.uploading(&shop.url()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    let last = format!("PUT /acme-nix/{}.narinfo", "2".repeat(32));
    for what in ["partNumber=2", &last] {
        while !shop.server.was_asked(|asked| asked.contains(what)) {
            assert!(Instant::now() < end, "{what} was never asked");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    (shop, child)
}

fn signalled(child: Child, signal: Signal) -> std::process::Output {
    kill_process(Pid::from_child(&child), signal).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn what_a_killed_upload_leaves_is_complete_and_the_next_one_goes_on() {
    let (shop, child) = hanging();
    signalled(child, Signal::KILL);
    assert!(shop.is_complete(&shop.bucket()) && shop.is_clean());
    assert!(narinfos(&shop.bucket()).len() < 4);
    shop.server.well();
    shop.server.asked();
    let told = shop.told(&shop.upload(&shop.url()));
    assert!(told.ends_with("exit 0\n"), "{told}");
    assert!(shop.is_complete(&shop.bucket()) && narinfos(&shop.bucket()).len() == 4);
    // What was announced is not uploaded again.
    let asked = shop.server.asked();
    let announced = |asked: &&String| asked.starts_with("PUT") && asked.contains(".narinfo");
    assert!(asked.iter().filter(announced).count() < 4, "{asked:?}");
}

#[test]
fn who_stops_an_upload_leaves_nothing_half_made() {
    for signal in [Signal::INT, Signal::TERM] {
        let (shop, child) = hanging();
        let stopped = signalled(child, signal);
        let told = shop.told(&stopped);
        assert!(told.contains("error: stopped") && told.ends_with("exit 3\n"), "{told}");
        // The parts that S3 would keep and bill are taken back.
        assert!(shop.server.was_asked(|a| a.starts_with("DELETE") && a.contains("uploadId")));
        assert!(shop.is_clean());
        let left = fs::read_dir(shop.bucket()).unwrap();
        let left =
            left.filter(|file| file.as_ref().unwrap().path().to_string_lossy().contains("upload"));
        assert_eq!(left.count(), 0);
    }
}
