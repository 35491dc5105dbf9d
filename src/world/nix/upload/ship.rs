//! Brings a stock to where it is to lie: each path behind those it needs, one after the
//! other, so that two runs write the same in the same order.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::super::narinfo;
use super::stock::{Announcement, Item, Origin, Sources, Stock};
use super::tally::Tally;
use super::{Missing, NAR_KIND, TEXT_KIND, has_info, in_order, pack, side_by_side, text};
use crate::fault::Fault;
use crate::plan::closure::nix_base32;
use crate::world::depot::{Depot, Sink};
use crate::world::shelf::{Content, Created, Shelf};

/// More than a NAR grows by packing.
const SLACK: u64 = 1 << 20;

/// A path as the shelf takes it.
struct Staged<'a> {
    item: &'a Item,
    place: String,
    nar: Content,
    text: String,
}

impl Stock {
    /// Leaves out what the shelf has.
    ///
    /// # Errors
    /// It cannot be read, or has another build of a path.
    pub async fn lacking<S: Shelf>(mut self, shelf: &S) -> Result<Self, Fault> {
        let mut there = Vec::new();
        for (path, item) in &self.items {
            if has(shelf, item).await? {
                there.push(path.clone());
            }
        }
        self.items.retain(|path, _| !there.contains(path));
        Ok(self)
    }
}

async fn has<S: Shelf>(shelf: &S, item: &Item) -> Result<bool, Fault> {
    let path = &item.info.path;
    let name = format!("{}.narinfo", path.hash());
    let Some(found) = shelf.read(&name).await? else { return Ok(false) };
    let told = narinfo::announced(&found, path);
    if told.is_none_or(|told| told.fingerprint != item.info.fingerprint()) {
        let doing = format!("write {name} to {}", shelf.name());
        return Err(Fault::refuse(doing, format!("it is there, for another build of {path}"))
            .remedy("name another folder, or remove this one"));
    }
    let found = String::from_utf8_lossy(&found);
    let field = |name| narinfo::fields(&found, name).next();
    let (place, size) = (field("URL"), field("FileSize").and_then(|size| size.parse().ok()));
    match place.filter(|place| !place.contains("..")) {
        Some(place) => Ok(shelf.size(place).await? == size && size.is_some()),
        None => Ok(false),
    }
}

/// Brings everything to the shelf.
///
/// # Errors
/// A source has not what it announced, or the shelf takes nothing more.
pub async fn ship<D: Depot, S: Shelf>(
    stock: &Stock,
    sources: &Sources<'_, D>,
    shelf: &S,
    tally: &Arc<Tally>,
) -> Result<(), Fault> {
    has_info(shelf).await?;
    let missing: Missing<'_> = stock.items.iter().map(|(path, item)| (path, &item.info)).collect();
    tally.expect(missing.values().copied());
    let staged = in_order(&missing)
        .into_iter()
        .filter_map(|info| stock.items.get(&info.path))
        .map(|item| stage(item, sources, tally));
    let mut staged = stream::iter(staged).buffered(side_by_side());
    while let Some(staged) = staged.try_next().await? {
        put(shelf, staged, tally).await?;
    }
    Ok(())
}

async fn stage<'a, D: Depot>(
    item: &'a Item,
    sources: &Sources<'_, D>,
    tally: &Arc<Tally>,
) -> Result<Staged<'a>, Fault> {
    match &item.origin {
        Origin::Local(details) => {
            let packed = pack::pack(&sources.nix.programs, &item.info, tally).await?;
            let details = super::signed(sources.key, &item.info, details.clone());
            let text = text::narinfo(&item.info, &packed.summary(), &details);
            Ok(Staged { item, place: packed.place(), nar: packed.content(), text })
        }
        Origin::Depot(announced) => copy(item, announced, sources, tally).await,
    }
}

