//! A service's file in the manifest, and what becomes of it with another closure.

use std::collections::BTreeSet;

use similar::TextDiff;

use super::consequences::Files;
use super::{Blame, Failure};
use crate::manifest::edit::{Release, json_has, near, with_release};
use crate::names::ServiceName;

/// Lines around a change.
const CONTEXT: usize = 2;

/// Where a service is written.
pub(super) fn path_of(service: &ServiceName) -> String {
    format!("manifests/services/{service}.toml")
}

/// The text of a service's file among those of a manifest.
///
/// # Errors
/// There is none; then with the names of those that are near.
pub(super) fn text_of<'a>(files: &'a Files, service: &ServiceName) -> Result<&'a str, Failure> {
    let path = path_of(service);
    match files.get(&path) {
        Some(bytes) => std::str::from_utf8(bytes)
            .map_err(|error| refused(format!("{path} is not UTF-8: {error}"), None)),
        None => Err(missing(files, service, &path)),
    }
}

fn missing(files: &Files, service: &ServiceName, path: &str) -> Failure {
    let json = "manifests/manifest.json";
    if files.get(json).is_some_and(|text| json_has(text, service)) {
        let hint =
            format!("have the program that writes {json} do it, or move {service} to {path}");
        return refused(format!("{service} is in {json}, which is not edited"), Some(hint));
    }
    if files.contains_key(&format!("manifests/profiles/{service}.toml")) {
        let hint = format!("edit manifests/profiles/{service}.toml by hand, then git commit -S");
        return refused(format!("{service} is a profile, not a service"), Some(hint));
    }
    let stem = |path: &String| {
        Some(path.strip_prefix("manifests/services/")?.strip_suffix(".toml")?.to_owned())
    };
    let known: BTreeSet<String> = files.keys().filter_map(stem).collect();
    let near = near(service, &known);
    let hint = match (&near[..], known.is_empty()) {
        ([], true) => format!("writ new {service} drafts {path}"),
        ([], false) => {
            let known: Vec<String> = known.into_iter().collect();
            format!("there are: {}; writ new {service} drafts another one", known.join(", "))
        }
        (near, _) => format!("did you mean {}?", near.join(" or ")),
    };
    let message = format!("there is no service {service}: no {path}");
    Failure { message, hint: Some(hint), blame: Blame::Usage }
}

/// The file with another closure in it.
pub(super) fn released(
    text: &str,
    service: &ServiceName,
    release: &Release,
) -> Result<String, Failure> {
    with_release(text, release).map_err(|error| {
        let hint = "put the closure in by hand, and see what `writ check` says";
        let path = path_of(service);
        refused(format!("{path} cannot be changed: {error}"), Some(hint.to_owned()))
    })
}

/// The manifest with this text in the service's file.
pub(super) fn with_text(files: &Files, service: &ServiceName, text: &str) -> Files {
    let mut files = files.clone();
    files.insert(path_of(service), text.as_bytes().to_vec());
    files
}

/// What changes in a file, line by line; empty where nothing does.
pub(super) fn difference(service: &ServiceName, old: &str, new: &str) -> String {
    let path = path_of(service);
    TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(CONTEXT)
        .header(&path, &path)
        .to_string()
}

pub(super) fn refused(message: String, hint: Option<String>) -> Failure {
    Failure { message, hint, blame: Blame::Refused }
}
