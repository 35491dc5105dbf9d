//! What nix gets of a bucket, and what nobody gets.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, Method, Response, StatusCode};
use tempfile::TempDir;
use writ::world::bucket::Reader;
use writ::world::nix::Gateway;
use writ::world::stock::{Denial, Stock};

use crate::server::{Answer, ID, SECRET, Server};
use crate::shop::noise;

const INFO: &str = "1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf.narinfo";
const NAR: &str = "nar/0m70j2kfz1lhcf2x0mf92slnfaxnqrlbakq32bachi6bgqr9aj4w.nar.xz";

/// A cache in a folder of a bucket, and a gateway to it.
struct Private {
    dir: TempDir,
    server: Server,
}

impl Private {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("buckets/acme-nix/hosts");
        fs::create_dir_all(cache.join("nar")).unwrap();
        fs::write(cache.join("nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
        fs::write(cache.join(INFO), "StorePath: …\n").unwrap();
        fs::write(cache.join("secret"), "not for nix").unwrap();
        fs::write(dir.path().join("buckets/acme-nix/above"), "not for nix").unwrap();
        let private = Self { server: Server::of(&dir.path().join("buckets")), dir };
        private.keys(SECRET);
        private
    }

    fn keys(&self, secret: &str) {
        let keys =
            format!("[default]\naws_access_key_id = {ID}\naws_secret_access_key = {secret}\n");
        fs::write(self.file(), keys).unwrap();
    }

    fn file(&self) -> String {
        self.dir.path().join("keys").display().to_string()
    }

    fn nar(&self, bytes: &[u8]) {
        fs::write(self.dir.path().join("buckets/acme-nix/hosts").join(NAR), bytes).unwrap();
    }

    fn url(&self) -> String {
        format!("s3://acme-nix/hosts?scheme=http&endpoint=127.0.0.1:{}", self.server.port)
    }

    /// Not patient with silence.
    fn reader(&self) -> Arc<dyn Stock> {
        let stall = Duration::from_millis(500);
        Arc::new(Reader::open_with(&self.url(), Some(self.file().as_ref()), stall).unwrap())
    }

    async fn gateway(&self) -> Gateway {
        Gateway::open(vec![self.reader()]).await.unwrap()
    }

    /// What was wrong, without what differs from run to run.
    fn told(&self, fault: &writ::fault::Fault) -> String {
        let told = format!("{fault}\n  hint: {}", fault.remedy.as_deref().unwrap_or_default());
        assert!(!told.contains(SECRET) && !told.contains(ID), "{told}");
        told.replace(&format!(":{}", self.server.port), ":PORT")
            .replace(&self.dir.path().display().to_string(), "/dir")
    }
}

async fn ask(method: Method, url: &str) -> Response {
    Client::builder().no_proxy().build().unwrap().request(method, url).send().await.unwrap()
}

async fn get(gateway: &Gateway, name: &str) -> Response {
    ask(Method::GET, &format!("{}/{name}", gateway.url(0))).await
}

#[tokio::test]
async fn a_cache_is_read_with_keys_that_nobody_else_has() {
    let private = Private::new();
    let nar = noise(1);
    private.nar(&nar);
    let gateway = private.gateway().await;
    assert_eq!(
        get(&gateway, "nix-cache-info").await.text().await.unwrap(),
        "StoreDir: /nix/store\n"
    );
    assert_eq!(get(&gateway, INFO).await.text().await.unwrap(), "StorePath: …\n");
    let answer = get(&gateway, NAR).await;
    assert_eq!(answer.content_length(), Some(nar.len() as u64));
    assert_eq!(answer.bytes().await.unwrap(), nar);
    let head = ask(Method::HEAD, &format!("{}/{NAR}", gateway.url(0))).await;
    assert_eq!(head.headers()["content-length"], nar.len().to_string());
    let absent = get(&gateway, &INFO.replace('1', "0")).await;
    assert_eq!(absent.status(), StatusCode::NOT_FOUND);
    assert_eq!(gateway.fault(), None);
    let shown = format!("{gateway:?}");
    let word = gateway.url(0).split('/').nth(3).unwrap().to_owned();
    assert!(word.len() == 64 && !shown.contains(&word), "{shown}");
}

#[tokio::test]
async fn a_bucket_is_asked_once_for_each_text() {
    let private = Private::new();
    private.nar(b"archive");
    let gateway = private.gateway().await;
    for _ in 0..3 {
        assert_eq!(get(&gateway, INFO).await.text().await.unwrap(), "StorePath: …\n");
        let absent = get(&gateway, &INFO.replace('1', "0")).await;
        assert_eq!(absent.status(), StatusCode::NOT_FOUND);
        assert_eq!(get(&gateway, NAR).await.text().await.unwrap(), "archive");
    }
    let asked = private.server.asked();
    let counted = |what: &str| asked.iter().filter(|asked| asked.contains(what)).count();
    assert_eq!((counted(".narinfo"), counted(NAR)), (2, 3), "{asked:?}");
}

#[tokio::test]
async fn ranges_are_passed_on() {
    let private = Private::new();
    let nar = noise(1);
    private.nar(&nar);
    let gateway = private.gateway().await;
    let client = Client::builder().no_proxy().build().unwrap();
    let (size, url) = (nar.len(), format!("{}/{NAR}", gateway.url(0)));
    for (range, part) in [
        ("bytes=0-99".to_owned(), 0..100),
        ("bytes=1000-".to_owned(), 1000..size),
        ("bytes=-7".to_owned(), size - 7..size),
    ] {
        let answer = client.get(&url).header(RANGE, &range).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        let told = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        assert_eq!(answer.headers()[CONTENT_RANGE], told);
        assert_eq!(answer.bytes().await.unwrap(), nar[part]);
    }
    let beyond = client.get(&url).header(RANGE, format!("bytes={size}-")).send().await.unwrap();
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let odd = client.get(&url).header(RANGE, "bytes=0-1,5-6").send().await.unwrap();
    assert_eq!(odd.bytes().await.unwrap(), nar);
}

#[tokio::test]
async fn nothing_else_of_the_bucket_can_be_asked_for() {
    let private = Private::new();
    let gateway = private.gateway().await;
    let url = gateway.url(0);
    let port = url.split('/').nth(2).unwrap();
    for path in [
        format!("{url}/secret"),
        format!("{url}/"),
        url.clone(),
        format!("{url}/nix-cache-info?list-type=2"),
        format!("{url}/nar/%2e%2e/secret"),
        format!("{url}/nar%2fx"),
        format!("{url}1/nix-cache-info"),
        format!("http://{port}/0/nix-cache-info"),
        format!("http://{port}/{}/0/nix-cache-info", "0".repeat(64)),
    ] {
        assert_eq!(ask(Method::GET, &path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    for method in [Method::PUT, Method::POST, Method::DELETE, Method::OPTIONS] {
        let answer = ask(method, &format!("{url}/nix-cache-info")).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
    assert_eq!(private.server.asked(), Vec::<String>::new(), "the bucket is not asked");
    drop(gateway);
    let client = Client::builder().no_proxy().build().unwrap();
    let gone = client.get(format!("{url}/nix-cache-info")).send().await;
    assert!(gone.is_err(), "it ends with the download");
}

#[tokio::test]
async fn keys_that_do_not_fit_are_told_with_where_they_were_found() {
    let private = Private::new();
    let mut told = Vec::new();
    private.keys("wrong");
    let gateway = private.gateway().await;
    assert_eq!(get(&gateway, INFO).await.status(), StatusCode::FORBIDDEN);
    told.push(private.told(&gateway.fault().unwrap()));
    let Err(Denial::Refused(fault)) = private.reader().glance("nix-cache-info").await else {
        panic!("a glance says the same")
    };
    told.push(private.told(&fault));
    fs::remove_file(private.file()).unwrap();
    told.push(
        private.told(&Reader::open(&private.url(), Some(private.file().as_ref())).unwrap_err()),
    );
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again_and_told() {
    const SLOW: &str = "<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>";
    let private = Private::new();
    let gateway = private.gateway().await;
    private.server.rule(|_, before| match before {
        0 => Answer::Status(503, SLOW),
        1 => Answer::Status(500, ""),
        _ => Answer::Normal,
    });
    assert_eq!(get(&gateway, INFO).await.status(), StatusCode::OK);
    private.server.rule(|_, _| Answer::Status(503, SLOW));
    assert_eq!(get(&gateway, NAR).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let told = private.told(&gateway.fault().unwrap());
    assert!(told.contains("it answered SlowDown: Reduce your rate"), "{told}");
    private.server.rule(|_, _| Answer::Status(500, ""));
    assert_eq!(get(&gateway, NAR).await.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn what_was_cut_or_stalls_goes_on_where_it_was() {
    let private = Private::new();
    let nar = noise(1);
    private.nar(&nar);
    let gateway = private.gateway().await;
    for trouble in [Answer::CutAfter, Answer::SilenceAfter] {
        private.server.asked();
        private.server.rule(move |_, before| match before {
            0 => trouble(300_000),
            _ => Answer::Normal,
        });
        assert_eq!(get(&gateway, NAR).await.bytes().await.unwrap(), nar);
        assert_eq!(private.server.asked().len(), 2);
    }
    assert_eq!(gateway.fault(), None);
}

#[tokio::test]
async fn what_stays_cut_is_never_taken_for_whole() {
    let private = Private::new();
    let nar = noise(4);
    private.nar(&nar);
    let gateway = private.gateway().await;
    private.server.rule(|_, _| Answer::CutAfter(300_000));
    let answer = get(&gateway, NAR).await;
    assert_eq!(answer.content_length(), Some(nar.len() as u64));
    assert!(answer.bytes().await.is_err());
    assert!(gateway.fault().is_some());
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let private = Private::new();
    let gateway = private.gateway().await;
    private.server.rule(|_, _| Answer::Silence);
    assert_eq!(get(&gateway, INFO).await.status(), StatusCode::BAD_GATEWAY);
}
