//! Rounds of the agent on a simulated machine, with git, keys, signatures and disk real.

#[path = "agent/ailing.rs"]
mod ailing;
#[path = "agent/anchor.rs"]
mod anchor;
#[path = "agent/attacks.rs"]
mod attacks;
#[path = "agent/authority.rs"]
#[allow(dead_code, reason = "another test program uses the rest of it")]
mod authority;
#[path = "agent/branch.rs"]
mod branch;
#[path = "cache/server.rs"]
mod bucket_server;
#[path = "agent/closures.rs"]
mod closures;
#[path = "agent/condition.rs"]
mod condition;
#[path = "agent/contested.rs"]
mod contested;
#[path = "agent/control.rs"]
mod control;
#[path = "agent/crash.rs"]
mod crash;
#[path = "agent/crash_holds.rs"]
mod crash_holds;
#[path = "agent/crash_kinds.rs"]
mod crash_kinds;
#[path = "agent/crashes.rs"]
mod crashes;
#[path = "agent/dependents.rs"]
mod dependents;
#[path = "agent/drift.rs"]
mod drift;
#[path = "agent/drills.rs"]
mod drills;
#[path = "agent/environment.rs"]
mod environment;
#[path = "agent/foreign.rs"]
mod foreign;
#[path = "trust/forge.rs"]
mod forge;
#[path = "agent/freshness.rs"]
mod freshness;
#[cfg(feature = "openpgp")]
#[path = "trust/gpg.rs"]
mod gpg;
#[path = "agent/ill.rs"]
mod ill;
#[path = "agent/interplay.rs"]
mod interplay;
#[path = "agent/jobs.rs"]
mod jobs;
#[path = "agent/keys.rs"]
mod keys;
#[path = "agent/kinds.rs"]
mod kinds;
#[path = "agent/leftovers.rs"]
mod leftovers;
#[path = "agent/mirrors.rs"]
mod mirrors;
#[path = "agent/programs.rs"]
mod programs;
#[path = "agent/recovery.rs"]
mod recovery;
#[path = "agent/report.rs"]
mod report;
#[path = "agent/report_bucket.rs"]
mod report_bucket;
#[path = "agent/require_plan.rs"]
mod require_plan;
#[path = "agent/retention.rs"]
mod retention;
#[path = "agent/rollback.rs"]
mod rollback;
#[path = "agent/rounds.rs"]
mod rounds;
#[path = "agent/scene.rs"]
mod scene;
#[path = "agent/server.rs"]
mod server;
#[path = "agent/sites.rs"]
mod sites;
#[path = "agent/sources.rs"]
mod sources;
#[path = "agent/stages.rs"]
mod stages;
#[path = "agent/starved.rs"]
mod starved;
#[path = "agent/state.rs"]
mod state;
#[path = "agent/superseded.rs"]
mod superseded;
#[path = "agent/tour.rs"]
mod tour;
#[path = "agent/trouble.rs"]
mod trouble;
#[path = "agent/windows.rs"]
mod windows;
mod world;
#[path = "agent/wreck.rs"]
mod wreck;
