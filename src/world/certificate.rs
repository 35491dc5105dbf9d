//! A server whose certificate is too old or too new, which may as well be this machine's
//! clock: told as that, whoever looked at it.

use crate::fault::Fault;

/// How it is told.
pub const NOT_NOW: &str =
    "the server's certificate is not valid now, or this host's clock is wrong";
/// How it is mended.
pub const RENEW: &str = "see the server's certificate, and `date` on this host";

/// Words of rustls, and of those libraries one of which looks for nix: OpenSSL and GnuTLS,
/// which has none for what is too new.
const WORDS: [&str; 4] = [
    "certificate expired",
    "certificate not valid yet",
    "certificate has expired",
    "certificate is not yet valid",
];

/// Whether that is what a library says.
pub fn is_not_now(said: &str) -> bool {
    WORDS.iter().any(|words| said.contains(words))
}

/// The same fault, with its meaning in front where it is such a one.
#[must_use]
pub fn explained(fault: Fault) -> Fault {
    if !is_not_now(&fault.because) {
        return fault;
    }
    let because = format!("{NOT_NOW} ({})", fault.because);
    Fault { because, ..fault }.remedy(RENEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_about_time_stays_as_it_was() {
        let unknown = Fault::wait("ask", "invalid peer certificate: UnknownIssuer").remedy("see");
        assert_eq!(explained(unknown.clone()), unknown);
        let old = explained(Fault::wait("ask", "certificate expired: 3 days ago").remedy("see"));
        assert_eq!(old.because, format!("{NOT_NOW} (certificate expired: 3 days ago)"));
        assert_eq!(old.remedy.as_deref(), Some(RENEW));
    }
}
