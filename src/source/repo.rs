//! The host's own copy of the deploy repository: packs in, verified bytes out.

use std::fs::{self, File};
use std::io::{self, BufRead};
use std::path::{self, Path, PathBuf};
use std::sync::atomic::AtomicBool;

use gix::odb::pack::bundle::write;
use gix::{ObjectId, hash, objs, open};
use serde::{Deserialize, Serialize};

use super::pack_budget::OBJECT;
use super::words::of_pack;
use crate::fault::{Fault, causes};
use crate::names::CommitId;
use crate::trust::{Kind, Objects, Unreadable};

/// How a repository names its objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectFormat {
    #[default]
    Sha1,
    Sha256,
}

impl ObjectFormat {
    /// The format that an id of this length belongs to.
    pub fn of(id: &CommitId) -> Self {
        if id.as_str().len() == 40 { Self::Sha1 } else { Self::Sha256 }
    }

    pub(super) fn hash(self) -> hash::Kind {
        match self {
            Self::Sha1 => hash::Kind::Sha1,
            Self::Sha256 => hash::Kind::Sha256,
        }
    }
}

/// A bare repository that nobody but this program writes.
pub struct Repository {
    repo: gix::Repository,
}

/// A pack whose objects are in the repository and judged by nobody yet.
#[derive(Debug)]
pub struct ImportedPack {
    /// The pack and its index; none where the pack was empty or there before.
    files: Vec<PathBuf>,
    objects: u32,
}

/// gix knows neither the commit nor the path of what it does not take.
pub(super) const TOO_LARGE: &str = "a file of a new commit has more than 16 MiB (rule O5): `writ verify` in a checkout of the branch names it and its commit; take it out of the history (git rebase -i) and push again";
/// Packs that one open repository can hold; each fetch adds one.
const PACKS: u16 = 4096;
/// What would make objects come from elsewhere, or history end early (rule O4).
const FORBIDDEN: [(&str, &str); 6] = [
    ("shallow", "it is shallow"),
    ("info/grafts", "it has grafts"),
    ("objects/info/alternates", "it has alternates"),
    ("objects/info/http-alternates", "it has alternates"),
    ("refs/replace", "it has replace refs"),
    ("commondir", "it is a linked worktree"),
];

impl Repository {
    /// Opens the repository at `path`, or makes it where there is none: it is only a
    /// copy of what can be fetched again. One that cannot be used (half-made, damaged,
    /// changed by somebody, of another format) is put aside with
    /// the extension `damaged`.
    ///
    /// # Errors
    /// As [`Repository::create`], or the folder cannot be read or put aside.
    pub fn open_or_create(path: &Path, format: ObjectFormat) -> Result<Self, Fault> {
        if !path.try_exists().map_err(|error| Fault::wait(doing("open", path), error))? {
            return Self::create(path, format);
        }
        let why = match Self::open(path) {
            Ok(repository) if repository.format() == format => return Ok(repository),
            Ok(_) => "its objects are named in another format than the config's".to_owned(),
            Err(fault) => fault.because,
        };
        put_aside(path).map_err(|error| Fault::wait(doing("put aside", path), error))?;
        tracing::warn!("{} cannot be used and is fetched anew: {why}", path.display());
        Self::create(path, format)
    }

    /// Makes an empty bare repository at `path`, which must not exist or be empty;
    /// its parent folder must exist.
    ///
    /// # Errors
    /// The folder cannot be made, or something lies in it.
    pub fn create(path: &Path, format: ObjectFormat) -> Result<Self, Fault> {
        let options =
            gix::create::Options { object_hash: Some(format.hash()), ..Default::default() };
        gix::create::into(path, gix::create::Kind::Bare, options)
            .map_err(|error| Fault::wait(doing("create", path), causes(&error)))?;
        Self::open(path)
    }

