//! `writ init`, as a new operator runs it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::desk::{Desk, ok};

#[test]
fn a_new_repository_is_one_that_hosts_follow() {
    let desk = Desk::new();
    let url = "https://git.acme.example/deploy.git";
    let made = desk.writ(&["init", "deploy", "--host", "web-1", "--host", "db-1", "--url", url]);
    insta::assert_snapshot!(desk.told(&made));
    assert_eq!(desk.git(&["status", "--short"]), "");
    assert_eq!(desk.git(&["log", "--format=%G? %GS"]), "G alice");
    let introduction = desk.git(&["rev-parse", "HEAD"]);
    let verified =
        desk.run_in(&desk.deploy(), "writ", &["verify", "--introduction", &introduction]);
    assert!(ok(&verified).starts_with("accepted"));
    ok(&desk.run_in(&desk.deploy(), "writ", &["check"]));
}

/// The config that is printed is one that a host takes as it is.
#[test]
fn the_printed_config_is_one_that_a_host_takes() {
    let desk = Desk::new();
    let url = "https://git.acme.example/deploy.git";
    let made = ok(&desk.writ(&["init", "deploy", "--object-format", "sha256", "--url", url]));
    let (_, config) = made.split_once("# /etc/writ/agent.toml").unwrap();
    let path = desk.dir.path().join("agent.toml");
    fs::write(&path, format!("#{config}")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let verified =
        desk.run_in(&desk.deploy(), "writ", &["verify", "--host-config", path.to_str().unwrap()]);
    assert!(ok(&verified).starts_with("accepted"));
}

#[test]
fn a_repository_is_introduced_once() {
    let desk = Desk::new();
    ok(&desk.writ(&["init", "deploy"]));
    let before = desk.git(&["rev-parse", "HEAD"]);
    let again = desk.writ(&["init", "deploy"]);
    assert!(desk.told(&again).contains("is a deploy repository already"));
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), before);
}

#[test]
fn a_run_that_could_not_sign_is_finished_by_the_next() {
    let desk = Desk::new();
    let key = desk.home().join(".ssh/id_ed25519");
    let away = desk.home().join("key-at-home");
    fs::rename(&key, &away).unwrap();
    let failed = desk.writ(&["init", "deploy"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(desk.told(&failed).contains("run `writ init` again"), "{}", desk.told(&failed));
    let policy = desk.deploy().join(".writ/policy.toml");
    let edited = fs::read_to_string(&policy).unwrap() + "# looked at\n";
    fs::write(&policy, &edited).unwrap();
    fs::rename(&away, &key).unwrap();
    ok(&desk.writ(&["init", "deploy"]));
    assert_eq!(fs::read_to_string(&policy).unwrap(), edited);
    assert_eq!(desk.git(&["status", "--short"]), "");
}

#[test]
fn an_ssh_key_that_git_knows_is_taken_though_its_format_was_never_set() {
    let desk = Desk::new();
    let ssh = desk.home().join(".ssh");
    for end in ["", ".pub"] {
        fs::rename(ssh.join(format!("id_ed25519{end}")), ssh.join(format!("deploy{end}"))).unwrap();
    }
    let key = "~/.ssh/deploy.pub";
    ok(&desk.run("git", &["config", "--global", "user.signingkey", key]));
    ok(&desk.writ(&["init", "deploy"]));
    assert_eq!(desk.git(&["log", "--format=%G? %GS"]), "G alice");
}

#[test]
fn what_lies_in_a_repository_stays_as_it_is() {
    let desk = Desk::new();
    ok(&desk.run("git", &["init", "-q", "-b", "main", "deploy"]));
    let hook = desk.deploy().join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(desk.deploy().join("notes.txt"), "mine").unwrap();
    desk.git(&["add", "notes.txt"]);
    let made = desk.writ(&["init", "deploy", "--key", "home/.ssh/id_ed25519"]);
    assert!(ok(&made).contains("hooks installed: pre-push\n"));
    assert_eq!(fs::read_to_string(&hook).unwrap(), "#!/bin/sh\n");
    assert_eq!(desk.git(&["status", "--short"]), "A  notes.txt", "only our files are committed");
}

#[test]
fn an_operator_without_a_key_is_told_how_to_make_one() {
    let desk = Desk::new();
    fs::remove_dir_all(desk.home().join(".ssh")).unwrap();
    fs::create_dir_all(desk.home().join(".ssh")).unwrap();
    let failed = desk.writ(&["init", "deploy"]);
    let told = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(2));
    assert!(told.contains("no key to sign with") && told.contains("ssh-keygen -t"), "{told}");
}

#[test]
fn the_hook_refuses_a_manifest_that_hosts_would_refuse() {
    let desk = Desk::new();
    ok(&desk.writ(&["init", "deploy"]));
    let services = desk.deploy().join("manifests/services");
    fs::create_dir_all(&services).unwrap();
    fs::write(services.join("web.toml"), "hots = [\"host-1\"]\n").unwrap();
    desk.git(&["add", "-A"]);
    let commit = desk.run_in(&desk.deploy(), "git", &["commit", "-m", "web"]);
    assert!(!commit.status.success());
    let said = desk.told(&commit);
    assert!(said.contains("did you mean `hosts`?"), "{said}");
}
