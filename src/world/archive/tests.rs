//! Archives that are good, and those that somebody else made.

use std::fs;
use std::io::Write as _;

use super::unpack::{Limits, inside, within};
use super::*;
use crate::fault::{Fault, Retry};
use crate::world::disk::Disk;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Plenty of room.
const LARGE: fn(&Path) -> io::Result<Disk> =
    |_| Ok(Disk { size: 1 << 40, free: 1 << 39, files: None });
const LIMITS: Limits = Limits { disk: LARGE, ..Limits::USUAL };

fn packed(dir: &Path, fill: impl FnOnce(&mut Archive)) -> PathBuf {
    let path = dir.join("kit.tar.zst");
    let mut archive = Archive::begin(&path).unwrap();
    fill(&mut archive);
    archive.end().unwrap();
    path
}

#[test]
fn what_is_packed_twice_is_the_same_and_comes_out_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let fill = |archive: &mut Archive| {
        archive.folder("cache/nar").unwrap();
        archive.file("cache/nar/1.nar", &b"a path"[..], 6).unwrap();
        archive.file("index", &b"last"[..], 4).unwrap();
    };
    let bytes = |path: PathBuf| fs::read(path).unwrap();
    assert_eq!(bytes(packed(dir.path(), fill)), bytes(packed(dir.path(), fill)));
    let out = dir.path().join("out");
    for _ in 0..2 {
        assert_eq!(unpack(&dir.path().join("kit.tar.zst"), &out).unwrap(), 2);
        assert_eq!(bytes(out.join("cache/nar/1.nar")), b"a path");
        assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
    }
}

#[test]
fn an_archive_that_is_given_up_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut archive = Archive::begin(&dir.path().join("kit.tar.zst")).unwrap();
    assert!(archive.file("short", &b"abc"[..], 4).is_err());
    drop(archive);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Adds what is no plain file.
fn odd(archive: &mut Archive, kind: EntryType, name: &str) {
    let mut header = header(kind, 0o644, 0);
    archive.tar.append_link(&mut header, name, "/etc/passwd").unwrap();
}

/// Spells a name as no honest program does.
fn named(archive: &mut Archive, name: &str, mode: u32) {
    let mut header = header(EntryType::Regular, mode, 0);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    archive.tar.append(&header, io::empty()).unwrap();
}

/// Everything below a folder, with its content.
fn there(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(there(&path)),
            false => found.push((path.clone(), fs::read(path).unwrap())),
        }
    }
    found.sort();
    found
}

/// What is told of an archive that is not unpacked, and leaves nothing.
fn refused(dir: &Path, limits: Limits, fill: impl FnOnce(&mut Archive)) -> Fault {
    let (archive, out) = (packed(dir, fill), dir.join("new/out"));
    let fault = within(&archive, &out, limits).unwrap_err();
    assert!(!dir.join("new").exists(), "{:?} are left", there(&dir.join("new")));
    assert!(fault.because.ends_with("; what was written is gone again"), "{fault}");
    fault
}

#[test]
fn nothing_is_written_outside_of_the_folder_nor_through_links() {
    let dir = tempfile::tempdir().unwrap();
    let told = |fill: &dyn Fn(&mut Archive)| {
        let fault = refused(dir.path(), LIMITS, |archive| {
            archive.file("cache/nar/1.nar", &b"before"[..], 6).unwrap();
            fill(archive);
        });
        assert_eq!(fault.retry, Retry::NextCommit);
        fault.because.split_once("; ").unwrap().0.to_owned()
    };
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::Continuous,
        EntryType::XGlobalHeader,
    ] {
        let told = told(&|archive| odd(archive, kind, "cache/x"));
        assert_eq!(told, "cache/x is neither a file nor a folder", "{kind:?}");
    }
    for bad in ["../evil", "/evil", "a/../../evil"] {
        let told = told(&|archive| named(archive, bad, 0o644));
        assert_eq!(told, format!("{bad} leads out of the archive"));
        assert!(inside(Path::new(bad)).is_err());
    }
    for (bad, mode, what) in [
        ("a/b/c/d/e", 0o644, "is too deep"),
        ("./", 0o644, "is no name of a file"),
        ("cache/nar/1.nar", 0o644, "is there twice"),
        ("./cache//nar/1.nar", 0o644, "is there twice"),
        ("cache/x", 0o4755, "is to run with somebody else's rights"),
        ("cache/x", 0o2755, "is to run with somebody else's rights"),
    ] {
        assert_eq!(told(&|archive| named(archive, bad, mode)), format!("{bad} {what}"));
    }
    assert!(!dir.path().join("evil").exists());
    let long = "x".repeat(300);
    let long = refused(dir.path(), LIMITS, |archive| archive.file(&long, &b"x"[..], 1).unwrap());
    assert!(long.because.starts_with("File name too long"), "{long}");
}

