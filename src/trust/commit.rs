//! Splits a commit object strictly: every byte is accounted for (rule O1).

use super::breach::Breach;
use super::object::Format;
use super::{Reason, limits};
use crate::names::CommitId;

/// A commit taken apart.
#[derive(Clone, Debug)]
pub(super) struct Commit {
    pub(super) tree: CommitId,
    pub(super) parents: Vec<CommitId>,
    /// The author's line as written, without its key word.
    pub(super) author: String,
    /// The committer's time in seconds since 1970.
    pub(super) time: i64,
    /// The armored signature; `None` where the commit is not signed.
    pub(super) signature: Option<Vec<u8>>,
    /// The bytes that are signed: the commit without its signature header.
    pub(super) payload: Vec<u8>,
    pub(super) message: String,
}

/// The year 9999; git's own formats end there.
const LAST_TIME: i64 = 253_402_300_799;

/// Takes `bytes` apart.
pub(super) fn split(bytes: &[u8], format: Format) -> Result<Commit, Breach> {
    if bytes.contains(&0) {
        return Err(broken("the commit contains a NUL byte"));
    }
    let mut headers = Headers { bytes, at: 0 };
    let tree = format.id(headers.required("tree")?).ok_or_else(|| broken("bad tree id"))?;
    let parents = parents(&mut headers, format)?;
    let (author, _) = person(headers.required("author")?)?;
    let (_, time) = person(headers.required("committer")?)?;
    let signature = rest_of_headers(&mut headers, format)?;
    let payload = match &signature {
        Some((_, from, to)) => [&bytes[..*from], &bytes[*to..]].concat(),
        None => bytes.to_vec(),
    };
    Ok(Commit {
        tree,
        parents,
        author,
        time,
        signature: signature.map(|(armor, _, _)| armor),
        payload,
        message: String::from_utf8_lossy(&bytes[headers.at..]).into_owned(),
    })
}

fn broken(because: impl Into<String>) -> Breach {
    Breach::malformed("O1", because)
}

/// The header lines that are left.
struct Headers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Headers<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// The next line without its end.
    fn line(&mut self) -> Result<&'a [u8], Breach> {
        let rest = self.rest();
        let end = rest.iter().position(|&b| b == b'\n');
        let end = end.ok_or_else(|| broken("the commit ends within its headers"))?;
        self.at += end + 1;
        Ok(&rest[..end])
    }

    /// The value of the next line, where its key word is `name`.
    fn optional(&mut self, name: &str) -> Result<Option<&'a [u8]>, Breach> {
        let matches =
            self.rest().strip_prefix(name.as_bytes()).is_some_and(|r| r.first() == Some(&b' '));
        if matches { Ok(Some(&self.line()?[name.len() + 1..])) } else { Ok(None) }
    }

    fn required(&mut self, name: &str) -> Result<&'a [u8], Breach> {
        self.optional(name)?
            .ok_or_else(|| broken(format!("the {name} header is missing or not in its place")))
    }
}

fn parents(headers: &mut Headers<'_>, format: Format) -> Result<Vec<CommitId>, Breach> {
    let mut parents = Vec::new();
    while let Some(value) = headers.optional("parent")? {
        let id = format.id(value).ok_or_else(|| broken("bad parent id"))?;
        if parents.contains(&id) {
            return Err(broken(format!("parent {} is named twice", id.short())));
        }
        parents.push(id);
    }
    if parents.len() > limits::PARENTS {
        return Err(Breach::new(
            "O1",
            Reason::Malformed,
            format!("{} parents, at most {} are allowed", parents.len(), limits::PARENTS),
            "merge the branches in several steps, and replace the commit",
        ));
    }
    Ok(parents)
}

/// An armored signature, and where its header starts and ends.
type Signature = (Vec<u8>, usize, usize);

