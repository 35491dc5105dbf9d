//! The contract of every adapter, kept by real nix, systemd and Caddy.
//!
//! The contracts run inside a host: this program is started there again with
//! [`INSIDE`] set, once for each, so that each is counted here by its name.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

use super::lab::fleet::Fleet;
use super::lab::host::{Host, Program};

/// Set for the process that runs inside a host.
pub(crate) const INSIDE: &str = "WRIT_TEST_INSIDE";
const THERE: &str = "/usr/local/bin/contracts";

/// A contract by name.
type Contract = (&'static str, fn());
/// The host that the contracts of one adapter share, one after the other.
type Shared = Arc<OnceLock<Mutex<Host>>>;

/// The contracts by adapter.
fn adapters() -> Vec<(&'static str, Vec<Contract>)> {
    vec![]
}

/// Each contract as a test that runs it inside a host.
pub(crate) fn trials() -> Vec<Trial> {
    adapters()
        .into_iter()
        .flat_map(|(adapter, contracts)| on_one_host(adapter, contracts))
        .collect()
}

fn on_one_host(adapter: &'static str, contracts: Vec<Contract>) -> Vec<Trial> {
    let shared = Shared::default();
    let trial = |(name, _)| {
        let (name, shared) = (format!("{adapter}::{name}"), Arc::clone(&shared));
        Trial::test(name.clone(), move || inside(adapter, &shared, &name))
    };
    contracts.into_iter().map(trial).collect()
}

fn inside(adapter: &str, shared: &Shared, name: &str) -> Result<(), Failed> {
    let host = shared.get_or_init(|| Mutex::new(boot(adapter)));
    let host = host.lock().unwrap_or_else(PoisonError::into_inner);
    let ran = host.run(&["env", &format!("{INSIDE}=1"), THERE, "--exact", name]);
    if ran.ok && ran.stdout.contains("1 passed") {
        Ok(())
    } else {
        Err(format!("{}{}", ran.stdout, ran.stderr).into())
    }
}

fn boot(adapter: &str) -> Host {
    let fleet = Arc::new(Fleet::new().expect("hosts can be booted here"));
    let here = std::env::current_exe().expect("/proc is mounted");
    Host::boot(&fleet, adapter, &[Program { here, there: THERE }])
}

/// Runs contracts right here: this is the host.
pub(crate) fn run(arguments: &Arguments) -> Conclusion {
    let trial = |adapter: &str, (name, contract): Contract| {
        Trial::test(format!("{adapter}::{name}"), move || {
            contract();
            Ok(())
        })
    };
    let trials = adapters()
        .into_iter()
        .flat_map(|(adapter, all)| all.into_iter().map(move |one| trial(adapter, one)))
        .collect();
    libtest_mimic::run(arguments, trials)
}
