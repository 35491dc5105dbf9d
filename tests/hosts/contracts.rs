//! The contract of every adapter, kept by real nix, systemd and Caddy.
//!
//! The contracts run inside a host: this program is started there again with
//! [`INSIDE`] set, once for each, so that each is counted here by its name.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use nix::Caches;
use store::Closures;
use writ::names::UnitName;
use writ::plan::observed::{Override, OverrideKind};
use writ::world::caddy::CaddyRoutes;
use writ::world::nix::NixStore;
use writ::world::probes::HostProbes;
use writ::world::systemd::Systemd;

use super::lab::fleet::Fleet;
use super::lab::host::{Host, Program};

/// Set for the process that runs inside a host.
pub(crate) const INSIDE: &str = "WRIT_TEST_INSIDE";
const THERE: &str = "/usr/local/bin/contracts";

#[path = "../contract/bomb.rs"]
mod bomb;
#[path = "../contract/bucket.rs"]
mod bucket;
#[path = "../contract/literal.rs"]
mod literal;
#[path = "../contract/nix.rs"]
mod nix;
#[path = "../contract/overrides.rs"]
mod overrides;
#[path = "../contract/password.rs"]
mod password;
#[path = "../contract/probes.rs"]
mod probes;
#[path = "../contract/routes.rs"]
mod routes;
#[path = "../contract/sample.rs"]
mod sample;
#[path = "../contract/service.rs"]
#[allow(dead_code, reason = "the contracts of Caddy ask for sites and routes")]
mod service;
#[path = "../contract/set_property.rs"]
mod set_property;
#[path = "../contract/store.rs"]
mod store;
#[path = "../contract/systemd.rs"]
mod systemd;
#[path = "../contract/units.rs"]
mod units;
#[path = "../contract/visits.rs"]
mod visits;

