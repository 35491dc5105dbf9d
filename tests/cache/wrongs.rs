//! Uploads that are refused, and how that is told.

use std::fs;
use std::process::Output;

use crate::server::Answer;
use crate::shop::{Shop, path};

#[test]
fn each_refusal_says_what_to_do() {
    let shop = Shop::open();
    let url = shop.url();
    let wrong = "[wrong]\naws_access_key_id = AKIATEST\naws_secret_access_key = x\n\
                 [stranger]\naws_access_key_id = AKIANOBODY\naws_secret_access_key = x\n\
                 [sso]\nsso_session = acme\n";
    let file = shop.home().join(".aws/credentials");
    fs::write(&file, fs::read_to_string(&file).unwrap() + wrong).unwrap();
    let mut told = String::new();
    let mut tell = |what: &str, output: Output| {
        told += &format!("# {what}\n{}", shop.told(&output));
    };
    tell("a wrong secret", shop.upload(&url.replace("=ci", "=wrong")));
    tell("an unknown key", shop.upload(&url.replace("=ci", "=stranger")));
    tell("no such profile", shop.upload(&url.replace("=ci", "=ops")));
    tell("single sign-on", shop.upload(&url.replace("=ci", "=sso")));
    tell("no keys at all", shop.upload(&url.replace("profile=ci&", "")));
    tell("TLS with a server that has none", shop.upload(&url.replace("scheme=http&", "")));
    tell("a parameter that is none", shop.upload(&url.replace("profile", "profil")));
    tell("another scheme", shop.upload("ssh://cache.example.org"));
    let unsigned = ["upload", &path('2', "web-1.2"), "--to", &url];
    tell("no signature", shop.command(&unsigned).output().unwrap());
    let nowhere = "<Error><Code>NoSuchBucket</Code></Error>";
    shop.server.rule(move |_, _| Answer::Status(404, nowhere));
    tell("no such bucket", shop.upload(&url));
    for (what, status, body) in [
        ("no right to write", 403, "<Error><Code>AccessDenied</Code></Error>"),
        ("another region", 301, ""),
        (
            "another region, which is told",
            400,
            "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-3</Region></Error>",
        ),
        ("a wrong clock", 403, "<Error><Code>RequestTimeTooSkewed</Code></Error>"),
    ] {
        shop.server.rule(move |asked, _| match asked.starts_with("PUT") {
            true => Answer::Status(status, body),
            false => Answer::Normal,
        });
        tell(what, shop.upload(&url));
    }
    shop.server.well();
    fs::write(shop.home().join("damaged"), path('1', "ssl")).unwrap();
    tell("a damaged store", shop.upload(&url));
    assert!(!told.contains("AKIA"));
    insta::assert_snapshot!(told);
    assert!(shop.is_clean() && crate::shop::narinfos(&shop.bucket()).is_empty());
}

#[test]
fn nothing_that_is_there_is_replaced() {
    let shop = Shop::open();
    assert!(shop.upload(&shop.url()).status.success());
    let narinfo = shop.bucket().join(format!("{}.narinfo", "2".repeat(32)));
    let good = fs::read_to_string(&narinfo).unwrap();
    let nar = good.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap();
    let nar = shop.bucket().join(nar);
    let mut told = String::new();
    let mut tell = |what: &str| {
        let (info, bytes) = (fs::read(&narinfo).ok(), fs::read(&nar).unwrap());
        told += &format!("# {what}\n{}", shop.told(&shop.upload(&shop.url())));
        assert_eq!(info, fs::read(&narinfo).ok());
        assert_eq!(bytes, fs::read(&nar).unwrap());
    };
    fs::write(&narinfo, good.replace("NarSize: 9", "NarSize: 8")).unwrap();
    tell("another build");
    fs::write(&narinfo, good.replace("Sig: k1", "Sig: k2")).unwrap();
    tell("signed by somebody else");
    fs::write(&narinfo, "<html>").unwrap();
    tell("no narinfo");
    fs::remove_file(&narinfo).unwrap();
    fs::write(&nar, "something else").unwrap();
    tell("another NAR");
    insta::assert_snapshot!(told);
}

#[test]
fn a_cache_of_another_store_is_refused() {
    let shop = Shop::open();
    fs::write(shop.bucket().join("nix-cache-info"), "StoreDir: /gnu/store\n").unwrap();
    let told = shop.told(&shop.upload(&shop.url()));
    assert!(told.contains("it is a cache of another store, /gnu/store"), "{told}");
    assert!(!shop.server.was_asked(|asked| asked.starts_with("PUT")));
}

/// That it says so is not believed.
#[test]
fn a_web_cache_that_forgets_is_noticed() {
    let shop = Shop::open();
    shop.server.rule(|asked, _| match asked.starts_with("PUT") {
        true => Answer::Status(201, ""),
        false => Answer::Status(404, ""),
    });
    let told = shop.told(&shop.upload(&format!("http://127.0.0.1:{}", shop.server.port)));
    assert!(told.contains("the cache does not have: /nix/store/0000"), "{told}");
    assert!(told.ends_with("exit 3\n"), "{told}");
}
