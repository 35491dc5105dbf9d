//! The control socket, with a running agent behind it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use writ::agent::control::{Control, Reply, Request};
use writ::agent::socket;
use writ::agent::status::Status;

use crate::scene::{HOST, Scene, closure};

const DEADLINE: Duration = Duration::from_secs(20);

fn runtime(scene: &Scene) -> PathBuf {
    scene.state().with_file_name("run")
}

/// Runs `asks` while an agent serves its socket.
async fn beside_an_agent(scene: &Scene, asks: impl Future<Output = ()>) {
    let listener = socket::listen(&runtime(scene)).unwrap();
    let agent = scene.agent();
    let (asked, requests) = mpsc::channel(64);
    let control = Control {
        host: HOST.parse().unwrap(),
        ledger: scene.ledger(),
        world: Arc::clone(&scene.world),
        agents: Arc::clone(&scene.world),
        shared: agent.shared(),
        asked,
    };
    let serving = tokio::spawn(control.serve(listener));
    tokio::select! {
        ended = agent.run(requests, Arc::default()) => panic!("{ended:?}"),
        () = asks => {}
    }
    serving.abort();
    let _ = serving.await;
}

async fn ask(scene: &Scene, request: Request) -> std::io::Result<Reply> {
    socket::ask(&socket::path(&runtime(scene)), request, DEADLINE).await
}

async fn status(scene: &Scene, request: Request) -> Status {
    match ask(scene, request).await.unwrap() {
        Reply::Status(status) => *status,
        Reply::Refused { because } => panic!("{because}"),
    }
}

/// What the agent answers to these bytes, and nothing more, on one connection.
async fn answer(scene: &Scene, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket::path(&runtime(scene))).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    // A peer that is hung up on may see that instead of an end.
    let _ = stream.read_to_string(&mut text).await;
    text
}

#[tokio::test]
async fn a_sync_is_answered_after_a_round_that_began_after_it() {
    let mut scene = Scene::new();
    let first = scene.push_service("web", "1");
    let second = scene.push_service("web", "2");
    scene.point_main_at(&first);
    let asks = async {
        assert_eq!(status(&scene, Request::Sync).await.commit, Some(first.clone()));
        scene.point_main_at(&second);
        let (one, two) =
            tokio::join!(status(&scene, Request::Sync), status(&scene, Request::Sync),);
        assert_eq!((one.commit.as_ref(), two.commit.as_ref()), (Some(&second), Some(&second)));
        scene.assert_runs(&[("web", "2")]);
    };
    beside_an_agent(&scene, asks).await;
}

#[tokio::test]
async fn nonsense_is_answered_and_hurts_nobody() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    let asks = async {
        let long = vec![b'x'; 1 << 20];
        let cases: [&[u8]; 6] = [
            b"",
            b"\n",
            b"{\"verb\":\"reboot\"}\n",
            b"{\"verb\":\"sync\",\"x\":1}\n",
            b"\xff\xfe\n",
            &long[..4096],
        ];
        for bytes in cases {
            let text = answer(&scene, bytes).await;
            assert!(text.is_empty() || text.contains("not a request"), "{text}");
        }
        // Peers that say nothing keep nobody else waiting.
        let path = socket::path(&runtime(&scene));
        let mut silent = Vec::new();
        for _ in 0..100 {
            silent.push(UnixStream::connect(&path).await.unwrap());
        }
        assert_eq!(status(&scene, Request::Sync).await.services.len(), 1);
    };
    beside_an_agent(&scene, asks).await;
}

#[tokio::test]
async fn a_second_agent_is_refused_and_a_dead_one_is_not_waited_for() {
    let scene = Scene::new();
    let asks = async {
        let error = socket::listen(&runtime(&scene)).unwrap_err();
        assert!(error.to_string().contains("another agent"), "{error}");
        status(&scene, Request::Status).await;
    };
    beside_an_agent(&scene, asks).await;
    // Its socket file is still there.
    let error = ask(&scene, Request::Status).await.unwrap_err();
    assert!(socket::nobody_listens(&error), "{error}");
    beside_an_agent(&scene, async { drop(status(&scene, Request::Status).await) }).await;
}

