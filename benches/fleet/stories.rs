//! What all hosts live through, as tables.

use std::ops::Range;
use std::time::Duration;

use crate::model::{Begin, Costs, Story, Tally, live};

const NEVER: Range<u64> = 0..0;

pub(crate) fn print(hosts: usize, costs: &Costs) {
    idle(hosts, costs);
    println!(
        "\n| {hosts} hosts | requests/s at most: before | during | after | 50 % | 95 % | 99 % | all |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let row = |name: &str, story: Story| {
        let tally = live(&story, costs);
        println!("| {name} | {} |", cells(&story, tally));
    };
    use Begin::{Boot, Fresh, Running};
    row("a push", story(hosts, Running, 600, NEVER));
    row("a push while it answers 503 for a minute", story(hosts, Running, 600, 600..660));
    row("a push while it answers 503 for ten minutes", story(hosts, Running, 700, 600..1200));
    row("a push, and all boot at once", story(hosts, Boot, 0, NEVER));
    row("all boot at once, 503 for a minute", story(hosts, Boot, 0, 0..60));
    row("all boot at once with nothing", story(hosts, Fresh, 0, NEVER));
    row("the same, 503 for a minute", story(hosts, Fresh, 0, 0..60));
    row("the same, 503 for ten minutes", story(hosts, Fresh, 0, 0..600));
    course("requests/s after all boot at once", &story(hosts, Boot, 0, NEVER), costs);
    course("with nothing, 503 for a minute", &story(hosts, Fresh, 0, 0..60), costs);
}

fn story(hosts: usize, begin: Begin, push: u64, trouble: Range<u64>) -> Story {
    let seconds = Duration::from_secs;
    Story {
        hosts,
        interval: writ::config::Poll::default().interval,
        begin,
        push: Some(seconds(push)),
        trouble: seconds(trouble.start)..seconds(trouble.end),
        length: seconds(push.max(trouble.end) + 600),
    }
}

fn idle(hosts: usize, costs: &Costs) {
    let hour = Duration::from_secs(3600);
    let story = Story { push: None, length: hour, ..story(hosts, Begin::Running, 0, NEVER) };
    let tally = live(&story, costs);
    let (total, most) = (tally.total(), tally.peak(0..3600));
    println!("\n{hosts} hosts, an idle hour: {total} requests, {most} at most in a second,");
    println!("{:.1} MB up, {:.1} MB down", tally.up as f64 / 1e6, tally.down as f64 / 1e6);
}

/// Peaks, and the time from the push, or the end of the trouble, to the shares.
fn cells(story: &Story, mut tally: Tally) -> String {
    let push = story.push.unwrap_or_default().as_secs() as usize;
    let (from, to) = (story.trouble.start.as_secs() as usize, story.trouble.end.as_secs() as usize);
    let begin = if to == 0 { push } else { push.min(from) };
    // What a story without trouble has is the push, for an interval and a quarter.
    let end = if to == 0 { push + 38 } else { to };
    let peaks = [0..begin, begin..end, end..story.length.as_secs() as usize]
        .map(|seconds| tally.peak(seconds).to_string());
    let since = Duration::from_secs(push.max(to) as u64);
    let shares = [50, 95, 99, 100].map(|percent| match tally.share(story.hosts, percent) {
        Some(at) => format!("{:.1} s", at.saturating_sub(since).as_secs_f64()),
        None => "never".to_owned(),
    });
    [peaks.join(" | "), shares.join(" | ")].join(" | ")
}

/// The most in a second, of each five seconds in the first two minutes.
fn course(name: &str, story: &Story, costs: &Costs) {
    let tally = live(story, costs);
    let peaks: Vec<String> = tally.requests[..120]
        .chunks(5)
        .map(|five| five.iter().max().unwrap().to_string())
        .collect();
    println!("\n{name}, at most in each five seconds: {}", peaks.join(" "));
}
