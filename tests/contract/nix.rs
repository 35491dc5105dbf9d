//! What only a real nix can show.
//!
//! It builds small closures, puts them into binary caches below a directory, and
//! deletes them from the store again, so that they have to be fetched.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use writ::fault::{Fault, Retry};
use writ::manifest::service::Artifact;
use writ::names::{ServiceName, StorePath};
use writ::plan::step::human_bytes;
use writ::world::Store;
use writ::world::nix::{NixConfig, NixStore, Room};

use super::store::Closures;

/// Hands the names of all tests to a macro of the caller's.
macro_rules! nix_only {
    ($each:ident) => {
        $each! {
            the_profile_is_one_that_nix_env_understands,
            the_collector_takes_nothing_that_is_fetched_or_kept,
            no_setting_of_the_host_makes_nix_take_unsigned_closures,
            nothing_is_built,
            what_is_there_already_needs_no_cache,
            each_trouble_with_a_cache_is_told_apart,
            what_a_cache_does_not_announce_is_not_taken,
            a_full_disk_is_waited_for,
            what_does_not_fit_is_not_begun,
            the_collector_takes_what_was_released_and_tells_how_much,
            an_interrupted_collector_is_waited_for,
            a_cache_that_was_mended_counts_at_once,
            a_download_that_hangs_is_stopped_at_the_deadline,
            an_archive_larger_than_announced_does_not_fill_the_disk,
            a_closure_with_a_path_that_no_cache_has_is_waited_for,
            a_deaf_cache_costs_a_moment_once_and_then_nothing,
            a_private_bucket_is_read_by_nix_which_has_no_keys_to_it,
            a_download_that_broke_off_goes_on_with_what_is_missing,
            a_profile_that_nix_has_locked_is_waited_for,
            a_damaged_scratch_folder_of_nix_is_thrown_away,
            a_cache_that_gives_no_narinfos_hides_nobody,
            a_path_that_was_deleted_is_reported_and_not_rooted
        }
    };
}
pub(crate) use nix_only;

pub(crate) use super::bomb::an_archive_larger_than_announced_does_not_fill_the_disk;
pub(crate) use super::bucket::{
    a_deaf_cache_costs_a_moment_once_and_then_nothing,
    a_download_that_broke_off_goes_on_with_what_is_missing,
    a_private_bucket_is_read_by_nix_which_has_no_keys_to_it,
};

const VERSIONS: usize = 7;
const PROFILES: &str = "/nix/var/nix/profiles/writ";

/// Closures that lie in caches and not in the store.
pub(crate) struct Caches {
    pub(super) dir: PathBuf,
    pub(crate) closures: Closures,
    key: String,
    other_key: String,
}

