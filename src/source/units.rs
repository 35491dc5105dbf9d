//! Unit files of a machine, or of a tree that is one: found as systemd finds them.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Error, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;

use crate::manifest::import::UnitTexts;

/// systemd.unit(5), "System Unit Search Path"; the first that has a file wins.
const FOLDERS: [&str; 11] = [
    "etc/systemd/system.control",
    "run/systemd/system.control",
    "run/systemd/transient",
    "run/systemd/generator.early",
    "etc/systemd/system",
    "run/systemd/system",
    "run/systemd/generator",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
    "run/systemd/generator.late",
];

/// A longer text is none of a unit's, in bytes.
const LIMIT: u64 = 1 << 20;
/// Opening a pipe waits for nobody.
const O_NONBLOCK: i32 = OFlags::NONBLOCK.bits().cast_signed();

/// Links that are followed before they count as a circle.
const LINKS: usize = 40;

/// Why there is no unit to read.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    #[error("there is no unit {name} below {root}")]
    Missing { name: String, root: PathBuf },
    #[error("{name} is masked")]
    Masked { name: String },
    #[error("{name} is no service: its name ends in .service")]
    Kind { name: String },
    #[error("could not read {path}")]
    Unreadable { path: PathBuf, source: Error },
}

/// A service by its name, or by the path of its file, with its drop-ins and the timer
/// of the same name.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn find(root: &Path, unit: &str) -> Result<UnitTexts, UnitError> {
    let (name, by_path) = match unit.rsplit_once('/') {
        Some((_, name)) => (name, Some(Path::new(unit))),
        None => (unit, None),
    };
    let name = match name.rsplit_once('.') {
        None => format!("{name}.service"),
        Some((_, "service")) => name.to_owned(),
        Some(_) => return Err(UnitError::Kind { name: name.to_owned() }),
    };
    let timer = format!("{}.timer", name.trim_end_matches(".service"));
    let (texts, timer) = match by_path {
        Some(path) => (beside(path)?, beside(&path.with_file_name(&timer))?),
        None => (texts(root, &name)?, texts(root, &timer)?),
    };
    match texts {
        Some(texts) => Ok(UnitTexts { name, texts, timer }),
        None => Err(UnitError::Missing { name, root: root.to_owned() }),
    }
}

/// A file given by its path, and the drop-ins in the folder beside it.
fn beside(path: &Path) -> Result<Option<Vec<String>>, UnitError> {
    let Some(own) = text(path)? else { return Ok(None) };
    let mut folder = path.as_os_str().to_owned();
    folder.push(".d");
    let mut texts = vec![own];
    for path in drop_ins_of(Path::new(&folder))?.into_values() {
        texts.extend(text(&path)?);
    }
    Ok(Some(texts))
}

/// A unit of a tree by its name.
fn texts(root: &Path, name: &str) -> Result<Option<Vec<String>>, UnitError> {
    let names = [Some(name.to_owned()), template(name)];
    let files = names.iter().flatten().flat_map(|name| FOLDERS.map(|f| Path::new(f).join(name)));
    for file in files {
        let Some(path) = followed(root, &file) else { continue };
        if path == Path::new("/dev/null") || path == root.join("dev/null") {
            return Err(UnitError::Masked { name: name.to_owned() });
        }
        if let Some(own) = text(&path)? {
            let mut texts = vec![own];
            for path in drop_ins(root, name)?.into_values() {
                texts.extend(text(&path)?);
            }
            return Ok(Some(texts));
        }
    }
    Ok(None)
}

/// The drop-ins of a unit, by their names: of those that share one, the one in the
/// folder that comes first counts.
fn drop_ins(root: &Path, name: &str) -> Result<BTreeMap<String, PathBuf>, UnitError> {
    let mut found = BTreeMap::new();
    // What is said of fewer units counts more.
    for owner in owners(name) {
        for folder in FOLDERS {
            let folder = Path::new(folder).join(format!("{owner}.d"));
            let Some(folder) = followed(root, &folder) else { continue };
            for (name, path) in drop_ins_of(&folder)? {
                let relative = path.strip_prefix(root).unwrap_or(&path);
                let path = followed(root, relative).unwrap_or(path);
                found.entry(name).or_insert(path);
            }
        }
    }
    Ok(found)
}

/// Whose drop-ins are a unit's: `a-b@c.service`, `a-b@.service`, `a-.service`, `service`.
fn owners(name: &str) -> Vec<String> {
    let (stem, suffix) = name.rsplit_once('.').unwrap_or((name, ""));
    let mut owners = vec![name.to_owned()];
    owners.extend(template(name));
    let mut prefix = stem;
    while let Some((shorter, _)) = prefix.rsplit_once('-') {
        owners.push(format!("{shorter}-.{suffix}"));
        prefix = shorter;
    }
    owners.push(suffix.to_owned());
    owners
}

fn template(name: &str) -> Option<String> {
    let (prefix, instance) = name.split_once('@')?;
    let suffix = instance.rsplit_once('.')?.1;
    Some(format!("{prefix}@.{suffix}")).filter(|template| template != name)
}

fn drop_ins_of(folder: &Path) -> Result<BTreeMap<String, PathBuf>, UnitError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(BTreeMap::new()),
        Err(source) => return Err(UnitError::Unreadable { path: folder.to_owned(), source }),
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let named = paths.filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path)));
    Ok(named.filter(|(name, _)| name.ends_with(".conf")).collect())
}

/// A plain file of a unit's size: a tree that is another machine's may hold anything.
fn text(path: &Path) -> Result<Option<String>, UnitError> {
    let read = || {
        let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(Error::other("it is no plain file"));
        }
        let mut text = String::new();
        file.take(LIMIT + 1).read_to_string(&mut text)?;
        match text.len() as u64 > LIMIT {
            true => Err(Error::other(format!("it is larger than {LIMIT} bytes"))),
            false => Ok(text),
        }
    };
    match read() {
        Ok(text) => Ok(Some(text)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(source) => Err(UnitError::Unreadable { path: path.to_owned(), source }),
    }
}

fn is_absent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Where a path of a tree leads, its links taken as the tree's own: NixOS has
/// absolute ones in `/etc`. `None` for a circle.
fn followed(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut left: Vec<String> = parts(path);
    left.reverse();
    let (mut at, mut links) = (root.to_owned(), 0);
    while let Some(part) = left.pop() {
        if part == ".." {
            if at != root {
                at.pop();
            }
            continue;
        }
        match fs::read_link(at.join(&part)) {
            Ok(target) => {
                links += 1;
                if links > LINKS {
                    return None;
                }
                if target.is_absolute() {
                    root.clone_into(&mut at);
                }
                left.extend(parts(&target).into_iter().rev());
            }
            Err(_) => at.push(part),
        }
    }
    Some(at)
}

fn parts(path: &Path) -> Vec<String> {
    let part = |component: Component<'_>| match component {
        Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
        Component::ParentDir => Some("..".to_owned()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(part).collect()
}
