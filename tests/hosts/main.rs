//! Scenes on real machines.
//!
//! Where this machine cannot boot hosts, every scene is ignored and the reason
//! printed; `WRIT_REQUIRE_HOSTS=1` makes that a failure.

#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout, reason = "a test")]

#[path = "../agent/authority.rs"]
mod authority;
mod contracts;
mod itself;
#[path = "../lab/mod.rs"]
mod lab;
mod scenes;
#[path = "../cache/server.rs"]
mod server;

use std::process::ExitCode;

use lab::fleet::Fleet;
use libtest_mimic::{Arguments, Trial};

/// What happens on hosts, by a name that says what has to hold.
type Scene = (&'static str, fn());

fn main() -> ExitCode {
    if std::env::var_os(itself::VICTIM).is_some() {
        itself::be_the_victim();
    }
    if let Some(root) = std::env::var_os(scenes::bucket::SERVES) {
        scenes::bucket::serve(root.as_ref());
    }
    let mut arguments = Arguments::from_args();
    // Scenes mostly wait: for a service to stay healthy, for a host to boot.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    arguments.test_threads.get_or_insert(2 * cores);
    if std::env::var_os(contracts::INSIDE).is_some() {
        return contracts::run(&arguments).exit_code();
    }
    let subjects = std::iter::once(("itself", itself::SCENES)).chain(scenes::ALL);
    let scenes =
        subjects.flat_map(|(subject, scenes)| scenes.iter().map(move |s| play(subject, s)));
    let ignored = cannot_boot();
    let all = contracts::trials().into_iter().chain(scenes);
    let all: Vec<Trial> = all.map(|trial| trial.with_ignored_flag(ignored)).collect();
    libtest_mimic::run(&arguments, all).exit_code()
}

fn play(subject: &str, &(name, scene): &Scene) -> Trial {
    Trial::test(format!("{subject}::{name}"), move || {
        scene();
        Ok(())
    })
}

/// Whether this machine lacks what hosts need and may: the tests are then ignored.
fn cannot_boot() -> bool {
    let required = std::env::var("WRIT_REQUIRE_HOSTS").is_ok_and(|v| v == "1");
    match Fleet::new() {
        Err(why) if !required => {
            eprintln!("test hosts cannot be booted here, their tests are ignored: {}", why.0);
            true
        }
        Err(_) | Ok(_) => false,
    }
}
