//! Whether what is to be downloaded fits on the disk.

use std::path::{Path, PathBuf};

use super::narinfo::Missing;
use crate::fault::Fault;
use crate::plan::step::human_bytes;
use crate::world::disk::Disk;

pub(super) const STORE: &str = "/nix/store";
/// What the record of a generation may need, in bytes.
const LEDGER: u64 = 2 << 20;

/// What has to stay free, and where.
#[derive(Clone, Debug, Default)]
pub struct Room {
    /// Bytes of the store's disk that no download may use.
    pub reserve: Option<u64>,
    /// The ledger's folder.
    pub ledger: Option<PathBuf>,
}

impl Room {
    /// Whether there is room for a download; a disk that cannot be asked is left to nix.
    ///
    /// # Errors
    /// There is not. Nothing was begun, and once there is, the same download goes through.
    pub(super) fn check(&self, missing: Missing, doing: &str) -> Result<(), Fault> {
        if missing.paths == 0 {
            return Ok(());
        }
        let fault = Disk::of(Path::new(STORE)).ok().and_then(|store| self.store(missing, store));
        let ledger = self.ledger.iter().find_map(|folder| ledger(folder, Disk::of(folder).ok()?));
        match fault.or(ledger) {
            Some((because, remedy)) => Err(Fault::wait(doing, because).remedy(remedy)),
            None => Ok(()),
        }
    }

    /// The bytes that have to stay free and do not; a disk that cannot be asked has them.
    pub(super) fn is_short(&self) -> Option<u64> {
        let disk = Disk::of(Path::new(STORE)).ok()?;
        let reserve = self.reserve_of(disk);
        (disk.free < reserve).then_some(reserve)
    }

    fn reserve_of(&self, disk: Disk) -> u64 {
        self.reserve.unwrap_or(disk.reserve())
    }

    fn store(&self, missing: Missing, disk: Disk) -> Option<(String, &'static str)> {
        let reserve = self.reserve_of(disk);
        let needed = missing.unpacked.saturating_add(reserve);
        let [unpacked, download, reserve, free] =
            [missing.unpacked, missing.download, reserve, disk.free].map(human_bytes);
        let needs = match missing.unpacked {
            0 => format!("no cache told how large this is, {reserve} stay in reserve"),
            _ => format!("it needs {unpacked} ({download} to download) and {reserve} in reserve"),
        };
        let because = format!("the disk is too full: {needs}, and {free} are free on {STORE}");
        let remedy = "as root, `writ gc --collect` lets old closures go; or make that disk larger";
        (needed > disk.free).then_some((because, remedy))
    }
}

fn ledger(folder: &Path, disk: Disk) -> Option<(String, &'static str)> {
    let because = format!(
        "the disk is too full: the ledger needs {}, and {} are free on {}",
        human_bytes(LEDGER),
        human_bytes(disk.free),
        folder.display()
    );
    (disk.free < LEDGER).then_some((because, "free some space on that disk"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn told(reserve: Option<u64>, unpacked: u64, disk: Disk) -> Option<String> {
        let missing = Missing { paths: 1, download: unpacked / 3, unpacked, nowhere: 0 };
        Room { reserve, ledger: None }.store(missing, disk).map(|(because, _)| because)
    }

    #[test]
    fn a_download_leaves_the_reserve_alone() {
        let disk = Disk { size: 100 * GIB, free: GIB, files: None };
        assert_eq!(told(None, GIB / 2, disk), None);
        insta::assert_snapshot!(
            told(None, GIB / 2 + 1, disk).unwrap(),
            @"the disk is too full: it needs 512.0 MiB (170.7 MiB to download) and 512.0 MiB in reserve, and 1.0 GiB are free on /nix/store"
        );
        assert!(told(Some(GIB), 1, disk).is_some());
        assert_eq!(told(Some(0), GIB, disk), None);
        insta::assert_snapshot!(
            told(Some(2 * GIB), 0, disk).unwrap(),
            @"the disk is too full: no cache told how large this is, 2.0 GiB stay in reserve, and 1.0 GiB are free on /nix/store"
        );
    }

    #[test]
    fn a_small_disk_has_a_small_reserve() {
        let disk = Disk { size: GIB, free: GIB / 10, files: None };
        assert_eq!(told(None, GIB / 20, disk), None);
        assert!(told(None, GIB / 20 + 1, disk).is_some());
    }

    #[test]
    fn the_ledger_needs_some_room_too() {
        let disk = |free| Disk { size: GIB, free, files: None };
        assert_eq!(ledger(Path::new("/var/lib/writ"), disk(LEDGER)), None);
        let (because, _) = ledger(Path::new("/var/lib/writ"), disk(LEDGER - 1)).unwrap();
        assert!(because.ends_with("are free on /var/lib/writ"), "{because}");
    }
}
