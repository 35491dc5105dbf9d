//! The simulated machine keeps the contracts that real nix, systemd and Caddy keep.

#[path = "contract/overrides.rs"]
mod overrides;
#[path = "contract/routes.rs"]
mod routes;
#[path = "contract/store.rs"]
mod store;
#[path = "contract/units.rs"]
mod units;
mod world;

use store::Closures;
use world::SimWorld;
use writ::names::{StorePath, UnitName};
use writ::plan::observed::Override;

/// One test for each promise, each on a machine of its own.
macro_rules! on_a_machine {
    ($module:ident: $($name:ident),* $(,)?) => {
        $(#[tokio::test]
        async fn $name() {
            $module::$name(&SimWorld::default()).await;
        })*
    };
}

mod of_units {
    use super::*;

    macro_rules! each {
        ($($name:ident),* $(,)?) => { on_a_machine! { units: $($name),* } };
    }
    units::units_contract!(each);
}

mod of_overrides {
    use super::*;

    macro_rules! each {
        ($($name:ident),* $(,)?) => { on_a_machine! { overrides: $($name),* } };
    }
    overrides::overrides_contract!(each);

    impl overrides::Administered for SimWorld {
        fn put(&self, unit: &UnitName, over: &Override) {
            self.touch(|machine| {
                machine.overrides.entry(unit.clone()).or_default().push(over.clone());
            });
        }
    }
}

mod of_routes {
    use super::*;

    on_a_machine! { routes:
        a_configuration_is_read_back_as_it_was_written,
        no_configuration_is_a_configuration_too,
        a_change_replaces_the_whole_configuration,
        the_etag_stays_while_nothing_changes_and_differs_after,
        a_stale_etag_changes_nothing,
        applying_what_is_there_already_succeeds,
        a_configuration_that_cannot_be_loaded_leaves_the_old_one,
    }
}

mod of_the_store {
    use super::*;

    macro_rules! each {
        ($($name:ident),* $(,)?) => {
            $(#[tokio::test]
            async fn $name() {
                let (world, closures) = a_store();
                store::$name(&world, &closures).await;
            })*
        };
    }
    store::store_contract!(each);
}

/// A machine whose caches hold eight closures, the first of a known digest.
fn a_store() -> (SimWorld, Closures) {
    let path = |n: usize| -> StorePath {
        format!("/nix/store/{}-version-{n}", n.to_string().repeat(32)).parse().unwrap()
    };
    let (world, versions) = (SimWorld::default(), (0..8).map(path).collect::<Vec<_>>());
    let digest: writ::names::ClosureDigest = format!("sha256:{}", "d".repeat(64)).parse().unwrap();
    let leaking = format!("/nix/store/{}-leaking", "l".repeat(32)).parse::<StorePath>().unwrap();
    world.touch(|machine| {
        machine.cached.insert(leaking.clone());
        machine.leaking.insert(leaking.clone(), "www/c leads to /var/lib/caddy".to_owned());
        machine.cached.extend(versions.iter().cloned());
        machine.digests.insert(versions[0].clone(), digest.clone());
    });
    (world, Closures { versions, digest, leaking, absent: path(9) })
}
