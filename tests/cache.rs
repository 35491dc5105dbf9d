//! `writ upload` to S3 and to folders, through the binary. The S3 server runs in this
//! process and checks signatures; nix is a stand-in (`cache/nix.sh`), the real one reads
//! such a cache on the hosts of `tests/hosts/scenes/push.rs`.

#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "cache/server.rs"]
mod server;
#[path = "cache/shop.rs"]
mod shop;
#[path = "cache/stops.rs"]
mod stops;
#[path = "cache/uploads.rs"]
mod uploads;
#[path = "cache/wrongs.rs"]
mod wrongs;
