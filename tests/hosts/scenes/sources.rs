//! A host with several sources: SSH with pinned keys, a mirror, one that stalls.

use std::time::Duration;

use serde_json::Value;

use super::super::lab::host::{Host, until};
use super::super::lab::site::Site;
use super::{Running, Scene};

pub(super) const SCENES: &[Scene] = &[
    ("a_host_follows_ssh_with_pinned_keys_and_a_mirror_when_that_is_away", ssh_and_mirror),
    ("one_round_from_a_place_that_somebody_names", once),
];

/// A server of SSH on the workshop, with a key of its own, for one account and one key.
const SERVER: &str = "
    mkdir -p /root/ssh
    ssh-keygen -q -t ed25519 -N '' -f /root/ssh/host
    ssh-keygen -q -t ed25519 -N '' -f /root/ssh/other
    ssh-keygen -q -t ed25519 -N '' -f /root/ssh/biz
    echo \"restrict,command=\\\"git-shell -c \\\\\\\"\\$SSH_ORIGINAL_COMMAND\\\\\\\"\\\" $(cat /root/ssh/biz.pub)\" >/root/ssh/authorized
    git config --system --add safe.directory '*'
    systemd-run --quiet --unit=ssh-for-git --property=RuntimeDirectory=sshd \\
        /usr/sbin/sshd -D -e -p 2222 -h /root/ssh/host -o UsePAM=no -o StrictModes=no \\
        -o AuthorizedKeysFile=/root/ssh/authorized -o PasswordAuthentication=no \\
        -o AcceptEnv=GIT_PROTOCOL -o PidFile=none";

const MIRROR: &str = "/srv/git/mirror.git";

fn ssh_and_mirror() {
    let Running { acme, mut biz, v1 } = Running::v1();
    let workshop = &acme.workshop.host;
    workshop.sh(SERVER);
    let address = workshop.address();
    until("sshd listens", Duration::from_secs(20), || {
        workshop.run(&["ssh-keyscan", "-p", "2222", "127.0.0.1"]).ok.then_some(())
    });
    let pin = |biz: &Site, key: &str| {
        let public = workshop.must(&["cat", &format!("/root/ssh/{key}.pub")]);
        biz.host.put("/etc/writ/known_hosts", format!("[{address}]:2222 {public}"), 0o644);
    };
    biz.host.put("/etc/writ/id", workshop.must(&["cat", "/root/ssh/biz"]), 0o600);
    pin(&biz, "other");
    let silent = "systemd-run --quiet --unit=silent --socket-property=ListenStream=0.0.0.0:8089 sleep infinity";
    workshop.sh(silent);
    mirror(workshop);
    follow(
        &mut biz,
        &format!(
            "[[source]]\nname = \"office\"\nurl = \"ssh://root@{address}:2222/srv/git/deploy.git\"\nkeyFile = \"/etc/writ/id\"\nknownHosts = \"/etc/writ/known_hosts\"\n\
             [[source]]\nname = \"silent\"\nurl = \"http://{address}:8089/deploy.git\"\n\
             [[source]]\nname = \"mirror\"\nurl = \"file://{MIRROR}\"\n"
        ),
    );
    // A server with another key than the pinned one is not spoken to.
    let office = until("the wrong key is told", Duration::from_secs(60), || {
        Some(source(&biz, "office")).filter(|office| office["state"] == "lost")
    });
    let office = office.to_string();
    assert!(office.contains("Host key verification failed"), "{office}");
    assert!(office.contains("knownHosts"), "{office}");
    assert_eq!(source(&biz, "mirror")["state"], "current");
    let told = biz.host.run(&["writ", "doctor", "--timeout", "5"]).stdout;
    let line = told.lines().find(|line| line.contains("ssh://")).unwrap_or_default();
    assert!(line.starts_with("WRONG") && line.contains("source"), "{told}");

    // With the right one it is followed, while the mirror lags and another stalls.
    pin(&biz, "host");
    acme.publish("web", "v2", 8001, "");
    let v2 = acme.release("web: version 2");
    drop(biz.sync());
    biz.confirmed(&v2);
    biz.serves("web.acme.example", "v2");
    assert_eq!(source(&biz, "office")["state"], "current");
    assert_eq!(source(&biz, "mirror")["tip"].as_str(), Some(&*v1));
    biz.host.must(&["systemctl", "stop", "writ-web"]);
    biz.serves("web.acme.example", "v2");

    // Without it the mirror is.
    workshop.must(&["systemctl", "stop", "ssh-for-git"]);
    acme.publish("web", "v3", 8001, "");
    let v3 = acme.release("web: version 3");
    mirror(workshop);
    drop(biz.sync());
    biz.confirmed(&v3);
    biz.serves("web.acme.example", "v3");
    let told = biz.host.run(&["writ", "status"]).stdout;
    assert!(told.contains("lost     office") && told.contains("current  mirror"), "{told}");
    let events = biz.host.must(&["writ", "events", "--json"]);
    assert!(events.contains("\"source\":\"office\""), "{events}");
}

fn once() {
    let Running { acme, biz, .. } = Running::v1();
    biz.stop();
    acme.publish("web", "v2", 8001, "");
    let v2 = acme.release("web: version 2");
    mirror(&acme.workshop.host);
    biz.host.sh("sed -i 's|/srv/git/deploy.git|/srv/git/gone.git|' /etc/writ/agent.toml");
    let source = format!("file://{MIRROR}");
    biz.host.must(&["writ", "agent", "--once", "--source", &source]);
    biz.serves("web.acme.example", "v2");
    biz.host.sh("code=0; writ agent --once --source ssh://h/x || code=$?; test $code = 2");
    biz.start();
    assert_eq!(biz.status_where("it runs on", |status| status.running() == v2).running(), v2);
}

/// Brings the mirror up to date.
fn mirror(workshop: &Host) {
    workshop.sh(&format!(
        "test -d {MIRROR} || git init --quiet --bare {MIRROR}
         git -C {MIRROR} fetch --quiet --prune /srv/git/deploy.git '+refs/*:refs/*'"
    ));
}

/// Has a host follow other sources than the one of its config.
fn follow(biz: &mut Site, sources: &str) {
    biz.host.sh("sed -i '/^url = /d; s/^interval = .*/interval = \"2s\"/' /etc/writ/agent.toml");
    biz.host.put("/etc/writ/more.toml", sources, 0o600);
    biz.host.sh("cat /etc/writ/more.toml >>/etc/writ/agent.toml; systemctl restart writ-agent");
}

/// What `writ status --json` says of a source.
fn source(biz: &Site, name: &str) -> Value {
    let status: Value = serde_json::from_str(&biz.host.run(&["writ", "status", "--json"]).stdout)
        .unwrap_or_default();
    let sources = status["sources"].as_array().cloned().unwrap_or_default();
    sources.into_iter().find(|source| source["name"] == name).unwrap_or_default()
}
