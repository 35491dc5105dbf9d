//! Which privileges a host's services gain and lose, for people who decide whether they should.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::manifest::Desired;
use crate::names::ServiceName;
use crate::trust::privileges::Privilege;

/// A privilege that a service has on one side alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PrivilegeChange {
    pub change: Direction,
    pub service: ServiceName,
    #[serde(flatten)]
    pub privilege: Privilege,
}

/// Whether a privilege comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    Gained,
    Lost,
}

/// What comes and goes from one draft to another; what a step tells anyway (where a
/// service runs, its routes) is left out.
pub(super) fn changes<S>(old: &Desired<S>, new: &Desired<S>) -> Vec<PrivilegeChange> {
    let gained = beyond(&new.privileges, &old.privileges, Direction::Gained);
    gained.chain(beyond(&old.privileges, &new.privileges, Direction::Lost)).collect()
}

type Asked = BTreeMap<ServiceName, BTreeSet<Privilege>>;

fn beyond<'a>(
    these: &'a Asked,
    those: &'a Asked,
    change: Direction,
) -> impl Iterator<Item = PrivilegeChange> + 'a {
    these.iter().flat_map(move |(service, asked)| {
        let known = those.get(service);
        let new = asked.iter().filter(move |it| known.is_none_or(|known| !known.contains(it)));
        new.filter(|privilege| !privilege.is_ordinary()).map(move |privilege| PrivilegeChange {
            change,
            service: service.clone(),
            privilege: privilege.clone(),
        })
    })
}

impl fmt::Display for PrivilegeChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.change {
            Direction::Gained => write!(f, "{:<8}{} {}", "grants", self.service, self.privilege),
            Direction::Lost => {
                write!(f, "{:<8}{} no longer {}", "revokes", self.service, self.privilege)
            }
        }
    }
}
