//! Hosts that follow the branch in buckets and folders, where `writ mirror` publishes it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::mpsc;
use writ::agent::Report;
use writ::agent::sources::SourceState;
use writ::names::CommitId;
use writ::source::bundles::index::{Digested, Index};
use writ::trust::{HEAD, HeadStatement, Reason};

use crate::bucket_server::{Answer, ID, SECRET, Server};
use crate::forge::CHANNEL;
use crate::scene::{Scene, until, word};

/// A bucket with a server, and a folder that may be a stick's.
struct Places {
    dir: TempDir,
    server: Server,
}

impl Places {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("buckets/acme-deploy")).unwrap();
        let keys = dir.path().join("keys");
        let text =
            format!("[default]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n");
        fs::write(&keys, text).unwrap();
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
        Self { server: Server::of(&dir.path().join("buckets")), dir }
    }

    fn s3(&self) -> String {
        format!("s3://acme-deploy/main?endpoint=http://127.0.0.1:{}", self.server.port)
    }

    fn stick(&self) -> PathBuf {
        self.dir.path().join("stick")
    }

    fn folder(&self) -> String {
        format!("dir://{}", self.stick().display())
    }

    fn bucket_table(&self) -> String {
        let keys = self.dir.path().join("keys");
        format!(
            "[[source]]\nname = \"bucket\"\nurl = \"{}\"\ncredentialsFile = \"{}\"\n",
            self.s3(),
            keys.display()
        )
    }

    fn folder_table(&self) -> String {
        format!("[[source]]\nname = \"stick\"\nurl = \"{}\"\n", self.folder())
    }

    fn mirror(&self, scene: &Scene, to: &str, more: &[&str]) {
        let done = Command::new(env!("CARGO_BIN_EXE_writ"))
            .args(["mirror", "--branch", "main", "--to", to, "--repo"])
            .arg(scene.forge.git_dir())
            .args(more)
            .env("AWS_SHARED_CREDENTIALS_FILE", self.dir.path().join("keys"))
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

fn reason(report: &Report) -> Option<Reason> {
    report.refused.as_ref().map(|refusal| refusal.reason)
}

fn publish_statement(scene: &Scene, commit: &CommitId, sequence: u64) {
    let issued = jiff::Timestamp::now().as_second() - 60;
    let (commit, expires) = (commit.clone(), issued + 86_400);
    let statement = HeadStatement { commit, sequence, issued, expires, by: None };
    scene.forge.state("refs/writ/head/main", HEAD, &statement.text(CHANNEL), &["herald"]);
}

/// A host without a git server, which follows a folder.
fn beside_a_folder() -> (Places, Scene) {
    let places = Places::new();
    let mut scene = Scene::new();
    scene.url = String::new();
    scene.more = places.folder_table();
    (places, scene)
}

/// A host without a git server, which follows nothing without a statement.
fn strict(places: &[String]) -> Scene {
    let mut scene = Scene::new();
    scene.url = String::new();
    scene.more = format!("requireHead = true\n{}", places.concat());
    let herald = scene.forge.signers(&["herald"]).replace("\"git\"", "\"writ-head\"");
    let signers = scene.forge.signers(&["alice"]) + &herald;
    scene.push(&[(".writ/allowed_signers", Some(signers))]);
    scene
}

#[tokio::test]
async fn a_host_follows_a_bucket_or_a_folder_with_the_statements_beside_the_branch() {
    let places = Places::new();
    for (to, table) in
        [(places.s3(), places.bucket_table()), (places.folder(), places.folder_table())]
    {
        let mut scene = strict(&[table]);
        let first = scene.push_service("web", "1");
        let mut agent = scene.agent();
        // Nothing is there yet.
        assert_eq!(agent.round().await.commit, None);
        places.mirror(&scene, &to, &[]);
        assert_eq!(reason(&agent.round().await), Some(Reason::Stale));
        publish_statement(&scene, &first, 1);
        places.mirror(&scene, &to, &[]);
        let report = agent.round().await;
        assert_eq!((word(&report), reason(&report)), ("confirmed", None), "{report:?}");
        scene.assert_runs(&[("web", "1")]);
        let second = scene.push_service("web", "2");
        publish_statement(&scene, &second, 2);
        places.mirror(&scene, &to, &[]);
        assert_eq!(word(&agent.round().await), "confirmed");
        scene.assert_runs(&[("web", "2")]);
        // An agent that has just started needs little, and a quiet round one request.
        let mut agent = scene.agent();
        assert_eq!(word(&agent.round().await), "confirmed");
        places.server.asked();
        let changes = scene.world.state().changes;
        assert_eq!(word(&agent.round().await), "confirmed");
        assert_eq!(scene.world.state().changes, changes);
        assert_eq!(places.server.asked().len(), usize::from(to.starts_with("s3:")));
        assert!(!scene.state().join("incoming").exists());
    }
}

#[tokio::test]
async fn what_a_place_shows_is_not_believed() {
    let (places, mut scene) = beside_a_folder();
    let good = scene.push_service("web", "1");
    places.mirror(&scene, &places.folder(), &[]);
    let mut agent = scene.agent();
    assert_eq!(word(&agent.round().await), "confirmed");
    // Somebody with the stick adds a commit of their own.
    let text = scene.service("web", "666", "");
    let own = scene.forge.unsigned().on(&good).file("manifests/services/web.toml", &text).make();
    scene.point_main_at(&own);
    places.mirror(&scene, &places.folder(), &[]);
    let report = agent.round().await;
    assert_eq!(reason(&report), Some(Reason::Unsigned), "{report:?}");
    scene.assert_runs(&[("web", "1")]);
    // An older stick is no way back.
    scene.point_main_at(&good);
    let second = scene.push_service("web", "2");
    places.mirror(&scene, &places.folder(), &["--anew"]);
    assert_eq!(agent.round().await.commit, Some(second));
    scene.point_main_at(&good);
    places.mirror(&scene, &places.folder(), &["--anew"]);
    let report = agent.round().await;
    assert_eq!(reason(&report), Some(Reason::Rollback), "{report:?}");
    scene.assert_runs(&[("web", "2")]);
}

#[tokio::test]
async fn a_bundle_whose_history_is_not_what_the_index_says_heals_by_a_whole_one() {
    let (places, mut scene) = beside_a_folder();
    scene.push_service("web", "1");
    places.mirror(&scene, &places.folder(), &[]);
    let mut agent = scene.agent();
    assert_eq!(word(&agent.round().await), "confirmed");
    // Two bundles, and the index says that the second one leads on from what the host has.
    let has = scene.head.clone();
    for version in ["2", "3"] {
        scene.push_service("web", version);
        places.mirror(&scene, &places.folder(), &[]);
    }
    let at = places.stick().join("index");
    let mut index = Index::read(&fs::read(&at).unwrap()).unwrap();
    let middle = index.entries.remove(1);
    index.entries[1].base = Some(has);
    fs::write(&at, index.to_string()).unwrap();
    let report = agent.round().await;
    assert_ne!(report.commit, Some(scene.head.clone()));
    scene.assert_runs(&[("web", "1")]);
    // Whoever publishes mends it.
    drop(middle);
    places.mirror(&scene, &places.folder(), &["--anew"]);
    for _ in 0..3 {
        agent.round().await;
    }
    scene.assert_runs(&[("web", "3")]);
}

/// What a whole fetch brings takes the place of the copy, which is then all there is.
#[tokio::test]
async fn a_commit_with_nothing_below_it_takes_no_copy_s_place() {
    let (places, mut scene) = beside_a_folder();
    scene.push_service("web", "1");
    places.mirror(&scene, &places.folder(), &[]);
    assert_eq!(word(&scene.round().await), "confirmed");
    hollow(&scene, &places.stick());
    let packs = scene.state().join("repo.git/objects/pack");
    let one: Vec<_> = fs::read_dir(&packs).unwrap().map(|entry| entry.unwrap().path()).collect();
    for n in 0..200 {
        for file in &one {
            let name = format!("pack-{n:040}.{}", file.extension().unwrap().to_str().unwrap());
            fs::copy(file, packs.join(name)).unwrap();
        }
    }
    for _ in 0..2 {
        let report = scene.round().await;
        assert_eq!((word(&report), &report.faults[..]), ("confirmed", &[][..]));
    }
}

/// Publishes a bundle that says it is whole, and holds the newest commit alone.
fn hollow(scene: &Scene, stick: &Path) {
    let tip = &scene.head;
    let pack =
        scene.forge.git(["pack-objects", "--stdout", "--quiet"], format!("{tip}\n").as_bytes());
    let bundle =
        [format!("# v2 git bundle\n{tip} refs/heads/main\n\n").into_bytes(), pack].concat();
    let at = stick.join("index");
    let mut index = Index::read(&fs::read(&at).unwrap()).unwrap();
    let entry = index.entries.last_mut().unwrap();
    let sha256 = Sha256::digest(&bundle).iter().map(|byte| format!("{byte:02x}")).collect();
    entry.file = Digested { sha256, size: bundle.len() as u64 };
    fs::write(stick.join(entry.file.name()), bundle).unwrap();
    fs::write(&at, index.to_string()).unwrap();
}

/// The interval is an hour: what is plugged in is noticed.
#[tokio::test]
async fn a_stick_that_is_plugged_in_makes_a_round() {
    let places = Places::new();
    let mut scene = Scene::new();
    scene.url = String::new();
    scene.more = format!("[poll]\ninterval = \"1h\"\n{}", places.folder_table());
    scene.push_service("web", "1");
    let elsewhere = format!("dir://{}", places.dir.path().join("elsewhere").display());
    places.mirror(&scene, &elsewhere, &[]);
    let agent = scene.agent();
    let shared = agent.shared();
    let (_asks, asked) = mpsc::channel(1);
    let work = async {
        let state = || shared.snapshot().sources.first().map(|source| source.state);
        until("it is told as not there", || state() == Some(SourceState::Unplugged)).await;
        assert_eq!(shared.snapshot().source_fault, None);
        fs::rename(places.dir.path().join("elsewhere"), places.stick()).unwrap();
        until("it is followed", || state() == Some(SourceState::Current)).await;
        until("it runs", || scene.runs("web").is_some()).await;
        scene.push_service("web", "2");
        places.mirror(&scene, &places.folder(), &[]);
        let second = |text: &str| text.contains("web-2");
        until("the next one runs", || scene.runs("web").is_some_and(|text| second(&text))).await;
        fs::rename(places.stick(), places.dir.path().join("pulled-out")).unwrap();
        until("it is gone", || state() == Some(SourceState::Unplugged)).await;
        scene.assert_runs(&[("web", "2")]);
    };
    tokio::select! {
        ended = agent.run(asked, Arc::default()) => panic!("{ended:?}"),
        () = work => {}
    }
}

#[tokio::test]
async fn a_bucket_in_trouble_beside_a_forge_holds_nobody_up() {
    let places = Places::new();
    let mut scene = Scene::new();
    scene.more = places.bucket_table();
    scene.push_service("web", "1");
    places.mirror(&scene, &places.s3(), &[]);
    let mut agent = scene.agent();
    assert_eq!(word(&agent.round().await), "confirmed");
    let states = |agent: &writ::agent::Agent<_>| -> Vec<SourceState> {
        agent.shared().snapshot().sources.iter().map(|source| source.state).collect()
    };
    assert_eq!(states(&agent), [SourceState::Current, SourceState::Current]);
    places.server.rule(|_, _| Answer::Plain(b"<html>Log in</html>".to_vec()));
    scene.push_service("web", "2");
    assert_eq!(word(&agent.round().await), "confirmed");
    scene.assert_runs(&[("web", "2")]);
    assert_eq!(states(&agent), [SourceState::Current, SourceState::Lost]);
    let told = agent.shared().snapshot().sources[1].fault.clone().unwrap().to_string();
    assert!(told.contains("it is a web page"), "{told}");
    assert!(is_clean(&scene.state()));
}

/// The bucket's bundles lead from one push of several commits to the next, and the host
/// was led to a commit in between by a forge that is gone now.
#[tokio::test]
async fn a_host_between_two_bundles_takes_the_later_one_alone() {
    let places = Places::new();
    let mut scene = Scene::new();
    scene.more = places.bucket_table();
    scene.push_service("web", "1");
    places.mirror(&scene, &places.s3(), &[]);
    let mut agent = scene.agent();
    assert_eq!(word(&agent.round().await), "confirmed");
    scene.push_service("web", "2");
    for _ in 0..2 {
        assert_eq!(word(&agent.round().await), "confirmed");
    }
    scene.push_service("web", "3");
    places.mirror(&scene, &places.s3(), &[]);
    let forge = scene.forge.git_dir();
    fs::rename(&forge, forge.with_extension("gone")).unwrap();
    places.server.asked();
    agent.round().await;
    scene.assert_runs(&[("web", "3")]);
    let asked = places.server.asked();
    let bundles = asked.iter().filter(|asked| asked.contains("/bundles/")).count();
    assert_eq!(bundles, 1, "{asked:?}");
}

/// Nothing lies in a host's state that a fetch left there.
fn is_clean(state: &Path) -> bool {
    !fs::read_dir(state)
        .unwrap()
        .any(|entry| entry.unwrap().file_name().to_string_lossy().contains("incoming"))
}
