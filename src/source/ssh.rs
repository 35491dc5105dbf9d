//! A line to a git server through the system's SSH client, told everything and left
//! nothing to choose.

use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::git::ConnectMode;
use gix::protocol::transport::client::git::blocking_io::Connection;

use super::git_url::{GitUrl, SshPlace};

/// Ends the client when it is dropped.
pub(super) struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Has the server's `git-upload-pack` at the other end.
///
/// # Errors
/// The client cannot be started. What it says itself goes to standard error.
pub(super) fn connect(
    url: &GitUrl,
    key: &Path,
    known_hosts: &Path,
) -> Result<(Connection<ChildStdout, ChildStdin>, Client), String> {
    let place = url.ssh_place()?;
    let mut child = Command::new("ssh")
        .args(arguments(&place, key, known_hosts))
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .envs([("GIT_PROTOCOL", "version=2"), ("LC_ALL", "C")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start ssh, OpenSSH's client: {error}"))?;
    let (Some(read), Some(write)) = (child.stdout.take(), child.stdin.take()) else {
        return Err("ssh has no pipes".to_owned());
    };
    let nowhere = None::<(&str, Option<u16>)>;
    let mode = ConnectMode::Process;
    let line = Connection::new(read, write, Protocol::V2, place.path, nowhere, mode, false);
    Ok((line.custom_url(Some(url.as_str().into())), Client(child)))
}

/// No files of options, no agent, no questions, no other way than this key to this
/// server, which has to have a key that is known.
fn arguments(place: &SshPlace, key: &Path, known_hosts: &Path) -> Vec<String> {
    let mut words: Vec<String> = ["-F", "none", "-T", "-a", "-x"].map(str::to_owned).into();
    let option = |(name, value): (&str, String)| ["-o".to_owned(), format!("{name}={value}")];
    let pinned = [
        ("UserKnownHostsFile", known_hosts.display().to_string()),
        ("IdentityFile", key.display().to_string()),
    ];
    let fixed = FIXED.map(|(name, value)| (name, value.to_owned()));
    words.extend(pinned.into_iter().chain(fixed).flat_map(option));
    words.extend(place.port.iter().flat_map(|port| ["-p".to_owned(), port.to_string()]));
    words.extend(place.user.iter().flat_map(|user| ["-l".to_owned(), user.clone()]));
    let upload = format!("git-upload-pack {}", quoted(&place.path));
    words.extend(["--".to_owned(), place.host.clone(), upload]);
    words
}

const FIXED: [(&str, &str); 20] = [
    ("BatchMode", "yes"),
    ("StrictHostKeyChecking", "yes"),
    ("GlobalKnownHostsFile", "/dev/null"),
    ("UpdateHostKeys", "no"),
    ("VerifyHostKeyDNS", "no"),
    ("CheckHostIP", "no"),
    ("IdentitiesOnly", "yes"),
    ("IdentityAgent", "none"),
    ("PreferredAuthentications", "publickey"),
    ("NumberOfPasswordPrompts", "0"),
    ("ClearAllForwardings", "yes"),
    ("PermitLocalCommand", "no"),
    ("ProxyCommand", "none"),
    ("ControlMaster", "no"),
    ("ControlPath", "none"),
    ("ConnectTimeout", "20"),
    ("ServerAliveInterval", "15"),
    ("ServerAliveCountMax", "3"),
    ("SendEnv", "GIT_PROTOCOL"),
    ("LogLevel", "ERROR"),
];

/// As git quotes it for the shell of the server's account, the one place where a shell
/// is part of the protocol.
fn quoted(path: &str) -> String {
    let inner: String = path
        .chars()
        .map(|c| match c {
            '\'' | '!' => format!("'\\{c}'"),
            c => c.to_string(),
        })
        .collect();
    format!("'{inner}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(url: &str) -> Vec<String> {
        let url: GitUrl = url.parse().unwrap();
        let (key, hosts) = (Path::new("/etc/writ/id"), Path::new("/etc/writ/known_hosts"));
        arguments(&url.ssh_place().unwrap(), key, hosts)
    }

    #[test]
    fn nothing_is_left_for_the_client_to_choose() {
        insta::assert_snapshot!(words("ssh://git@git.example.org:2222/acme/deploy.git").join("\n"));
    }

    #[test]
    fn a_path_is_one_word_of_the_servers_shell() {
        let last = |url: &str| words(url).pop().unwrap();
        assert_eq!(last("ssh://h/a';id;'b"), r"git-upload-pack '/a'\'';id;'\''b'");
        assert_eq!(last("ssh://h/a!$(id)`id`"), r"git-upload-pack '/a'\!'$(id)`id`'");
        assert_eq!(last("ssh://h/~bob/x"), "git-upload-pack '~bob/x'");
    }

    #[test]
    fn a_port_and_a_user_are_told_where_there_are_any() {
        let words = words("ssh://h/x");
        assert!(!words.contains(&"-p".to_owned()) && !words.contains(&"-l".to_owned()));
        assert_eq!(words[words.len() - 3..], ["--", "h", "git-upload-pack '/x'"]);
    }
}
