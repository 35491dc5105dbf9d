//! A certificate authority of a test's own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

const CA: &str = "[ca]\ndefault_ca = own\n[own]\ndatabase = index\nnew_certs_dir = .\n\
    rand_serial = yes\ndefault_md = sha256\npolicy = any\ncopy_extensions = copy\n\
    [any]\ncommonName = supplied\n";

/// A certificate that was valid, one that will be, and one that is.
pub(crate) const PAST: [&str; 2] = ["20200101000000Z", "20200201000000Z"];
pub(crate) const FUTURE: [&str; 2] = ["20900101000000Z", "20900201000000Z"];
pub(crate) const NOW: [&str; 2] = ["20200101000000Z", "20900101000000Z"];

/// Keys and certificates, as PEM in files of a folder: `ca`, `server`, `client`, each
/// with `.pem` and `.key`.
pub(crate) struct Authority {
    dir: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let authority = Self { dir: tempfile::tempdir().unwrap() };
        authority.make("ca", &["-addext", "basicConstraints=critical,CA:TRUE"]);
        let own =
            ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"];
        let name = ["-addext", "subjectAltName=IP:127.0.0.1"];
        authority.make("server", &[&own[..], &name].concat());
        authority.make("client", &own);
        authority
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn make(&self, name: &str, more: &[&str]) {
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"];
        let (subject, pem, key) =
            (format!("/CN={name}"), format!("{name}.pem"), format!("{name}.key"));
        let own = ["-days", "2", "-subj", &subject, "-out", &pem, "-keyout", &key];
        self.openssl(&[&["req", "-x509"][..], &curve, &own, more].concat());
    }

    /// Gives the server another certificate, for that name and time.
    pub(crate) fn certify(&self, name: &str, [from, to]: [&str; 2]) {
        fs::write(self.file("ca.conf"), CA).unwrap();
        fs::write(self.file("index"), "").unwrap();
        let name = ["-subj", "/CN=server", "-addext", &format!("subjectAltName={name}")];
        let request = ["req", "-new", "-key", "server.key", "-out", "server.csr"];
        self.openssl(&[&request[..], &name].concat());
        let own = ["-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key", "-notext"];
        let dates = ["-startdate", from, "-enddate", to];
        let made = ["ca", "-batch", "-in", "server.csr", "-out", "server.pem"];
        self.openssl(&[&made[..], &own, &dates].concat());
    }

    fn openssl(&self, args: &[&str]) {
        let made =
            Command::new("openssl").args(args).current_dir(self.dir.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}
