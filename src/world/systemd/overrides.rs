//! Files of others that systemd reads over our units, and the folder they are moved to.
//!
//! systemd.unit(5) gives the folders: those of `systemctl set-property`, and
//! `/etc/systemd/system`, come before ours, so that a mask or a unit there wins.
//! Drop-ins count wherever they lie.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::FOLDER;
use super::files::is_ours;
use crate::fault::Fault;
use crate::names::UnitName;
use crate::plan::observed::{Override, OverrideKind, Overrides};
use crate::plan::step::Aside;

/// Before ours in systemd's order.
const BEFORE: [&str; 3] =
    ["/etc/systemd/system.control", "/run/systemd/system.control", "/etc/systemd/system"];
/// How many files are kept; whoever puts one back each round does not fill the disk.
const KEPT: usize = 100;
/// How much of a path its name there tells, in bytes: NAME_MAX is 255.
const LONGEST: usize = 200;

/// Where others put files over our units, and where those go.
#[derive(Clone, Debug)]
pub(super) struct Foreign {
    before: Vec<PathBuf>,
    ours: PathBuf,
    kept: PathBuf,
}

impl Foreign {
    pub(super) fn keeping_in(kept: impl Into<PathBuf>) -> Self {
        let before = BEFORE.map(PathBuf::from).to_vec();
        Self { before, ours: FOLDER.into(), kept: kept.into() }
    }

    /// Every file that is there, by the unit it is for.
    pub(super) fn find(&self) -> Result<Overrides, Fault> {
        let mut found = Overrides::new();
        for folder in self.before.iter().chain([&self.ours]) {
            let whole = *folder != self.ours;
            self.find_in(folder, whole, &mut found)
                .map_err(|error| Fault::wait(format!("read {}", folder.display()), error))?;
        }
        Ok(found)
    }

    fn find_in(&self, folder: &Path, whole: bool, found: &mut Overrides) -> io::Result<()> {
        for name in names(folder)? {
            if let Some(unit) = name.strip_suffix(".d").and_then(our_unit) {
                found.entry(unit).or_default().extend(drop_ins(&folder.join(&name)));
            } else if let Some(unit) = our_unit(&name).filter(|_| whole) {
                found.entry(unit).or_default().extend(look(&folder.join(&name), false));
            }
        }
        found.retain(|_, files| !files.is_empty());
        Ok(())
    }

    /// Moves a file away; one that is gone is fine.
    pub(super) fn set_aside(&self, aside: &Aside) -> Result<(), Fault> {
        let path = Path::new(aside.path.as_str());
        let doing = || format!("move {} to {}", path.display(), self.kept.display());
        let known = self.before.iter().chain([&self.ours]).any(|folder| {
            let name = path.strip_prefix(folder).ok().and_then(|rest| rest.iter().next()?.to_str());
            name.is_some_and(|name| name.strip_suffix(".d").unwrap_or(name) == aside.unit.as_str())
        });
        if !known {
            return Err(Fault::refuse(doing(), format!("it is not over {}", aside.unit)));
        }
        self.keep(path)
            .map_err(|error| Fault::wait(doing(), error).remedy("remove it, or let root remove it"))
    }

    fn keep(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.kept)?;
        let target = self.free_name(path);
        match fs::rename(path, &target) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == ErrorKind::CrossesDevices => carry(path, &target)?,
            other => other?,
        }
        File::open(&self.kept)?.sync_all()?;
        if let Some(folder) = path.parent().filter(|f| f.extension().is_some_and(|e| e == "d")) {
            // It stays where something else is in it.
            let _stays = fs::remove_dir(folder);
        }
        self.thin_out(&target);
        Ok(())
    }

    /// `2026-11-21T10:54:23Z-etc-systemd-system-writ-web.service.d-mine.conf`, of a path
    /// that is too long for a name its end.
    fn free_name(&self, path: &Path) -> PathBuf {
        let time = jiff::Timestamp::now();
        let time = jiff::Timestamp::from_second(time.as_second()).unwrap_or(time);
        let flat = path.to_string_lossy().trim_start_matches('/').replace('/', "-");
        let flat = &flat[flat.ceil_char_boundary(flat.len().saturating_sub(LONGEST))..];
        let numbers = std::iter::once(String::new()).chain((2..).map(|n: u32| format!("-{n}")));
        numbers
            .map(|number| self.kept.join(format!("{time}-{flat}{number}")))
            .find(|target| fs::symlink_metadata(target).is_err())
            .expect("the numbers do not end")
    }

    /// What was just moved stays, also where the clock went back and its name is the
    /// oldest. What cannot be removed is no reason to leave the host as it is.
    fn thin_out(&self, latest: &Path) {
        let mut kept = names(&self.kept).unwrap_or_default();
        kept.retain(|name| latest.file_name() != Some(OsStr::new(name)));
        kept.sort_unstable();
        let surplus = (kept.len() + 1).saturating_sub(KEPT);
        for name in &kept[..surplus] {
            let _stays = fs::remove_file(self.kept.join(name));
        }
    }
}

