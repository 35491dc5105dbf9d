//! Says what a changed unit file asks of the unit that runs.
//!
//! The rules are those of NixOS (nixpkgs `switch-to-configuration-ng`,
//! `compare_units`), with the two additions that [`of_setting`] names.

use std::collections::{BTreeMap, BTreeSet};

/// What a change of a unit's text means for the unit that runs; the greater
/// holds where a text changes in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Impact {
    /// The texts are equal.
    Same,
    /// The file is to be written; nothing that runs is concerned.
    Write,
    /// The file is to be written and the unit reloaded.
    Reload,
    /// The unit is to be stopped, written and started.
    Restart,
}

/// Keys of `[Unit]` that say nothing about how a running unit runs.
const WITHOUT_EFFECT: [&str; 12] = [
    "AllowIsolate",
    "CollectMode",
    "Description",
    "Documentation",
    "IgnoreOnIsolate",
    "OnFailure",
    "OnFailureJobMode",
    "OnSuccess",
    "RefuseManualStart",
    "RefuseManualStop",
    "SourcePath",
    "StopWhenUnneeded",
];

/// Compares what a unit's file says with what it is to say.
pub fn impact(old: &str, new: &str) -> Impact {
    if old == new {
        return Impact::Same;
    }
    let (old, new) = (Settings::parse(old), Settings::parse(new));
    let keys: BTreeSet<_> = old.0.keys().chain(new.0.keys()).collect();
    keys.into_iter()
        .filter(|key| old.0.get(*key) != new.0.get(*key))
        .map(|(section, key)| of_setting(section, key, &new))
        .fold(Impact::Write, Impact::max)
}

/// What a change of one setting means.
///
/// Beyond NixOS's rules: `ExecReload=` is how a running process takes a change
/// in, so that a new one is carried out; `TimeoutStartSec=` bounds the next
/// start only.
fn of_setting(section: &str, key: &str, new: &Settings) -> Impact {
    match (section, key) {
        ("Unit", "X-Reload-Triggers") if new.can_reload() => Impact::Reload,
        ("Service", "ExecReload") if new.can_reload() => Impact::Reload,
        ("Service", "ExecReload" | "TimeoutStartSec") | ("Install", _) => Impact::Write,
        ("Unit", key) if WITHOUT_EFFECT.contains(&key) => Impact::Write,
        (section, _) if section.starts_with("X-") => Impact::Write,
        _ => Impact::Restart,
    }
}

/// Each setting's values by section and key, in the order of their lines.
struct Settings(BTreeMap<(String, String), Vec<String>>);

impl Settings {
    /// Reads comments, sections, settings and continued lines (systemd.syntax(7)).
    fn parse(text: &str) -> Self {
        let mut settings: BTreeMap<_, Vec<String>> = BTreeMap::new();
        let mut section = String::new();
        for line in logical_lines(text) {
            let line = line.trim();
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name.to_owned();
            } else {
                let (key, value) = line.split_once('=').unwrap_or((line, ""));
                let place = (section.clone(), key.trim().to_owned());
                settings.entry(place).or_default().push(value.trim().to_owned());
            }
        }
        Self(settings)
    }

    fn can_reload(&self) -> bool {
        self.0.contains_key(&("Service".to_owned(), "ExecReload".to_owned()))
    }
}

