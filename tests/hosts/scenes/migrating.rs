//! A service moves from a unit written by hand to Writ, as docs/migrating.md tells.

use std::time::Duration;

use super::super::lab::host::{Host, until};
use super::super::lab::site::Site;
use super::super::lab::workshop::CACHE;
use super::{Acme, Scene};

pub(super) const SCENES: &[Scene] =
    &[("a_hand_written_unit_moves_over_without_a_moment_without_an_answer", moves)];

const DOMAIN: &str = "shop.acme.example";
const NEXT: &str = "shop-next.acme.example";

fn moves() {
    let acme = Acme::found();
    let biz = acme.site("biz");
    biz.start();
    let path = acme.workshop.server("shop", "v1", "");
    by_hand(&biz, &path);
    let visits = Visits::begin(&biz.host);

    // A draft on the host, finished at the desk: another port and a name of its own.
    let draft = biz.host.must(&["writ", "import", "--systemd", "shop.service", "--host", "biz"]);
    assert!(!draft.contains("hunter2"), "{draft}");
    assert!(draft.contains("API_TOKEN: looks like a secret"), "{draft}");
    biz.host.put("/var/lib/secrets/shop.env", "API_TOKEN=hunter2\n", 0o600);
    let beside = draft.replace("PORT = \"8101\"", "PORT = \"8102\"");
    assert_ne!(draft, beside);
    publish(&acme, &beside, NEXT);
    biz.confirmed(&acme.release("shop: beside the old one"));
    biz.serves(NEXT, "v1");
    assert_eq!(biz.host.get(NEXT, "/env/API_TOKEN"), (200, "hunter2".to_owned()));
    assert_eq!(biz.host.get(DOMAIN, "/env/PORT"), (200, "8101".to_owned()));

    // The old route gives way without going away.
    caddyfile(&biz, "http://*.acme.example");
    biz.host.must(&["systemctl", "reload", "caddy"]);
    publish(&acme, &beside, DOMAIN);
    biz.confirmed(&acme.release("shop: takes over"));
    until("the new one answers", Duration::from_secs(20), || {
        (biz.host.get(DOMAIN, "/env/PORT") == (200, "8102".to_owned())).then_some(())
    });
    biz.caddyfile(":9000 {\n\trespond theirs\n}\n");
    biz.host.must(&["systemctl", "disable", "--quiet", "--now", "shop.service"]);
    biz.host.sh("rm /etc/systemd/system/shop.service; systemctl daemon-reload");
    assert_eq!(biz.host.get(DOMAIN, "/"), (200, "v1".to_owned()));
    visits.end();

    // What is left of the old way goes with the next restart of Caddy.
    biz.host.must(&["systemctl", "restart", "caddy"]);
    biz.sync();
    biz.serves(DOMAIN, "v1");
    assert_ne!(biz.pid("shop"), 0);
    gone(&biz);
}

/// As somebody set it up long ago.
fn by_hand(biz: &Site, path: &str) {
    let host = &biz.host;
    host.must(&["nix", "copy", "--no-check-sigs", "--from", CACHE, path]);
    let unit = format!(
        "[Unit]\nDescription=The shop\n\n[Service]\nExecStart={path}/bin/shop\n\
         Environment=PORT=8101 API_TOKEN=hunter2\nDynamicUser=yes\nRestart=always\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    );
    host.put("/etc/systemd/system/shop.service", unit, 0o644);
    host.sh("systemctl daemon-reload; systemctl enable --quiet --now shop.service");
    caddyfile(biz, &format!("http://{DOMAIN}"));
    host.must(&["systemctl", "reload-or-restart", "caddy"]);
    until("the old one answers", Duration::from_secs(20), || {
        (host.get(DOMAIN, "/env/PORT") == (200, "8101".to_owned())).then_some(())
    });
}

fn caddyfile(biz: &Site, address: &str) {
    biz.caddyfile(&format!("{address} {{\n\treverse_proxy 127.0.0.1:8101\n}}\n"));
}

/// The draft with the lines that it suggests, for this domain.
fn publish(acme: &Acme, draft: &str, domain: &str) {
    let more = format!(
        "\n[http]\ndomain = \"{domain}\"\ninternalPort = 8102\nhttps = \"off\"\n\n\
         [health]\npath = \"/health\"\nhealthyFor = \"1s\"\n"
    );
    acme.workshop.write("manifests/services/shop.toml", &format!("{draft}{more}"));
}

fn gone(biz: &Site) {
    let show = ["systemctl", "show", "--value", "--property=LoadState", "shop.service"];
    assert_eq!(biz.host.must(&show).trim(), "not-found");
}

/// Somebody who asks for the page all the time.
struct Visits<'h>(&'h Host);

impl<'h> Visits<'h> {
    fn begin(host: &'h Host) -> Self {
        let script = format!(
            "until test -e /run/visits.end; do \
               curl --silent --max-time 10 --resolve {DOMAIN}:80:127.0.0.1 \
                    --write-out ' %{{http_code}}\\n' http://{DOMAIN}/ >>/run/visits || true; \
               sleep 0.02; done; touch /run/visits.done"
        );
        host.start(&["sh", "-c", &script]);
        Self(host)
    }

    /// Every one of them was answered; Caddy's own answer to nobody's name is an empty 200.
    fn end(self) {
        self.0.must(&["touch", "/run/visits.end"]);
        until("the visitor is gone", Duration::from_secs(20), || {
            self.0.run(&["test", "-e", "/run/visits.done"]).ok.then_some(())
        });
        let visits = self.0.must(&["cat", "/run/visits"]);
        assert!(visits.lines().count() > 50, "{}", visits.lines().count());
        let missed: Vec<&str> = visits.lines().filter(|visit| *visit != "v1 200").collect();
        assert!(missed.is_empty(), "{} of {}: {missed:?}", missed.len(), visits.lines().count());
    }
}
