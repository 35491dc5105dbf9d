//! Where a valid policy is weaker than it looks, or about to lock its people out.

use std::collections::BTreeSet;

use super::certificates;
use super::policy::{self, Policy, Protect, Rights};
use super::signature::NAMESPACE;
use crate::names::Principal;

/// A file of the policy, for what a change of any of them takes.
const POLICY: &str = ".writ/policy.toml";
const SIGNERS: &str = ".writ/allowed_signers";

/// One sentence for each weakness.
pub(super) fn on(policy: &Policy) -> Vec<String> {
    let mut found = Vec::new();
    let signing = signing(policy);
    let holders: Vec<(&Principal, &Rights)> =
        policy.people().filter(|(name, _)| signing.contains(name)).collect();
    found.extend(policy.protect.iter().filter_map(|protect| hollow(policy, protect)));
    found.extend(policy.protect.iter().filter_map(|protect| unreachable(&holders, protect)));
    found.extend(few_admins(policy, &holders));
    for (name, rights) in policy.people() {
        if !signing.contains(name) {
            found.push(format!("{name} has rights and no key that may sign commits"));
        }
        let idle = rights.grants().iter().find(|g| policy::is_policy(g.as_str()));
        if let Some(grant) = idle.filter(|_| !rights.is_admin()) {
            found.push(format!(
                "the grant {} of {name} does nothing: only the role admin reaches .writ/",
                grant.as_str()
            ));
        }
    }
    found.extend(holders.iter().filter_map(|(name, rights)| more_than_merging(name, rights)));
    for name in signing {
        if policy.rights(name).is_none() {
            found.push(format!("{name} has a key and no rights: its commits are refused"));
        }
    }
    found
}

/// Why nobody can change the policy any more; `None` where somebody can.
pub(super) fn locked_out(policy: &Policy) -> Option<String> {
    let signing = signing(policy);
    let needed = policy.threshold(POLICY).max(policy.threshold(SIGNERS)) as usize;
    let admins =
        policy.people().filter(|(name, rights)| rights.is_admin() && signing.contains(name));
    let admins = admins.count();
    (admins < needed).then(|| {
        format!(
            "changing .writ/ takes {needed} administrators with a key, and there would be {admins}: nobody could change it any more"
        )
    })
}

/// Who has a key that may sign commits.
fn signing(policy: &Policy) -> BTreeSet<&Principal> {
    policy.signers.iter().filter(|s| s.may_sign(NAMESPACE)).map(|s| &s.principal).collect()
}

/// A threshold that fewer people than it asks for can take away.
fn hollow(policy: &Policy, protect: &Protect) -> Option<String> {
    let guard = guard(policy);
    (guard < protect.threshold).then(|| {
        format!(
            "{} takes {} people, and the policy that says so takes {guard}: protect \".writ/**\" with the same threshold",
            named(protect),
            protect.threshold
        )
    })
}

/// How few people can change some file of the policy. Whoever changes a certificate alone
/// can take a revocation out of it.
fn guard(policy: &Policy) -> u32 {
    let certificates = policy.signers.iter().filter_map(|signer| signer.fingerprint.openpgp());
    let certificates = certificates.map(|digits| policy.threshold(&certificates::in_tree(digits)));
    certificates.chain([POLICY, SIGNERS].map(|path| policy.threshold(path))).min().unwrap_or(1)
}

/// A threshold that nobody can reach.
fn unreachable(holders: &[(&Principal, &Rights)], protect: &Protect) -> Option<String> {
    let mut paths = protect.paths.iter();
    let own = protect.may.is_nothing() && paths.all(|path| policy::is_policy(path.as_str()));
    let can = |rights: &Rights| rights.is_admin() || (!own && !rights.grants().is_empty());
    let people = holders.iter().filter(|(_, rights)| can(rights)).count();
    // However many may merge, one does.
    let merger = !own && holders.iter().any(|(_, rights)| rights.may_merge() && !can(rights));
    let people = people + usize::from(merger);
    (people < protect.threshold as usize).then(|| {
        format!(
            "{} takes {} people, and only {people} could sign: nobody can change it",
            named(protect),
            protect.threshold
        )
    })
}

/// A merger whose key could do more than bring in what others signed.
fn more_than_merging(name: &Principal, rights: &Rights) -> Option<String> {
    let more = match (rights.is_admin(), rights.grants().is_empty()) {
        _ if !rights.may_merge() => return None,
        (true, _) => "the role admin",
        (false, false) => "grants",
        (false, true) => return None,
    };
    Some(format!(
        "{name} has the role merge and {more}: whoever has that key, such as a forge, can write there alone; take one of them away"
    ))
}

/// The loss of one key is the loss of the policy.
fn few_admins(policy: &Policy, holders: &[(&Principal, &Rights)]) -> Option<String> {
    let needed = policy.threshold(POLICY).max(policy.threshold(SIGNERS)) as usize;
    let admins = holders.iter().filter(|(_, rights)| rights.is_admin()).count();
    match (admins == needed, policy.one_administrator) {
        (_, true) if admins > 1 => Some(format!(
            "oneAdministrator says that one person administers alone, and there are {admins}: take it out of {POLICY}"
        )),
        (false, _) => None,
        (true, true) if needed == 1 => None,
        (true, _) => {
            let alone = match admins {
                1 => {
                    "; add a second one, or say with oneAdministrator = true in .writ/policy.toml that this is meant"
                }
                _ => "",
            };
            Some(format!(
                "changing .writ/ takes {needed} of {admins} administrators: if one of them loses a key, nobody can change it any more{alone}"
            ))
        }
    }
}

fn named(protect: &Protect) -> String {
    let paths = protect.paths.iter().map(|path| path.as_str().to_owned());
    let privileges = super::Privileges::from(&protect.may).lines();
    paths.chain(privileges).collect::<Vec<String>>().join(", ")
}
