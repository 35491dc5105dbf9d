//! The lines in front of the pack in a bundle (gitformat-bundle(5)), versions 2 and 3.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::names::CommitId;
use crate::source::repo::ObjectFormat;

/// The longest header that is read, in bytes.
pub const LIMIT: usize = 64 << 10;
const V2: &[u8] = b"# v2 git bundle\n";
const V3: &[u8] = b"# v3 git bundle\n";

/// What a bundle says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub format: ObjectFormat,
    /// Commits that whoever takes it has to have, with their history.
    pub prerequisites: Vec<CommitId>,
    /// Names and what they lead to, as they stand in the bundle.
    pub refs: Vec<(String, CommitId)>,
    /// Bytes in front of the pack.
    pub length: usize,
}

/// Why bytes are no bundle that is taken here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadBundle {
    #[error("it is no git bundle")]
    NoBundle,
    #[error("its header ends nowhere")]
    Endless,
    #[error("its header asks for `{0}`, which is not known here")]
    Capability(String),
    #[error("its header has a line that means nothing: {0:?}")]
    Line(String),
    #[error("its header names {0} twice")]
    Twice(String),
}

impl Header {
    /// Reads the header of a bundle from its first bytes; `None` where they end within it.
    ///
    /// # Errors
    /// What cannot become a header, however it goes on.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, BadBundle> {
        let version =
            [V2, V3].into_iter().find(|v| v.starts_with(&bytes[..v.len().min(bytes.len())]));
        let version = version.ok_or(BadBundle::NoBundle)?;
        let Some(end) = end(bytes) else {
            return if bytes.len() > LIMIT { Err(BadBundle::Endless) } else { Ok(None) };
        };
        if end > LIMIT {
            return Err(BadBundle::Endless);
        }
        let lines = &bytes[version.len()..end - 1];
        // Behind a prerequisite stands the subject of a commit, in any encoding.
        let lines = String::from_utf8_lossy(lines);
        let mut header = Self {
            format: ObjectFormat::Sha1,
            prerequisites: Vec::new(),
            refs: Vec::new(),
            length: end,
        };
        let mut lines = lines.split_terminator('\n').peekable();
        while let Some(capability) = lines.next_if(|line| version == V3 && line.starts_with('@')) {
            header.format = match capability {
                "@object-format=sha1" => ObjectFormat::Sha1,
                "@object-format=sha256" => ObjectFormat::Sha256,
                other => return Err(BadBundle::Capability(shown(&other[1..]))),
            };
        }
        while let Some(line) = lines.next_if(|line| line.starts_with('-')) {
            let (id, _) = line[1..].split_once(' ').unwrap_or((&line[1..], ""));
            header.prerequisites.push(header.id(id, line)?);
        }
        for line in lines {
            let (id, name) = line.split_once(' ').ok_or_else(|| BadBundle::Line(shown(line)))?;
            header.refs.push((name.to_owned(), header.id(id, line)?));
        }
        header.check().map(|()| Some(header))
    }

    /// What a name leads to.
    pub fn find(&self, name: &str) -> Option<&CommitId> {
        self.refs.iter().find(|(known, _)| known == name).map(|(_, id)| id)
    }

    fn id(&self, text: &str, line: &str) -> Result<CommitId, BadBundle> {
        let id = text.parse::<CommitId>().ok().filter(|id| ObjectFormat::of(id) == self.format);
        id.ok_or_else(|| BadBundle::Line(shown(line)))
    }

    fn check(&self) -> Result<(), BadBundle> {
        let mut names = BTreeSet::new();
        for (name, _) in &self.refs {
            if !name.starts_with("refs/") && name != "HEAD" {
                return Err(BadBundle::Line(shown(name)));
            }
            if !names.insert(name) {
                return Err(BadBundle::Twice(shown(name)));
            }
        }
        Ok(())
    }
}

/// Behind the empty line that ends a header.
fn end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|pair| pair == b"\n\n").map(|at| at + 2)
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// A door for the fuzz target: a header is the same however much of its pack is there,
/// and shorter pieces of it are neither read nor refused.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let Ok(Some(header)) = Header::read(bytes) else { return };
    assert!(header.length <= bytes.len() && header.length <= LIMIT);
    assert_eq!(Header::read(&bytes[..header.length]), Ok(Some(header.clone())));
    assert_eq!(Header::read(&bytes[..header.length - 1]), Ok(None));
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn read(text: &str) -> Result<Option<Header>, BadBundle> {
        Header::read(text.as_bytes())
    }

    #[test]
    fn both_versions_are_read() {
        let v2 = format!("# v2 git bundle\n-{A} the base\n{A} refs/heads/main\n\nPACK");
        let header = read(&v2).unwrap().unwrap();
        assert_eq!((header.length, header.format), (v2.len() - 4, ObjectFormat::Sha1));
        assert_eq!(header.prerequisites, [A.parse().unwrap()]);
        assert_eq!(header.find("refs/heads/main"), Some(&A.parse().unwrap()));
        let long = "b".repeat(64);
        let v3 =
            format!("# v3 git bundle\n@object-format=sha256\n-{long}\n{long} refs/heads/a\n\n");
        assert_eq!(read(&v3).unwrap().unwrap().format, ObjectFormat::Sha256);
        for cut in 0..v2.len() - 4 {
            assert_eq!(read(&v2[..cut]), Ok(None), "{cut}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_stands_there_is_a_header_or_none(
            v3: bool,
            at in 0usize..120,
            cut in 0usize..20,
            new: Vec<u8>,
        ) {
            let text = match v3 {
                true => format!("# v3 git bundle\n@object-format=sha1\n-{A} x\n{A} refs/heads/a\n\nPACK"),
                false => format!("# v2 git bundle\n-{A} x\n{A} refs/heads/a\n\nPACK"),
            };
            let (at, end) = (at.min(text.len()), (at + cut).min(text.len()));
            fuzz(&[&text.as_bytes()[..at], &new, &text.as_bytes()[end..]].concat());
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let long = "b".repeat(64);
        for (text, why) in [
            ("<html>".to_owned(), "no git bundle"),
            ("# v4 git bundle\n\n".to_owned(), "no git bundle"),
            (
                format!("# v3 git bundle\n@filter=blob:none\n{A} refs/heads/a\n\n"),
                "filter=blob:none",
            ),
            (
                format!("# v2 git bundle\n@object-format=sha1\n{A} refs/heads/a\n\n"),
                "means nothing",
            ),
            (format!("# v2 git bundle\n{long} refs/heads/a\n\n"), "means nothing"),
            (format!("# v2 git bundle\n{A} ../../etc\n\n"), "means nothing"),
            (format!("# v2 git bundle\n{A} refs/heads/a\n-{A}\n\n"), "means nothing"),
            (format!("# v2 git bundle\n{A} refs/a\n{A} refs/a\n\n"), "refs/a twice"),
            (format!("# v2 git bundle\n{}", "x".repeat(LIMIT)), "ends nowhere"),
        ] {
            let told = read(&text).unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
        }
    }
}
