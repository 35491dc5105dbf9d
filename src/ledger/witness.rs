//! A seam for tests: told of each change of the ledger's disk, so that they see there what a crash would leave.

use std::fmt;
use std::sync::Arc;

use super::Ledger;

/// Nobody, on a host.
#[derive(Clone, Default)]
pub(super) struct Witness(Option<Arc<dyn Fn() + Send + Sync>>);

impl Ledger {
    /// Has somebody told after each change of the disk, half a write included. He
    /// cannot change what happens.
    #[must_use]
    pub fn witnessed(self, by: impl Fn() + Send + Sync + 'static) -> Self {
        Self { witness: Witness(Some(Arc::new(by))), ..self }
    }

    pub(super) fn changed(&self) {
        if let Some(witness) = &self.witness.0 {
            witness();
        }
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Witness" } else { "Nobody" })
    }
}
