//! What a host tells of itself, pushed to a real remote and signed with a real key.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use tokio::time::sleep_until;
use writ::agent::Agent;
use writ::agent::reporting::Reporter;
use writ::agent::status::gather;
use writ::ledger::pause::Pause;
use writ::report::{HostReport, verify};

use crate::scene::{HOST, Scene, closure, word};
use crate::windows::opens_in;
use crate::world::SimWorld;

const REF: &str = "refs/writ/status/biz";

/// A host that reports and has done nothing yet.
fn telling(more: &str) -> Scene {
    let mut scene = Scene::new();
    scene.more = format!("[report]\n{more}\n");
    scene
}

fn reporter(scene: &Scene, agent: &Agent<SimWorld>) -> Reporter {
    Reporter::new(&scene.config(), scene.ledger(), agent.shared()).unwrap()
}

/// A round of a new agent, and what is told after it.
async fn told_after_a_round(scene: &Scene) -> HostReport {
    let mut agent = scene.agent();
    agent.round().await;
    reporter(scene, &agent).look().await;
    assert_eq!(agent.shared().snapshot().report_fault, None);
    report(scene).await
}

fn bytes(scene: &Scene) -> Vec<u8> {
    scene.forge.git(["cat-file", "blob", &format!("{REF}:status")], b"")
}

/// What lies at the remote, read as an operator would.
async fn report(scene: &Scene) -> HostReport {
    let key = scene.config().report_key().public().await.unwrap();
    verify(&bytes(scene), &key.parse().unwrap()).unwrap()
}

/// Has the remote run this at each push.
fn hook(scene: &Scene, script: &str) -> PathBuf {
    let hook = scene.forge.git_dir().join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    hook
}

#[tokio::test]
async fn a_host_tells_what_its_round_came_to() {
    let mut scene = telling("to = \"git\"");
    let commit = scene.push_service("web", "1");
    let told = told_after_a_round(&scene).await;
    let text = told.text().unwrap().replace(commit.as_str(), "COMMIT");
    let times = [Some(told.at), told.seen, told.state.verdict.map(|told| told.since)];
    let text = times.iter().flatten().fold(text, |t, at| t.replace(&at.to_string(), "TIME"));
    insta::assert_snapshot!(text.replace(&told.sequence.to_string(), "SEQUENCE"));
    // Nothing of the report before is kept by it.
    assert_eq!(scene.forge.git(["rev-list", "--count", REF], b""), b"1\n");
    assert_eq!(scene.forge.git(["ls-tree", "--name-only", REF], b""), b"status\n");
    let left = |name: &str| scene.state().join(name).exists();
    assert!(!left("report.git") && !left("report_key.fresh"));
}

