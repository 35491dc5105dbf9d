//! The contract of every adapter, on real nix, systemd and Caddy: this program runs inside a test host.
fn main() {}
