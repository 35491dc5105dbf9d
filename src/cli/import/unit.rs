//! `writ import --systemd`: a service drafted from the unit that it is today.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::super::consequences::accepted;
use super::super::output::JsonFlag;
use super::super::service_file::path_of;
use super::super::{Blame, Failure, show, show_as_is, whisper};
use crate::manifest::import::{Wish, from_unit, name_of};
use crate::manifest::{Manifest, Problems};
use crate::names::ServiceName;
use crate::source::{checkout, placing, units};

#[derive(Debug, ClapArgs)]
pub(super) struct Unit {
    /// Draft a service from this unit, by name or by the path of its file, including drop-ins
    /// and a timer of the same name.
    #[arg(long, value_name = "UNIT", conflicts_with = "file")]
    systemd: Option<String>,
    /// Root directory to read units from, such as another host's mounted disk.
    #[arg(long, default_value = "/", requires = "systemd")]
    root: PathBuf,
    /// The service's name (default: the unit's).
    #[arg(long, requires = "systemd")]
    name: Option<ServiceName>,
    /// Host to run it on; may be repeated.
    #[arg(long = "host", requires = "systemd")]
    hosts: Vec<String>,
    /// Write it to manifests/services/ if hosts would accept it, instead of printing it.
    #[arg(long, requires = "systemd")]
    write: bool,
}

pub(super) fn run(args: &Unit, repo: &Path, json: JsonFlag) -> Result<(), Failure> {
    let Some(unit) = &args.systemd else { return Ok(()) };
    let found =
        units::find(&args.root, unit).map_err(|error| Failure::new(Blame::Refused, &error))?;
    let Some(name) = args.name.clone().or_else(|| name_of(&found.name)) else {
        let message = format!("{} is no name of a service", found.name);
        return Err(Failure {
            message,
            hint: Some("give one with --name".into()),
            blame: Blame::Usage,
        });
    };
    let wish = Wish { name, hosts: args.hosts.clone() };
    let text = from_unit(&found, &wish);
    let path = path_of(&wish.name);
    if args.write {
        write(repo, path.clone(), text)?;
        return json.print(&serde_json::json!({ "written": [path], "removed": null }));
    }
    show_as_is(&text);
    let mut files = checkout::working_tree(&checkout::root_of(repo)).unwrap_or_default();
    files.insert(path.clone(), text.clone().into_bytes());
    let mut ours = Vec::new();
    if let Err(Problems(problems)) = Manifest::draft(&files) {
        ours.extend(problems.into_iter().filter(|problem| problem.file == path));
        let lines =
            ours.iter().map(|problem| format!("  line {}: {}\n", problem.line, problem.what));
        whisper(&format!("fix these before hosts take it:\n{}", lines.collect::<String>()));
    }
    json.print(&serde_json::json!({ "file": path, "text": text, "problems": ours }))
}

fn write(repo: &Path, path: String, text: String) -> Result<(), Failure> {
    let broken = |error| Failure::new(Blame::Refused, &error);
    let root = checkout::root_of(repo);
    let mut files = checkout::working_tree(&root).map_err(broken)?;
    if files.contains_key(&path) {
        let message = format!("{path} is there already");
        return Err(Failure { message, hint: None, blame: Blame::Refused });
    }
    files.insert(path.clone(), text.clone().into_bytes());
    accepted(&files)?;
    placing::place(&root, &BTreeMap::from([(path.clone(), text)]), None).map_err(broken)?;
    show(format!("wrote {path}\n"));
    Ok(())
}
