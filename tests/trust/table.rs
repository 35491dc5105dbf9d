//! The table of attacks as a whole: how long it is, and that it leaves no rule out.

use std::collections::{BTreeMap, BTreeSet};

use crate::scene::{Act, Row};
use crate::{
    beside, confinement, graph, merge_key, objects, onward, paths, people, policies, published,
    signatures, trees,
};

/// Rules that are about a host or its manifest more than about commits, each with its test
/// there.
const ON_A_HOST: [(&str, &str, &str); 5] = [
    (
        "M3",
        "what_would_take_the_host_down_or_over_is_refused_for_everybody",
        include_str!("../manifest/claims.rs"),
    ),
    ("M4", "state_is_one_services_with_all_below_it", include_str!("../manifest/claims.rs")),
    ("T3", "damaged_state_is_a_refusal_and_not_a_first_boot", include_str!("../agent/state.rs")),
    (
        "F3",
        "a_commit_is_followed_once_somebody_states_that_it_is_the_head",
        include_str!("../agent/freshness.rs"),
    ),
    (
        "C1",
        "where_digests_are_required_an_artifact_without_one_is_refused",
        include_str!("../agent/closures.rs"),
    ),
];

/// Rules that a host tells under the name of another: who may not roll back has no
/// grant, a hardware key that was not touched made a bad signature, a key that is
/// another by one byte is an unknown one, and a privilege lacks people as a path does.
const TOLD_OTHERWISE: [(&str, &str); 4] = [
    ("G6", "rollbacks"),
    ("M2", "protected privileges"),
    ("S2", "kinds of key"),
    ("S3", "transplanted signatures"),
];

fn rows() -> Vec<(&'static str, Vec<Row>)> {
    vec![
        ("commits", objects::commits()),
        ("trees", trees::written()),
        ("what hosts read of a tree", trees::read()),
        ("names alike", trees::alike()),
        ("missing objects", objects::missing()),
        ("budgets", objects::endless()),
        ("the protocol of signatures", signatures::protocol()),
        ("armor", signatures::armor()),
        ("transplanted signatures", signatures::transplants()),
        ("kinds of key", signatures::kinds()),
        ("published cases", published::rows()),
        ("allowed_signers", policies::lines()),
        ("policy.toml", policies::keys()),
        ("later versions", policies::unsupported()),
        ("revocations", policies::revocations()),
        ("signers", graph::signers()),
        ("foreign histories", graph::foreign()),
        ("SHA-256", graph::sha256()),
        ("grants", paths::ungranted()),
        ("closure keys", paths::closures_only()),
        ("thresholds", paths::protected()),
        ("privileges", confinement::asked()),
        ("protected privileges", confinement::protected()),
        ("approvals", people::approvals()),
        ("rollbacks", people::rollbacks()),
        ("a merge key alone", merge_key::alone()),
        ("a merge key among others", merge_key::counted()),
        ("a merge key and the policy", merge_key::policy()),
        ("clocks", onward::clocks()),
        ("windows", onward::windows()),
        ("stolen keys", onward::stolen()),
    ]
}

fn acts() -> Vec<(&'static str, Vec<Act>)> {
    vec![
        ("no way back", onward::backward()),
        ("twins", onward::twins()),
        ("pins", onward::pinned()),
        ("statements about the head", beside::heads()),
        ("their times", beside::spans()),
        ("statements about a reset", beside::resets()),
        ("the host's copy", beside::copies()),
    ]
}

/// Every row's table, name and rule.
fn all() -> Vec<(&'static str, &'static str, &'static str)> {
    let rows = rows().into_iter().flat_map(|(table, rows)| {
        rows.into_iter().map(move |row| (table, row.name, row.rule)).collect::<Vec<_>>()
    });
    let acts = acts().into_iter().flat_map(|(table, acts)| {
        acts.into_iter().map(move |act| (table, act.name, act.rule)).collect::<Vec<_>>()
    });
    rows.chain(acts).collect()
}

#[test]
#[expect(clippy::print_stdout, reason = "`--nocapture` tells how many there are of each rule")]
fn three_hundred_attacks_stand_beside_their_twins() {
    let all = all();
    let mut by_rule: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, _, rule) in &all {
        *by_rule.entry(rule).or_default() += 1;
    }
    println!("{} rows: {by_rule:?}", all.len());
    let distinct: BTreeSet<_> = all.iter().map(|(table, name, _)| (table, name)).collect();
    assert_eq!(distinct.len(), all.len(), "a row stands twice");
    assert!(all.len() >= 385, "{} rows: one was lost", all.len());
}

#[test]
fn every_rule_of_the_documentation_is_attacked() {
    let text = include_str!("../../docs/trust.md");
    let rules = text.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let rules: BTreeSet<&str> = rules
        .map(|(rule, _)| rule)
        .filter(|rule| rule.len() == 2 && rule.ends_with(|c: char| c.is_ascii_digit()))
        .collect();
    assert!(rules.len() >= 28, "{rules:?}");
    let all = all();
    let mut attacked: BTreeSet<&str> = all.iter().map(|(_, _, rule)| *rule).collect();
    let told = TOLD_OTHERWISE.iter().filter(|(_, name)| all.iter().any(|(t, ..)| t == name));
    attacked.extend(told.map(|(rule, _)| *rule));
    let there = ON_A_HOST.iter().filter(|(_, test, file)| file.contains(&format!("fn {test}(")));
    attacked.extend(there.map(|(rule, ..)| *rule));
    let missing: Vec<_> = rules
        .iter()
        .filter(|rule| !attacked.contains(*rule))
        // OpenPGP is a feature of its own, with tests of its own.
        .filter(|rule| **rule != "S4")
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
