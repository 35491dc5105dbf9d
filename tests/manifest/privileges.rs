//! Each key of a manifest is judged by the rules of trust, or said to be its owner's business.

use super::agrees::agrees;
use super::*;
use writ::manifest::schema::groups;
use writ::trust::privileges::requests;

/// A file in which `key` of the table `group` stands, with a value of no kind in particular.
fn file(group: &str, key: &str) -> (&'static str, String) {
    let service = "manifests/services/x.toml";
    match group {
        "service" => (service, format!("{key} = []\n")),
        "http" => (service, format!("[[http]]\n{key} = []\n")),
        "profile" => ("manifests/profiles/x.toml", format!("{key} = []\n")),
        "confirm" => ("manifests/profiles/x.toml", format!("[confirm]\n{key} = []\n")),
        "host" => ("manifests/hosts/x.toml", format!("{key} = []\n")),
        // A window is one setting of its host, whatever stands in it.
        "window" => ("manifests/hosts/x.toml", format!("[[windows]]\n{key} = []\n")),
        "json" => ("manifests/manifest.json", format!("{{\"{key}\": []}}")),
        table => (service, format!("[{table}]\n{key} = []\n")),
    }
}

#[test]
fn no_key_of_a_manifest_is_unknown_to_the_rules_of_trust() {
    for group in groups() {
        for key in group.names() {
            let (path, text) = file(group.name, key);
            for request in requests(path, text.as_bytes()) {
                let told = request.to_string();
                assert!(!told.contains("does not know"), "{}.{key}: {told}", group.name);
            }
        }
    }
    let (path, text) = file("exec", "sandbox");
    let told: Vec<String> =
        requests(path, text.as_bytes()).iter().map(ToString::to_string).collect();
    assert_eq!(told, ["x has the key `sandbox`, which this version does not know"]);
}

proptest::proptest! {
    /// The one reading of a file holds the other to account.
    #[test]
    fn what_a_service_reaches_on_its_host_is_judged(json in imports::manifest()) {
        let files = one("manifests/manifest.json", json.to_string());
        let Ok(manifest) = draft(&files) else { return Ok(()) };
        for host in ["biz", "web-1", "db"] {
            let desired = manifest.desired(&host.parse().unwrap());
            for (name, service) in &desired.services {
                let told = agrees(service, &desired.privileges[name]);
                proptest::prop_assert!(told.is_ok(), "{}: {:?}", name, told);
            }
        }
    }
}
