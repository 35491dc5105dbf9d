//! From a built closure to a host that runs it: `writ push` and `writ upload`, with real
//! nix, a real cache and people who push at the same time.

use super::{Running, Scene};
use crate::lab::host::{Ran, until};
use std::time::Duration;

pub(super) const SCENES: &[Scene] = &[
    ("what_is_pushed_runs_on_the_host", runs),
    ("two_people_push_different_services_at_once_and_both_run", both),
    ("a_push_killed_after_its_upload_is_finished_by_the_next", killed),
    ("a_cache_over_http_takes_closures_and_while_it_is_down_nothing_is_committed", http),
    ("a_cache_that_has_another_build_or_no_signature_is_told", other),
    ("nix_takes_what_writ_uploads_for_its_own", own),
];

pub(super) const KEY: &str = "/root/cache.sec";
pub(super) const CACHE: &str = "file:///srv/cache";
/// Git, but what comes after an upload has to wait for long.
const SLOW: &str = "#!/bin/sh\ncase \" $* \" in *\" commit-tree \"*) : >/root/uploaded; exec sleep 600 ;; esac\nexec /usr/bin/git \"$@\"\n";

impl Running {
    /// A version of web that only the workshop's own store has.
    pub(super) fn built(&self, name: &str, version: &str) -> String {
        let script = format!("#!/bin/sh\nexec HELLO --text {version} \"$@\"\n");
        let program = format!("bin/{name}");
        self.acme.workshop.build(&format!("{name}-{version}"), &[(&program, &script, 0o755)])
    }

