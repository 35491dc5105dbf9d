//! Several that publish at one place, and some that are killed while they do.

use std::fs;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::server::Answer;
use crate::town::Town;

/// `writ mirror` from a repository of its own, which stands at some commit.
fn from(town: &Town, repo: &str, to: &str) -> Command {
    let repo = town.path(repo).display().to_string();
    town.mirroring(&["--repo", &repo, "--branch", "main", "--to", to])
}

/// Copies of the repository, each some commits behind the next.
fn copies(town: &Town, count: usize) -> Vec<String> {
    let copies = (0..count).map(|n| {
        town.commit(&format!("commit {n}"));
        let name = format!("copy-{n}");
        let from = format!("file://{}", town.deploy().display());
        town.git(town.dir.path(), &["clone", "-q", "--bare", &from, &name]);
        name
    });
    copies.collect()
}

#[test]
fn the_newest_wins_however_many_publish_at_once() {
    for to in ["s3", "folder"] {
        let town = Town::new();
        let (to, place) = match to {
            "s3" => (town.s3(), town.bucket()),
            _ => (town.folder(), town.path("stick")),
        };
        let copies = copies(&town, 4);
        for n in 0..3 {
            let started: Vec<_> =
                copies.iter().map(|copy| from(&town, copy, &to).spawn().unwrap()).collect();
            let done: Vec<Output> =
                started.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
            for output in done {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            }
            assert_eq!(town.assert_in_order(&place).tip, town.tip());
            town.commit(&format!("one more {n}"));
            let newest = town.path("copy-3").display().to_string();
            town.git(&town.deploy(), &["push", "-q", &newest, "main"]);
        }
    }
}

#[test]
fn who_loses_looks_again_and_never_goes_back() {
    let town = Town::new();
    let copies = copies(&town, 3);
    let s3 = town.s3();
    assert!(from(&town, &copies[0], &s3).output().unwrap().status.success());
    // The older one is about to write its index …
    town.server.asked();
    town.server.rule(|asked, before| {
        match before == 0 && asked.starts_with("PUT") && asked.contains("/index") {
            true => Answer::Held,
            false => Answer::Normal,
        }
    });
    let older = from(&town, &copies[1], &s3).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while !town.server.was_asked(|asked| asked.starts_with("PUT") && asked.contains("/index")) {
        assert!(Instant::now() < end, "it never writes");
        std::thread::sleep(Duration::from_millis(5));
    }
    // … and then somebody else is faster, with commits that it does not know.
    assert!(from(&town, &copies[2], &s3).output().unwrap().status.success());
    let newer = fs::read(town.bucket().join("index")).unwrap();
    town.server.let_go();
    let older = older.wait_with_output().unwrap();
    let told = town.plain(&String::from_utf8_lossy(&older.stdout));
    assert!(told.ends_with("left at HEX, which is newer\n"), "{told}");
    assert!(older.status.success());
    assert_eq!(fs::read(town.bucket().join("index")).unwrap(), newer);
    assert_eq!(town.assert_in_order(&town.bucket()).tip, town.tip());
    let again = town.told(&from(&town, &copies[0], &s3).output().unwrap());
    assert!(again.ends_with("left at HEX, which is newer\nexit 0\n"), "{again}");
}

#[test]
fn another_history_is_refused_until_somebody_says_so() {
    let town = Town::new();
    let root = town.commit("one");
    town.commit("two");
    let s3 = town.s3();
    let mut told = town.mirror(&["--to", &s3]);
    let mut host = town.host("a", &s3);
    host.follow();
    let before = fs::read(town.bucket().join("index")).unwrap();
    town.git(&town.deploy(), &["reset", "-q", "--hard", root.as_str()]);
    town.commit("another two");
    told += &town.mirror(&["--to", &s3]);
    // Somewhere that never had the published commits.
    let from_ = format!("file://{}", town.deploy().display());
    town.git(town.dir.path(), &["clone", "-q", "--bare", &from_, "fresh"]);
    told += &town.told(&from(&town, "fresh", &s3).output().unwrap());
    assert_eq!(fs::read(town.bucket().join("index")).unwrap(), before);
    told += &town.mirror(&["--to", &s3, "--anew"]);
    assert_eq!(town.assert_in_order(&town.bucket()).tip, town.tip());
    assert_eq!(host.follow(), 1);
    host.assert_whole(&town);
    // Another branch does not get in between, and nothing that is no index is replaced.
    town.git(&town.deploy(), &["branch", "-q", "live"]);
    told += &town.mirror(&["--branch", "live", "--to", &s3]);
    fs::create_dir(town.path("stick")).unwrap();
    fs::write(town.path("stick/index"), "<h1>Apples</h1>\n").unwrap();
    told += &town.mirror(&["--to", &town.folder()]);
    told += &town.mirror(&["--to", "ftp://example.org"]);
    insta::assert_snapshot!(told);
}

