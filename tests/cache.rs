//! `writ upload` and `writ mirror` to S3, to web servers and to folders, through the binary, and hosts that
//! come for what was published; what lets nix read a bucket. The S3 server runs in this process and checks signatures;
//! nix is a stand-in (`cache/nix.sh`), the real one reads such a cache on the hosts of
//! `tests/hosts/scenes/push.rs`. Git is real.

#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "cache/carrier.rs"]
mod carrier;
#[path = "cache/gateway.rs"]
mod gateway;
#[path = "cache/kits.rs"]
mod kits;
#[path = "cache/mirrors.rs"]
mod mirrors;
#[path = "cache/mirrors_race.rs"]
mod mirrors_race;
#[path = "cache/roads.rs"]
mod roads;
#[path = "cache/server.rs"]
mod server;
#[path = "cache/shop.rs"]
mod shop;
#[path = "cache/stops.rs"]
mod stops;
#[path = "cache/town.rs"]
mod town;
#[path = "cache/uploads.rs"]
mod uploads;
#[path = "cache/web.rs"]
mod web;
#[path = "cache/wire.rs"]
#[expect(dead_code, reason = "the benchmark counts connections too")]
mod wire;
#[path = "cache/wrongs.rs"]
mod wrongs;
