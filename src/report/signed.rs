//! A report's text with its signature under it, and what it takes to believe it.

use thiserror::Error;

use super::HostReport;
use crate::trust::HostKey;

/// The largest report with its signature, in bytes.
pub const LIMIT: usize = 64 * 1024;

/// With the line feed before it: inside of JSON's strings there is none, so that no text
/// in a report can pass for its end.
const BEGIN: &str = "\n-----BEGIN SSH SIGNATURE-----";

/// Why a report does not count.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Flaw {
    #[error("the report is larger than {LIMIT} bytes")]
    TooLarge,
    #[error("the report is not signed")]
    Unsigned,
    #[error("bad signature: {0}")]
    Signature(&'static str),
    #[error("the report is of version {0}, and this program reads version 1; update writ")]
    Version(u64),
    #[error("the report cannot be read: {0}")]
    Unreadable(String),
}

/// A text and an armored signature over it.
pub fn joined(text: &str, armor: &str) -> String {
    format!("{text}{armor}")
}

/// Reads a report that this key has signed; nothing of it is read before.
///
/// # Errors
/// Why it does not count.
pub fn verify(bytes: &[u8], key: &HostKey) -> Result<HostReport, Flaw> {
    let (text, armor) = split(bytes)?;
    key.verify(text.as_bytes(), armor.as_bytes()).map_err(Flaw::Signature)?;
    HostReport::read(text)
}

/// Text and signature; the reader of the signature sees to it that nothing follows.
pub(super) fn split(bytes: &[u8]) -> Result<(&str, &str), Flaw> {
    if bytes.len() > LIMIT {
        return Err(Flaw::TooLarge);
    }
    let whole = str::from_utf8(bytes).map_err(|error| Flaw::Unreadable(error.to_string()))?;
    let place = whole.find(BEGIN).ok_or(Flaw::Unsigned)?;
    Ok(whole.split_at(place + 1))
}
