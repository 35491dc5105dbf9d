//! `writ kit`: git, keys and disks are real, nix is a stand-in.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::carrier::Carrier;
use crate::server::{Answer, Files, Server};
use crate::shop::{narinfos, noise, path};

/// Every file below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.insert(
                    path.strip_prefix(folder).unwrap().to_owned(),
                    fs::read(&path).unwrap(),
                );
            }
        }
    }
    found
}

#[test]
fn a_kit_has_the_commits_and_every_path_signed() {
    let carrier = Carrier::open();
    let made = carrier.kit(&["--key", "cache.sec"]);
    assert!(carrier.shop.is_complete(&carrier.cache()) && carrier.shop.is_clean());
    assert_eq!(carrier.carried(), "012");
    let again = carrier.kit(&["--key", "cache.sec"]);
    insta::assert_snapshot!(format!("{}---\n{}", carrier.told(&made), carrier.told(&again)));
    // Stock git reads what hosts read.
    let clone = carrier.shop.dir.path().join("clone");
    let index = carrier.out().join("index");
    let uri = format!("--bundle-uri={}", index.display());
    let deploy = carrier.deploy();
    carrier.git(
        &carrier.shop.home(),
        &["clone", "--quiet", &uri, deploy.to_str().unwrap(), clone.to_str().unwrap()],
    );
    let label = fs::read_to_string(carrier.out().join("kit.json")).unwrap();
    let label: serde_json::Value = serde_json::from_str(&label).unwrap();
    assert_eq!(label["commit"], carrier.git(&deploy, &["rev-parse", "HEAD"]));
    assert_eq!((&label["hosts"][0], &label["paths"]), (&"biz".into(), &3.into()));
    for name in ["cache/nar", "cache/realisations", "cache/log"] {
        assert!(carrier.out().join(name).is_dir(), "{name}");
    }
    // The secret half of a key is nowhere.
    for (name, bytes) in files(&carrier.out()) {
        assert!(!String::from_utf8_lossy(&bytes).contains("BwcHBwcH"), "{}", name.display());
    }
}

#[test]
fn what_the_local_store_has_unsigned_or_not_at_all_is_copied_from_a_cache_as_it_is() {
    let carrier = Carrier::open();
    carrier.fill_bucket();
    let refused = carrier.told(&carrier.kit(&[]));
    assert!(refused.contains("no key that hosts trust has signed it"), "{refused}");
    assert!(refused.ends_with("exit 1\n") && !carrier.out().exists(), "{refused}");
    // One path is gone from here.
    fs::remove_file(carrier.shop.home().join("db").join(&path('1', "ssl")[11..])).unwrap();
    fs::remove_file(carrier.shop.home().join("db").join(&path('2', "web-1.2")[11..])).unwrap();
    let made = carrier.told(&carrier.kit(&["--from", &carrier.shop.url()]));
    assert!(made.ends_with("exit 0\n"), "{made}");
    assert_eq!(narinfos(&carrier.cache()), narinfos(&carrier.shop.bucket()));
    let nars = |folder: &Path| files(&folder.join("nar"));
    assert_eq!(nars(&carrier.cache()), nars(&carrier.shop.bucket()));
    assert!(carrier.shop.is_clean());
}

#[test]
fn a_cache_that_sends_something_else_is_told_and_there_is_no_kit() {
    let carrier = Carrier::open();
    carrier.fill_bucket();
    let nar = fs::read_dir(carrier.shop.bucket().join("nar")).unwrap().next().unwrap().unwrap();
    let mut bytes = fs::read(nar.path()).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(nar.path(), &bytes).unwrap();
    let told = carrier.told(&carrier.kit(&["--from", &carrier.shop.url()]));
    assert!(told.contains("it is not what the cache announces"), "{told}");
    bytes.push(0);
    fs::write(nar.path(), &bytes).unwrap();
    let told = carrier.told(&carrier.kit(&["--from", &carrier.shop.url()]));
    assert!(told.contains("announced bytes came") && told.ends_with("exit 3\n"), "{told}");
    assert!(!carrier.out().join("index").exists() && carrier.shop.is_clean());
}

