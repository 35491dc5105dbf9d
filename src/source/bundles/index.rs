//! The index of a place where a branch is published: which bundles lie there, and which
//! commits they lead to.
//!
//! It is a bundle list as git reads it (gitformat-bundle(5) and the design of git's
//! bundle URIs), so `git clone --bundle-uri` takes it too; what a host needs on top lies
//! in keys that git passes over:
//!
//! ```text
//! [bundle]
//!     version = 1
//!     mode = all
//!     heuristic = creationToken
//!     writFormat = 1
//!     writBranch = "main"
//!     writTip = <id>                            where the branch stands
//!     writHead = <id> <sequence>                the newest statements about it …
//!     writReset = <id> <sequence>
//!     writStatements = <sha256> <size> <token>  … in a bundle of their own, and in each from <token> on
//! [bundle "1767225600"]
//!     uri = bundles/<sha256>.bundle
//!     creationToken = 1767225600
//!     writSize = 1234
//!     writTip = <id>
//!     writBase = <id>                           whose history it takes; none: it is whole
//! ```

mod section;

use std::fmt;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::names::{BranchName, CommitId};
use section::{Section, branch, missing, sections};

/// The largest index that is read, in bytes.
pub const LIMIT: u64 = 64 << 10;
/// The most bundles that an index names.
pub const ENTRIES: usize = 128;
/// In front of an index, for whoever opens it.
const NOTE: &str =
    "# Written by writ mirror. Git reads it too: git clone --bundle-uri=URL-OF-THIS-FILE\n";
const FIXED: [(&str, &str); 4] =
    [("version", "1"), ("mode", "all"), ("heuristic", "creationToken"), ("writFormat", "1")];

/// What is published of one branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    pub branch: BranchName,
    pub tip: CommitId,
    pub stated: Option<Stated>,
    /// The oldest first; the last one leads to the tip.
    pub entries: Vec<Entry>,
}

/// The newest statements about a branch; there is one of them at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    pub head: Option<Noted>,
    pub reset: Option<Noted>,
    /// A bundle of nothing else.
    pub file: Digested,
    /// Bundles with this creation token and later ones carry these statements too.
    pub since: u64,
}

/// A statement's object, and the sequence that it says it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    pub id: CommitId,
    pub sequence: u64,
}

/// A file that is named by its content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digested {
    /// SHA-256 in 64 lowercase hexadecimal digits.
    pub sha256: String,
    pub size: u64,
}

/// A bundle that leads to `tip`, from `base` or from nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Rises from one to the next: seconds since 1970, or one more than the last.
    pub token: u64,
    pub file: Digested,
    pub tip: CommitId,
    pub base: Option<CommitId>,
}

/// Why bytes are no index.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadIndex {
    #[error("it is a web page")]
    WebPage,
    #[error("it is larger than {LIMIT} bytes")]
    Large,
    #[error("it is no text")]
    Binary,
    #[error("line {line}: {because}")]
    Line { line: usize, because: String },
    #[error("{0}")]
    Whole(String),
}

impl Digested {
    /// What was hashed, and had so many bytes.
    pub fn of(hash: Sha256, size: u64) -> Self {
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { sha256, size }
    }

    /// Where it lies, seen from the index.
    pub fn name(&self) -> String {
        format!("bundles/{}.bundle", self.sha256)
    }

    fn of_name(name: &str, size: u64) -> Option<Self> {
        let sha256 = name.strip_prefix("bundles/")?.strip_suffix(".bundle")?;
        Self::new(sha256, size)
    }

    fn new(sha256: &str, size: u64) -> Option<Self> {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        (sha256.len() == 64 && sha256.bytes().all(hex))
            .then(|| Self { sha256: sha256.to_owned(), size })
    }
}

impl Stated {
    /// The ids of the statements.
    pub fn ids(&self) -> impl Iterator<Item = &CommitId> {
        self.head.iter().chain(&self.reset).map(|noted| &noted.id)
    }
}

impl Index {
    /// Reads an index, all of it: what is not understood is refused.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, BadIndex> {
        if bytes.len() as u64 > LIMIT {
            return Err(BadIndex::Large);
        }
        if bytes.trim_ascii_start().starts_with(b"<") {
            return Err(BadIndex::WebPage);
        }
        let text = str::from_utf8(bytes).map_err(|_| BadIndex::Binary)?;
        let mut sections = sections(text)?.into_iter();
        let whole = sections.next().ok_or_else(|| missing("the section [bundle]"))?;
        for (key, value) in FIXED {
            let found = whole.take(key)?;
            if found != value {
                return Err(whole.wrong(key, format!("{key} is {value}, not {found}")));
            }
        }
        let branch = whole.take("writBranch").and_then(|name| branch(&whole, name))?;
        let tip = whole.id("writTip")?;
        let stated = whole.stated()?;
        whole.end()?;
        let entries = sections.map(Section::entry).collect::<Result<Vec<_>, _>>()?;
        let index = Self { branch, tip, stated, entries };
        index.check().map_err(|why| BadIndex::Whole(why.to_owned()))?;
        Ok(index)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.entries.last().is_none_or(|last| last.tip != self.tip) {
            return Err("its last bundle does not lead to writTip");
        }
        if self.entries.len() > ENTRIES {
            return Err("it names more than 128 bundles");
        }
        if !self.entries.is_sorted_by(|one, next| one.token < next.token) {
            return Err("its bundles are not in the order of their creation");
        }
        let stated = self.stated.iter().flat_map(Stated::ids);
        let bundles = self.entries.iter().flat_map(|e| e.base.iter().chain([&e.tip]));
        let digits = self.tip.as_str().len();
        match stated.chain(bundles).all(|id| id.as_str().len() == digits) {
            true => Ok(()),
            false => Err("its ids are of two kinds"),
        }
    }
}

impl fmt::Display for Index {
    /// The index as it is published; [`Index::read`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{NOTE}[bundle]")?;
        for (key, value) in FIXED {
            writeln!(f, "\t{key} = {value}")?;
        }
        // The only character of a branch's name that means something within quotes.
        let branch = self.branch.as_str().replace('"', "\\\"");
        write!(f, "\twritBranch = \"{branch}\"\n\twritTip = {}\n", self.tip)?;
        if let Some(Stated { head, reset, file, since }) = &self.stated {
            for (key, noted) in [("writHead", head), ("writReset", reset)] {
                if let Some(Noted { id, sequence }) = noted {
                    writeln!(f, "\t{key} = {id} {sequence}")?;
                }
            }
            writeln!(f, "\twritStatements = {} {} {since}", file.sha256, file.size)?;
        }
        for Entry { token, file, tip, base } in &self.entries {
            write!(f, "[bundle \"{token}\"]\n\turi = {}\n", file.name())?;
            write!(
                f,
                "\tcreationToken = {token}\n\twritSize = {}\n\twritTip = {tip}\n",
                file.size
            )?;
            if let Some(base) = base {
                writeln!(f, "\twritBase = {base}")?;
            }
        }
        Ok(())
    }
}

/// A door for the fuzz target: what is read reads the same once it is written again.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let Ok(index) = Index::read(bytes) else { return };
    let text = index.to_string();
    if text.len() as u64 <= LIMIT {
        assert_eq!(Index::read(text.as_bytes()), Ok(index));
    }
}

#[cfg(test)]
pub(super) mod tests;
