//! What every implementation of `Store` keeps, real nix and the simulated one.
//!
//! Each promise is one test. It removes every profile first, so no two of them may
//! run at once on one store.

use std::collections::BTreeSet;

use writ::fault::{Fault, Retry};
use writ::manifest::service::Artifact;
use writ::names::{ClosureDigest, ServiceName, StorePath};
use writ::plan::retention::{Generations, Limits, Why, retention};
use writ::plan::site::Site;
use writ::world::Store;

/// Hands the names of all promises to a macro of the caller's.
macro_rules! store_contract {
    ($each:ident) => {
        $each! {
            a_profile_keeps_what_it_points_at,
            every_verb_may_be_repeated,
            nothing_is_used_that_was_never_fetched,
            one_closure_that_no_cache_has_fails_the_whole_fetch,
            a_closure_other_than_the_signed_one_is_refused,
            a_site_is_looked_through_once_and_a_link_out_of_it_is_named,
            a_profile_that_moved_is_left_alone,
            the_way_back_needs_no_fetch,
            what_one_profile_keeps_another_may_use,
            five_versions_are_kept,
            the_current_version_is_kept_however_old,
            a_version_that_is_needed_is_kept_however_old,
            what_was_fetched_is_held_until_a_profile_holds_it,
            a_version_that_came_to_be_used_is_not_released,
            a_retired_profile_leaves_what_is_needed_and_then_nothing
        }
    };
}
pub(crate) use store_contract;

/// What there is to fetch.
pub(crate) struct Closures {
    /// At least seven, all different, none with a digest.
    pub(crate) versions: Vec<StorePath>,
    /// The digest of the first.
    pub(crate) digest: ClosureDigest,
    /// A closure with the folder `www`, in which a link leads to `/var/lib/caddy`.
    pub(crate) leaking: StorePath,
    /// No cache has it.
    pub(crate) absent: StorePath,
}

impl Closures {
    fn artifact(&self, n: usize) -> Artifact {
        plain(&self.versions[n])
    }
}

fn plain(path: &StorePath) -> Artifact {
    Artifact { store_path: path.clone(), closure_digest: None, closure_size: None }
}

fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

/// A name without a profile, in a store that keeps nothing.
async fn fresh<S: Store>(store: &S, name: &str) -> ServiceName {
    for (service, path) in store.observe().await.unwrap().current {
        store.retire(&service, &path).await.unwrap();
    }
    release(store, &[]).await;
    assert_eq!(rooted(store).await, BTreeSet::new());
    name.parse().unwrap()
}

/// Keeps five versions of each profile, and whatever a generation is said to need.
pub(crate) async fn release<S: Store>(store: &S, needed: &[&StorePath]) {
    let limits = Limits { versions: 5, generations: 1 };
    let needed = needed.iter().map(|path| (*path).clone()).collect();
    let generations = Generations {
        needed: [(1, [Why::Booted].into())].into(),
        closures: [(1, Some(needed))].into(),
    };
    let held = store.held().await.unwrap();
    store.release(&retention(&generations, &held, limits)).await.unwrap();
}

async fn current<S: Store>(store: &S, service: &ServiceName) -> Option<StorePath> {
    store.observe().await.unwrap().current.remove(service)
}

async fn rooted<S: Store>(store: &S) -> BTreeSet<StorePath> {
    store.observe().await.unwrap().rooted
}

/// Fetches and switches through the given versions in order.
async fn deploy<S: Store>(store: &S, all: &Closures, service: &ServiceName, order: &[usize]) {
    for n in order {
        store.fetch(&[all.artifact(*n)]).await.unwrap();
        let from = current(store, service).await;
        store.switch(service, from.as_ref(), &all.versions[*n]).await.unwrap();
        assert_eq!(current(store, service).await.as_ref(), Some(&all.versions[*n]));
    }
}

pub(crate) async fn a_profile_keeps_what_it_points_at<S: Store>(store: &S, all: &Closures) {
    let service = fresh(store, "keeps").await;
    assert_eq!(current(store, &service).await, None);
    deploy(store, all, &service, &[0]).await;
    release(store, &[]).await;
    assert_eq!(current(store, &service).await.as_ref(), Some(&all.versions[0]));
    assert!(rooted(store).await.contains(&all.versions[0]));
}

pub(crate) async fn every_verb_may_be_repeated<S: Store>(store: &S, all: &Closures) {
    let service = fresh(store, "repeats").await;
    let to = &all.versions[0];
    for _ in 0..2 {
        store.fetch(&[all.artifact(0), all.artifact(0)]).await.unwrap();
        store.fetch(&[]).await.unwrap();
    }
    for _ in 0..2 {
        store.switch(&service, None, to).await.unwrap();
    }
    for _ in 0..2 {
        release(store, &[]).await;
    }
    for _ in 0..2 {
        store.retire(&service, to).await.unwrap();
    }
    assert_eq!(current(store, &service).await, None);
}

