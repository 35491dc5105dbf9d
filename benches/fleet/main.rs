//! Ten thousand hosts that follow one bucket or one git server: `cargo bench --bench fleet`.
//!
//! A sample of them asks real servers in this process by the agent's own sources, and
//! every byte is counted. What was counted is then lived through by all hosts in virtual
//! time, with the agent's own pauses. `WRIT_BENCH_HOSTS=1000` and `WRIT_BENCH_SAMPLE=10`
//! are other numbers. It is not a timed test; docs/scale.md is made of what it prints.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a bench")]

mod git_server;
mod measured;
#[path = "../../tests/fleet/model.rs"]
mod model;
mod sample;
#[path = "../../tests/cache/server.rs"]
mod server;
mod stories;
#[path = "../../tests/cache/town.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod town;
#[path = "../../tests/cache/wire.rs"]
mod wire;

use measured::Measured;
use model::Visit;

fn main() {
    let hosts = number("WRIT_BENCH_HOSTS", 10_000);
    let sample = number("WRIT_BENCH_SAMPLE", 50);
    eprintln!("{sample} hosts ask real servers");
    for measured in measured::both(sample) {
        visits(&measured);
        stories::print(hosts, &measured.costs);
    }
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

fn visits(measured: &Measured) {
    let Measured { name, costs, late, connections, cpu, stored } = measured;
    println!("\n## {name}: a visit, on average\n");
    println!("| | requests | bytes up | bytes down |\n|---|---|---|---|");
    let late = std::slice::from_ref(late);
    for (name, visits) in [
        ("nothing is new", &costs.idle[..]),
        ("one new commit", &costs.news),
        ("everything, 10,000 commits", &costs.first),
        ("40 pushes late", late),
        ("503", &costs.failed),
    ] {
        let mean = |of: fn(&Visit) -> u64| visits.iter().map(of).sum::<u64>() / visits.len() as u64;
        let requests = mean(|visit| visit.requests.len() as u64);
        println!("| {name} | {requests} | {} | {} |", mean(|v| v.up), mean(|v| v.down));
    }
    println!("\nnew connections of an idle look: {connections}; stored: {stored} bytes");
    if let Some([idle, one, all]) = cpu {
        println!("CPU of git on the server: idle {idle:?}, one commit {one:?}, all {all:?}");
    }
}