/// The lines that are neither blank nor comments, continued ones joined.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut continued = false;
    for line in text.lines() {
        let begins = line.trim_start();
        if begins.starts_with(['#', ';']) || (begins.is_empty() && !continued) {
            continue;
        }
        let trailing = line.len() - line.trim_end_matches('\\').len();
        let continues = trailing % 2 == 1;
        let content = if continues { &line[..line.len() - 1] } else { line };
        match lines.last_mut() {
            Some(last) if continued => {
                last.push(' ');
                last.push_str(content);
            }
            _ => lines.push(content.to_owned()),
        }
        continued = continues;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "[Unit]\nDescription=a\nAfter=x.target\n\n[Service]\nExecStart=/bin/a\n";

    fn changed(from: &str, to: &str) -> Impact {
        assert!(OLD.contains(from), "{from:?} is not in the text");
        impact(OLD, &OLD.replace(from, to))
    }

    #[test]
    fn an_unchanged_text_asks_for_nothing() {
        assert_eq!(impact(OLD, OLD), Impact::Same);
    }

    #[test]
    fn a_description_restarts_nothing() {
        assert_eq!(changed("Description=a", "Description=b"), Impact::Write);
        assert_eq!(changed("Description=a\n", ""), Impact::Write);
        assert_eq!(changed("[Service]", "[Install]\nWantedBy=x.target\n[Service]"), Impact::Write);
        assert_eq!(changed("[Service]", "[X-Note]\nBy=me\n[Service]"), Impact::Write);
    }

    #[test]
    fn a_comment_restarts_nothing() {
        assert_eq!(changed("[Service]", "# by hand\n[Service]"), Impact::Write);
        assert_eq!(changed("Description=a", "Description = a"), Impact::Write);
    }

    #[test]
    fn anything_the_process_runs_with_restarts_it() {
        assert_eq!(changed("/bin/a", "/bin/b"), Impact::Restart);
        assert_eq!(changed("ExecStart", "Environment=A=1\nExecStart"), Impact::Restart);
        assert_eq!(changed("After=x.target\n", ""), Impact::Restart);
        assert_eq!(changed("[Service]", "[Service]\nUser=web"), Impact::Restart);
        assert_eq!(changed("\n[Service]\nExecStart=/bin/a\n", ""), Impact::Restart);
        assert_eq!(impact("", OLD), Impact::Restart);
    }

    #[test]
    fn the_order_of_repeated_settings_counts() {
        let old = "[Service]\nSystemCallFilter=@a\nSystemCallFilter=~@b\n";
        let new = "[Service]\nSystemCallFilter=~@b\nSystemCallFilter=@a\n";
        assert_eq!(impact(old, new), Impact::Restart);
    }

    #[test]
    fn a_setting_that_moves_to_another_section_counts() {
        let (old, new) = ("[Service]\nA=1\n[Timer]\n", "[Service]\n[Timer]\nA=1\n");
        assert_eq!(impact(old, new), Impact::Restart);
    }

    #[test]
    fn a_new_way_to_reload_is_carried_out_and_a_lost_one_is_not() {
        let with = |reload: &str| OLD.replace("ExecStart=", &format!("{reload}\nExecStart="));
        let (one, two) = (with("ExecReload=/bin/r 1"), with("ExecReload=/bin/r 2"));
        assert_eq!(impact(&one, &two), Impact::Reload);
        assert_eq!(impact(&one, OLD), Impact::Write);
        let restarted = two.replace("/bin/a", "/bin/b");
        assert_eq!(impact(&one, &restarted), Impact::Restart);
    }

    #[test]
    fn reload_triggers_reload_what_can_be_reloaded() {
        let trigger = |unit: &str| unit.replace("[Unit]", "[Unit]\nX-Reload-Triggers=/etc/a");
        assert_eq!(impact(OLD, &trigger(OLD)), Impact::Restart);
        let able = OLD.replace("ExecStart=", "ExecReload=/bin/r\nExecStart=");
        assert_eq!(impact(&able, &trigger(&able)), Impact::Reload);
    }

    #[test]
    fn how_long_the_next_start_may_take_does_not_concern_this_one() {
        let timed = OLD.replace("ExecStart=", "TimeoutStartSec=300s\nExecStart=");
        assert_eq!(impact(OLD, &timed), Impact::Write);
    }

    #[test]
    fn a_line_continued_by_hand_is_one_setting() {
        let by_hand = OLD.replace("/bin/a", "/bin/a \\\n# why\n Description=x");
        assert_eq!(impact(OLD, &by_hand), Impact::Restart);
        let settings = Settings::parse(&by_hand);
        let key = ("Service".to_owned(), "ExecStart".to_owned());
        assert_eq!(settings.0[&key], ["/bin/a   Description=x"]);
    }
}
