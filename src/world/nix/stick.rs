//! A binary cache that somebody has carried here on a disk: looked at before nix is let near.
//!
//! Nix opens whatever a cache names. So everything that it will open is looked at first:
//! a plain file or folder of bearable size, in the cache itself and not behind a link.
//! What is in the files is for nix to judge, by signatures and hashes.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, statat};

use super::{NixConfig, check_substituter, link, narinfo};
use crate::fault::Fault;
use crate::names::StorePath;
use crate::world::shelf::TEXT;
use crate::world::waits::Wait;

/// The cache's folder, beside the commits.
pub const CACHE: &str = "cache";
const INFO: &str = "nix-cache-info";
const NARS: &str = "nar";
/// A larger closure is left alone.
const MOST: usize = 100_000;
/// A disk that does not answer for this long is taken to be gone.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a disk has of closures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    /// It is not there, or is no cache.
    Nothing,
    Part,
    /// Everything that the store lacks.
    All,
}

/// How nix is to be asked for some closures.
pub(super) struct Road {
    pub(super) config: NixConfig,
    /// Where a disk was to be asked alone, and is damaged or has less than it seemed.
    pub(super) otherwise: Option<NixConfig>,
    /// Disks that nix is not let near.
    pub(super) refused: Vec<Fault>,
}

/// The host's caches, and what disks have beside them. A disk that has everything is
/// asked alone: nix gives up where another cache cannot be reached.
pub(super) async fn road(config: &NixConfig, roots: &[&StorePath]) -> Road {
    let mut road = Road { config: config.clone(), otherwise: None, refused: Vec::new() };
    for folder in &config.sticks {
        let cache = folder.join(CACHE);
        let url = format!("file://{}", cache.display());
        match look(folder, &url, roots).await {
            Ok(Share::All) => {
                road.config.substituters.push(url.clone());
                let alone = NixConfig { substituters: vec![url], ..config.clone() };
                let others = !config.substituters.is_empty();
                let all = std::mem::replace(&mut road.config, alone);
                road.otherwise = others.then_some(all);
                return road;
            }
            Ok(Share::Part) => road.config.substituters.push(url),
            // Nix is not asked, and where it lacks something the fault tells of it.
            Ok(Share::Nothing) if !link::exists(&cache) => road.config.substituters.push(url),
            // Nix would make a cache of it.
            Ok(Share::Nothing) => {}
            Err(fault) => {
                tracing::warn!("{fault}");
                road.refused.push(fault);
            }
        }
    }
    road
}

async fn look(folder: &Path, url: &str, roots: &[&StorePath]) -> Result<Share, Fault> {
    let doing = format!("use {url}");
    check_substituter(url).map_err(|why| {
        Fault::wait(&doing, why).remedy("have it mounted at a path of plain characters")
    })?;
    let roots: Vec<StorePath> = roots.iter().map(|path| (*path).clone()).collect();
    let failed = |why: String| {
        Fault::wait(&doing, why).remedy("make it anew with `writ kit`, on a disk of your own")
    };
    let wait = Wait::at(folder).map_err(|error| failed(error.to_string()))?;
    let folder = folder.to_owned();
    let share = tokio::task::spawn_blocking(move || {
        let _wait = wait;
        share(&folder, roots)
    });
    match tokio::time::timeout(PATIENCE, share).await {
        Ok(Ok(Ok(share))) => Ok(share),
        Ok(Ok(Err(error))) => Err(failed(error.to_string())),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("the disk did not answer within {} s", PATIENCE.as_secs()))),
    }
}

fn share(folder: &Path, roots: Vec<StorePath>) -> io::Result<Share> {
    let Some(stick) = Stick::open(folder)? else { return Ok(Share::Nothing) };
    let (mut seen, mut left): (BTreeSet<StorePath>, _) = (roots.iter().cloned().collect(), roots);
    let mut whole = true;
    while let Some(path) = left.pop() {
        if link::exists(Path::new(path.as_str())) {
            continue;
        }
        match stick.references(&path)? {
            Some(references) => {
                left.extend(references.into_iter().filter(|path| seen.insert(path.clone())));
            }
            None => whole = false,
        }
        if seen.len() > MOST {
            return Err(wrong(&format!("its closures have more than {MOST} paths")));
        }
    }
    Ok(if whole { Share::All } else { Share::Part })
}

