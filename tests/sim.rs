//! The simulated machine keeps the contracts that real nix, systemd and Caddy keep.

#[path = "contract/routes.rs"]
mod routes;
#[path = "contract/units.rs"]
mod units;
mod world;

use world::SimWorld;

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
