//! The operator's own nix: builds with their settings and before their eyes, and says
//! what is in a closure.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use tokio::process::Command;

use super::{fetch, find_programs, registration, settings};
use crate::fault::Fault;
use crate::manifest::edit::Release;
use crate::names::StorePath;
use crate::plan::closure::{PathInfo, closure_digest, closure_of};
use crate::world::netrc::Netrc;

/// Paths on one command line.
const AT_ONCE: usize = 1000;

/// What is to be deployed, before it is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// What `nix build` takes: `.#web`.
    Installable(String),
    /// What `nix-build` takes: a file, and an attribute of it.
    File { file: PathBuf, attribute: Option<String> },
    /// It is built already.
    Built(StorePath),
}

/// The nix of whoever runs this.
#[derive(Clone, Debug)]
pub struct LocalNix {
    pub(super) programs: PathBuf,
}

/// Paths and all that they need, as the local database has them.
#[derive(Clone, Debug)]
pub struct Closure {
    pub(super) paths: BTreeMap<StorePath, PathInfo>,
}

impl Closure {
    /// How many paths there are.
    pub fn count(&self) -> usize {
        self.paths.len()
    }

    /// What a manifest says of `root`, which is one of the paths.
    ///
    /// # Errors
    /// A path that is referred to and not there.
    pub fn release(&self, root: &StorePath, revision: Option<String>) -> Result<Release, Fault> {
        let paths = closure_of(root, &self.paths).map_err(|missing| {
            let doing = format!("sum up the closure of {root}");
            Fault::refuse(doing, format!("nix's database does not have {missing}"))
        })?;
        Ok(Release {
            store_path: root.clone(),
            closure_size: paths.iter().fold(0, |sum, path| path.nar_size.saturating_add(sum)),
            closure_digest: closure_digest(paths),
            revision,
        })
    }
}

impl Default for LocalNix {
    fn default() -> Self {
        Self { programs: find_programs() }
    }
}

impl LocalNix {
    /// Builds it, where that is still to be done; nix tells its progress itself.
    ///
    /// # Errors
    /// Nix fails, or what it built is not one store path.
    pub async fn build(&self, source: &Source, args: &[OsString]) -> Result<StorePath, Fault> {
        let (what, mut nix) = match source {
            Source::Built(path) => return Ok(path.clone()),
            Source::Installable(name) => {
                let mut nix = self.nix();
                nix.args(["build", "--no-link", "--print-out-paths", name]);
                (name.clone(), nix)
            }
            Source::File { file, attribute } => {
                let mut nix = self.program("nix-build");
                nix.arg("--no-out-link").arg(file);
                nix.args(attribute.iter().flat_map(|attribute| ["-A", attribute]));
                (file.display().to_string(), nix)
            }
        };
        nix.args(args);
        let doing = format!("build {what}");
        let output = watched(nix, &doing).await?;
        if !output.status.success() {
            return Err(Fault::refuse(doing, "nix failed (see above)"));
        }
        one_path(&output, &doing)
    }

    /// Whether there is a nix at all.
    pub fn is_here(&self) -> bool {
        self.programs.join("nix-store").is_file()
    }

    /// The netrc that nix takes passwords from.
    ///
    /// # Errors
    /// There is no nix, or it does not tell.
    pub async fn netrc(&self) -> Result<Netrc, Fault> {
        settings::netrc_file(|| self.program("nix")).await.map(Netrc::OfNix)
    }

    /// The closure of `roots`.
    ///
    /// # Errors
    /// One is not in the local store, or nix fails.
    pub async fn closure(&self, roots: &[StorePath]) -> Result<Closure, Fault> {
        let doing = fetch::doing(&roots.iter().collect::<Vec<_>>()).replacen("fetch", "look at", 1);
        let roots: Vec<&str> = roots.iter().map(StorePath::as_str).collect();
        let listed = self.query(&["--query", "--requisites"], &roots, &doing).await?;
        let listed: Vec<&str> = listed.lines().collect();
        let database = self.query(&["--dump-db"], &listed, &doing).await?;
        let paths = registration::parse(&database).map_err(|line| {
            Fault::wait(doing, format!("line {line} of nix-store --dump-db is not understood"))
        })?;
        Ok(Closure { paths })
    }

    /// Those of `paths` that the local store has; none where there is no nix.
    ///
    /// # Errors
    /// Nix fails.
    pub(super) async fn valid(&self, paths: &[StorePath]) -> Result<Vec<StorePath>, Fault> {
        if !self.is_here() {
            return Ok(Vec::new());
        }
        let mut invalid = BTreeSet::new();
        for some in paths.chunks(AT_ONCE) {
            let some: Vec<&str> = some.iter().map(StorePath::as_str).collect();
            let doing = "ask nix which paths are here";
            let listed = self.query(&["--check-validity", "--print-invalid"], &some, doing).await?;
            invalid.extend(listed.lines().map(str::to_owned));
        }
        Ok(paths.iter().filter(|path| !invalid.contains(path.as_str())).cloned().collect())
    }

    async fn query(&self, args: &[&str], paths: &[&str], doing: &str) -> Result<String, Fault> {
        let mut nix = self.program("nix-store");
        nix.args(args).args(paths).stderr(Stdio::piped());
        let output = nix.output().await.map_err(|error| not_started(doing, &error))?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() && stderr.contains("is not valid") {
            return Err(Fault::refuse(doing, "it is not in the local nix store")
                .remedy("build it here, or fetch it from a cache: nix-store --realise PATH"));
        }
        if !output.status.success() {
            let said = fetch::last_lines(&stderr).join("; ");
            return Err(Fault::wait(doing, format!("nix-store {} failed: {said}", args.join(" "))));
        }
        String::from_utf8(output.stdout).map_err(|error| Fault::wait(doing, error))
    }

    pub(super) fn nix(&self) -> Command {
        let mut nix = self.program("nix");
        nix.args(["--extra-experimental-features", "nix-command flakes"]);
        nix
    }

    pub(super) fn program(&self, name: &str) -> Command {
        let mut program = Command::new(self.programs.join(name));
        program.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        program
    }
}

/// Runs it with its messages going to the terminal, as nix's own progress does.
async fn watched(mut nix: Command, doing: &str) -> Result<Output, Fault> {
    nix.stderr(Stdio::inherit());
    nix.output().await.map_err(|error| not_started(doing, &error))
}

fn not_started(doing: &str, error: &std::io::Error) -> Fault {
    Fault::wait(doing, format!("nix cannot be started: {error}"))
        .remedy("install nix on this machine")
}

fn one_path(output: &Output, doing: &str) -> Result<StorePath, Fault> {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    match lines[..] {
        [path] => path.parse().map_err(|error| Fault::refuse(doing, error)),
        [] => Err(Fault::refuse(doing, "nix built nothing")),
        _ => Err(Fault::refuse(doing, format!("it is several paths: {}", lines.join(", ")))
            .remedy("name one of them, as in .#web or .#web^out, or -A web")),
    }
}
