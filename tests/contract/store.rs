//! What every implementation of `Store` keeps, real nix and the simulated one.
//!
//! Each promise is one test. It removes every profile first, so no two of them may
//! run at once on one store.

use std::collections::BTreeSet;

use writ::fault::{Fault, Retry};
use writ::manifest::service::Artifact;
use writ::names::{ClosureDigest, ServiceName, StorePath};
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
            a_profile_that_moved_is_left_alone,
            the_way_back_needs_no_fetch,
            what_one_profile_keeps_another_may_use,
            five_versions_are_kept,
            the_current_version_is_kept_however_old,
            a_retired_profile_leaves_nothing
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
    store.release().await.unwrap();
    assert_eq!(rooted(store).await, BTreeSet::new());
    name.parse().unwrap()
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
    store.release().await.unwrap();
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
        store.release().await.unwrap();
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
    store.release().await.unwrap();
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
    store.release().await.unwrap();
    assert_eq!(store.observe().await.unwrap().verified, right);
    store.fetch(&[all.artifact(0)]).await.unwrap();
    assert!(store.observe().await.unwrap().verified.is_empty());
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
    store.release().await.unwrap();
    store.switch(&service, Some(&all.versions[1]), &all.versions[0]).await.unwrap();
    store.switch(&service, Some(&all.versions[0]), &all.versions[1]).await.unwrap();
    assert_eq!(current(store, &service).await.as_ref(), Some(&all.versions[1]));
}

pub(crate) async fn what_one_profile_keeps_another_may_use<S: Store>(store: &S, all: &Closures) {
    let service = fresh(store, "shares").await;
    let other = name("shares-too");
    deploy(store, all, &service, &[0, 1]).await;
    store.release().await.unwrap();
    store.switch(&other, None, &all.versions[0]).await.unwrap();
    store.retire(&service, &all.versions[1]).await.unwrap();
    assert_eq!(rooted(store).await, [all.versions[0].clone()].into());
}

pub(crate) async fn five_versions_are_kept<S: Store>(store: &S, all: &Closures) {
    let service = fresh(store, "five").await;
    deploy(store, all, &service, &[0, 1, 2, 3, 4, 5, 6]).await;
    store.release().await.unwrap();
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
    store.release().await.unwrap();
    assert_eq!(current(store, &service).await.as_ref(), Some(&all.versions[0]));
    assert!(rooted(store).await.contains(&all.versions[0]));
    store.switch(&service, Some(&all.versions[0]), &all.versions[5]).await.unwrap();
}

pub(crate) async fn a_retired_profile_leaves_nothing<S: Store>(store: &S, all: &Closures) {
    let service = fresh(store, "gone").await;
    let neighbour = name("gone-not");
    deploy(store, all, &service, &[0, 1]).await;
    deploy(store, all, &neighbour, &[2]).await;
    store.release().await.unwrap();
    store.retire(&service, &all.versions[1]).await.unwrap();
    assert_eq!(current(store, &service).await, None);
    assert_eq!(current(store, &neighbour).await.as_ref(), Some(&all.versions[2]));
    assert!(
        store.switch(&service, None, &all.versions[0]).await.is_err(),
        "its versions are gone too"
    );
}
