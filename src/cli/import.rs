//! `writ import`: what was there before Writ, as manifest files.

mod unit;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::output::JsonFlag;
use super::service_file::refused;
use super::{Blame, Failure, show};
use crate::manifest::Problems;
use crate::manifest::import::{JsonError, from_json};
use crate::source::{checkout, placing};

/// The JSON form of a repository, from its root.
const JSON: &str = "manifests/manifest.json";

/// Convert a version-1 JSON file, or a systemd unit, into manifest files.
///
/// Every value of a JSON file is carried over, and the result means the same on every host;
/// both are checked before anything is written. Existing files are never overwritten; either
/// all files are written or none. Nothing is committed.
///
/// With --systemd it prints a draft of the service for you to review. Settings that a manifest
/// cannot express become comments that say why. Values of variables that look secret are
/// omitted.
///
/// Example: writ import manifests/manifest.json --replace
///
/// Example: writ import --systemd web.service --host biz
///
/// Example: writ import --systemd ./web.service --repo ~/deploy --host biz --write
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The JSON file.
    #[arg(required_unless_present = "systemd")]
    file: Option<PathBuf>,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    /// Remove the JSON file; next to the new files it would define each name twice.
    #[arg(long, requires = "file")]
    replace: bool,
    #[command(flatten)]
    unit: unit::Unit,
    #[command(flatten)]
    json: JsonFlag,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    match &args.file {
        Some(file) => json(args, file),
        None => unit::run(&args.unit, &args.repo, args.json),
    }
}

fn json(args: &Args, file: &Path) -> Result<(), Failure> {
    let broken = |error| Failure::new(Blame::Refused, &error);
    let root = checkout::root_of(&args.repo);
    let text = placing::read(file).map_err(broken)?;
    let mut beside = checkout::working_tree(&root).map_err(broken)?;
    let ours = same_file(file, &root.join(JSON));
    settled(file, args.replace, ours, beside.remove(JSON).is_some())?;
    let imported = from_json(&text, &beside).map_err(|error| problems(error, file))?;
    if imported.files.is_empty() {
        let what = format!("{} has no service, profile or host", file.display());
        return Err(refused(what, None));
    }
    let old = args.replace.then_some(file);
    placing::place(&root, &imported.files, old).map_err(broken)?;
    tell(&imported.files, old);
    let written: Vec<&String> = imported.files.keys().collect();
    args.json.print(&serde_json::json!({ "written": written, "removed": old }))
}

/// What is to become of the JSON file, before anything is done.
fn settled(file: &Path, replace: bool, ours: bool, there: bool) -> Result<(), Failure> {
    if ours && !replace {
        let what = format!("{JSON} and the new files would give each name twice");
        let hint = "--replace removes the JSON file once the others are written";
        return Err(refused(what, Some(hint.to_owned())));
    }
    if !ours && replace {
        let message = format!("{} is not the repository's {JSON}", file.display());
        let hint = Some("leave --replace out: the file may stay where it is".to_owned());
        return Err(Failure { message, hint, blame: Blame::Usage });
    }
    if !ours && there {
        let what = format!("the repository has a {JSON} of its own");
        return Err(refused(what, Some(format!("first: writ import {JSON} --replace"))));
    }
    Ok(())
}

fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// The problems, with the file called as the operator called it.
fn problems(error: JsonError, file: &Path) -> Failure {
    let error = match error {
        JsonError::Problems(Problems(mut problems)) => {
            for problem in problems.iter_mut().filter(|problem| problem.file == JSON) {
                problem.file = file.display().to_string();
            }
            JsonError::Problems(Problems(problems))
        }
        JsonError::Differs => JsonError::Differs,
    };
    refused(error.to_string(), Some("nothing was changed".to_owned()))
}

fn tell(files: &BTreeMap<String, String>, removed: Option<&Path>) {
    let mut told: String = files.keys().map(|path| format!("wrote {path}\n")).collect();
    if let Some(old) = removed {
        told.push_str(&format!("removed {}\n", old.display()));
    }
    show(told);
}
