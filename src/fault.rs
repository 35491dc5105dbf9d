//! What was refused, what we were doing to what, whether waiting can help, the remedy.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the machine refused.
///
/// `Display` says what was being done; the cause stands in `because`, and what a
/// person can do about it in `remedy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// An infinitive with its object: `start writ-web.service`.
    pub doing: String,
    /// The machine's own words.
    pub because: String,
    pub retry: Retry,
    /// How a person mends it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remedy: Option<String>,
    /// What the machine showed: journal lines of the unit, the last probe's answer.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub evidence: Vec<String>,
}

/// When trying again makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retry {
    /// After a pause: the network, a cache, a full disk, a busy daemon. Never a
    /// reason to roll back.
    Soon,
    /// Not before the branch moves: the generation itself is at fault.
    NextCommit,
}

impl Fault {
    /// A fault that time or a person may mend while the generation stays as it is.
    pub fn wait(doing: impl Into<String>, because: impl fmt::Display) -> Self {
        Self::new(Retry::Soon, doing.into(), because.to_string())
    }

    /// A fault of the generation itself.
    pub fn refuse(doing: impl Into<String>, because: impl fmt::Display) -> Self {
        Self::new(Retry::NextCommit, doing.into(), because.to_string())
    }

    fn new(retry: Retry, doing: String, because: String) -> Self {
        Self { doing, because, retry, remedy: None, evidence: Vec::new() }
    }

    /// Says how a person mends it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Adds what the machine showed, each line once where it repeats itself.
    #[must_use]
    pub fn evidence(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(collapsed(lines));
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.doing, self.because)
    }
}

impl std::error::Error for Fault {}

/// Lines, with those that follow an equal one as a number behind it.
fn collapsed(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut runs: Vec<(String, usize)> = Vec::new();
    for line in lines {
        match runs.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            Some(_) | None => runs.push((line, 1)),
        }
    }
    let told = |(line, count)| if count > 1 { format!("{line} ({count} times)") } else { line };
    runs.into_iter().map(told).collect()
}

/// An error with all its causes in one line; one that was said already, by itself or
/// in the words of another, is not said again.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        if !text.contains(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Layer {
        said: &'static str,
        source: Option<Box<Layer>>,
    }

    fn layers(said: &[&'static str]) -> Option<Box<Layer>> {
        let (said, below) = said.split_first()?;
        Some(Box::new(Layer { said, source: layers(below) }))
    }

    #[test]
    fn evidence_that_repeats_itself_is_told_once_with_its_number() {
        let lines = ["a", "a", "a", "b", "a", "c", "c"].map(str::to_owned);
        let fault = Fault::refuse("see web healthy", "it failed").evidence(lines);
        assert_eq!(fault.evidence, ["a (3 times)", "b", "a", "c (2 times)"]);
    }

    #[test]
    fn each_cause_is_told_once() {
        let told = |said: &[&'static str]| causes(&*layers(said).unwrap());
        assert_eq!(told(&["read a", "denied"]), "read a: denied");
        assert_eq!(told(&["read a: denied", "denied"]), "read a: denied");
        assert_eq!(
            told(&["read a (denied), sorry", "denied", "errno 13"]),
            "read a (denied), sorry: errno 13"
        );
        assert_eq!(told(&["denied"]), "denied");
    }
}
