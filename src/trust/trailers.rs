//! What a commit's message asks for: its trailers, as git reads them, and the orders among them.
//!
//! Trailers are the lines `Key: value` of a message's last paragraph, if that is not
//! the first one and holds nothing else (git-interpret-trailers(1); beside one of
//! git's own lines, such as `Signed-off-by:`, up to three in four may be anything).

use super::plans::{self, SignedPlan};
use crate::names::Principal;

/// Lets a generation begin outside of the deploy windows.
const URGENT: &str = "Writ-Urgent";
/// Makes a commit a generation of its own on hosts that were away.
const MUST_PASS: &str = "Writ-Must-Pass";
/// Characters of a value that are repeated to people.
const SHOWN: usize = 40;
/// What git itself writes into messages (git, `trailer.c`).
const OF_GIT: [&str; 2] = ["Signed-off-by: ", "(cherry picked from commit "];

/// What a message asks of hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Orders {
    pub(super) urgent: bool,
    pub(super) must_pass: bool,
    pub(super) plans: Vec<SignedPlan>,
    /// Lines that look like an order and are none, and why.
    pub(super) ignored: Vec<String>,
}

impl Orders {
    /// The orders of a message; what is not exactly `yes` is none.
    pub(super) fn of(message: &str) -> Self {
        let mut ignored = Vec::new();
        let mut order = |key| match ordered(message, key) {
            Ok(ordered) => ordered,
            Err(why) => {
                ignored.push(why);
                false
            }
        };
        let (urgent, must_pass) = (order(URGENT), order(MUST_PASS));
        let plans = plans::of(message, &mut ignored);
        Self { urgent, must_pass, plans, ignored }
    }

    /// Those of somebody who may not order anything.
    pub(super) fn denied(self, to: &Principal) -> Self {
        let Self { urgent, must_pass, plans, mut ignored } = self;
        let planned = (!plans.is_empty(), plans::TRAILER);
        let denied = [(urgent, URGENT), (must_pass, MUST_PASS), planned].into_iter();
        ignored.extend(denied.filter(|(ordered, _)| *ordered).map(|(_, key)| {
            format!("`{key}` counts for nothing: {to} may not write anything alone")
        }));
        Self { ignored, ..Self::default() }
    }
}

fn ordered(message: &str, key: &str) -> Result<bool, String> {
    let trailers = trailers(message);
    let values: Vec<&str> =
        trailers.iter().filter(|t| t.is(key)).map(|t| t.value.as_str()).collect();
    match values.iter().find(|value| **value != "yes") {
        Some(other) => Err(format!("`{key}: {}` counts for nothing: it takes `yes`", shown(other))),
        None if !values.is_empty() => Ok(true),
        None if message.lines().filter_map(split).any(|line| line.is(key)) => Err(format!(
            "`{key}` counts for nothing: it is not among the trailers, the last paragraph of the message"
        )),
        None => Ok(false),
    }
}

/// A value as a log can hold it, whatever it is.
pub(super) fn shown(value: &str) -> String {
    let start: String = value.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if value.chars().nth(SHOWN).is_some() { start + "…" } else { start }
}

/// One `Key: value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trailer<'a> {
    key: &'a str,
    /// Its folded lines joined by a space.
    pub(super) value: String,
}

impl Trailer<'_> {
    /// Keys are compared as git does.
    pub(super) fn is(&self, key: &str) -> bool {
        self.key.eq_ignore_ascii_case(key)
    }

    /// Goes on in place: a message has up to a million folded lines.
    fn folds(&mut self, more: &str) {
        if !self.value.is_empty() && !more.is_empty() {
            self.value.push(' ');
        }
        self.value.push_str(more);
    }
}

/// A line `Key: value` wherever it stands; a key has letters, digits and `-`.
pub(super) fn split(line: &str) -> Option<Trailer<'_>> {
    let (key, value) = line.split_once(':')?;
    let key = key.trim_end_matches([' ', '\t']);
    let sound = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    sound.then(|| Trailer { key, value: value.trim().to_owned() })
}

