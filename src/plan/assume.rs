//! A host that has just applied a commit, for plans made where no host can be asked.

use serde_json::Value;

use super::environment::{self, Environment};
use super::observed::{Observed, ObservedRoutes, ObservedStore, ObservedUnit, UnitState};
use super::routes::{self, Features};
use super::{site, unit};
use crate::manifest::Desired;

/// What a host looks like that runs `desired`, every service healthy and nothing
/// of anybody else's in Caddy.
pub fn assumed<Source>(desired: &Desired<Source>) -> Observed {
    let services = || desired.services.values();
    let current: std::collections::BTreeMap<_, _> =
        services().map(|s| (s.name.clone(), s.artifact.store_path.clone())).collect();
    let rooted = current.values().cloned().collect();
    let verified = services()
        .filter_map(|s| Some((s.artifact.store_path.clone(), s.artifact.closure_digest.clone()?)))
        .collect();
    let inspected = site::sites(desired).map(|served| served.site).collect();
    let environments = services()
        .filter_map(|s| Some((s.name.clone(), environment::text(s)?)))
        .map(|(name, text)| (name, Environment { text: Some(text), started_with: None }))
        .collect();
    let units = services()
        .flat_map(|service| {
            let started = unit::started(service);
            unit::unit_files(service).into_iter().map(move |file| {
                let runs = started.as_ref() == Some(&file.name);
                let state = if runs { UnitState::Active } else { UnitState::Inactive };
                (file.name, ObservedUnit { file: Some(file.text), state })
            })
        })
        .collect();
    let features = Features::default();
    let config = routes::merge(&Value::Null, services(), features).config.unwrap_or(Value::Null);
    Observed {
        store: ObservedStore { current, rooted, verified, inspected },
        units,
        routes: ObservedRoutes::Up { etag: String::new(), config, features },
        environments,
        ..Observed::default()
    }
}