/// A cache's folder, held open: what is renamed meanwhile does not change it.
struct Stick {
    cache: OwnedFd,
    nars: Option<OwnedFd>,
}

impl Stick {
    fn open(folder: &Path) -> io::Result<Option<Self>> {
        let here = rustix::fs::CWD;
        let Some(folder) = directory(here.as_fd(), folder.as_os_str())? else { return Ok(None) };
        let Some(cache) = directory(folder.as_fd(), OsStr::new(CACHE))? else { return Ok(None) };
        let nars = directory(cache.as_fd(), OsStr::new(NARS))?;
        let stick = Self { cache, nars };
        let Some(info) = text(stick.cache.as_fd(), INFO)? else { return Ok(None) };
        let store = narinfo::fields(&info, "StoreDir").next();
        if store.is_some_and(|store| store != "/nix/store") {
            return Err(wrong("it is a cache of another store"));
        }
        Ok(Some(stick))
    }

    /// What a path refers to; `None` where the cache has none of it.
    fn references(&self, path: &StorePath) -> io::Result<Option<Vec<StorePath>>> {
        let name = format!("{}.narinfo", path.hash());
        let Some(text) = text(self.cache.as_fd(), &name)? else { return Ok(None) };
        let Some(told) = narinfo::parse(text.as_bytes(), path) else {
            return Err(wrong(&format!("{name} is not about {path}")));
        };
        let place = narinfo::fields(&text, "URL").next().unwrap_or_default();
        let nar = place.strip_prefix("nar/").filter(|nar| is_name(nar));
        let nar = nar.ok_or_else(|| wrong(&format!("{name} names {place:?}, outside of nar/")))?;
        let Some(nars) = &self.nars else { return Ok(None) };
        let size = match size(nars.as_fd(), OsStr::new(nar))? {
            None => return Ok(None),
            Some(size) => size,
        };
        if narinfo::fields(&text, "FileSize").next().is_some() && size != told.download {
            // It is still being copied, or was not to its end.
            return Ok(None);
        }
        Ok(Some(told.references))
    }
}

fn is_name(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '=');
    !name.is_empty() && name.len() < 256 && name != ".." && name.chars().all(letters)
}

/// A folder that is one itself, and no link to one.
fn directory(at: impl AsFd, name: &OsStr) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(at, name, flags, Mode::empty()) {
        Ok(found) => Ok(Some(found)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
            Err(wrong(&format!("{} is no folder", name.display())))
        }
        Err(error) => Err(error.into()),
    }
}

/// The size of a plain file. Others are not even opened: with some devices that alone
/// does something.
fn size(at: impl AsFd, name: &OsStr) -> io::Result<Option<u64>> {
    let found = match statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => found,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => Ok(Some(u64::try_from(found.st_size).unwrap_or(0))),
        _ => Err(wrong(&format!("{} is no plain file", name.display()))),
    }
}

fn text(at: impl AsFd, name: &str) -> io::Result<Option<String>> {
    match size(at.as_fd(), OsStr::new(name))? {
        None => return Ok(None),
        Some(size) if size > TEXT => return Err(wrong(&format!("{name} is larger than 1 MiB"))),
        Some(_) => {}
    }
    // It may have become something else since.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(at, name, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(wrong(&format!("{name} is no plain file")));
    }
    let mut text = String::new();
    File::from(file).take(TEXT).read_to_string(&mut text)?;
    Ok(Some(text))
}

