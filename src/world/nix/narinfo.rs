//! What is missing of closures and how large it is, as the binary caches announce it.
//!
//! A cache has a small text for each path (nix, `src/libstore/nar-info.cc`). Reading it
//! over a kept connection costs a fraction of starting nix.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use tokio::time::timeout;

use super::conduct::Conduct;
use super::link::exists;
use super::passwords::Passwords;
use crate::fault::causes;
use crate::names::StorePath;
use crate::world::shelf::{TEXT, location};

/// How long to look before nix is left to find out by itself.
const PATIENCE: Duration = Duration::from_secs(10);
pub(super) const CONNECT: Duration = Duration::from_secs(3);
pub(super) const ANSWER: Duration = Duration::from_secs(5);
/// Texts that are read at the same time.
pub(super) const SIDE_BY_SIDE: usize = 24;
/// A larger closure is left to nix.
const MOST: usize = 100_000;
const NO_NARINFO: &str = "what it sends as a narinfo is not one (a web page?)";

/// What has to be downloaded, as far as the caches tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Missing {
    pub paths: usize,
    /// Bytes over the network.
    pub download: u64,
    /// Bytes on the disk, without what its blocks waste.
    pub unpacked: u64,
    /// Paths that no cache told of.
    pub nowhere: usize,
}

/// What one text says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NarInfo {
    pub(super) download: u64,
    pub(super) unpacked: u64,
    pub(super) references: Vec<StorePath>,
}

/// How caches are asked. Without a client only directories are.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) client: Option<&'a Client>,
    pub(super) passwords: &'a Passwords,
    /// Where it is noted what cannot be used.
    pub(super) conduct: &'a Conduct,
}

/// What a cache answers to a request for a narinfo.
enum Answer {
    Text(Vec<u8>),
    Absent,
    /// Nix takes it for absent.
    Denied(String),
    /// Nix would give up everything.
    Unusable(String),
}

/// Sums up what is not in the store yet. A path that is there is taken for complete, and
/// one that no cache tells of has no size: nix says better what is wrong.
pub(super) async fn missing(
    asking: &Asking<'_>,
    caches: &[String],
    roots: &[&StorePath],
) -> Missing {
    let roots: Vec<StorePath> = roots.iter().map(|path| (*path).clone()).collect();
    let unknown = Missing { paths: absent(&roots).count(), ..Missing::default() };
    timeout(PATIENCE, sum(asking, caches, roots)).await.unwrap_or(unknown)
}

/// A client that keeps its connections, asking as nix does: no proxy of this process's
/// environment, and no cookie.
pub(super) fn client() -> reqwest::Result<Client> {
    Client::builder()
        .redirect(Policy::limited(5))
        .no_proxy()
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        .user_agent(concat!("writ/", env!("CARGO_PKG_VERSION")))
        .build()
}

async fn sum(asking: &Asking<'_>, caches: &[String], roots: Vec<StorePath>) -> Missing {
    let mut found = Missing::default();
    let mut seen: BTreeSet<StorePath> = roots.iter().cloned().collect();
    let mut left = roots;
    while !left.is_empty() && seen.len() < MOST {
        let asked: Vec<_> = absent(&left).map(|path| ask(asking, caches, path.clone())).collect();
        found.paths += asked.len();
        left.clear();
        let told: Vec<_> = stream::iter(asked).buffer_unordered(SIDE_BY_SIDE).collect().await;
        for info in told {
            let Some(info) = info else {
                found.nowhere += 1;
                continue;
            };
            found.download = found.download.saturating_add(info.download);
            found.unpacked = found.unpacked.saturating_add(info.unpacked);
            left.extend(info.references.into_iter().filter(|path| seen.insert(path.clone())));
        }
    }
    found
}

/// Whether none is missing, as far as files tell.
pub(super) fn are_there(paths: &[&StorePath]) -> bool {
    paths.iter().all(|path| exists(Path::new(path.as_str())))
}

fn absent(paths: &[StorePath]) -> impl Iterator<Item = &StorePath> {
    paths.iter().filter(|path| !exists(Path::new(path.as_str())))
}