/// Reads what may follow the committer (`encoding` and the signature, each at most
/// once, in either order: git writes the signature last, JGit first) and the blank
/// line.
fn rest_of_headers(headers: &mut Headers<'_>, format: Format) -> Result<Option<Signature>, Breach> {
    let mut signature = None;
    let mut encoding = false;
    loop {
        let from = headers.at;
        let line = headers.line()?;
        if line.is_empty() {
            return Ok(signature);
        }
        let name = line.split(|&b| b == b' ').next().unwrap_or_default();
        let value = line.get(name.len() + 1..).ok_or_else(|| {
            broken(format!("the header {:?} has no value", name.escape_ascii().to_string()))
        })?;
        if name == format.signature_header().as_bytes() && signature.is_none() {
            let armor = folded(headers, value)?;
            signature = Some((armor, from, headers.at));
        } else if name == b"encoding" && !encoding {
            encoding = true;
        } else {
            return Err(surplus(name, format));
        }
    }
}

/// A value that goes on over lines that start with a space.
fn folded(headers: &mut Headers<'_>, first: &[u8]) -> Result<Vec<u8>, Breach> {
    let mut value = first.to_vec();
    while headers.rest().first() == Some(&b' ') {
        value.push(b'\n');
        value.extend_from_slice(&headers.line()?[1..]);
    }
    Ok(value)
}

fn surplus(name: &[u8], format: Format) -> Breach {
    let shown = name.escape_ascii();
    if name == format.signature_header().as_bytes() || name == b"encoding" {
        broken(format!("the header {shown} appears twice"))
    } else if name.starts_with(b"gpgsig") {
        broken(format!(
            "the header {shown} carries a signature of another kind than this repository's {}",
            format.signature_header()
        ))
    } else if name == b"mergetag" {
        Breach::new(
            "O1",
            Reason::Malformed,
            "it merges a signed tag, whose signature git puts into the commit (mergetag)",
            "merge the commit that the tag names: git merge --no-ff -S TAG^{commit}",
        )
    } else {
        broken(format!("unknown header {shown:?}", shown = shown.to_string()))
    }
}

/// Checks `Name <address> seconds ±zone` and gives the line and its seconds.
fn person(line: &[u8]) -> Result<(String, i64), Breach> {
    let bad = |why: &str| broken(format!("the author or committer line {why}"));
    if line.iter().any(|b| b.is_ascii_control()) {
        return Err(bad("contains a control character"));
    }
    let count = |c: u8| line.iter().filter(|&&b| b == c).count();
    let close = line.iter().position(|&b| b == b'>');
    let open = line.iter().position(|&b| b == b'<');
    let (Some(open), Some(close)) = (open, close) else { return Err(bad("has no <address>")) };
    if count(b'<') != 1 || count(b'>') != 1 || close < open {
        return Err(bad("has more than one <address>"));
    }
    if open > 0 && line[open - 1] != b' ' {
        return Err(bad("has no space before its <address>"));
    }
    let time = time(&line[close + 1..]).ok_or_else(|| bad("has no valid time and zone"))?;
    Ok((String::from_utf8_lossy(line).into_owned(), time))
}

