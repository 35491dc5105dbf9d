//! A repository with a merge in it that nobody has made.

use super::super::{Kind, Objects, Unreadable};
use super::Proposal;
use crate::names::CommitId;

/// The repository with one commit more, which has no signature and the id of no object.
pub(super) struct Overlay<'a, O> {
    objects: &'a O,
    pub(super) id: CommitId,
    bytes: Vec<u8>,
}

impl<'a, O: Objects> Overlay<'a, O> {
    pub(super) fn of(objects: &'a O, proposal: &Proposal, now: i64) -> Self {
        let Proposal { base, tip, tree, message } = proposal;
        let who = format!("nobody <nobody@localhost> {} +0000", now.max(0));
        let text = format!(
            "tree {tree}\nparent {base}\nparent {tip}\nauthor {who}\ncommitter {who}\n\n{message}\n"
        );
        let zeros = "0".repeat(base.as_str().len());
        let id = zeros.parse().expect("as many digits as another id's");
        Self { objects, id, bytes: text.into_bytes() }
    }
}

impl<O: Objects> Objects for Overlay<'_, O> {
    fn find(&self, id: &CommitId, limit: u64) -> Result<Option<(Kind, Vec<u8>)>, Unreadable> {
        if *id == self.id {
            return Ok(Some((Kind::Commit, self.bytes.clone())));
        }
        self.objects.find(id, limit)
    }
}