/// OpenSSH is asked for a second opinion.
#[tokio::test]
async fn anybody_can_check_a_report_with_ssh_keygen() {
    let scene = telling("to = \"git\"");
    told_after_a_round(&scene).await;
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let whole = String::from_utf8(bytes(&scene)).unwrap();
    let (text, armor) = whole.split_at(whole.find("-----BEGIN").unwrap());
    let public = fs::read_to_string(scene.state().join("report_key.pub")).unwrap();
    fs::write(path("signers"), format!("{HOST} namespaces=\"writ-status\" {public}")).unwrap();
    fs::write(path("sig"), armor).unwrap();
    fs::write(path("text"), text).unwrap();
    let checked = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-I", HOST, "-n", "writ-status", "-f"])
        .arg(path("signers"))
        .arg("-s")
        .arg(path("sig"))
        .stdin(fs::File::open(path("text")).unwrap())
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

#[tokio::test]
async fn what_failed_is_told_without_the_journal_unless_the_config_says_so() {
    for (more, lines) in [("to = \"git\"", 0), ("to = \"git\"\ndetail = true", 1)] {
        let mut scene = telling(more);
        let good = scene.push_service("web", "1");
        told_after_a_round(&scene).await;
        scene.world.touch(|machine| {
            machine.crashing.insert(closure("web", "2"));
        });
        let bad = scene.push_service("web", "2");
        let state = told_after_a_round(&scene).await.state;
        assert_eq!((state.head, state.commit), (Some(bad), Some(good)));
        let told = state.verdict.unwrap();
        assert_eq!(told.kind.word(), "rolled-back");
        assert!(told.reason.unwrap().contains("web"));
        assert_eq!(told.detail.len().min(1), lines, "{:?}", told.detail);
    }
}

#[tokio::test]
async fn refusals_windows_and_pauses_are_told() {
    let mut scene = telling("to = \"git\"");
    scene.push_service("web", "1");
    told_after_a_round(&scene).await;
    scene.push_told("2", &opens_in(3), "a change");
    let state = told_after_a_round(&scene).await.state;
    assert_eq!(state.verdict.unwrap().kind.word(), "waiting");
    assert!(state.waiting_until.is_some());
    let stranger = scene.forge.commit("mallory").on(&scene.head).make();
    scene.point_main_at(&stranger);
    let state = told_after_a_round(&scene).await.state;
    assert_eq!(state.head, Some(stranger));
    let told = state.verdict.unwrap();
    assert_eq!(told.kind.word(), "refused");
    assert!(told.reason.unwrap().contains("G3"));
    let pause =
        Pause { since: "2026-01-01T00:00:00Z".into(), by: "bob".parse().unwrap(), reason: None };
    scene.ledger().pause(&pause).unwrap();
    let state = told_after_a_round(&scene).await.state;
    assert_eq!(state.paused.unwrap().to_string(), "2026-01-01T00:00:00Z");
}

#[tokio::test]
async fn what_has_not_changed_is_told_again_as_a_sign_of_life_alone() {
    for (interval, again) in [("1h", false), ("1ms", true)] {
        let mut scene = telling(&format!("to = \"git\"\ninterval = \"{interval}\""));
        scene.push_service("web", "1");
        let mut agent = scene.agent();
        agent.round().await;
        let mut reporter = reporter(&scene, &agent);
        reporter.look().await;
        let first = report(&scene).await;
        agent.round().await;
        sleep_until(reporter.look().await.min(tokio::time::Instant::now())).await;
        let second = report(&scene).await;
        assert_eq!(second.sequence > first.sequence, again, "{interval}");
        assert_eq!(second.state, first.state);
        // A change is told at once, whatever the interval.
        scene.push_service("web", "2");
        agent.round().await;
        reporter.look().await;
        assert_eq!(report(&scene).await.state.head, Some(scene.head.clone()));
    }
}

#[tokio::test]
async fn sequences_rise_also_where_the_ledger_or_the_clock_is_lost() {
    let scene = telling("to = \"git\"");
    let first = told_after_a_round(&scene).await.sequence;
    scene.ledger().will_report(first + 1_000_000).unwrap();
    let ahead = told_after_a_round(&scene).await.sequence;
    assert_eq!(ahead, first + 1_000_001, "the clock says less than the ledger");
    fs::remove_file(scene.state().join("report.json")).unwrap();
    assert!(told_after_a_round(&scene).await.sequence >= first);
}

#[tokio::test]
async fn a_remote_that_takes_no_report_holds_up_nothing_and_is_told_once() {
    let mut scene = telling("to = \"git\"");
    let hook = hook(&scene, "echo not today >&2; exit 1");
    scene.push_service("web", "1");
    let mut agent = scene.agent();
    let mut reporter = reporter(&scene, &agent);
    let report = agent.round().await;
    assert_eq!((word(&report), &report.faults[..]), ("confirmed", &[][..]));
    let next = reporter.look().await;
    let fault = agent.shared().snapshot().report_fault.unwrap().to_string();
    assert!(fault.contains("push refs/writ/status/biz") && fault.contains("not today"), "{fault}");
    let snapshot = Some(agent.shared().snapshot());
    let (host, ledger) = (HOST.parse().unwrap(), scene.ledger());
    let status = gather(&host, &ledger, &*scene.world, snapshot).await.unwrap();
    assert!(status.faults.is_empty() && status.to_string().contains("not today"), "{status}");
    fs::remove_file(hook).unwrap();
    // Not before its time.
    assert_eq!(reporter.look().await, next);
    assert!(agent.shared().snapshot().report_fault.is_some());
    sleep_until(next).await;
    reporter.look().await;
    assert_eq!(agent.shared().snapshot().report_fault, None);
    assert_eq!(self::report(&scene).await.state.head, Some(scene.head.clone()));
}

#[tokio::test]
async fn a_remote_that_never_answers_is_left_and_nothing_of_it_stays() {
    let mut scene = telling("to = \"git\"");
    let pid = scene.state().with_file_name("pid");
    hook(&scene, &format!("echo $$ >{}; exec sleep 600", pid.display()));
    scene.more.push_str("[poll]\ndeadline = \"2s\"\n");
    scene.push_service("web", "1");
    let mut agent = scene.agent();
    agent.round().await;
    reporter(&scene, &agent).look().await;
    let fault = agent.shared().snapshot().report_fault.unwrap().to_string();
    assert!(fault.contains("2s"), "{fault}");
    let pid = fs::read_to_string(pid).unwrap();
    let status = format!("/proc/{}/stat", pid.trim());
    // One that is dead and not yet buried is gone.
    let alive = || fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z "));
    let start = std::time::Instant::now();
    while alive() {
        assert!(start.elapsed().as_secs() < 20, "the hook still runs");
        tokio::task::yield_now().await;
    }
    assert!(!scene.state().join("report.git").exists());
}

#[tokio::test]
async fn a_report_can_lie_in_a_folder() {
    let mut scene = telling("");
    let folder = scene.state().with_file_name("mail");
    scene.more = format!("[report]\nto = \"dir://{}\"\n", folder.display());
    let mut agent = scene.agent();
    agent.round().await;
    let mut reporter = reporter(&scene, &agent);
    let next = reporter.look().await;
    let fault = agent.shared().snapshot().report_fault.unwrap().to_string();
    assert!(fault.contains("write biz.status"), "{fault}");
    fs::create_dir(&folder).unwrap();
    sleep_until(next).await;
    reporter.look().await;
    let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["biz.status"]);
    let key = scene.config().report_key().public().await.unwrap().parse().unwrap();
    assert!(verify(&fs::read(folder.join("biz.status")).unwrap(), &key).is_ok());
}