impl Caches {
    /// Builds everything anew in `dir`; `name` keeps its store paths apart from those of others.
    pub(crate) fn new(dir: &Path, name: &str) -> Self {
        let _ = fs::remove_dir_all(dir);
        fs::create_dir_all(dir).unwrap();
        let key = make_key(dir, "trusted");
        let other_key = make_key(dir, "stranger");
        let versions: Vec<String> = (0..VERSIONS).map(|n| build(name, &n.to_string())).collect();
        for path in &versions {
            copy(path, &dir.join("signed"), Some(&dir.join("trusted.secret")));
            copy(path, &dir.join("strange"), Some(&dir.join("stranger.secret")));
            copy(path, &dir.join("unsigned"), None);
        }
        fs::create_dir_all(dir.join("empty")).unwrap();
        fs::write(dir.join("empty/nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
        let leaking = leaking(name);
        copy(&leaking, &dir.join("signed"), Some(&dir.join("trusted.secret")));
        let digest = digest(&versions[0]);
        let caches = Self {
            dir: dir.to_owned(),
            closures: Closures {
                versions: versions.iter().map(|path| path.parse().unwrap()).collect(),
                digest: digest.parse().unwrap(),
                leaking: leaking.parse().unwrap(),
                absent: format!("/nix/store/{}-absent", "1".repeat(32)).parse().unwrap(),
            },
            key,
            other_key,
        };
        caches.forget();
        caches
    }

    pub(crate) fn store(&self, caches: &[&str]) -> NixStore {
        NixStore::new(self.config(caches))
    }

    pub(super) fn config(&self, caches: &[&str]) -> NixConfig {
        let urls = caches.iter().map(|name| match name.contains("://") {
            true => (*name).to_owned(),
            false => format!("file://{}", self.dir.join(name).display()),
        });
        NixConfig {
            deadline: Duration::from_secs(60),
            ..NixConfig::new(urls.collect(), vec![self.key.clone()])
        }
    }

    pub(super) fn artifact(&self, n: usize) -> Artifact {
        Artifact {
            store_path: self.closures.versions[n].clone(),
            closure_digest: None,
            closure_size: None,
        }
    }

    /// Takes every closure out of the store, and every profile that holds one.
    pub(crate) fn forget(&self) {
        let _ = fs::remove_dir_all(PROFILES);
        for path in self.closures.versions.iter().chain([&self.closures.leaking]) {
            run("nix-store", &["--delete", "--ignore-liveness", path.as_str()]);
        }
    }

    pub(super) fn is_valid(&self, n: usize) -> bool {
        let path = self.closures.versions[n].as_str();
        run("nix-store", &["--check-validity", path]).status.success()
    }
}

fn run(program: &str, args: &[&str]) -> Output {
    Command::new(program).args(args).output().unwrap()
}

fn out(program: &str, args: &[&str]) -> String {
    let output = run(program, args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn make_key(dir: &Path, name: &str) -> String {
    let [secret, public] = ["secret", "public"].map(|kind| dir.join(format!("{name}.{kind}")));
    let (secret, public) = (secret.to_str().unwrap(), public.to_str().unwrap());
    out("nix-store", &["--generate-binary-cache-key", name, secret, public]);
    fs::read_to_string(public).unwrap().trim().to_owned()
}

/// A path that refers to another one: a closure of two.
fn build(name: &str, version: &str) -> String {
    let expression = format!(
        r#"let make = name: text: derivation {{
             inherit name text;
             system = builtins.currentSystem;
             builder = "/bin/sh";
             args = ["-c" "/bin/mkdir -p $out/bin; echo \"$text\" > $out/bin/{name}"];
           }};
           in make "{name}-{version}" "${{make "{name}-dependency-{version}" "{version}"}}""#
    );
    out("nix-build", &["--no-out-link", "--expr", &expression])
}

/// A site with the link that an attacker wants served.
fn leaking(name: &str) -> String {
    let expression = format!(
        r#"derivation {{
             name = "{name}-leaking";
             system = builtins.currentSystem;
             builder = "/bin/sh";
             args = ["-c" "/bin/mkdir -p $out/www && /bin/ln -s /var/lib/caddy $out/www/c"];
           }}"#
    );
    out("nix-build", &["--no-out-link", "--expr", &expression])
}

fn copy(path: &str, cache: &Path, secret: Option<&Path>) {
    let secret = secret.map_or(String::new(), |key| format!("?secret-key={}", key.display()));
    let to = format!("file://{}{secret}", cache.display());
    out("nix", &["--extra-experimental-features", "nix-command", "copy", "--to", &to, path]);
}

/// The digest as docs and another program make it: from nix's own JSON.
fn digest(path: &str) -> String {
    let lines = out("nix-store", &["--query", "--requisites", path]);
    let mut fingerprints: Vec<String> = lines.lines().map(fingerprint).collect();
    fingerprints.sort();
    let file = std::env::temp_dir().join(format!("digest-{}", std::process::id()));
    fs::write(&file, fingerprints.concat()).unwrap();
    let sum = out("sha256sum", &[file.to_str().unwrap()]);
    format!("sha256:{}", sum.split(' ').next().unwrap())
}

