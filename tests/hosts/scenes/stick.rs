//! A host that no network reaches, and sticks that somebody carries to it: its agent
//! knows one folder, and everything comes out of that.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use super::Scene;
use super::push::{CACHE, KEY};
use crate::lab::acme::Acme;
use crate::lab::fleet::Fleet;
use crate::lab::host::{Host, Ran, until};
use crate::lab::site::{Site, program};

pub(super) const SCENES: &[Scene] = &[
    ("a_host_without_a_network_deploys_and_reverts_from_sticks", there_and_back),
    ("a_stick_pulled_out_and_a_power_cut_end_in_the_old_or_the_new_version", pulled),
    ("one_round_from_a_stick_that_may_only_be_read", once),
    ("a_hostile_stick_is_told_by_name_and_the_next_one_is_taken", hostile),
    ("a_damaged_stick_does_not_stand_in_the_way_of_a_cache", damaged),
    ("an_archive_that_would_fill_the_disk_leaves_it_as_it_was", bombs),
];

/// A workshop with a network and a host without.
struct Offline {
    acme: Acme,
    biz: Site,
}

impl Offline {
    /// The agent runs on the host, and there is no stick.
    fn begin() -> Self {
        let acme = Acme::found();
        acme.publish("web", "v1", 8001, "");
        acme.release("web: version 1");
        let biz = acme.site("biz");
        let config = format!(
            "host = \"biz\"\n\n[repository]\nid = \"acme-infra\"\nbranch = \"main\"\n\
             introduction = \"{}\"\nintroducer = \"{}\"\n\n\
             [[source]]\nurl = \"dir:///media/stick/kit\"\n\n\
             [poll]\ninterval = \"10m\"\n\n\
             [nix]\ntrustedPublicKeys = [\"{}\"]\n",
            acme.introduction,
            acme.alice.fingerprint,
            acme.workshop.cache_key.trim(),
        );
        biz.host.put("/etc/writ/agent.toml", config, 0o600);
        biz.host.must(&["mkdir", "-p", "/media/stick"]);
        biz.host.link_down();
        Self { acme, biz }
    }

    fn writ(&self, args: &[&str]) -> Ran {
        let all = ["writ"];
        self.acme.workshop.host.run(&all.iter().chain(args).copied().collect::<Vec<_>>())
    }

    /// Makes a kit of the newest commit; what was told.
    #[track_caller]
    fn kit(&self, name: &str, args: &[&str]) -> String {
        let out = format!("/srv/kits/{name}");
        let kit = ["kit", "--host", "biz", "--repo", "/root/deploy", "--out", &out];
        let ran = self.writ(&[&kit[..], &["--from", CACHE], args].concat());
        assert!(ran.ok, "{}{}", ran.stdout, ran.stderr);
        ran.stdout + &ran.stderr
    }

    /// A disk appears at once, as one does that is mounted.
    fn plug(&self, name: &str) {
        self.biz.host.sh(&format!(
            "rm -rf /media/next && cp -r /srv/kits/{name} /media/next && mv /media/next /media/stick/kit"
        ));
    }

    fn unplug(&self) {
        self.biz.host.sh("rm -rf /media/pulled && mv /media/stick/kit /media/pulled");
    }

    fn head(&self) -> String {
        self.acme.workshop.head()
    }
}

