//! On real systemd, every value of a manifest arrives as exactly its characters.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::Command;
use std::slice::from_ref;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use writ::manifest::service::{Exec, Service, Work};
use writ::names::{EnvName, Literal};
use writ::plan::environment::{self, Environment};
use writ::plan::unit::{UnitFile, started, unit_files};
use writ::world::Units;

use super::sample::{PLACE, everything, job, oneshot, service, stay};

/// Hands the names of all promises to a macro of the caller's.
macro_rules! literal_contract {
    ($each:ident) => {
        $each! {
            arguments_and_environment_arrive_literally,
            paths_arrive_literally,
            a_revision_is_shown_literally,
            systemd_finds_nothing_to_complain_about
        }
    };
}
pub(crate) use literal_contract;

/// What shells, systemd, C and their kin give a meaning to.
const NASTY: [&str; 34] = [
    "",
    " ",
    "  two  spaces  ",
    "%n %% %h %i",
    "100%",
    "$HOME ${HOME} $$ $",
    "`id` $(id)",
    "\"",
    "'",
    "it's",
    "\"double\" 'single'",
    "\\",
    "\\\\",
    "trailing\\",
    "\\n \\t \\x41 \\u0041 \\101",
    ";",
    " ; ",
    "\\;",
    "a;b",
    "#comment",
    "# comment",
    ";comment",
    "-",
    "--",
    "--option=value",
    "@:+!|-x",
    "a=b=c",
    "*?[a-z]{b,c}~",
    "<>|&",
    "{http.request.host} {{x}}",
    "grüße, 世界 🦀",
    "\u{a0}\u{2028}\u{feff}",
    "e\u{301}\u{200d}\u{202e}",
    "[Service]",
];

pub(crate) async fn arguments_and_environment_arrive_literally(units: &impl Units) {
    let values = [NASTY.map(str::to_owned).to_vec(), random_values(300)].concat();
    let mut service = service("literal");
    let literals: Vec<Literal> = values.iter().map(|value| value.parse().unwrap()).collect();
    let names: Vec<EnvName> = (0..values.len()).map(|i| format!("V{i}").parse().unwrap()).collect();
    service.env = names.iter().cloned().zip(literals.iter().cloned()).collect();
    service.work = Work::Daemon { exec: Exec { args: literals, ..stay() }, notify: false };

    let pid = run(units, &service).await;
    let arguments = split(&fs::read(format!("/proc/{pid}/cmdline")).unwrap());
    assert_eq!(arguments[2..], values, "the script's arguments");
    let environment = environment(pid);
    for (name, value) in names.iter().zip(&values) {
        assert_eq!(environment.get(name.as_str()), Some(value), "{name}");
    }
    clear(units, &service).await;
}

pub(crate) async fn paths_arrive_literally(units: &impl Units) {
    for name in ["plain", "a b", "100%n", "tail\\", "tail ", "q\"uo'te", "*[g]?lob", "ü:;#$HOME"] {
        let folder = format!("{PLACE}/{name}");
        fs::create_dir_all(&folder).unwrap();
        fs::write(format!("{folder}/{name}"), format!("FROM={}\n", name.len())).unwrap();
        let mut service = service("paths");
        let process = Exec { working_directory: Some(folder.parse().unwrap()), ..stay() };
        service.work = Work::Daemon { exec: process, notify: false };
        service.env_file = Some(format!("{folder}/{name}").parse().unwrap());
        service.hardening.read_write_paths = vec![folder.parse().unwrap()];
        // Of these a manifest takes but few: systemd 257 cannot hand a backslash of a
        // state directory to its own executor, nor 262 a quote ("Failed to deserialize").
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-+@".contains(c);
        let state: String = name.chars().filter(|c| plain(*c)).collect();
        let state = format!("writ-literal/{state}");
        service.systemd.state_directory = vec![state.parse().unwrap()];

        let pid = run(units, &service).await;
        assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), Path::new(&folder));
        assert_eq!(environment(pid)["FROM"], name.len().to_string(), "{name:?}");
        assert_eq!(environment(pid)["STATE_DIRECTORY"], format!("/var/lib/{state}"));
        clear(units, &service).await;
    }
}

