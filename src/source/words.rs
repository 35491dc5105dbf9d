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

#[cfg(test)]
mod tests {
    use super::*;

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
