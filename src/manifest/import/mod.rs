//! Manifests out of what was there before Writ: the version-1 JSON form, and systemd units.

mod json;

pub use json::{Imported, JsonError, from_json};
