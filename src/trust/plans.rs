//! Plans that a commit's signer looked at: `Writ-Plan: HOST DIGEST`, a trailer for each host that has something to do.

use super::VerifiedCommit;
use super::edit::PolicyText;
use super::policy::Policy;
use super::trailers::{shown, split, trailers};
use crate::names::{CommitId, HostName, PlanDigest};

/// The trailer's key.
pub(super) const TRAILER: &str = "Writ-Plan";

/// What one host is to do with a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPlan {
    pub host: HostName,
    pub digest: PlanDigest,
}

/// The plans in a message's trailers. A host may have several: one for those that run
/// the commit's parent, another for those that were taken back below it.
pub(super) fn of(message: &str, ignored: &mut Vec<String>) -> Vec<SignedPlan> {
    let trailers = trailers(message);
    let mut plans = Vec::new();
    let mut any = false;
    for value in trailers.iter().filter(|t| t.is(TRAILER)).map(|t| &t.value) {
        any = true;
        match plan(value) {
            Some(plan) => plans.push(plan),
            None => ignored.push(format!(
                "`{TRAILER}: {}` counts for nothing: it takes a host and a digest",
                shown(value)
            )),
        }
    }
    if !any && message.lines().filter_map(split).any(|line| line.is(TRAILER)) {
        ignored.push(format!(
            "`{TRAILER}` counts for nothing: it is not among the trailers, the last paragraph of the message"
        ));
    }
    plans
}

/// The plans that hosts find in a message.
pub fn named_plans(message: &str) -> Vec<SignedPlan> {
    of(message, &mut Vec::new())
}

fn plan(value: &str) -> Option<SignedPlan> {
    let (host, digest) = value.split_once(' ')?;
    Some(SignedPlan { host: host.parse().ok()?, digest: digest.trim().parse().ok()? })
}

impl VerifiedCommit {
    /// Whether its policy wants hosts to begin only a plan that the commit names.
    pub fn requires_plan(&self) -> bool {
        self.inner.plans
    }

    /// What its own message says that a host is to do.
    pub fn plans_for(&self, host: &HostName) -> impl Iterator<Item = &PlanDigest> {
        self.inner.orders.plans.iter().filter(move |plan| plan.host == *host).map(|p| &p.digest)
    }

    /// What its own message says that hosts are to do.
    pub(super) fn plans(&self) -> &[SignedPlan] {
        &self.inner.orders.plans
    }

    /// The commit below it on the mainline.
    pub fn parent(&self) -> Option<&CommitId> {
        self.inner.parent.as_ref()
    }
}

/// Whether a draft of a policy asks for plans; one that is not valid asks for nothing.
pub fn requires_plans(policy: &PolicyText) -> bool {
    Policy::of(policy, None).is_ok_and(|policy| policy.plans)
}

/// The line for a commit's message.
impl std::fmt::Display for SignedPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{TRAILER}: {} {}", self.host, self.digest)
    }
}

/// A message without its lines for these hosts, for all hosts where there are none.
/// Also those that count for nothing where they stand go.
pub fn without_plans(message: &str, hosts: &[HostName]) -> String {
    let of_host = |value: &str| {
        let host = value.split_whitespace().next().unwrap_or_default();
        hosts.is_empty() || hosts.iter().any(|named| named.as_str() == host)
    };
    let stale = |line: &str| split(line).is_some_and(|t| t.is(TRAILER) && of_host(&t.value));
    message.lines().filter(|line| !stale(line)).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn found(message: &str) -> (Vec<String>, usize) {
        let mut ignored = Vec::new();
        let plans = of(message, &mut ignored);
        (plans.iter().map(ToString::to_string).collect(), ignored.len())
    }

    #[test]
    fn a_plan_is_a_trailer_with_a_host_and_a_digest() {
        let biz = format!("Writ-Plan: biz {DIGEST}");
        let both = format!("web: 2\n\n{biz}\nwrit-plan:   web1   {DIGEST}\n");
        assert_eq!(found(&both), (vec![biz.clone(), format!("Writ-Plan: web1 {DIGEST}")], 0));
        assert_eq!(found("web: 2\n\nbody\n"), (vec![], 0));
        for bad in [
            format!("web: 2\n\nWrit-Plan: {DIGEST}\n"),
            "web: 2\n\nWrit-Plan: biz sha256:12\n".to_owned(),
            format!("web: 2\n\nWrit-Plan: biz {DIGEST} and more\n"),
            format!("web: 2\n\n{biz}\n\nmore text\n"),
            format!("{biz}\n"),
        ] {
            assert_eq!(found(&bad), (vec![], 1), "{bad}");
        }
    }

    #[test]
    fn a_message_loses_the_lines_of_the_hosts_that_are_signed_again() {
        let message = format!("web: 2\n\nWrit-Plan: biz {DIGEST}\nWrit-Plan: web1 {DIGEST}\n");
        assert_eq!(without_plans(&message, &[]), "web: 2\n\n");
        let biz = ["biz".parse().unwrap()];
        assert_eq!(without_plans(&message, &biz), format!("web: 2\n\nWrit-Plan: web1 {DIGEST}\n"));
    }
}
