//! `writ import --systemd`, on trees with the units that people have.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::desk::{Desk, ok};

const HASH: &str = "1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf";

/// A machine's tree with these files.
fn tree(files: &[(&str, &str)]) -> Desk {
    let desk = Desk::new();
    fs::create_dir_all(desk.deploy()).unwrap();
    for (path, text) in files {
        let path = desk.dir.path().join("tree").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("STORE", &format!("/nix/store/{HASH}"))).unwrap();
    }
    desk
}

fn import(desk: &Desk, args: &[&str]) -> String {
    desk.told(&desk.writ(&[&["import", "--root", "tree", "--systemd"], args].concat()))
}

const SHOP: &str = r#"
# Written by hand, in 2021.
[Unit]
Description=The shop of %N
Documentation=https://wiki.example.org/shop
After=network-online.target postgresql.service dev-sda.device
Wants=network-online.target
Conflicts=old-shop.service

[Service]
Type=notify
ExecStartPre=/usr/bin/login --password "hunter2 again"
ExecStart=STORE-shop-1.2/bin/shop --listen 127.0.0.1:${PORT} \
    --greeting "50%% off; $$5" --state %S/%p ; \
; a comment in the midst of it
    /bin/second
ExecReload=/bin/kill -HUP $MAINPID
Environment=PORT=8080 "MOTTO=it's  fine" API_TOKEN=hunter2
Environment=DATABASE_URL=postgres://shop:hunter2@db/shop HOST=%H
Environment=PATH=/nix/store/2x4z6b8d0f1h3j5l7n9q2s4v6x8z0b1d-coreutils-9/bin
User=shop
Group=shop
SupplementaryGroups=ssl-cert
WorkingDirectory=/srv/shop
UMask=027
Restart=always
RestartSec=1min 30s
WatchdogSec=20
TimeoutStartSec=2min
TimeoutStopSec=5
LimitNOFILE=65536
MemoryMax=1G
CPUQuota=150%
TasksMax=12%
StateDirectory=shop shop/cache
RuntimeDirectory=shop
LoadCredential=cert:/etc/ssl/cert.pem
SetCredential=pin:hunter2
Nice=-5
KillMode=control-group
PrivateTmp=yes
ProtectSystem=full
ProtectHome=read-only
NoNewPrivileges=no
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_CHOWN
ReadWritePaths=-/srv/shop "/srv/with space"
SystemCallFilter=@system-service mbind
SystemCallFilter=~@resources @privileged
RestrictAddressFamilies=AF_INET AF_INET6
PrivateUsers=yes

[Install]
WantedBy=multi-user.target
Alias=store.service
"#;

const DROP_IN: &str =
    "[Service]\nUMask=0077\nAmbientCapabilities=\nAmbientCapabilities=CAP_CHOWN\n";

#[test]
fn a_service_with_everything_becomes_a_draft_that_tells_what_it_lacks() {
    let desk = tree(&[
        ("usr/lib/systemd/system/shop.service", SHOP),
        ("etc/systemd/system/shop.service.d/50-more.conf", DROP_IN),
        ("usr/lib/systemd/system/shop.service.d/50-more.conf", "[Service]\nUser=nobody\n"),
    ]);
    let told = import(&desk, &["shop", "--host", "biz"]);
    assert!(!told.contains("hunter2"), "{told}");
    insta::assert_snapshot!(told);
}

const BACKUP: &str = "[Service]\nType=oneshot\nEnvironmentFile=-/etc/backup.env\n\
     ExecStart=STORE-backup/libexec/backup --bucket ${BUCKET} --api-key hunter2 $FLAGS\n\
     ExecStart=STORE-backup/bin/report\nDynamicUser=yes\nStandardOutput=journal\n";

const NIGHTLY: &str = "[Timer]\nOnCalendar=Mon..Fri 03:30 Europe/Berlin\nOnCalendar=weekly\n\
     Persistent=true\nRandomizedDelaySec=1h\n[Install]\nWantedBy=timers.target\n";

