//! What visits of each kind take, from a sample of hosts that really make them.

use std::time::Duration;

use crate::model::{Costs, Visit};
use crate::sample::{Host, Server};
use crate::town::Town;

/// Commits before anything is measured.
const HISTORY: usize = 10_000;
/// Two a working day.
const MONTH: usize = 40;
/// Hosts that begin with nothing.
const FRESH: usize = 3;

/// What was measured at one server.
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) costs: Costs,
    /// A month of pushes late.
    pub(crate) late: Visit,
    /// New connections for an idle look.
    pub(crate) connections: u64,
    /// What git takes on the server for an idle look, for one commit, for everything.
    pub(crate) cpu: Option<[Duration; 3]>,
    /// What the bucket holds after the month, in bytes.
    pub(crate) stored: u64,
}

/// Both servers with the same branch, and what hosts take there.
pub(crate) fn both(sample: usize) -> [Measured; 2] {
    let town = Town::new();
    town.long_history(HISTORY);
    publish(&town, 1);
    let mut bucket = Sample::begun(&town, Server::bucket(&town), sample);
    let mut git = Sample::begun(&town, Server::git(&town), sample);
    town.commit("one more");
    publish(&town, 2);
    bucket.goes_on(&town);
    git.goes_on(&town);
    for number in 0..MONTH {
        town.commit(&format!("commit {number} of a month"));
        publish(&town, number as u64 + 3);
    }
    let stored = stored(&town);
    [bucket.ended(stored), git.ended(stored)]
}

struct Sample {
    server: Server,
    hosts: Vec<Host>,
    connections: u64,
    cpu: Vec<Duration>,
    idle: Vec<Visit>,
    news: Vec<Visit>,
    first: Vec<Visit>,
    failed: Vec<Visit>,
}

impl Sample {
    fn begun(town: &Town, server: Server, sample: usize) -> Self {
        let mut hosts: Vec<Host> = (0..sample).map(|n| server.host(town, n)).collect();
        let whole = server.cpu(&hosts[0], 5);
        let first: Vec<_> = hosts.iter_mut().take(FRESH).map(|h| server.visit(h).0).collect();
        let known = hosts[0].known.clone();
        for host in &mut hosts {
            host.known = known.clone();
            // Its connection is there, and the index has been seen once.
            server.visit(host);
        }
        let idle = server.cpu(&hosts[0], 20);
        let (visits, connections): (Vec<_>, Vec<_>) =
            hosts.iter_mut().map(|host| server.visit(host)).unzip();
        let cpu = idle.into_iter().chain(whole).collect();
        let connections = connections.iter().sum::<u64>() / sample as u64;
        let (news, failed) = (Vec::new(), Vec::new());
        Self { server, hosts, connections, cpu, idle: visits, news, first, failed }
    }

    /// There is one commit more; then there is trouble.
    fn goes_on(&mut self, town: &Town) {
        let Self { server, hosts, .. } = self;
        self.cpu.extend(server.cpu(&hosts[0], 20));
        self.news = hosts.iter_mut().map(|host| server.visit(host).0).collect();
        server.trouble(town, true);
        self.failed = hosts.iter_mut().map(|host| server.visit(host).0).collect();
        server.trouble(town, false);
    }

    fn ended(mut self, stored: u64) -> Measured {
        let late = self.server.visit(&mut self.hosts[0]).0;
        let Self { server, connections, cpu, idle, news, first, failed, .. } = self;
        let cpu = <[Duration; 3]>::try_from(cpu).ok().map(|[idle, all, one]| [idle, one, all]);
        let costs = Costs { idle, news, first, failed };
        Measured { name: server.name, costs, late, connections, cpu, stored }
    }
}

fn publish(town: &Town, sequence: u64) {
    town.state("head", sequence);
    let told = town.mirror(&["--to", &town.s3()]);
    assert!(told.ends_with("exit 0\n"), "{told}");
}

fn stored(town: &Town) -> u64 {
    let files = std::fs::read_dir(town.bucket().join("bundles")).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}
