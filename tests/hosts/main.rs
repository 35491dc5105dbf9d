//! Scenes on real machines.
//!
//! Where this machine cannot boot hosts, every scene is ignored and the reason
//! printed; `WRIT_REQUIRE_HOSTS=1` makes that a failure.

#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout, reason = "a test")]

mod contracts;
mod itself;
#[path = "../lab/mod.rs"]
mod lab;

use std::process::ExitCode;

use lab::fleet::Fleet;
use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if std::env::var_os(itself::VICTIM).is_some() {
        itself::be_the_victim();
    }
    let required = std::env::var("WRIT_REQUIRE_HOSTS").is_ok_and(|v| v == "1");
    let skip = match Fleet::new() {
        Err(why) if !required => {
            eprintln!("test hosts cannot be booted here, their tests are ignored: {}", why.0);
            true
        }
        Err(_) | Ok(_) => false,
    };
    let trials: Vec<Trial> =
        itself::trials().into_iter().map(|trial| trial.with_ignored_flag(skip)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