    /// Opens the repository at `path`, and nothing but it: no configuration of the
    /// system or the user, no environment, no replaced objects, no commit-graph.
    ///
    /// # Errors
    /// It is not a repository, or its objects could come from elsewhere (rule O4).
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let opened = Self::open_as_is(path, &FORBIDDEN)?;
        let packed = opened.path().join("packed-refs");
        if replaces(&packed).map_err(|error| Fault::wait(doing("open", path), error))? {
            return Err(changed(path, "it has replace refs"));
        }
        Ok(opened)
    }

    /// Opens somebody's own repository to judge its history by its ids. Replaced
    /// objects and grafts are not looked at; one that is not whole is refused.
    ///
    /// # Errors
    /// It is not a repository, or is shallow.
    pub fn open_to_read(path: &Path) -> Result<Self, Fault> {
        Self::open_as_is(path, &FORBIDDEN[..1])
    }

    /// The same of one that need not be whole, to judge a tree of it that is.
    ///
    /// # Errors
    /// It is not a repository.
    pub fn open_in_part(path: &Path) -> Result<Self, Fault> {
        Self::open_as_is(path, &[])
    }

    fn open_as_is(path: &Path, forbidden: &[(&str, &str)]) -> Result<Self, Fault> {
        let repo = options().open(path).map_err(|error| {
            Fault::wait(doing("open", path), causes(&error)).remedy(
                "move the folder away; it is fetched again, and the accepted commit is kept elsewhere",
            )
        })?;
        let repo = repo.to_thread_local();
        for (name, why) in forbidden {
            let there = repo.git_dir().join(name).try_exists();
            if there.map_err(|error| Fault::wait(doing("open", path), error))? {
                return Err(changed(path, why));
            }
        }
        Ok(Self { repo })
    }

    /// The same repository with the objects of another store in the place of its own.
    ///
    /// # Errors
    /// There is no store.
    pub fn with_objects(&self, store: &Path) -> Result<Self, Fault> {
        let unreadable = |error: io::Error| Fault::wait(doing("open", store), error);
        fs::read_dir(store).map_err(unreadable)?;
        let objects = gix::odb::at(store, self.repo.object_hash()).map_err(unreadable)?;
        let mut repo = self.repo.clone();
        repo.objects = gix::odb::memory::Proxy::from(objects);
        Ok(Self { repo })
    }

    /// An empty repository of the same format in a folder beside this one, for
    /// [`Repository::replace_by`]; what an earlier attempt left there goes.
    ///
    /// # Errors
    /// The folder cannot be emptied or made.
    pub fn beside(&self) -> Result<Self, Fault> {
        let path = self.path().with_extension("fresh");
        remove_all(&path).map_err(|error| Fault::wait(doing("delete", &path), error))?;
        Self::create(&path, self.format())
    }

    /// An empty repository at `path`, where packs are imported that may be thin on
    /// `base`; what lies there goes.
    ///
    /// # Errors
    /// The folder cannot be emptied or made.
    pub fn stage(path: &Path, format: ObjectFormat, base: Option<&Path>) -> Result<Self, Fault> {
        remove_all(path).map_err(|error| Fault::wait(doing("delete", path), error))?;
        let stage = Self::create(path, format)?;
        let Some(base) = base else { return Ok(stage) };
        let named = path::absolute(base.join("objects")).and_then(|objects| {
            let line = [objects.as_os_str().as_encoded_bytes(), b"\n"].concat();
            fs::create_dir_all(path.join("objects/info"))?;
            fs::write(path.join("objects/info/alternates"), line)
        });
        named.map_err(|error| Fault::wait(doing("create", path), error))?;
        Self::open_as_is(path, &[])
    }

    /// Puts another repository in this one's place. A crash in between leaves none,
    /// which is fetched again.
    ///
    /// # Errors
    /// The old folder cannot be renamed or deleted, or the new one not renamed.
    pub fn replace_by(self, fresh: Self) -> Result<Self, Fault> {
        let (old, new) = (self.path().to_owned(), fresh.path().to_owned());
        drop((self, fresh));
        let gone = old.with_extension("old");
        remove_all(&gone)
            .and_then(|()| fs::rename(&old, &gone))
            .and_then(|()| fs::rename(&new, &old))
            .and_then(|()| remove_all(&gone))
            .map_err(|error| Fault::wait(doing("replace", &old), error))?;
        Self::open(&old)
    }

    pub fn format(&self) -> ObjectFormat {
        match self.repo.object_hash() {
            hash::Kind::Sha256 => ObjectFormat::Sha256,
            _ => ObjectFormat::Sha1,
        }
    }

    pub fn path(&self) -> &Path {
        self.repo.git_dir()
    }

    /// Whether an object is here; damaged or not, it is not read.
    pub fn contains(&self, id: &CommitId) -> bool {
        self.object_id(id).is_some_and(|id| self.repo.has_object(id))
    }

    /// The bytes of each pack. Each import adds one, which holds whatever its source put
    /// into it; a repository that holds thousands of them is better fetched anew.
    ///
    /// # Errors
    /// The folder of packs cannot be listed.
    pub fn pack_sizes(&self) -> Result<Vec<u64>, Fault> {
        let folder = self.pack_folder();
        let failed = |error: io::Error| Fault::wait(doing("list", &folder), error);
        let mut sizes = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.path().extension().is_some_and(|e| e == "pack") {
                sizes.push(entry.metadata().map_err(failed)?.len());
            }
        }
        Ok(sizes)
    }

    /// Adds the objects of a pack (version 2; thin packs are completed from here), and
    /// returns once they are on disk. They can be found at once; whether anybody may
    /// act on them is for [`crate::trust::verify`] to say.
    ///
    /// # Errors
    /// The pack is damaged, incomplete or asks for too much memory; nothing is kept.
    pub fn import_pack(&self, pack: &mut dyn BufRead) -> Result<ImportedPack, Fault> {
        let folder = self.pack_folder();
        let failed = |error: String| {
            let large = error.contains("too large to fit in memory");
            let (because, remedy) = of_pack(error);
            let remedy = if large { TOO_LARGE } else { remedy };
            Fault::wait("import a pack of git objects", because).remedy(remedy)
        };
        let outcome = gix::odb::pack::Bundle::write_to_directory(
            pack,
            Some(&folder),
            &mut gix::progress::Discard,
            &AtomicBool::new(false),
            Some(self.repo.objects.clone()),
            self.repo.object_hash(),
            write::Options {
                thread_limit: Some(1),
                alloc_limit_bytes: usize::try_from(OBJECT).ok(),
                ..write::Options::default()
            },
        )
        .map_err(|error| failed(causes(&error)))?;
        let objects = outcome.index.num_objects;
        // Without a `.keep` file gix has found the same pack here: it is not ours to discard.
        let Some(keep) = outcome.keep_path else {
            return Ok(ImportedPack { files: Vec::new(), objects });
        };
        let files: Vec<PathBuf> = outcome.index_path.into_iter().chain(outcome.data_path).collect();
        let imported = ImportedPack { files, objects };
        match settle(&imported.files, &keep, &folder) {
            Ok(()) => Ok(imported),
            Err(error) => {
                // What could not be made durable goes again; the first error is the one to tell.
                drop(imported.discard());
                Err(failed(error.to_string()))
            }
        }
    }

    /// Moves a pack in that was imported into a [`Repository::stage`] on the same disk,
    /// with its index.
    ///
    /// # Errors
    /// A file cannot be moved; then none is here.
    pub fn adopt(&self, pack: &Path) -> Result<ImportedPack, Fault> {
        let folder = self.pack_folder();
        let failed = |error: io::Error| Fault::wait("import a pack of git objects", error);
        // Whoever spoiled the copy may have taken the folder away.
        fs::create_dir_all(&folder).map_err(failed)?;
        let mut imported = ImportedPack { files: Vec::new(), objects: 0 };
        // A pack without an index is nobody's yet.
        for file in [pack.to_owned(), pack.with_extension("idx")] {
            let Some(name) = file.file_name() else { continue };
            let target = folder.join(name);
            if target.try_exists().map_err(failed)? {
                continue;
            }
            match fs::rename(&file, &target) {
                Ok(()) => imported.files.push(target),
                Err(error) => {
                    drop(imported.discard());
                    return Err(failed(error));
                }
            }
        }
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(imported)
    }

    fn pack_folder(&self) -> PathBuf {
        self.repo.common_dir().join("objects/pack")
    }

    fn object_id(&self, id: &CommitId) -> Option<ObjectId> {
        let id = ObjectId::from_hex(id.as_str().as_bytes()).ok()?;
        (id.kind() == self.repo.object_hash()).then_some(id)
    }
}