/// Who waits for a round that never ends is told when the agent does.
#[tokio::test]
async fn who_waits_is_told_that_the_agent_stops() {
    let mut scene = Scene::new();
    scene.push_service("web", "1");
    scene.world.touch(|machine| {
        machine.sick.insert(closure("web", "1"));
    });
    let path = socket::path(&runtime(&scene));
    let (sent, waiting) = tokio::sync::oneshot::channel();
    let asker = tokio::spawn(async move {
        let mut sent = Some(sent);
        loop {
            let asking = socket::ask(&path, Request::Sync, DEADLINE);
            if let Some(sent) = sent.take() {
                let _ = sent.send(());
            }
            match asking.await {
                Err(error) if socket::nobody_listens(&error) => tokio::task::yield_now().await,
                answer => return answer,
            }
        }
    });
    beside_an_agent(&scene, async {
        waiting.await.unwrap();
        while scene.runs("web").is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    match asker.await.unwrap() {
        Ok(Reply::Refused { because }) => assert!(because.contains("stopping"), "{because}"),
        Ok(Reply::Status(status)) => panic!("{status:?}"),
        Err(error) => assert!(error.to_string().contains("stopped before"), "{error}"),
    }
}

/// As an operator does who has changed what the manifest does not know of.
#[tokio::test]
async fn a_restart_begins_one_service_anew_and_is_told_as_that() {
    let mut scene = Scene::new();
    let web = scene.service("web", "1", "");
    let api = scene.service("api", "1", "");
    scene.push(&[
        ("manifests/services/web.toml", Some(web)),
        ("manifests/services/api.toml", Some(api)),
    ]);
    let restart = |name: &str| Request::Restart { service: name.parse().unwrap() };
    let asks = async {
        let before = status(&scene, Request::Sync).await;
        let started = scene.world.state().changes;
        let after = status(&scene, restart("web")).await;
        let pid = |status: &Status, name: &str| status.services[&name.parse().unwrap()].pid;
        assert!(scene.world.state().changes > started);
        assert_ne!(pid(&after, "web"), pid(&before, "web"));
        assert_eq!(pid(&after, "api"), pid(&before, "api"));
        assert!(after.drift.is_empty() && after.healed.is_none(), "{after:?}");
        assert_eq!(after.generation, before.generation);
        // Twice is twice.
        status(&scene, restart("web")).await;
        let kinds = |kind: &str| {
            let events = writ::events::Events::at(scene.ledger().events()).read().unwrap();
            events.into_iter().filter(|event| event.kind.word() == kind).count()
        };
        assert_eq!((kinds("restarted"), kinds("drift-found")), (2, 0));
        let Reply::Refused { because } = ask(&scene, restart("wev")).await.unwrap() else {
            panic!("there is no wev");
        };
        assert!(because.contains("runs no service wev; it runs: api, web"), "{because}");
        // One that does not come up is told with why, and healed as ever.
        scene.world.touch(|machine| {
            machine.sick.insert(closure("web", "1"));
        });
        let Reply::Refused { because } = ask(&scene, restart("web")).await.unwrap() else {
            panic!("it is sick");
        };
        assert!(because.contains("web"), "{because}");
    };
    beside_an_agent(&scene, asks).await;
}

#[tokio::test]
async fn a_restart_waits_for_a_generation_that_is_confirmed() {
    let scene = Scene::new();
    let asks = async {
        let asked = Request::Restart { service: "web".parse().unwrap() };
        let Reply::Refused { because } = ask(&scene, asked).await.unwrap() else {
            panic!("nothing runs");
        };
        assert!(because.contains("restart web"), "{because}");
        for line in ["{\"verb\":\"restart\"}\n", "{\"verb\":\"sync\",\"service\":\"web\"}\n"] {
            assert!(answer(&scene, line.as_bytes()).await.contains("not a request"), "{line}");
        }
    };
    beside_an_agent(&scene, asks).await;
}
