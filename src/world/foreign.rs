//! Finds what of a host somebody else has: directories below /var/lib, and loopback ports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::names::{AccountName, Literal};

/// Those of `directories` that exist and belong to another than the account that is to
/// have them; to whoever it may be where none is named.
pub(super) fn directories(
    root: &Path,
    directories: &BTreeMap<Literal, Option<AccountName>>,
) -> BTreeSet<Literal> {
    let foreign = |name: &Literal, account: &Option<AccountName>| {
        // Of a dynamic user systemd keeps it in `private`, with a link (systemd.exec(5)).
        let places = [root.join(name.as_str()), root.join("private").join(name.as_str())];
        let found = places.iter().find_map(|path| fs::symlink_metadata(path).ok());
        let user = account.as_ref().and_then(|name| uzers::get_user_by_name(name.as_str()));
        found.is_some_and(|found| user.is_none_or(|user| user.uid() != found.uid()))
    };
    directories
        .iter()
        .filter(|(name, account)| foreign(name, account))
        .map(|(name, _)| name.clone())
        .collect()
}

/// Those of `ports` on which a process listens that is none of a service of ours, with
/// that process.
pub(super) fn ports(proc: &Path, ports: &BTreeSet<u16>) -> BTreeMap<u16, String> {
    let mut listening: BTreeMap<u64, u16> = BTreeMap::new();
    for table in ["net/tcp", "net/tcp6"] {
        let text = fs::read_to_string(proc.join("self").join(table)).unwrap_or_default();
        listening.extend(text.lines().skip(1).filter_map(listener));
    }
    listening.retain(|_, port| ports.contains(port));
    if listening.is_empty() {
        return BTreeMap::new();
    }
    let mut taken: BTreeMap<u16, String> =
        listening.values().map(|port| (*port, "a process that cannot be seen".into())).collect();
    for (inode, process) in holders(proc, &listening) {
        let Some(port) = listening.get(&inode) else { continue };
        if is_ours(proc, process) {
            taken.remove(port);
        } else if let Some(by) = taken.get_mut(port) {
            let name = fs::read_to_string(proc.join(process.to_string()).join("comm"));
            *by = format!("{} (PID {process})", name.unwrap_or_default().trim());
        }
    }
    taken
}

/// A line of `/proc/net/tcp` as a socket's inode and port, where it listens: the fields
/// are `sl local_address rem_address st … inode` (proc_net_tcp in the kernel's
/// documentation), the state 0A is LISTEN.
fn listener(line: &str) -> Option<(u64, u16)> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    if fields.nth(1)? != "0A" {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    let port = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
    Some((inode, port))
}

/// Who has each of these sockets open.
fn holders(proc: &Path, sockets: &BTreeMap<u64, u16>) -> Vec<(u64, u32)> {
    let mut found = Vec::new();
    let processes = fs::read_dir(proc).into_iter().flatten().flatten();
    for process in processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        let files = fs::read_dir(proc.join(process.to_string()).join("fd"));
        for file in files.into_iter().flatten().flatten() {
            let inode = fs::read_link(file.path()).ok().and_then(|target| {
                target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
            });
            found.extend(inode.filter(|inode| sockets.contains_key(inode)).map(|i| (i, process)));
        }
    }
    found
}

/// Whether a process is of one of our units: its control group says so.
fn is_ours(proc: &Path, process: u32) -> bool {
    let group = fs::read_to_string(proc.join(process.to_string()).join("cgroup"));
    group.unwrap_or_default().lines().any(|line| {
        line.split('/').any(|part| part.starts_with("writ-") && part.ends_with(".service"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_foreign_unless_it_is_the_named_accounts() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("private/made-up")).unwrap();
        fs::create_dir_all(root.path().join("db/wal")).unwrap();
        std::os::unix::fs::symlink("/nowhere", root.path().join("link")).unwrap();
        let own = uzers::get_user_by_uid(uzers::get_current_uid()).unwrap();
        let own: AccountName = own.name().to_str().unwrap().parse().unwrap();
        let asked = [
            ("made-up", None),
            ("db/wal", None),
            ("link", None),
            ("db", Some(own)),
            ("gone", None),
        ];
        let asked = asked.map(|(name, account)| (name.parse().unwrap(), account)).into();
        let found: Vec<String> =
            directories(root.path(), &asked).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["db/wal", "link", "made-up"]);
    }

    #[test]
    fn who_listens_is_named() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let found = ports(Path::new("/proc"), &[port].into());
        let by = found.get(&port).expect("this process is no service of ours");
        assert!(by.ends_with(&format!("(PID {})", std::process::id())), "{by}");
        drop(server);
        assert!(ports(Path::new("/proc"), &[port].into()).is_empty());
    }

    #[test]
    fn a_line_of_the_table_is_read_by_its_fields() {
        let line = "   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0000000000000000 100 0 0 10 0";
        assert_eq!(listener(line), Some((4242, 8000)));
        assert_eq!(listener(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(listener("garbage"), None);
    }
}