#[tokio::test]
async fn the_key_is_roots_alone_and_made_once() {
    let scene = telling("to = \"git\"");
    scene.ledger();
    // What a crash has left of an earlier try.
    for left in ["report_key.fresh", "report_key.fresh.pub"] {
        fs::write(scene.state().join(left), "half a ke").unwrap();
    }
    let file = scene.config().report_key();
    let first = file.public().await.unwrap();
    assert!(first.starts_with("ssh-ed25519 AAAA"));
    assert_eq!(file.public().await.unwrap(), first);
    let mode = fs::metadata(&file.path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    fs::set_permissions(&file.path, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = file.public().await.unwrap_err().to_string();
    assert!(refused.contains("others than root may use it"), "{refused}");
    assert!(file.sign("text").await.is_err());
}

/// The agent that has just been told to report, and its operator who asks for the key.
#[tokio::test]
async fn who_asks_for_the_key_while_it_is_made_gets_the_one_that_stays() {
    for _ in 0..8 {
        let scene = telling("to = \"git\"");
        scene.ledger();
        let file = scene.config().report_key();
        let (told, signed, again) =
            tokio::join!(file.public(), file.sign("text"), async { file.public().await });
        assert!(signed.is_ok(), "{signed:?}");
        let stays = file.public().await.unwrap();
        assert_eq!((told.unwrap(), again.unwrap()), (stays.clone(), stays.clone()));
        let beside = fs::read_to_string(scene.state().join("report_key.pub")).unwrap();
        assert!(beside.starts_with(&stays), "{beside}");
    }
}