/// Everything that a run asks of the server is the last thing that it does, once.
#[test]
fn a_run_that_is_killed_leaves_what_was_there_or_what_comes() {
    let town = Town::new();
    let s3 = town.s3();
    let mut kills = 0;
    for round in 0..4 {
        let before = town.bucket().join("index").exists().then(|| town.index(&town.bucket()));
        let tip = town.commit(&format!("commit {round}"));
        town.state("head", round + 1);
        for step in 0.. {
            let (reached, waits) = mpsc::channel();
            let asked = Arc::new(AtomicUsize::new(0));
            town.server.rule(move |_, _| {
                if asked.fetch_add(1, Ordering::Relaxed) == step {
                    let _ = reached.send(());
                    return Answer::Silence;
                }
                Answer::Normal
            });
            let mut child = town.mirroring(&["--to", &s3]).spawn().unwrap();
            let stopped = loop {
                match waits.recv_timeout(Duration::from_millis(20)) {
                    Ok(()) => break true,
                    Err(_) if child.try_wait().unwrap().is_some() => break false,
                    Err(_) => {}
                }
            };
            child.kill().unwrap();
            child.wait().unwrap();
            // What a killed run leaves on this machine goes with the system's old files.
            for left in fs::read_dir(town.path("tmp")).unwrap() {
                fs::remove_dir_all(left.unwrap().path()).unwrap();
            }
            if !stopped {
                break;
            }
            kills += 1;
            if town.bucket().join("index").exists() {
                let index = town.assert_in_order(&town.bucket());
                assert!(index.tip == tip || Some(&index) == before.as_ref(), "step {step}");
            }
            if town.bucket().join("index").exists() && town.index(&town.bucket()).tip == tip {
                // It was killed after it was done.
                break;
            }
        }
        town.server.well();
        let told = town.mirror(&["--to", &s3]);
        assert!(told.ends_with("exit 0\n"), "{told}");
        assert_eq!(town.assert_in_order(&town.bucket()).tip, tip);
    }
    assert!(kills >= 12, "{kills}");
}

#[test]
fn who_stops_a_run_is_told_what_hosts_see_and_the_next_one_goes_on() {
    let town = Town::new();
    town.commit("one");
    for signal in [Signal::INT, Signal::TERM] {
        let (reached, waits) = mpsc::channel();
        town.server.rule(move |asked, _| match asked.starts_with("PUT") {
            true => {
                let _ = reached.send(());
                Answer::Silence
            }
            false => Answer::Normal,
        });
        let child = town.mirroring(&["--to", &town.s3()]).spawn().unwrap();
        waits.recv_timeout(Duration::from_secs(60)).unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        let told = town.told(&child.wait_with_output().unwrap());
        assert!(told.contains("stopped; hosts see what was there before"), "{told}");
        assert!(told.ends_with("exit 3\n"), "{told}");
        assert!(!town.bucket().join("index").exists());
    }
    town.server.well();
    let told = town.mirror(&["--to", &town.s3()]);
    assert!(told.ends_with("exit 0\n"), "{told}");
}

#[test]
fn a_bundle_that_is_damaged_where_it_lies_is_written_again() {
    let town = Town::new();
    town.commit("one");
    let (s3, folder) = (town.s3(), town.folder());
    town.mirror(&["--to", &s3, "--to", &folder]);
    for (to, place) in [(&s3, town.bucket()), (&folder, town.path("stick"))] {
        let file = place.join(town.index(&place).entries[0].file.name());
        let mut bytes = fs::read(&file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&file, bytes).unwrap();
        let told = town.mirror(&["--to", to, "--anew"]);
        assert!(told.ends_with("exit 0\n"), "{told}");
        town.assert_in_order(&place);
    }
}
