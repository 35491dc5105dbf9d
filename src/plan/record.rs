//! A plan as the ledger keeps it: for programs its steps, for people the lines that `writ plan` prints.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Plan;
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

impl PlanRecord {
    /// # Errors
    /// A step cannot be written as JSON.
    pub fn of<Source>(plan: &Plan<Source>) -> Result<Self, serde_json::Error> {
        Ok(Self {
            lines: plan.to_string().lines().map(str::to_owned).collect(),
            steps: plan.steps.iter().map(serde_json::to_value).collect::<Result<_, _>>()?,
            waiting: plan.waiting.iter().map(serde_json::to_value).collect::<Result<_, _>>()?,
            spared: plan.spared.clone(),
        })
    }
}
