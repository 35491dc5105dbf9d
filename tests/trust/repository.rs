//! The host's own repository: what is imported is found, what is foreign is refused
//! (rules O3 to O5).

use std::fs;
use std::path::Path;

use writ::names::CommitId;
use writ::source::repo::{ObjectFormat, Repository};
use writ::trust::{Kind, Objects, Unreadable};

use crate::forge::Forge;

const LIMIT: u64 = 1 << 20;

/// A pack of everything that `revs` name, as `git rev-list` reads them.
fn pack(forge: &Forge, revs: &str) -> Vec<u8> {
    forge.git(["pack-objects", "--revs", "--thin", "--stdout", "-q"], revs.as_bytes())
}

fn import(repo: &Repository, pack: &[u8]) -> writ::source::repo::ImportedPack {
    repo.import_pack(&mut &pack[..]).unwrap()
}

fn content(n: usize) -> String {
    (0..200)
        .map(|line| format!("line {line} of version {}\n", n * usize::from(line == 7)))
        .collect()
}

#[test]
fn what_is_imported_is_found_at_once() {
    for (name, format) in [("sha1", ObjectFormat::Sha1), ("sha256", ObjectFormat::Sha256)] {
        let forge = Forge::with_format(name);
        let first = forge.unsigned().file("a", content(1)).make();
        let second = forge.unsigned().on(&first).file("a", content(2)).make();
        let folder = tempfile::tempdir().unwrap();
        let repo = Repository::create(&folder.path().join("git"), format).unwrap();
        assert_eq!(repo.format(), format);
        assert!(repo.find(&first, LIMIT).unwrap().is_none());
        assert_eq!(import(&repo, &pack(&forge, first.as_str())).objects(), 3);
        // The second pack is thin: its new file is a difference to the old one.
        import(&repo, &pack(&forge, &format!("{second}\n^{first}")));
        assert_eq!(repo.pack_sizes().unwrap().len(), 2);
        let (kind, bytes) = repo.find(&second, LIMIT).unwrap().unwrap();
        assert_eq!((kind, bytes), (Kind::Commit, forge.bytes("commit", &second)));
        let reopened = Repository::open(&folder.path().join("git")).unwrap();
        assert!(reopened.contains(&second) && reopened.format() == format);
    }
}

#[test]
fn a_hundred_fetches_need_no_reopening() {
    let forge = Forge::new();
    let folder = tempfile::tempdir().unwrap();
    let repo = Repository::create(&folder.path().join("git"), ObjectFormat::Sha1).unwrap();
    let mut tip = forge.unsigned().file("a", "0").make();
    import(&repo, &pack(&forge, tip.as_str()));
    for n in 1..100 {
        let next = forge.unsigned().on(&tip).message(&format!("change {n}")).make();
        import(&repo, &pack(&forge, &format!("{next}\n^{tip}")));
        assert!(repo.find(&next, LIMIT).unwrap().is_some(), "after {n} fetches");
        tip = next;
    }
    assert_eq!(repo.pack_sizes().unwrap().len(), 100);
}

#[test]
fn a_discarded_pack_leaves_nothing_and_takes_nothing_with_it() {
    let forge = Forge::new();
    let commit = forge.unsigned().file("a", "1").make();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("git");
    let repo = Repository::create(&path, ObjectFormat::Sha1).unwrap();
    let bytes = pack(&forge, commit.as_str());
    import(&repo, &bytes).discard().unwrap();
    assert_eq!(fs::read_dir(path.join("objects/pack")).unwrap().count(), 0);
    assert!(!Repository::open(&path).unwrap().contains(&commit));
    // A pack that was kept before is not taken away by somebody who sends it again.
    import(&repo, &bytes);
    import(&repo, &bytes).discard().unwrap();
    assert!(Repository::open(&path).unwrap().contains(&commit));
}

