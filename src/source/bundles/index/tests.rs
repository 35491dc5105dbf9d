//! Indexes that are read, and those that are not.

use super::*;

pub(in crate::source::bundles) fn id(c: char) -> CommitId {
    c.to_string().repeat(40).replace('x', "0").parse().unwrap()
}

pub(in crate::source::bundles) fn entry(
    token: u64,
    size: u64,
    tip: char,
    base: Option<char>,
) -> Entry {
    let file = Digested { sha256: format!("{token:064x}"), size };
    Entry { token, file, tip: id(tip), base: base.map(id) }
}

pub(in crate::source::bundles) fn index(entries: Vec<Entry>) -> Index {
    let tip = entries.last().unwrap().tip.clone();
    Index { branch: "main".parse().unwrap(), tip, stated: None, entries }
}

fn sample() -> Index {
    let file = Digested { sha256: "0".repeat(64), size: 700 };
    let head = Some(Noted { id: id('e'), sequence: 7 });
    let stated = Some(Stated { head, reset: None, file, since: 102 });
    let entries = vec![entry(100, 9000, 'a', None), entry(101, 900, 'b', Some('a'))];
    Index { stated, branch: "acme/\"live\"#1".parse().unwrap(), ..index(entries) }
}

#[test]
fn what_is_written_is_read() {
    let text = sample().to_string();
    assert_eq!(Index::read(text.as_bytes()), Ok(sample()));
    insta::assert_snapshot!(text);
}

#[test]
fn each_mistake_is_told_with_its_line() {
    let good = sample().to_string();
    let swapped = |from: &str, to: &str| good.replacen(from, to, 1);
    let told: Vec<String> = [
        ("a captive portal", "\n <!DOCTYPE html><title>Log in</title>".to_owned()),
        ("nothing", String::new()),
        ("another version", swapped("version = 1", "version = 2")),
        ("a later form", swapped("writFormat = 1", "writFormat = 2")),
        ("a key that is not known", swapped("\twritTip", "\twritTop = 1\n\twritTip")),
        ("a key twice", swapped("\tmode = all\n", "\tmode = all\n\tmode = all\n")),
        ("no tip", swapped(&format!("\twritTip = {}\n", id('b')), "")),
        (
            "another tip",
            swapped(&format!("writTip = {}", id('b')), &format!("writTip = {}", id('a'))),
        ),
        ("a short id", swapped(&id('a').to_string(), "aaaa")),
        ("ids of two kinds", swapped(&id('a').to_string(), &"a".repeat(64))),
        ("a file elsewhere", swapped("uri = bundles/", "uri = ../bundles/")),
        ("a server elsewhere", swapped("uri = bundles/", "uri = https://evil.example/")),
        ("a negative size", swapped("writSize = 900\n", "writSize = -1\n")),
        ("a size with a zero in front", swapped("writSize = 900\n", "writSize = 0900\n")),
        ("a bundle called otherwise", swapped("[bundle \"101\"]", "[bundle \"102\"]")),
        (
            "an older bundle last",
            swapped("101\"]", "99\"]").replacen("creationToken = 101", "creationToken = 99", 1),
        ),
        (
            "statements without a bundle",
            good.lines()
                .filter(|l| !l.contains("writStatements"))
                .map(|l| format!("{l}\n"))
                .collect(),
        ),
        ("a branch without quotes", swapped("\"acme/\\\"live\\\"#1\"", "acme")),
        ("two wholes", format!("{good}[bundle]\n")),
        ("another section", format!("{good}[include]\n\tpath = /etc/passwd\n")),
        ("an empty line", format!("{good}\n\n")),
    ]
    .into_iter()
    .map(|(what, text)| format!("{what}: {}", Index::read(text.as_bytes()).unwrap_err()))
    .collect();
    insta::assert_snapshot!(told.join("\n"));
}

proptest::proptest! {
    #[test]
    fn whatever_stands_there_is_read_as_it_is_written_or_refused(
        at in 0usize..900,
        cut in 0usize..40,
        new in "[\\[\\]\"=#\\\\\t\n a-z0-9]{0,20}",
    ) {
        let text = sample().to_string();
        let (at, end) = (at.min(text.len()), (at + cut).min(text.len()));
        fuzz(format!("{}{new}{}", &text[..at], &text[end..]).as_bytes());
    }
}

#[test]
fn an_index_of_any_size_is_refused_at_once() {
    let many: String = (0..1_000_000).map(|n| format!("[bundle \"{n}\"]\n")).collect();
    assert_eq!(Index::read(many.as_bytes()), Err(BadIndex::Large));
    let digit = |n: u64| char::from_digit(u32::try_from(n % 10).unwrap(), 16).unwrap();
    let entries = (1..=129).map(|n| entry(n, 1, digit(n), None)).collect();
    assert!(Index::read(index(entries).to_string().as_bytes()).is_err());
    let most = index((1..=128).map(|n| entry(n, u64::MAX, digit(n), Some(digit(n - 1)))).collect());
    assert!((most.to_string().len() as u64) < LIMIT);
    assert_eq!(Index::read(most.to_string().as_bytes()), Ok(most));
}