pub(crate) async fn a_revision_is_shown_literally(units: &impl Units) {
    for revision in NASTY {
        let mut service = service("revision");
        service.revision = Some(revision.parse().unwrap());
        run(units, &service).await;
        let shown = show("writ-revision.service", "Description");
        assert_eq!(shown, format!("Writ service revision ({revision})"));
        clear(units, &service).await;
    }
}

/// What systemd does not understand it only warns about, and then ignores.
pub(crate) async fn systemd_finds_nothing_to_complain_about(units: &impl Units) {
    for service in [service("verified"), everything(), oneshot(), job()] {
        for file in unit_files(&service) {
            write(units, &file).await;
        }
        for file in unit_files(&service) {
            let path = format!("/run/systemd/system/{}", file.name);
            let checked =
                Command::new("systemd-analyze").args(["verify", "--man=no", &path]).output();
            let checked = checked.unwrap();
            let said = String::from_utf8(checked.stderr).unwrap();
            assert!(checked.status.success() && said.is_empty(), "{said}\n{}", file.text);
        }
        clear(units, &service).await;
    }
}

fn random_values(count: usize) -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let any_text = proptest::prop_oneof!["\\PC{0,12}", "[ -~]{0,16}", "[\\\\\"'%$; #]{1,8}"];
    let mut value = || any_text.new_tree(&mut runner).unwrap().current();
    (0..count).map(|_| value()).collect()
}

async fn run(units: &impl Units, service: &Service) -> u32 {
    clear(units, service).await;
    let files = unit_files(service);
    for file in &files {
        write(units, file).await;
    }
    let own = Environment { text: environment::text(service), started_with: None };
    units.set_environment(&service.name, &own).await.unwrap();
    let unit = started(service).unwrap();
    units.start(&unit, from_ref(&unit)).await.unwrap_or_else(|fault| {
        panic!("{fault}\n{}\n{}", fault.evidence.join("\n"), files[0].text);
    });
    units.pulse(from_ref(&unit)).await.unwrap()[&unit].main_pid.unwrap()
}

async fn write(units: &impl Units, file: &UnitFile) {
    let found = units.observe().await.unwrap().remove(&file.name).and_then(|unit| unit.file);
    units.write(&file.name, found.as_deref(), &file.text).await.unwrap();
}

async fn clear(units: &impl Units, service: &Service) {
    units.set_environment(&service.name, &Environment::default()).await.unwrap();
    for file in unit_files(service).iter().rev() {
        units.stop(&file.name).await.unwrap();
        let found = units.observe().await.unwrap().remove(&file.name).and_then(|unit| unit.file);
        if let Some(text) = found {
            units.remove(&file.name, &text).await.unwrap();
        }
    }
}

fn environment(pid: u32) -> BTreeMap<String, String> {
    let entries = split(&fs::read(format!("/proc/{pid}/environ")).unwrap());
    let pair = |entry: &String| entry.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
    entries.iter().filter_map(pair).collect()
}

/// The parts of a list in /proc, each ended by a zero byte.
fn split(list: &[u8]) -> Vec<String> {
    let list = list.strip_suffix(b"\0").unwrap_or(list);
    let text = |part: &[u8]| OsString::from_vec(part.to_vec()).into_string().unwrap();
    list.split(|byte| *byte == 0).map(text).collect()
}

fn show(unit: &str, property: &str) -> String {
    let shown = Command::new("systemctl").args(["show", "--value", "-p", property, unit]).output();
    let text = String::from_utf8(shown.unwrap().stdout).unwrap();
    text.strip_suffix('\n').unwrap_or(&text).to_owned()
}
