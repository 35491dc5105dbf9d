//! What a manifest can say, seen on a real host.

use std::time::Duration;

use super::super::lab::acme::Web;
use super::super::lab::host::until;
use super::{Acme, Running, Scene};

pub(super) const SCENES: &[Scene] = &[
    ("values_reach_a_service_as_exactly_their_characters", literal_values),
    ("another_revision_alone_restarts_nothing", revision_only),
    ("a_service_that_leaves_the_manifest_is_stopped_and_removed", removed),
    ("routes_of_others_stay_as_they_are", foreign_routes),
    ("a_route_with_an_internal_certificate_answers_over_https", internal_https),
    ("a_caddy_that_is_asked_over_tcp_keeps_its_own_config", caddy_over_tcp),
    ("no_service_reaches_caddys_admin_endpoint_nor_writs_own_files", closed_off),
    ("a_static_site_is_served_out_of_its_closure", static_site),
    ("a_site_with_a_link_to_caddys_keys_is_refused_and_nothing_of_it_served", leaking_site),
    ("a_job_runs_when_its_timer_says_so", job),
    ("a_service_starts_after_what_it_depends_on_is_healthy", dependency),
    ("the_json_form_of_version_1_deploys_as_it_is", version_1),
    ("secrets_come_from_a_file_that_is_not_in_git", env_file),
];