#[test]
fn a_second_kit_has_what_came_since_and_one_folder_grows() {
    let carrier = Carrier::open();
    let first = carrier.git(&carrier.deploy(), &["rev-parse", "HEAD"]);
    assert!(carrier.kit(&["--key", "cache.sec"]).status.success());
    let before = files(&carrier.out());
    carrier.shop.add('3', "web-1.3", b"a better service", "013");
    carrier.web(&path('3', "web-1.3"), "");
    let archive = carrier.shop.dir.path().join("thin.tar.zst");
    let thin = ["--since", &first, "--key", "cache.sec", "--out", archive.to_str().unwrap()];
    let told = carrier.told(&carrier.kit(&thin));
    assert!(told.contains("\n1 path, 16 B unpacked"), "{told}");
    let unpacked = carrier.shop.dir.path().join("unpacked");
    carrier.fine(&["kit", "unpack", archive.to_str().unwrap(), unpacked.to_str().unwrap()]);
    assert_eq!(narinfos(&unpacked.join("cache")).len(), 1);
    assert!(unpacked.join("index").is_file() && unpacked.join("kit.json").is_file());
    // The folder of the first gets what it lacks; nothing that was there is changed.
    assert!(carrier.kit(&["--key", "cache.sec"]).status.success());
    assert_eq!(carrier.carried(), "0123");
    let after = files(&carrier.out());
    for (name, bytes) in before.iter().filter(|(name, _)| name.components().count() > 1) {
        assert_eq!(after.get(name), Some(bytes), "{}", name.display());
    }
}

#[test]
fn an_archive_is_written_in_one_order() {
    let carrier = Carrier::open();
    let archive = |name: &str| {
        let archive = carrier.shop.dir.path().join(name);
        let args = ["--key", "cache.sec", "--out", archive.to_str().unwrap()];
        assert!(carrier.kit(&args).status.success());
        let listed = Command::new("tar").arg("--zstd").arg("-tf").arg(archive).output().unwrap();
        String::from_utf8(listed.stdout).unwrap()
    };
    let one = archive("one.tar.zst");
    assert_eq!(one, archive("two.tar.zst"));
    assert!(one.starts_with("cache/\n") && one.ends_with("\nindex\n"), "{one}");
    assert_eq!(one.matches(".narinfo\n").count(), 3);
}

#[test]
fn who_stops_a_kit_leaves_none_and_the_next_run_goes_on() {
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let carrier = Carrier::open();
        carrier.shop.add('3', "data", &noise(4), "0");
        carrier.shop.add('4', "web-1.3", b"large", "03");
        carrier.web(&path('4', "web-1.3"), "");
        let uploading =
            ["upload", &path('4', "web-1.3"), "--key", "cache.sec", "--to", &carrier.shop.url()];
        carrier.fine(&uploading);
        // The bucket falls silent at the last path, which needs the others.
        let last =
            fs::read_to_string(carrier.shop.bucket().join(format!("{}.narinfo", "4".repeat(32))));
        let last =
            last.unwrap().lines().find_map(|line| line.strip_prefix("URL: ").map(str::to_owned));
        let last = last.unwrap();
        carrier.shop.server.rule(move |asked, _| match asked.contains(&last) {
            true => Answer::Silence,
            false => Answer::Normal,
        });
        let url = carrier.shop.url();
        let child = carrier.command(&["--from", &url]).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        let second = carrier.cache().join(format!("{}.narinfo", "3".repeat(32)));
        while !second.exists() {
            assert!(Instant::now() < end, "it never came to the second path");
            std::thread::sleep(Duration::from_millis(10));
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        let stopped = child.wait_with_output().unwrap();
        if signal != Signal::KILL {
            let told = carrier.told(&stopped);
            assert!(told.contains("error: stopped") && told.ends_with("exit 3\n"), "{told}");
        }
        assert!(!carrier.out().join("index").exists());
        assert!(carrier.shop.is_complete(&carrier.cache()));
        carrier.shop.server.well();
        carrier.shop.server.asked();
        let again = carrier.told(&carrier.kit(&["--from", &url]));
        assert!(again.contains("wrote 1 path,") && again.ends_with("exit 0\n"), "{again}");
        assert!(carrier.out().join("index").exists() && carrier.shop.is_clean());
    }
}

