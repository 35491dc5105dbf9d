//! Caches that nix cannot read by itself, or that do not answer, with a real nix.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::yield_now;
use writ::world::Store;
use writ::world::bucket::Reader;
use writ::world::nix::{NixConfig, NixStore};
use writ::world::stock::{Keeper, Stock};

use super::super::server::{Answer, ID, SECRET, Server};
use super::nix::{Caches, put};

const STALL: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_secs(30);

/// Takes the closures and all that they need out of the store.
fn forget(caches: &Caches) {
    let _ = fs::remove_dir_all("/nix/var/nix/gcroots/writ");
    caches.forget();
    out("nix-store", &["--gc", "--quiet"]);
}

/// A bucket with everything that is signed, and a store that has the keys to it.
fn private(caches: &Caches) -> (Server, NixStore) {
    let buckets = caches.dir.join("buckets");
    put(&caches.dir.join("signed"), &buckets.join("acme-nix/hosts"));
    let server = Server::of(&buckets);
    let keys = caches.dir.join("keys");
    let text = format!("[default]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n");
    fs::write(&keys, text).unwrap();
    let url = format!("s3://acme-nix/hosts?scheme=http&endpoint=127.0.0.1:{}", server.port);
    let keeper = Keeper::new(move |url| {
        let reader = Reader::open_with(url, Some(&keys), STALL)?;
        Ok(Arc::new(reader) as Arc<dyn Stock>)
    });
    (server, NixStore::new(NixConfig { keeper, ..caches.config(&[&url]) }))
}

fn out(program: &str, args: &[&str]) {
    assert!(std::process::Command::new(program).args(args).status().unwrap().success());
}

/// The arguments and the environment of the nix that fetches.
fn of_nix() -> Option<(String, String)> {
    fs::read_dir("/proc").unwrap().find_map(|process| {
        let process = process.ok()?.path();
        let read = |file: &str| {
            let bytes = fs::read(process.join(file)).ok()?;
            Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
        };
        let arguments = read("cmdline").filter(|line| line.contains("--realise"))?;
        Some((arguments, read("environ").filter(|all| all.contains("NIX_CONFIG"))?))
    })
}

pub(crate) async fn a_private_bucket_is_read_by_nix_which_has_no_keys_to_it(caches: &Caches) {
    forget(caches);
    let (server, store) = private(caches);
    // It hangs in the first archive until it was looked at.
    server.rule(|asked, before| match asked.contains("/nar/") && before == 0 {
        true => Answer::SilenceAfter(10),
        false => Answer::Normal,
    });
    let wanted = [caches.artifact(0)];
    let look = async {
        let seen = loop {
            if let Some(seen) = of_nix() {
                break seen;
            }
            yield_now().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let download = loop {
            match store.downloading() {
                Some(download) => break download,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        (seen, download)
    };
    let look = tokio::time::timeout(SOON, look);
    let (fetched, seen) = tokio::join!(store.fetch(&wanted), look);
    let ((arguments, environment), download) = seen.expect("nix was seen");
    fetched.unwrap();
    assert!(caches.is_valid(0));
    assert!(!arguments.contains("127.0.0.1") && !arguments.contains("http"), "{arguments}");
    assert!(environment.contains("substituters = http://127.0.0.1:"), "{environment}");
    for text in [&arguments, &environment] {
        assert!(!text.contains(SECRET) && !text.contains(ID) && !text.contains("s3://"), "{text}");
    }
    // Nix writes down whom it asked.
    let home = fs::metadata("/run/writ/nix/.cache").unwrap();
    assert_eq!(home.permissions().mode() & 0o077, 0);
    assert!(Path::new("/run/writ/nix/.cache/nix").is_dir());
    assert_eq!(download.of_paths, 2, "{download}");
    assert!(download.of_bytes > 0 && store.downloading().is_none());
    // Whoever cannot read the bucket learns why.
    forget(caches);
    server.rule(|_, _| Answer::Status(403, "<Error><Code>InvalidAccessKeyId</Code></Error>"));
    let fault = store.fetch(&wanted).await.unwrap_err();
    assert_eq!(fault.retry, writ::fault::Retry::Soon);
    assert!(
        fault.because.contains("does not know the access key (profile `default` of"),
        "{fault}"
    );
    assert_eq!(store.away().len(), 1);
    server.well();
    store.fetch(&wanted).await.unwrap();
    assert_eq!(store.away(), []);
}

pub(crate) async fn a_download_that_broke_off_goes_on_with_what_is_missing(caches: &Caches) {
    forget(caches);
    let (server, store) = private(caches);
    let wanted = [0, 1].map(|n| caches.artifact(n));
    let nars = |server: &Server| {
        let mut nars: Vec<String> =
            server.asked().into_iter().filter(|asked| asked.contains("/nar/")).collect();
        nars.sort();
        nars.dedup();
        nars
    };
    // One archive is there, and no other.
    let first = std::sync::Mutex::new(None);
    server.rule(move |asked, _| {
        let nar = asked.contains("/nar/").then(|| asked.to_owned());
        let mut first = first.lock().unwrap();
        match nar {
            Some(nar) if *first.get_or_insert_with(|| nar.clone()) != nar => {
                Answer::Status(403, "<Error><Code>InvalidAccessKeyId</Code></Error>")
            }
            _ => Answer::Normal,
        }
    });
    store.fetch(&wanted).await.unwrap_err();
    let all = nars(&server);
    server.well();
    store.fetch(&wanted).await.unwrap();
    let left = nars(&server);
    assert!(caches.is_valid(0) && caches.is_valid(1));
    assert!(left.len() == 3 && left.iter().filter(|nar| all.contains(nar)).count() < all.len());
}

pub(crate) async fn a_deaf_cache_costs_a_moment_once_and_then_nothing(caches: &Caches) {
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", deaf.local_addr().unwrap());
    let time = async |store: &NixStore| {
        forget(caches);
        let begun = Instant::now();
        store.fetch(&[caches.artifact(0)]).await.unwrap();
        begun.elapsed()
    };
    let usual = time(&caches.store(&["signed"])).await;
    let store = caches.store(&[&url, "signed"]);
    let [first, second] = [time(&store).await, time(&store).await];
    println!("without {usual:?}, the first time {first:?}, then {second:?}");
    assert!(first < usual + Duration::from_secs(2), "{first:?}, and {usual:?} without");
    assert!(second < usual + Duration::from_millis(500), "{second:?}, and {usual:?} without");
    assert_eq!(store.away()[0].cache, url);
    assert!(Path::new(caches.closures.versions[0].as_str()).exists());
}
