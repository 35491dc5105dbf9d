//! A plan as the ledger keeps it: for programs its steps, for people the lines that `writ plan` prints.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::step::Step;
use super::{Plan, Waiting};
use crate::names::ServiceName;

/// What was about to be carried out. It is shown and never carried out again: a
/// later round observes and plans afresh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanRecord {
    /// The plan's text, line by line.
    #[serde(default)]
    pub lines: Vec<String>,
    pub steps: Vec<Value>,
    pub waiting: Vec<Value>,
    /// Services that were not up before, and that the generation is not to blame for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub spared: BTreeSet<ServiceName>,
}

/// A plan on its way into the ledger; its fields are those of [`PlanRecord`].
#[derive(Debug, Serialize)]
pub struct Recorded<'p> {
    lines: Vec<String>,
    steps: &'p [Step],
    waiting: &'p [Waiting],
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    spared: &'p BTreeSet<ServiceName>,
}

impl<'p> Recorded<'p> {
    pub fn new<Source>(plan: &'p Plan<Source>) -> Self {
        let lines = plan.to_string().lines().map(str::to_owned).collect();
        Self { lines, steps: &plan.steps, waiting: &plan.waiting, spared: &plan.spared }
    }
}
