//! Reads single values: names, numbers, durations and sizes.

use std::time::Duration;

use super::problem::Report;
use super::service::Limit;
use super::table::{Field, text};
use super::tree::{Node, Value};
use crate::names::{
    AbsolutePath, AccountName, BadName, ClosureDigest, Domain, EnvName, HostName, Literal,
    ServiceName, StorePath, Tag, UnitName,
};

/// What is wrong with a name.
pub(super) fn is_no(text: &str, bad: &BadName) -> String {
    let what = bad.what();
    let article = if what.starts_with(['a', 'e']) { "an" } else { "a" };
    // The rule in brackets is what the hint is for.
    let what = what.split(" (").next().unwrap_or(what);
    format!("{text:?} is not {article} {what}")
}

/// Fields that are a name of [`crate::names`].
macro_rules! names {
    ($($name:ty => $remedy:literal,)*) => {$(
        impl Field for $name {
            fn read(node: &Node<'_>, report: &Report) -> Option<Self> {
                let text = text(node, report)?;
                let name = text.parse::<$name>();
                name.map_err(|bad| report.add(node.at, is_no(text, &bad), $remedy)).ok()
            }
        }
    )*};
}

names! {
    AbsolutePath => "write the whole path from `/`, without `.`, `..` and doubled or trailing `/`",
    AccountName => "name a user or group as `getent passwd` shows it",
    ClosureDigest => "let `writ push` write it (sha256: and 64 hexadecimal digits), or leave it out",
    Domain => "write a plain DNS name in lowercase, without scheme, port, wildcard or trailing dot",
    EnvName => "use letters, digits and `_`, no digit first",
    HostName => "use lowercase letters, digits and `-`, a letter first, at most 48 in all",
    Literal => "remove the control characters (line breaks, tabs, escapes)",
    ServiceName => "use lowercase letters, digits and `-`, a letter first, at most 48 in all; `agent` and `boot` are writ's own",
    StorePath => "paste the path that `nix build --print-out-paths` shows: /nix/store/<32 characters>-<name>, and nothing behind it",
    Tag => "use lowercase letters, digits and `-`, a letter first, at most 48 in all",
    UnitName => "write the unit with its suffix, such as `postgresql.service` or `network-online.target`",
}

/// A store path that can be deployed.
pub(super) struct Built(pub(super) StorePath);

impl Field for Built {
    fn read(node: &Node<'_>, report: &Report) -> Option<Self> {
        let path = StorePath::read(node, report)?;
        let (what, remedy) = if path.as_str().ends_with(".drv") {
            (
                format!("{path} is a derivation: the recipe, and not what is built by it"),
                "paste the path that `nix build --print-out-paths` shows",
            )
        } else if path.as_str().contains('?') {
            (
                format!("{path} has a `?`, which begins a query in the URLs of caches"),
                "remove what follows the path, or give the package another name",
            )
        } else {
            return Some(Self(path));
        };
        report.add(node.at, what, remedy);
        None
    }
}

impl Field for bool {
    fn read(node: &Node<'_>, report: &Report) -> Option<Self> {
        if let Value::Bool(flag) = node.value {
            return Some(flag);
        }
        let what = format!("expected a boolean, found {}", node.value.kind());
        report.add(node.at, what, "write true or false, without quotes");
        None
    }
}

/// A whole number within bounds.
pub(super) fn whole(
    node: &Node<'_>,
    report: &Report,
    range: std::ops::RangeInclusive<i64>,
) -> Option<i64> {
    let (first, last) = (range.start(), range.end());
    let what = match node.value {
        Value::Integer(number) if range.contains(&number) => return Some(number),
        Value::Integer(number) => format!("{number} is out of range"),
        _ => format!("expected an integer, found {}", node.value.kind()),
    };
    let remedy = match *last {
        i64::MAX => format!("write a whole number from {first} on, without quotes"),
        last => format!("write a whole number from {first} to {last}, without quotes"),
    };
    report.add(node.at, what, remedy);
    None
}

/// A TCP port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port(pub(super) u16);