#[test]
fn a_damaged_pack_is_refused_and_nothing_of_it_stays() {
    let forge = Forge::new();
    let commit = forge.unsigned().file("a", content(1)).make();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("git");
    let repo = Repository::create(&path, ObjectFormat::Sha1).unwrap();
    let good = pack(&forge, commit.as_str());
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let half = &good[..good.len() / 2];
    for bad in [&flipped[..], half, b"", b"PACK", b"<html>not here</html>"] {
        assert!(repo.import_pack(&mut &bad[..]).is_err(), "{} bytes", bad.len());
    }
    let base = forge.unsigned().on(&commit).file("a", content(2)).make();
    let thin = pack(&forge, &format!("{base}\n^{commit}"));
    assert!(repo.import_pack(&mut &thin[..]).is_err(), "its base is not here");
    assert_eq!(fs::read_dir(path.join("objects/pack")).unwrap().count(), 0);
}

#[test]
fn an_object_over_the_limit_is_neither_imported_nor_read() {
    let forge = Forge::new();
    let large = forge.raw("blob", &vec![b'x'; 17 << 20]);
    let small = forge.raw("blob", &vec![b'x'; 1 << 10]);
    let repo = forge.repository();
    for (id, limit) in [(&large, u64::MAX), (&small, 1023)] {
        assert!(matches!(repo.find(id, limit), Err(Unreadable::TooLarge { .. })));
    }
    assert!(repo.find(&small, 1024).unwrap().is_some());
    let folder = tempfile::tempdir().unwrap();
    let own = Repository::create(&folder.path().join("git"), ObjectFormat::Sha1).unwrap();
    let bytes = forge.git(["pack-objects", "--stdout", "-q"], format!("{large}\n").as_bytes());
    assert!(bytes.len() < 100_000, "17 MiB of one letter pack well");
    assert!(own.import_pack(&mut &bytes[..]).is_err());
}

fn loose(path: &Path, id: &CommitId) -> std::path::PathBuf {
    let (folder, file) = id.as_str().split_at(2);
    path.join("objects").join(folder).join(file)
}

#[test]
fn bytes_that_are_not_those_of_their_id_are_refused() {
    let forge = Forge::new();
    let (one, two) = (forge.raw("blob", b"one"), forge.raw("blob", b"two"));
    let (from, to) = (loose(&forge.git_dir(), &one), loose(&forge.git_dir(), &two));
    fs::remove_file(&to).unwrap();
    fs::copy(from, to).unwrap();
    let repo = forge.repository();
    assert_eq!(repo.find(&one, LIMIT).unwrap().unwrap().1, b"one");
    assert!(matches!(repo.find(&two, LIMIT), Err(Unreadable::Damaged(_))));
}

#[test]
fn a_repository_whose_objects_could_come_from_elsewhere_is_not_opened() {
    let id = "1".repeat(40);
    for (file, content) in [
        ("shallow", id.clone()),
        ("info/grafts", id.clone()),
        ("objects/info/alternates", "/elsewhere".to_owned()),
        ("refs/replace/x", id.clone()),
        ("packed-refs", format!("{id} refs/replace/{id}\n")),
    ] {
        let forge = Forge::new();
        let path = forge.git_dir();
        assert!(Repository::open(&path).is_ok());
        let file = path.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        let fault = Repository::open(&path).err().expect("refused");
        assert!(fault.remedy.is_some(), "{fault}");
    }
}

#[test]
fn another_format_or_no_repository_is_told_apart() {
    let forge = Forge::with_format("sha256");
    let commit = forge.unsigned().make();
    let repo = forge.repository();
    assert_eq!(repo.format(), ObjectFormat::of(&commit));
    assert!(repo.find(&"1".repeat(40).parse().unwrap(), LIMIT).unwrap().is_none());
    let folder = tempfile::tempdir().unwrap();
    assert!(Repository::open(folder.path()).is_err());
    fs::write(folder.path().join("x"), "").unwrap();
    assert!(Repository::create(folder.path(), ObjectFormat::Sha1).is_err());
}
