//! A service's manifest beside one host: it is read or refused, and what it reaches on its
//! host is judged by the rules of trust.

#![no_main]

#[path = "../../tests/manifest/agrees.rs"]
mod agrees;

use std::collections::BTreeMap;

use writ::manifest::Manifest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let files = BTreeMap::from([
        ("manifests/hosts/biz.toml".to_owned(), b"tags = [\"web\"]\n".to_vec()),
        ("manifests/services/web.toml".to_owned(), bytes.to_vec()),
    ]);
    match Manifest::draft(&files) {
        Ok(manifest) => {
            let desired = manifest.desired(&"biz".parse().expect("a host name"));
            for (name, service) in &desired.services {
                let asked = desired.privileges.get(name).cloned().unwrap_or_default();
                agrees::agrees(service, &asked).expect("it is judged");
            }
        }
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
});
