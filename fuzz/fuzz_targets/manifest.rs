//! A service's manifest beside one host.

#![no_main]

use std::collections::BTreeMap;

use writ::manifest::Manifest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let files = BTreeMap::from([
        ("manifests/hosts/biz.toml".to_owned(), b"tags = [\"web\"]\n".to_vec()),
        ("manifests/services/web.toml".to_owned(), bytes.to_vec()),
    ]);
    match Manifest::draft(&files) {
        Ok(manifest) => drop(manifest.desired(&"biz".parse().expect("a host name"))),
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
});
