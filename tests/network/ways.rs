//! A way that breaks at some byte, and certificates that are too old.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use writ::source::access::{Access, HttpAccess};
use writ::source::git::GitSource;

use crate::authority::{Authority, FUTURE, NOW, PAST};
use crate::proxy::{Proxy, Way};
use crate::server::{Server, Wants};
use crate::{fault, is_whole, source};

/// A git server with a repository of some 100 KB, and its authority.
struct Forge {
    dir: TempDir,
    authority: Authority,
    server: Server,
}

fn run(at: &Path, program: &str, args: &[&str]) {
    let ran = Command::new(program).args(args).current_dir(at).output().unwrap();
    assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

impl Forge {
    fn new() -> Self {
        Self::with(Authority::new())
    }

    fn with(authority: Authority) -> Self {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path(), "git", &["init", "-q", "-b", "main", "deploy.git"]);
        let deploy = dir.path().join("deploy.git");
        let noise: Vec<u8> = (0..100_000_u64).map(|n| (n * n * n / 7919 % 251) as u8).collect();
        fs::write(deploy.join("noise"), noise).unwrap();
        run(&deploy, "git", &["add", "noise"]);
        let who = ["-c", "user.name=a", "-c", "user.email=a@b"];
        run(&deploy, "git", &[&who[..], &["commit", "-q", "-m", "one"]].concat());
        let server = Server::new(&authority, dir.path(), Wants::default());
        Self { dir, authority, server }
    }

    fn incoming(&self) -> PathBuf {
        self.dir.path().join("incoming")
    }

    /// As a host does that pins the authority, over some port.
    fn source(&self, port: u16) -> GitSource {
        let ca = self.authority.file("ca.pem").to_str().unwrap().parse().unwrap();
        let access = HttpAccess { ca: Some(ca), ..HttpAccess::default() };
        source(&format!("https://127.0.0.1:{port}/deploy.git"), Access::Http(access))
    }
}

/// Wherever it breaks, on connections that are encrypted as they are in the world.
#[tokio::test]
async fn a_way_that_breaks_anywhere_is_told_and_leaves_nothing() {
    let forge = Forge::new();
    let proxy = Proxy::to(forge.server.port).await;
    let source = forge.source(proxy.port);
    let quick = GitSource { deadline: Duration::from_secs(3), ..source.clone() };
    is_whole(&source, &forge.incoming()).await;
    fs::remove_dir_all(forge.incoming()).unwrap();
    let all = proxy.becomes(Way::Clear);
    assert!(all > 90_000, "{all}");
    let mut told = String::new();
    for (place, at) in [("at once", 0), ("in the handshake", 700), ("in the pack", all - 20_000)] {
        for (how, way) in [
            ("is reset", Way::Reset(at)),
            ("closes", Way::Closed(at)),
            ("stalls", Way::Stalls(at)),
            ("flips a bit", Way::Flips(at)),
        ] {
            proxy.becomes(way);
            let begun = Instant::now();
            let fault = fault(&quick, &forge.incoming()).await;
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
            if let Way::Reset(_) = way {
                // Which end sees it first is chance.
                let words = ["hung up before", "broke off", "the connection was broken"];
                assert!(words.iter().any(|words| fault.contains(words)), "{place}: {fault}");
                continue;
            }
            told += &format!("# {how} {place}\n{}", fault.replace(&proxy.port.to_string(), "PORT"));
        }
    }
    insta::assert_snapshot!(told);
    proxy.becomes(Way::Clear);
    is_whole(&source, &forge.incoming()).await;
}

const NAME: &str = "IP:127.0.0.1";

#[tokio::test]
async fn a_certificate_that_is_not_valid_now_is_told_as_that() {
    for (time, words) in [(PAST, "expired"), (FUTURE, "not valid yet")] {
        let authority = Authority::new();
        authority.certify(NAME, time);
        let forge = Forge::with(authority);
        let source = forge.source(forge.server.port);
        let told = fault(&source, &forge.incoming()).await;
        assert!(told.contains("not valid now") && told.contains(words), "{told}");
        // The server renews it.
        forge.authority.certify(NAME, NOW);
        let server = Server::new(&forge.authority, forge.dir.path(), Wants::default());
        is_whole(&forge.source(server.port), &forge.incoming()).await;
    }
}