fn fingerprint(path: &str) -> String {
    let query = |what: &str| out("nix-store", &["--query", what, path]);
    let mut references: Vec<String> = query("--references").lines().map(str::to_owned).collect();
    references.sort();
    format!("1;{path};{};{};{}\n", query("--hash"), query("--size"), references.join(","))
}

fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

pub(crate) async fn the_profile_is_one_that_nix_env_understands(caches: &Caches) {
    let store = caches.store(&["signed"]);
    let service = name("nix-env");
    let profile = &format!("{PROFILES}/nix-env");
    caches.forget();
    let mut from: Option<StorePath> = None;
    for to in &caches.closures.versions[..3] {
        let artifact = Artifact { store_path: to.clone(), ..caches.artifact(0) };
        store.fetch(&[artifact]).await.unwrap();
        store.switch(&service, from.as_ref(), to).await.unwrap();
        from = Some(to.clone());
    }
    super::store::release(&store, &[]).await;
    let listed = out("nix-env", &["--list-generations", "-p", profile]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(listed.lines().last().unwrap().contains("(current)"), "{listed}");
    out("nix-env", &["--rollback", "-p", profile]);
    let observed = store.observe().await.unwrap();
    assert_eq!(observed.current.get(&service), Some(&caches.closures.versions[1]));
    out("nix-env", &["--switch-generation", "1", "-p", profile]);
    let observed = store.observe().await.unwrap();
    assert_eq!(observed.current.get(&service), Some(&caches.closures.versions[0]));
    assert!(fs::metadata(format!("{profile}.lock")).is_err(), "no lock file stays");
}

pub(crate) async fn the_collector_takes_nothing_that_is_fetched_or_kept(caches: &Caches) {
    let store = caches.store(&["signed"]);
    caches.forget();
    store.fetch(&[caches.artifact(0), caches.artifact(1)]).await.unwrap();
    store.switch(&name("collected"), None, &caches.closures.versions[0]).await.unwrap();
    out("nix-store", &["--gc"]);
    assert!(caches.is_valid(0) && caches.is_valid(1));
    super::store::release(&store, &[]).await;
    out("nix-store", &["--gc"]);
    assert!(caches.is_valid(0), "the profile keeps it");
    assert!(!caches.is_valid(1), "nothing keeps it any more");
    store.retire(&name("collected"), &caches.closures.versions[0]).await.unwrap();
    out("nix-store", &["--gc"]);
    assert!(caches.is_valid(0), "a generation may need it");
    super::store::release(&store, &[]).await;
    out("nix-store", &["--gc"]);
    assert!(!caches.is_valid(0));
}

/// The machine's nix.conf says yes to everything that must not happen.
pub(crate) async fn no_setting_of_the_host_makes_nix_take_unsigned_closures(caches: &Caches) {
    let conf = Path::new("/etc/nix/nix.conf");
    let before = fs::read_to_string(conf).unwrap_or_default();
    let unsigned = caches.dir.join("unsigned");
    let lax = format!(
        "{before}\nrequire-sigs = false\nextra-substituters = file://{}\n\
         extra-trusted-public-keys = {}\nmax-jobs = 4\nfallback = true\n",
        unsigned.display(),
        caches.other_key
    );
    fs::write(conf, lax).unwrap();
    caches.forget();
    let mut faults = Vec::new();
    for cache in ["unsigned", "strange"] {
        faults.push(caches.store(&[cache]).fetch(&[caches.artifact(0)]).await.unwrap_err());
    }
    let elsewhere = caches.store(&[]).fetch(&[caches.artifact(0)]).await;
    fs::write(conf, before).unwrap();
    for fault in faults {
        assert_eq!(fault.retry, Retry::Soon);
        assert!(fault.because.contains("no key that this host trusts has signed it"), "{fault}");
    }
    assert!(elsewhere.unwrap_err().because.contains("no cache has all of it"));
    assert!(!caches.is_valid(0));
}

/// A derivation is valid and its output is not: nix could build it.
pub(crate) async fn nothing_is_built(caches: &Caches) {
    let expression = format!(
        r#"derivation {{ name = "unbuilt-{}"; system = builtins.currentSystem;
             builder = "/bin/sh"; args = ["-c" "echo > $out"]; }}"#,
        std::process::id()
    );
    let derivation = out("nix-instantiate", &["--expr", &expression]);
    let output = out("nix-store", &["--query", "--outputs", &derivation]);
    for path in [&output, &derivation] {
        let artifact = Artifact {
            store_path: path.parse().unwrap(),
            closure_digest: None,
            closure_size: None,
        };
        let _ = caches.store(&["signed"]).fetch(&[artifact]).await;
        assert!(!Path::new(&output).exists(), "{path}");
    }
}

