//! Deploys Nix-built services to hosts from a signed git branch.
//!
//! ```text
//! source ──▶ Candidate ──trust──▶ VerifiedCommit ──manifest──▶ Manifest ──▶ Desired (this host)
//!                                                                             │
//!                     world ──observe──▶ Observed ─────────────────────▶ plan ──▶ Plan
//!                       ▲                                                         │
//!                       └──────────────── converge, journalled in the ledger ◀────┘
//! ```
//!
//! Everything above the lower arrow is a function from values to values: no I/O,
//! no async, no clock (`now` is an argument).

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod agent;
pub mod cli;
pub mod condition;
pub mod config;
pub mod converge;
pub mod events;
pub mod fault;
pub mod ledger;
pub mod manifest;
pub mod names;
pub mod next;
pub mod observe;
pub mod plan;
pub mod report;
pub mod retire;
pub mod source;
pub mod trust;
pub mod verdict;
pub mod world;
