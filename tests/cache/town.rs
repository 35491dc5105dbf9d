//! A deploy repository, places to publish it at, and hosts that come for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use writ::fault::Fault;
use writ::names::{BranchName, CommitId};
use writ::source::bundles::index::Index;
use writ::source::bundles::mirror::{How, Outcome, Tally, publish};
use writ::source::bundles::site::{Purpose, SiteUrl};
use writ::source::bundles::snapshot::Snapshot;
use writ::source::bundles::{BundleSource, Place};
use writ::source::delivery::Delivery;
use writ::source::fetched::{Fetched, Known, Statements};
use writ::source::pack_import::{Delivered, PackImport};
use writ::source::repo::{ObjectFormat, Repository};

use crate::server::{ID, SECRET, Server};

pub(crate) struct Town {
    pub(crate) dir: TempDir,
    pub(crate) server: Server,
}

impl Town {
    /// An empty repository `deploy`, and a bucket.
    pub(crate) fn new() -> Self {
        Self::with_format("sha1")
    }

    pub(crate) fn with_format(format: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["home", "tmp", "buckets/acme-deploy", "hosts"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let keys =
            format!("[default]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n");
        fs::write(dir.path().join("home/keys"), keys).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(dir.path().join("home/keys"), private).unwrap();
        let town = Self { server: Server::of(&dir.path().join("buckets")), dir };
        let format = format!("--object-format={format}");
        town.git(town.dir.path(), &["init", "-q", "-b", "main", &format, "deploy"]);
        town
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn deploy(&self) -> PathBuf {
        self.path("deploy")
    }

    pub(crate) fn git(&self, at: &Path, args: &[&str]) -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(at).args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(args);
        let output = self.alone(&mut git).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Nothing of whoever runs the tests.
    fn alone<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let program = Path::new(env!("CARGO_BIN_EXE_writ")).parent().unwrap();
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", format!("{}:{}", program.display(), std::env::var("PATH").unwrap()))
            .env("TMPDIR", self.path("tmp"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.path("home/keys"))
            .env("WRIT_LOG", "warn")
            .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
            .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
            .stdin(Stdio::null())
    }

    /// A commit on top of the branch.
    pub(crate) fn commit(&self, text: &str) -> CommitId {
        fs::write(self.deploy().join("file"), text).unwrap();
        self.git(&self.deploy(), &["add", "file"]);
        self.git(&self.deploy(), &["commit", "-q", "-m", text]);
        self.tip()
    }

    pub(crate) fn tip(&self) -> CommitId {
        self.git(&self.deploy(), &["rev-parse", "main"]).parse().unwrap()
    }

    /// A statement about the branch, as it lies beside it.
    pub(crate) fn state(&self, kind: &str, sequence: u64) -> CommitId {
        let file = self.path("tmp/statement");
        fs::write(&file, format!("writ-{kind} 1\nchannel a:main\nsequence {sequence}\n")).unwrap();
        let id = self.git(&self.deploy(), &["hash-object", "-w", file.to_str().unwrap()]);
        fs::remove_file(file).unwrap();
        let name = format!("refs/writ/{kind}/main");
        self.git(&self.deploy(), &["update-ref", &name, &id]);
        id.parse().unwrap()
    }

    /// The bucket's folder.
    pub(crate) fn s3(&self) -> String {
        format!("s3://acme-deploy/live/main?endpoint=http://127.0.0.1:{}", self.server.port)
    }

    /// Where that lies on this machine.
    pub(crate) fn bucket(&self) -> PathBuf {
        self.path("buckets/acme-deploy/live/main")
    }

    pub(crate) fn folder(&self) -> String {
        format!("dir://{}", self.path("stick").display())
    }

    /// Commits of three files, as git's own importer makes them.
    pub(crate) fn long_history(&self, commits: usize) {
        let mut stream = String::new();
        for n in 0..commits {
            let text = format!("revision {n} {}\n", "x".repeat(n % 400));
            stream += &format!(
                "commit refs/heads/main\ncommitter a <a@b> {} +0000\ndata 7\ncommit\nM 100644 inline manifests/services/s{}.toml\ndata {}\n{text}\n",
                1_700_000_000 + n,
                n % 3,
                text.len()
            );
        }
        let file = self.path("home/stream");
        fs::write(&file, stream).unwrap();
        let input = fs::File::open(file).unwrap();
        let mut git = Command::new("git");
        git.arg("-C").arg(self.deploy()).args(["fast-import", "--quiet", "--force"]).stdin(input);
        assert!(git.status().unwrap().success());
        self.git(&self.deploy(), &["reset", "-q", "--hard", "main"]);
    }

    pub(crate) fn mirroring(&self, args: &[&str]) -> Command {
        let mut writ = Command::new(env!("CARGO_BIN_EXE_writ"));
        writ.arg("mirror").args(args).current_dir(self.deploy());
        self.alone(&mut writ).stdout(Stdio::piped()).stderr(Stdio::piped());
        writ
    }

    /// What `writ mirror` told.
    pub(crate) fn mirror(&self, args: &[&str]) -> String {
        self.told(&self.mirroring(args).output().unwrap())
    }

    /// The same without what differs from run to run.
    pub(crate) fn told(&self, output: &Output) -> String {
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains(SECRET) && !text.contains(ID), "{text}");
        // Nothing is left of a run on this machine.
        let left: Vec<_> = fs::read_dir(self.path("tmp")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        format!("{}exit {}\n", self.plain(&text), output.status.code().unwrap())
    }

    pub(crate) fn plain(&self, text: &str) -> String {
        let text = text
            .replace(&format!(":{}", self.server.port), ":PORT")
            .replace(&self.dir.path().display().to_string(), "/town");
        // Names that are made of content, and ids.
        let mut plain = String::new();
        let mut hex = String::new();
        for c in text.chars().chain(['\0']) {
            if c.is_ascii_digit() || ('a'..='f').contains(&c) {
                hex.push(c);
                continue;
            }
            plain += if hex.len() >= 10 { "HEX" } else { &hex };
            hex.clear();
            plain.extend(Some(c).filter(|c| *c != '\0'));
        }
        plain
    }

    /// What lies at a place.
    pub(crate) fn index(&self, at: &Path) -> Index {
        Index::read(&fs::read(at.join("index")).unwrap()).unwrap()
    }

    /// The index leads to bundles that are there, whole and good.
    pub(crate) fn assert_in_order(&self, at: &Path) -> Index {
        let index = self.index(at);
        let stated = index.stated.iter().map(|stated| &stated.file);
        for file in index.entries.iter().map(|entry| &entry.file).chain(stated) {
            let path = at.join(file.name());
            let bytes = fs::read(&path).unwrap();
            assert_eq!(bytes.len() as u64, file.size);
            use sha2::{Digest as _, Sha256};
            let sha256: String =
                Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(sha256, file.sha256);
            self.git(&self.deploy(), &["bundle", "verify", "-q", path.to_str().unwrap()]);
        }
        index
    }

    /// Publishes without a process of its own.
    pub(crate) fn publish(&self, to: &str, how: &How) -> Result<Outcome, Fault> {
        let main: BranchName = "main".parse().unwrap();
        let snapshot = Snapshot::of(&self.deploy(), &main, None).unwrap();
        let site = SiteUrl::read(to).unwrap().open(Purpose::Publish).unwrap();
        wait(publish(&snapshot, &site, how, &Tally::default()))
    }

    pub(crate) fn host(&self, name: &str, url: &str) -> Host {
        let credentials =
            url.starts_with("s3://").then(|| self.path("home/keys").to_str().unwrap().parse());
        let place = Place { url: url.to_owned(), credentials: credentials.transpose().unwrap() };
        let branch = "main".parse().unwrap();
        let source = BundleSource::at(place, branch, Duration::from_secs(20)).unwrap();
        let format = self.git(&self.deploy(), &["rev-parse", "--show-object-format"]);
        let format = if format == "sha256" { ObjectFormat::Sha256 } else { ObjectFormat::Sha1 };
        let home = self.path("hosts").join(name);
        fs::create_dir(&home).unwrap();
        let repository = Repository::create(&home.join("repo.git"), format).unwrap();
        Host { source, home, repository, known: Known::default() }
    }
}

/// A host that follows the branch somewhere.
pub(crate) struct Host {
    pub(crate) source: BundleSource,
    home: PathBuf,
    repository: Repository,
    pub(crate) known: Known,
}

impl Host {
    pub(crate) fn fetch(&self) -> Result<Fetched, Fault> {
        let fetched = wait(self.source.fetch(&self.known, &self.home.join("incoming")));
        if !matches!(fetched, Ok(Fetched::Packs { .. })) {
            assert!(!self.home.join("incoming").exists(), "nothing is left of it");
        }
        fetched
    }

    /// Takes what is there, believes it, and says how many packs that were.
    pub(crate) fn follow(&mut self) -> usize {
        match self.fetch().unwrap() {
            Fetched::Unchanged { tip } => {
                assert!(self.known.have.contains(&tip));
                0
            }
            Fetched::Packs { tip, statements, packs } => {
                self.import(&packs).unwrap();
                assert!(!self.home.join("incoming").exists());
                for id in [&tip].into_iter().chain(statements.ids()) {
                    assert!(self.repository.contains(id), "{id}");
                }
                self.known = Known {
                    tips: [&tip].into_iter().chain(statements.ids()).cloned().collect(),
                    have: vec![tip],
                };
                packs.len()
            }
        }
    }

    pub(crate) fn import(&self, packs: &[PathBuf]) -> Result<(), String> {
        let import = PackImport {
            program: env!("CARGO_BIN_EXE_writ").into(),
            deadline: Duration::from_secs(120),
        };
        let fetched = Fetched::Packs {
            tip: "0".repeat(40).parse().unwrap(),
            statements: Statements::default(),
            packs: packs.to_vec(),
        };
        let (base, format) = (self.repository.path().to_owned(), self.repository.format());
        let folder = self.home.join("incoming");
        match wait(import.check(fetched, &folder, Some(base), format)) {
            Ok(Delivered::Packs { packs, .. }) => {
                Delivery::take(&self.repository, packs).map(drop).map_err(|f| f.to_string())
            }
            Ok(Delivered::Damaged(fault) | Delivered::TooLarge { fault, .. }) | Err(fault) => {
                Err(fault.to_string())
            }
            Ok(Delivered::Unchanged { .. }) => Ok(()),
        }
    }

    /// The whole history is there, says git.
    pub(crate) fn assert_whole(&self, town: &Town) {
        let tip = self.known.have[0].as_str();
        town.git(&self.home.join("repo.git"), &["rev-list", "--objects", "--quiet", tip]);
        town.git(&self.home.join("repo.git"), &["fsck", "--strict", "--no-dangling"]);
    }
}

pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}
