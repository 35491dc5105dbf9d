//! A real `gpg` with a keyring of its own, and `sqv` beside it.

#![allow(dead_code, reason = "each test program uses a part of the harness")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::forge::{EPOCH, Forge, NOW};

/// The time at which keys are made, but for those of [`Gpg::today`].
pub(crate) const BORN: i64 = EPOCH - 100_000;

/// A keyring below a forge's folder; git there verifies with the one called `gnupg`.
pub(crate) struct Gpg {
    home: PathBuf,
    /// Whether its clock is this machine's.
    today: bool,
}

/// Ends the agents of the keyrings below a forge's folder when the test does.
pub(crate) struct Agents(Vec<PathBuf>);

impl Drop for Agents {
    fn drop(&mut self) {
        for home in &self.0 {
            let kill = ["--kill", "all"];
            let _ = Command::new("gpgconf").arg("--homedir").arg(home).args(kill).status();
        }
    }
}

impl Gpg {
    /// The keyring `name` of a forge, made where it is not there yet.
    pub(crate) fn of(forge: &Forge, name: &str) -> Self {
        Self::at(forge.path().join(name), &format!("faked-system-time {NOW}\n"), false)
    }

    /// The keyring `gnupg` of a forge, in the present.
    pub(crate) fn today(forge: &Forge) -> Self {
        Self::at(forge.path().join("gnupg"), "", true)
    }

    fn at(home: PathBuf, time: &str, today: bool) -> Self {
        if !home.exists() {
            std::fs::create_dir(&home).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            std::fs::set_permissions(&home, mode).unwrap();
            std::fs::write(home.join("gpg.conf"), format!("{time}quiet\n")).unwrap();
        }
        Self { home, today }
    }

    pub(crate) fn agents(homes: &[&Self]) -> Agents {
        Agents(homes.iter().map(|gpg| gpg.home.clone()).collect())
    }

    /// Makes a key: `usage` as `--quick-gen-key` takes it, `expire` in seconds or `never`.
    pub(crate) fn make(&self, name: &str, algorithm: &str, usage: &str, expire: &str) {
        self.make_with(&["--quick-gen-key", name, algorithm, usage, expire]);
    }

    /// Makes a key or a part of one, at [`BORN`].
    pub(crate) fn make_with(&self, args: &[&str]) {
        let time = format!("{BORN}!");
        let time = ["--faked-system-time", &time];
        let time = if self.today { &[][..] } else { &time };
        self.run(&[time, &["--passphrase", ""], args].concat(), b"");
    }

    /// The fingerprints of a key and its subkeys, the primary one first.
    pub(crate) fn fingerprints(&self, name: &str) -> Vec<String> {
        let told = self.run(&["--with-colons", "--list-keys", &format!("={name}")], b"");
        let told = String::from_utf8(told).unwrap();
        let lines = told.lines().filter_map(|line| line.strip_prefix("fpr:"));
        lines.map(|line| line.split(':').nth(8).unwrap().to_owned()).collect()
    }

    pub(crate) fn fingerprint(&self, name: &str) -> String {
        self.fingerprints(name).remove(0)
    }

    /// The armored certificate.
    pub(crate) fn export(&self, name: &str) -> String {
        String::from_utf8(self.run(&["--armor", "--export", &format!("={name}")], b"")).unwrap()
    }

    pub(crate) fn import(&self, certificate: &str) {
        self.run(&["--import"], certificate.as_bytes());
    }

    /// The revocation that gpg makes with every key, ready to be imported.
    pub(crate) fn revocation(&self, name: &str) -> String {
        let file = format!("openpgp-revocs.d/{}.rev", self.fingerprint(name));
        let text = std::fs::read_to_string(self.home.join(file)).unwrap();
        let (_, armor) = text.split_once(":-----BEGIN").unwrap();
        format!("-----BEGIN{armor}")
    }

    /// A detached signature at `time`.
    pub(crate) fn sign(&self, time: i64, args: &[&str], payload: &[u8]) -> Vec<u8> {
        let time = format!("{time}!");
        let fixed = ["--faked-system-time", &time, "--armor", "--detach-sign"];
        self.run(&[&fixed[..], args].concat(), payload)
    }

    fn run(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(&self.home).args(["--batch", "--no-tty"]).args(args);
        let (success, out, words) = run(&mut command, input);
        assert!(success, "{command:?}: {words}");
        out
    }
}

/// Whether sqv, with that one certificate, finds a signature good.
pub(crate) fn sqv(folder: &Path, certificate: &str, armor: &[u8], payload: &[u8]) -> bool {
    let files = [("c", certificate.as_bytes()), ("s", armor), ("p", payload)];
    let [c, s, p] = files.map(|(name, bytes)| {
        let path = folder.join(format!("sqv.{name}"));
        std::fs::write(&path, bytes).unwrap();
        path
    });
    run(Command::new("sqv").arg("--keyring").arg(c).arg(s).arg(p), b"").0
}

fn run(command: &mut Command, input: &[u8]) -> (bool, Vec<u8>, String) {
    for set in [Command::stdin, Command::stdout, Command::stderr] {
        set(command, Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let out = child.wait_with_output().unwrap();
    (out.status.success(), out.stdout, String::from_utf8_lossy(&out.stderr).into_owned())
}