fn our_unit(name: &str) -> Option<UnitName> {
    name.parse().ok().filter(is_ours)
}

/// The names in a folder; none where there is no such folder.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    entries
        .filter_map(|entry| entry.map(|e| e.file_name().into_string().ok()).transpose())
        .collect()
}

/// What lies in a unit's folder of drop-ins. A link to a folder is one thing to move:
/// the files behind it may be those of other units, too.
fn drop_ins(folder: &Path) -> Vec<Override> {
    let names = names(folder).unwrap_or_default();
    let files = names.iter().filter(|file| file.ends_with(".conf"));
    let found: Vec<_> = files.filter_map(|file| look(&folder.join(file), true)).collect();
    if !folder.is_symlink() || found.is_empty() {
        return found;
    }
    let text = found.into_iter().map(|file| file.text).collect::<Vec<_>>().join("\n");
    told(folder, OverrideKind::DropIn, text).into_iter().collect()
}

/// A file as systemd takes it; none where it takes none (a folder, a strange name).
fn look(path: &Path, drop_in: bool) -> Option<Override> {
    if path.is_dir() {
        return None;
    }
    // Nothing else is read: a pipe would never end. A link that leads nowhere or in a
    // circle masks the unit as well.
    let bytes = if path.is_file() { fs::read(path).unwrap_or_default() } else { Vec::new() };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let kind = match (drop_in, text.is_empty()) {
        (true, _) => OverrideKind::DropIn,
        (false, true) => OverrideKind::Mask,
        (false, false) => OverrideKind::Replacement,
    };
    told(path, kind, text)
}

fn told(path: &Path, kind: OverrideKind, text: String) -> Option<Override> {
    let name = path.to_str()?.parse().ok()?;
    Some(Override { path: name, kind, text, movable: is_movable(path) })
}

/// Whether a file can leave its folder. What lies in the Nix store belongs to the
/// system's own configuration, even where root could write there.
fn is_movable(path: &Path) -> bool {
    let Some(folder) = path.parent().and_then(|folder| folder.canonicalize().ok()) else {
        return false;
    };
    // For a link itself, and a file that was made immutable; where the kernel cannot
    // tell, moving it will.
    let file = accessat(CWD, path, Access::WRITE_OK, AtFlags::SYMLINK_NOFOLLOW);
    let refused = |error| matches!(error, rustix::io::Errno::PERM | rustix::io::Errno::ROFS);
    !folder.starts_with("/nix/store")
        && accessat(CWD, &folder, Access::WRITE_OK, AtFlags::empty()).is_ok()
        && !file.is_err_and(refused)
}

