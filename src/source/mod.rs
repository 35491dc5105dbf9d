//! Where commits come from, and where their objects lie on this host.

pub mod repo;
