//! How much of the disk this program leaves alone, and how much of the past it keeps.

use serde::{Deserialize, Deserializer, de};

use crate::plan::retention::Limits;

/// The table `store`: the disk that closures go to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Store {
    /// Bytes of the store's disk that no download may use; 512 MiB or a twentieth of
    /// the disk, whichever is less, where it is left out.
    #[serde(deserialize_with = "size")]
    pub reserve: Option<u64>,
}

/// The table `retention`: what is kept for the way back.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Retention {
    /// Versions of each service's profile.
    #[serde(deserialize_with = "count")]
    pub versions: usize,
    /// Generations in the ledger.
    #[serde(deserialize_with = "count")]
    pub generations: usize,
}

impl Retention {
    pub fn limits(&self) -> Limits {
        Limits { versions: self.versions, generations: self.generations }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { versions: 5, generations: 50 }
    }
}

/// What runs is always kept, so that none would be a promise nobody keeps.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match usize::deserialize(deserializer)? {
        0 => Err(de::Error::custom("at least one is kept")),
        count => Ok(count),
    }
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    bytes(&text).map(Some).ok_or_else(|| {
        de::Error::custom(format!(
            "{text:?} is no size; write it like \"512MiB\", \"2GiB\" or \"0\""
        ))
    })
}

/// `0`, `4096`, `512MiB`, `2GiB`.
fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: u64 = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_digits_and_a_unit() {
        let good = ["0", "4096", "3KiB", "512MiB", "2GiB", "1TiB"].map(bytes);
        let wanted = [0, 4096, 3 << 10, 512 << 20, 2 << 30, 1 << 40].map(Some);
        assert_eq!(good, wanted);
        for bad in ["", "MiB", "1.5GiB", "-1", "1 GiB", "1G", "1mib", "18446744073709551615KiB"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn something_is_always_kept() {
        let read = |text: &str| toml::from_str::<Retention>(text);
        assert_eq!(read("versions = 2").unwrap().limits(), Limits { versions: 2, generations: 50 });
        assert!(read("versions = 0").unwrap_err().to_string().contains("at least one"));
        assert!(read("generation = 3").is_err());
    }
}
