//! Ten, a hundred and a thousand services on one real host, with the release agent: `cargo bench --bench scale`, as root on Debian.
//!
//! Prints what a round costs as the number of services grows, beside what systemd
//! itself takes for the same units in the same run. `WRIT_BENCH_SERVICES=1000` is that
//! size alone.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is made to be read")]

mod floor;
#[path = "../../tests/lab/mod.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod lab;
mod meter;
mod table;
mod town;

use floor::Floor;
use meter::Meter;
use table::Column;
use town::Town;

const QUIET_ROUNDS: u32 = 20;
const CHANGES: u32 = 5;

fn main() {
    if let Err(why) = lab::fleet::Fleet::new() {
        eprintln!("test hosts cannot be booted here: {}", why.0);
        return;
    }
    let chosen = std::env::var("WRIT_BENCH_SERVICES").ok();
    let sizes = chosen
        .map_or(vec![10, 100, 1000], |text| vec![text.parse().expect("a number of services")]);
    let columns: Vec<Column> = sizes.into_iter().map(measured).collect();
    table::print(&columns);
}

/// One host with so many services, from its first generation on.
fn measured(services: usize) -> Column {
    let town = Town::found(services);
    eprintln!("{services} services: all of them are new");
    let all_new = town.all_changed("first");
    let meter = Meter::on(&town.site);
    eprintln!("{services} services: quiet rounds");
    let mut quiet = Vec::new();
    let round = || meter.until_idle(|| town.nudge());
    let quiet_cpu = meter.cpu(|| quiet.extend((0..QUIET_ROUNDS).map(|_| round())));
    let quiet_calls = meter.calls(|| {
        round();
    });
    let status_cpu = meter.cpu(|| town.sync());
    let quiet_cpu = quiet_cpu / QUIET_ROUNDS;
    eprintln!("  {quiet_cpu:.2?} of CPU, {status_cpu:.2?} with a status");
    eprintln!("{services} services: one changes");
    let mut one = Vec::new();
    let one_cpu = meter.cpu(|| one.extend((0..CHANGES).map(|n| town.one_changed(n))));
    eprintln!("  started after {one:.2?}");
    let one_calls = meter.calls(|| {
        town.one_changed(CHANGES);
    });
    eprintln!("{services} services: what systemd takes");
    let floor = Floor::of(&town);
    eprintln!("  {floor:.2?}");
    eprintln!("{services} services: all of them change");
    let all_changed = town.all_changed("second");
    let memory = meter.memory();
    quiet.sort_unstable();
    one.sort_unstable();
    Column {
        services,
        quiet: quiet[quiet.len() / 2],
        quiet_cpu,
        status_cpu,
        quiet_calls,
        one: one[one.len() / 2],
        one_cpu: one_cpu / CHANGES,
        one_calls,
        all_new,
        all_changed,
        floor,
        memory,
    }
}
