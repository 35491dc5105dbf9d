//! The files that Caddy serves for a static service, and the services whose files may be served.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::observed::Observed;
use super::step::Step;
use crate::manifest::Desired;
use crate::manifest::service::{Service, Work};
use crate::names::{Literal, ServiceName, StorePath};

/// A folder of a closure that is served to anybody, to its last file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Site {
    pub store_path: StorePath,
    /// Relative to the closure's root.
    pub root: Literal,
}

/// A site with the service that has Caddy serve it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServedSite {
    pub service: ServiceName,
    #[serde(flatten)]
    pub site: Site,
}

/// Why files are not served, by site: a sentence that names the link.
pub type Unfit = BTreeMap<Site, String>;

impl Site {
    /// The files of a service that has routes and no process.
    pub fn of(service: &Service) -> Option<Self> {
        match &service.work {
            Work::Static { root } if !service.http.is_empty() => {
                let store_path = service.artifact.store_path.clone();
                Some(Self { store_path, root: root.clone() })
            }
            Work::Static { .. } | Work::Daemon { .. } | Work::Oneshot { .. } | Work::Job { .. } => {
                None
            }
        }
    }

    /// The absolute path of the folder.
    pub fn folder(&self) -> String {
        let folder = format!("{}/{}", self.store_path, self.root.as_str());
        folder.trim_end_matches('/').to_owned()
    }
}

/// Every site of a host.
pub fn sites<Source>(desired: &Desired<Source>) -> impl Iterator<Item = ServedSite> + '_ {
    desired.services.values().filter_map(|service| {
        Site::of(service).map(|site| ServedSite { service: service.name.clone(), site })
    })
}

/// The services whose routes may lead to them: all but those whose files are unfit.
pub(super) fn servable<'a, Source>(
    desired: &'a Desired<Source>,
    observed: &'a Observed,
) -> impl Iterator<Item = &'a Service> + Clone {
    let fit = |service: &&Service| {
        Site::of(service).is_none_or(|site| !observed.unfit.contains_key(&site))
    };
    desired.services.values().filter(fit)
}

/// Sites that nobody has looked through yet.
pub(super) fn inspect<Source>(desired: &Desired<Source>, observed: &Observed) -> Option<Step> {
    let known = &observed.store.inspected;
    let sites: Vec<_> = sites(desired).filter(|served| !known.contains(&served.site)).collect();
    (!sites.is_empty()).then_some(Step::Inspect { sites })
}

impl<Source> super::Plan<Source> {
    /// The same without looking again through files that were found unfit: they are
    /// not served, and nothing else waits for them.
    pub fn without_unfit(mut self, unfit: &Unfit) -> Self {
        for step in &mut self.steps {
            if let Step::Inspect { sites } = step {
                sites.retain(|served| !unfit.contains_key(&served.site));
            }
        }
        self.steps.retain(|step| !matches!(step, Step::Inspect { sites } if sites.is_empty()));
        self
    }
}

/// What of the sites of a host was found unfit, in words.
pub fn told<Source>(desired: &Desired<Source>, unfit: &Unfit) -> Vec<String> {
    let told = |served: ServedSite| {
        unfit.get(&served.site).map(|why| format!("service {}: {why}", served.service))
    };
    sites(desired).filter_map(told).collect()
}

/// The sites that were not looked through and are there to be looked through.
pub fn unknown<Source>(
    desired: &Desired<Source>,
    rooted: &BTreeSet<StorePath>,
    inspected: &BTreeSet<Site>,
) -> BTreeSet<Site> {
    sites(desired)
        .map(|served| served.site)
        .filter(|site| rooted.contains(&site.store_path) && !inspected.contains(site))
        .collect()
}