/// Copies a packed NAR as it is. Its name may be another one than in the cache, which
/// no signature covers: that of its hash, in nix's spelling.
async fn copy<'a, D: Depot>(
    item: &'a Item,
    announced: &Announcement,
    sources: &Sources<'_, D>,
    tally: &Arc<Tally>,
) -> Result<Staged<'a>, Fault> {
    let depot = &sources.depots[announced.depot];
    let doing = || format!("copy {} from {}", item.info.path, depot.name());
    let nar = item.info.nar_size;
    let limit = announced.size.unwrap_or(nar.saturating_add(nar / 8).saturating_add(SLACK));
    let (counted, whole) = (Arc::clone(tally), announced.size.unwrap_or(nar).max(1));
    let on_bytes = move |bytes: u64| {
        let part = u128::from(bytes) * u128::from(nar) / u128::from(whole);
        counted.packed(u64::try_from(part).unwrap_or(nar));
    };
    let sink = Sink::new(limit, on_bytes).map_err(|error| {
        Fault::wait(doing(), error)
            .remedy("temporary files are in TMPDIR, or else in /tmp: see that there is room")
    })?;
    let saved = depot.save(&announced.place, sink).await?;
    let whole = announced.size.is_none_or(|size| size == saved.size);
    if !whole || announced.hash.is_some_and(|hash| hash != saved.hash) {
        return Err(Fault::wait(doing(), "it is not what the cache announces")
            .remedy("push the closure to that cache again, or name another one"));
    }
    let hash = nix_base32(&saved.hash);
    let place = format!("nar/{hash}.nar{}", ending(&announced.text));
    let text = renamed(&announced.text, &place, &hash, saved.size);
    let nar = Content::File { file: saved.file, size: saved.size, kind: NAR_KIND };
    Ok(Staged { item, place, nar, text })
}

/// What nix puts at the end of a name; it reads the narinfo and not the name.
fn ending(text: &str) -> &'static str {
    match narinfo::fields(text, "Compression").next() {
        Some("xz") => ".xz",
        Some("zstd") => ".zst",
        Some("none") => "",
        // Nix takes it for this where nothing is said.
        Some("bzip2") | None => ".bz2",
        Some(_) => ".packed",
    }
}

/// A cache's text with the place, hash and size of the file as it lies here.
fn renamed(text: &str, place: &str, hash: &str, size: u64) -> String {
    let ours = format!("FileHash: sha256:{hash}\nFileSize: {size}\n");
    let mut written = String::new();
    for line in text.lines() {
        match line.split_once(':').map(|(field, _)| field) {
            Some("FileHash" | "FileSize") => {}
            Some("URL") => written += &format!("URL: {place}\n"),
            Some("NarHash") => written += &format!("{ours}{line}\n"),
            _ => written += &format!("{line}\n"),
        }
    }
    written
}

async fn put<S: Shelf>(shelf: &S, staged: Staged<'_>, tally: &Tally) -> Result<(), Fault> {
    let Staged { item, place, nar, text } = staged;
    let size = nar.size();
    let share = tally.share(item.info.nar_size, size);
    let created = shelf.create(&place, &nar, &|bytes| share.sent(bytes)).await?;
    share.all(created == Created::New);
    if created == Created::There && shelf.size(&place).await? != Some(size) {
        let doing = format!("write {place} to {}", shelf.name());
        return Err(Fault::refuse(doing, "there is another file in its place, of another size")
            .remedy("remove that file, and run this again"));
    }
    let text = Content::Text { text, kind: TEXT_KIND };
    let name = format!("{}.narinfo", item.info.path.hash());
    shelf.create(&name, &text, &|_| ()).await?;
    tally.path();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_tells_of_the_file_as_it_lies_here() {
        let nix_serve = "StorePath: /nix/store/x\nURL: nar/x.nar?hash=1\nCompression: none\nNarHash: sha256:1\nNarSize: 9\nReferences: \nSig: a:b\n";
        insta::assert_snapshot!(
            renamed(nix_serve, "nar/1.nar", "1", 9), @r"
        StorePath: /nix/store/x
        URL: nar/1.nar
        Compression: none
        FileHash: sha256:1
        FileSize: 9
        NarHash: sha256:1
        NarSize: 9
        References: 
        Sig: a:b
        ");
        let nix = "URL: nar/1.nar.xz\nCompression: xz\nFileHash: sha256:1\nFileSize: 9\nNarHash: sha256:2\n";
        assert_eq!(renamed(nix, "nar/1.nar.xz", "1", 9), nix);
        assert_eq!([ending(nix), ending(nix_serve), ending("")], [".xz", "", ".bz2"]);
    }
}
