//! Who runs this, by the key that git signs with here.

use crate::cli::Failure;
use crate::names::{Fingerprint, Principal};
use crate::source::git_program::Checkout;
use crate::source::signing;
use crate::trust::Review;

/// The person of the policy whose key it is; nobody where that cannot be told.
pub(super) fn of(checkout: &Checkout, review: &Review) -> Result<Option<Principal>, Failure> {
    let owner = |own: &dyn Fn(&Fingerprint) -> bool| {
        let found = review.merges.iter().find(|merger| merger.keys.iter().any(own));
        found.map(|merger| merger.principal.clone())
    };
    let format = checkout.ask(&["config", "gpg.format"])?;
    match format.as_deref() {
        Some("ssh") => {
            // A key that cannot be found is told of when something is to be signed with it.
            let key = signing::find(checkout, None).ok();
            Ok(key.and_then(|key| owner(&|other| other == key.fingerprint())))
        }
        Some("openpgp") | None => {
            let id = checkout.ask(&["config", "user.signingkey"])?.unwrap_or_default();
            let id = id.trim_start_matches("0x").trim_end_matches('!').to_uppercase();
            let named = |key: &Fingerprint| key.openpgp().is_some_and(|own| own.ends_with(&id));
            Ok(if id.len() < 16 { None } else { owner(&named) })
        }
        Some(_) => Ok(None),
    }
}
