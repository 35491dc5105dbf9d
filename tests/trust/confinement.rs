//! What a file may ask of its hosts, by whose signature (rules M1 and M2).

use writ::names::CommitId;
use writ::trust::Reason::{PrivilegeDenied, Threshold};
use writ::trust::privileges::requests;
use writ::trust::verify;

use crate::forge::{CHANNEL, Forge, NOW};
use crate::scene::{Row, Scene, WEB, run};

const JSON: &str = "manifests/manifest.json";
const HOST: &str = "manifests/hosts/biz.toml";
const PROFILE: &str = "manifests/profiles/system.toml";

/// What bob's service is before anybody asks for more.
const PLAIN: &str = "hosts = [\"biz\"]\n[artifact]\nstorePath = \"/nix/store/1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf-web\"\n[exec]\ncommand = \"web\"\n";

/// alice owns the hosts; dave is an administrator and may write everything, but ask for
/// nothing; bob may ask for what his table lists; carol writes services and asks for
/// nothing; what lets a service be root takes two people.
fn confined() -> Scene {
    let forge = Forge::new();
    let signers =
        forge.signers(&["alice", "bob", "carol", "dave", "ci", "owner", "owner2", "forge"]);
    let policy = format!(
        r#"channel = "{CHANNEL}"
[principals.alice]
roles = ["admin"]
grants = ["**"]
may = "everything"
[principals.owner]
grants = ["**"]
may = "everything"
[principals.dave]
roles = ["admin"]
grants = ["**"]
[principals.bob]
grants = ["manifests/**"]
[principals.bob.may]
hosts = ["biz", "tag:web"]
accounts = ["pil-*", "root"]
files = ["/var/lib/secrets/web*.env", "/srv/web/**"]
directories = ["/srv/web/**", "/var/lib/shared"]
domains = ["*.web.example.org"]
ports = ["8000-8099", "443"]
units = ["postgresql.service"]
capabilities = ["CAP_NET_BIND_SERVICE"]
hardening = ["privateDevices"]
[principals.owner2]
grants = ["**"]
may = {{ accounts = ["*"] }}
[principals.carol]
grants = ["manifests/**"]
[principals.ci]
grants = ["manifests/services/**"]
only = ["artifact", "revision"]
[principals.forge]
roles = ["merge"]
[[protect]]
may = {{ accounts = ["root"] }}
threshold = 2
"#
    );
    let root = forge
        .commit("alice")
        .file(".writ/allowed_signers", signers)
        .file(".writ/policy.toml", policy)
        .file(WEB, PLAIN)
        .file(HOST, "tags = [\"db\"]\nwindows = [\"0 0 2 * * *\"]\n")
        .make();
    let (repo, pins) = (forge.repository(), forge.pins(&root, "alice"));
    let anchor = verify(&repo, &pins, None, &root, NOW).unwrap().anchor().clone();
    Scene { forge, repo, root, pins, anchor, now: NOW }
}

fn row(name: &'static str, attack: fn(&Scene) -> CommitId, twin: fn(&Scene) -> CommitId) -> Row {
    Row { name, rule: "M1", reason: PrivilegeDenied, attack, twin }
}

/// The service with more at its end.
fn web(scene: &Scene, signer: &str, more: &str) -> CommitId {
    scene.next(signer).file(WEB, format!("{PLAIN}{more}")).make()
}

/// The service with another beginning.
fn top(scene: &Scene, signer: &str, more: &str) -> CommitId {
    scene.next(signer).file(WEB, format!("{more}{PLAIN}")).make()
}

/// The service on other hosts.
fn hosts(scene: &Scene, signer: &str, hosts: &str) -> CommitId {
    scene.next(signer).file(WEB, PLAIN.replace("[\"biz\"]", hosts)).make()
}

fn merged(scene: &Scene, by: &str, branch: &CommitId) -> CommitId {
    scene.forge.commit(by).on(&scene.root).on(branch).tree_of(branch).make()
}