fn wrong(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const HASHES: [&str; 2] = ["0", "1"];

    fn path(n: usize) -> StorePath {
        format!("/nix/store/{}-stick{n}", HASHES[n].repeat(32)).parse().unwrap()
    }

    /// A path 0 that needs a path 1.
    fn stick() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        fs::create_dir_all(cache.join("nar")).unwrap();
        fs::write(cache.join(INFO), "StoreDir: /nix/store\n").unwrap();
        for n in 0..2 {
            let references =
                if n == 0 { format!("{}-stick1", HASHES[1].repeat(32)) } else { String::new() };
            let text = format!(
                "StorePath: {}\nURL: nar/{n}.nar\nFileSize: 3\nNarSize: 9\nNarHash: sha256:0\nReferences: {references}\n",
                path(n)
            );
            fs::write(cache.join(format!("{}.narinfo", path(n).hash())), text).unwrap();
            fs::write(cache.join(format!("nar/{n}.nar")), "nar").unwrap();
        }
        dir
    }

    fn found(dir: &Path) -> Result<Share, String> {
        share(dir, vec![path(0)]).map_err(|error| error.to_string())
    }

    #[test]
    fn a_disk_has_all_or_a_part_or_is_not_there() {
        let dir = stick();
        assert_eq!(found(dir.path()), Ok(Share::All));
        let nar = dir.path().join("cache/nar/1.nar");
        fs::write(&nar, "na").unwrap();
        assert_eq!(found(dir.path()), Ok(Share::Part), "half copied");
        fs::remove_file(&nar).unwrap();
        assert_eq!(found(dir.path()), Ok(Share::Part));
        assert_eq!(found(&dir.path().join("absent")), Ok(Share::Nothing));
        fs::remove_dir_all(dir.path().join("cache")).unwrap();
        assert_eq!(found(dir.path()), Ok(Share::Nothing));
    }

    #[tokio::test]
    async fn a_disk_that_has_not_answered_is_not_asked_again() {
        let dir = stick();
        let waits: Vec<Wait> = std::iter::from_fn(|| Wait::at(dir.path()).ok()).collect();
        let told = look(dir.path(), "file:///stick", &[]).await.unwrap_err();
        assert!(told.because.contains("not answered yet"), "{told}");
        drop(waits);
        assert_eq!(look(dir.path(), "file:///stick", &[]).await, Ok(Share::All));
    }

    #[test]
    fn nix_is_not_let_near_what_is_no_plain_file() {
        let own = format!("cache/{}.narinfo", path(1).hash());
        let nar = "cache/nar/1.nar";
        for name in [own.as_str(), nar, "cache/nix-cache-info"] {
            let leaf = name.rsplit('/').next().unwrap();
            let told = format!("{leaf} is no plain file");
            for spoil in [fifo, link_to_zero, folder] {
                let dir = stick();
                let file = dir.path().join(name);
                fs::remove_file(&file).unwrap();
                spoil(&file);
                assert_eq!(found(dir.path()), Err(told.clone()));
            }
        }
        let dir = stick();
        fs::rename(dir.path().join("cache"), dir.path().join("elsewhere")).unwrap();
        symlink("elsewhere", dir.path().join("cache")).unwrap();
        assert_eq!(found(dir.path()), Err("cache is no folder".to_owned()));
    }

    #[test]
    fn a_text_that_leads_elsewhere_or_has_no_end_is_refused() {
        let dir = stick();
        let text = dir.path().join(format!("cache/{}.narinfo", path(1).hash()));
        let good = fs::read_to_string(&text).unwrap();
        for bad in ["nar/../../etc/shadow", "/etc/shadow", "nar/", "nar/..", "http://a/nar/1.nar"] {
            fs::write(&text, good.replace("nar/1.nar", bad)).unwrap();
            assert!(found(dir.path()).unwrap_err().contains("outside of nar/"), "{bad}");
        }
        fs::write(&text, good.replace("stick1", "stick2")).unwrap();
        assert!(found(dir.path()).unwrap_err().contains("is not about"));
        File::create(&text).unwrap().set_len(1 << 40).unwrap();
        assert!(found(dir.path()).unwrap_err().contains("larger than 1 MiB"));
    }

    fn fifo(path: &Path) {
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, mode, 0).unwrap();
    }

    fn link_to_zero(path: &Path) {
        symlink("/dev/zero", path).unwrap();
    }

    fn folder(path: &Path) {
        fs::create_dir(path).unwrap();
    }
}
