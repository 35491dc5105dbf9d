//! A private cache in a bucket: the host's own keys open it, and nobody sees them.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::{Running, Scene};
use crate::lab::host::{Host, Program, until};
use crate::server::{Answer, ID, SECRET, Server};

pub(super) const SCENES: &[Scene] = &[
    ("a_host_reads_a_private_bucket_with_keys_that_nobody_sees", private),
    ("an_agent_killed_in_a_download_fetches_what_is_missing_and_nothing_else", killed),
];

/// Set for the process that is an S3 server: the folder of its buckets.
pub(crate) const SERVES: &str = "WRIT_TEST_S3";
const PROGRAM: &str = "/usr/local/bin/s3";
const KEYS: &str = "/root/cache.keys";
const DROP_IN: &str = "/etc/systemd/system/writ-agent.service.d/cache.conf";

/// Writes down what is asked for; what is named in a file is not answered.
pub(crate) fn serve(root: &Path) -> ! {
    let server = Server::at(root, "0.0.0.0:9000");
    let (asked, hangs) = (root.join("asked"), root.join("hangs"));
    server.rule(move |line, _| {
        let mut log = OpenOptions::new().create(true).append(true).open(&asked).unwrap();
        writeln!(log, "{line}").unwrap();
        let hanging = fs::read_to_string(&hangs).unwrap_or_default();
        match hanging.lines().any(|nar| line.contains(nar)) {
            true => Answer::Silence,
            false => Answer::Normal,
        }
    });
    loop {
        std::thread::park();
    }
}

pub(super) fn bucket(scene: &Running) -> Host {
    let here = std::env::current_exe().expect("/proc is mounted");
    let host = Host::boot(&scene.acme.fleet, "bucket", &[Program { here, there: PROGRAM }]);
    let folder = format!("--setenv={SERVES}=/srv/s3");
    host.must(&["mkdir", "-p", "/srv/s3/acme-nix"]);
    host.must(&["systemd-run", "--quiet", "--unit=s3", &folder, PROGRAM]);
    until("the S3 server answers", Duration::from_secs(20), || {
        host.run(&["curl", "--silent", "http://127.0.0.1:9000/"]).ok.then_some(())
    });
    host
}

/// Gives the agent the bucket for its only cache.
fn configure(scene: &Running, bucket: &Host) {
    let biz = &scene.biz.host;
    biz.put(DROP_IN, format!("[Service]\nLoadCredential=cache:{KEYS}\n"), 0o644);
    biz.sh(&format!(
        "sed -i 's|^substituters.*|substituters = [\"s3://acme-nix/hosts?scheme=http\\&endpoint={}:9000\"]\\ncredentialsFile = \"credential:cache\"|' /etc/writ/agent.toml",
        bucket.address()
    ));
    keys(biz, SECRET);
}

fn keys(biz: &Host, secret: &str) {
    let keys = format!("[default]\naws_access_key_id = {ID}\naws_secret_access_key = {secret}\n");
    biz.put(KEYS, keys, 0o600);
    biz.sh("systemctl daemon-reload; systemctl restart writ-agent");
}

/// Builds a version that only the bucket has.
fn publish(scene: &Running, version: &str) -> String {
    scene.acme.publish("web", version, 8001, "");
    bring(scene);
    scene.acme.release(&format!("web: {version}"))
}

/// Copies the cache into the bucket.
fn bring(scene: &Running) {
    let copy = "rm -rf /srv/s3/acme-nix/hosts; cp -r /srv/cache /srv/s3/acme-nix/hosts";
    scene.acme.workshop.host.sh(copy);
}

