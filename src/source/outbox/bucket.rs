//! Reports that a host leaves in a bucket.

use std::time::Duration;

use tokio::time::timeout;

use super::{END, Letter};
use crate::fault::Fault;
use crate::source::secret::SecretFile;
use crate::world::bucket::BucketFolder;

/// A bucket that a host may write its own file in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketOutbox {
    pub folder: BucketFolder,
    /// Where its keys lie, where not in the places of AWS's own tools.
    pub keys: Option<SecretFile>,
}

impl BucketOutbox {
    /// The keys are looked for each time: they may be others by now.
    pub(super) async fn leave(&self, letter: Letter<'_>, deadline: Duration) -> Result<(), Fault> {
        let name = format!("{}{END}", letter.host);
        let fault = |why: String| Fault::wait(format!("write {}{name}", self.folder), why);
        let keys = self.keys.as_ref().map(SecretFile::kept).transpose().map_err(fault)?;
        let folder = self.folder.open(keys.as_deref())?;
        let sent = timeout(deadline, folder.replace(&name, letter.bytes)).await;
        sent.unwrap_or_else(|_| Err(fault(format!("no answer within {deadline:?}"))))
    }
}
