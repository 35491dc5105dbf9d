//! `writ import`: what was there before Writ, as manifest files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::service_file::refused;
use super::{Blame, Failure, show};
use crate::manifest::Problems;
use crate::manifest::import::{JsonError, from_json};
use crate::source::{checkout, placing};

/// The JSON form of a repository, from its root.
const JSON: &str = "manifests/manifest.json";

/// Turn a version-1 JSON file into one TOML file for each service, profile and host.
///
/// Every value is carried over, and the result means the same on every host: both is
/// checked before anything is written. Files that are there are never written over;
/// either all files are written or none. Nothing is committed.
///
/// Example: writ import manifests/manifest.json --replace
///
/// Example: writ import ~/old/services.json --repo ~/deploy
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The JSON file.
    file: PathBuf,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    /// Remove the JSON file: beside the new files it would give each name twice.
    #[arg(long)]
    replace: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let broken = |error| Failure::new(Blame::Refused, &error);
    let root = checkout::root_of(&args.repo);
    let text = placing::read(&args.file).map_err(broken)?;
    let mut beside = checkout::working_tree(&root).map_err(broken)?;
    let ours = same_file(&args.file, &root.join(JSON));
    settled(args, ours, beside.remove(JSON).is_some())?;
    let imported = from_json(&text, &beside).map_err(|error| problems(error, &args.file))?;
    if imported.files.is_empty() {
        let what = format!("{} has no service, profile or host", args.file.display());
        return Err(refused(what, None));
    }
    placing::place(&root, &imported.files, args.replace.then_some(&args.file)).map_err(broken)?;
    tell(args, &imported.files);
    Ok(())
}

/// What is to become of the JSON file, before anything is done.
fn settled(args: &Args, ours: bool, there: bool) -> Result<(), Failure> {
    if ours && !args.replace {
        let what = format!("{JSON} and the new files would give each name twice");
        let hint = "--replace removes the JSON file once the others are written";
        return Err(refused(what, Some(hint.to_owned())));
    }
    if !ours && args.replace {
        let message = format!("{} is not the repository's {JSON}", args.file.display());
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

fn tell(args: &Args, files: &BTreeMap<String, String>) {
    let mut told: String = files.keys().map(|path| format!("wrote {path}\n")).collect();
    if args.replace {
        told.push_str(&format!("removed {}\n", args.file.display()));
    }
    show(told);
}
