//! The workshop's repository and cache over HTTPS, with a certificate of a private authority.

use std::time::Duration;

use super::acme::Acme;
use super::host::{Host, Program, until};
use super::site::Site;

/// What hosts need in order to reach the workshop over the network.
#[derive(Clone, Debug)]
pub(crate) struct Forge {
    address: String,
    authority: String,
}

pub(crate) const NAME: &str = "forge.acme.example";
/// Where the workshop has the program that answers git.
pub(crate) const PROGRAM: &str = "/usr/local/lib/forge";
const AUTHORITY: &str = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt";

/// How the forge's Caddy answers, in the words of a Caddyfile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    pub(crate) git: &'static str,
    pub(crate) cache: &'static str,
    /// Buckets whose names begin with `acme-`.
    pub(crate) buckets: &'static str,
    /// Where its certificate is from.
    pub(crate) tls: &'static str,
}

/// As they should be.
pub(crate) const HONEST: Manners = Manners {
    git: "reverse_proxy 127.0.0.1:8080",
    cache: "root * /srv/cache\n\t\tfile_server",
    buckets: "respond 404",
    tls: "internal",
};

impl Acme {
    /// Serves the repository and the cache to the fleet.
    pub(crate) fn forge(&self) -> Forge {
        let host = &self.workshop.host;
        host.must(&["systemd-run", "--quiet", "--unit=forge", PROGRAM, "8080", "/srv/git"]);
        self.forge_answers(HONEST);
        let authority = until("Caddy has made its authority", Duration::from_secs(30), || {
            let read = host.run(&["cat", AUTHORITY]);
            (read.ok && read.stdout.contains("END CERTIFICATE")).then_some(read.stdout)
        });
        // The authority is there before the certificate is, and before anybody listens.
        let resolve = format!("{NAME}:443:127.0.0.1");
        let refs = format!("https://{NAME}/deploy.git/info/refs?service=git-upload-pack");
        let ask = ["--silent", "--fail", "--cacert", AUTHORITY, "--resolve", &resolve, &refs];
        until("the forge answers", Duration::from_secs(30), || {
            let told = host.run(&[&["curl", "--output", "/dev/null"], &ask[..]].concat());
            told.ok.then_some(())
        });
        Forge { address: host.address(), authority }
    }

    /// Has the forge answer otherwise from now on.
    pub(crate) fn forge_answers(&self, Manners { git, cache, buckets, tls }: Manners) {
        let caddyfile = format!(
            "{{\n\tskip_install_trust\n}}\n{NAME} {{\n\ttls {tls}\n\
             \thandle_path /cache/* {{\n\t\t{cache}\n\t}}\n\
             \thandle /acme-* {{\n\t\t{buckets}\n\t}}\n\thandle {{\n\t\t{git}\n\t}}\n}}\n"
        );
        self.workshop.host.put("/etc/caddy/Caddyfile", caddyfile, 0o644);
        // systemd would take many changes in a short time for a crash loop.
        self.workshop.host.sh("systemctl reset-failed caddy; systemctl restart caddy");
    }
}

impl Forge {
    pub(crate) fn git_url(&self) -> String {
        format!("https://{NAME}/deploy.git")
    }

    pub(crate) fn cache_url(&self) -> String {
        format!("https://{NAME}/cache")
    }

    /// Has a host know the forge's name and trust its authority, and follow the
    /// repository and use the cache there.
    pub(crate) fn serve(&self, site: &mut Site) {
        self.introduce(&site.host);
        site.reconfigure(|config| {
            config.url = self.git_url();
            config.cache = self.cache_url();
        });
    }

    /// Has a host know the forge's name and trust its authority.
    pub(crate) fn introduce(&self, host: &Host) {
        host.sh(&format!("echo '{} {NAME}' >>/etc/hosts", self.address));
        host.put("/usr/local/share/ca-certificates/forge.crt", &self.authority, 0o644);
        host.must(&["update-ca-certificates"]);
    }
}

/// The program for a workshop that is to be a forge.
pub(crate) fn program() -> Program {
    Program { here: super::workshop::example("forge"), there: PROGRAM }
}
