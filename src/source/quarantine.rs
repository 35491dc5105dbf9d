//! What has been pushed to a server and is not taken yet: git keeps it in a folder of
//! its own and tells its hooks where (git-receive-pack(1), "QUARANTINE ENVIRONMENT").

use std::env;
use std::path::Path;

use super::checkout::CheckoutError;
use super::repo::Repository;
use crate::fault::Fault;
use crate::names::CommitId;
use crate::trust::{Kind, Objects, Unreadable};

/// A repository and what git's environment adds to it.
pub struct Pushed {
    stores: Vec<Repository>,
}

impl Pushed {
    /// The repository that a hook was started in.
    ///
    /// # Errors
    /// There is none, it is shallow, or a store that the environment names is not there.
    pub fn here() -> Result<Self, CheckoutError> {
        Self::opened(Repository::open_to_read)
    }

    /// The same of one that may be shallow, to judge a tree that is whole in it.
    ///
    /// # Errors
    /// There is none, or a store that the environment names is not there.
    pub fn here_in_part() -> Result<Self, CheckoutError> {
        Self::opened(Repository::open_in_part)
    }

    fn opened(open: impl Fn(&Path) -> Result<Repository, Fault>) -> Result<Self, CheckoutError> {
        let unusable = |why: String| CheckoutError::NoRepository { path: ".".into(), why };
        let found = gix::discover(".").map_err(|error| unusable(error.to_string()))?;
        let own = open(found.common_dir()).map_err(|fault| unusable(fault.because))?;
        let mut stores = Vec::new();
        for folder in folders() {
            let store = own.with_objects(Path::new(&folder));
            stores.push(store.map_err(|fault| unusable(fault.to_string()))?);
        }
        stores.insert(0, own);
        Ok(Self { stores })
    }

    /// Whether an object is here.
    pub fn contains(&self, id: &CommitId) -> bool {
        self.stores.iter().any(|store| store.contains(id))
    }
}

impl Objects for Pushed {
    fn find(&self, id: &CommitId, limit: u64) -> Result<Option<(Kind, Vec<u8>)>, Unreadable> {
        for store in &self.stores {
            if let Some(found) = store.find(id, limit)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Where the environment says that objects lie.
fn folders() -> Vec<String> {
    let named = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let mut folders: Vec<String> =
        ["GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY"].into_iter().filter_map(named).collect();
    folders.extend(named("GIT_ALTERNATE_OBJECT_DIRECTORIES").iter().flat_map(|all| split(all)));
    let mut seen = std::collections::BTreeSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

/// A list of folders as git writes it: parted by `:`, one that begins with `"` quoted
/// (git(1), `GIT_ALTERNATE_OBJECT_DIRECTORIES`).
fn split(list: &str) -> Vec<String> {
    let mut folders = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let (folder, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let (folder, after) = rest.split_once(':').unwrap_or((rest, ""));
                (folder.to_owned(), after)
            }
        };
        folders.extend(Some(folder).filter(|folder| !folder.is_empty()));
        rest = after;
    }
    folders
}

/// The text up to the closing quote, and what follows the separator.
fn unquoted(text: &str) -> (String, &str) {
    let mut folder = String::new();
    let mut chars = text.char_indices();
    while let Some((place, c)) = chars.next() {
        match c {
            '"' => {
                let after = &text[place + 1..];
                return (folder, after.strip_prefix(':').unwrap_or(after));
            }
            '\\' => folder.extend(chars.next().map(|(_, escaped)| escaped)),
            c => folder.push(c),
        }
    }
    (folder, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_folders_is_read_as_git_writes_it() {
        assert_eq!(split("/a/objects:/b c/objects"), ["/a/objects", "/b c/objects"]);
        assert_eq!(split("\"/a:b \\\"c\\\"/objects\":/d"), ["/a:b \"c\"/objects", "/d"]);
        assert_eq!(split("::/a:"), ["/a"]);
    }
}