/// The trailers of a message.
pub(super) fn trailers(message: &str) -> Vec<Trailer<'_>> {
    let mut found: Vec<Trailer<'_>> = Vec::new();
    // Whether a folded line goes on with a trailer.
    let mut within = false;
    for line in block(message) {
        if line.starts_with([' ', '\t']) {
            if let Some(last) = found.last_mut().filter(|_| within) {
                last.folds(line.trim());
            }
            continue;
        }
        let trailer = split(line);
        within = trailer.is_some();
        found.extend(trailer);
    }
    found
}

/// The lines of the last paragraph, where they are trailers.
fn block(message: &str) -> Vec<&str> {
    let ignored = |line: &str| line.trim().is_empty() || line.starts_with('#');
    let mut lines: Vec<&str> = message.lines().collect();
    while lines.pop_if(|line| ignored(line)).is_some() {}
    let Some(blank) = lines.iter().rposition(|line| line.trim().is_empty()) else {
        return Vec::new();
    };
    // The first paragraph is the subject, whatever it looks like.
    if lines[..blank].iter().all(|line| line.trim().is_empty()) {
        return Vec::new();
    }
    let block: Vec<&str> =
        lines[blank + 1..].iter().copied().filter(|line| !line.starts_with('#')).collect();
    let of_git = |line: &str| OF_GIT.iter().any(|prefix| line.starts_with(prefix));
    let (mut good, mut bad, mut within) = (0_usize, 0_usize, false);
    for line in &block {
        let folded = line.starts_with([' ', '\t']);
        let trailer = !folded && (of_git(line) || split(line).is_some());
        within = trailer || (folded && within);
        good += usize::from(trailer);
        bad += usize::from(!within);
    }
    let mixed = block.iter().any(|line| of_git(line)) && good * 3 >= bad;
    if good > 0 && (bad == 0 || mixed) { block } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the message orders `Writ-Urgent`, and what is told of it.
    fn urgent(message: &str) -> (bool, String) {
        let orders = Orders::of(message);
        (orders.urgent, orders.ignored.join("\n"))
    }

    #[test]
    fn an_order_is_a_trailer_of_the_last_paragraph() {
        for message in [
            "subject\n\nWrit-Urgent: yes\n",
            "subject\n\nbody\n\nWrit-Urgent: yes",
            "subject\n\nbody: of text\n\nwrit-URGENT : yes\nReviewed-by: Bob\n\n\n",
            "subject\n\nWrit-Urgent: yes\nSigned-off-by: Bob <b@x>\n",
            "subject\n\nWrit-Urgent:\n yes\n",
            "subject\n\nany text\nSigned-off-by: Bob <b@x>\nWrit-Urgent: yes\n",
        ] {
            assert_eq!(urgent(message), (true, String::new()), "{message}");
        }
        assert_eq!(urgent("subject\n\nWrit-Urgently: yes\n"), (false, String::new()));
    }

    #[test]
    fn what_only_looks_like_an_order_is_none_and_told() {
        for (message, why) in [
            ("Writ-Urgent: yes", "last paragraph"),
            ("subject\nWrit-Urgent: yes\n", "last paragraph"),
            ("subject\n\nWrit-Urgent: yes\n\nmore\n", "last paragraph"),
            ("subject\n\nthis is text\nWrit-Urgent: yes\n", "last paragraph"),
            ("subject\n\nWrit-Urgent: Yes\n", "it takes `yes`"),
            ("subject\n\nWrit-Urgent: yes please\n", "it takes `yes`"),
            ("subject\n\nWrit-Urgent: yes\n please\n", "it takes `yes`"),
            ("subject\n\nWrit-Urgent:\n", "it takes `yes`"),
            ("subject\n\nWrit-Urgent: yes\nWrit-Urgent: no\n", "it takes `yes`"),
        ] {
            let (ordered, told) = urgent(message);
            assert!(!ordered && told.contains(why), "{message}: {told}");
        }
    }

    #[test]
    fn the_two_orders_are_apart() {
        let both = Orders::of("s\n\nWrit-Must-Pass: yes\nWrit-Urgent: true\n");
        assert!(both.must_pass && !both.urgent && both.ignored.len() == 1);
    }
}
