//! Closures that arrive.

use std::fs;

use crate::server::Answer;
use crate::shop::{Shop, narinfos, noise};

/// The packed NAR of libc.
const LIBC: &str = "nar/1i4hj2553ivabl5cy9pblpxv8d41crdmg1ckzfiaixfnj1kzwraq.nar.zst";

#[test]
fn a_closure_arrives_in_a_bucket_whole_and_signed() {
    let shop = Shop::open();
    // What all need is the last to get there.
    shop.server.rule(|asked, before| match asked.contains(LIBC) && before < 3 {
        true => Answer::Status(503, ""),
        false => Answer::Normal,
    });
    let first = shop.upload(&shop.url());
    let asked = shop.server.asked();
    assert!(shop.is_complete(&shop.bucket()) && shop.is_clean());
    let info = fs::read_to_string(shop.bucket().join("nix-cache-info")).unwrap();
    let again = shop.upload(&shop.url());
    assert!(!shop.server.was_asked(|asked| asked.starts_with("PUT")));
    insta::assert_snapshot!(format!(
        "{}---\n{info}---\n{}---\n{}",
        shop.told(&first),
        narinfos(&shop.bucket()).join("---\n"),
        shop.told(&again)
    ));
    // References first, and each NAR before what announces it.
    let announced: Vec<&str> = asked
        .iter()
        .filter(|asked| asked.starts_with("PUT") && asked.contains("narinfo"))
        .map(|asked| &asked[14..15])
        .collect();
    assert_eq!(announced, ["0", "1", "2"]);
}

#[test]
fn a_folder_gets_the_same() {
    let shop = Shop::open();
    let folder = shop.dir.path().join("cache");
    let told = shop.told(&shop.upload(&format!("file://{}", folder.display())));
    assert!(told.ends_with("the cache has all of it, signed\nexit 0\n"), "{told}");
    shop.upload(&shop.url());
    assert_eq!(narinfos(&folder), narinfos(&shop.bucket()));
    assert!(shop.is_complete(&folder) && shop.is_clean());
}

#[test]
fn a_large_path_goes_up_in_parts() {
    let shop = Shop::open();
    shop.add('3', "data", &noise(20), "0");
    let told = shop.told(&shop.upload(&shop.url()));
    assert!(told.ends_with("exit 0\n"), "{told}");
    assert!(shop.is_complete(&shop.bucket()) && shop.is_clean());
    let parts = shop.server.asked().iter().filter(|asked| asked.contains("partNumber")).count();
    assert_eq!(parts, 3);
}

#[test]
fn a_server_in_trouble_is_asked_again() {
    const SLOW: &str = "<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>";
    let shop = Shop::open();
    shop.add('3', "data", &noise(17), "0");
    shop.server.rule(|asked, before| match (before, asked.split(' ').next()) {
        (0, _) => Answer::Status(503, SLOW),
        (1, Some("GET" | "HEAD")) => Answer::Cut,
        (1, _) => Answer::Status(500, ""),
        _ => Answer::Normal,
    });
    let told = shop.told(&shop.upload(&shop.url()));
    assert!(told.ends_with("exit 0\n"), "{told}");
    assert!(shop.is_complete(&shop.bucket()));
}

/// The server took it, and its answer was lost.
/// S3 answers so while somebody else's conditional write of the same name goes on.
#[test]
fn a_write_that_meets_another_one_is_tried_again() {
    let shop = Shop::open();
    shop.server.rule(|asked, before| match asked.starts_with("PUT") && before < 2 {
        true => Answer::Status(409, "<Error><Code>ConditionalRequestConflict</Code></Error>"),
        false => Answer::Normal,
    });
    let output = shop.upload(&shop.url());
    assert!(output.status.success(), "{}", shop.told(&output));
    assert!(shop.is_complete(&shop.bucket()));
}

#[test]
fn who_finds_the_own_file_there_goes_on() {
    let shop = Shop::open();
    let whole = shop.upload(&shop.url());
    assert!(whole.status.success());
    fs::remove_file(shop.bucket().join(format!("{}.narinfo", "2".repeat(32)))).unwrap();
    let told = shop.told(&shop.upload(&shop.url()));
    assert!(told.contains("uploaded 1 path:") && told.ends_with("exit 0\n"), "{told}");
    assert!(shop.is_complete(&shop.bucket()));
}