#[test]
fn a_kit_that_its_host_would_refuse_is_not_made() {
    let carrier = Carrier::open();
    let kit = |args: &[&str]| carrier.told(&carrier.kit(args));
    let stranger =
        carrier.shop.command(&["kit", "--repo", "deploy", "--host", "nobody", "--out", "x"]);
    let stranger = { stranger }.output().unwrap();
    assert!(carrier.told(&stranger).contains("the manifest names no host `nobody`"));
    let digest = format!("closureDigest = \"sha256:{}\"", "0".repeat(64));
    carrier.web(&path('2', "web-1.2"), &digest);
    let told = kit(&["--key", "cache.sec"]);
    assert!(told.contains("the manifest says sha256:0000") && told.ends_with("exit 1\n"), "{told}");
    carrier.git(
        &carrier.deploy(),
        &["commit", "--quiet", "--no-gpg-sign", "--no-verify", "--allow-empty", "-m", "x"],
    );
    let told = kit(&["--key", "cache.sec"]);
    assert!(told.contains("unsigned") && told.ends_with("exit 1\n"), "{told}");
    let told = kit(&["--key", "cache.sec", "--rev", "HEAD~2", "--since", "HEAD~1"]);
    assert!(told.contains("does not follow") && told.ends_with("exit 2\n"), "{told}");
    assert!(!carrier.out().exists());
}