/// What the first cache that has the path says of it.
pub(super) async fn ask(
    asking: &Asking<'_>,
    caches: &[String],
    path: StorePath,
) -> Option<NarInfo> {
    for cache in caches {
        if asking.conduct.unusable(cache).is_some() {
            continue;
        }
        let place = place(cache, &path);
        let answer = match place.strip_prefix("file://") {
            Some(file) => read(file),
            None => download(asking, &place).await,
        };
        match answer {
            Answer::Text(text) => match parse(&text, &path) {
                Some(info) => return Some(info),
                // Nix takes that for absent (`goodStorePath` in its `store-api.cc`).
                None if is_of_another(&text) => {}
                None => asking.conduct.note_unusable(cache, NO_NARINFO.to_owned()),
            },
            Answer::Absent => {}
            Answer::Denied(because) => asking.conduct.note_denied(cache, because),
            Answer::Unusable(because) => asking.conduct.note_unusable(cache, because),
        }
    }
    None
}

fn read(file: &str) -> Answer {
    match fs::read(file) {
        Ok(text) => Answer::Text(text),
        Err(error) if error.kind() == ErrorKind::NotFound => Answer::Absent,
        Err(error) => Answer::Unusable(format!("a narinfo of it cannot be read: {error}")),
    }
}

/// As nix does, a server in trouble is asked twice; one that says nothing is not.
async fn download(asking: &Asking<'_>, url: &str) -> Answer {
    let Some(client) = asking.client else { return Answer::Absent };
    let mut again = true;
    loop {
        let answer = asking.passwords.get(client, url).await;
        let passing = match &answer {
            Ok(answer) => is_passing(answer.status()),
            Err(error) => !error.is_timeout(),
        };
        if !(again && passing) {
            break judge(answer).await;
        }
        again = false;
    }
}

async fn judge(answer: reqwest::Result<Response>) -> Answer {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Answer::Unusable(causes(&error.without_url())),
    };
    let told = || format!("it answered {} to a request for a narinfo", answer.status());
    match answer.status() {
        status if status.is_success() => match body(answer).await {
            Ok(Some(text)) => Answer::Text(text),
            Ok(None) => Answer::Unusable(NO_NARINFO.to_owned()),
            Err(error) => Answer::Unusable(causes(&error.without_url())),
        },
        StatusCode::NOT_FOUND | StatusCode::GONE => Answer::Absent,
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::PROXY_AUTHENTICATION_REQUIRED => Answer::Denied(told()),
        _ => Answer::Unusable(told()),
    }
}

fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// Where a cache has its text about a path.
pub(super) fn place(cache: &str, path: &StorePath) -> String {
    format!("{}/{}.narinfo", location(cache), path.hash())
}

/// A text as a cache sends it; `None` where it is longer than any is.
async fn body(mut answer: Response) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() as u64 > TEXT {
            return Ok(None);
        }
    }
    Ok(Some(body))
}

/// What a cache vouches for.
pub(super) struct Announced {
    /// As [`PathInfo::fingerprint`](crate::plan::closure::PathInfo::fingerprint) writes it.
    pub fingerprint: String,
    pub signatures: Vec<String>,
    /// Whether the path is named after its content.
    pub by_content: bool,
}

/// `None` where it is no such text, or one about another path.
pub(super) fn announced(text: &[u8], path: &StorePath) -> Option<Announced> {
    let text = std::str::from_utf8(text).ok()?;
    let NarInfo { unpacked, references, .. } = parse(text.as_bytes(), path)?;
    let references: BTreeSet<&str> = references.iter().map(StorePath::as_str).collect();
    let references: Vec<&str> = references.into_iter().collect();
    let hash = fields(text, "NarHash").next()?;
    Some(Announced {
        fingerprint: format!("1;{path};{hash};{unpacked};{}", references.join(",")),
        signatures: fields(text, "Sig").map(str::to_owned).collect(),
        by_content: fields(text, "CA").next().is_some_and(|ca| !ca.is_empty()),
    })
}

pub(super) fn fields<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