pub(crate) async fn what_is_there_already_needs_no_cache(caches: &Caches) {
    caches.store(&["signed"]).fetch(&[caches.artifact(0)]).await.unwrap();
    // Nobody listens there, and a name that does not resolve takes long.
    let deaf = caches.store(&["http://127.0.0.1:9", "http://cache.invalid"]);
    let started = std::time::Instant::now();
    deaf.fetch(&[caches.artifact(0)]).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

pub(crate) async fn each_trouble_with_a_cache_is_told_apart(caches: &Caches) {
    caches.forget();
    let fetch = async |names: &[&str]| -> Fault {
        let fault = caches.store(names).fetch(&[caches.artifact(0)]).await.unwrap_err();
        assert_eq!(fault.retry, Retry::Soon, "{fault}");
        assert!(fault.remedy.is_some() && !fault.evidence.is_empty(), "{fault:?}");
        fault
    };
    assert!(fetch(&["empty"]).await.because.contains("no cache has all of it"));
    assert!(fetch(&["http://127.0.0.1:9"]).await.because.contains("cannot be reached"));
    assert!(fetch(&["not-there"]).await.because.contains("not there: file://"));
    assert!(!caches.dir.join("not-there").exists(), "nix is kept from making it");
}

/// The cache has the closure's root and nothing below it.
pub(crate) async fn a_closure_with_a_path_that_no_cache_has_is_waited_for(caches: &Caches) {
    caches.forget();
    out("nix-store", &["--gc", "--quiet"]);
    let (signed, partly) = (caches.dir.join("signed"), caches.dir.join("partly"));
    out("cp", &["-r", signed.to_str().unwrap(), partly.to_str().unwrap()]);
    let root = format!("{}.narinfo", caches.closures.versions[0].hash());
    for info in fs::read_dir(&partly).unwrap().map(|info| info.unwrap().path()) {
        if info.extension().is_some_and(|e| e == "narinfo") && !info.ends_with(&root) {
            fs::remove_file(info).unwrap();
        }
    }
    let fault = caches.store(&["partly"]).fetch(&[caches.artifact(0)]).await.unwrap_err();
    assert_eq!(fault.retry, Retry::Soon, "{fault}");
    assert!(fault.because.contains("no cache has all of it"), "{fault:?}");
    assert!(!caches.is_valid(0));
    caches.store(&["partly", "signed"]).fetch(&[caches.artifact(0)]).await.unwrap();
    fs::remove_dir_all(partly).unwrap();
}

pub(crate) async fn what_a_cache_does_not_announce_is_not_taken(caches: &Caches) {
    caches.forget();
    let signed = caches.dir.join("signed");
    let nars = || fs::read_dir(signed.join("nar")).unwrap().map(|nar| nar.unwrap().path());
    let another = fs::read(nars().next().unwrap()).unwrap();
    for content in [&b"not an archive"[..], b"", &another[..another.len() / 2], &another] {
        let damaged = caches.dir.join("damaged");
        out("cp", &["-r", signed.to_str().unwrap(), damaged.to_str().unwrap()]);
        for nar in nars() {
            fs::write(damaged.join("nar").join(nar.file_name().unwrap()), content).unwrap();
        }
        let store = caches.store(&["damaged"]);
        let fault = store.fetch(&[caches.artifact(0)]).await.unwrap_err();
        fs::remove_dir_all(damaged).unwrap();
        assert_eq!(fault.retry, Retry::Soon, "{fault}");
        assert!(fault.because.contains("something else than it announced"), "{fault:?}");
        assert!(!caches.is_valid(0));
    }
    caches.store(&["not-there", "signed"]).fetch(&[caches.artifact(0)]).await.unwrap();
}

pub(crate) async fn a_full_disk_is_waited_for(caches: &Caches) {
    caches.forget();
    let programs = caches.dir.join("full");
    fs::create_dir_all(&programs).unwrap();
    let script = "#!/bin/sh\nexec unshare -m sh -c \
                  'mount -t tmpfs -o nr_inodes=2 tmpfs /nix/store && exec nix-store \"$@\"' \
                  nix-store \"$@\"\n";
    let script = script.replacen('\n', "\nPATH=/usr/bin:/bin\n", 1);
    fs::write(programs.join("nix-store"), script).unwrap();
    fs::set_permissions(programs.join("nix-store"), fs::Permissions::from_mode(0o755)).unwrap();
    let full = NixConfig { programs, ..caches.config(&["signed"]) };
    let fault = NixStore::new(full).fetch(&[caches.artifact(0)]).await.unwrap_err();
    assert_eq!(fault.retry, Retry::Soon);
    assert!(fault.because.contains("the disk is full"), "{fault:?}");
    caches.store(&["signed"]).fetch(&[caches.artifact(0)]).await.unwrap();
}

pub(crate) async fn what_does_not_fit_is_not_begun(caches: &Caches) {
    let size =
        |path: &str| -> u64 { out("nix-store", &["--query", "--size", path]).parse().unwrap() };
    let store = caches.store(&["signed"]);
    store.fetch(&[caches.artifact(0), caches.artifact(1)]).await.unwrap();
    let wanted = [caches.artifact(0), caches.artifact(1)];
    let paths = [0, 1].map(|n| caches.closures.versions[n].to_string());
    let closure = out("nix-store", &["--query", "--requisites", &paths[0], &paths[1]]);
    let unpacked: u64 = closure.lines().map(size).sum();
    caches.forget();
    for path in closure.lines() {
        run("nix-store", &["--delete", "--ignore-liveness", path]);
    }
    for cache in ["signed".to_owned(), serve(caches.dir.join("signed"))] {
        let room = Room { reserve: Some(1 << 60), ledger: None };
        let full = NixConfig { room, ..caches.config(&["empty", &cache]) };
        let fault = NixStore::new(full).fetch(&wanted).await.unwrap_err();
        assert_eq!(fault.retry, Retry::Soon);
        let needs = format!("it needs {} (", human_bytes(unpacked));
        assert!(fault.because.contains(&needs), "{needs}: {fault}");
        assert!(fault.remedy.unwrap().contains("writ gc --collect"));
        assert!(closure.lines().all(|path| !Path::new(path).exists()), "nothing was begun");
    }
    let room = Room { reserve: Some(0), ledger: Some("/var/lib".into()) };
    let enough = NixConfig { room, ..caches.config(&["signed"]) };
    NixStore::new(enough).fetch(&wanted).await.unwrap();
}

pub(crate) async fn the_collector_takes_what_was_released_and_tells_how_much(caches: &Caches) {
    let store = caches.store(&["signed"]);
    caches.forget();
    store.fetch(&[caches.artifact(0), caches.artifact(1)]).await.unwrap();
    store.switch(&name("swept"), None, &caches.closures.versions[0]).await.unwrap();
    super::store::release(&store, &[]).await;
    let collected = store.collect().await.unwrap();
    assert!(collected.paths >= 2, "{collected:?}");
    assert!(caches.is_valid(0) && !caches.is_valid(1));
    assert_eq!(store.collect().await.unwrap().paths, 0);
}

pub(crate) async fn an_interrupted_collector_is_waited_for(caches: &Caches) {
    let programs = caches.dir.join("slow");
    fs::create_dir_all(&programs).unwrap();
    let (begun, ended) = (caches.dir.join("begun"), caches.dir.join("ended"));
    let script = format!(
        "#!/bin/sh\nPATH=/usr/bin:/bin\ntrap 'touch {}; exit 1' INT\ntouch {}\n\
         while :; do sleep 0.05; done\n",
        ended.display(),
        begun.display()
    );
    fs::write(programs.join("nix-store"), script).unwrap();
    fs::set_permissions(programs.join("nix-store"), fs::Permissions::from_mode(0o755)).unwrap();
    let store = NixStore::new(NixConfig { programs, ..caches.config(&["signed"]) });
    let interrupt = async {
        while !begun.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let this = rustix::process::getpid();
        rustix::process::kill_process(this, rustix::process::Signal::TERM).unwrap();
    };
    let (collected, ()) = tokio::join!(store.collect(), interrupt);
    assert!(collected.unwrap_err().because.contains("interrupted"));
    assert!(ended.exists(), "it was told, and its end was waited for");
}

/// Nix remembers what a cache over HTTP said, for up to 30 days.
pub(crate) async fn a_cache_that_was_mended_counts_at_once(caches: &Caches) {
    caches.forget();
    let mended = caches.dir.join("mended");
    fs::create_dir_all(&mended).unwrap();
    let store = caches.store(&[&serve(mended.clone())]);
    let wanted = [caches.artifact(0)];
    for cache in ["empty", "unsigned", "strange"] {
        put(&caches.dir.join(cache), &mended);
        assert_eq!(store.fetch(&wanted).await.unwrap_err().retry, Retry::Soon);
    }
    put(&caches.dir.join("signed"), &mended);
    store.fetch(&wanted).await.unwrap();
    fs::remove_dir_all(mended).unwrap();
}

/// Copies a cache over another.
pub(super) fn put(from: &Path, over: &Path) {
    fs::create_dir_all(over).unwrap();
    let contents = format!("{}/.", from.display());
    out("cp", &["-r", &contents, over.to_str().unwrap()]);
}

/// It says that it is there, and cannot be used; the next one has everything.
pub(crate) async fn a_cache_that_gives_no_narinfos_hides_nobody(caches: &Caches) {
    let signed = caches.dir.join("signed");
    for (status, body) in [("502 Bad Gateway", ""), ("200 OK", "<html>Sign in</html>\n")] {
        caches.forget();
        let ill = serve_but(signed.clone(), Some((status, body)));
        let store = caches.store(&[&ill, "signed"]);
        store.fetch(&[caches.artifact(0)]).await.unwrap();
        assert!(caches.is_valid(0));
        assert_eq!(store.away()[0].cache, ill);
    }
    caches.forget();
    let shut = serve_but(signed, Some(("403 Forbidden", "")));
    let fault = caches.store(&[&shut]).fetch(&[caches.artifact(0)]).await.unwrap_err();
    assert!(
        fault.because.starts_with("no cache let this host have all of it: it answered 403"),
        "{fault}"
    );
    caches.store(&[&shut, "signed"]).fetch(&[caches.artifact(0)]).await.unwrap();
}

/// Serves the files of a directory over HTTP as long as the test runs.
pub(super) fn serve(dir: PathBuf) -> String {
    serve_but(dir, None)
}

/// The same with one answer for all narinfos.
fn serve_but(dir: PathBuf, narinfos: Option<(&'static str, &'static str)>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = [0; 4096];
            let n = connection.read(&mut request).unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..n]);
            let path = text.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
            let (status, body) = match (narinfos, fs::read(dir.join(path))) {
                (Some((status, body)), _) if path.ends_with(".narinfo") => (status, body.into()),
                (_, Ok(body)) => ("200 OK", body),
                (_, Err(_)) => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let body = if text.starts_with("HEAD") { Vec::new() } else { body };
            let _ = connection.write_all(&[head.into_bytes(), body].concat());
        }
    });
    url
}