fn literal_values() {
    let values = [
        ("PERCENT", "100%i %% %h"),
        ("DOLLAR", "$HOME ${PATH} $$"),
        ("QUOTES", r#"it's "quoted" \ and \n back"#),
        ("SEMI", "a; b # c"),
        ("SPACES", "  two  spaces  "),
        ("UTF8", "Grüße, 世界"),
        ("BRACES", "{http.request.host} {env.HOME}"),
    ];
    let scene = Running::v1();
    let path = scene.acme.workshop.server("web", "v2", "");
    let web = Web { name: "web", store_path: &path, port: 8001, hosts: "\"*\"", more: "" };
    let lines: String =
        values.iter().map(|(name, value)| format!("{name} = '''{value}'''\n")).collect();
    let text = web.toml().replace("[env]\n", &format!("[env]\n{lines}"));
    scene.acme.workshop.write("manifests/services/web.toml", &text);
    let commit = scene.acme.release("web: difficult values");
    scene.biz.confirmed(&commit);
    for (name, value) in values {
        let got = scene.biz.host.get("web.acme.example", &format!("/env/{name}"));
        assert_eq!(got, (200, value.to_owned()), "{name}");
    }
    // What everybody may read of a unit says none of it.
    let told = scene
        .biz
        .host
        .sh("cat /run/systemd/system/writ-*; systemctl show writ-web; systemctl cat writ-web
         stat --format='%a %U %n' /run/writ-env /run/writ-env/web.env /var/lib/writ");
    for (name, value) in values {
        assert!(!told.contains(&value[..7]), "{name} is in {told}");
    }
    for line in ["700 root /run/writ-env", "600 root /run/writ-env/web.env"] {
        assert!(told.contains(line), "{told}");
    }
    let nobody =
        "for file in /run/writ-env/web.env /var/lib/writ/anchor.json /var/lib/writ/events.jsonl; do
         setpriv --reuid=nobody --regid=nogroup --clear-groups cat $file 2>/dev/null && exit 1
         done; true";
    scene.biz.host.sh(nobody);
    // They are there again after a boot, before the network and the agent.
    scene.biz.host.must(&["systemctl", "disable", "--quiet", "writ-agent"]);
    let mut scene = scene;
    scene.biz.host.reboot();
    until("web runs with its environment", Duration::from_secs(30), || {
        let environ = scene.biz.host.run(&[
            "sh",
            "-c",
            "cat /proc/$(systemctl show --value -p MainPID writ-web)/environ",
        ]);
        environ.stdout.contains("SPACES=  two  spaces  ").then_some(())
    });
}

fn revision_only() {
    let scene = Running::v1();
    let pid = scene.biz.pid("web");
    let file = scene.acme.workshop.host.must(&["cat", "/root/deploy/manifests/services/web.toml"]);
    let text = file.replace("revision = \"web\"", "revision = \"the same, described better\"");
    assert_ne!(file, text);
    scene.acme.workshop.write("manifests/services/web.toml", &text);
    let commit = scene.acme.release("web: say what it is");
    scene.biz.confirmed(&commit);
    assert_eq!(scene.biz.pid("web"), pid);
}

fn removed() {
    let scene = Running::v1();
    scene.acme.publish("shop", "s1", 8002, "");
    let with_shop = scene.acme.release("shop: version 1");
    scene.biz.confirmed(&with_shop);
    let pid = scene.biz.pid("web");
    scene.acme.workshop.remove("manifests/services/shop.toml");
    let without = scene.acme.release("shop: closed");
    scene.biz.confirmed(&without);
    scene.biz.unit_gone("shop");
    assert_ne!(scene.biz.host.get("shop.acme.example", "/").1, "s1");
    assert!(!scene.biz.host.run(&["test", "-e", "/nix/var/nix/profiles/writ/shop"]).ok);
    assert!(!scene.biz.host.run(&["test", "-e", "/run/systemd/system/writ-shop.service"]).ok);
    scene.biz.serves("web.acme.example", "v1");
    assert_eq!(scene.biz.pid("web"), pid);
}

fn foreign_routes() {
    let scene = Running::v1();
    let biz = &scene.biz;
    let server = r#"{"listen": [":9000"],
        "routes": [{"@id": "theirs", "handle": [{"handler": "static_response", "body": "theirs"}]}]}"#;
    let put = ["--header", "Content-Type: application/json", "--data", server, "--request", "PUT"];
    biz.caddy(&[&put[..], &["http://localhost/config/apps/http/servers/theirs"]].concat());
    let theirs = || biz.host.run(&["curl", "--silent", "http://localhost:9000/"]).stdout;
    assert_eq!(theirs(), "theirs");
    scene.acme.publish("shop", "s1", 8002, "");
    biz.confirmed(&scene.acme.release("shop: version 1"));
    assert_eq!(theirs(), "theirs");
    scene.acme.workshop.remove("manifests/services/shop.toml");
    biz.confirmed(&scene.acme.release("shop: closed"));
    assert_eq!(theirs(), "theirs");
}

fn internal_https() {
    let scene = Running::v1();
    let path = scene.acme.workshop.server("web", "v2", "");
    let web = Web { name: "web", store_path: &path, port: 8001, hosts: "\"*\"", more: "" };
    let text = web.toml().replace("https = \"off\"", "https = \"internal\"");
    scene.acme.workshop.write("manifests/services/web.toml", &text);
    scene.biz.confirmed(&scene.acme.release("web: over https"));
    let authority = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt";
    until("web answers over https", Duration::from_secs(30), || {
        let resolve = ["--resolve", "web.acme.example:443:127.0.0.1"];
        let url = "https://web.acme.example/";
        let curl = [&["curl", "--silent", "--cacert", authority], &resolve[..], &[url]].concat();
        (scene.biz.host.run(&curl).stdout == "v2").then_some(())
    });
    assert_eq!(scene.biz.host.get("web.acme.example", "/").0, 308, "plain http leads there");
}

fn caddy_over_tcp() {
    let acme = Acme::found();
    acme.publish("web", "v1", 8001, "");
    let commit = acme.release("web: version 1");
    let mut biz = acme.site("biz");
    biz.reconfigure(|config| config.caddy = "http://localhost:2019");
    biz.caddyfile(":9000 {\n\trespond theirs\n}\n");
    biz.host.sh("systemctl restart caddy");
    biz.confirmed(&commit);
    biz.serves("web.acme.example", "v1");
    assert_eq!(biz.host.must(&["curl", "--silent", "http://localhost:9000/"]), "theirs");
    acme.publish("web", "v2", 8001, "");
    biz.confirmed(&acme.release("web: version 2"));
    biz.serves("web.acme.example", "v2");
    let told = biz.host.run(&["writ", "doctor"]).stdout;
    assert!(told.contains("any process on this host can change routes"), "{told}");
    assert!(told.contains("admin unix//run/caddy/admin.sock"), "{told}");
}

/// A service that looks around, as the user that systemd makes for it and as root with
/// everything loosened.
fn closed_off() {
    let scene = Running::v1();
    let look = "#!/bin/sh\nPATH=/bin:/usr/bin\n\
         curl --silent --unix-socket /run/caddy/admin.sock --header 'Host;' http://localhost/config/ \
           && echo reached caddy\n\
         for file in /run/writ/control.sock /var/lib/writ/anchor.json /etc/writ/agent.toml; do\n\
           test -e $file && echo reached $file\n\
         done\n\
         id --user\necho that is all\n";
    let path = scene.acme.workshop.closure("look-1", &[("bin/look", look, 0o755)]);
    let more = "[hardening]\nprotectSystem = false\nprotectHome = false\nprivateTmp = false\n";
    for (name, exec, more) in [("look", "", ""), ("look-root", "user = \"root\"\n", more)] {
        let text = format!(
            "hosts = [\"*\"]\n[artifact]\nstorePath = \"{path}\"\n\
             [exec]\ncommand = \"look\"\ntype = \"oneshot\"\n{exec}{more}"
        );
        scene.acme.workshop.write(&format!("manifests/services/{name}.toml"), &text);
    }
    scene.biz.confirmed(&scene.acme.release("look around"));
    for (name, root) in [("look", false), ("look-root", true)] {
        let journal = ["journalctl", "--output=cat", "--unit", &format!("writ-{name}")];
        let said = scene.biz.host.must(&journal);
        assert!(said.contains("that is all"), "{said}");
        assert!(!said.contains("reached"), "{said}");
        assert_eq!(said.lines().any(|line| line == "0"), root, "{said}");
    }
    let reached = scene.biz.caddy(&["http://localhost/config/"]);
    assert!(reached.contains("writ-web-1"), "root reaches it: {reached}");
}

fn static_site() {
    let scene = Running::v1();
    let page = [("share/www/index.html", "<p>hello</p>", 0o644)];
    let path = scene.acme.workshop.closure("site-1", &page);
    let text = format!(
        "hosts = [\"*\"]\n[artifact]\ntype = \"nix-closure\"\nstorePath = \"{path}\"\n\
         [static]\nroot = \"share/www\"\n\
         [http]\ndomain = \"www.acme.example\"\npath = \"/\"\nhttps = \"off\"\n"
    );
    scene.acme.workshop.write("manifests/services/site.toml", &text);
    scene.biz.confirmed(&scene.acme.release("site: first pages"));
    scene.biz.serves("www.acme.example", "<p>hello</p>");
    assert_eq!(scene.biz.host.get("www.acme.example", "/../../bin/web").0, 404);
}

/// A closure made by this shell script, in the cache.
fn made_by(scene: &Running, name: &str, script: &str) -> String {
    let expression = format!(
        r#"derivation {{ name = "{name}"; system = builtins.currentSystem; builder = "/bin/sh";
           args = [ "-c" "PATH=/bin; {script}" ]; }}"#
    );
    let host = &scene.acme.workshop.host;
    let path = host.must(&["nix-build", "--no-out-link", "--expr", &expression]).trim().to_owned();
    host.must(&["nix", "copy", "--to", "file:///srv/cache?secret-key=/root/cache.sec", &path]);
    path
}