/// A contract by name.
type Contract = (&'static str, fn());
/// The host that some contracts share, one after the other.
type Shared = Arc<OnceLock<Mutex<Host>>>;

/// The contracts of a module, each held against a world of its own.
macro_rules! contracts {
    ($against:ident, $module:ident: $($name:ident),* $(,)?) => {
        vec![$((
            concat!(stringify!($module), "::", stringify!($name)),
            (|| $against($module::$name)) as fn(),
        )),*]
    };
}

/// The contracts by the host that they share.
fn all() -> [(&'static str, Vec<Contract>); 3] {
    [("caddy", of_caddy()), ("nix", of_nix()), ("systemd", [of_systemd(), of_probes()].concat())]
}

fn of_caddy() -> Vec<Contract> {
    contracts!(against_caddy, routes:
        a_configuration_is_read_back_as_it_was_written,
        no_configuration_is_a_configuration_too,
        a_change_replaces_the_whole_configuration,
        the_etag_stays_while_nothing_changes_and_differs_after,
        a_stale_etag_changes_nothing,
        applying_what_is_there_already_succeeds,
        a_configuration_that_cannot_be_loaded_leaves_the_old_one,
    )
}

fn of_nix() -> Vec<Contract> {
    macro_rules! stores {
        ($($name:ident),*) => { contracts!(against_store, store: $($name),*) };
    }
    macro_rules! nix {
        ($($name:ident),*) => { contracts!(against_nix, nix: $($name),*) };
    }
    let password = contracts!(against_nix, password:
        a_cache_that_asks_for_a_password_tells_sizes_and_gives_closures,
        a_password_that_nix_does_not_have_is_told_with_where_it_belongs,
        nix_is_not_asked_for_passwords_that_nobody_wants,
    );
    [store::store_contract!(stores), nix::nix_only!(nix), password].concat()
}

fn of_systemd() -> Vec<Contract> {
    macro_rules! units {
        ($($name:ident),*) => { contracts!(against_systemd, units: $($name),*) };
    }
    macro_rules! overrides {
        ($($name:ident),*) => { contracts!(against_systemd, overrides: $($name),*) };
    }
    macro_rules! literal {
        ($($name:ident),*) => { contracts!(against_systemd, literal: $($name),*) };
    }
    macro_rules! systemd {
        ($($name:ident),*) => { contracts!(against_systemd, systemd: $($name),*) };
    }
    [
        units::units_contract!(units),
        overrides::overrides_contract!(overrides),
        contracts!(against_systemd, set_property: set_properties_and_edits_by_hand_are_undone),
        literal::literal_contract!(literal),
        systemd::systemd_contract!(systemd),
    ]
    .concat()
}

fn of_probes() -> Vec<Contract> {
    macro_rules! each {
        ($($name:ident),*) => { contracts!(against_probes, probes: $($name),*) };
    }
    macro_rules! visits {
        ($($name:ident),*) => { contracts!(against_probes, visits: $($name),*) };
    }
    [
        probes::probes_contract!(each),
        probes::command_contract!(each),
        visits::visits_contract!(visits),
    ]
    .concat()
}

fn against_caddy(contract: impl AsyncFn(&CaddyRoutes)) {
    let admin = "http://localhost:2019".parse().expect("an admin address");
    let caddy = CaddyRoutes::new(&admin).expect("a client");
    held(contract(&caddy));
}

fn against_store(contract: impl AsyncFn(&NixStore, &Closures)) {
    let caches = caches();
    held(contract(&caches.store(&["signed"]), &caches.closures));
}

fn against_nix(contract: impl AsyncFn(&Caches)) {
    held(contract(&caches()));
}

fn caches() -> Caches {
    Caches::new(Path::new("/root/caches"), "contract")
}

fn against_systemd(contract: impl AsyncFn(&Systemd)) {
    held(contract(&Systemd::new()));
}

/// What root does with an editor, and `systemctl daemon-reload` after it.
impl overrides::Administered for Systemd {
    fn put(&self, _: &UnitName, over: &Override) {
        let path = Path::new(over.path.as_str());
        fs::create_dir_all(path.parent().expect("a folder")).expect("root may");
        match over.kind {
            OverrideKind::Mask => symlink("/dev/null", path),
            OverrideKind::Replacement | OverrideKind::DropIn => fs::write(path, &over.text),
        }
        .expect("root may");
        let reload = Command::new("systemctl").arg("daemon-reload").status();
        assert!(reload.is_ok_and(|status| status.success()));
    }
}

fn against_probes(contract: impl AsyncFn(&HostProbes)) {
    held(contract(&HostProbes::new().expect("a client")));
}

fn held(contract: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(contract);
}

/// Each contract as a test that runs it inside a host.
pub(crate) fn trials() -> Vec<Trial> {
    all().into_iter().flat_map(|(host, contracts)| on_one_host(host, contracts)).collect()
}

fn on_one_host(host: &'static str, contracts: Vec<Contract>) -> Vec<Trial> {
    let shared = Shared::default();
    let trial = |(name, _): Contract| {
        let shared = Arc::clone(&shared);
        Trial::test(name, move || inside(host, &shared, name))
    };
    contracts.into_iter().map(trial).collect()
}

fn inside(host: &str, shared: &Shared, name: &str) -> Result<(), Failed> {
    let host = shared.get_or_init(|| Mutex::new(boot(host)));
    let host = host.lock().unwrap_or_else(PoisonError::into_inner);
    let ran = host.run(&["env", &format!("{INSIDE}=1"), THERE, "--exact", name]);
    if ran.ok && ran.stdout.contains("1 passed") {
        Ok(())
    } else {
        Err(format!("{}{}", ran.stdout, ran.stderr).into())
    }
}

fn boot(name: &str) -> Host {
    let fleet = Arc::new(Fleet::new().expect("hosts can be booted here"));
    let here = std::env::current_exe().expect("/proc is mounted");
    Host::boot(&fleet, name, &[Program { here, there: THERE }])
}

/// Runs contracts right here: this is the host.
pub(crate) fn run(arguments: &Arguments) -> Conclusion {
    let trial = |(name, contract): Contract| {
        Trial::test(name, move || {
            contract();
            Ok(())
        })
    };
    let contracts = all().into_iter().flat_map(|(_, contracts)| contracts);
    libtest_mimic::run(arguments, contracts.map(trial).collect())
}