#[test]
fn somebody_else_s_folder_is_left_alone_and_what_does_not_fit_is_not_begun() {
    let carrier = Carrier::open();
    fs::create_dir_all(carrier.out()).unwrap();
    fs::write(carrier.out().join("holiday.jpg"), "x").unwrap();
    let told = carrier.told(&carrier.kit(&["--key", "cache.sec"]));
    assert!(told.contains("it is no kit, and something is in it: holiday.jpg"), "{told}");
    assert_eq!(files(&carrier.out()).len(), 1);
    fs::remove_file(carrier.out().join("holiday.jpg")).unwrap();
    let dry = carrier.told(&carrier.kit(&["--key", "cache.sec", "--dry-run"]));
    assert!(dry.contains("\n3 paths, 33 B unpacked, at most 225 B in the kit\n"), "{dry}");
    assert!(files(&carrier.out()).is_empty());
    fs::set_permissions(carrier.out(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_statement_about_the_head_is_missed_where_the_host_requires_one() {
    let carrier = Carrier::open();
    let key = ["-q", "-t", "ed25519", "-N", "", "-C", "herald", "-f"];
    let herald = carrier.shop.home().join("herald");
    assert!(Command::new("ssh-keygen").args(key).arg(&herald).output().unwrap().status.success());
    let kit = |args: &[&str]| carrier.told(&carrier.kit(&[args, &["--key", "cache.sec"]].concat()));
    // Nobody can state anything, and no host can require it.
    assert!(!kit(&["--dry-run"]).contains("warning"), "{}", kit(&["--dry-run"]));
    let listed =
        ["trust", "add-signer", "herald", "--key", "herald.pub", "--namespaces", "writ-head"];
    let mut add = carrier.shop.command(&listed);
    let added = add.arg("--repo").arg("deploy").output().unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    carrier.git(&carrier.deploy(), &["commit", "--quiet", "-S", "--no-verify", "-am", "a herald"]);
    let told = kit(&["--dry-run"]);
    assert!(told.contains("warning: there is no statement about the head"), "{told}");
    assert!(told.contains("a host with requireHead will wait"), "{told}");
    let state = |expires: &str| {
        carrier.fine(&[
            "trust",
            "head",
            "--key",
            "herald",
            "--expires",
            expires,
            "--repo",
            "deploy",
            "main",
        ]);
    };
    state("2h");
    assert!(kit(&["--dry-run"]).contains("expires at"), "{}", kit(&["--dry-run"]));
    state("72h");
    assert!(!kit(&["--dry-run"]).contains("warning"), "{}", kit(&["--dry-run"]));
    carrier.web(&path('2', "web-1.2"), "# later");
    assert!(kit(&["--dry-run"]).contains("is for commit"), "{}", kit(&["--dry-run"]));
}

/// A web server over a folder, as simple as they come; it ends with the test's process.
fn served(folder: PathBuf) -> String {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let Some(Ok(first)) = lines.next() else { continue };
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let name = first.split(' ').nth(1).unwrap().split('?').next().unwrap().to_owned();
            let (status, body) = match fs::read(folder.join(name.trim_start_matches('/'))) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    url
}

/// Such as nix-serve: nothing is packed, and no narinfo tells a file's hash or size.
#[test]
fn a_cache_over_http_that_tells_little_is_copied_into_one_that_tells_all() {
    let carrier = Carrier::open();
    let folder = carrier.shop.dir.path().join("http");
    let to = format!("file://{}", folder.display());
    assert!(carrier.shop.upload(&to).status.success());
    for file in fs::read_dir(&folder).unwrap() {
        let file = file.unwrap().path();
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let Some(place) = text.lines().find_map(|line| line.strip_prefix("URL: ")) else {
            continue;
        };
        let bare = format!("{}?hash=1", place.trim_end_matches(".zst"));
        let nar = zstd::decode_all(fs::read(folder.join(place)).unwrap().as_slice()).unwrap();
        fs::write(folder.join(place.trim_end_matches(".zst")), nar).unwrap();
        let kept = |line: &&str| !line.starts_with("File");
        let text: String = text.lines().filter(kept).map(|line| format!("{line}\n")).collect();
        let text = text.replace(place, &bare).replace("Compression: zstd", "Compression: none");
        fs::write(&file, text).unwrap();
    }
    let url = served(folder);
    let told = carrier.told(&carrier.kit(&["--from", &url]));
    assert!(told.contains("wrote 3 paths, 33 B") && told.ends_with("exit 0\n"), "{told}");
    let texts = narinfos(&carrier.cache());
    assert!(
        texts[0].contains("\nFileHash: sha256:") && texts[0].contains("\nFileSize: 9\n"),
        "{texts:?}"
    );
    let again = carrier.told(&carrier.kit(&["--from", &url]));
    assert!(again.contains("no path was missing"), "{again}");
}

/// The same netrc that nix has for it.
#[test]
fn a_cache_that_asks_for_a_password_is_copied_from_where_nix_has_one() {
    let carrier = Carrier::open();
    let home = carrier.shop.home();
    let root = carrier.shop.dir.path().join("web");
    assert!(carrier.shop.upload(&format!("file://{}", root.display())).status.success());
    // `ci:pa55w0rd`
    let files = Files { root, login: Some("Basic Y2k6cGE1NXcwcmQ="), conditions: true };
    let web = Server::web(files);
    let url = format!("http://127.0.0.1:{}", web.port);
    let kit = |netrc: &str, text: &str| {
        fs::write(home.join("netrc-file"), home.join(netrc).display().to_string()).unwrap();
        fs::write(home.join("passwords"), text).unwrap();
        let ran = carrier.kit(&["--from", &url]);
        let all = format!("{}{}", carrier.told(&ran), String::from_utf8_lossy(&ran.stderr));
        assert!(!all.contains("pa55w0rd") && !all.contains("0ther") && !all.contains("Y2k6"));
        carrier.told(&ran).replace(&format!(":{}", web.port), ":PORT")
    };
    let mut told = String::new();
    for (what, netrc, text) in [
        ("no netrc", "none", ""),
        ("none that can be read", "", ""),
        ("another password", "passwords", "machine 127.0.0.1 login ci password 0ther"),
        ("the password", "passwords", "machine 127.0.0.1 login ci password pa55w0rd"),
    ] {
        told += &format!("# {what}\n{}", kit(netrc, text));
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_newer_kit_in_the_folder_stays() {
    let carrier = Carrier::open();
    carrier.web(&path('2', "web-1.2"), "# later");
    assert!(carrier.kit(&["--key", "cache.sec"]).status.success());
    let before = files(&carrier.out());
    let told = carrier.told(&carrier.kit(&["--key", "cache.sec", "--rev", "HEAD~1"]));
    assert!(
        told.contains("a kit of a newer commit is there") && told.ends_with("exit 1\n"),
        "{told}"
    );
    assert_eq!(files(&carrier.out()), before);
}

#[test]
fn only_the_host_s_own_word_tells_what_it_has() {
    let carrier = Carrier::open();
    let first = carrier.git(&carrier.deploy(), &["rev-parse", "HEAD"]);
    let home = carrier.shop.home();
    for name in ["biz.key", "other.key"] {
        let key = ["-q", "-t", "ed25519", "-N", "", "-C", "host", "-f", name];
        assert!(
            Command::new("ssh-keygen")
                .args(key)
                .current_dir(&home)
                .output()
                .unwrap()
                .status
                .success()
        );
    }
    let public = fs::read_to_string(home.join("biz.key.pub")).unwrap();
    let public = public.rsplit_once(' ').unwrap().0;
    fs::write(
        carrier.deploy().join("manifests/hosts/biz.toml"),
        format!("reportKey = \"{public}\"\n"),
    )
    .unwrap();
    carrier.shop.add('3', "web-1.3", b"a better service", "013");
    carrier.web(&path('3', "web-1.3"), "");
    let receipt = |host: &str, commit: &str, key: &str| {
        let text = format!(
            "{{\"version\":1,\"repository\":\"acme\",\"branch\":\"main\",\"host\":\"{host}\",\"at\":\"2026-01-01T00:00:00Z\",\"sequence\":1,\"interval\":900,\"writ\":\"0\",\"commit\":\"{commit}\"}}\n"
        );
        fs::write(home.join("text"), &text).unwrap();
        let _ = fs::remove_file(home.join("text.sig"));
        let sign = ["-Y", "sign", "-q", "-n", "writ-status", "-f", key, "text"];
        assert!(
            Command::new("ssh-keygen")
                .args(sign)
                .current_dir(&home)
                .output()
                .unwrap()
                .status
                .success()
        );
        let signed = text + &fs::read_to_string(home.join("text.sig")).unwrap();
        fs::write(home.join("biz.status"), signed).unwrap();
        let args = ["--receipt", "biz.status", "--key", "cache.sec", "--dry-run"];
        carrier.told(&carrier.kit(&args))
    };
    let good = receipt("biz", &first, "biz.key");
    assert!(good.contains("\n1 path, 16 B unpacked"), "{good}");
    let forged = receipt("biz", &first, "other.key");
    assert!(
        forged.contains("does not count: bad signature") && forged.ends_with("exit 1\n"),
        "{forged}"
    );
    let other = receipt("db", &first, "biz.key");
    assert!(other.contains("it is of the host db"), "{other}");
    let unknown = receipt("biz", &"5".repeat(40), "biz.key");
    assert!(
        unknown.contains("does not follow 55555555") && unknown.ends_with("exit 2\n"),
        "{unknown}"
    );
}

#[test]
fn a_signature_counts_if_the_host_trusts_its_key() {
    const KEY: &str = "k1:6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=";
    let carrier = Carrier::open();
    carrier.fill_bucket();
    let introduction = carrier.git(&carrier.deploy(), &["rev-list", "--max-parents=0", "HEAD"]);
    let public = carrier.shop.home().join(".ssh/id_ed25519.pub");
    let listed = Command::new("ssh-keygen").arg("-lf").arg(public).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let introducer = listed.split(' ').nth(1).unwrap();
    let kit = |keys: &str, args: &[&str]| {
        let config = format!(
            "host = \"biz\"\n[repository]\nid = \"acme\"\nbranch = \"main\"\nurl = \"file:///srv\"\nrequireHead = true\nintroduction = \"{introduction}\"\nintroducer = \"{introducer}\"\n[nix]\ntrustedPublicKeys = [\"{keys}\"]\n"
        );
        let file = carrier.shop.home().join("agent.toml");
        fs::write(&file, config).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let all = ["--host-config", "agent.toml", "--dry-run"];
        carrier.told(&carrier.kit(&[&all[..], args].concat()))
    };
    let url = carrier.shop.url();
    for args in [&["--from", url.as_str()][..], &["--key", "cache.sec"]] {
        let good = kit(KEY, args);
        assert!(good.ends_with("exit 0\n"), "{good}");
        assert!(good.contains("the host requires one and will wait"), "{good}");
        let stranger = kit("k1:j8puWMXyQU0Rff+8c1F6yXhQpPURHmV+kPaMzh0N0Yg=", args);
        assert!(stranger.contains("no key that hosts trust has signed it"), "{stranger}");
    }
}
