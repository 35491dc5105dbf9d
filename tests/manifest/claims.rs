//! What one service of a host has for itself, and what is nobody's to have.

use writ::manifest::import::from_json;

use super::*;

/// Two services of one host, and what is wrong with them.
fn pair(one_more: &str, two_more: &str) -> Vec<String> {
    let service = |more: &str| {
        format!("hosts = [\"a\"]\n{ARTIFACT}[exec]\ncommand = \"web\"\n{more}").into_bytes()
    };
    let files = Files::from([
        ("manifests/services/db.toml".to_owned(), service(one_more)),
        ("manifests/services/web.toml".to_owned(), service(two_more)),
    ]);
    match draft(&files) {
        Ok(_) => Vec::new(),
        Err(Problems(problems)) => problems.into_iter().map(|p| p.what).collect(),
    }
}

fn route(domain: &str, path: &str, port: u16, more: &str) -> String {
    format!("[http]\ndomain = \"{domain}\"\npath = \"{path}\"\ninternalPort = {port}\n{more}")
}

#[test]
fn a_path_of_anothers_domain_takes_the_word_of_both_files() {
    let shop = |with: &str| route("acme.example", "/", 8000, with);
    let login = |with: &str| route("acme.example", "/login", 8001, with);
    let (with_web, with_db) = ("sharedWith = [\"web\"]\n", "sharedWith = [\"db\"]\n");
    let theirs = ["acme.example is the domain of `db`, at manifests/services/db.toml:7"];
    assert_eq!(pair(&shop(""), &login("")), theirs);
    assert_eq!(pair(&shop(""), &login(with_db)), theirs, "whoever comes later agrees alone");
    assert_eq!(pair(&shop(with_web), &login("")), theirs);
    assert_eq!(pair(&shop(with_web), &login(with_db)), [""; 0]);
    // A redirect or a staging domain is a domain like any other.
    let redirect = route("b.example", "/x", 8001, "redirectFrom = [\"acme.example\"]\n");
    assert_eq!(pair(&shop(""), &redirect).len(), 1);
}

/// One file is one hand's.
#[test]
fn services_of_one_json_file_share_a_domain_as_they_did() {
    let service = |name: &str, path: &str, port: u16| {
        format!(
            r#"{{"name":"{name}","hosts":["a"],"artifact":{{"storePath":"/nix/store/{}-x"}},"exec":{{"command":"x"}},"http":[{{"domain":"acme.example","path":"{path}","internalPort":{port}}}]}}"#,
            "0".repeat(32)
        )
    };
    let text = format!(
        r#"{{"version":1,"services":[{},{}]}}"#,
        service("db", "/", 8000),
        service("web", "/login", 8001)
    );
    assert!(draft(&one("manifests/manifest.json", &*text)).is_ok());
    // As files of their own each names the other.
    let imported = from_json(text.as_bytes(), &Files::new()).unwrap();
    let db = &imported.files["manifests/services/db.toml"];
    assert!(db.contains("sharedWith = [\"web\"]"), "{db}");
}

#[test]
fn state_is_one_services_with_all_below_it() {
    let state = |names: &str| format!("[systemd]\nstateDirectory = {names}\n");
    let theirs = |path: &str| {
        vec![format!("/var/lib/{path} is the state of `db`, at manifests/services/db.toml:7")]
    };
    assert_eq!(pair(&state("\"db\""), &state("\"db\"")), theirs("db"));
    assert_eq!(pair(&state("[\"db\"]"), &state("[\"web\", \"db/wal\"]")), theirs("db/wal"));
    assert_eq!(pair(&state("\"db\""), &state("[\"web\", \"db-2\"]")), [""; 0]);
    let above = pair(&state("\"web/db\""), &state("\"web\""));
    assert_eq!(above, ["/var/lib/web/db is the state of `web`, at manifests/services/web.toml:7"]);
}

#[test]
fn the_account_of_another_service_is_no_account_to_name() {
    let user = |name: &str| format!("user = \"{name}\"\n");
    let told = ["`writ-db` is the account that is made for the service `db`"];
    assert_eq!(pair("", &user("writ-db")), told);
    assert_eq!(pair("", "group = \"writ-db\"\n"), told);
    assert_eq!(pair("", &user("writ-web")), [""; 0]);
}

#[test]
fn what_would_take_the_host_down_or_over_is_refused_for_everybody() {
    for (more, expected) in [
        (&*route("localhost", "/", 8000, ""), "is not a domain name"),
        (&route("x.localhost", "/", 8000, ""), "is not a domain name"),
        (&route("127.0.0.1", "/", 8000, ""), "is not a domain name"),
        (&route("acme.example", "/", 2019, ""), "admin API of Caddy"),
        ("[health]\nport = 2019\n", "admin API of Caddy"),
        ("[systemd]\nwants = [\"rescue.target\"]\n", "takes the host down"),
        ("[systemd]\nrequires = [\"systemd-poweroff.service\"]\n", "takes the host down"),
        ("[systemd]\nafter = [\"soft-reboot.target\"]\n", "takes the host down"),
        ("[env]\nLD_PRELOAD = \"/tmp/x.so\"\n", "dynamic loader"),
        ("[env]\nLD_LIBRARY_PATH = \"/tmp\"\n", "dynamic loader"),
    ] {
        let told = pair("", more);
        assert!(told.len() == 1 && told[0].contains(expected), "{more}: {told:?}");
    }
    let own = "[env]\nPATH = \"/x\"\nPYTHONPATH = \"/y\"\nGCONV_PATH = \"/z\"\nLDAP = \"1\"\n";
    assert_eq!(pair("", own), [""; 0]);
}