#[test]
fn a_job_and_its_timer_become_a_schedule() {
    let desk = tree(&[
        ("etc/systemd/system/backup.service", BACKUP),
        ("etc/systemd/system/backup.timer", NIGHTLY),
    ]);
    let told = import(&desk, &["backup.service", "--host", "biz"]);
    assert!(!told.contains("hunter2"), "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn a_program_outside_of_the_store_and_no_host_are_told() {
    let unit = "[Service]\nExecStart=/usr/bin/python3 -m http.server 8123\n";
    let desk = tree(&[("lib/systemd/system/site.service", unit)]);
    insta::assert_snapshot!(import(&desk, &["site"]));
}

/// `/etc/systemd/system` leads into `/nix/store` by absolute links, and instances have
/// their template's file.
#[test]
fn a_nixos_tree_is_read_by_its_own_links() {
    let unit = "[Service]\nExecStart=STORE-unit-script-web-start/bin/web-start %i\nUser=web\n";
    let overrides = "[Service]\nEnvironment=\"COLOUR=%i\" \"PORT=1\"\n";
    let store = "nix/store/0a1b2c3d4f5g6h7i8j9k0l1m2n3p4q5r";
    let desk = tree(&[
        (&format!("{store}-unit-web/web@.service"), unit),
        (&format!("{store}-unit-web-over/overrides.conf"), overrides),
    ]);
    let at = |path: &str| desk.dir.path().join("tree").join(path);
    let units = format!("{store}-etc/etc/systemd/system");
    fs::create_dir_all(at(&format!("{units}/web@blue.service.d"))).unwrap();
    fs::create_dir_all(at("etc/systemd")).unwrap();
    let link = |target: &str, path: &str| symlink(Path::new("/").join(target), at(path)).unwrap();
    link(&format!("{store}-etc/etc"), "etc/static");
    link("etc/static/systemd/system", "etc/systemd/system");
    link(&format!("{store}-unit-web/web@.service"), &format!("{units}/web@.service"));
    let over = format!("{store}-unit-web-over/overrides.conf");
    link(&over, &format!("{units}/web@blue.service.d/overrides.conf"));
    let told = import(&desk, &["web@blue.service", "--host", "biz"]);
    assert!(told.contains("args = [\"blue\"]"), "{told}");
    assert!(told.contains("COLOUR = \"blue\""), "{told}");
    assert!(told.ends_with("exit 0\n"), "{told}");
}

#[test]
fn a_draft_is_written_only_where_hosts_would_take_it() {
    let unit = "[Service]\nExecStart=STORE-web-1/bin/web\nUser=web\n";
    let desk = tree(&[
        ("etc/systemd/system/web.service", unit),
        ("etc/systemd/system/bad.service", "[Service]\nExecStart=/bin/true\n"),
    ]);
    ok(&desk.run("git", &["init", "-q", "deploy"]));
    fs::create_dir_all(desk.deploy().join("manifests")).unwrap();
    let written = ["--repo", "deploy", "--host", "biz", "--write"];
    let told = import(&desk, &[&["web"], &written[..]].concat());
    assert_eq!(told, "wrote manifests/services/web.toml\nexit 0\n");
    ok(&desk.run_in(&desk.deploy(), "writ", &["check"]));
    let again = import(&desk, &[&["web"], &written[..]].concat());
    assert!(again.contains("web.toml is there already"), "{again}");
    let refused = import(&desk, &[&["bad"], &written[..]].concat());
    assert!(refused.contains("lacks `artifact`") || refused.contains("storePath"), "{refused}");
    assert!(!desk.deploy().join("manifests/services/bad.toml").exists());
}

#[test]
fn what_is_no_unit_is_told() {
    let desk = tree(&[("etc/systemd/system/a.service", "")]);
    symlink("/dev/null", desk.dir.path().join("tree/etc/systemd/system/b.service")).unwrap();
    for (unit, told) in [
        ("none", "there is no unit none.service below tree"),
        ("b", "b.service is masked"),
        ("a.socket", "a.socket is no service"),
    ] {
        let said = import(&desk, &[unit]);
        assert!(said.contains(told) && said.ends_with("exit 1\n"), "{said}");
    }
    // A tree of another machine's may hold what never ends.
    let units = desk.dir.path().join("tree/etc/systemd/system");
    ok(&desk.run("mkfifo", &[units.join("pipe.service").to_str().unwrap()]));
    fs::write(units.join("huge.service"), "#".repeat((1 << 20) + 1)).unwrap();
    for (unit, why) in
        [("pipe", "it is no plain file"), ("huge", "it is larger than 1048576 bytes")]
    {
        let said = import(&desk, &[unit]);
        assert!(said.contains(why) && said.ends_with("exit 1\n"), "{said}");
    }
    let both = desk.told(&desk.writ(&["import", "x.json", "--systemd", "a"]));
    assert!(both.ends_with("exit 2\n"), "{both}");
}
