//! What every host would refuse of a tree, `writ check` and the hooks refuse first, in the
//! same words and with the path; and what hosts tolerate they let pass.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Output;

use crate::desk::{Desk, ok};
use crate::revert::{ONE, service};
use crate::team::Team;

/// One byte more than a host takes.
const LARGE: usize = (16 << 20) + 1;
const TOO_LARGE: &str =
    "docs/film has 16777217 bytes, and hosts take no object of more than 16777216";

impl Desk {
    /// What `writ check` says and then `git commit`, which both refuse.
    fn refused(&self) -> String {
        let check = self.in_deploy(&["check"]);
        let checked = String::from_utf8_lossy(&check.stdout).into_owned();
        assert_eq!(check.status.code(), Some(1), "{checked}");
        self.git(&["add", "-A"]);
        let commit = self.run_in(&self.deploy(), "git", &["commit", "-q", "-m", "bad"]);
        let said = said(&commit);
        assert!(!commit.status.success(), "{said}");
        // Warnings are told with a commit that changes the policy.
        for line in checked.lines().filter(|line| !line.starts_with("warning: ")) {
            assert!(said.contains(line), "{line}\nis not in\n{said}");
        }
        assert!(said.contains("error: nothing was committed"), "{said}");
        self.git(&["reset", "-q", "--hard"]);
        self.git(&["clean", "-qfdx"]);
        checked
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.deploy().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn link(&self, path: &str, to: &str) {
        let path = self.deploy().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        symlink(to, path).unwrap();
    }

    fn edit(&self, path: &str, edit: impl Fn(String) -> String) {
        let path = self.deploy().join(path);
        fs::write(&path, edit(fs::read_to_string(&path).unwrap())).unwrap();
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn what_every_host_would_refuse_is_refused_at_the_desk_first() {
    let desk = Desk::with_services();
    let told = |because: &str| {
        let told = desk.refused();
        assert!(told.contains(because) && told.contains("hint: "), "{told}");
    };
    desk.put("docs/film", &vec![0; LARGE]);
    told(TOO_LARGE);
    desk.link("manifests/services/late.toml", "web.toml");
    told("manifests/services: \"late.toml\" is a symbolic link");
    fs::rename(desk.deploy().join("manifests"), desk.deploy().join("real")).unwrap();
    desk.link("manifests", "real");
    told("\"manifests\" is a symbolic link");
    desk.put("manifests/services/a\tb", b"x");
    told("manifests/services: the name \"a\\tb\"");
    desk.put("manifests/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/x", b"x");
    told("lies more than 16 folders deep");
    desk.put("Manifests/services/web.toml", b"x");
    told("\"Manifests\" looks like \"manifests\"");
    desk.put(".writ/README", b"x");
    told("does not know the file .writ/README");
    desk.edit(".writ/policy.toml", |text| format!("unknown = 1\n{text}"));
    told(".writ/policy.toml: line 1: unknown field `unknown`");
    desk.edit(".writ/allowed_signers", |text| text.replace('\n', "\r\n"));
    told(".writ/allowed_signers: line ");
    let rsa = desk.home().join("rsa");
    let rsa = rsa.display().to_string();
    ok(&desk.run("ssh-keygen", &["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", &rsa]));
    let key = fs::read_to_string(format!("{rsa}.pub")).unwrap();
    desk.edit(".writ/allowed_signers", |text| format!("{text}old namespaces=\"git\" {key}"));
    told("RSA");
    fs::remove_dir_all(desk.deploy().join(".writ")).unwrap();
    told(".writ: there is no such folder");
}

/// What hosts do not read stops nobody, at the desk or on a host.
#[test]
fn what_hosts_tolerate_is_committed_pushed_and_followed() {
    let team = Team::with("").guarded("pre-receive");
    let alice = &team.alice;
    alice.link("docs/link", "../manifests");
    alice.link("hosts", "manifests/hosts");
    alice.put("docs/a\tb", b"x");
    alice.put("docs/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/x", b"x");
    alice.put("docs/film", &vec![0; LARGE - 1]);
    let odd = std::ffi::OsStr::new("docs").to_owned();
    let odd = [odd.as_encoded_bytes(), b"/\xff"].concat();
    let odd = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&odd).to_owned();
    fs::write(alice.deploy().join(odd), "x").unwrap();
    let head = alice.git(&["rev-parse", "HEAD"]);
    let module = format!("160000,{head},library");
    alice.git(&["update-index", "--add", "--cacheinfo", &module]);
    let checked = alice.in_deploy(&["check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    alice.git(&["add", "-A", "docs", "hosts"]);
    let commit = alice.run_in(&alice.deploy(), "git", &["commit", "-q", "-m", "docs"]);
    ok(&commit);
    assert_eq!(said(&commit), "", "a hook is silent where all is well");
    let push = alice.run_in(&alice.deploy(), "git", &["push", "-q"]);
    ok(&push);
    assert_eq!(said(&push), "");
    let root = alice.git(&["rev-list", "--max-parents=0", "HEAD"]);
    let verified = alice.in_deploy(&["verify", "--introduction", &root, "--explain"]);
    assert!(ok(&verified).contains("add docs/a\\tb: role admin"), "{}", said(&verified));
    // bob, who may write services, adds no link of his own.
    team.bob.git(&["pull", "-q"]);
    team.bob.link("docs/other", "x");
    team.bob.commit("a link");
    let push = team.bob.run_in(&team.bob.deploy(), "git", &["push", "-q"]);
    assert!(said(&push).contains("bob may not change docs/other"), "{}", said(&push));
}

/// Hosts cannot name it: they refuse the pack before they know of commits.
#[test]
fn a_large_file_is_refused_wherever_in_the_history_it_is_with_its_commit() {
    let team = Team::with("").guarded("update");
    let alice = &team.alice;
    alice.put("docs/film", &vec![0; LARGE]);
    alice.git(&["add", "-A"]);
    alice.git(&["commit", "-q", "--no-verify", "-m", "a film"]);
    let film = alice.git(&["rev-parse", "HEAD"]);
    fs::remove_file(alice.deploy().join("docs/film")).unwrap();
    alice.write("late", &service(ONE, "late", 8002));
    alice.commit("no film");
    let expected = format!("commit {} is refused by rule O5 (too-large): {TOO_LARGE}", &film[..10]);
    let push = |args: &[&str]| {
        let push = alice.run_in(&alice.deploy(), "git", &[&["push", "-q"], args].concat());
        assert!(!push.status.success());
        said(&push).replace("\nremote: ", "\n")
    };
    let told = push(&[]);
    assert!(told.contains(&expected) && told.contains("\nnothing was pushed\n"), "{told}");
    let told = push(&["--no-verify"]);
    assert!(told.replace('\n', " ").contains("rule O5 (too-large): docs/film has"), "{told}");
    let root = alice.git(&["rev-list", "--max-parents=0", "HEAD"]);
    let verified = alice.in_deploy(&["verify", "--introduction", &root]);
    let told = said(&verified);
    assert_eq!(verified.status.code(), Some(1), "{told}");
    let expected = format!("refused by rule O5 (too-large): {film}\n  {TOO_LARGE}");
    assert!(told.contains(&expected), "{told}");
}
