//! Policies that cannot be taken at their word (rules P1, P3, P4).

use writ::names::CommitId;
use writ::trust::Reason::{Channel, Malformed, PolicyMalformed, Revoked, Unsupported};

use crate::forge::Forge;
use crate::scene::{POLICY, Row, SIGNERS, Scene, TEAM, WEB, rules, run};

/// A commit by alice that adds a line to the signers.
fn signer_line(scene: &Scene, line: &str) -> CommitId {
    let signers = scene.forge.signers(&TEAM) + line + "\n";
    scene.next("alice").file(SIGNERS, signers).make()
}

/// A line for the key of `newcomer`, with `{}` where the key stands.
fn newcomer(scene: &Scene, line: &str) -> CommitId {
    signer_line(scene, &line.replace("{}", &scene.forge.public("newcomer")))
}

fn rule(scene: &Scene, more: &str) -> CommitId {
    scene.next("alice").file(POLICY, rules() + more).make()
}

fn row(name: &'static str, attack: fn(&Scene) -> CommitId, twin: fn(&Scene) -> CommitId) -> Row {
    Row { name, rule: "P1", reason: PolicyMalformed, attack, twin }
}

fn plain(scene: &Scene) -> CommitId {
    newcomer(scene, "newcomer {}")
}

pub(crate) fn lines() -> Vec<Row> {
    vec![
        row("wildcard", |s| newcomer(s, "* {}"), plain),
        row(
            "pattern",
            |s| newcomer(s, "*@example.com {}"),
            |s| newcomer(s, "newcomer@example.com {}"),
        ),
        row("negation", |s| newcomer(s, "!newcomer {}"), plain),
        row("two principals", |s| newcomer(s, "newcomer,alice {}"), plain),
        row("quoted principal", |s| newcomer(s, "\"newcomer\" {}"), plain),
        row("authority", |s| newcomer(s, "newcomer cert-authority {}"), plain),
        row("authority in capitals", |s| newcomer(s, "newcomer CERT-AUTHORITY {}"), plain),
        row("unknown option", |s| newcomer(s, "newcomer no-touch-required {}"), plain),
        row(
            "option without quotes",
            |s| newcomer(s, "newcomer namespaces=git {}"),
            |s| newcomer(s, "newcomer namespaces=\"git\" {}"),
        ),
        row(
            "option twice",
            |s| newcomer(s, "newcomer namespaces=\"git\",namespaces=\"git\" {}"),
            |s| newcomer(s, "newcomer namespaces=\"git,file\" {}"),
        ),
        row("namespace pattern", |s| newcomer(s, "newcomer namespaces=\"g*\" {}"), plain),
        row("open quote", |s| newcomer(s, "newcomer namespaces=\"git {}"), plain),
        row("trailing comma", |s| newcomer(s, "newcomer namespaces=\"git\", {}"), plain),
        row(
            "local time",
            |s| newcomer(s, "newcomer valid-before=\"20300101\" {}"),
            |s| newcomer(s, "newcomer valid-before=\"20300101Z\" {}"),
        ),
        row(
            "no such day",
            |s| newcomer(s, "newcomer valid-before=\"20300231Z\" {}"),
            |s| {
                newcomer(
                    s,
                    "newcomer valid-after=\"202001010000Z\",valid-before=\"20300101000000Z\" {}",
                )
            },
        ),
        row(
            "carriage return",
            |s| newcomer(s, "newcomer {}\r"),
            |s| newcomer(s, "\tnewcomer\t{}  a comment"),
        ),
        row(
            "garbage",
            |s| signer_line(s, "what is this"),
            |s| signer_line(s, "  # what is this\n\n \t"),
        ),
        row("no key", |s| signer_line(s, "newcomer"), plain),
        row("kind without key", |s| signer_line(s, "newcomer ssh-ed25519"), plain),
        row("kind of another key", wrong_kind, plain),
        row("key twice", |s| signer_line(s, s.forge.signers(&["bob"]).trim()), plain),
        row(
            "key of two people",
            |s| signer_line(s, &format!("eve {}", s.forge.public("bob"))),
            plain,
        ),
        row(
            "broken base 64",
            |s| signer_line(s, "newcomer ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"),
            plain,
        ),
        row("finite-field key", |s| signer_line(s, "newcomer ssh-dss AAAAB3NzaC1kc3MAAAAA"), plain),
        row(
            "not UTF-8",
            |s| {
                s.next("alice")
                    .file(
                        SIGNERS,
                        [s.forge.signers(&TEAM).into_bytes(), b"# \xff\n".to_vec()].concat(),
                    )
                    .make()
            },
            plain,
        ),
    ]
}

