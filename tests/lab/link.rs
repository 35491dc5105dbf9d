//! Links that carry little, or lose what they carry.

use super::host::Host;

/// What becomes of packets on their way to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Clear,
    /// 1 Mbit/s.
    Slow,
    /// Three in ten are lost, by chance.
    Lossy,
}

const CLEAR: &str = "
    tc qdisc del dev $1 root 2>/dev/null || true
    tc qdisc del dev $1 clsact 2>/dev/null || true";

/// Many kernels lack netem. What drops packets here is a BPF program of four lines: load
/// a random word, compare it with 0.7 * 2^32, drop (2), pass (0).
const LOSSY: &str = "
    tc qdisc add dev $1 clsact
    tc filter add dev $1 egress bpf da \\
        bytecode '4,32 0 0 4294963256,37 0 1 3006477107,6 0 0 2,6 0 0 0'";

const SLOW: &str = "tc qdisc add dev $1 root tbf rate 1mbit burst 16kb latency 400ms";

impl Host {
    /// From now on.
    pub(crate) fn link_is(&self, link: Link) {
        let script = match link {
            Link::Clear => "",
            Link::Slow => SLOW,
            Link::Lossy => LOSSY,
        };
        self.on_its_port(CLEAR);
        self.on_its_port(script);
    }

    /// How many packets were lost since [`Host::link_is`].
    pub(crate) fn lost(&self) -> u64 {
        let told =
            self.on_its_port("tc -s qdisc show dev $1 | sed -n 's/.*dropped \\([0-9]*\\).*/\\1/p'");
        told.split_whitespace().filter_map(|n| n.parse::<u64>().ok()).sum()
    }
}
