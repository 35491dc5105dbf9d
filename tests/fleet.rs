//! Many hosts and one server: how the agent's pauses spread them. Time is virtual, so an
//! hour of two thousand hosts takes seconds; `cargo bench --bench fleet` measures what a
//! visit costs and tells the numbers of ten thousand.

#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "fleet/model.rs"]
mod model;
#[path = "cache/server.rs"]
mod server;
#[path = "cache/town.rs"]
#[expect(dead_code, reason = "the tests of the cache use all of it")]
mod town;

use std::time::Duration;

use model::{Begin, Costs, Story, Visit, live};
use server::Answer;
use town::Town;

const HOSTS: usize = 2000;
const MINUTE: Duration = Duration::from_secs(60);

/// A request for each visit, and three where the server is in trouble.
fn costs() -> Costs {
    let visit = |requests: &[u64]| {
        let requests = requests.iter().copied().map(Duration::from_millis).collect();
        vec![Visit { requests, up: 1, down: 1 }]
    };
    Costs {
        idle: visit(&[0]),
        news: visit(&[0, 5]),
        first: visit(&[0, 5]),
        failed: visit(&[0, 200, 500]),
    }
}

fn story(begin: Begin) -> Story {
    Story {
        hosts: HOSTS,
        interval: writ::config::Poll::default().interval,
        begin,
        push: None,
        trouble: Duration::ZERO..Duration::ZERO,
        length: 20 * MINUTE,
    }
}

/// Percent of all hosts.
fn percent(requests: u32) -> f64 {
    100.0 * f64::from(requests) / HOSTS as f64
}

#[test]
fn a_visit_takes_as_many_requests_as_the_stories_here_have_it() {
    let town = Town::new();
    town.commit("one");
    town.mirror(&["--to", &town.s3()]);
    let mut host = town.host("a", &town.s3());
    host.follow();
    town.server.asked();
    host.follow();
    let idle = town.server.asked().len();
    town.commit("two");
    town.mirror(&["--to", &town.s3()]);
    town.server.asked();
    host.follow();
    let news = town.server.asked().len();
    town.server.rule(|_, _| Answer::Status(503, "<Error><Code>SlowDown</Code></Error>"));
    host.fetch().unwrap_err();
    let failed = town.server.asked().len();
    let Costs { idle: one, news: two, failed: three, .. } = costs();
    let assumed = [one, two, three].map(|visits| visits[0].requests.len());
    assert_eq!([idle, news, failed], assumed);
}

#[test]
fn hosts_that_run_ask_once_an_interval_and_evenly() {
    let tally = live(&story(Begin::Running), &costs());
    let each = tally.total() as f64 / HOSTS as f64;
    assert!((39.0..41.0).contains(&each), "{each} requests of a host in 20 minutes");
    let most = percent(tally.peak(0..1200));
    assert!(most < 6.0, "{most} % of the hosts in one second");
}

#[test]
fn a_push_reaches_every_host_within_an_interval_and_a_quarter() {
    let push = Some(10 * MINUTE);
    let mut tally = live(&Story { push, ..story(Begin::Running) }, &costs());
    let took = |share: Option<Duration>| (share.unwrap() - 10 * MINUTE).as_secs_f64();
    let (half, all) = (took(tally.share(HOSTS, 50)), took(tally.share(HOSTS, 100)));
    assert!((13.0..18.0).contains(&half), "{half} s");
    assert!((30.0..38.0).contains(&all), "{all} s");
    let most = percent(tally.peak(600..660));
    assert!(most < 11.0, "{most} %: two requests for each");
}

#[test]
fn hosts_that_boot_together_do_not_stay_together() {
    let tally = live(&story(Begin::Boot), &costs());
    assert_eq!(tally.peak(0..1), HOSTS as u32, "each looks at once");
    let second = percent(tally.peak(1..120));
    assert!(second < 10.0, "{second} %");
    let later = percent(tally.peak(600..1200));
    assert!(later < 6.0, "{later} %");
}

#[test]
fn a_server_in_trouble_is_asked_no_more_than_thrice_as_much_and_no_herd_follows() {
    let trouble = 5 * MINUTE..15 * MINUTE;
    let push = Some(6 * MINUTE);
    let mut tally = live(&Story { trouble, push, ..story(Begin::Running) }, &costs());
    let during = percent(tally.peak(300..900));
    assert!(during < 15.0, "{during} %");
    let after = percent(tally.peak(901..1200));
    assert!(after < 11.0, "{after} %");
    let all = tally.share(HOSTS, 100).unwrap();
    assert!(all < 15 * MINUTE + Duration::from_secs(39), "{all:?}");
}

#[test]
fn new_hosts_that_fail_together_do_not_try_again_in_waves() {
    let trouble = Duration::ZERO..10 * MINUTE;
    let tally = live(&Story { trouble, ..story(Begin::Fresh) }, &costs());
    // The first pauses are a second or two; there is little to spread over.
    let (early, later) = (percent(tally.peak(10..30)), percent(tally.peak(30..120)));
    assert!(early < 50.0, "{early} %");
    assert!(later < 25.0, "{later} %");
    let quiet = tally.requests[10..120].iter().min().unwrap();
    assert!(*quiet > 0, "a second in which nobody asks is a wave's trough");
}

#[test]
fn new_hosts_that_wait_for_a_server_from_their_first_second_are_spread_when_it_is_back() {
    let trouble = Duration::ZERO..10 * MINUTE;
    let mut tally = live(&Story { trouble, ..story(Begin::Fresh) }, &costs());
    let after = percent(tally.peak(601..1200));
    assert!(after < 15.0, "{after} %: two requests for each");
    let all = tally.share(HOSTS, 100).unwrap();
    assert!(all < 10 * MINUTE + Duration::from_secs(39), "{all:?}");
}
