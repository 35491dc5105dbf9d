//! What nix's words mean where it could not fetch something.

use std::path::Path;

use super::caches::Caches;
use super::fetch::last_lines;
use super::scratch;
use crate::fault::Fault;
use crate::world::certificate::{NOT_NOW, RENEW, is_not_now};

/// What nix says of an archive that is not the announced one.
const DAMAGED: [&str; 6] = [
    "hash mismatch",
    "corrupt",
    "compression not recognized",
    "archive",
    "unexpected end-of-file",
    "is incomplete",
];

/// What nix says of its own database, beside the name of the file.
const DATABASE: &str = "/db/db.sqlite";

/// Nothing here is a reason to roll back: the old generation is untouched while a cache
/// is repaired.
pub(super) fn explain(doing: &str, stderr: &str, caches: &Caches, home: &Path) -> Fault {
    let says = |words: &str| stderr.contains(words);
    let asked = caches.told();
    let (because, remedy) = if scratch::is_blamed(home, stderr) {
        (format!("nix cannot use its scratch folder in {}", home.display()), scratch::REMEDY)
    } else if says("No space left on device") {
        (
            "the disk is full".to_owned(),
            "as root, `writ gc --collect` lets old closures go; or make the disk of /nix larger",
        )
    } else if says(DATABASE) {
        (
            "nix's own database cannot be used".to_owned(),
            "see what nix says; `nix-store --verify` checks the database, and sqlite3's `.recover` rescues a damaged one",
        )
    } else if says("not signed by any of the keys") || says("lacks a signature by a trusted key") {
        (
            format!("no key that this host trusts has signed it ({asked})"),
            "sign it in the cache, or add the cache's public key to this host's config",
        )
    } else if let Some(Fault { because, remedy, .. }) = caches.fault() {
        let fault = Fault::wait(doing, format!("a cache cannot be read: {because} ({asked})"));
        return Fault { remedy, ..fault }.evidence(last_lines(stderr));
    } else if says("does not exist in binary cache") {
        (
            format!("a cache has lost an archive that it announces ({asked})"),
            "push the closure to the cache again",
        )
    } else if is_not_now(stderr) {
        (format!("{NOT_NOW} ({asked})"), RENEW)
    } else if says("unable to download") || says("Could not connect") || says("Could not resolve") {
        (
            format!("a cache cannot be reached ({asked})"),
            "look at the network and at the caches of this host's config",
        )
    } else if DAMAGED.iter().any(|words| says(words)) {
        (
            format!("a cache sent something else than it announced ({asked})"),
            "push the closure to the cache again",
        )
    } else if let Some(denials) = caches.denials().filter(|_| is_absent(stderr)) {
        (
            format!("no cache let this host have all of it: {denials} ({asked})"),
            "see that the cache lets this host in (the netrc of nix holds passwords; a private bucket is named s3://…), and that it has the closure: some servers answer so for what is not there",
        )
    } else if is_absent(stderr) {
        (
            format!("no cache has all of it ({asked})"),
            "push the closure to one of the caches of this host's config",
        )
    } else {
        (format!("nix failed ({asked})"), "see what nix says")
    };
    Fault::wait(doing, because).remedy(remedy).evidence(last_lines(stderr))
}

fn is_absent(stderr: &str) -> bool {
    ["don't know how to build", "no substituter that can build it"]
        .iter()
        .any(|words| stderr.contains(words))
}

#[cfg(test)]
mod tests {
    use super::super::NixConfig;
    use super::*;

    /// As nix 2.34 says it where its libcurl is made with GnuTLS.
    const EXPIRED: &str = "warning: unable to download 'https://forge.acme.example/cache/nar/1.nar.xz': SSL peer certificate or SSH remote key was not OK (60) server verification failed: certificate has expired. (CAfile: /etc/ssl/certs/ca-certificates.crt CRLfile: none)\nerror: build of '/nix/store/1-x' failed";

    async fn told(stderr: &str) -> Fault {
        let config = NixConfig::new(Vec::new(), Vec::new());
        explain("fetch x", stderr, &Caches::of(&config).await, &config.home)
    }

    /// The archives may come from another server than the one that was asked before.
    #[tokio::test]
    async fn a_certificate_that_only_nix_sees_is_told_as_that_too() {
        let fault = told(EXPIRED).await;
        assert!(fault.because.starts_with(NOT_NOW), "{fault}");
        assert_eq!(fault.remedy.as_deref(), Some(RENEW));
        assert!(fault.evidence[0].contains("certificate has expired"), "{fault:?}");
    }

    #[tokio::test]
    async fn a_damaged_database_of_nix_is_no_fault_of_a_cache() {
        let said = "error: executing SQLite statement 'pragma main.journal_mode = wal': database disk image is malformed (in '/nix/var/nix/db/db.sqlite')";
        assert_eq!(told(said).await.because, "nix's own database cannot be used");
    }
}
