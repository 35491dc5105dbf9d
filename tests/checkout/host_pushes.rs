//! Hosts that push their reports to a server with the hooks of `hooks/`.

use std::fs;
use std::process::Output;

use writ::report::HostReport;

use crate::desk::{Desk, ok};
use crate::revert::{ONE, service};
use crate::team::Team;

/// A server that judges, and hosts that alice's branch names.
struct Server {
    team: Team,
    hook: &'static str,
}

impl Server {
    fn with_hosts(hook: &'static str, hosts: &[&str]) -> Self {
        let team = Team::with("");
        team.alice.names_hosts(hosts);
        Self { team: team.guarded(hook), hook }
    }

    /// What `host` pushes: a commit without a parent, with this in the file `status`.
    fn letter(&self, bytes: &str) -> String {
        self.commit(&[("status", bytes)], None)
    }

    fn commit(&self, files: &[(&str, &str)], parent: Option<&str>) -> String {
        let alice = &self.team.alice;
        let blob = |text: &str| alice.fed(&["hash-object", "-w", "--stdin"], text);
        let entry = |(name, text): &(&str, &str)| format!("100644 blob {}\t{name}\n", blob(text));
        let tree = alice.fed(&["mktree"], &files.iter().map(entry).collect::<String>());
        let parent = parent.map(|parent| ["-p", parent]);
        let all: Vec<&str> = ["commit-tree", "-m", "status", &tree]
            .into_iter()
            .chain(parent.iter().flatten().copied())
            .collect();
        alice.fed(&all, "")
    }

    fn signed(&self, report: &HostReport) -> String {
        let text = report.text().unwrap();
        self.letter(&self.team.alice.signed(report.host.as_str(), &text))
    }

    /// As this host's account pushes; as a person's, where there is none.
    fn push(&self, host: Option<&str>, refspec: &str) -> Output {
        let alice = &self.team.alice;
        let args = ["push", "-q", "--no-verify", "origin", refspec];
        let mut command = alice.command(&alice.deploy(), "git", &args);
        host.map(|host| command.env("WRIT_HOST", host));
        command.output().unwrap()
    }

    fn refused(&self, host: Option<&str>, refspec: &str, why: &str) {
        let output = self.push(host, refspec);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(why), "{}: {refspec}: {said}", self.hook);
    }

    fn has(&self, reference: &str) -> String {
        self.team.on_server(&["for-each-ref", "--format=%(objectname)", reference])
    }
}

const BIZ: &str = "refs/writ/status/biz";

#[test]
fn a_host_writes_its_own_report_and_nothing_else() {
    for hook in ["pre-receive", "update"] {
        let server = Server::with_hosts(hook, &["biz", "web"]);
        server.team.on_server(&["config", "receive.denyDeleteCurrent", "ignore"]);
        let report = server.team.alice.well("biz");
        let letter = server.signed(&report);
        ok(&server.push(Some("biz"), &format!("+{letter}:{BIZ}")));
        assert_eq!(server.has(BIZ), letter, "{hook}");
        let main = server.team.main();
        let only = "biz is a host: it writes refs/writ/status/biz, and nothing else";
        for there in ["refs/writ/status/web", "refs/heads/x", "refs/tags/x", "refs/writ/head/main"]
        {
            server.refused(Some("biz"), &format!("+{letter}:{there}"), only);
            assert_eq!(server.has(there), "", "{hook}");
        }
        server.refused(Some("biz"), ":refs/heads/main", only);
        server.refused(Some("biz"), &format!(":{BIZ}"), only);
        server.refused(Some("../biz"), &format!("+{letter}:refs/writ/status/b"), "WRIT_HOST: ");
        // What it may write is refused with it where both come at once.
        let alice = &server.team.alice;
        let both = ["push", "-q", "--no-verify", "origin", &format!(":{BIZ}"), "HEAD:refs/heads/y"];
        let mut push = alice.command(&alice.deploy(), "git", &both);
        assert!(!push.env("WRIT_HOST", "biz").output().unwrap().status.success());
        assert_eq!(
            (server.team.main(), server.has(BIZ), server.has("refs/heads/y")),
            (main, letter, String::new())
        );
    }
}