fn leaking_site() {
    let scene = Running::v1();
    let pid = scene.biz.pid("web");
    let release = |path: &str| {
        let text = format!(
            "hosts = [\"*\"]\n[artifact]\nstorePath = \"{path}\"\n[static]\nroot = \"www\"\n\
             [http]\ndomain = \"www.acme.example\"\nhttps = \"off\"\n"
        );
        scene.acme.workshop.write("manifests/services/site.toml", &text);
        scene.acme.release("site: pages")
    };
    scene.biz.host.sh("echo canary >/var/lib/caddy/canary; chown caddy: /var/lib/caddy/canary");
    let leak =
        "mkdir -p $out/www; echo hello >$out/www/index.html; ln -s /var/lib/caddy $out/www/c";
    let status = scene.biz.judged(&release(&made_by(&scene, "leak", leak)), "rolled-back");
    let why = status.failure();
    assert!(why[0].contains("/www/c leads to /var/lib/caddy, out of its closure"), "{why:?}");
    for page in ["/c/canary", "/"] {
        let (code, body) = scene.biz.host.get("www.acme.example", page);
        assert!(code != 200 || !body.contains("canary"), "{page}: {code} {body}");
    }
    scene.untouched(pid);

    // A link to another path of the closure is what nix makes all the time.
    let page = made_by(&scene, "page", "mkdir $out; echo hello >$out/page.html");
    let linked = format!(
        "mkdir -p $out/www; ln -s ${{builtins.storePath \"{page}\"}}/page.html $out/www/index.html"
    );
    scene.biz.confirmed(&release(&made_by(&scene, "linked", &linked)));
    scene.biz.serves("www.acme.example", "hello\n");
}

