//! The reader of hosts' reports against every text that there is.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use writ::condition::Condition;
use writ::report::moment::Moment;
use writ::report::{Flaw, HostReport, Kind, LIMIT, State, Told, joined, verify};
use writ::trust::HostKey;

const KINDS: [Kind; 7] = [
    Kind::Applying,
    Kind::Confirmed,
    Kind::RollingBack,
    Kind::RolledBack,
    Kind::Refused,
    Kind::Waiting,
    Kind::Failed,
];

fn moment() -> impl Strategy<Value = Moment> {
    (0_i64..4_000_000_000).prop_map(|s| jiff::Timestamp::from_second(s).unwrap().into())
}

fn told() -> impl Strategy<Value = Told> {
    (
        proptest::sample::select(&KINDS[..]),
        moment(),
        of(any::<String>()),
        vec(any::<String>(), 0..3),
    )
        .prop_map(|(kind, since, reason, detail)| Told { kind, since, reason, detail })
}

const CONDITIONS: [Condition; 3] = [Condition::Fine, Condition::NotReady, Condition::Failed];

fn state() -> impl Strategy<Value = State> {
    let commit = || of("[0-9a-f]{40}").prop_map(|id| id.map(|id| id.parse().unwrap()));
    let rest = (of(any::<String>()), any::<u16>(), of(moment()), of(moment()));
    let services = proptest::collection::btree_map("[a-z][a-z0-9]{0,9}", any::<String>(), 0..3);
    let services = services
        .prop_map(|all| all.into_iter().map(|(name, how)| (name.parse().unwrap(), how)).collect());
    let judged = (of(proptest::sample::select(&CONDITIONS[..])), services);
    (commit(), commit(), of(any::<u64>()), of(told()), rest, judged).prop_map(
        |(head, commit, generation, verdict, rest, (condition, services))| {
            let (fault, drift, paused, waiting_until) = rest;
            State {
                condition,
                services,
                waiting: Vec::new(),
                head,
                commit,
                generation,
                verdict,
                fault,
                drift: drift.into(),
                paused,
                waiting_until,
            }
        },
    )
}

fn report() -> impl Strategy<Value = HostReport> {
    let names = ("[a-z][a-z0-9-]{0,9}", "[a-z][a-z0-9]{0,9}", any::<String>(), any::<String>());
    (names, moment(), any::<u64>(), any::<u64>(), of(moment()), state()).prop_map(
        |((host, branch, repository, writ), at, sequence, interval, seen, state)| HostReport {
            version: 1,
            repository,
            branch: branch.parse().unwrap(),
            host: host.parse().unwrap(),
            at,
            sequence,
            interval,
            writ,
            seen,
            state,
        },
    )
}

/// A key and a text that it has signed, by ssh-keygen.
fn signed(text: &str) -> (HostKey, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = writ::source::host_key::KeyFile {
        path: dir.path().join("key"),
        host: "biz".parse().unwrap(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let armor = runtime.block_on(file.sign(text)).unwrap();
    let key = runtime.block_on(file.public()).unwrap().parse().unwrap();
    (key, joined(text, &armor))
}

proptest! {
    #[test]
    fn what_is_written_is_read(report in report()) {
        let text = report.text().unwrap();
        prop_assert_eq!(HostReport::read(&text).unwrap(), report);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300), report in report(), at in any::<prop::sample::Index>()) {
        writ::report::fuzz(&bytes);
        // Near to a report, too.
        let mut text = report.text().unwrap().into_bytes();
        let at = at.index(text.len());
        text.splice(at..at, bytes);
        writ::report::fuzz(&text);
    }
}

#[test]
fn a_report_with_any_byte_changed_added_or_left_out_does_not_count() {
    let text = include_str!("../fuzz/seeds/report/confirmed");
    let (key, whole) = signed(text);
    let whole = whole.into_bytes();
    assert!(verify(&whole, &key).is_ok());
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert!(verify(&changed, &key).is_err(), "byte {at} changed");
        let mut less = whole.clone();
        less.remove(at);
        // The armor's lines may have any width.
        let width = whole[at] == b'\n' && at > text.len();
        assert!(width || verify(&less, &key).is_err(), "byte {at} left out");
        let more = [&whole[..at], b"x", &whole[at..]].concat();
        assert!(verify(&more, &key).is_err(), "a byte added at {at}");
    }
    assert!(verify(&[&whole[..], b"x"].concat(), &key).is_err());
}

#[test]
fn reports_of_other_versions_or_sizes_are_told_as_such() {
    let text = include_str!("../fuzz/seeds/report/confirmed");
    let (key, whole) = signed(&text.replace("\"version\": 1", "\"version\": 2"));
    assert_eq!(verify(whole.as_bytes(), &key), Err(Flaw::Version(2)));
    let (key, whole) = signed(&text.replace("\"drift\": 0", "\"drift\": 0, \"later\": [1]"));
    assert!(verify(whole.as_bytes(), &key).is_ok(), "a newer program may say more");
    let long = format!("{text}{}", " ".repeat(LIMIT));
    assert_eq!(verify(long.as_bytes(), &key), Err(Flaw::TooLarge));
    assert_eq!(verify(text.as_bytes(), &key), Err(Flaw::Unsigned));
}
