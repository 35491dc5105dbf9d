//! A machine with a nix store, a bucket to upload to, and keys.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::server::{ID, SECRET, Server};

/// The cache's secret key: a seed of 32 bytes of seven, and its public half.
const KEY: &str =
    "k1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwfqSmxj4pxSCr71UHsTLsX5lUd2rr6+e5JCHuppFEbSLA==";

pub(crate) struct Shop {
    pub(crate) dir: TempDir,
    pub(crate) server: Server,
}

impl Shop {
    /// The store has `web`, which needs `ssl` and `libc`; `ssl` needs `libc`.
    pub(crate) fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["home/bin", "home/store", "home/db", "home/.aws", "tmp", "buckets/acme-nix"]
        {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let shop = Self { server: Server::of(&dir.path().join("buckets")), dir };
        let nix = shop.home().join("bin/nix");
        fs::write(&nix, include_str!("nix.sh")).unwrap();
        fs::set_permissions(&nix, fs::Permissions::from_mode(0o755)).unwrap();
        symlink("nix", shop.home().join("bin/nix-store")).unwrap();
        fs::write(shop.home().join("cache.sec"), KEY).unwrap();
        let keys = format!("[ci]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n");
        fs::write(shop.home().join(".aws/credentials"), keys).unwrap();
        shop.add('0', "libc", b"a library".as_slice(), "");
        shop.add('1', "ssl", b"another library".as_slice(), "0");
        shop.add('2', "web-1.2", b"a service".as_slice(), "012");
        shop
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn bucket(&self) -> PathBuf {
        self.dir.path().join("buckets/acme-nix")
    }

    /// A path of the store. It is named by the digit that its hash is made of.
    pub(crate) fn add(&self, digit: char, name: &str, nar: &[u8], needs: &str) {
        let base = base(digit, name);
        fs::write(self.home().join("store").join(&base), nar).unwrap();
        let known = fs::read_dir(self.home().join("db")).unwrap();
        let known: Vec<String> =
            known.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        let full = |need: char| {
            let base = known.iter().chain([&base]).find(|path| path.starts_with(need)).unwrap();
            format!("/nix/store/{base}\n")
        };
        let references: String = needs.chars().map(full).collect();
        fs::write(self.home().join("db").join(&base), references).unwrap();
    }

    /// The bucket in nix's spelling.
    pub(crate) fn url(&self) -> String {
        format!(
            "s3://acme-nix?profile=ci&region=eu-west-1&scheme=http&endpoint=127.0.0.1:{}",
            self.server.port
        )
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let usual = std::env::var("PATH").unwrap();
        let mut writ = Command::new(env!("CARGO_BIN_EXE_writ"));
        writ.args(args)
            .current_dir(self.home())
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", format!("{}:{usual}", self.home().join("bin").display()))
            .env("TMPDIR", self.dir.path().join("tmp"))
            .env("WRIT_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        writ
    }

    /// Uploads web with its closure.
    pub(crate) fn uploading(&self, to: &str) -> Command {
        self.command(&["upload", &path('2', "web-1.2"), "--to", to, "--key", "cache.sec"])
    }

    pub(crate) fn upload(&self, to: &str) -> Output {
        self.uploading(to).output().unwrap()
    }

    /// What a person was told, without what differs from run to run; and never a secret.
    pub(crate) fn told(&self, output: &Output) -> String {
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains(SECRET) && !text.contains(ID), "{text}");
        assert!(!text.contains("BwcHBwcH"), "{text}");
        // The log has a time in front of each line.
        let own = text.lines().filter(|line| !line.starts_with("20"));
        let own: String = own.map(|line| without_time(line) + "\n").collect();
        let own = own
            .replace(&format!(":{}", self.server.port), ":PORT")
            .replace(&self.dir.path().display().to_string(), "/shop");
        let own = without_nars(&own);
        format!("{own}exit {}\n", output.status.code().unwrap())
    }

    /// Nothing is left of a run on this machine.
    pub(crate) fn is_clean(&self) -> bool {
        fs::read_dir(self.dir.path().join("tmp")).unwrap().count() == 0
    }

    /// Each path whose narinfo is there has its NAR, and all that it needs is there.
    pub(crate) fn is_complete(&self, folder: &Path) -> bool {
        narinfos(folder).iter().all(|text| {
            let field = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
                line.trim().to_owned()
            };
            let nar = fs::read(folder.join(field("URL:"))).unwrap();
            let nar = zstd::decode_all(nar.as_slice()).unwrap();
            let own = field("StorePath: /nix/store/");
            let same = nar == fs::read(self.home().join("store").join(own)).unwrap();
            let references = field("References:");
            let mut references = references.split_whitespace();
            same && references.all(|base| folder.join(format!("{}.narinfo", &base[..32])).exists())
        })
    }
}

/// How long it took depends on the machine.
fn without_time(line: &str) -> String {
    match line.split_once(" in ").zip(line.split_once(": ")) {
        Some(((done, _), (_, sizes))) if line.starts_with("uploaded ") => {
            format!("{done}: {sizes}")
        }
        _ => line.to_owned(),
    }
}

/// Of several uploads that fail at once any may be the first.
fn without_nars(text: &str) -> String {
    let mut parts = text.split("nar/");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |all, part| all + "nar/…" + part.trim_start_matches(char::is_alphanumeric))
}

fn base(digit: char, name: &str) -> String {
    format!("{}-{name}", digit.to_string().repeat(32))
}

pub(crate) fn path(digit: char, name: &str) -> String {
    format!("/nix/store/{}", base(digit, name))
}

/// The texts of a cache, in the order of their names.
pub(crate) fn narinfos(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|ext| ext == "narinfo")).collect();
    files.sort();
    files.iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// Bytes that do not get smaller.
pub(crate) fn noise(mebibytes: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..mebibytes << 17).flat_map(|_| next()).collect()
}
