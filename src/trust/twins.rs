//! Names that some file system, or a reader's eye, takes for another name (rule O2).
//!
//! Git refuses what a checkout on macOS or Windows would put in the place of `.git`
//! (`core.protectHFS`, `core.protectNTFS`; utf8.c, `is_hfs_dotgit`; path.c,
//! `is_ntfs_dotgit`). The same is done here, and for the two folders of a deploy
//! repository: what a reviewer sees there has to be what hosts read.

/// The longest part of a name that an NTFS short name keeps: `WRIT~1`.
const SHORT: usize = 6;

/// Whether a checkout somewhere would take `name` for git's own folder.
pub(super) fn is_git(name: &[u8]) -> bool {
    // NTFS takes a backslash for what parts folders.
    name.split(|&b| b == b'\\').any(|part| is_like(part, ".git", 1))
}

/// Whether `name` is another spelling of `known`, which is lowercase.
pub(super) fn is_twin(name: &[u8], known: &str) -> bool {
    name != known.as_bytes() && is_like(name, known, 4)
}

/// `shorts`: how many NTFS short names are looked for.
fn is_like(name: &[u8], known: &str, shorts: u32) -> bool {
    let name = folded(&String::from_utf8_lossy(name));
    // What follows a colon names a stream of the same file.
    let name = name.split(':').next().unwrap_or_default();
    let name = name.trim_end_matches(['.', ' ']);
    let stem: String = known.chars().filter(|c| *c != '.').take(SHORT).collect();
    name == known || (1..=shorts).any(|n| name.strip_prefix(&*stem) == Some(&*format!("~{n}")))
}

/// Without what is not seen, and in one case. Upper case comes first: `ſ` has no lower one.
fn folded(name: &str) -> String {
    let seen = name.chars().filter(|c| !is_ignorable(*c));
    seen.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// Unicode's `Default_Ignorable_Code_Point`, which has all that HFS+ leaves out.
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases of git's own tests (t1014, t0060) are among them.
    #[test]
    fn what_a_checkout_elsewhere_takes_for_git_is_found() {
        for name in [
            ".git",
            ".GIT",
            ".Git",
            "git~1",
            "GIT~1",
            ".git.",
            ".git ",
            ".git...",
            ".git . ",
            "git~1 .",
            ".git:x",
            ".git::$INDEX_ALLOCATION",
            ".gi\u{200c}t",
            "\u{feff}.git",
            ".g\u{202a}it",
            "a\\.git",
            "a\\git~1\\b",
            ".git\\x",
        ] {
            assert!(is_git(name.as_bytes()), "{name:?}");
        }
        for name in
            [".gitignore", ".gitattributes", "git", "git~2", "x.git", ". git", ".git~1", "gi", ""]
        {
            assert!(!is_git(name.as_bytes()), "{name:?}");
        }
        assert!(!is_git(b".gi\xfft"));
    }

    #[test]
    fn twins_of_the_two_folders_are_found_and_they_themselves_are_not() {
        for (name, known) in [
            (".WRIT", ".writ"),
            (".writ ", ".writ"),
            (".writ.", ".writ"),
            ("WRIT~1", ".writ"),
            ("writ~4", ".writ"),
            (".wr\u{200b}it", ".writ"),
            (".writ:s", ".writ"),
            ("Manifests", "manifests"),
            ("MANIFE~1", "manifests"),
            ("manife\u{17f}ts", "manifests"),
            ("manifests.", "manifests"),
            ("manifests\u{2060}", "manifests"),
        ] {
            assert!(is_twin(name.as_bytes(), known), "{name:?}");
        }
        for (name, known) in [
            (".writ", ".writ"),
            ("manifests", "manifests"),
            ("writ", ".writ"),
            ("writ~5", ".writ"),
            (".writer", ".writ"),
            ("manifest", "manifests"),
            ("manifests-old", "manifests"),
        ] {
            assert!(!is_twin(name.as_bytes(), known), "{name:?}");
        }
    }
}
