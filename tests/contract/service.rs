//! Services for tests: the defaults of a manifest, with the routes that are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use writ::manifest::service::*;

fn service(name: &str, work: Work, http: Vec<HttpRoute>) -> Service {
    Service {
        name: name.parse().unwrap(),
        artifact: Artifact {
            store_path: format!("/nix/store/{}-{name}", "0".repeat(32)).parse().unwrap(),
            closure_digest: None,
            closure_size: None,
        },
        revision: None,
        work,
        env: BTreeMap::new(),
        env_file: None,
        depends_on: BTreeSet::new(),
        http,
        health: Health {
            check: Check::Active,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            healthy_for: Duration::from_secs(10),
            deadline: Duration::from_secs(300),
        },
        update: Update { strategy: Strategy::Restart, drain: Duration::from_secs(30) },
        systemd: SystemdOptions::default(),
        hardening: Hardening::default(),
    }
}

pub(crate) fn daemon(name: &str, http: Vec<HttpRoute>) -> Service {
    let exec = Exec {
        command: format!("/nix/store/{}-{name}/bin/{name}", "0".repeat(32)).parse().unwrap(),
        args: Vec::new(),
        user: None,
        group: None,
        working_directory: None,
        reload: None,
    };
    service(name, Work::Daemon { exec, notify: false }, http)
}

pub(crate) fn site(name: &str, root: &str, http: Vec<HttpRoute>) -> Service {
    service(name, Work::Static { root: root.parse().unwrap() }, http)
}

pub(crate) fn route(domain: &str, path: &str, port: u16) -> HttpRoute {
    HttpRoute {
        domain: domain.parse().unwrap(),
        path: path.into(),
        internal_port: (port != 0).then_some(port),
        https: Https::Auto,
        staging_domain: None,
        redirect_from: Vec::new(),
        headers: BTreeMap::new(),
        compress: false,
    }
}
