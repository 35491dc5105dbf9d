//! What is built, and which revision of its source that is.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::Failure;
use crate::names::{ServiceName, StorePath};
use crate::source::landing::source_revision;
use crate::world::nix::Source;

/// What is to be deployed; `.#SERVICE` where nothing is named.
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct SourceArgs {
    /// Build this installable with `nix build` (default: `.#SERVICE`).
    #[arg(long, conflicts_with_all = ["store_path", "file", "attribute"])]
    installable: Option<String>,
    /// A store path that is already built.
    #[arg(long, conflicts_with_all = ["file", "attribute"])]
    store_path: Option<StorePath>,
    /// Build this file with `nix-build`.
    #[arg(long)]
    file: Option<PathBuf>,
    /// The attribute of the file to build.
    #[arg(short = 'A', long = "attr", requires = "file")]
    attribute: Option<String>,
}

impl SourceArgs {
    pub(super) fn source(&self, service: &ServiceName) -> Source {
        match (&self.store_path, &self.file, &self.installable) {
            (Some(path), _, _) => Source::Built(path.clone()),
            (None, Some(file), _) => {
                Source::File { file: file.clone(), attribute: self.attribute.clone() }
            }
            (None, None, Some(name)) => Source::Installable(name.clone()),
            (None, None, None) => Source::Installable(format!(".#{service}")),
        }
    }

    /// The revision of the source, where it is a git checkout of this machine.
    pub(super) fn revision(&self) -> Result<Option<String>, Failure> {
        match self.folder() {
            Some(folder) => Ok(source_revision(&folder)?),
            None => Ok(None),
        }
    }

    fn folder(&self) -> Option<PathBuf> {
        match (&self.store_path, &self.file, &self.installable) {
            (Some(_), _, _) => None,
            (None, Some(file), _) if file.is_dir() => Some(file.clone()),
            (None, Some(file), _) => match file.parent() {
                Some(folder) if folder != Path::new("") => Some(folder.to_owned()),
                Some(_) | None => Some(PathBuf::from(".")),
            },
            (None, None, Some(name)) => flake_folder(name),
            (None, None, None) => Some(PathBuf::from(".")),
        }
    }
}

/// The folder of this machine that an installable names: `.#web`, `../shop#web`,
/// `git+file:///src/shop?ref=main#web`.
fn flake_folder(name: &str) -> Option<PathBuf> {
    let reference = name.split(['#', '?']).next()?;
    let bare = ["git+file://", "path:"].iter().find_map(|kind| reference.strip_prefix(kind));
    let path = bare.unwrap_or(reference);
    let local = bare.is_some() || path.starts_with(['.', '/']) || path.is_empty();
    let folder = if path.is_empty() { "." } else { path };
    // A store path is no source.
    (local && !path.starts_with("/nix/store/")).then(|| PathBuf::from(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_of_this_machine_has_a_revision_to_ask_for() {
        for (name, folder) in [
            (".#web", Some(".")),
            ("#web", Some(".")),
            ("../shop#web", Some("../shop")),
            ("/src/shop", Some("/src/shop")),
            ("path:/src/shop#web", Some("/src/shop")),
            ("git+file:///src/shop?ref=main#web", Some("/src/shop")),
            ("github:acme/shop#web", None),
            ("nixpkgs#hello", None),
            ("/nix/store/1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf-web", None),
        ] {
            assert_eq!(flake_folder(name).as_deref(), folder.map(Path::new), "{name}");
        }
    }
}