/// Whether a text is a narinfo, of whichever path: two may share a hash and differ in name.
fn is_of_another(text: &[u8]) -> bool {
    let named = std::str::from_utf8(text).ok().and_then(|text| fields(text, "StorePath").next());
    named
        .and_then(|path| path.parse::<StorePath>().ok())
        .is_some_and(|path| parse(text, &path).is_some())
}

/// `None` where it is no such text, or one about another path.
pub(super) fn parse(text: &[u8], path: &StorePath) -> Option<NarInfo> {
    let text = std::str::from_utf8(text).ok()?;
    let field = |name: &str| fields(text, name).next();
    if field("StorePath") != Some(path.as_str()) {
        return None;
    }
    // Nix takes no text without them.
    if field("URL").is_none_or(str::is_empty) || field("NarHash").is_none_or(str::is_empty) {
        return None;
    }
    let unpacked = field("NarSize")?.parse().ok()?;
    // Nix takes it for unknown where it is left out.
    let download = field("FileSize").map_or(Some(unpacked), |size| size.parse().ok())?;
    let names = field("References").unwrap_or_default().split_whitespace();
    let references = names.map(|name| format!("/nix/store/{name}").parse().ok());
    Some(NarInfo { download, unpacked, references: references.collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASHES: [&str; 3] = ["0", "1", "2"];

    fn path(n: usize) -> StorePath {
        format!("/nix/store/{}-p{n}", HASHES[n].repeat(32)).parse().unwrap()
    }

    fn info(n: usize, references: &[usize]) -> String {
        let names: Vec<_> = references
            .iter()
            .map(|n| path(*n).as_str()["/nix/store/".len()..].to_owned())
            .collect();
        format!(
            "StorePath: {}\nURL: nar/x.nar.xz\nCompression: xz\nFileHash: sha256:x\nFileSize: {}\nNarHash: sha256:y\nNarSize: {}\nReferences: {}\nSig: a:b\n",
            path(n),
            10 + n,
            1000 + n,
            names.join(" ")
        )
    }

    #[tokio::test]
    async fn everything_that_is_needed_and_not_there_is_summed_up_once() {
        let [near, far] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let put = |dir: &tempfile::TempDir, n: usize, text: String| {
            fs::write(dir.path().join(format!("{}.narinfo", path(n).hash())), text).unwrap();
        };
        put(&near, 0, info(0, &[0, 1, 2]));
        // Whoever says such a thing is asked nothing more, and what it said before counts.
        put(&near, 1, "<html>".to_owned());
        put(&far, 1, info(1, &[2]));
        put(&far, 2, info(2, &[]));
        let urls = [&near, &far].map(|dir| format!("file://{}?priority=1", dir.path().display()));
        let passwords = Passwords::of(|| unreachable!("no cache wants one"));
        let conduct = Conduct::default();
        let asking = Asking { client: None, passwords: &passwords, conduct: &conduct };
        let found = missing(&asking, &urls, &[&path(0), &path(2)]).await;
        assert_eq!(found, Missing { paths: 3, download: 33, unpacked: 3003, nowhere: 0 });
        assert_eq!(conduct.unusable(&urls[0]).as_deref(), Some(NO_NARINFO));
        assert_eq!(conduct.unusable(&urls[1]), None);
        let unknown = missing(&asking, &urls[..1], &[&path(1)]).await;
        assert_eq!(unknown, Missing { paths: 1, nowhere: 1, ..Missing::default() });
    }

    #[test]
    fn a_text_about_another_path_or_without_sizes_is_none() {
        let good = info(1, &[2]);
        let parsed = parse(good.as_bytes(), &path(1)).unwrap();
        assert_eq!(parsed.references, [path(2)]);
        assert_eq!(parse(good.as_bytes(), &path(2)), None);
        for (from, to) in
            [("NarSize", "Size"), ("1001", "-1"), ("-p2", ""), ("URL", "Url"), ("NarHash", "Hash")]
        {
            assert_eq!(parse(good.replace(from, to).as_bytes(), &path(1)), None, "{to}");
        }
        let bare = good.replace("FileSize: 11\n", "");
        assert_eq!(parse(bare.as_bytes(), &path(1)).unwrap().download, 1001);
    }
}
