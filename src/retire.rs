//! Retires what a host no longer needs: old versions of services, roots of finished downloads, old generations.
//!
//! Nothing is removed that is needed, wherever this is interrupted: roots and versions
//! go one by one, each only because of what is on disk already, and a generation goes
//! whole. Run again, it does the rest.

use crate::fault::Fault;
use crate::ledger::Ledger;
use crate::ledger::retention::Turn;
use crate::plan::retention::{Limits, Retention, retention};
use crate::world::Store;

/// What stays and what goes, as of now. Nothing is changed.
///
/// # Errors
/// The ledger or the profiles cannot be read.
pub async fn look(ledger: &Ledger, store: &impl Store, limits: Limits) -> Result<Retention, Fault> {
    Ok(retention(&ledger.needed()?, &store.held().await?, limits))
}

/// Lets go of what has no reason to stay, and says what that was. Whoever asks has the
/// turn, so that no round plans with a version that is going.
///
/// # Errors
/// Something could not be removed; what was not is found again the next time.
pub async fn retire(
    _turn: &Turn,
    ledger: &Ledger,
    store: &impl Store,
    limits: Limits,
) -> Result<Retention, Fault> {
    let retention = look(ledger, store, limits).await?;
    store.release(&retention).await?;
    ledger.retire(retention.old())?;
    Ok(retention)
}