/// Caddy's admin API, where a Caddyfile does not say otherwise
/// (caddyserver.com/docs/api).
const CADDY_ADMIN: u16 = 2019;

impl Field for Port {
    fn read(node: &Node<'_>, report: &Report) -> Option<Self> {
        let number = whole(node, report, 1..=i64::from(u16::MAX))?;
        if number == i64::from(CADDY_ADMIN) {
            let what = format!("port {number} is the admin API of Caddy");
            report.add(
                node.at,
                what,
                "choose another port: whoever reaches this one owns every route",
            );
            return None;
        }
        u16::try_from(number).ok().map(Self)
    }
}

/// A count or an amount of bytes.
impl Field for u64 {
    fn read(node: &Node<'_>, report: &Report) -> Option<Self> {
        whole(node, report, 1..=i64::MAX)?.try_into().ok()
    }
}

/// The longest duration of a manifest: anything above is a slip of the unit.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl Field for Duration {
    fn read(node: &Node<'_>, report: &Report) -> Option<Self> {
        let remedy =
            "write for example \"500ms\", \"10s\", \"5m\", \"1h30m\" or a whole number of seconds";
        let (read, written) = match &node.value {
            Value::Integer(seconds) => {
                (u64::try_from(*seconds).ok().map(Self::from_secs), seconds.to_string())
            }
            Value::Text(text) => (duration(text), format!("{text:?}")),
            other => {
                report.add(node.at, format!("expected a duration, found {}", other.kind()), remedy);
                return None;
            }
        };
        let read = read.filter(|duration| *duration <= LONGEST);
        if read.is_none() {
            let what = format!("{written} is not a duration of at most 366 days");
            report.add(node.at, what, remedy);
        }
        read
    }
}

/// Numbers with units, largest first or not: `1h30m`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    if text.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at(letters);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let amount = number.parse::<u64>().ok()?.checked_mul(milliseconds)?;
        sum = sum.checked_add(Duration::from_millis(amount))?;
        rest = behind;
    }
    Some(sum)
}

impl Field for Limit {
    fn read(node: &Node<'_>, report: &Report) -> Option<Self> {
        let remedy = "write for example 512, \"512M\", \"2G\", \"50%\" or \"infinity\"";
        let (read, written) = match &node.value {
            Value::Integer(count) => {
                (u64::try_from(*count).ok().filter(|n| *n > 0).map(Self::Count), count.to_string())
            }
            Value::Text(text) => (limit(text), format!("{text:?}")),
            other => {
                report.add(node.at, format!("expected a limit, found {}", other.kind()), remedy);
                return None;
            }
        };
        if read.is_none() {
            report.add(node.at, format!("{written} is not a limit"), remedy);
        }
        read
    }
}

/// systemd's sizes, to the base of 1024 (systemd.resource-control(5)).
fn limit(text: &str) -> Option<Limit> {
    if text == "infinity" {
        return Some(Limit::Infinity);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number = number.parse::<u64>().ok().filter(|n| *n > 0)?;
    let bytes = |power: u32| number.checked_mul(1024_u64.pow(power)).map(Limit::Count);
    match unit {
        "%" => u8::try_from(number).ok().filter(|n| *n <= 100).map(Limit::Percent),
        "" | "B" => bytes(0),
        "K" => bytes(1),
        "M" => bytes(2),
        "G" => bytes(3),
        "T" => bytes(4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_add_their_units_up() {
        for (text, milliseconds) in
            [("500ms", 500), ("10s", 10_000), ("1h30m", 5_400_000), ("5min", 300_000), ("0s", 0)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "5", "s", "1.5s", "1 s", "-1s", "99999999999999999999s", "5y"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn limits_have_systemds_units() {
        assert_eq!(limit("512M"), Some(Limit::Count(512 << 20)));
        assert_eq!(limit("50%"), Some(Limit::Percent(50)));
        assert_eq!(limit("infinity"), Some(Limit::Infinity));
        for text in ["0", "101%", "1.5G", "512MB", "99999999999999999999", "16777216T"] {
            assert_eq!(limit(text), None, "{text}");
        }
    }
}
