//! Closures that are put on web servers.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use crate::server::{Answer, Files, Server};
use crate::shop::{Shop, narinfos, noise, path};

const PASSWORD: &str = "pa55w0rd";
/// `ci:pa55w0rd`, as browsers send it.
const LOGIN: &str = "Basic Y2k6cGE1NXcwcmQ=";

struct Place {
    shop: Shop,
    web: Server,
}

impl Place {
    fn open(login: Option<&'static str>, conditions: bool) -> Self {
        let shop = Shop::open();
        let root = shop.dir.path().join("web");
        fs::create_dir_all(&root).unwrap();
        let netrc = format!("machine 127.0.0.1 login ci password {PASSWORD}\n");
        fs::write(shop.home().join("netrc"), netrc).unwrap();
        let wrong = "machine 127.0.0.1 login ci password other\n";
        fs::write(shop.home().join("wrong.netrc"), wrong).unwrap();
        Self { web: Server::web(Files { root, login, conditions }), shop }
    }

    fn folder(&self) -> PathBuf {
        self.shop.dir.path().join("web/cache")
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/cache", self.web.port)
    }

    fn upload(&self, more: &[&str]) -> Output {
        let mut writ = self.shop.uploading(&self.url());
        writ.env("NIX_CONF_DIR", self.shop.home().join("nix")).args(more).output().unwrap()
    }

    fn told(&self, output: &Output) -> String {
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains(PASSWORD) && !text.contains("Y2k6"), "{text}");
        self.shop.told(output).replace(&format!(":{}", self.web.port), ":PORT")
    }

    fn is_whole(&self) -> bool {
        narinfos(&self.folder()).len() == 3
            && self.shop.is_complete(&self.folder())
            && self.shop.is_clean()
    }
}

#[test]
fn a_closure_arrives_on_a_web_server_as_in_a_bucket() {
    let place = Place::open(Some(LOGIN), true);
    let first = place.told(&place.upload(&["--netrc", "netrc"]));
    assert!(place.is_whole(), "{first}");
    place.shop.upload(&place.shop.url());
    assert_eq!(narinfos(&place.folder()), narinfos(&place.shop.bucket()));
    place.web.asked();
    // Nix's own file is as good as one that is named.
    fs::create_dir(place.shop.home().join("nix")).unwrap();
    fs::rename(place.shop.home().join("netrc"), place.shop.home().join("nix/netrc")).unwrap();
    let again = place.told(&place.upload(&[]));
    assert!(!place.web.was_asked(|asked| asked.starts_with("PUT")));
    insta::assert_snapshot!(format!("{first}---\n{again}"));
}

/// `netrc-file` of a nix.conf, of the environment, of who knows where: nix is asked.
#[test]
fn the_password_is_looked_for_where_nix_says_that_it_is() {
    let place = Place::open(Some(LOGIN), true);
    let (home, dir) = (place.shop.home(), place.shop.dir.path());
    fs::rename(home.join("netrc"), dir.join("pass words")).unwrap();
    fs::write(home.join("netrc-file"), format!("{}\n", dir.join("pass words").display())).unwrap();
    let told = place.told(&place.upload(&[]));
    assert!(place.is_whole(), "{told}");
    // One that is named counts alone.
    let told = place.told(&place.upload(&["--netrc", "wrong.netrc"]));
    assert!(told.contains("it does not know this user and password"), "{told}");
}

#[test]
fn what_a_web_server_has_is_never_replaced() {
    for conditions in [true, false] {
        let place = Place::open(None, conditions);
        fs::create_dir_all(place.folder()).unwrap();
        fs::write(place.folder().join("nix-cache-info"), "StoreDir: /nix/store\nPriority: 7\n")
            .unwrap();
        assert!(place.upload(&[]).status.success());
        let nars: Vec<PathBuf> = fs::read_dir(place.folder().join("nar"))
            .unwrap()
            .map(|nar| nar.unwrap().path())
            .collect();
        for nar in &nars {
            fs::write(nar, "other").unwrap();
        }
        let libc = place.folder().join(format!("{}.narinfo", "0".repeat(32)));
        fs::remove_file(libc).unwrap();
        place.web.asked();
        let told = place.told(&place.upload(&[]));
        assert!(told.contains("another file in its place") && told.ends_with("exit 1\n"), "{told}");
        assert!(!place.web.was_asked(|asked| asked.starts_with("PUT")));
        assert!(nars.iter().all(|nar| fs::read(nar).unwrap() == b"other"));
    }
}

