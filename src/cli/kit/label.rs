//! What a kit says of itself. Hosts do not read it.

use jiff::Timestamp;
use serde::Serialize;

use super::needs::Needs;
use crate::cli::{Blame, Failure};
use crate::plan::step::human_bytes;
use crate::world::nix::Sizes;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Label<'a> {
    version: u64,
    channel: &'a str,
    hosts: Vec<&'a str>,
    commit: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<&'a str>,
    created: String,
    paths: usize,
    /// Bytes of the unpacked closures.
    unpacked: u64,
}

pub(super) fn json(needs: &Needs, sizes: &Sizes) -> Result<String, Failure> {
    let label = Label {
        version: 1,
        channel: &needs.channel,
        hosts: needs.hosts.iter().map(|host| host.as_str()).collect(),
        commit: needs.commit.as_str(),
        since: needs.since.as_ref().map(|since| since.as_str()),
        created: now(),
        paths: sizes.paths,
        unpacked: sizes.unpacked,
    };
    let text = serde_json::to_string_pretty(&label);
    text.map(|text| text + "\n").map_err(|error| Failure::new(Blame::Refused, &error))
}

pub(super) fn readme(needs: &Needs, sizes: &Sizes) -> String {
    let since = needs
        .since
        .as_ref()
        .map_or(String::new(), |since| format!("Only for hosts that have commit {since}.\n"));
    format!(
        "A deploy of {channel} for {hosts}, made {created}.\n\n\
         Commit {commit}; {paths} store paths, {unpacked} unpacked.\n{since}\n\
         On the host, as root, with this folder mounted at /media/stick/kit:\n\n    \
         writ agent --once --source dir:///media/stick/kit    (where no agent runs)\n    \
         writ sync                                            (where its config names this folder)\n\n\
         Commits and closures are signed, and the host checks each signature: whoever had this\n\
         disk in hand can withhold what is on it, and not change it. Nothing on it is secret to\n\
         those who may read the programs themselves.\n\n\
         index, *.bundle    the commits, as git bundles\n\
         cache/             the closures, as a nix binary cache\n\
         receipts/          what hosts have signed of how it went; bring it back with the disk\n",
        channel = needs.channel,
        hosts = needs.names(),
        created = now(),
        commit = needs.commit,
        paths = sizes.paths,
        unpacked = human_bytes(sizes.unpacked),
    )
}

fn now() -> String {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}
