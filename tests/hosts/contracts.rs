//! The contract of every adapter, kept by real nix, systemd and Caddy.
//!
//! The contracts run inside a host: this program is started there again with
//! [`INSIDE`] set, once for each, so that each is counted here by its name.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use writ::world::caddy::CaddyRoutes;

use super::lab::fleet::Fleet;
use super::lab::host::{Host, Program};

/// Set for the process that runs inside a host.
pub(crate) const INSIDE: &str = "WRIT_TEST_INSIDE";
const THERE: &str = "/usr/local/bin/contracts";

#[path = "../contract/routes.rs"]
mod routes;

/// A contract by name.
type Contract = (&'static str, fn());
/// The host that the contracts of one adapter share, one after the other.
type Shared = Arc<OnceLock<Mutex<Host>>>;

/// Contracts, each held against an adapter of its own.
macro_rules! contracts {
    ($adapter:expr, $module:ident: $($name:ident),* $(,)?) => {
        vec![$((stringify!($name), || held(async { $module::$name(&$adapter).await }))),*]
    };
}

/// The contracts by adapter.
fn adapters() -> Vec<(&'static str, Vec<Contract>)> {
    vec![("caddy", caddy())]
}

fn caddy_adapter() -> CaddyRoutes {
    let admin = "http://localhost:2019".parse().expect("an admin address");
    CaddyRoutes::new(&admin).expect("a client")
}

fn caddy() -> Vec<Contract> {
    contracts!(caddy_adapter(), routes:
        a_configuration_is_read_back_as_it_was_written,
        no_configuration_is_a_configuration_too,
        a_change_replaces_the_whole_configuration,
        the_etag_stays_while_nothing_changes_and_differs_after,
        a_stale_etag_changes_nothing,
        applying_what_is_there_already_succeeds,
        a_configuration_that_cannot_be_loaded_leaves_the_old_one,
    )
}

fn held(contract: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(contract);
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