#[test]
fn nothing_is_written_through_a_link_that_lies_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (out, safe) = (dir.path().join("out"), dir.path().join("safe"));
    fs::create_dir(&out).unwrap();
    fs::create_dir(&safe).unwrap();
    std::os::unix::fs::symlink(&safe, out.join("cache")).unwrap();
    for fill in [
        |archive: &mut Archive| archive.file("cache/passwd", &b"x"[..], 1).unwrap(),
        |archive: &mut Archive| archive.folder("cache/nar").unwrap(),
    ] {
        let fault = within(&packed(dir.path(), fill), &out, LIMITS).unwrap_err();
        assert!(fault.because.contains("out/cache is there and is no folder; "), "{fault}");
    }
    assert_eq!(fs::read_dir(&safe).unwrap().count(), 0);
}

#[test]
fn an_archive_that_unpacks_to_much_more_leaves_the_folder_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let bomb = |archive: &mut Archive| {
        archive.file("cache/nar/1.nar", &b"a path"[..], 6).unwrap();
        archive.file("cache/nar/2.nar", io::repeat(0), 40 * MIB).unwrap();
        archive.file("index", &b"last"[..], 4).unwrap();
    };
    let archive = packed(dir.path(), bomb);
    assert!(fs::metadata(&archive).unwrap().len() < 10 * KIB);
    let grows = refused(dir.path(), Limits { small: 39 * MIB, ..LIMITS }, bomb);
    let full =
        Limits { disk: |_| Ok(Disk { size: 100 * MIB, free: 40 * MIB, files: None }), ..LIMITS };
    let full = refused(dir.path(), full, bomb);
    let files = refused(
        dir.path(),
        Limits {
            disk: |_| Ok(Disk { files: Some(999), ..LARGE(Path::new("")).unwrap() }),
            ..LIMITS
        },
        bomb,
    );
    let many = refused(dir.path(), Limits { entries: 2, ..LIMITS }, bomb);
    let told = [grows, full, files, many].map(|fault| {
        let remedy = fault.remedy.clone().unwrap();
        format!("{fault}\nhint: {remedy}\n").replace(&dir.path().display().to_string(), "/dir")
    });
    insta::assert_snapshot!(told.concat());
    assert_eq!(within(&archive, &dir.path().join("new/out"), LIMITS).unwrap(), 3);
}

#[test]
fn an_archive_of_too_many_small_files_is_found_out_before_the_first_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let empty = |archive: &mut Archive| {
        for number in 0..=100 {
            archive.file(&format!("cache/{number}.narinfo"), io::empty(), 0).unwrap();
        }
    };
    let archive = packed(dir.path(), empty);
    let untouched = Limits { entries: 100, disk: |_| panic!("it was begun"), ..LIMITS };
    let fault = within(&archive, &dir.path().join("out"), untouched).unwrap_err();
    assert!(fault.because.contains("more than 100 files and folders"), "{fault}");
    assert!(!dir.path().join("out").exists());
    assert_eq!(
        within(&archive, &dir.path().join("out"), Limits { entries: 101, ..LIMITS }).unwrap(),
        101
    );
}

