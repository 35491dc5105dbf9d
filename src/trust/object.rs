//! Fetches objects of one kind, and says which rule a missing or damaged one breaks.

use std::cell::Cell;

use super::breach::Breach;
use super::commit::{self, Commit};
use super::tree::{self, Entry};
use super::{Kind, Objects, Reason, Unreadable, limits};
use crate::names::CommitId;

/// How the repository names its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Sha1,
    Sha256,
}

impl Format {
    pub(super) fn of(id: &CommitId) -> Self {
        if id.as_str().len() == 40 { Self::Sha1 } else { Self::Sha256 }
    }

    pub(super) fn raw_length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The header that holds the signature of a commit (gitformat-signature).
    pub(super) fn signature_header(self) -> &'static str {
        match self {
            Self::Sha1 => "gpgsig",
            Self::Sha256 => "gpgsig-sha256",
        }
    }

    pub(super) fn id(self, hex: &[u8]) -> Option<CommitId> {
        let id: CommitId = str::from_utf8(hex).ok()?.parse().ok()?;
        (Self::of(&id) == self).then_some(id)
    }

    pub(super) fn id_of_raw(self, raw: &[u8]) -> CommitId {
        let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        self.id(hex.as_bytes()).expect("the reader cuts ids at the format's length")
    }
}

/// Objects of one repository, and how much more of them may be read: whoever may
/// sign could otherwise keep a host busy with very many or very large ones.
pub(super) struct Reader<'a, O> {
    objects: &'a O,
    pub(super) format: Format,
    left: Cell<u64>,
    left_in_files: Cell<u64>,
}

impl<'a, O: Objects> Reader<'a, O> {
    /// For a new head, within budgets.
    pub(super) fn new(objects: &'a O, format: Format) -> Self {
        let (left, left_in_files) = (Cell::new(limits::READ), Cell::new(limits::READ_FILES));
        Self { objects, format, left, left_in_files }
    }

    /// For a history that is accepted, which may be of any length.
    pub(super) fn unbounded(&self) -> Self {
        let (left, left_in_files) = (Cell::new(u64::MAX), Cell::new(u64::MAX));
        Self { objects: self.objects, format: self.format, left, left_in_files }
    }

    pub(super) fn commit(&self, id: &CommitId) -> Result<Commit, Breach> {
        commit::split(&self.object(id, Kind::Commit, limits::COMMIT, "O1")?, self.format)
    }

    /// A folder that hosts read.
    pub(super) fn tree(&self, id: &CommitId) -> Result<Vec<Entry>, Breach> {
        tree::read(&self.object(id, Kind::Tree, limits::TREE, "O5")?, self.format)
    }

    /// The root of a commit.
    pub(super) fn root(&self, id: &CommitId) -> Result<Vec<Entry>, Breach> {
        tree::read_root(&self.object(id, Kind::Tree, limits::TREE, "O5")?, self.format)
    }

    /// A folder that hosts do not read, or no longer.
    pub(super) fn any_tree(&self, id: &CommitId) -> Result<Vec<Entry>, Breach> {
        tree::read_any(&self.object(id, Kind::Tree, limits::TREE, "O5")?, self.format)
    }

    pub(super) fn file(&self, id: &CommitId) -> Result<Vec<u8>, Breach> {
        let bytes = self.object(id, Kind::Blob, limits::FILE, "O5")?;
        spend(&self.left_in_files, bytes.len())?;
        Ok(bytes)
    }

    fn object(
        &self,
        id: &CommitId,
        kind: Kind,
        limit: u64,
        budget: &'static str,
    ) -> Result<Vec<u8>, Breach> {
        match self.objects.find(id, limit) {
            Ok(Some((found, bytes))) if found == kind => {
                spend(&self.left, bytes.len())?;
                Ok(bytes)
            }
            Ok(Some((found, _))) => Err(Breach::malformed(
                "O3",
                format!("object {} is a {found}, not a {kind}", id.short()),
            )),
            Ok(None) => Err(Breach::new(
                "O3",
                Reason::MissingObject,
                format!("{kind} {} does not exist in the repository", id.short()),
                "push the branch again with all its objects; the remote or bundle is incomplete",
            )),
            Err(Unreadable::TooLarge { size }) => Err(Breach::new(
                budget,
                Reason::TooLarge,
                format!("{kind} {} has {size} bytes, {limit} are allowed", id.short()),
                "keep large files out of the deploy repository; closures carry them",
            )),
            Err(Unreadable::Damaged(because)) => Err(Breach::new(
                "O3",
                Reason::MissingObject,
                format!("{kind} {} cannot be read: {because}", id.short()),
                "delete this host's copy of the repository and fetch it again",
            )),
        }
    }
}

fn spend(left: &Cell<u64>, bytes: usize) -> Result<(), Breach> {
    match left.get().checked_sub(bytes as u64) {
        Some(rest) => {
            left.set(rest);
            Ok(())
        }
        None => Err(Breach::new(
            "O5",
            Reason::TooLarge,
            "the new commits, with their folders and policies, are too large to be judged in one step",
            "find out who put so much there; let the host follow in smaller steps if it is meant",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository in which every id is a file of half a megabyte.
    struct Endless;

    impl Objects for Endless {
        fn find(&self, _: &CommitId, _: u64) -> Result<Option<(Kind, Vec<u8>)>, Unreadable> {
            Ok(Some((Kind::Blob, vec![b'x'; 1 << 19])))
        }
    }

    #[test]
    fn reading_a_new_head_comes_to_an_end_and_an_accepted_one_is_read_whole() {
        let id: CommitId = "1".repeat(40).parse().unwrap();
        let reader = Reader::new(&Endless, Format::Sha1);
        let read = (0..1000).take_while(|_| reader.file(&id).is_ok()).count() as u64;
        assert_eq!(read, limits::READ_FILES >> 19);
        let reader = reader.unbounded();
        assert!((0..=read).all(|_| reader.file(&id).is_ok()));
    }
}
