//! The operator's commands in a checkout of the deploy repository, through the binary.

#[path = "checkout/approve.rs"]
mod approve;
#[path = "checkout/chores.rs"]
mod chores;
#[path = "checkout/ci.rs"]
mod ci;
#[path = "checkout/desk.rs"]
mod desk;
#[path = "checkout/fleet.rs"]
mod fleet;
#[path = "checkout/fleet_bucket.rs"]
mod fleet_bucket;
#[path = "checkout/hooks.rs"]
mod hooks;
#[path = "checkout/host_pushes.rs"]
mod host_pushes;
#[path = "checkout/import.rs"]
mod import;
#[path = "checkout/import_unit.rs"]
mod import_unit;
#[path = "checkout/init.rs"]
mod init;
#[path = "cli/programs.rs"]
mod json;
#[path = "checkout/plan.rs"]
mod plan;
#[path = "checkout/programs.rs"]
mod programs;
#[path = "checkout/push.rs"]
mod push;
#[path = "checkout/refused_first.rs"]
mod refused_first;
#[path = "checkout/revert.rs"]
mod revert;
#[path = "checkout/review.rs"]
mod review;
#[path = "cache/server.rs"]
mod server;
#[path = "checkout/stops.rs"]
mod stops;
#[path = "checkout/surroundings.rs"]
mod surroundings;
#[path = "checkout/team.rs"]
mod team;
#[path = "checkout/two_of_a_name.rs"]
mod two_of_a_name;
#[path = "checkout/verify.rs"]
mod verify;
