//! Tells by a file's path what it is.

use crate::manifest::problem::nearest;

/// What a path below `manifests/` is for.
pub(super) enum Place<'a> {
    Service(&'a str),
    Profile(&'a str),
    Host(&'a str),
    Json,
    Stranger,
}

pub(super) fn of(path: &str) -> Place<'_> {
    let stem = |name: &'static str| {
        let stem = path.strip_prefix("manifests/")?.strip_prefix(name)?.strip_suffix(".toml")?;
        (!stem.contains('/')).then_some(stem)
    };
    if path == "manifests/manifest.json" {
        Place::Json
    } else if let Some(stem) = stem("services/") {
        Place::Service(stem)
    } else if let Some(stem) = stem("profiles/") {
        Place::Profile(stem)
    } else if let Some(stem) = stem("hosts/") {
        Place::Host(stem)
    } else {
        Place::Stranger
    }
}

/// How to mend a path that means nothing.
pub(super) fn remedy(path: &str) -> String {
    let folders = ["services", "profiles", "hosts"];
    let rest = path.strip_prefix("manifests/").unwrap_or(path);
    match rest.split_once('/') {
        None if rest.ends_with(".json") => "the JSON form is called manifests/manifest.json".into(),
        None => format!("move it to manifests/services/{rest}, or out of manifests/"),
        Some((folder, file)) if folders.contains(&folder) && file.contains('/') => {
            format!("there are no folders below manifests/{folder}: move it up")
        }
        Some((folder, file)) if folders.contains(&folder) => {
            let stem = file.split('.').next().unwrap_or(file);
            format!("a file here is called {stem}.toml, or move it out of manifests/")
        }
        Some((folder, file)) => match nearest(folder, &folders) {
            Some(meant) => format!("did you mean manifests/{meant}/{file}?"),
            None => "the folders of a manifest are services, profiles and hosts".to_owned(),
        },
    }
}
