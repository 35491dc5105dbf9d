//! Scenes on real machines.
fn main() {}