pub(crate) fn asked() -> Vec<Row> {
    vec![
        row(
            "root by one who may ask for nothing",
            |s| web(s, "carol", "user = \"root\"\n"),
            |s| web(s, "carol", "args = [\"root\"]\n"),
        ),
        row(
            "an administrator without `may`",
            |s| web(s, "dave", "user = \"pil-web\"\n"),
            |s| web(s, "alice", "user = \"pil-web\"\n"),
        ),
        row(
            "another account than the listed ones",
            |s| web(s, "bob", "user = \"postgres\"\n"),
            |s| web(s, "bob", "user = \"pil-web\"\n"),
        ),
        row(
            "a group of the host",
            |s| web(s, "bob", "group = \"shadow\"\n"),
            |s| web(s, "bob", "group = \"pil-web\"\n"),
        ),
        row(
            "a capability with the made-up user",
            |s| web(s, "bob", "[hardening]\ncapabilities = [\"CAP_DAC_READ_SEARCH\"]\n"),
            |s| web(s, "bob", "[hardening]\ncapabilities = [\"CAP_NET_BIND_SERVICE\"]\n"),
        ),
        row(
            "one capability more",
            |s| {
                let both = "[\"CAP_NET_BIND_SERVICE\", \"CAP_SYS_ADMIN\"]";
                web(s, "bob", &format!("[hardening]\ncapabilities = {both}\n"))
            },
            |s| web(s, "bob", "[hardening]\ncapabilities = []\n"),
        ),
        row(
            "a loosened setting",
            |s| web(s, "bob", "[hardening]\nnoNewPrivileges = false\n"),
            |s| web(s, "bob", "[hardening]\nprivateDevices = false\n"),
        ),
        row(
            "a system that can be written to",
            |s| web(s, "carol", "[hardening]\nprotectSystem = \"full\"\n"),
            |s| web(s, "carol", "[hardening]\nprotectSystem = \"strict\"\n"),
        ),
        row(
            "a system that can be written to, as a boolean",
            |s| web(s, "carol", "[hardening]\nprotectSystem = true\n"),
            |s| web(s, "carol", "[hardening]\nprotectHome = true\n"),
        ),
        row(
            "homes that can be read",
            |s| web(s, "carol", "[hardening]\nprotectHome = \"read-only\"\n"),
            |s| web(s, "carol", "[hardening]\nprotectHome = \"tmpfs\"\n"),
        ),
        row(
            "a filter that allows all but",
            |s| web(s, "carol", "[hardening]\nsystemCallFilter = [\"~@mount\"]\n"),
            |s| {
                let tighter = "[\"@system-service\", \"~@privileged\"]";
                web(s, "carol", &format!("[hardening]\nsystemCallFilter = {tighter}\n"))
            },
        ),
        row(
            "no filter at all",
            |s| web(s, "carol", "[hardening]\nsystemCallFilter = []\n"),
            |s| web(s, "carol", "[hardening]\nsystemCallFilter = [\"@system-service\"]\n"),
        ),
        row(
            "raw packets",
            |s| web(s, "carol", "[hardening]\nrestrictAddressFamilies = [\"AF_PACKET\"]\n"),
            |s| web(s, "carol", "[hardening]\nrestrictAddressFamilies = [\"AF_UNIX\"]\n"),
        ),
        row(
            "every address family",
            |s| web(s, "carol", "[hardening]\nrestrictAddressFamilies = []\n"),
            |s| web(s, "carol", "[hardening]\nprivateNetwork = true\n"),
        ),
        row(
            "all of the host to write to",
            |s| web(s, "bob", "[hardening]\nreadWritePaths = [\"/\"]\n"),
            |s| web(s, "bob", "[hardening]\nreadWritePaths = [\"/srv/web/data\"]\n"),
        ),
        row(
            "the way up from a listed path",
            |s| web(s, "bob", "[hardening]\nreadWritePaths = [\"/srv/web/../db\"]\n"),
            |s| web(s, "bob", "[hardening]\nreadWritePaths = [\"/srv/web/db\"]\n"),
        ),
        row(
            "to write what may only be read",
            |s| {
                let secrets = "[hardening]\nreadWritePaths = [\"/var/lib/secrets/web-2.env\"]\n";
                web(s, "bob", secrets)
            },
            |s| top(s, "bob", "envFile = \"/var/lib/secrets/web-2.env\"\n"),
        ),
        row(
            "root by a pattern that matches every name",
            |s| web(s, "owner2", "user = \"root\"\n"),
            |s| web(s, "owner2", "user = \"postgres\"\n"),
        ),
        row(
            "somebody else's environment file",
            |s| top(s, "bob", "envFile = \"/var/lib/secrets/db.env\"\n"),
            |s| top(s, "bob", "envFile = \"/var/lib/secrets/web-2.env\"\n"),
        ),
        row(
            "an environment file whose name only begins like the own one",
            |s| top(s, "carol", "envFile = \"/var/lib/secrets/web-2.env\"\n"),
            |s| top(s, "carol", "envFile = \"/var/lib/secrets/web.env\"\n"),
        ),
        row(
            "the way up from the own secrets",
            |s| top(s, "carol", "envFile = \"/var/lib/secrets/web/../db.env\"\n"),
            |s| top(s, "carol", "envFile = \"/var/lib/secrets/web/db.env\"\n"),
        ),
        row(
            "a neighbour's state",
            |s| web(s, "carol", "[systemd]\nstateDirectory = \"db\"\n"),
            |s| web(s, "carol", "[systemd]\nstateDirectory = \"web\"\n"),
        ),
        row(
            "the host's own state, in a list",
            |s| web(s, "bob", "[systemd]\nstateDirectory = [\"web\", \"caddy\", \"systemd\"]\n"),
            |s| web(s, "bob", "[systemd]\nstateDirectory = [\"web/cache\", \"shared\"]\n"),
        ),
        row(
            "a place to start in",
            |s| web(s, "carol", "workingDirectory = \"/root\"\n"),
            |s| web(s, "carol", "workingDirectory = \"/var/lib/web/data\"\n"),
        ),
        row(
            "a target that takes the host down",
            |s| web(s, "bob", "[systemd]\nwants = [\"rescue.target\"]\n"),
            |s| web(s, "bob", "[systemd]\nwants = [\"network-online.target\"]\n"),
        ),
        row(
            "a unit that is not listed",
            |s| web(s, "bob", "[systemd]\nrequires = [\"sshd.service\"]\n"),
            |s| web(s, "bob", "[systemd]\nrequires = [\"postgresql.service\"]\n"),
        ),
        row(
            "another's domain",
            |s| web(s, "bob", "[http]\ndomain = \"db.acme.example\"\npath = \"/login\"\n"),
            |s| web(s, "bob", "[http]\ndomain = \"a.b.web.example.org\"\n"),
        ),
        row(
            "the domain above the listed ones",
            |s| web(s, "bob", "[http]\ndomain = \"web.example.org\"\n"),
            |s| web(s, "carol", "[http]\ndomain = \"free.example.org\"\n"),
        ),
        row(
            "a redirect from another's domain",
            |s| web(s, "bob", "[http]\nredirectFrom = [\"db.acme.example\"]\n"),
            |s| web(s, "bob", "[http]\nredirectFrom = [\"www.web.example.org\"]\n"),
        ),
        row(
            "a staging domain of another's",
            |s| web(s, "bob", "[[http]]\nstagingDomain = \"evilweb.example.org\"\n"),
            |s| web(s, "bob", "[[http]]\nstagingDomain = \"next.web.example.org\"\n"),
        ),
        row(
            "a port beside the range",
            |s| web(s, "bob", "[http]\ninternalPort = 9100\n"),
            |s| web(s, "bob", "[http]\ninternalPort = 8099\n"),
        ),
        row(
            "a port of the host's own services",
            |s| web(s, "carol", "[health]\nport = 443\n"),
            |s| web(s, "carol", "[health]\nport = 9100\n"),
        ),
        row(
            "every host",
            |s| hosts(s, "bob", "[\"biz\", \"*\"]"),
            |s| hosts(s, "bob", "[\"biz\", \"tag:web\"]"),
        ),
        row(
            "one host more",
            |s| hosts(s, "carol", "[\"biz\", \"db-1\"]"),
            |s| hosts(s, "carol", "[\"biz\"]"),
        ),
        row(
            "a new service on a host",
            |s| s.next("carol").file("manifests/services/new.toml", PLAIN).make(),
            |s| s.next("bob").file("manifests/services/new.toml", PLAIN).make(),
        ),
        row(
            "the tags of a host",
            |s| {
                s.next("carol").file(HOST, "tags = [\"web\"]\nwindows = [\"0 0 2 * * *\"]\n").make()
            },
            |s| s.next("bob").file(HOST, "tags = [\"web\"]\n").make(),
        ),
        row(
            "a host without its windows",
            |s| s.next("carol").file(HOST, "tags = [\"db\"]\n").make(),
            |s| s.next("bob").file(HOST, "tags = [\"db\"]\n").make(),
        ),
        row(
            "a host's file taken away",
            |s| s.next("carol").delete(HOST).make(),
            |s| s.next("bob").delete(HOST).make(),
        ),
        row(
            "a whole system",
            |s| s.next("carol").file(PROFILE, "kind = \"nixos\"\n").make(),
            |s| s.next("alice").file(PROFILE, "user = \"www\"\nkind = \"custom\"\n").make(),
        ),
        row(
            "somebody's home",
            |s| s.next("bob").file(PROFILE, "user = \"alice\"\n").make(),
            |s| s.next("bob").file(PROFILE, "user = \"pil-web\"\n").make(),
        ),
        row(
            "the JSON form",
            |s| {
                let user = r#"{"version":1,"services":[{"name":"x","exec":{"user":"postgres"}}]}"#;
                s.next("bob").file(JSON, user).make()
            },
            |s| {
                let user = r#"{"version":1,"services":[{"name":"x","exec":{"user":"pil-web"}}]}"#;
                s.next("bob").file(JSON, user).make()
            },
        ),
        row(
            "JSON with a comment, which other readers skip",
            |s| s.next("bob").file(JSON, "{\"version\": 1 /* {} */}").make(),
            |s| s.next("bob").file(JSON, "{\"version\": 1}").make(),
        ),
        row(
            "a key that only a later version knows",
            |s| web(s, "bob", "[exec.sandbox]\nnone = true\n"),
            |s| web(s, "bob", "[env]\nSANDBOX = \"none\"\n"),
        ),
        row(
            "a value that cannot be judged",
            |s| web(s, "bob", "user = 0\n"),
            |s| web(s, "bob", "type = \"notify\"\n"),
        ),
        row(
            "a file that cannot be judged",
            |s| s.next("bob").file(WEB, "hosts = [\n").make(),
            |s| s.next("owner").file(WEB, "hosts = [\n").make(),
        ),
        row(
            "a file in a folder that means nothing yet",
            |s| s.next("bob").file("manifests/secrets/db.toml", "x = 1\n").make(),
            |s| s.next("bob").file("manifests/services/README.md", "x = 1\n").make(),
        ),
        row(
            "a privilege that moves to another service",
            |s| {
                let text = format!("{PLAIN}[hardening]\nnoNewPrivileges = false\n");
                let privileged = s.next("alice").file(WEB, &*text).make();
                let renamed = "manifests/services/web2.toml";
                s.forge.commit("bob").on(&privileged).delete(WEB).file(renamed, text).make()
            },
            |s| {
                let text = format!("{PLAIN}[hardening]\nnoNewPrivileges = false\n");
                let privileged = s.next("alice").file(WEB, &*text).make();
                let moved = text.replace("command = \"web\"", "command = \"web2\"");
                s.forge.commit("bob").on(&privileged).file(WEB, moved).make()
            },
        ),
        row(
            "a privilege put back after it was taken out",
            |s| {
                let text = format!("{PLAIN}group = \"shadow\"\n");
                let privileged = s.next("alice").file(WEB, &*text).make();
                let without = s.forge.commit("alice").on(&privileged).file(WEB, PLAIN).make();
                s.forge.commit("bob").on(&without).file(WEB, text).make()
            },
            |s| {
                let text = format!("{PLAIN}group = \"shadow\"\n");
                let privileged = s.next("alice").file(WEB, text).make();
                s.forge.commit("bob").on(&privileged).file(WEB, PLAIN).make()
            },
        ),
        row(
            "a privilege hidden under broken text and brought out by the mend",
            |s| {
                let broken = s.next("owner").file(WEB, "user = [\n").make();
                let text = format!("{PLAIN}group = \"shadow\"\n");
                s.forge.commit("bob").on(&broken).file(WEB, text).make()
            },
            |s| {
                let broken = s.next("owner").file(WEB, "user = [\n").make();
                s.forge.commit("bob").on(&broken).file(WEB, PLAIN).make()
            },
        ),
        row(
            "a merge key brings in what its author may not ask for",
            |s| merged(s, "forge", &web(s, "carol", "group = \"shadow\"\n")),
            |s| merged(s, "forge", &web(s, "alice", "group = \"shadow\"\n")),
        ),
        row(
            "a closure key and a privilege",
            |s| {
                let text = PLAIN.replace("-web\"", "-web2\"\nowner = \"root\"");
                s.next("ci").file(WEB, text).make()
            },
            |s| {
                let text = format!("{PLAIN}group = \"shadow\"\n");
                let privileged = s.next("alice").file(WEB, &*text).make();
                let moved = text.replace("-web\"", "-web2\"");
                s.forge.commit("ci").on(&privileged).file(WEB, moved).make()
            },
        ),
    ]
}