/// Reads ` seconds ±hhmm`.
fn time(text: &[u8]) -> Option<i64> {
    let text = str::from_utf8(text).ok()?.strip_prefix(' ')?;
    let (seconds, zone) = text.split_once(' ')?;
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    // There is no zone beyond +1400, and nobody tells what one would mean.
    let zone_ok = zone.len() == 5
        && zone.starts_with(['+', '-'])
        && digits(&zone[1..])
        && &zone[1..] <= "1400"
        && &zone[3..] <= "59";
    let canonical = digits(seconds) && (seconds == "0" || !seconds.starts_with('0'));
    if !zone_ok || !canonical {
        return None;
    }
    seconds.parse().ok().filter(|&s| s <= LAST_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TREE: &str = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n";
    const WHO: &str = "author A <a@x> 1700000000 +0100\ncommitter B <b@x> 1700000001 -0000\n";
    const SIG: &str = "gpgsig -----BEGIN\n line\n -----END\n";

    fn read(text: &str) -> Result<Commit, Breach> {
        split(text.as_bytes(), Format::Sha1)
    }

    #[test]
    fn a_signed_commit_comes_apart() {
        let commit = read(&format!("{TREE}{WHO}encoding latin1\n{SIG}\nmessage\n")).unwrap();
        assert_eq!(commit.signature.unwrap(), b"-----BEGIN\nline\n-----END");
        let payload = String::from_utf8(commit.payload).unwrap();
        assert_eq!(payload, format!("{TREE}{WHO}encoding latin1\n\nmessage\n"));
        assert_eq!((commit.time, commit.message.as_str()), (1_700_000_001, "message\n"));
        assert_eq!(commit.author, "A <a@x> 1700000000 +0100");
    }

    #[test]
    fn headers_that_git_would_not_write_are_refused() {
        let parent = format!("parent {}\n", "1".repeat(40));
        let many: String =
            (1..=9).map(|n| format!("parent {}\n", n.to_string().repeat(40))).collect();
        for bad in [
            format!("{TREE}{WHO}"),
            format!("{TREE}{WHO}{SIG}"),
            format!("{WHO}\n"),
            format!("{TREE}{TREE}{WHO}\n"),
            format!("{TREE}{WHO}{SIG}{SIG}\n"),
            format!("{TREE}{WHO}gpgsig-sha256 x\n\n"),
            format!("{TREE}{WHO}{SIG}gpgsig-sha256 x\n\n"),
            format!("{TREE}{WHO}gpgsig-other x\n\n"),
            format!("{TREE}{WHO}gpgsig\n -----BEGIN\n\n"),
            format!("{TREE}{WHO}encoding\n\n"),
            format!("{TREE}{WHO}encoding a\nencoding b\n\n"),
            format!("{TREE}{WHO}mergetag object 1\n\n"),
            format!("{TREE}{WHO} folded\n\n"),
            format!("{TREE}{WHO}\0\n\n"),
            format!("{TREE}{WHO}\nmessage\0"),
            format!("{TREE}{WHO}{parent}\n"),
            format!("{TREE}{parent}{parent}{WHO}\n"),
            format!("{TREE}{many}{WHO}\n"),
            format!("{}{WHO}\n", TREE.to_uppercase()),
            format!("tree {}\n{WHO}\n", "1".repeat(64)),
            format!("{TREE}{WHO}{WHO}\n"),
            format!("{TREE}{}\n", WHO.replace(" <a@x>", "")),
            format!("{TREE}{}\n", WHO.replace("<a@x>", "<a@x> <b@x>")),
            format!("{TREE}{}\n", WHO.replace("1700000001", "01700000001")),
            format!("{TREE}{}\n", WHO.replace("1700000001", "-1")),
            format!("{TREE}{}\n", WHO.replace("1700000001", "99999999999999")),
            format!("{TREE}{}\n", WHO.replace("-0000", "-0")),
            format!("{TREE}{}\n", WHO.replace("-0000", "+9999")),
            format!("{TREE}{}\n", WHO.replace("-0000", "+1401")),
            format!("{TREE}{}\n", WHO.replace("+0100", "-0060")),
            format!("{TREE}{}\n", WHO.replace("B <", "B\r <")),
        ] {
            let error = read(&bad).expect_err(&bad);
            assert_eq!((error.rule, error.reason), ("O1", Reason::Malformed));
        }
    }

    proptest! {
        #[test]
        fn putting_the_signature_back_gives_the_same_bytes(
            lines in proptest::collection::vec("[ -~]{0,20}", 1..5),
            message in "[ -~\n]{0,60}",
        ) {
            let folded = lines.join("\n ");
            let text = format!("{TREE}{WHO}gpgsig {folded}\n\n{message}");
            let commit = read(&text).unwrap();
            prop_assert_eq!(commit.signature.unwrap(), lines.join("\n").into_bytes());
            prop_assert_eq!(commit.payload, format!("{TREE}{WHO}\n{message}").into_bytes());
        }

        #[test]
        fn any_bytes_are_split_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(split(&bytes, Format::Sha1));
        }
    }
}
