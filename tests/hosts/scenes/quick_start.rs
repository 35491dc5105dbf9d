//! The quick start, command by command as it is printed.

use std::sync::Arc;

use super::Scene;
use crate::lab::fleet::Fleet;
use crate::lab::site::{Config, Site};

pub(super) const SCENES: &[Scene] =
    &[("what_the_quick_start_says_is_what_happens", as_it_is_printed)];

const TEXT: &str = include_str!("../../../docs/quick-start.md");

/// The commands of each numbered section, in order.
fn sections() -> Vec<String> {
    let sections = TEXT.split("\n## ").filter(|part| part.starts_with(char::is_numeric));
    let commands = |section: &str| -> String {
        let blocks = section.split("```sh\n").skip(1);
        blocks.filter_map(|block| block.split("```").next()).collect()
    };
    sections.map(commands).collect()
}

fn as_it_is_printed() {
    let fleet = Arc::new(Fleet::new().expect("hosts can be booted here"));
    // The section before the first is what every host of the tests is made with.
    let site = Site::open(&fleet, "biz", Config::local("", "", ""));
    let host = &site.host;
    host.must(&["rm", "/etc/writ/agent.toml"]);
    let sections = sections();
    let script: String =
        sections.iter().map(|commands| format!("{commands}echo ==end\n")).collect();
    host.put("/root/quick-start.sh", format!("cd\n{script}"), 0o600);
    let ran = host.run(&["env", "HOME=/root", "bash", "/root/quick-start.sh"]);
    let told: Vec<&str> = ran.stdout.split("==end\n").collect();
    let (one, two) = ("hello from version 1\n", "hello from version 2\n");
    for (section, words) in [
        (2, &["introducer"][..]),
        (3, &["confirmed", "note   cache    file:///srv/cache", "ok     agent"]),
        (4, &["start   hello", "confirmed", one]),
        (5, &["rolled back to", "500", one]),
        (6, &[two, "confirmed", one]),
        (7, &["it is not signed", "confirmed"]),
    ] {
        let text = told.get(section - 1).unwrap_or_else(|| panic!("{ran:?}"));
        let missing: Vec<_> = words.iter().filter(|word| !text.contains(**word)).collect();
        assert!(missing.is_empty(), "section {section} lacks {missing:?}:\n{text}\n{}", ran.stderr);
    }
    assert!(!told[2].contains("WRONG"), "the doctor is content: {}", told[2]);
    let socket = host.must(&["stat", "-c", "%G %a", "/run/writ/control.sock"]);
    assert_eq!(socket.trim(), "writ 660", "its group may ask for the status");
    // Its words are among the reasons.
    assert!(told[4].ends_with(one), "{}", told[4]);
    assert!(told[5].find(two) < told[5].rfind(one), "{}", told[5]);
}
