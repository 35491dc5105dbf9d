//! What is left unsaid, and what it comes to mean.

use writ::manifest::service::{Check, Hardening, Restart, Service, Work};

use super::*;

#[test]
fn a_profile_is_read_in_full() {
    let files = one("manifests/profiles/system.toml", include_bytes!("data/profile.toml"));
    insta::assert_debug_snapshot!(desired(&files, "biz").profiles);
}

fn web_service(rest: &str) -> Service {
    desired(&web(rest), "any").services.into_values().next().unwrap()
}

#[test]
fn without_a_user_a_service_is_closed_and_its_user_made_up() {
    let service = web_service("");
    assert_eq!(service.hardening, Hardening::default());
    assert!(service.hardening.dynamic_user);
    assert!(service.hardening.capabilities.is_empty());
}

#[test]
fn a_named_user_loosens_nothing_but_the_user() {
    let closed = Hardening { dynamic_user: false, ..Hardening::default() };
    assert_eq!(web_service("user = \"web\"\n").hardening, closed);
    let named = Hardening { private_tmp: false, ..closed };
    assert_eq!(web_service("user = \"web\"\n[hardening]\nprivateTmp = false\n").hardening, named);
}

#[test]
fn root_is_only_ever_meant_explicitly() {
    let root = web("user = \"root\"\n[hardening]\ndynamicUser = false\n");
    assert!(draft(&root).is_ok());
    let left_over = draft(&web("[hardening]\ndynamicUser = false\n")).unwrap_err();
    assert!(left_over.to_string().contains("would run as root"));
}

fn up(port: u16, host: Option<&str>) -> Check {
    Check::Http { port, path: "/up".into(), host: host.map(|host| host.parse().unwrap()) }
}

#[test]
fn the_health_of_a_service_with_a_port_is_that_the_port_answers() {
    let http = "[http]\ndomain = \"a.example.org\"\ninternalPort = 8000\n";
    assert_eq!(web_service(http).health.check, Check::Tcp { port: 8000 });
    let path = format!("{http}[health]\npath = \"/up\"\n");
    assert_eq!(web_service(&path).health.check, up(8000, Some("a.example.org")));
    let named = format!("{path}host = \"app.example.org\"\n");
    assert_eq!(web_service(&named).health.check, up(8000, Some("app.example.org")));
    let other = format!("{path}port = 8001\n");
    assert_eq!(web_service(&other).health.check, up(8001, None), "no route leads there");
    assert_eq!(web_service("").health.check, Check::Active);
}

#[test]
fn a_process_that_ends_is_not_started_again_by_itself() {
    assert_eq!(web_service("").systemd.restart, Restart::OnFailure);
    assert_eq!(web_service("type = \"oneshot\"\n").systemd.restart, Restart::No);
    let job = "[schedule]\ncron = \"@daily\"\n";
    assert_eq!(web_service(job).systemd.restart, Restart::No);
}

#[test]
fn what_has_ended_well_is_healthy_at_once() {
    assert_eq!(web_service("").health.healthy_for.as_secs(), 10);
    assert_eq!(web_service("type = \"oneshot\"\n").health.healthy_for.as_secs(), 0);
}

#[test]
fn a_bare_command_lies_in_the_closures_bin_and_an_absolute_one_inside_the_closure() {
    const CLOSURE: &str = "/nix/store/1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf-web-1.2.3";
    let command = |command: &str| {
        let text = format!("hosts = [\"*\"]\n{ARTIFACT}[exec]\ncommand = \"{command}\"\n");
        let manifest = draft(&one("manifests/services/web.toml", text)).ok()?;
        let desired = manifest.desired(&"any".parse().unwrap());
        match desired.services.into_values().next()?.work {
            Work::Daemon { exec, .. } => Some(exec.command.to_string()),
            Work::Oneshot { .. } | Work::Job { .. } | Work::Static { .. } => None,
        }
    };
    assert_eq!(command("web"), Some(format!("{CLOSURE}/bin/web")));
    let inside = format!("{CLOSURE}/libexec/web");
    assert_eq!(command(&inside), Some(inside.clone()));
    // A sibling whose name begins like the closure's is another closure.
    for outside in [&format!("{CLOSURE}-evil/bin/web"), CLOSURE, "/bin/sh", "../web", "a/b", ""] {
        assert_eq!(command(outside), None, "{outside}");
    }
}
