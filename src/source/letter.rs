//! A host's report as a push brings it: one commit without a parent, one file in it.

use super::outbox::FILE;
use super::quarantine::Pushed;
use crate::names::CommitId;
use crate::trust::{Kind, Objects as _, Unreadable};

/// The commit and its tree: no more than a report needs.
const SMALL: u64 = 4 << 10;

impl Pushed {
    /// The report that a host's ref is to lead to. With nothing beside it: what a host
    /// pushes stays small, and tells nothing that is not signed.
    ///
    /// # Errors
    /// Why it is no report, in words for whoever pushed.
    pub fn report(&self, commit: &CommitId, limit: usize) -> Result<Vec<u8>, String> {
        let commit = self.one(commit, Kind::Commit, SMALL)?;
        let tree = tree_of(&commit).ok_or("its commit has a parent, or is none of git's")?;
        let tree = self.one(&tree, Kind::Tree, SMALL)?;
        let file =
            only_file(&tree).ok_or_else(|| format!("it holds more than the file `{FILE}`"))?;
        self.one(&file, Kind::Blob, limit as u64)
    }

    fn one(&self, id: &CommitId, kind: Kind, limit: u64) -> Result<Vec<u8>, String> {
        match self.find(id, limit) {
            Ok(Some((found, bytes))) if found == kind => Ok(bytes),
            Ok(Some(_)) => Err("its ref leads to no commit with a file".to_owned()),
            Ok(None) => Err(format!("{} is not there", id.short())),
            Err(Unreadable::TooLarge { size }) => {
                Err(format!("{size} bytes are more than a report has"))
            }
            Err(Unreadable::Damaged(why)) => Err(why),
        }
    }
}

/// `tree <id>`, and no line `parent <id>` below it.
fn tree_of(commit: &[u8]) -> Option<CommitId> {
    let text = str::from_utf8(commit).ok()?;
    let (tree, rest) = text.strip_prefix("tree ")?.split_once('\n')?;
    rest.starts_with("author ").then(|| tree.parse().ok())?
}

/// `100644 status`, NUL, the raw id, and nothing after it.
fn only_file(tree: &[u8]) -> Option<CommitId> {
    let raw = tree.strip_prefix(format!("100644 {FILE}\0").as_bytes())?;
    let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1111111111111111111111111111111111111111";

    #[test]
    fn a_commit_with_a_past_is_none() {
        let of =
            |head: &str| tree_of(format!("tree {ID}\n{head}author h <h@h> 1 +0000\n").as_bytes());
        assert_eq!(of("").unwrap().as_str(), ID);
        assert_eq!(of(&format!("parent {ID}\n")), None);
        assert_eq!(tree_of(b"tree x\nauthor h\n"), None);
    }

    #[test]
    fn a_tree_with_anything_beside_the_report_is_none() {
        let entry =
            |mode: &str, name: &str| [format!("{mode} {name}\0").as_bytes(), &[0x11; 20]].concat();
        assert_eq!(only_file(&entry("100644", FILE)).unwrap().as_str(), ID);
        assert_eq!(only_file(&[entry("100644", "a"), entry("100644", FILE)].concat()), None);
        assert_eq!(only_file(&[entry("100644", FILE), entry("100644", "z")].concat()), None);
        assert_eq!(only_file(&entry("120000", FILE)), None);
        assert_eq!(only_file(&entry("40000", FILE)), None);
        assert_eq!(only_file(b""), None);
    }
}
