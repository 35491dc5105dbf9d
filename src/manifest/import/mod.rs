//! Manifests out of what was there before Writ: the version-1 JSON form, and systemd units.

mod json;
mod systemd;

pub use json::{Imported, JsonError, from_json};
pub use systemd::{UnitTexts, Wish, from_unit, name_of};
