//! What gix says of a server, with what it means in front.

use crate::world::certificate::{NOT_NOW, is_not_now};

/// How a server is told that wants to know who asks.
pub(super) const NO_LOGIN: &str = "the server wants a login, and has got none that it takes";

const BROKE_OFF: &str = "the server broke off in the middle of its answer";

/// Words of gix, and what has happened where it says them.
const MEANINGS: [(&str, &str); 8] = [
    ("No credentials were returned", NO_LOGIN),
    (
        "to indicate 'smart' protocol",
        "what answers there is no git server, but a web page or a redirect",
    ),
    ("failed to fill whole buffer", BROKE_OFF),
    // rustls
    ("closed connection without sending TLS close_notify", BROKE_OFF),
    ("tls handshake eof", "whoever answers there hung up before the connection was encrypted"),
    ("Connection reset by peer", "the connection was broken"),
    ("Broken pipe", "the connection was broken"),
    ("HTTP status server error", "the server, or a proxy before it, is in trouble"),
];

/// Says it plainly where it is known, and as gix does anyway.
pub(super) fn plain(said: &str) -> String {
    let known = MEANINGS.iter().find(|(words, _)| said.contains(words));
    match known.map(|(_, meaning)| *meaning).or(is_not_now(said).then_some(NOT_NOW)) {
        Some(meaning) => format!("{meaning} ({said})"),
        None => said.to_owned(),
    }
}

/// A full disk, and what to do about it.
pub(super) const DISK: &str = "make room: `df -h` and `df -i` show which disk has no blocks or no inodes left; the copy of the branch is in the state directory (/var/lib/writ)";

/// Whether a disk has no room or no inodes left.
pub(super) fn is_full(said: &str) -> bool {
    ["No space left on device", "Disk quota exceeded"].iter().any(|words| said.contains(words))
}

/// Says of a pack of git objects why it cannot be imported, and what to do.
pub(super) fn of_pack(said: String) -> (String, &'static str) {
    if is_full(&said) {
        return (said, DISK);
    }
    let remedy = "see that the source serves the whole branch; the next look downloads it again";
    match said.contains("failed to fill whole buffer") {
        true => (format!("the pack ends before its last object ({said})"), remedy),
        false => (said, remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_that_is_cut_is_no_full_disk() {
        let (why, remedy) = of_pack("x: failed to fill whole buffer".to_owned());
        assert_eq!(why, "the pack ends before its last object (x: failed to fill whole buffer)");
        assert!(remedy.contains("downloads it again"));
        let full = "write index: No space left on device (os error 28)";
        assert_eq!(of_pack(full.to_owned()), (full.to_owned(), DISK));
    }

    #[test]
    fn nothing_that_is_said_is_lost() {
        assert_eq!(plain("no such branch"), "no such branch");
        let broken = "read the pack: failed to fill whole buffer";
        assert_eq!(
            plain(broken),
            format!("the server broke off in the middle of its answer ({broken})")
        );
    }
}
