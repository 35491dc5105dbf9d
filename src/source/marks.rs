//! What an operator's checkout remembers of the hosts' reports, in `.git/writ/`.

use serde_json::Value;

use super::checkout::CheckoutError;
use super::git_program::{Checkout, GitError};
use super::kept::Kept;
use crate::report::fleet::Marks;

const VERSION: u64 = 1;

/// The file of one checkout.
#[derive(Clone, Debug)]
pub struct MarksFile(Kept);

impl MarksFile {
    /// # Errors
    /// The checkout is none of git's.
    pub fn of(checkout: &Checkout) -> Result<Self, GitError> {
        Kept::of(checkout, "fleet.json").map(Self)
    }

    /// # Errors
    /// The file is damaged: without it an old report could pass for a new one.
    pub fn read(&self) -> Result<Marks, CheckoutError> {
        let Some(bytes) = self.0.read()? else { return Ok(Marks::default()) };
        decode(&bytes).map_err(|why| {
            self.0.unusable(format!(
                "{why}; remove it, and old reports can no longer be told from new ones"
            ))
        })
    }

    /// Written beside and renamed; what another command saw meanwhile is kept.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, marks: &Marks) -> Result<(), CheckoutError> {
        let there = self.read()?;
        let mut all = marks.clone();
        all.join(there.clone());
        if all == there {
            return Ok(());
        }
        self.0.write(&encode(&all).unwrap_or_default())
    }
}

fn decode(bytes: &[u8]) -> Result<Marks, String> {
    let mut value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let version = value.as_object_mut().and_then(|object| object.remove("version"));
    if version != Some(VERSION.into()) {
        return Err(format!("its version is not {VERSION}"));
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn encode(marks: &Marks) -> Result<String, serde_json::Error> {
    let mut value = serde_json::json!({ "version": VERSION });
    if let (Some(object), Value::Object(fields)) =
        (value.as_object_mut(), serde_json::to_value(marks)?)
    {
        object.extend(fields);
    }
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}
