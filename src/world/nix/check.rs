//! Whether nix and the binary caches are there, for those who look after a host.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};

use super::passwords::Passwords;
use super::{NixStore, fetch};
use crate::fault::{Fault, causes};
use crate::world::certificate::explained;
use crate::world::shelf::location;
use crate::world::stock::Denial;

/// The file that every binary cache has at its root (nix, `binary-cache-store.cc`).
pub(super) const INFO: &str = "nix-cache-info";
/// A longer one is none, in bytes.
const LIMIT: usize = 64 << 10;

impl NixStore {
    /// Runs nix and returns what it calls itself: `nix-store (Nix) 2.24.9`.
    ///
    /// # Errors
    /// It cannot be started, fails, or takes longer than `deadline`.
    pub async fn version(&self, deadline: Duration) -> Result<String, Fault> {
        let doing = "run nix-store --version";
        let mut nix = fetch::nix_store(&self.config);
        nix.arg("--version");
        let output = fetch::run(nix, deadline, doing).await?;
        let told = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() {
            return Ok(told);
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(Fault::wait(doing, fetch::last_lines(&stderr).join("; "))
            .remedy("reinstall nix on this host"))
    }

    /// Reads a cache's `nix-cache-info`, and returns what can be said of the cache.
    ///
    /// # Errors
    /// The cache is not there, does not let this host in, or is one for another store.
    pub async fn ask_cache(&self, url: &str, deadline: Duration) -> Result<&'static str, Fault> {
        let doing = format!("read {INFO} of {url}");
        let location = location(url);
        if location.starts_with("s3://") {
            let stock = self.config.keeper.find(url)?;
            return match stock.glance(INFO).await {
                Ok(info) => judge(doing, &info).map(|_| "it answers, and takes this host's keys"),
                Err(Denial::Refused(fault) | Denial::Trouble(fault)) => Err(fault),
                Err(Denial::Absent | Denial::Beyond) => Err(not_a_cache(doing)),
            };
        }
        let passwords = self.passwords();
        let found = match location.strip_prefix("file://") {
            Some(folder) => std::fs::read(format!("{folder}/{INFO}")).map_err(|e| e.to_string()),
            None => match download(&passwords, &format!("{location}/{INFO}"), deadline).await {
                Ok(None) => return closed(doing, &passwords, &host_of(location)).await,
                Ok(Some(body)) => Ok(body),
                Err(because) => Err(because),
            },
        };
        let found = found.map_err(|because| {
            let usual = "see that the cache is up, and that nix.substituters names it rightly";
            explained(Fault::wait(&doing, because).remedy(usual))
        })?;
        let told = judge(doing, &found)?;
        Ok(if passwords.were_given() {
            "it answers, and takes the password of nix's netrc"
        } else {
            told
        })
    }
}

/// Nix would be let in no more than we were, as far as it can be asked.
async fn closed(doing: String, passwords: &Passwords, host: &str) -> Result<&'static str, Fault> {
    let Some(netrc) = passwords.netrc().await else {
        return Ok("it asks for a password, which nix takes from its netrc file");
    };
    let file = netrc.path().display();
    let because = match netrc.login(host) {
        Ok(Some(_)) => format!("it does not take the password that {file} has for {host}"),
        Ok(None) => format!("it asks for a password, and {file} has none for {host}"),
        Err(why) => format!("it asks for a password, and nix's netrc cannot be used: {why}"),
    };
    Err(Fault::wait(doing, because)
        .remedy(format!("write there: machine {host} login … password …")))
}

fn host_of(url: &str) -> String {
    let url = Url::parse(url).ok();
    url.and_then(|url| Some(url.host_str()?.to_owned())).unwrap_or_default()
}

fn judge(doing: String, info: &[u8]) -> Result<&'static str, Fault> {
    let text = String::from_utf8_lossy(info);
    match text.lines().find_map(|line| line.strip_prefix("StoreDir:")).map(str::trim) {
        Some("/nix/store") => Ok("it answers"),
        Some(other) => Err(Fault::wait(doing, format!("it is a cache for the store {other}"))
            .remedy("name a cache for /nix/store in nix.substituters")),
        None => Err(not_a_cache(doing)),
    }
}

fn not_a_cache(doing: String) -> Fault {
    Fault::wait(doing, "what is there is not a binary cache")
        .remedy("see that nix.substituters names the cache's root")
}

/// The body; `None` where a password is asked for that nix does not have.
async fn download(
    passwords: &Passwords,
    url: &str,
    deadline: Duration,
) -> Result<Option<Vec<u8>>, String> {
    let client = Client::builder()
        // nix follows them (libcurl, `CURLOPT_FOLLOWLOCATION`).
        .redirect(Policy::limited(5))
        .timeout(deadline)
        .user_agent(concat!("writ/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| causes(&error))?;
    let mut answer = passwords.get(&client, url).await.map_err(|error| causes(&error))?;
    match answer.status() {
        StatusCode::UNAUTHORIZED => return Ok(None),
        status if !status.is_success() => return Err(format!("it answered {status}")),
        _ => {}
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| causes(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > LIMIT {
            return Err("it sends more than such a file can hold".to_owned());
        }
    }
    Ok(Some(body))
}