fn job() {
    let scene = Running::v1();
    let script = [("bin/report", "#!/bin/sh\necho the report is ready\n", 0o755)];
    let path = scene.acme.workshop.closure("report-1", &script);
    let text = format!(
        "hosts = [\"*\"]\n[artifact]\ntype = \"nix-closure\"\nstorePath = \"{path}\"\n\
         [exec]\ncommand = \"report\"\n[schedule]\ncron = \"* * * * *\"\ntimezone = \"UTC\"\n"
    );
    scene.acme.workshop.write("manifests/services/report.toml", &text);
    scene.biz.confirmed(&scene.acme.release("report: every minute"));
    let journal = || {
        let lines = ["journalctl", "--unit=writ-report.service", "--output=cat"];
        scene.biz.host.run(&lines).stdout
    };
    let next =
        ["systemctl", "show", "--value", "--property=NextElapseUSecRealtime", "writ-report.timer"];
    assert_ne!(scene.biz.host.must(&next).trim(), "", "the timer is armed");
    until("the report was made", Duration::from_secs(90), || {
        journal().contains("the report is ready").then_some(())
    });
}

fn dependency() {
    let acme = Acme::found();
    acme.publish("base", "b1", 8001, "");
    let path = acme.workshop.server("web", "v1", "");
    let web = Web { name: "web", store_path: &path, port: 8002, hosts: "\"*\"", more: "" };
    acme.workshop
        .write("manifests/services/web.toml", &format!("dependsOn = [\"base\"]\n{}", web.toml()));
    let commit = acme.release("web on base");
    let biz = acme.site("biz");
    biz.start();
    biz.confirmed(&commit);
    let started = |unit: &str| -> u64 {
        let property = "--property=ActiveEnterTimestampMonotonic";
        let shown = biz.host.must(&["systemctl", "show", "--value", property, unit]);
        shown.trim().parse().unwrap()
    };
    let healthy_for = 1_000_000;
    assert!(started("writ-web.service") >= started("writ-base.service") + healthy_for);

    // Where the first does not become healthy, the second is not even tried.
    let pid = biz.pid("web");
    acme.publish("base", "b2", 8001, "--health 500");
    let path = acme.workshop.server("web", "v2", "");
    let web = Web { store_path: &path, ..web };
    acme.workshop
        .write("manifests/services/web.toml", &format!("dependsOn = [\"base\"]\n{}", web.toml()));
    biz.judged(&acme.release("both: version 2"), "rolled-back");
    biz.serves("base.acme.example", "b1");
    biz.serves("web.acme.example", "v1");
    assert_eq!(biz.pid("web"), pid);
}