impl ImportedPack {
    /// How many objects the pack holds, with the bases a thin one was completed with.
    pub fn objects(&self) -> u32 {
        self.objects
    }

    /// The pack's file, unless it was empty or there before.
    pub(super) fn into_pack(self) -> Option<PathBuf> {
        self.files.into_iter().find(|file| file.extension().is_some_and(|end| end == "pack"))
    }

    /// Deletes the pack again; one that was there before it was imported stays.
    ///
    /// # Errors
    /// A file cannot be deleted. What is left harms nobody: it is judged again
    /// whenever it is met.
    pub fn discard(self) -> Result<(), Fault> {
        for file in &self.files {
            match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Fault::wait(doing("delete", file), error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

impl Objects for Repository {
    fn find(&self, id: &CommitId, limit: u64) -> Result<Option<(Kind, Vec<u8>)>, Unreadable> {
        let Some(oid) = self.object_id(id) else { return Ok(None) };
        let damaged = |error: gix::Error| Unreadable::Damaged(causes(&error));
        let Some(header) = self.repo.try_find_header(oid).map_err(damaged)? else {
            return Ok(None);
        };
        if header.size() > limit.min(OBJECT) {
            return Err(Unreadable::TooLarge { size: header.size() });
        }
        let Some(object) = self.repo.try_find_object(oid).map_err(damaged)? else {
            return Ok(None);
        };
        let object = object.detach();
        let hashed = objs::compute_hash(oid.kind(), object.kind, &object.data).map_err(damaged)?;
        if hashed != oid {
            return Err(Unreadable::Damaged(format!("its bytes are those of {hashed}")));
        }
        Ok(Some((kind(object.kind), object.data)))
    }
}

fn kind(kind: objs::Kind) -> Kind {
    match kind {
        objs::Kind::Commit => Kind::Commit,
        objs::Kind::Tree => Kind::Tree,
        objs::Kind::Blob => Kind::Blob,
        objs::Kind::Tag => Kind::Tag,
    }
}

fn options() -> open::Options {
    open::Options::isolated()
        .open_path_as_is(true)
        .strict_config(true)
        .bail_if_untrusted(true)
        .object_store_slots(gix::odb::store::init::Slots::Given(PACKS))
        .config_overrides([
            "core.commitGraph=false".to_owned(),
            "core.multiPackIndex=false".to_owned(),
            "core.useReplaceRefs=false".to_owned(),
            format!("gitoxide.objects.allocLimit={OBJECT}"),
        ])
}

fn changed(path: &Path, why: &str) -> Fault {
    Fault::wait(doing("open", path), why)
        .remedy("find out who changed this folder, then move it away; it is fetched again")
}

/// Whether packed refs put other objects in the place of some.
fn replaces(packed_refs: &Path) -> io::Result<bool> {
    match fs::read(packed_refs) {
        Ok(refs) => Ok(refs.windows(14).any(|w| w == b" refs/replace/")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes an imported pack durable, then takes away the mark that kept it from other
/// programs meanwhile.
fn settle(files: &[PathBuf], keep: &Path, folder: &Path) -> io::Result<()> {
    for file in files {
        File::open(file)?.sync_all()?;
    }
    fs::remove_file(keep)?;
    File::open(folder)?.sync_all()
}

/// Keeps one unusable copy for whoever wants to know what became of it.
fn put_aside(path: &Path) -> io::Result<()> {
    // Where not even this works, the trouble is not the repository's.
    fs::read_dir(path)?;
    let aside = path.with_extension("damaged");
    remove_all(&aside)?;
    fs::rename(path, aside)
}

fn remove_all(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn doing(verb: &str, path: &Path) -> String {
    format!("{verb} {}, this host's copy of the repository", path.display())
}