fn killed() {
    let scene = Running::v1();
    let bucket = bucket(&scene);
    configure(&scene, &bucket);
    let (workshop, biz) = (&scene.acme.workshop.host, &scene.biz);
    let web = scene.acme.publish("web", "v2", 8001, "");
    let api = scene.acme.publish("api", "v1", 8002, "");
    bring(&scene);
    let nar = |path: &str| {
        let info = format!("/srv/cache/{}.narinfo", &path["/nix/store/".len()..][..32]);
        workshop.must(&["sed", "-n", "s/^URL: //p", &info]).trim().to_owned()
    };
    let [web, api] = [web, api].map(|path| nar(&path));
    workshop.put("/srv/s3/hangs", format!("{web}\n"), 0o644);
    let commit = scene.acme.release("web and api");
    let half = biz.status_where("one of two paths", |status| {
        status.0["download"]["paths"] == 1 && status.0["download"]["ofPaths"] == 2
    });
    assert!(half.0["download"]["ofBytes"].as_u64() > half.0["download"]["bytes"].as_u64());
    let told = biz.host.run(&["writ", "status"]).stdout;
    assert!(told.contains("fetched    1 of 2 paths, "), "{told}");
    let sync = "export TERM=xterm; writ sync >/run/lines 2>&1 &
        script -qefc 'stty cols 120; writ sync' /run/bar >/dev/null & wait";
    biz.host.must(&["systemd-run", "--quiet", "--unit=sync", "sh", "-c", sync]);
    for (file, text) in [("/run/lines", "fetched 1 of 2 paths, "), ("/run/bar", "] 1 of 2 paths, ")]
    {
        until(&format!("{file} tells of it"), Duration::from_secs(20), || {
            biz.host.run(&["grep", "--quiet", "--fixed-strings", text, file]).ok.then_some(())
        });
    }
    let agent = biz.pid("agent").to_string();
    biz.host.must(&["kill", "-KILL", &agent]);
    workshop.must(&["rm", "/srv/s3/hangs"]);
    biz.confirmed(&commit);
    biz.serves("api.acme.example", "v1");
    biz.serves("web.acme.example", "v2");
    let asked = workshop.must(&["cat", "/srv/s3/asked"]);
    let counted = |nar: &str| asked.lines().filter(|line| line.contains(nar)).count();
    assert_eq!((counted(&web), counted(&api)), (2, 1), "{asked}");
}

fn private() {
    let scene = Running::v1();
    let bucket = bucket(&scene);
    configure(&scene, &bucket);
    let biz = &scene.biz.host;
    // Looks at every process for as long as it takes.
    biz.put("/root/pattern", format!("{SECRET}\n"), 0o600);
    biz.put("/root/watch", WATCH, 0o755);
    biz.must(&["systemd-run", "--quiet", "--unit=watch", "/root/watch"]);
    let commit = publish(&scene, "v2");
    scene.biz.confirmed(&commit);
    scene.biz.serves("web.acme.example", "v2");
    biz.must(&["systemctl", "stop", "watch"]);
    let seen = biz.sh("cat /run/seen");
    assert!(seen.contains("--realise") && seen.contains("--log-format"), "{seen}");
    assert!(!seen.contains("127.0.0.1"), "{seen}");
    assert_eq!(biz.sh("cat /run/leaks"), "");
    let told = biz.run(&["writ", "doctor"]).stdout;
    assert!(told.contains("it answers, and takes this host's keys"), "{told}");

    keys(biz, "wrong");
    let commit = publish(&scene, "v3");
    let status = scene.biz.judged(&commit, "waiting");
    let why = status.why();
    assert!(why.contains("says that the secret key is wrong (profile `default` of /run/credentials/writ-agent.service/cache)"), "{why}");
    let told = biz.run(&["writ", "doctor"]).stdout;
    assert!(told.contains("WRONG  cache"), "{told}");
    let told = biz.run(&["writ", "status"]).stdout;
    assert!(told.contains("no cache   s3://acme-nix/hosts"), "{told}");
    scene.biz.serves("web.acme.example", "v2");

    keys(biz, SECRET);
    scene.biz.confirmed(&commit);
    scene.biz.serves("web.acme.example", "v3");
    let spread = "journalctl --no-pager --output=export >/run/journal; \
                  grep -rlaFf /root/pattern /run/journal /var/lib/writ /run/writ /tmp || true";
    assert_eq!(biz.sh(spread), "");
}

const WATCH: &str = "#!/bin/sh
: >/run/leaks; : >/run/seen
while :; do
    grep -laFf /root/pattern /proc/[0-9]*/cmdline /proc/[0-9]*/environ >>/run/leaks 2>/dev/null
    for file in /proc/[0-9]*/cmdline; do
        line=$(tr '\\0' ' ' <$file 2>/dev/null)
        case $line in *nix-store*--realise*) echo \"$line\" >>/run/seen ;; esac
    done
done
";
