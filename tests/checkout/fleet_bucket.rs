//! The fleet's reports read from a bucket, on a server that checks who signs.

use std::fs;
use std::process::Output;

use writ::report::HostReport;

use crate::desk::Desk;
use crate::server::{Answer, ID, SECRET, Server};

struct Bucket {
    desk: Desk,
    server: Server,
}

impl Bucket {
    fn with_hosts(hosts: &[&str]) -> Self {
        let desk = Desk::with_hosts(hosts);
        fs::create_dir_all(desk.dir.path().join("buckets/acme/hosts")).unwrap();
        fs::create_dir_all(desk.home().join(".aws")).unwrap();
        let server = Server::of(&desk.dir.path().join("buckets"));
        let bucket = Self { desk, server };
        bucket.keys(SECRET);
        bucket
    }

    fn keys(&self, secret: &str) {
        let keys = format!("[ops]\naws_access_key_id = {ID}\naws_secret_access_key = {secret}\n");
        fs::write(self.desk.home().join(".aws/credentials"), keys).unwrap();
    }

    fn url(&self) -> String {
        let port = self.server.port;
        format!("s3://acme/hosts?profile=ops&endpoint=127.0.0.1:{port}&scheme=http")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.desk.dir.path().join("buckets/acme").join(name), text).unwrap();
    }

    fn tells(&self, report: &HostReport) {
        let host = report.host.as_str();
        let text = self.desk.signed(host, &report.text().unwrap());
        self.write(&format!("hosts/{host}.status"), &text);
    }

    fn look(&self, url: &str) -> Output {
        self.desk.fleet(&["--from", url])
    }

    fn told(&self, output: &Output) -> String {
        let told = self.desk.told(output);
        assert!(!told.contains(SECRET) && !told.contains(ID), "{told}");
        told.replace(&format!(":{}", self.server.port), ":PORT")
    }
}

#[test]
fn reports_are_read_from_a_folder_of_a_bucket() {
    let bucket = Bucket::with_hosts(&["biz", "huge", "web"]);
    for host in ["biz", "web"] {
        bucket.tells(&bucket.desk.well(host));
    }
    bucket.write("hosts/huge.status", &"x".repeat(70_000));
    bucket.write("hosts/notes.txt", "none of ours");
    bucket.write("db.status", "of another folder");
    let told = bucket.told(&bucket.look(&bucket.url()));
    insta::assert_snapshot!(told.replace(&bucket.desk.head()[..10], "HEAD------"));
    let asked = bucket.server.asked();
    assert!(!asked.iter().any(|asked| asked.contains("notes") || asked.contains("db.status")));
    // As a person may keep it.
    bucket.tells(&bucket.desk.well("huge"));
    bucket.desk.git(&["config", "writ.reports", &bucket.url()]);
    assert_eq!(bucket.desk.fleet(&[]).status.code(), Some(0));
}

/// The server of these tests lists no ETags, as S3 does.
fn listed() -> Answer {
    let file = "<Contents><Key>hosts/biz.status</Key><LastModified>2026-01-02T03:04:05Z</LastModified><ETag>&quot;1&quot;</ETag><Size>900</Size></Contents>";
    Answer::Plain(format!("<ListBucketResult>{file}</ListBucketResult>").into_bytes())
}

#[test]
fn whoever_waits_reads_only_what_is_new() {
    let bucket = Bucket::with_hosts(&["biz", "web"]);
    bucket.tells(&bucket.desk.well("biz"));
    bucket.server.rule(|asked, _| match asked.contains("list-type=2") {
        true => listed(),
        false => Answer::Normal,
    });
    let url = bucket.url();
    let short = bucket.desk.fleet(&["--from", &url, "--wait", "HEAD", "--timeout", "2s"]);
    assert_eq!(short.status.code(), Some(3), "{}", bucket.told(&short));
    let asked = bucket.server.asked();
    let count = |what: &str| asked.iter().filter(|asked| asked.contains(what)).count();
    assert_eq!(count("biz.status"), 1, "{asked:?}");
    assert!(count("list-type=2") > 1, "{asked:?}");
    bucket.server.well();
}

#[test]
fn a_bucket_that_cannot_be_read_is_told() {
    let bucket = Bucket::with_hosts(&["biz"]);
    bucket.tells(&bucket.desk.well("biz"));
    let url = bucket.url();
    let mut told = String::new();
    let mut tell = |what: &str, url: &str| {
        told += &format!("# {what}\n{}", bucket.told(&bucket.look(url)));
    };
    tell("an empty folder", &url.replace("/hosts", "/nobody"));
    tell("a bucket that is not there", &url.replace("acme", "acne"));
    tell("a parameter that is none", &url.replace("profile", "profil"));
    tell("a folder that is none", &url.replace("hosts", "../hosts"));
    bucket.keys("wrong");
    tell("a wrong secret", &url);
    bucket.keys(SECRET);
    let denied = "<Error><Code>AccessDenied</Code></Error>";
    for (what, part) in [("no right to list", "list-type"), ("no right to read", "biz.status")] {
        bucket.server.rule(move |asked, _| match asked.contains(part) {
            true => Answer::Status(403, denied),
            false => Answer::Normal,
        });
        tell(what, &url);
    }
    bucket.server.rule(|_, _| Answer::Status(500, ""));
    tell("trouble", &url);
    bucket.server.well();
    insta::assert_snapshot!(told);
}
