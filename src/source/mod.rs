//! Where commits come from, and where their objects lie on this host.

pub mod bundles;
pub mod checkout;
mod child;
pub mod delivery;
pub mod fetch;
pub mod fetched;
pub mod git;
pub mod git_program;
pub mod host_key;
pub mod inbox;
pub mod landing;
pub mod lineage;
pub mod marks;
pub mod merging;
pub mod operator;
pub mod outbox;
pub mod placing;
pub mod quarantine;
pub mod repo;
pub mod roads;
pub mod secret;
pub mod signing;
pub mod units;
mod words;