pub(crate) fn protected() -> Vec<Row> {
    let row = |name, attack: fn(&Scene) -> CommitId, twin: fn(&Scene) -> CommitId| Row {
        name,
        rule: "G5",
        reason: Threshold,
        attack,
        twin,
    };
    vec![
        row(
            "root by one who owns the hosts",
            |s| web(s, "alice", "user = \"root\"\n"),
            |s| web(s, "alice", "user = \"daemon\"\n"),
        ),
        row(
            "root, and a second word of one who may not ask for it",
            |s| merged(s, "alice", &web(s, "dave", "user = \"root\"\n")),
            |s| merged(s, "alice", &web(s, "bob", "user = \"root\"\n")),
        ),
    ]
}

#[test]
fn a_file_asks_for_no_more_than_its_signer_may() {
    run(&confined(), &asked());
}

#[test]
fn a_privilege_can_take_two_people() {
    run(&confined(), &protected());
}

#[test]
fn a_refusal_names_what_is_asked_for_and_the_grant_that_is_missing() {
    let scene = confined();
    let more = "user = \"postgres\"\n[hardening]\nreadWritePaths = [\"/\"]\n";
    let refusal = scene.verify(&web(&scene, "bob", more)).unwrap_err();
    assert_eq!(
        refusal.because,
        "bob may not let manifests/services/web.toml ask for this: web runs as postgres; web writes below /"
    );
    assert_eq!(
        refusal.remedy,
        "take it out of the file, let somebody sign it who may, or let an administrator add `accounts`, `directories` to [principals.bob.may] in .writ/policy.toml first"
    );
}

/// The closed default asks for its hosts alone.
#[test]
fn what_a_plain_service_asks_for_is_where_it_runs() {
    let asked = requests(WEB, PLAIN.as_bytes());
    let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
    assert_eq!(asked, ["web runs on biz"]);
}
