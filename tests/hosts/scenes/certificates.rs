//! Servers of HTTPS with buckets and a cache, whose certificate is not valid now: it is told as that, nothing
//! on the host changes, and it goes on by itself once they have another.

use std::time::{Duration, Instant};

use super::super::lab::forge::{HONEST, Manners, NAME};
use super::super::lab::host::Host;
use super::super::lab::site::Status;
use super::{Running, Scene, bucket};
use crate::authority::{Authority, FUTURE, NOW, PAST};
use crate::server::{ID, SECRET};

pub(super) const SCENES: &[Scene] = &[
    ("a_mirror_whose_certificate_is_not_valid_now_is_told_as_that", mirror),
    ("a_cache_whose_certificate_is_not_valid_now_is_told_as_that", caches),
];

/// A company that publishes in buckets, over HTTPS, with an authority that its host knows.
pub(super) struct Published {
    pub(super) scene: Running,
    bucket: Host,
    authority: Authority,
}

const KEYS: &str = "/etc/writ/s3.keys";
const PEM: &str = "/etc/forge/server.pem";
const KEY: &str = "/etc/forge/server.key";
const MANNERS: Manners = Manners {
    buckets: "reverse_proxy bucket:9000",
    tls: "/etc/forge/server.pem /etc/forge/server.key",
    ..HONEST
};

/// A certificate that is too old, and one that is too new, with how that is told.
const WRONG: [([&str; 2], &str); 2] =
    [(PAST, "certificate expired: "), (FUTURE, "certificate not valid yet: ")];
/// Nobody waits for longer.
const SOON: Duration = Duration::from_secs(30);
const NOT_NOW: &str = "the server's certificate is not valid now, or this host's clock is wrong (";
const HINT: &str = "see the server's certificate, and `date` on this host";

impl Published {
    pub(super) fn begin() -> Self {
        let scene = Running::v1();
        let (bucket, authority) = (bucket::bucket(&scene), Authority::new());
        let (workshop, biz) = (&scene.acme.workshop.host, &scene.biz.host);
        workshop.sh(&format!(
            "mkdir -p /srv/s3/acme-deploy; echo {} bucket >>/etc/hosts",
            bucket.address()
        ));
        biz.sh(&format!("echo {} {NAME} >>/etc/hosts", workshop.address()));
        let ca = std::fs::read(authority.file("ca.pem")).unwrap();
        biz.put("/usr/local/share/ca-certificates/own.crt", ca, 0o644);
        biz.must(&["update-ca-certificates"]);
        let keys =
            format!("[default]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n");
        for host in [workshop, biz] {
            host.put(KEYS, &keys, 0o600);
        }
        let published = Self { scene, bucket, authority };
        published.certify(NOW);
        published
    }

    /// The server has such a certificate from now on.
    fn certify(&self, time: [&str; 2]) {
        self.authority.certify(&format!("DNS:{NAME}"), time);
        for (name, place) in [("server.pem", PEM), ("server.key", KEY)] {
            let text = std::fs::read(self.authority.file(name)).unwrap();
            self.scene.acme.workshop.host.put(place, text, 0o644);
        }
        self.scene.acme.forge_answers(MANNERS);
    }

    /// The branch, in its bucket.
    pub(super) fn mirror(&self) {
        let to = format!("s3://acme-deploy/main?endpoint=http://{}:9000", self.bucket.address());
        self.scene.acme.workshop.host.sh(&format!(
            "cd /root/deploy; AWS_SHARED_CREDENTIALS_FILE={KEYS} writ mirror --to '{to}'"
        ));
    }

    /// Has the host follow that bucket and nothing else.
    pub(super) fn follow(&self, deadline: &str) {
        self.configure(&format!(
            "sed -i '/^url = /d; /^watch = /d; s/^interval = .*/interval = \"1s\"/; s/^deadline = .*/deadline = \"{deadline}\"/' /etc/writ/agent.toml
             printf '[[source]]\\nurl = \"s3://acme-deploy/main?endpoint=https://{NAME}\"\\ncredentialsFile = \"{KEYS}\"\\n' >>/etc/writ/agent.toml"
        ));
    }

    fn configure(&self, script: &str) {
        self.scene.biz.host.sh(&format!("{script}; systemctl restart writ-agent"));
    }

    /// The host says soon that it is so, by all the ways that it has, and runs on.
    fn told(&self, of: &str, words: &str, pid: u32, said: impl Fn(&Status) -> Vec<String>) {
        let (begun, biz) = (Instant::now(), &self.scene.biz);
        drop(biz.sync());
        let texts = |status: &Status| said(status).into_iter().filter(|text| text.contains(of));
        let status = biz.status_where(&format!("{words}{of}"), |status| {
            texts(status).any(|text| text.contains(words))
        });
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        assert!(texts(&status).all(|text| text.contains(NOT_NOW)), "{status:?}");
        let status = biz.host.run(&["writ", "status"]).stdout;
        assert!(status.contains(words) && status.contains(HINT), "{status}");
        let doctor = biz.host.run(&["writ", "doctor"]).stdout;
        let mut lines =
            doctor.lines().skip_while(|line| !line.starts_with("WRONG") || !line.contains(of));
        let [line, hint] = [lines.next(), lines.next()].map(Option::unwrap_or_default);
        assert!(line.contains(NOT_NOW) && line.contains(words) && hint.contains(HINT), "{doctor}");
        self.scene.untouched(pid);
    }
}

fn mirror() {
    let published = Published::begin();
    published.mirror();
    published.follow("10s");
    let Running { acme, biz, .. } = &published.scene;
    let pid = biz.pid("web");
    published.certify(PAST);
    acme.publish("web", "v2", 8001, "");
    let commit = acme.release("web: version 2");
    published.mirror();
    for (time, words) in WRONG {
        published.certify(time);
        published.told("s3://acme-deploy/main", words, pid, Status::faults);
    }
    published.certify(NOW);
    let status = biz.confirmed(&commit);
    biz.serves("web.acme.example", "v2");
    assert!(status.faults().is_empty(), "{status:?}");
}

fn caches() {
    let published = Published::begin();
    let Running { acme, biz, .. } = &published.scene;
    let private = format!("s3://acme-nix/hosts?endpoint=https://{NAME}");
    published.configure(&format!(
        "sed -i 's|^substituters.*|substituters = [\"https://{NAME}/cache\", \"{private}\"]\\ncredentialsFile = \"{KEYS}\"|; s/^interval = .*/interval = \"1s\"/' /etc/writ/agent.toml"
    ));
    let pid = biz.pid("web");
    published.certify(PAST);
    acme.publish("web", "v2", 8001, "");
    acme.workshop.host.sh("cp -r /srv/cache /srv/s3/acme-nix/hosts");
    let commit = acme.release("web: version 2");
    biz.judged(&commit, "waiting");
    for (time, words) in WRONG {
        published.certify(time);
        for cache in ["https://forge.acme.example/cache", "s3://acme-nix/hosts"] {
            published.told(cache, words, pid, |status| vec![status.waits_for()]);
        }
        let why = biz.status().unwrap().waits_for();
        assert_eq!(why.matches(NOT_NOW).count(), 2, "{why}");
    }
    published.certify(NOW);
    biz.confirmed(&commit);
    biz.serves("web.acme.example", "v2");
}
