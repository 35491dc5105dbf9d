//! A cache that sends much more than it announced.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use writ::fault::Retry;
use writ::world::Store as _;
use writ::world::nix::{NixConfig, NixStore, Room};

use super::nix::Caches;

/// What arrives, and about how much of it may.
const BOMB: u64 = 2 << 30;
const ENOUGH: u64 = 300 << 20;

/// The archive of one large file of zeros, which takes no place itself.
fn bomb(at: &Path) {
    let mut archive = Vec::new();
    for word in ["nix-archive-1", "(", "type", "regular", "contents"] {
        archive.extend((word.len() as u64).to_le_bytes());
        archive.extend(word.as_bytes());
        archive.resize(archive.len().next_multiple_of(8), 0);
    }
    archive.extend(BOMB.to_le_bytes());
    let mut file = File::create(at).unwrap();
    file.write_all(&archive).unwrap();
    file.set_len(BOMB).unwrap();
}

/// Has every text of a cache lead to that archive; what is signed of it stays.
fn lead_to(cache: &Path, archive: &str) {
    for entry in fs::read_dir(cache).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|end| end == "narinfo") {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().filter(|line| !line.starts_with("File"));
            let told = lines.map(|line| match line.split_once(": ") {
                Some(("URL", _)) => format!("URL: {archive}\n"),
                Some(("Compression", _)) => "Compression: none\n".to_owned(),
                _ => format!("{line}\n"),
            });
            let told: String = told.collect();
            fs::write(path, told).unwrap();
        }
    }
}

fn free() -> u64 {
    let disk = rustix::fs::statvfs("/nix/store").unwrap();
    disk.f_bavail * disk.f_frsize
}

pub(crate) async fn an_archive_larger_than_announced_does_not_fill_the_disk(caches: &Caches) {
    caches.forget();
    let cache = caches.dir.join("bomb");
    super::nix::put(&caches.dir.join("signed"), &cache);
    bomb(&cache.join("nar/bomb"));
    lead_to(&cache, "nar/bomb");
    let before = free();
    assert!(before > ENOUGH + (1 << 30), "{before}");
    let room = Room { reserve: Some(before - ENOUGH), ledger: None };
    let guarded = |name: &str| {
        let config = NixConfig { room: room.clone(), ..caches.config(&[name]) };
        NixStore::new(config)
    };
    let fault = guarded("bomb").fetch(&[caches.artifact(0)]).await.unwrap_err();
    fs::remove_dir_all(cache).unwrap();
    assert_eq!(fault.retry, Retry::Soon);
    assert!(fault.because.contains("more of the disk than was announced"), "{fault:?}");
    assert!(!caches.is_valid(0));
    // What it wrote is gone, so that an honest cache finds room by itself.
    guarded("signed").fetch(&[caches.artifact(0)]).await.unwrap();
}