/// The other one's narinfo comes between our look and our upload.
#[test]
fn who_is_second_at_a_name_leaves_it_to_the_first() {
    let place = Place::open(None, true);
    let (folder, name) = (place.folder(), format!("{}.narinfo", "0".repeat(32)));
    fs::create_dir_all(&folder).unwrap();
    place.web.rule(move |asked, _| {
        if asked.starts_with("PUT") && asked.ends_with(&name) {
            fs::write(folder.join(&name), "theirs").unwrap();
        }
        Answer::Normal
    });
    let told = place.told(&place.upload(&[]));
    assert!(told.contains("something else in the place of"), "{told}");
    let there = place.folder().join(format!("{}.narinfo", "0".repeat(32)));
    assert_eq!(fs::read_to_string(there).unwrap(), "theirs");
}

#[test]
fn a_web_server_in_trouble_is_asked_again_and_a_stopped_upload_goes_on() {
    let place = Place::open(None, true);
    place.shop.add('3', "data", &noise(20), "0");
    place.web.rule(|asked, before| match (before, asked.split(' ').next()) {
        (0, Some("PUT")) => Answer::Cut,
        (0, _) => Answer::Status(429, ""),
        (1, _) if !asked.contains("narinfo") => Answer::Status(503, ""),
        _ if asked.starts_with("PUT") && asked.contains("2222.narinfo") => Answer::Status(400, ""),
        _ => Answer::Normal,
    });
    let broken = place.told(&place.upload(&[]));
    assert!(broken.ends_with("exit 1\n"), "{broken}");
    assert!(place.shop.is_complete(&place.folder()) && place.shop.is_clean());
    let there = narinfos(&place.folder()).len();
    assert!((1..4).contains(&there), "{there}");
    place.web.well();
    place.web.asked();
    let told = place.told(&place.upload(&[]));
    assert!(told.ends_with("exit 0\n"), "{told}");
    assert!(narinfos(&place.folder()).len() == 4 && place.shop.is_complete(&place.folder()));
    let asked = place.web.asked();
    let announced =
        asked.iter().filter(|asked| asked.starts_with("PUT") && asked.contains("narinfo"));
    assert_eq!(announced.count(), 4 - there);
}

#[test]
fn each_refusal_of_a_web_server_says_what_to_do() {
    let place = Place::open(Some(LOGIN), true);
    let mut told = String::new();
    let mut tell = |what: &str, output: Output| {
        told += &format!("# {what}\n{}", place.told(&output));
    };
    tell("no password", place.upload(&[]));
    tell("a wrong password", place.upload(&["--netrc", "wrong.netrc"]));
    tell("no such netrc", place.upload(&["--netrc", "none"]));
    fs::write(place.shop.home().join("netrc-file"), "/\n").unwrap();
    tell("a netrc of nix's that cannot be read", place.upload(&[]));
    fs::write(place.shop.home().join("netrc-file"), "broken\n").unwrap();
    tell("a nix that does not tell where it is", place.upload(&[]));
    fs::remove_file(place.shop.home().join("netrc-file")).unwrap();
    for (what, status) in [
        ("no right to write", 403),
        ("it takes no uploads", 405),
        ("no folder there", 409),
        ("too large", 413),
        ("elsewhere", 307),
        ("a request that it does not like", 400),
        ("no room", 507),
        ("trouble that stays", 500),
    ] {
        place.web.rule(move |asked, _| match asked.starts_with("PUT") {
            true => Answer::Status(status, ""),
            false => Answer::Normal,
        });
        tell(what, place.upload(&["--netrc", "netrc"]));
    }
    let bad = |url: &str| {
        let args = ["upload", &path('2', "web-1.2"), "--to", url];
        place.shop.command(&args).output().unwrap()
    };
    tell("a password in the URL", bad(&format!("https://ci:{PASSWORD}@cache.example.org")));
    tell("an option", bad("https://cache.example.org?compression=xz"));
    assert!(!place.folder().exists() && place.shop.is_clean());
    insta::assert_snapshot!(told);
}