pub(crate) async fn a_download_that_hangs_is_stopped_at_the_deadline(caches: &Caches) {
    caches.forget();
    let hanging = caches.dir.join("hanging");
    put(&caches.dir.join("signed"), &hanging);
    for nar in fs::read_dir(hanging.join("nar")).unwrap() {
        let nar = nar.unwrap().path();
        fs::remove_file(&nar).unwrap();
        out("mkfifo", &[nar.to_str().unwrap()]);
    }
    let url = serve(hanging);
    let config = NixConfig { deadline: Duration::from_secs(1), ..caches.config(&[&url]) };
    let fault = NixStore::new(config).fetch(&[caches.artifact(0)]).await.unwrap_err();
    assert_eq!(fault.retry, Retry::Soon);
    assert!(fault.because.contains("did not end within 1 s"), "{fault}");
}

/// What nix notes of caches over HTTP is damaged in each way that a disk knows.
pub(crate) async fn a_damaged_scratch_folder_of_nix_is_thrown_away(caches: &Caches) {
    let noted = Path::new("/run/writ/nix/.cache/nix/binary-cache-v6.sqlite");
    let store = caches.store(&[&serve(caches.dir.join("signed"))]);
    let bytes = |range: std::ops::Range<usize>, byte: fn(usize) -> u8| {
        let mut file = fs::read(noted).unwrap();
        file[range.clone()].iter_mut().zip(range).for_each(|(old, n)| *old = byte(n));
        fs::write(noted, file).unwrap();
    };
    let random = |n: usize| (n.wrapping_mul(2_654_435_761) >> 7) as u8;
    let damages: [&dyn Fn(); 6] = [
        &|| bytes(4096..16384, random),
        &|| bytes(0..4096, random),
        &|| bytes(0..16384, |_| 0),
        &|| fs::OpenOptions::new().write(true).open(noted).unwrap().set_len(5000).unwrap(),
        &|| {
            fs::remove_file(noted).unwrap();
            fs::create_dir(noted).unwrap();
        },
        &|| {
            fs::remove_dir_all("/run/writ/nix").unwrap();
            fs::write("/run/writ/nix", "in the way").unwrap();
        },
    ];
    for damage in damages {
        caches.forget();
        store.fetch(&[caches.artifact(0)]).await.unwrap();
        damage();
        caches.forget();
        store.fetch(&[caches.artifact(0)]).await.unwrap();
        assert!(noted.is_file() && caches.is_valid(0));
    }
}

