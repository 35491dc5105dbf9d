//! Our unit files in `/run/systemd/system`.
//!
//! They are small and in memory, so that reading and writing them takes
//! microseconds and is done where it is asked for. Nothing is synced: `/run`
//! does not outlive a power cut.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::fault::Fault;
use crate::names::UnitName;

/// Names that look like ours and belong to the program itself.
const RESERVED: [&str; 2] = ["writ-agent.service", "writ-boot.service"];

/// Whether a unit is that of a service of the manifest.
pub(super) fn is_ours(unit: &UnitName) -> bool {
    unit.service().is_some() && !RESERVED.contains(&unit.as_str())
}

/// The folder of our unit files, which others share.
#[derive(Clone, Debug)]
pub(super) struct UnitFiles(PathBuf);

impl UnitFiles {
    pub(super) fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    pub(super) fn path(&self, unit: &UnitName) -> PathBuf {
        self.0.join(unit.as_str())
    }

    /// The texts of our units' files.
    pub(super) fn read_all(&self) -> Result<BTreeMap<UnitName, String>, Fault> {
        let doing = || format!("read {}", self.0.display());
        let mut texts = BTreeMap::new();
        for entry in fs::read_dir(&self.0).map_err(|e| unusable(doing(), &e))? {
            let entry = entry.map_err(|e| unusable(doing(), &e))?;
            let name = entry.file_name().into_string().ok().and_then(|name| name.parse().ok());
            let Some(unit) = name.filter(is_ours) else { continue };
            if let Some(text) = self.read(&unit)? {
                texts.insert(unit, text);
            }
        }
        Ok(texts)
    }

    /// The text of a unit's file, `None` where there is no file.
    fn read(&self, unit: &UnitName) -> Result<Option<String>, Fault> {
        let path = self.path(unit);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            // A folder somebody put there shows as a text that is none of ours.
            Err(error) if error.kind() == ErrorKind::IsADirectory => Ok(Some(String::new())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(format!("read {}", path.display()), &error)),
        }
    }

    /// Writes a unit's file where it is as expected, or is so already.
    pub(super) fn write(
        &self,
        unit: &UnitName,
        expect: Option<&str>,
        text: &str,
    ) -> Result<(), Fault> {
        let doing = format!("write {unit}");
        let found = self.read(unit)?;
        if found.as_deref() == Some(text) {
            return Ok(());
        }
        if found.as_deref() != expect {
            return Err(changed_meanwhile(doing));
        }
        self.replace(unit, text).map_err(|error| unusable(doing, &error))
    }

    /// Removes a unit's file where it is as expected, or gone already.
    pub(super) fn remove(&self, unit: &UnitName, expect: &str) -> Result<(), Fault> {
        let doing = format!("remove {unit}");
        match self.read(unit)? {
            None => Ok(()),
            Some(found) if found != expect => Err(changed_meanwhile(doing)),
            Some(_) => fs::remove_file(self.path(unit)).map_err(|e| unusable(doing, &e)),
        }
    }

    /// The hidden name keeps systemd from reading a file that is half written.
    fn replace(&self, unit: &UnitName, text: &str) -> io::Result<()> {
        let path = self.path(unit);
        let hidden = self.0.join(format!(".{unit}.new"));
        let written = write_new(&hidden, text)
            .and_then(|file| make_newer(&file, &path))
            .and_then(|()| fs::rename(&hidden, &path));
        if written.is_err() {
            // What is left of it would be overwritten by the next attempt.
            let _kept = fs::remove_file(&hidden);
        }
        written
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<File> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    // Whatever this process' umask is: systemd-analyze and a person may read it.
    file.set_permissions(Permissions::from_mode(0o644))?;
    Ok(file)
}

/// systemd sees that a file has changed by a later modification time only
/// (`unit_need_daemon_reload`), and clocks go backwards.
fn make_newer(file: &File, than: &Path) -> io::Result<()> {
    let Ok(old) = fs::symlink_metadata(than).and_then(|meta| meta.modified()) else {
        return Ok(());
    };
    let new = file.metadata()?.modified()?;
    if new > old { Ok(()) } else { file.set_modified(after(old)) }
}

