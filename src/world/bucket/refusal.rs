//! What an S3 server said, in words that tell what to do.

use object_store::Error;

use crate::fault::{Fault, causes};
use crate::world::certificate::explained;

/// Who was asked, and with whose keys.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) bucket: String,
    /// Where the keys were found.
    pub(super) origin: String,
    pub(super) region: String,
    pub(super) endpoint: Option<String>,
    /// What the keys have to allow.
    pub(super) needs: &'static str,
}

/// Whether a file is not there. S3 denies access to what is absent where the keys may
/// not list the bucket.
pub(super) fn is_absent(error: &Error) -> bool {
    match error {
        Error::NotFound { .. } => code(error).as_deref() != Some("NoSuchBucket"),
        // A question without an answer's body has no code.
        Error::PermissionDenied { .. } => {
            matches!(code(error).as_deref(), None | Some("AccessDenied"))
        }
        _ => false,
    }
}

/// Whether a condition was not met: another file is there than was expected.
pub(super) fn is_there(error: &Error) -> bool {
    match error {
        Error::Precondition { .. } => true,
        // Of a 409 only its code tells what it is about.
        Error::AlreadyExists { .. } => {
            matches!(code(error).as_deref(), None | Some("PreconditionFailed"))
                && !causes(error).contains("status code: 409")
        }
        _ => false,
    }
}

/// Whether somebody else is writing the same name right now.
pub(super) fn is_conflict(error: &Error) -> bool {
    matches!(code(error).as_deref(), Some("ConditionalRequestConflict" | "OperationAborted"))
}

/// Whether a file has not as many bytes as were asked for.
pub(super) fn is_beyond(error: &Error) -> bool {
    code(error).as_deref() == Some("InvalidRange") || causes(error).contains("status code: 416")
}

/// Whether the server understood, and asking again does not help.
pub(super) fn is_refusal(error: &Error) -> bool {
    let denied = matches!(
        error,
        Error::NotFound { .. } | Error::PermissionDenied { .. } | Error::Unauthenticated { .. }
    );
    denied || is_redirect(error) || code(error).is_some_and(|code| LASTING.contains(&code.as_str()))
}

/// Codes that come with another status than the usual one.
const LASTING: [&str; 3] = ["AuthorizationHeaderMalformed", "ExpiredToken", "InvalidToken"];

impl Asked {
    pub(super) fn fault(&self, doing: &str, error: &Error) -> Fault {
        let Self { bucket, origin, region, endpoint, needs } = self;
        let code = code(error);
        let server = endpoint.as_deref().unwrap_or("AWS");
        let refuse = |because: String, remedy: &str| Fault::refuse(doing, because).remedy(remedy);
        let keys = |what: &str| format!("{server} {what} ({origin})");
        let denied = || {
            refuse(
                keys(&format!("denies access{}", named(code.as_deref()))),
                &format!("the keys need {needs} for the bucket's objects"),
            )
        };
        match code.as_deref() {
            Some("NoSuchBucket") => refuse(
                format!("{server} has no bucket {bucket}"),
                "see whether name and endpoint in the URL are right, or make the bucket",
            ),
            Some("SignatureDoesNotMatch") => refuse(
                keys("says that the secret key is wrong"),
                "see whether secret and region are right",
            ),
            Some("InvalidAccessKeyId" | "NotSignedUp") => {
                refuse(keys("does not know the access key"), "see whether profile and endpoint are right")
            }
            Some("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => {
                refuse(keys("no longer takes the session's keys"), "log in again")
            }
            Some("RequestTimeTooSkewed") => {
                refuse(format!("this machine's clock differs from that of {server}"), "set the clock")
            }
            Some("AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException") => {
                self.elsewhere(doing, error)
            }
            // Of a list, only the code tells it.
            Some("AccessDenied") => denied(),
            _ if matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) => denied(),
            _ if is_redirect(error) => self.elsewhere(doing, error),
            _ if is_tls(error) => explained(Fault::wait(doing, plain(error)).remedy(format!(
                "{server} has to show a certificate that this machine trusts and that names it; a server without one is named with scheme=http"
            ))),
            _ => Fault::wait(doing, plain(error))
                .remedy(format!("see that {server} is up (region {region}), and run it again")),
        }
    }

    fn elsewhere(&self, doing: &str, error: &Error) -> Fault {
        let said = element(&causes(error), "Region");
        let right = said.as_deref().unwrap_or("NAME");
        Fault::refuse(doing, format!("the bucket is in another region than {}", self.region))
            .remedy(format!("name the bucket's: region={right} in the URL"))
    }
}

fn named(code: Option<&str>) -> String {
    code.filter(|code| *code != "AccessDenied").map(|code| format!(": {code}")).unwrap_or_default()
}

fn is_redirect(error: &Error) -> bool {
    let said = causes(error);
    said.contains("Received redirect") || said.contains("status code: 30")
}

fn is_tls(error: &Error) -> bool {
    let said = causes(error);
    ["certificate", "InvalidContentType", "HandshakeFailure"].iter().any(|word| said.contains(word))
}

/// `<Code>` of what the server answered.
fn code(error: &Error) -> Option<String> {
    element(&causes(error), "Code")
}

fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    Some(value.trim().to_owned())
}

/// Without XML and without what was asked, which `doing` says already.
fn plain(error: &Error) -> String {
    let said = causes(error);
    if let Some(code) = element(&said, "Code") {
        let message = element(&said, "Message").unwrap_or_default();
        return format!("it answered {code}: {message}").trim_end_matches([':', ' ']).to_owned();
    }
    let status = said.split_once("non-2xx status code: ").map(|(_, status)| status);
    match status {
        Some(status) => format!("it answered {}", status.trim_end_matches([':', ' '])),
        None => said.rsplit(" - ").next().unwrap_or(&said).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(said: &'static str) -> Error {
        Error::AlreadyExists { path: "x".to_owned(), source: said.into() }
    }

    #[test]
    fn a_conflict_says_nothing_of_what_is_there() {
        let conflict = "Server returned non-2xx status code: 409 Conflict: <Error><Code>ConditionalRequestConflict</Code></Error>";
        assert!(is_conflict(&there(conflict)) && !is_there(&there(conflict)));
        let other = "Server returned non-2xx status code: 409 Conflict: ";
        assert!(!is_conflict(&there(other)) && !is_there(&there(other)));
        for met in [
            "Server returned non-2xx status code: 412 Precondition Failed: <Error><Code>PreconditionFailed</Code></Error>",
            "Server returned non-2xx status code: 304 Not Modified: ",
        ] {
            assert!(is_there(&there(met)) && !is_conflict(&there(met)), "{met}");
        }
    }
}