#[test]
fn what_was_there_is_as_it_was_where_an_archive_is_not_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let old = packed(dir.path(), |archive| {
        archive.file("cache/nar/1.nar", &b"a path"[..], 6).unwrap();
        archive.file("cache/1.narinfo", &b"old"[..], 3).unwrap();
        archive.file("index", &b"old"[..], 3).unwrap();
    });
    within(&old, &out, LIMITS).unwrap();
    let before = there(&out);
    let new = |archive: &mut Archive| {
        archive.file("kit.json", &b"{}"[..], 2).unwrap();
        archive.file("index", &b"new"[..], 3).unwrap();
        archive.file("cache/nar/1.nar", &b"a path"[..], 6).unwrap();
        archive.file("cache/1.narinfo", &b"new"[..], 3).unwrap();
        archive.file("cache/nar/2.nar", io::repeat(0), 2 * MIB).unwrap();
    };
    let new = packed(dir.path(), new);
    within(&new, &out, Limits { small: MIB, ..LIMITS }).unwrap_err();
    assert_eq!(there(&out), before);
    // The same where it was cut, or a bit is another.
    let bytes = fs::read(&new).unwrap();
    for broken in
        [bytes[..bytes.len() - 20].to_vec(), [&bytes[..40], &[0; 40], &bytes[80..]].concat()]
    {
        fs::write(&new, broken).unwrap();
        within(&new, &out, LIMITS).unwrap_err();
        assert_eq!(there(&out), before);
    }
    fs::write(&new, bytes).unwrap();
    assert_eq!(within(&new, &out, LIMITS).unwrap(), 5);
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert_eq!([read("index"), read("cache/1.narinfo"), read("kit.json")], ["new", "new", "{}"]);
    assert_eq!(there(&out).len(), 5, "{:?}", there(&out));
}

/// The archive is whole for zstd, and ends in the middle of a file.
#[test]
fn half_a_file_is_not_taken_for_a_whole_one() {
    let dir = tempfile::tempdir().unwrap();
    let archive = packed(dir.path(), |archive| {
        archive.file("cache/1.narinfo", io::repeat(7), 4 * KIB).unwrap();
    });
    let tar = zstd::decode_all(File::open(&archive).unwrap()).unwrap();
    fs::write(&archive, zstd::encode_all(&tar[..KIB as usize], 3).unwrap()).unwrap();
    let fault = within(&archive, &dir.path().join("out"), LIMITS).unwrap_err();
    assert_eq!(fault.retry, Retry::Soon);
    assert!(!dir.path().join("out").exists());
}

#[test]
fn what_somebody_else_writes_to_the_disk_meanwhile_counts_too() {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static FREE: AtomicU64 = AtomicU64::new(1 << 30);
    let dir = tempfile::tempdir().unwrap();
    let less = |_: &Path| {
        let free = FREE.fetch_sub(100 * MIB, Relaxed).min(1 << 30);
        Ok(Disk { size: 1 << 30, free, files: None })
    };
    let fault = refused(dir.path(), Limits { piece: MIB, disk: less, ..LIMITS }, |archive| {
        archive.file("cache/nar/1.nar", io::repeat(0), 20 * MIB).unwrap();
    });
    assert!(fault.because.starts_with("the rest of cache/nar/1.nar needs "), "{fault}");
}

/// A description of a file is held in memory, and so is what zstd looks back on.
#[test]
fn an_archive_takes_no_more_memory_than_any_other() {
    let dir = tempfile::tempdir().unwrap();
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
        let fault = refused(dir.path(), LIMITS, |archive| {
            let mut header = header(kind, 0o644, MIB);
            let content = io::repeat(b'a').take(MIB);
            archive.tar.append_data(&mut header, "././@LongLink", content).unwrap();
            archive.file("index", &b"last"[..], 4).unwrap();
        });
        assert!(fault.because.contains("it describes a file without end"), "{kind:?}: {fault}");
    }
    let fault = refused(dir.path(), LIMITS, |archive| {
        let mut header = header(EntryType::Directory, 0o755, MIB);
        archive.tar.append_data(&mut header, "cache/", io::repeat(0).take(MIB)).unwrap();
        archive.file("index", &b"last"[..], 4).unwrap();
    });
    assert!(fault.because.contains("it describes a file without end"), "{fault}");
    // RFC 8878: a frame's header with a window of 2^28 bytes.
    let archive = dir.path().join("window.tar.zst");
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (28 - 10) << 3, 0x01, 0x00, 0x00];
    File::create(&archive).unwrap().write_all(&frame).unwrap();
    let fault = within(&archive, &dir.path().join("out"), LIMITS).unwrap_err();
    assert!(fault.because.contains("too much memory"), "{fault}");
}