fn version_1() {
    let acme = Acme::found();
    let path = acme.workshop.server("podcastitlater-web", "1.2.3", "");
    let text = format!(
        r#"{{ "version": 1, "generation": "2025-01-15T12:34:56Z",
      "services": [ {{ "name": "podcastitlater-web",
        "artifact": {{ "type": "nix-closure", "storePath": "{path}" }},
        "hosts": ["biz"],
        "exec": {{ "command": "podcastitlater-web", "user": "pil-web", "group": "pil" }},
        "env": {{ "PORT": "8000", "AREA": "Live", "DATA_DIR": "/var/podcastitlater", "BASE_URL": "https://podcastitlater.com" }},
        "envFile": "/var/lib/biz-secrets/podcastitlater-web.env",
        "http": {{ "domain": "podcastitlater.com", "path": "/", "internalPort": 8000 }},
        "systemd": {{ "after": ["network-online.target", "postgresql.service"], "requires": [], "restart": "on-failure", "restartSec": 5 }},
        "hardening": {{ "dynamicUser": false, "privateTmp": true, "protectSystem": "strict", "protectHome": true }},
        "revision": "abc123def" }} ] }}"#
    );
    acme.workshop.write("manifests/manifest.json", &text);
    let commit = acme.release("The old manifest");
    let biz = acme.site("biz");
    biz.host.sh("groupadd pil; useradd --system --gid pil pil-web");
    biz.host.put("/var/lib/biz-secrets/podcastitlater-web.env", "TOKEN=s3cret\n", 0o600);
    biz.start();
    biz.confirmed(&commit);
    let ask =
        |path: &str| biz.host.must(&["curl", "--silent", &format!("http://127.0.0.1:8000{path}")]);
    assert_eq!(ask("/"), "1.2.3");
    assert_eq!(ask("/env/AREA"), "Live");
    assert_eq!(ask("/env/TOKEN"), "s3cret");
    let pid = biz.pid("podcastitlater-web").to_string();
    assert_eq!(biz.host.must(&["ps", "-o", "user=", "-p", &pid]).trim(), "pil-web");
}

fn env_file() {
    let scene = Running::v1();
    let pid = scene.biz.pid("web");
    let path = scene.acme.workshop.server("web", "v2", "");
    let web = Web { name: "web", store_path: &path, port: 8001, hosts: "\"*\"", more: "" };
    let secrets = "/var/lib/writ-secrets/web.env";
    let text = format!("envFile = \"{secrets}\"\n{}", web.toml());
    scene.acme.workshop.write("manifests/services/web.toml", &text);
    let commit = scene.acme.release("web: a token");
    let status = scene.biz.judged(&commit, "waiting");
    assert!(status.why().contains(secrets), "{}", status.why());
    scene.untouched(pid);
    scene.biz.host.put(secrets, "TOKEN=open sesame\n", 0o600);
    scene.biz.confirmed(&commit);
    assert_eq!(scene.biz.host.get("web.acme.example", "/env/TOKEN").1, "open sesame");

    // Another content takes effect, and nobody else is restarted for it.
    scene.acme.publish("shop", "s1", 8002, "");
    scene.biz.confirmed(&scene.acme.release("shop: version 1"));
    let shop = scene.biz.pid("shop");
    scene.biz.host.put(secrets, "TOKEN=open barley\n", 0o600);
    scene.biz.sync();
    until("web has the new token", Duration::from_secs(20), || {
        let (_, token) = scene.biz.host.get("web.acme.example", "/env/TOKEN");
        (token == "open barley").then_some(())
    });
    assert_eq!(scene.biz.pid("shop"), shop);
    let told = scene.biz.status().expect("the agent answers").0.to_string();
    assert!(told.contains("env-file") && !told.contains("barley"), "{told}");
    let pid = scene.biz.pid("web");
    scene.biz.sync();
    assert_eq!(scene.biz.pid("web"), pid, "once is enough");
}
