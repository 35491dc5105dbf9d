//! Reports that a host leaves in a bucket, on a server that checks who signs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use writ::agent::Agent;
use writ::agent::reporting::Reporter;
use writ::report::verify;

use crate::bucket_server::{Answer, ID, SECRET, Server};
use crate::scene::Scene;
use crate::world::SimWorld;

struct Bucket {
    scene: Scene,
    server: Server,
    agent: Agent<SimWorld>,
    dir: tempfile::TempDir,
}

impl Bucket {
    /// A host that has had its first round and told nobody yet.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("buckets/acme-status/hosts")).unwrap();
        let server = Server::of(&dir.path().join("buckets"));
        let mut scene = Scene::new();
        scene.more = format!(
            "[report]\nto = \"s3://acme-status/hosts?endpoint=127.0.0.1:{}&scheme=http\"\ncredentialsFile = \"{}\"\n[poll]\ndeadline = \"20s\"\n",
            server.port,
            dir.path().join("keys").display(),
        );
        scene.push_service("web", "1");
        let mut agent = scene.agent();
        agent.round().await;
        let bucket = Self { scene, server, agent, dir };
        bucket.keys(SECRET, 0o600);
        bucket
    }

    fn keys(&self, secret: &str, mode: u32) {
        let keys =
            format!("[default]\naws_access_key_id = {ID}\naws_secret_access_key = {secret}\n");
        let path = self.dir.path().join("keys");
        fs::write(&path, keys).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("buckets/acme-status/hosts/biz.status")
    }

    fn reporter(&self) -> Reporter {
        Reporter::new(&self.scene.config(), self.scene.ledger(), self.agent.shared()).unwrap()
    }

    /// Reports once, and tells what kept it from arriving.
    async fn tell(&self) -> Option<String> {
        self.reporter().look().await;
        let fault = self.agent.shared().snapshot().report_fault?;
        let hint = fault.remedy.clone().unwrap_or_default();
        let told = format!("{fault}\n  hint: {hint}");
        assert!(!told.contains(SECRET) && !told.contains(ID), "{told}");
        let told = told.replace(&format!(":{}", self.server.port), ":PORT");
        Some(told.replace(&self.dir.path().display().to_string(), "/dir"))
    }
}

#[tokio::test]
async fn a_report_lies_in_a_bucket_and_the_next_one_takes_its_place() {
    let bucket = Bucket::new().await;
    let key = bucket.scene.config().report_key().public().await.unwrap().parse().unwrap();
    let mut sequence = 0;
    for _ in 0..2 {
        assert_eq!(bucket.tell().await, None);
        let report = verify(&fs::read(bucket.file()).unwrap(), &key).unwrap();
        assert_eq!(report.state.commit, Some(bucket.scene.head.clone()));
        assert!(report.sequence > sequence);
        sequence = report.sequence;
    }
    let put = "PUT /acme-status/hosts/biz.status".to_owned();
    assert!(bucket.server.was_asked(|asked| asked == put));
    assert_eq!(bucket.server.asked(), [put.clone(), put], "and nothing else is asked");
}

#[tokio::test]
async fn a_bucket_that_takes_no_report_is_told_and_tried_again() {
    let bucket = Bucket::new().await;
    let mut all = String::new();
    let mut tell = |what: &str, told: Option<String>| {
        all += &format!("# {what}\n{}\n", told.unwrap_or_else(|| "arrived".to_owned()));
    };
    bucket.keys("wrong", 0o600);
    tell("a wrong secret", bucket.tell().await);
    bucket.keys(SECRET, 0o644);
    tell("keys that others may read", bucket.tell().await);
    fs::remove_file(bucket.dir.path().join("keys")).unwrap();
    tell("no keys", bucket.tell().await);
    bucket.keys(SECRET, 0o600);
    for (what, answer) in [
        ("no right", Answer::Status(403, "<Error><Code>AccessDenied</Code></Error>")),
        ("no bucket", Answer::Status(404, "<Error><Code>NoSuchBucket</Code></Error>")),
        ("trouble", Answer::Status(500, "")),
        ("a cut line", Answer::Cut),
    ] {
        bucket.server.rule(move |_, _| answer.clone());
        tell(what, bucket.tell().await);
        assert!(!bucket.file().exists());
    }
    // Once is no trouble that anybody needs to hear of.
    bucket.server.asked();
    bucket.server.rule(|_, before| match before {
        0 => Answer::Status(503, ""),
        _ => Answer::Normal,
    });
    tell("trouble that is over at once", bucket.tell().await);
    bucket.server.well();
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn a_bucket_that_never_answers_is_left() {
    let mut bucket = Bucket::new().await;
    bucket.scene.more = bucket.scene.more.replace("20s", "1s");
    bucket.server.rule(|_, _| Answer::Silence);
    let told = bucket.tell().await.unwrap();
    assert!(told.contains("no answer within 1s"), "{told}");
}