fn after(time: SystemTime) -> SystemTime {
    time + Duration::from_millis(1)
}

/// The plan is stale; the next round makes another.
fn changed_meanwhile(doing: String) -> Fault {
    Fault::wait(doing, "the file is not what the plan expects: somebody changed it meanwhile")
        .remedy("nothing to do: the next round plans again from what is there")
}

fn unusable(doing: String, error: &io::Error) -> Fault {
    let fault = Fault::wait(doing, error);
    match error.kind() {
        ErrorKind::NotFound => fault.remedy("Writ needs a host that systemd has booted"),
        ErrorKind::StorageFull => fault.remedy("free space below /run"),
        ErrorKind::PermissionDenied => fault.remedy("the agent has to run as root"),
        _ => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Retry;

    fn folder() -> (tempfile::TempDir, UnitFiles) {
        let folder = tempfile::tempdir().unwrap();
        let files = UnitFiles::in_folder(folder.path());
        (folder, files)
    }

    fn web() -> UnitName {
        "writ-web.service".parse().unwrap()
    }

    #[test]
    fn only_our_own_units_are_read() {
        let (folder, files) = folder();
        for name in
            ["writ-web.service", "writ-web.timer", "writ-agent.service", "writ-boot.service"]
        {
            fs::write(folder.path().join(name), name).unwrap();
        }
        for name in ["sshd.service", "writ-Web.service", "writ-web.socket", ".writ-a.service.new"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let names: Vec<String> =
            files.read_all().unwrap().into_keys().map(|name| name.to_string()).collect();
        assert_eq!(names, ["writ-web.service", "writ-web.timer"]);
    }

    #[test]
    fn a_file_that_is_not_as_expected_is_left_alone() {
        let (_folder, files) = folder();
        files.write(&web(), None, "one").unwrap();
        for stale in [None, Some("other")] {
            let fault = files.write(&web(), stale, "two").unwrap_err();
            assert_eq!(fault.retry, Retry::Soon);
        }
        assert_eq!(files.remove(&web(), "other").unwrap_err().retry, Retry::Soon);
        assert_eq!(files.read(&web()).unwrap().as_deref(), Some("one"));
    }

    #[test]
    fn a_written_file_is_readable_by_all_and_alone() {
        let (folder, files) = folder();
        files.write(&web(), None, "one").unwrap();
        files.write(&web(), Some("one"), "two").unwrap();
        files.write(&web(), Some("one"), "two").unwrap();
        assert_eq!(files.read(&web()).unwrap().as_deref(), Some("two"));
        let mode = fs::metadata(files.path(&web())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_newer_than_the_one_it_replaces_whatever_the_clock_says() {
        let (_folder, files) = folder();
        files.write(&web(), None, "one").unwrap();
        let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
        File::options()
            .write(true)
            .open(files.path(&web()))
            .unwrap()
            .set_modified(tomorrow)
            .unwrap();
        files.write(&web(), Some("one"), "two").unwrap();
        assert!(fs::metadata(files.path(&web())).unwrap().modified().unwrap() > tomorrow);
    }

    #[test]
    fn a_mask_is_replaced_and_not_written_through() {
        let (folder, files) = folder();
        let target = folder.path().join("target");
        fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, files.path(&web())).unwrap();
        files.write(&web(), Some(""), "one").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "");
        assert_eq!(files.read(&web()).unwrap().as_deref(), Some("one"));
    }

    #[test]
    fn removing_what_is_gone_is_fine() {
        let (_folder, files) = folder();
        files.remove(&web(), "one").unwrap();
        files.write(&web(), None, "one").unwrap();
        files.remove(&web(), "one").unwrap();
        assert!(files.read_all().unwrap().is_empty());
    }

    #[test]
    fn a_host_without_systemd_is_waited_for() {
        let files = UnitFiles::in_folder("/nonexistent/systemd/system");
        let fault = files.read_all().unwrap_err();
        assert_eq!(fault.retry, Retry::Soon);
        assert!(fault.remedy.unwrap().contains("systemd"));
    }
}