#[test]
fn every_line_of_allowed_signers_counts() {
    run(&Scene::new(), &lines());
}

/// Says that an Ed25519 key is an RSA key.
fn wrong_kind(scene: &Scene) -> CommitId {
    let lie = scene.forge.public("newcomer").replace("ssh-ed25519", "ssh-rsa");
    signer_line(scene, &format!("newcomer {lie}"))
}

pub(crate) fn keys() -> Vec<Row> {
    vec![
        row("not TOML", |s| rule(s, "= x"), |s| rule(s, "# x")),
        row("unknown table", |s| rule(s, "[extra]\n"), |s| rule(s, "")),
        row(
            "unknown key",
            |s| rule(s, "[principals.eve]\ngrant = []"),
            |s| rule(s, "[principals.eve]\ngrants = []"),
        ),
        row(
            "unknown role",
            |s| rule(s, "[principals.eve]\nroles = [\"root\"]"),
            |s| rule(s, "[principals.eve]\nroles = [\"admin\"]"),
        ),
        row(
            "principal twice",
            |s| rule(s, "[principals.bob]\n"),
            |s| rule(s, "[principals.eve]\n"),
        ),
        row(
            "wildcard principal",
            |s| rule(s, "[principals.\"*\"]\n"),
            |s| rule(s, "[principals.\"a@b\"]\n"),
        ),
        row(
            "role twice",
            |s| rule(s, "[principals.eve]\nroles = [\"admin\", \"admin\"]"),
            |s| rule(s, ""),
        ),
        row(
            "grant twice",
            |s| rule(s, "[principals.eve]\ngrants = [\"a\", \"a\"]"),
            |s| rule(s, "[principals.eve]\ngrants = [\"a\", \"b\"]"),
        ),
        row(
            "grant with a class",
            |s| rule(s, "[principals.eve]\ngrants = [\"[ab]\"]"),
            |s| rule(s, "[principals.eve]\ngrants = [\"a*\"]"),
        ),
        row(
            "absolute grant",
            |s| rule(s, "[principals.eve]\ngrants = [\"/a\"]"),
            |s| rule(s, "[principals.eve]\ngrants = [\"**\"]"),
        ),
        row(
            "admin with only",
            |s| rule(s, "[principals.eve]\nroles = [\"admin\"]\nonly = [\"revision\"]"),
            |s| rule(s, "[principals.eve]\nonly = [\"revision\"]"),
        ),
        row(
            "threshold 0",
            |s| rule(s, "[[protect]]\npaths = [\"a\"]\nthreshold = 0"),
            |s| rule(s, "[[protect]]\npaths = [\"a\"]\nthreshold = 1"),
        ),
        row(
            "protected nothing",
            |s| rule(s, "[[protect]]\npaths = []\nthreshold = 2"),
            |s| rule(s, "[[protect]]\npaths = [\"**\"]\nthreshold = 2"),
        ),
        row(
            "no channel",
            |s| s.next("alice").file(POLICY, "[principals.alice]\n").make(),
            |s| rule(s, ""),
        ),
        row("revoked twice", |s| rule(s, &revoked(s).repeat(2)), |s| rule(s, &revoked(s))),
        row(
            "revoked without end",
            |s| rule(s, "[[revoked]]\nkey = \"SHA256:x\"\n"),
            |s| rule(s, &revoked(s)),
        ),
        row("no signers", |s| s.next("alice").delete(SIGNERS).make(), |s| rule(s, "")),
        row("no policy", |s| s.next("alice").delete(POLICY).make(), |s| rule(s, "")),
        row(
            "nothing at all",
            |s| s.next("alice").delete(POLICY).delete(SIGNERS).make(),
            |s| rule(s, ""),
        ),
        row(
            "policy over 1 MiB",
            |s| rule(s, &"#".repeat(1 << 20)),
            |s| rule(s, &"#".repeat(1 << 19)),
        ),
        Row {
            rule: "O2",
            reason: Malformed,
            ..row(
                "linked policy",
                |s| s.next("alice").file_as("120000", POLICY, "x").make(),
                |s| rule(s, ""),
            )
        },
        Row {
            rule: "P4",
            reason: Channel,
            ..row(
                "another channel",
                |s| s.next("alice").file(POLICY, rules().replace(":main", ":test")).make(),
                |s| rule(s, ""),
            )
        },
    ]
}