pub(crate) async fn nothing_is_used_that_was_never_fetched<S: Store>(store: &S, all: &Closures) {
    let service = fresh(store, "unfetched").await;
    assert!(store.switch(&service, None, &all.absent).await.is_err());
    assert_eq!(current(store, &service).await, None);
}

pub(crate) async fn one_closure_that_no_cache_has_fails_the_whole_fetch<S: Store>(
    store: &S,
    all: &Closures,
) {
    let service = fresh(store, "partial").await;
    let fault = store.fetch(&[all.artifact(6), plain(&all.absent)]).await.unwrap_err();
    assert_eq!(fault.retry, Retry::Soon, "a cache may get it yet: {fault}");
    assert!(text(&fault).contains(all.absent.as_str()), "the path is named: {fault:?}");
    for path in [&all.versions[6], &all.absent] {
        assert!(store.switch(&service, None, path).await.is_err());
    }
    release(store, &[]).await;
}

fn text(fault: &Fault) -> String {
    format!("{fault}\n{}", fault.evidence.join("\n"))
}

pub(crate) async fn a_closure_other_than_the_signed_one_is_refused<S: Store>(
    store: &S,
    all: &Closures,
) {
    let service = fresh(store, "digest").await;
    let wrong: ClosureDigest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
    let with = |digest: &ClosureDigest| Artifact {
        closure_digest: Some(digest.clone()),
        ..all.artifact(0)
    };
    let fault = store.fetch(&[with(&wrong), all.artifact(1)]).await.unwrap_err();
    assert_eq!(fault.retry, Retry::NextCommit, "{fault}");
    assert!(text(&fault).contains(all.digest.as_str()), "what was found is named: {fault:?}");
    assert!(store.switch(&service, None, &all.versions[0]).await.is_err());
    store.fetch(&[with(&all.digest), all.artifact(1)]).await.unwrap();
    store.switch(&service, None, &all.versions[0]).await.unwrap();
    // What was compared is remembered, until the path is fetched on nobody's word.
    let right = [(all.versions[0].clone(), all.digest.clone())].into();
    assert_eq!(store.observe().await.unwrap().verified, right);
    release(store, &[]).await;
    assert_eq!(store.observe().await.unwrap().verified, right);
    store.fetch(&[all.artifact(0)]).await.unwrap();
    assert!(store.observe().await.unwrap().verified.is_empty());
}

pub(crate) async fn a_site_is_looked_through_once_and_a_link_out_of_it_is_named<S: Store>(
    store: &S,
    all: &Closures,
) {
    fresh(store, "site").await;
    let site = |path: &StorePath, root: &str| Site {
        store_path: path.clone(),
        root: root.parse().unwrap(),
    };
    let (leaking, fit) = (site(&all.leaking, "www"), site(&all.versions[0], ""));
    store.fetch(&[plain(&all.leaking), all.artifact(0)]).await.unwrap();
    let both = BTreeSet::from([leaking.clone(), fit.clone()]);
    for _ in 0..2 {
        let unfit = store.inspect(&both).await.unwrap();
        assert_eq!(unfit.keys().collect::<Vec<_>>(), [&leaking]);
        assert!(unfit[&leaking].contains("leads to /var/lib/caddy"), "{unfit:?}");
    }
    // What nothing keeps may be another thing when it comes again.
    store.switch(&name("site"), None, &all.versions[0]).await.unwrap();
    assert_eq!(store.observe().await.unwrap().inspected, [fit].into());
    store.fetch(&[all.artifact(0)]).await.unwrap();
    assert_eq!(store.observe().await.unwrap().inspected, BTreeSet::new());
}

pub(crate) async fn a_profile_that_moved_is_left_alone<S: Store>(store: &S, all: &Closures) {
    let service = fresh(store, "moved").await;
    deploy(store, all, &service, &[0, 1]).await;
    store.fetch(&[all.artifact(2)]).await.unwrap();
    for from in [None, Some(&all.versions[0])] {
        let fault = store.switch(&service, from, &all.versions[2]).await.unwrap_err();
        assert_eq!(fault.retry, Retry::Soon, "{fault}");
    }
    let fault = store.retire(&service, &all.versions[0]).await.unwrap_err();
    assert_eq!(fault.retry, Retry::Soon, "{fault}");
    assert_eq!(current(store, &service).await.as_ref(), Some(&all.versions[1]));
}

pub(crate) async fn the_way_back_needs_no_fetch<S: Store>(store: &S, all: &Closures) {
    let service = fresh(store, "back").await;
    deploy(store, all, &service, &[0, 1]).await;
    release(store, &[]).await;
    store.switch(&service, Some(&all.versions[1]), &all.versions[0]).await.unwrap();
    store.switch(&service, Some(&all.versions[0]), &all.versions[1]).await.unwrap();
    assert_eq!(current(store, &service).await.as_ref(), Some(&all.versions[1]));
}

