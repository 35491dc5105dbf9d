//! Static sites: no link of theirs leads Caddy out of the closure.

use writ::plan::routes::listed;
use writ::verdict::Verdict;

use crate::scene::{Scene, closure, word};

const WHY: &str = "/nix/store/x/share/c leads to /var/lib/caddy, out of its closure";

fn site(scene: &Scene, name: &str) -> String {
    let text = scene.service(name, "1", "");
    let (head, _) = text.split_once("[exec]").unwrap();
    format!(
        "{head}[static]\nroot = \"share\"\n[http]\ndomain = \"{name}.example.org\"\nhttps = \"off\"\n"
    )
}

fn file(name: &str) -> String {
    format!("manifests/services/{name}.toml")
}

fn routes(scene: &Scene) -> Vec<String> {
    listed(&scene.world.state().config).into_iter().flat_map(|route| route.urls).collect()
}

#[tokio::test]
async fn a_site_that_leads_out_of_its_closure_is_refused_before_anything_stops() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.round().await;
    let before = scene.world.state();

    let (web, leak) = (scene.service("web", "2", ""), site(&scene, "docs"));
    scene.world.touch(|machine| {
        machine.leaking.insert(closure("docs", "1"), WHY.to_owned());
    });
    scene.push(&[(&file("web"), Some(web)), (&file("docs"), Some(leak))]);
    let report = scene.round().await;
    let Some(Verdict::RolledBack { step, fault, .. }) = &report.verdict else {
        panic!("{report:?}")
    };
    assert_eq!(step, "inspect docs  share");
    assert_eq!(fault.to_string(), format!("could not serve the files of docs: {WHY}"));
    assert!(fault.remedy.is_some());
    assert_eq!(scene.world.state().loaded, before.loaded, "nothing that runs was touched");
    scene.assert_runs(&[("web", "1")]);
}

#[tokio::test]
async fn a_site_is_looked_through_once_and_again_when_its_agent_starts() {
    let mut scene = Scene::new();
    let text = site(&scene, "docs");
    scene.push(&[(&file("docs"), Some(text))]);
    let mut agent = scene.agent();
    assert_eq!(word(&agent.round().await), "confirmed");
    assert_eq!(routes(&scene), ["http://docs.example.org/"]);
    let (changes, inspections) = {
        let machine = scene.world.state();
        (machine.changes, machine.inspections)
    };
    assert_eq!(inspections, 1);
    agent.round().await;
    scene.world.touch(|machine| machine.inspected.clear());
    agent.round().await;
    assert_eq!(scene.world.state().inspections, 2);
    assert_eq!(scene.world.state().changes, changes, "a look changes nothing");
}

/// It was confirmed by a version that did not look.
#[tokio::test]
async fn a_site_that_is_served_already_loses_its_route_and_nobody_else_does() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    let text = site(&scene, "docs");
    scene.push(&[(&file("docs"), Some(text))]);
    assert_eq!(word(&scene.round().await), "confirmed");
    scene.world.touch(|machine| {
        machine.inspected.clear();
        machine.leaking.insert(closure("docs", "1"), WHY.to_owned());
        // Caddy was restarted.
        machine.config = serde_json::Value::Null;
        machine.config_version += 1;
    });
    let mut agent = scene.agent();
    for _ in 0..2 {
        let report = agent.round().await;
        assert_eq!(routes(&scene), ["http://web.example.org/"]);
        assert_eq!(report.waiting, [format!("service docs: {WHY}")]);
    }
}