/// To another disk: there first, and then gone from here.
fn carry(path: &Path, target: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_symlink() {
        symlink(fs::read_link(path)?, target)?;
    } else {
        fs::copy(path, target)?;
        File::open(target)?.sync_all()?;
    }
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "writ-web.service";

    fn folders() -> (tempfile::TempDir, Foreign) {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["control", "etc", "run"] {
            fs::create_dir(at(name)).unwrap();
        }
        let foreign =
            Foreign { before: vec![at("control"), at("etc")], ours: at("run"), kept: at("kept") };
        (root, foreign)
    }

    fn put(path: PathBuf, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn aside(unit: &str, path: &str) -> Aside {
        Aside { unit: unit.parse().unwrap(), path: path.parse().unwrap(), stop: false }
    }

    fn kinds(foreign: &Foreign) -> Vec<OverrideKind> {
        let found = foreign.find().unwrap().remove(&WEB.parse().unwrap()).unwrap_or_default();
        assert!(found.iter().all(|file| file.movable), "{found:?}");
        let mut kinds: Vec<_> = found.iter().map(|file| file.kind).collect();
        kinds.sort_unstable();
        kinds
    }

    fn all_aside(foreign: &Foreign) {
        for (unit, files) in foreign.find().unwrap() {
            for file in files {
                foreign.set_aside(&aside(unit.as_str(), file.path.as_str())).unwrap();
            }
        }
    }

    #[test]
    fn masks_units_and_drop_ins_are_found_and_moved_and_not_lost() {
        let (root, foreign) = folders();
        assert_eq!(foreign.find().unwrap(), Overrides::new());
        symlink("/dev/null", root.path().join("etc").join(WEB)).unwrap();
        put(root.path().join("control").join(WEB), "[Service]\n");
        put(root.path().join("run/writ-web.service.d/a.conf"), "[Service]\nNice=1\n");
        put(root.path().join("etc/writ-web.service.d/a.conf"), "[Service]\nNice=2\n");
        let (drop_in, mask) = (OverrideKind::DropIn, OverrideKind::Mask);
        assert_eq!(kinds(&foreign), [mask, OverrideKind::Replacement, drop_in, drop_in]);
        all_aside(&foreign);
        assert_eq!(foreign.find().unwrap(), Overrides::new());
        assert_eq!(names(&foreign.kept).unwrap().len(), 4);
        assert!(!root.path().join("etc/writ-web.service.d").exists());
    }

    #[test]
    fn what_is_not_over_a_unit_of_ours_stays() {
        let (root, foreign) = folders();
        for path in [
            "run/writ-web.service",
            "etc/writ-agent.service",
            "etc/writ-agent.service.d/a.conf",
            "etc/sshd.service.d/a.conf",
            "etc/service.d/a.conf",
            "etc/writ-.service.d/a.conf",
            "etc/writ-web.service.d/README",
            "etc/writ-web.service.d/a.conf/x",
        ] {
            put(root.path().join(path), "x");
        }
        assert_eq!(foreign.find().unwrap(), Overrides::new());
        let path = root.path().join("etc/sshd.service.d/a.conf");
        foreign.set_aside(&aside(WEB, path.to_str().unwrap())).unwrap_err();
        assert!(path.exists());
    }

    #[test]
    fn nothing_strange_that_somebody_puts_there_keeps_the_rest_from_being_seen() {
        let (root, foreign) = folders();
        let etc = root.path().join("etc");
        symlink(etc.join(WEB), etc.join(WEB)).unwrap();
        rustix::fs::mkfifoat(CWD, etc.join("writ-api.service"), 0o600.into()).unwrap();
        symlink("/dev/zero", etc.join("writ-db.service")).unwrap();
        symlink(etc.join("writ-loop.service.d"), etc.join("writ-loop.service.d")).unwrap();
        put(root.path().join("run/writ-job.service.d/a.conf"), "[Service]\n");
        let found: Vec<_> = foreign
            .find()
            .unwrap()
            .into_iter()
            .map(|(unit, files)| (unit.to_string(), files[0].kind))
            .collect();
        let mask = |name: &str| (format!("writ-{name}.service"), OverrideKind::Mask);
        let job = ("writ-job.service".to_owned(), OverrideKind::DropIn);
        assert_eq!(found, [mask("api"), mask("db"), job, mask("web")]);
        all_aside(&foreign);
        assert_eq!(foreign.find().unwrap(), Overrides::new());
    }

    #[test]
    fn a_folder_that_units_share_loses_nothing() {
        let (root, foreign) = folders();
        put(root.path().join("shared/a.conf"), "[Service]\nNice=1\n");
        for name in ["web", "api"] {
            let link = root.path().join(format!("etc/writ-{name}.service.d"));
            symlink(root.path().join("shared"), link).unwrap();
        }
        let web = &foreign.find().unwrap()[&WEB.parse().unwrap()][0];
        assert_eq!((web.kind, web.text.as_str()), (OverrideKind::DropIn, "[Service]\nNice=1\n"));
        foreign.set_aside(&aside(WEB, web.path.as_str())).unwrap();
        let left: Vec<_> = foreign.find().unwrap().into_keys().map(|u| u.to_string()).collect();
        assert_eq!(left, ["writ-api.service"]);
        assert!(root.path().join("shared/a.conf").exists());
    }

    #[test]
    fn what_is_moved_stays_although_the_clock_went_back_and_others_are_in_the_way() {
        let (root, foreign) = folders();
        for n in 0..KEPT {
            put(foreign.kept.join(format!("9{n:03}-later")), "");
        }
        fs::create_dir(foreign.kept.join("1-folder")).unwrap();
        let long = format!("{}.conf", "ü".repeat(120));
        put(root.path().join("etc/writ-web.service.d").join(&long), "[Service]\nNice=7\n");
        all_aside(&foreign);
        assert_eq!(foreign.find().unwrap(), Overrides::new());
        let kept = names(&foreign.kept).unwrap();
        let mut texts = kept.iter().filter_map(|n| fs::read_to_string(foreign.kept.join(n)).ok());
        assert!(texts.any(|text| text.contains("Nice=7")), "{kept:?}");
    }

    #[test]
    fn the_same_file_put_back_again_and_again_is_kept_a_hundred_times() {
        let (root, foreign) = folders();
        let path = root.path().join("etc/writ-web.service.d/a.conf");
        for n in 0..KEPT + 5 {
            put(path.clone(), &n.to_string());
            all_aside(&foreign);
        }
        assert_eq!(names(&foreign.kept).unwrap().len(), KEPT);
        foreign.set_aside(&aside(WEB, path.to_str().unwrap())).unwrap();
    }
}
