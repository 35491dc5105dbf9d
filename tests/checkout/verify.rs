//! `writ verify` in a checkout: from where the history is judged, where nobody says it.

use crate::desk::{Desk, ok};
use crate::revert::{ONE, service};

#[test]
fn a_history_is_judged_from_where_a_review_judges_it() {
    let desk = Desk::new();
    ok(&desk.writ(&["init", "deploy", "--host", "biz"]));
    let introduction = desk.git(&["rev-parse", "HEAD"]);
    desk.write("web", &service(ONE, "web", 8000));
    let web = desk.commit("web");
    let verify = || desk.in_deploy(&["verify"]);
    // What `writ init` has put into git's config.
    let pinned = verify();
    assert!(ok(&pinned).starts_with("accepted"), "{}", desk.told(&pinned));
    assert!(!desk.told(&pinned).contains("own word"), "{}", desk.told(&pinned));
    // Where the history is judged from, all before it counts for nothing.
    desk.git(&["config", "writ.introduction", &web]);
    assert_eq!(verify().status.code(), Some(0), "{}", desk.told(&verify()));
    desk.git(&["config", "writ.introduction", "1111"]);
    assert_eq!(verify().status.code(), Some(2));
    desk.git(&["config", "--unset", "writ.introduction"]);
    let own = verify();
    assert!(ok(&own).starts_with("accepted"), "{}", desk.told(&own));
    let told = desk.told(&own);
    assert!(told.contains(&format!("judged from {introduction}")), "{told}");
    assert!(told.contains("the history's own word"), "{told}");
    desk.git(&["config", "writ.hostConfig", "/none.toml"]);
    assert!(desk.told(&verify()).contains("/none.toml"));
    let named = desk.in_deploy(&["verify", "--introduction", &introduction]);
    assert_eq!(named.status.code(), Some(0), "what is named comes first");
}

#[test]
fn a_history_without_a_policy_is_told_to_be_none() {
    let desk = Desk::new();
    ok(&desk.run("git", &["init", "-q", "deploy"]));
    desk.git(&["commit", "-q", "--allow-empty", "-m", "nothing"]);
    let refused = desk.in_deploy(&["verify"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(desk.told(&refused).contains("no policy in the history"), "{}", desk.told(&refused));
}
