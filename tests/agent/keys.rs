//! Sources that want to see who asks: tokens, netrc, certificates, an authority of their
//! own, a proxy. The server is real TLS with real git behind it.

use std::path::Path;

use crate::authority::Authority;
use crate::scene::{Scene, word};
use crate::server::{Proxy, Server, Wants, secret};

/// `bob:s3cret`, as HTTP spells it.
const BOB: &str = "Basic Ym9iOnMzY3JldA==";

/// A host whose only source is a server of HTTPS.
struct Secured {
    scene: Scene,
    authority: Authority,
    server: Server,
}

impl Secured {
    fn new(wants: Wants) -> Self {
        let mut scene = Scene::new();
        scene.url.clear();
        scene.push_service("web", "1");
        let authority = Authority::new();
        let forge = scene.forge.git_dir();
        // The server names it deploy.git.
        let folder = forge.parent().unwrap().join("served");
        std::fs::create_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(&forge, folder.join("deploy.git")).unwrap();
        let server = Server::new(&authority, &folder, wants);
        Self { scene, authority, server }
    }

    /// The source's table: the authority is known, and more is said.
    fn says(&mut self, more: &str) {
        self.scene.more = format!(
            "[[source]]\nurl = \"{}\"\nca = \"{}\"\n{more}",
            self.server.url(),
            self.file("ca.pem")
        );
    }

    fn file(&self, name: &str) -> String {
        self.authority.file(name).display().to_string()
    }

    fn secret(&self, name: &str, text: &str) -> String {
        secret(&self.authority.file(name), text);
        self.file(name)
    }

    async fn follows(&self) {
        let report = self.scene.round().await;
        assert_eq!((word(&report), &report.faults[..]), ("confirmed", &[][..]));
    }

    /// What keeps the host from seeing the branch, with the hint.
    async fn told(&self) -> String {
        let report = self.scene.round().await;
        assert_eq!(report.generation, None, "{report:?}");
        let fault = &report.faults[0];
        let text = format!("{fault}; {}", fault.remedy.as_deref().unwrap_or_default());
        assert!(!text.contains("s3cret"), "{text}");
        text
    }
}

#[tokio::test]
async fn only_the_pinned_authority_is_believed() {
    let mut host = Secured::new(Wants::default());
    host.scene.more = format!("[[source]]\nurl = \"{}\"\n", host.server.url());
    assert!(host.told().await.contains("certificate"), "without ca");
    let other = Authority::new();
    host.scene.more.push_str(&format!("ca = \"{}\"\n", other.file("ca.pem").display()));
    assert!(host.told().await.contains("certificate"), "another ca");
    host.says("");
    host.follows().await;
}

#[tokio::test]
async fn a_token_is_shown_as_it_is_written() {
    for (text, shown) in [("s3cret\n", "Bearer s3cret"), ("bob:s3cret", BOB)] {
        let mut host =
            Secured::new(Wants { authorization: Some(shown.into()), ..Wants::default() });
        let token = host.secret("token", text);
        host.says(&format!("tokenFile = \"{token}\"\n"));
        host.follows().await;
        assert!(host.server.seen().iter().all(|login| login == shown), "{:?}", host.server.seen());
    }
}

#[tokio::test]
async fn a_token_that_was_exchanged_is_read_at_the_next_fetch() {
    let mut host = Secured::new(Wants { authorization: Some(BOB.into()), ..Wants::default() });
    let token = host.secret("token", "bob:s3cret\n");
    host.says(&format!("tokenFile = \"{token}\"\n"));
    let mut agent = host.scene.agent();
    assert_eq!(word(&agent.round().await), "confirmed");
    host.server.wants_login("Bearer new");
    let report = agent.round().await;
    assert!(report.faults[0].because.contains("login"), "{report:?}");
    host.secret("token", "new\n");
    assert_eq!(agent.round().await.faults, []);
}

#[tokio::test]
async fn without_a_login_that_is_taken_the_hint_names_the_key() {
    let mut host = Secured::new(Wants { authorization: Some(BOB.into()), ..Wants::default() });
    host.says("");
    let told = host.told().await;
    assert!(told.contains("wants a login") && told.contains("tokenFile"), "{told}");
}

#[tokio::test]
async fn a_netrc_names_the_login_for_the_server() {
    let mut host = Secured::new(Wants { authorization: Some(BOB.into()), ..Wants::default() });
    let text = "machine other.example login eve password no\nmachine 127.0.0.1 login bob password s3cret\n";
    let netrc = host.secret("netrc", text);
    host.says(&format!("netrc = \"{netrc}\"\n"));
    host.follows().await;
}

#[tokio::test]
async fn a_server_may_want_a_certificate() {
    let mut host = Secured::new(Wants { certificate: true, ..Wants::default() });
    host.says("");
    host.told().await;
    let (certificate, key) = (host.file("client.pem"), host.file("client.key"));
    host.says(&format!("clientCertificate = \"{certificate}\"\nclientKey = \"{key}\"\n"));
    host.follows().await;
}

#[tokio::test]
async fn a_proxy_is_gone_through() {
    let mut host = Secured::new(Wants { authorization: Some(BOB.into()), ..Wants::default() });
    let (proxy, token) = (Proxy::new(), host.secret("token", "bob:s3cret\n"));
    let port = proxy.port;
    host.says(&format!("tokenFile = \"{token}\"\nproxy = \"http://127.0.0.1:{port}\"\n"));
    host.follows().await;
    assert!(proxy.taken() > 0, "it went past the proxy");
}

#[tokio::test]
async fn a_token_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut host = Secured::new(Wants::default());
    let token = host.secret("token", "bob:s3cret\n");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    host.says(&format!("tokenFile = \"{token}\"\n"));
    assert!(host.told().await.contains("chmod 0600"));
    assert!(host.server.seen().is_empty(), "the server was asked");
    std::fs::remove_file(Path::new(&token)).unwrap();
    assert!(host.told().await.contains("cannot read"));
}