    /// Has Alice's git sign in her checkout and in one more.
    pub(super) fn desks(&self) {
        self.acme.workshop.host.sh("cd /root
             git clone --quiet /srv/git/deploy.git other
             git -C deploy branch --quiet --set-upstream-to origin/main main
             for name in deploy other; do
                 git -C $name config user.name alice
                 git -C $name config user.email alice@acme.example
                 git -C $name config gpg.format ssh
                 git -C $name config user.signingKey /root/keys/alice
             done");
    }

    fn push(&self, args: &[&str]) -> Ran {
        let all = ["writ", "push"];
        self.acme.workshop.host.run(&all.iter().chain(args).copied().collect::<Vec<_>>())
    }

    fn head_at_remote(&self) -> String {
        let log = ["git", "-C", "/srv/git/deploy.git", "rev-parse", "main"];
        self.acme.workshop.host.must(&log).trim().to_owned()
    }
}

#[track_caller]
fn fine(ran: &Ran) -> &Ran {
    assert!(ran.ok, "{}{}", ran.stdout, ran.stderr);
    ran
}

fn scene() -> Running {
    let scene = Running::v1();
    scene.desks();
    scene
}

fn runs() {
    let scene = scene();
    let workshop = &scene.acme.workshop;
    // Built by push itself, out of a source of its own.
    scene.built("web", "v2");
    workshop.host.sh("cd /root/build/web-v2
         git init --quiet . && git add --all
         git -c user.name=a -c user.email=a@b commit --quiet --message source");
    let source = "/root/build/web-v2/default.nix";
    let short = workshop.host.sh("git -C /root/build/web-v2 rev-parse --short HEAD");
    let args = ["web", "--repo", "/root/deploy", "--file", source, "--to", CACHE, "--key", KEY];
    let told = scene.push(&args);
    fine(&told);
    assert!(told.stdout.contains("on biz\n") && told.stdout.contains("pushed"), "{told:?}");
    let commit = scene.head_at_remote();
    scene.biz.confirmed(&commit);
    scene.biz.serves("web.acme.example", "v2");
    let file = workshop.host.must(&["cat", "/root/deploy/manifests/services/web.toml"]);
    assert!(file.contains(&format!("revision = \"{}\"", short.trim())), "{file}");
    assert!(file.contains("closureDigest = \"sha256:"), "{file}");
    // The host has compared that digest with what it fetched.
}

fn both() {
    let scene = scene();
    let (web, api) = (scene.built("web", "v2"), scene.built("api", "v1"));
    scene.acme.publish("api", "v0", 8002, "");
    scene.acme.release("api: version 0");
    scene.acme.workshop.host.must(&["git", "-C", "/root/other", "pull", "--quiet"]);
    let flags = format!("--to {CACHE} --key {KEY}");
    // At the same moment, again and again, for somebody to be slower.
    scene.acme.workshop.host.sh(&format!(
        "cd /root
         for n in 1 2 3; do
             writ push web --repo deploy --store-path {web} --revision w$n {flags} >web.log 2>&1 & one=$!
             writ push api --repo other --store-path {api} --revision a$n {flags} >api.log 2>&1 & two=$!
             wait $one || {{ cat web.log; exit 1; }}
             wait $two || {{ cat api.log; exit 1; }}
         done"
    ));
    let log = ["git", "-C", "/srv/git/deploy.git", "log", "--format=%s", "-6", "main"];
    let log = scene.acme.workshop.host.must(&log);
    for n in 1..=3 {
        assert!(log.contains(&format!("(w{n})\n")) && log.contains(&format!("(a{n})\n")), "{log}");
    }
    scene.biz.confirmed(&scene.head_at_remote());
    scene.biz.serves("web.acme.example", "v2");
    scene.biz.serves("api.acme.example", "v1");
}

fn killed() {
    let scene = scene();
    let workshop = &scene.acme.workshop;
    let web = scene.built("web", "v2");
    let before = scene.head_at_remote();
    workshop.host.put("/root/slow/git", SLOW, 0o755);
    let command = format!(
        "PATH=/root/slow:$PATH exec writ push web --repo /root/deploy --store-path {web} --to {CACHE} --key {KEY}"
    );
    workshop.host.must(&[
        "systemd-run",
        "--quiet",
        "--unit=pushing",
        "--setenv=HOME=/root",
        "sh",
        "-c",
        &command,
    ]);
    until("it has uploaded", Duration::from_secs(60), || {
        workshop.host.run(&["test", "-e", "/root/uploaded"]).ok.then_some(())
    });
    workshop.host.must(&["systemctl", "kill", "--signal=KILL", "pushing"]);
    assert_eq!(scene.head_at_remote(), before);
    assert_eq!(workshop.host.must(&["git", "-C", "/root/deploy", "status", "--short"]), "");
    let args = ["web", "--repo", "/root/deploy", "--store-path", &web, "--to", CACHE, "--key", KEY];
    fine(&scene.push(&args));
    scene.biz.confirmed(&scene.head_at_remote());
    scene.biz.serves("web.acme.example", "v2");
    let again = scene.push(&args);
    assert!(fine(&again).stdout.contains("the remote has it already"), "{again:?}");
}

fn http() {
    let scene = scene();
    let workshop = &scene.acme.workshop;
    let before = scene.head_at_remote();
    let web = scene.built("web", "v2");
    let url = "http://127.0.0.1:8081";
    let args = ["web", "--repo", "/root/deploy", "--store-path", &web, "--to", url, "--key", KEY];
    let down = scene.push(&args);
    assert!(!down.ok && down.stderr.contains("could not read http://"), "{down:?}");
    assert_eq!(scene.head_at_remote(), before);
    assert_eq!(workshop.host.must(&["git", "-C", "/root/deploy", "status", "--short"]), "");
    workshop.host.put("/root/put.pl", include_str!("put.pl"), 0o755);
    workshop.host.must(&["systemd-run", "--quiet", "--unit=put", "perl", "/root/put.pl"]);
    until("the cache answers", Duration::from_secs(20), || {
        workshop
            .host
            .run(&["curl", "--fail", "--silent", &format!("{url}/nix-cache-info")])
            .ok
            .then_some(())
    });
    fine(&scene.push(&args));
    scene.biz.confirmed(&scene.head_at_remote());
    scene.biz.serves("web.acme.example", "v2");
}

fn other() {
    let scene = scene();
    let host = &scene.acme.workshop.host;
    let web = scene.built("web", "v2");
    let before = scene.head_at_remote();
    host.must(&["nix", "copy", "--to", CACHE, &web]);
    let args = ["web", "--repo", "/root/deploy", "--store-path", &web, "--to", CACHE];
    let unsigned = scene.push(&args);
    assert!(!unsigned.ok && unsigned.stderr.contains("no good signature"), "{unsigned:?}");
    let remedy = format!("nix store sign --store {CACHE} --recursive --key-file {KEY} {web}");
    host.sh(&remedy);
    fine(&host.run(&["writ", "upload", &web, "--to", CACHE, "--key", KEY]));
    // The same path, built elsewhere, with other bytes.
    let narinfo = format!("/srv/cache/{}.narinfo", &web["/nix/store/".len()..][..32]);
    host.sh(&format!("sed -i 's/^NarSize: .*/NarSize: 999/' {narinfo}"));
    let other = scene.push(&args);
    assert!(!other.ok && other.stderr.contains("another build"), "{other:?}");
    assert_eq!(scene.head_at_remote(), before);
}

fn own() {
    let scene = scene();
    let (host, key) = (&scene.acme.workshop.host, &scene.acme.workshop.cache_key);
    let web = scene.built("web", "v2");
    fine(&host.run(&["writ", "upload", &web, "--to", "file:///srv/ours", "--key", KEY]));
    // Nix writes the same of each path but for how it packed it.
    host.must(&[
        "nix",
        "copy",
        "--to",
        &format!("file:///srv/theirs?compression=zstd&secret-key={KEY}"),
        &web,
    ]);
    let texts = |cache: &str| {
        let grep =
            "grep --no-filename --invert-match --extended-regexp '^(URL|FileHash|FileSize):'";
        host.sh(&format!("cd /srv/{cache}; cat nix-cache-info; {grep} *.narinfo"))
    };
    assert_eq!(texts("ours"), texts("theirs"));
    assert!(texts("ours").contains("CA: fixed:r:sha256:"), "{}", texts("ours"));
    let from = ["--store", "file:///srv/ours", "--recursive"];
    let verify = ["nix", "store", "verify", "--option", "trusted-public-keys", key];
    host.must(&verify.iter().chain(&from).copied().chain([web.as_str()]).collect::<Vec<_>>());
    // A machine that never saw it takes it, if it knows the key and not otherwise.
    let copy = |key: &str| {
        let args = ["nix", "copy", "--from", "file:///srv/ours", "--option", "trusted-public-keys"];
        scene.biz.host.run(&args.iter().copied().chain([key, &web]).collect::<Vec<_>>())
    };
    let stranger = copy("cache-1:j8puWMXyQU0Rff+8c1F6yXhQpPURHmV+kPaMzh0N0Yg=");
    assert!(!stranger.ok && stranger.stderr.contains("signature"), "{stranger:?}");
    fine(&copy(key));
    let serves = scene.biz.host.must(&["cat", &format!("{web}/bin/web")]);
    assert!(serves.contains("--text v2"), "{serves}");
    scene.biz.host.must(&["nix", "store", "verify", "--recursive", "--no-trust", &web]);
}