pub(crate) async fn a_profile_that_nix_has_locked_is_waited_for(caches: &Caches) {
    let store = caches.store(&["signed"]);
    caches.forget();
    store.fetch(&[caches.artifact(0)]).await.unwrap();
    let service = name("locked");
    fs::create_dir_all(PROFILES).unwrap();
    let lock = Path::new(PROFILES).join("locked.lock");
    let holder = fs::File::create(&lock).unwrap();
    holder.lock().unwrap();
    let mut switch = std::pin::pin!(store.switch(&service, None, &caches.closures.versions[0]));
    let waiting = tokio::time::timeout(Duration::from_millis(200), &mut switch).await;
    assert!(waiting.is_err(), "the lock is respected");
    // As nix leaves it: the file is gone, and what is left of it says so.
    fs::remove_file(&lock).unwrap();
    (&holder).write_all(b"d").unwrap();
    drop(holder);
    switch.await.unwrap();
    assert!(store.observe().await.unwrap().current.contains_key(&service));
}

pub(crate) async fn a_path_that_was_deleted_is_reported_and_not_rooted(caches: &Caches) {
    let store = caches.store(&["signed"]);
    let (service, path) = (name("deleted"), &caches.closures.versions[3]);
    caches.forget();
    store.fetch(&[caches.artifact(3)]).await.unwrap();
    store.switch(&service, None, path).await.unwrap();
    out("nix-store", &["--delete", "--ignore-liveness", path.as_str()]);
    let observed = store.observe().await.unwrap();
    assert_eq!(observed.current.get(&service), Some(path));
    assert!(!observed.rooted.contains(path));
    assert!(store.switch(&name("other"), None, path).await.is_err());
}
