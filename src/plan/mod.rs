//! Decides what to do, and does nothing else.
pub mod observed;
pub mod routes;
pub mod unit;