#[test]
fn every_key_of_the_policy_is_known() {
    run(&Scene::new(), &keys());
}

fn revoked(scene: &Scene) -> String {
    let key = scene.forge.fingerprint("gone");
    format!("[[revoked]]\nkey = \"{key}\"\ngoodUntil = \"{}\"\n", scene.root)
}

pub(crate) fn unsupported() -> Vec<Row> {
    let row =
        |name, rule, attack| Row { name, rule, reason: Unsupported, attack, twin: |s| rule_ok(s) };
    vec![row("a file of a later version", "P1", |s| {
        s.next("alice").file(".writ/openpgp.asc", "x").make()
    })]
}

#[test]
fn what_is_not_enforced_is_not_accepted() {
    run(&Scene::new(), &unsupported());
}

fn rule_ok(scene: &Scene) -> CommitId {
    let off = format!("requireClosureDigest = false\nrequirePlan = false\n{}", rules());
    scene.next("alice").file(POLICY, off).make()
}

#[test]
fn whether_digests_are_required_is_the_commits_own_policys_word() {
    let scene = Scene::new();
    let on = format!("requireClosureDigest = true\n{}", rules());
    let on = scene.next("alice").file(POLICY, on).make();
    assert!(scene.verify(&on).unwrap().requires_closure_digests());
    assert!(!scene.verify(&rule_ok(&scene)).unwrap().requires_closure_digests());
}

#[test]
fn whether_plans_are_required_is_the_commits_own_policys_word() {
    let scene = Scene::new();
    let on = format!("requirePlan = true\n{}", rules());
    let on = scene.next("alice").file(POLICY, on).make();
    assert!(scene.verify(&on).unwrap().requires_plan());
    assert!(!scene.verify(&rule_ok(&scene)).unwrap().requires_plan());
}

#[test]
fn a_key_that_a_host_saw_revoked_stays_so_on_a_rewritten_history() {
    let mut scene = Scene::new();
    let gone = scene.forge.fingerprint("gone");
    let revoked = rule(&scene, &revoked(&scene));
    assert_eq!(*scene.verify(&revoked).unwrap().revoked(), [gone.clone()].into());
    let rewritten = signer_line(&scene, &format!("erin {}", scene.forge.public("gone")));
    assert!(scene.verify(&rewritten).is_ok(), "nobody has seen it revoked");
    scene.pins.revoked = [gone].into();
    let refusal = scene.verify_from(None, &rewritten).unwrap_err();
    assert_eq!((refusal.rule.as_str(), refusal.reason), ("P3", Revoked));
    let forgetful = scene.next("alice").make();
    assert_eq!(scene.verify_from(None, &forgetful).unwrap_err().reason, Revoked);
    assert!(scene.verify_from(None, &revoked).is_ok());
}

pub(crate) fn revocations() -> Vec<Row> {
    let row = |name, attack| Row {
        name,
        rule: "P3",
        reason: Revoked,
        attack,
        twin: |s| s.next("alice").make(),
    };
    vec![
        row("dropped", |s| s.next("alice").file(POLICY, rules()).make()),
        row("allowed again", |s| signer_line(s, &format!("gone {}", s.forge.public("gone")))),
        row("dropped on a branch", |s| {
            let branch = s.next("alice").file(POLICY, rules()).make();
            let main = s.next("dave").make();
            s.forge.commit("alice").on(&main).on(&branch).make()
        }),
    ]
}

#[test]
fn a_revoked_key_never_comes_back() {
    let forge = Forge::new();
    let root: CommitId = "0".repeat(40).parse().unwrap();
    let gone = forge.fingerprint("gone");
    let revoked = format!("[[revoked]]\nkey = \"{gone}\"\ngoodUntil = \"{root}\"\n");
    let scene = Scene::with(forge, &revoked);
    run(&scene, &revocations());
}

#[test]
fn an_invalid_policy_stays_an_obstacle_for_every_commit_on_top_of_it() {
    let scene = Scene::new();
    let broken = rule(&scene, "[extra]\n");
    let mended = scene.forge.commit("alice").on(&broken).file(POLICY, rules()).make();
    let refusal = scene.verify(&mended).unwrap_err();
    assert_eq!((refusal.commit, refusal.reason), (broken, PolicyMalformed));
    let replaced = scene.next("alice").file(WEB, "a = 1\n").make();
    assert!(scene.verify(&replaced).is_ok());
}