fn there_and_back() {
    let scene = Offline::begin();
    scene.biz.start();
    let (v1, told) = (scene.head(), scene.kit("one", &[]));
    assert!(told.contains("kit for biz: commit") && told.contains("is ready"), "{told}");
    scene.plug("one");
    scene.biz.confirmed(&v1);
    scene.biz.serves("web.acme.example", "v1");
    until("a receipt lies beside the kit", Duration::from_secs(30), || {
        let look = "grep -q confirmed /media/stick/kit/receipts/biz.status";
        scene.biz.host.run(&["sh", "-c", look]).ok.then_some(())
    });
    let receipt = scene.biz.host.must(&["cat", "/media/stick/kit/receipts/biz.status"]);
    scene.unplug();
    assert!(scene.biz.sync().ok || scene.biz.status().is_some());
    scene.biz.serves("web.acme.example", "v1");

    // The receipt comes home, and says what the next kit can leave out.
    let host = &scene.acme.workshop.host;
    host.put("/srv/kits/one/receipts/biz.status", &receipt, 0o644);
    let key = scene.biz.host.must(&["writ", "report", "key"]);
    let file = format!("tags = [\"front\"]\nreportKey = \"{}\"\n", key.trim());
    scene.acme.workshop.write("manifests/hosts/biz.toml", &file);
    scene.acme.publish("web", "v2", 8001, "");
    let v2 = scene.acme.release("web: version 2");
    let two = scene.kit("two", &["--receipt", "/srv/kits/one/receipts/biz.status"]);
    assert!(two.contains(&format!("since {}", &v1[..8])), "{two}");
    let narinfos = "ls /srv/kits/two/cache/*.narinfo | wc -l";
    assert_eq!(host.sh(narinfos).trim(), "1", "only the new web is carried");
    scene.plug("two");
    scene.biz.confirmed(&v2);
    scene.biz.serves("web.acme.example", "v2");

    // The fleet's table reads receipts as it reads reports.
    until("a receipt tells of version 2", Duration::from_secs(30), || {
        let receipt = scene.biz.host.run(&["cat", "/media/stick/kit/receipts/biz.status"]).stdout;
        host.put("/srv/kits/two/receipts/biz.status", &receipt, 0o644);
        let from = ["--from", "dir:///srv/kits/two/receipts"];
        let table =
            scene.writ(&[&["status", "--fleet", "--repo", "/root/deploy"], &from[..]].concat());
        (table.ok && table.stdout.contains("confirmed")).then_some(())
    });

    // Back by a signed revert, on the stick that is there already.
    let back = scene.acme.workshop.revert(&scene.acme.alice, &v2);
    scene.acme.workshop.push();
    let grown = scene.kit("one", &[]);
    assert!(grown.contains("no path was missing"), "{grown}");
    scene.unplug();
    scene.plug("one");
    scene.biz.confirmed(&back);
    scene.biz.serves("web.acme.example", "v1");
}

fn pulled() {
    let mut scene = Offline::begin();
    scene.biz.start();
    scene.kit("one", &[]);
    let v1 = scene.head();
    scene.plug("one");
    scene.biz.confirmed(&v1);
    scene.unplug();
    scene.acme.publish("web", "v2", 8001, "");
    let v2 = scene.acme.release("web: version 2");
    scene.kit("two", &["--since", &v1]);
    // The commits were read, and then the stick went: the closures are not there.
    scene
        .acme
        .workshop
        .host
        .sh("cp -r /srv/kits/two /srv/kits/half && rm /srv/kits/half/cache/nar/*");
    let pid = scene.biz.pid("web");
    scene.plug("half");
    let status = scene.biz.judged(&v2, "waiting");
    assert!(status.why().contains("/media/stick/kit/cache"), "{}", status.why());
    scene.unplug();
    scene.biz.serves("web.acme.example", "v1");
    assert_eq!(scene.biz.pid("web"), pid, "nothing is stopped before all is there");
    scene.biz.host.lose_power();
    scene.biz.host.boot_again(false);
    scene.biz.serves("web.acme.example", "v1");
    scene.biz.judged(&v2, "waiting");
    // This one is mounted, as a disk is.
    scene.biz.host.sh("mkdir /media/stick/kit && mount --bind /srv/kits/two /media/stick/kit");
    scene.biz.confirmed(&v2);
    scene.biz.serves("web.acme.example", "v2");
    scene.biz.host.must(&["umount", "/media/stick/kit"]);
}