pub(crate) async fn what_one_profile_keeps_another_may_use<S: Store>(store: &S, all: &Closures) {
    let service = fresh(store, "shares").await;
    let other = name("shares-too");
    deploy(store, all, &service, &[0, 1]).await;
    release(store, &[]).await;
    store.switch(&other, None, &all.versions[0]).await.unwrap();
    store.retire(&service, &all.versions[1]).await.unwrap();
    release(store, &[]).await;
    assert_eq!(rooted(store).await, [all.versions[0].clone()].into());
}

pub(crate) async fn five_versions_are_kept<S: Store>(store: &S, all: &Closures) {
    let service = fresh(store, "five").await;
    deploy(store, all, &service, &[0, 1, 2, 3, 4, 5, 6]).await;
    release(store, &[]).await;
    for old in &all.versions[..2] {
        let fault = store.switch(&service, Some(&all.versions[6]), old).await;
        assert!(fault.is_err(), "{old} was let go");
    }
    for kept in &all.versions[2..7] {
        assert!(rooted(store).await.contains(kept));
        let from = current(store, &service).await;
        store.switch(&service, from.as_ref(), kept).await.unwrap();
    }
}

pub(crate) async fn the_current_version_is_kept_however_old<S: Store>(store: &S, all: &Closures) {
    let service = fresh(store, "old").await;
    deploy(store, all, &service, &[0, 1, 2, 3, 4, 5, 0]).await;
    release(store, &[]).await;
    assert_eq!(current(store, &service).await.as_ref(), Some(&all.versions[0]));
    assert!(rooted(store).await.contains(&all.versions[0]));
    store.switch(&service, Some(&all.versions[0]), &all.versions[5]).await.unwrap();
}

pub(crate) async fn a_version_that_is_needed_is_kept_however_old<S: Store>(
    store: &S,
    all: &Closures,
) {
    let service = fresh(store, "booted").await;
    deploy(store, all, &service, &[0, 1, 2, 3, 4, 5, 6]).await;
    release(store, &[&all.versions[0]]).await;
    let kept = all.versions.iter().enumerate().filter(|(n, _)| ![1, 7].contains(n));
    assert_eq!(rooted(store).await, kept.map(|(_, path)| path.clone()).collect());
    store.switch(&service, Some(&all.versions[6]), &all.versions[0]).await.unwrap();
}

pub(crate) async fn what_was_fetched_is_held_until_a_profile_holds_it<S: Store>(
    store: &S,
    all: &Closures,
) {
    let service = fresh(store, "fetched").await;
    let wanted = &all.versions[1];
    store.fetch(&[all.artifact(0), all.artifact(1)]).await.unwrap();
    let roots = async || store.held().await.unwrap().roots;
    assert_eq!(roots().await, all.versions[..2].iter().cloned().collect());
    release(store, &[wanted]).await;
    assert_eq!(roots().await, [wanted.clone()].into(), "its generation has no verdict yet");
    store.switch(&service, None, wanted).await.unwrap();
    release(store, &[wanted]).await;
    assert_eq!(roots().await, BTreeSet::new());
    assert_eq!(rooted(store).await, [wanted.clone()].into());
}

pub(crate) async fn a_version_that_came_to_be_used_is_not_released<S: Store>(
    store: &S,
    all: &Closures,
) {
    let service = fresh(store, "moves").await;
    deploy(store, all, &service, &[0, 1]).await;
    let held = store.held().await.unwrap();
    let mut decided =
        retention(&Generations::default(), &held, Limits { versions: 1, generations: 1 });
    assert_eq!(decided.going().count(), 1);
    store.switch(&service, Some(&all.versions[1]), &all.versions[0]).await.unwrap();
    decided.roots.clear();
    store.release(&decided).await.unwrap();
    assert_eq!(current(store, &service).await.as_ref(), Some(&all.versions[0]));
    assert!(rooted(store).await.contains(&all.versions[0]));
}

pub(crate) async fn a_retired_profile_leaves_what_is_needed_and_then_nothing<S: Store>(
    store: &S,
    all: &Closures,
) {
    let service = fresh(store, "gone").await;
    let neighbour = name("gone-not");
    deploy(store, all, &service, &[0, 1]).await;
    deploy(store, all, &neighbour, &[2]).await;
    store.retire(&service, &all.versions[1]).await.unwrap();
    assert_eq!(current(store, &service).await, None);
    release(store, &[&all.versions[1]]).await;
    let kept: BTreeSet<StorePath> = [all.versions[1].clone(), all.versions[2].clone()].into();
    assert_eq!(rooted(store).await, kept, "a generation needs one of its versions");
    store.switch(&service, None, &all.versions[1]).await.unwrap();
    store.retire(&service, &all.versions[1]).await.unwrap();
    release(store, &[]).await;
    assert_eq!(rooted(store).await, [all.versions[2].clone()].into());
    assert_eq!(current(store, &neighbour).await.as_ref(), Some(&all.versions[2]));
    assert!(store.switch(&service, None, &all.versions[0]).await.is_err(), "they are gone");
    assert!(!store.held().await.unwrap().profiles.contains_key(&service));
}