#[test]
fn whoever_pushes_it_a_report_is_signed_by_the_host_it_is_of_and_no_older() {
    let server = Server::with_hosts("pre-receive", &["biz", "web"]);
    let alice = &server.team.alice;
    let mut report = alice.well("biz");
    let good = server.signed(&report);
    let text = report.text().unwrap();
    for (letter, why) in [
        (server.letter(&alice.signed("web", &text)), "bad signature"),
        (server.letter(&text), "the report is not signed"),
        (server.letter("x\n"), "the report is not signed"),
        (server.letter(&"x".repeat(70_000)), "more than a report has"),
        (server.signed(&alice.well("web")), "bad signature"),
        (
            server.commit(&[("status", &alice.signed("biz", &text)), ("z", "")], None),
            "more than the file",
        ),
        (server.commit(&[("status", &alice.signed("biz", &text))], Some(&good)), "has a parent"),
        (alice.git(&["rev-parse", "HEAD^{tree}"]), "no commit with a file"),
    ] {
        server.refused(None, &format!("+{letter}:{BIZ}"), why);
        server.refused(Some("biz"), &format!("+{letter}:{BIZ}"), why);
    }
    server.refused(None, &format!("+{good}:refs/writ/status/other"), "has no such host");
    server.refused(None, &format!("+{good}:refs/writ/status/Bad"), "is not a host name");
    server.refused(None, "HEAD:refs/writ/status", "would be in the way of what hosts push");
    assert_eq!(server.has("refs/writ"), "");
    ok(&server.push(None, &format!("+{good}:{BIZ}")));
    report.sequence -= 1;
    let old = server.signed(&report);
    server.refused(None, &format!("+{old}:{BIZ}"), "an old report was put back");
    report.sequence += 2;
    let new = server.signed(&report);
    ok(&server.push(Some("biz"), &format!("+{new}:{BIZ}")));
    assert_eq!(server.has(BIZ), new);
    // A host that went away is cleared up by people.
    ok(&server.push(None, &format!(":{BIZ}")));
    alice.host_file("biz", "");
    alice.commit("biz has no key any more");
    ok(&server.push(None, "main"));
    server.refused(None, &format!("+{good}:{BIZ}"), "names no reportKey");
}

/// As administrators leave one when they rename a branch.
#[test]
fn a_symbolic_ref_is_no_way_around() {
    for hook in ["pre-receive", "update"] {
        let team = Team::with("").guarded(hook);
        team.on_server(&["symbolic-ref", "refs/heads/master", "refs/heads/main"]);
        let main = team.main();
        team.bob.write("plain", &service(ONE, "plain", 8009));
        team.bob.git(&["add", "-A"]);
        team.bob.git(&["-c", "commit.gpgsign=false", "commit", "-q", "-m", "not signed"]);
        let push = |refspec: &str| {
            let args = ["push", "-q", "--no-verify", "origin", refspec];
            team.bob.run_in(&team.bob.deploy(), "git", &args)
        };
        let said = String::from_utf8_lossy(&push("main:master").stderr).into_owned();
        assert!(said.contains("rule O1 (unsigned)"), "{hook}: {said}");
        assert!(!push(":master").status.success());
        assert_eq!(team.main(), main, "{hook}");
    }
}

/// What docs/fleet.md tells an administrator to write, as sshd and git run it.
#[test]
fn a_server_knows_its_hosts_as_the_documentation_says() {
    let fleet = include_str!("../../docs/fleet.md");
    let line = fleet.lines().find(|line| line.contains("restrict,command=")).unwrap();
    let (_, forced) = line.split_once("command=\"").unwrap();
    let (forced, _) = forced.split_once("\" ssh-ed25519").unwrap();
    let (_, hook) = fleet.split_once("```sh\n").unwrap();
    let (hook, _) = hook.split_once("```").unwrap();

    let server = Server::with_hosts("pre-receive", &["biz", "web"]);
    let alice = &server.team.alice;
    let origin = server.team.origin().display().to_string();
    let sshd = format!(
        "#!/bin/sh\nexport SSH_ORIGINAL_COMMAND=\"$2\"\nexec /bin/sh -c '{}'\n",
        forced.replace("\\\"", "\"")
    );
    alice.script(&alice.home().join("bin/sshd"), &sshd);
    for (key, value) in [("core.sshCommand", "sshd"), ("ssh.variant", "simple")] {
        alice.git(&["config", key, value]);
    }
    alice.git(&["remote", "set-url", "origin", &format!("ssh://git.acme.example{origin}")]);
    let letter = server.signed(&alice.well("biz"));
    server.refused(None, &format!("{letter}:refs/heads/x"), "biz is a host");
    ok(&server.push(None, &format!("{letter}:{BIZ}")));

    alice.git(&["remote", "set-url", "origin", &origin]);
    alice.script(&server.team.origin().join("hooks/pre-receive"), &format!("#!/bin/sh\n{hook}"));
    alice.script(&alice.home().join("bin/id"), "#!/bin/sh\necho host-web\n");
    let letter = server.signed(&alice.well("web"));
    server.refused(None, &format!("{letter}:refs/heads/x"), "web is a host");
    ok(&server.push(None, &format!("{letter}:refs/writ/status/web")));
    alice.script(&alice.home().join("bin/id"), "#!/bin/sh\necho alice\n");
    ok(&server.push(None, &format!("{letter}:refs/heads/x")));
}

impl Desk {
    /// Feeds a git command of the deploy repository.
    fn fed(&self, args: &[&str], input: &str) -> String {
        let path = self.dir.path().join("input");
        fs::write(&path, input).unwrap();
        let mut command = self.command(&self.deploy(), "git", args);
        ok(&command.stdin(fs::File::open(&path).unwrap()).output().unwrap())
    }
}