fn once() {
    let scene = Offline::begin();
    scene.kit("one", &[]);
    let packed = scene.kit("one.tar.zst", &["--key", KEY]);
    assert!(packed.contains("one.tar.zst is ready"), "{packed}");
    let host = &scene.biz.host;
    // With a config that names no such folder.
    host.sh("sed -i 's|dir:///media/stick/kit|dir:///media/other|' /etc/writ/agent.toml");
    host.sh("mkdir /media/stick/kit && mount --bind /srv/kits/one /media/stick/kit
             mount -o remount,ro,bind /media/stick/kit");
    let round = ["writ", "agent", "--once", "--source", "dir:///media/stick/kit"];
    let ran = host.run(&round);
    assert!(ran.ok, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("may only be read"), "{}", ran.stderr);
    scene.biz.serves("web.acme.example", "v1");
    // The same in one file, unpacked by the host.
    scene.acme.publish("web", "v2", 8001, "");
    scene.acme.release("web: version 2");
    scene.kit("two.tar.zst", &[]);
    host.must(&["writ", "kit", "unpack", "/srv/kits/two.tar.zst", "/media/two"]);
    let ran = host.run(&["writ", "agent", "--once", "--source", "dir:///media/two"]);
    assert!(ran.ok, "{}{}", ran.stdout, ran.stderr);
    scene.biz.serves("web.acme.example", "v2");
    host.must(&["grep", "-q", "confirmed", "/media/two/receipts/biz.status"]);
}

fn hostile() {
    let scene = Offline::begin();
    scene.biz.start();
    scene.kit("one", &[]);
    let v1 = scene.head();
    let host = &scene.acme.workshop.host;
    host.sh("cd /srv/kits; cp -r one bad; cd bad/cache
             for file in *.narinfo; do rm $file; mkfifo $file; done
             ln -s /etc ../receipts");
    scene.plug("bad");
    scene.biz.judged(&v1, "waiting");
    let told = scene.biz.journal();
    assert!(told.contains("is no plain file"), "{told}");
    assert!(!scene.biz.host.run(&["test", "-e", "/etc/biz.status"]).ok);
    scene.unplug();
    scene.plug("one");
    scene.biz.confirmed(&v1);
    scene.biz.serves("web.acme.example", "v1");
}

fn damaged() {
    let scene = Offline::begin();
    scene.kit("one", &[]);
    let v1 = scene.head();
    let spoil = "cd /srv/kits/one/cache/nar; for nar in *; do
             size=$(stat -c %s $nar); head -c $((size - 3)) $nar >../half; printf xxx >>../half; mv ../half $nar
         done";
    scene.acme.workshop.host.sh(spoil);
    scene.biz.start();
    scene.plug("one");
    let status = scene.biz.judged(&v1, "waiting");
    assert!(
        status.why().contains("a cache sent something else than it announced"),
        "{}",
        status.why()
    );
    let cache = format!("s|^trustedPublicKeys|substituters = [\"{CACHE}\"]\\n&|");
    scene.biz.host.must(&["sed", "-i", &cache, "/etc/writ/agent.toml"]);
    scene.biz.host.must(&["systemctl", "restart", "writ-agent"]);
    scene.biz.confirmed(&v1);
    scene.biz.serves("web.acme.example", "v1");
    assert!(scene.biz.journal().contains("asking the other caches too"));
}

/// An archive of files of nothing but zeros, each of so many MiB, behind one that does not
/// shrink.
fn bomb(files: &[u64]) -> Vec<u8> {
    let mut tar = tar::Builder::new(zstd::Encoder::new(Vec::new(), 3).unwrap());
    let mut add = |name: &str, size: u64, content: &mut dyn Read| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(size);
        tar.append_data(&mut header, name, content).unwrap();
    };
    let noise: Vec<u8> = (0..100_000_u64).map(|n| (n * n * n / 7919 % 251) as u8).collect();
    add("cache/nar/0.nar", noise.len() as u64, &mut &noise[..]);
    for (n, size) in files.iter().enumerate() {
        let size = size << 20;
        add(&format!("cache/nar/{}.nar", n + 1), size, &mut std::io::repeat(0).take(size));
    }
    add("index", 1, &mut &b"x"[..]);
    tar.into_inner().unwrap().finish().unwrap()
}

fn bombs() {
    let fleet = Arc::new(Fleet::new().expect("hosts can be booted here"));
    let host = Host::boot(&fleet, "biz", &[program()]);
    host.sh("mkdir -p /media/stick; mount -t tmpfs -o size=64m tmpfs /media/stick");
    let free = || host.must(&["stat", "--file-system", "--format=%f %d", "/media/stick"]);
    let before = free();
    for (files, words, code) in [
        (&[10; 8][..], "cache/nar/7.nar needs 10.0 MiB, and ", 3),
        (&[4, 1500], "cache/nar/2.nar makes it more than 100 times as large", 1),
    ] {
        let archive = bomb(files);
        assert!(archive.len() < 1 << 20, "{}", archive.len());
        host.put("/root/kit.tar.zst", archive, 0o644);
        let unpack = "code=0; writ kit unpack /root/kit.tar.zst /media/stick/kit 2>&1 || code=$?; echo $code";
        let told = host.sh(unpack);
        assert!(told.contains(words) && told.ends_with(&format!("\n{code}\n")), "{told}");
        assert!(told.contains("what was written is gone again"), "{told}");
        assert_eq!(host.sh("ls -A /media/stick"), "");
        assert_eq!(free(), before, "{told}");
    }
    host.put("/root/kit.tar.zst", bomb(&[50]), 0o644);
    host.must(&["writ", "kit", "unpack", "/root/kit.tar.zst", "/media/stick/kit"]);
}
