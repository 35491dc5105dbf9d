//! A cache's text about a path, as nix writes it (nix, `src/libstore/nar-info.cc`,
//! `NarInfo::to_string`).

use super::details::Details;
use crate::names::StorePath;
use crate::plan::closure::{PathInfo, nix_base32};

/// The packed NAR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// Where it is in the cache.
    pub(super) place: String,
    pub(super) hash: [u8; 32],
    pub(super) size: u64,
}

pub(super) fn narinfo(info: &PathInfo, nar: &Summary, details: &Details) -> String {
    let references: Vec<&str> = info.references.iter().map(base).collect();
    let mut text = format!(
        "StorePath: {}\nURL: {}\nCompression: zstd\nFileHash: sha256:{}\nFileSize: {}\n\
         NarHash: sha256:{}\nNarSize: {}\nReferences: {}\n",
        info.path,
        nar.place,
        nix_base32(&nar.hash),
        nar.size,
        nix_base32(&info.nar_hash),
        info.nar_size,
        references.join(" "),
    );
    let deriver = details.deriver.iter().map(|path| ("Deriver", base(path)));
    let signatures = details.signatures.iter().map(|signature| ("Sig", signature.as_str()));
    let content = details.ca.iter().map(|ca| ("CA", ca.as_str()));
    for (field, value) in deriver.chain(signatures).chain(content) {
        text += &format!("{field}: {value}\n");
    }
    text
}

/// A path as it is written where the store is known.
fn base(path: &StorePath) -> &str {
    &path.as_str()["/nix/store/".len()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_in_its_place() {
        let path = |digit: &str, name: &str| -> StorePath {
            format!("/nix/store/{}-{name}", digit.repeat(32)).parse().unwrap()
        };
        let web = path("1", "web-1.2");
        let info = PathInfo {
            path: web.clone(),
            nar_hash: [7; 32],
            nar_size: 1234,
            references: [path("0", "libc"), web].into(),
        };
        let nar = Summary { place: "nar/x.nar.zst".to_owned(), hash: [8; 32], size: 99 };
        let details = Details {
            deriver: Some(path("2", "web-1.2.drv")),
            signatures: vec!["a:AAAA".to_owned(), "b:BBBB".to_owned()],
            ca: Some("fixed:r:sha256:0".to_owned()),
        };
        let whole = narinfo(&info, &nar, &details);
        let bare = PathInfo { references: [].into(), ..info };
        let bare = narinfo(&bare, &nar, &Details::default());
        insta::assert_snapshot!(format!("{whole}---\n{bare}"));
    }
}
