//! Branches that are published, and hosts that follow them there.

use std::fs;
use std::time::{Duration, SystemTime};

use writ::source::bundles::mirror::{How, Outcome};

use crate::server::Answer;
use crate::town::Town;

#[test]
fn a_branch_is_followed_in_a_bucket_and_in_a_folder() {
    let town = Town::new();
    town.commit("one");
    let (s3, folder) = (town.s3(), town.folder());
    let both = ["--to", &s3, "--to", &folder];
    let mut told = town.mirror(&both);
    let mut hosts = [town.host("a", &s3), town.host("b", &folder)];
    for host in &mut hosts {
        assert_eq!((host.follow(), host.follow()), (1, 0));
    }
    town.server.asked();
    told += &town.mirror(&both);
    assert!(!town.server.was_asked(|asked| asked.starts_with("PUT")));
    town.commit("two");
    town.state("head", 1);
    town.state("reset", 4);
    told += &town.mirror(&both);
    for host in &mut hosts {
        // The new bundle has the statements with it.
        assert_eq!((host.follow(), host.follow()), (1, 0));
        host.assert_whole(&town);
    }
    town.state("head", 2);
    told += &town.mirror(&both);
    for host in &mut hosts {
        assert_eq!((host.follow(), host.follow()), (1, 0));
        // The agent was started again, and forgot which statements it had read.
        host.known.tips = host.known.have.clone();
        assert_eq!((host.follow(), host.follow()), (1, 0));
    }
    let mut late = town.host("c", &s3);
    assert_eq!((late.follow(), late.follow()), (3, 0));
    late.assert_whole(&town);
    town.assert_in_order(&town.bucket());
    let index = town.assert_in_order(&town.path("stick"));
    assert_eq!(index, town.index(&town.bucket()).clone_tokens(&index));
    insta::assert_snapshot!(told);
}

/// Two places are written in different seconds.
trait CloneTokens {
    fn clone_tokens(self, other: &Self) -> Self;
}

impl CloneTokens for writ::source::bundles::index::Index {
    fn clone_tokens(mut self, other: &Self) -> Self {
        for (own, other) in self.entries.iter_mut().zip(&other.entries) {
            own.token = other.token;
        }
        if let (Some(own), Some(other)) = (&mut self.stated, &other.stated) {
            own.since = other.since;
        }
        self
    }
}

#[test]
fn a_place_that_somebody_else_writes_just_now_is_asked_again() {
    let town = Town::new();
    let s3 = town.s3();
    let mut host = town.host("a", &s3);
    // The second time the index is replaced, on a condition of another kind.
    for commit in ["one", "two"] {
        town.commit(commit);
        town.server.asked();
        town.server.rule(|asked, before| match asked.starts_with("PUT") && before == 0 {
            true => Answer::Status(409, "<Error><Code>ConditionalRequestConflict</Code></Error>"),
            false => Answer::Normal,
        });
        town.mirror(&["--to", &s3]);
        assert_eq!(host.follow(), 1, "{commit}");
        host.assert_whole(&town);
    }
}

#[test]
fn programs_are_told_in_json() {
    let town = Town::new();
    town.commit("one");
    let (s3, folder) = (town.s3(), town.folder());
    let mut told = town.mirror(&["--to", &folder, "--json"]);
    town.server.rule(|_, _| Answer::Status(403, "<Error><Code>AccessDenied</Code></Error>"));
    told += &town.mirror(&["--to", &s3, "--to", &folder, "--json"]);
    insta::assert_snapshot!(told);
}

#[test]
fn git_itself_clones_from_what_is_published() {
    let town = Town::new();
    town.commit("one");
    let folder = town.folder();
    let mirror = |text| {
        town.commit(text);
        town.state("head", 1);
        town.publish(&folder, &How::default()).unwrap()
    };
    for text in ["two", "three", "four"] {
        mirror(text);
    }
    // A plain web server with the folder, and nothing of S3.
    let stick = town.path("stick");
    town.server.rule(move |asked, _| {
        let path = asked.strip_prefix("GET /").and_then(|asked| asked.split('?').next());
        match path.and_then(|path| fs::read(stick.join(path)).ok()) {
            Some(bytes) => Answer::Plain(bytes),
            None => Answer::Status(404, ""),
        }
    });
    let over_http = format!("http://127.0.0.1:{}/index", town.server.port);
    let in_files = format!("file://{}/index", town.path("stick").display());
    let deploy = format!("file://{}", town.deploy().display());
    for (name, index) in [("over-http", over_http), ("in-files", in_files)] {
        let uri = format!("--bundle-uri={index}");
        town.git(&town.path("hosts"), &["clone", "-q", &uri, &deploy, name]);
        let clone = town.path("hosts").join(name);
        // It came out of the bundles, to the newest commit.
        let bundled = town.git(&clone, &["rev-parse", "refs/bundles/main"]);
        assert_eq!(bundled, town.tip().to_string());
    }
    let newest = town.index(&town.path("stick")).entries.last().unwrap().file.name();
    let newest = town.path("stick").join(newest);
    let heads = town.git(&town.deploy(), &["bundle", "list-heads", newest.to_str().unwrap()]);
    assert!(heads.contains("refs/heads/main") && heads.contains("refs/writ/head/main"), "{heads}");
}

#[test]
fn a_repository_of_long_ids_is_published_too() {
    let town = Town::with_format("sha256");
    town.commit("one");
    let s3 = town.s3();
    town.mirror(&["--to", &s3]);
    let mut host = town.host("a", &s3);
    assert_eq!(host.follow(), 1);
    town.commit("two");
    town.state("head", 1);
    town.mirror(&["--to", &s3]);
    assert_eq!((host.follow(), host.follow()), (1, 0));
    host.assert_whole(&town);
    assert_eq!(town.assert_in_order(&town.bucket()).tip.as_str().len(), 64);
}

#[test]
fn a_host_that_was_away_finds_a_road_and_old_bundles_go() {
    let town = Town::new();
    let folder = town.folder();
    let day = Duration::from_secs(86_400);
    let mut hosts = Vec::new();
    let mut removed = 0;
    for n in 0..40 {
        town.commit(&format!("commit {n}"));
        let Outcome::Published(done) = town.publish(&folder, &How::default()).unwrap() else {
            panic!("commit {n} was published");
        };
        removed += done.removed;
        let mut host = town.host(&n.to_string(), &folder);
        host.follow();
        hosts.push(host);
        // A day goes by.
        for file in fs::read_dir(town.path("stick/bundles")).unwrap() {
            let file = fs::File::options().append(true).open(file.unwrap().path()).unwrap();
            file.set_modified(SystemTime::now() - day).unwrap();
        }
    }
    let index = town.assert_in_order(&town.path("stick"));
    let wholes = index.entries.iter().filter(|entry| entry.base.is_none()).count();
    assert_eq!(wholes, 2);
    assert!(removed > 15, "{removed}");
    // Nothing lies there that nothing leads to.
    let left = fs::read_dir(town.path("stick/bundles")).unwrap().count();
    assert_eq!(left, index.entries.len());
    for host in &mut hosts {
        assert!(host.follow() <= 20);
        assert_eq!(host.known.have, [town.tip()]);
        host.assert_whole(&town);
    }
}

#[test]
fn who_may_not_list_a_bucket_publishes_and_is_told_that_old_bundles_stay() {
    let town = Town::new();
    town.commit("one");
    town.server.rule(|asked, _| match asked.contains("list-type") {
        true => Answer::Status(403, "<Error><Code>AccessDenied</Code></Error>"),
        false => Answer::Normal,
    });
    let told = town.mirror(&["--to", &town.s3()]);
    assert!(told.contains("now, 1 bundle") && told.ends_with("exit 0\n"), "{told}");
    assert!(told.contains("warning: old bundles stay there: could not list"), "{told}");
    town.assert_in_order(&town.bucket());
}

#[test]
fn a_kit_begins_with_what_the_host_has() {
    let town = Town::new();
    let old = town.commit("one");
    let folder = town.folder();
    let mut host = town.host("a", &format!("{folder}-old"));
    town.publish(&format!("{folder}-old"), &How::default()).unwrap();
    host.follow();
    town.commit("two");
    let since = Some(old);
    town.publish(&folder, &How { since, ..How::default() }).unwrap();
    let index = town.index(&town.path("stick"));
    assert_eq!(index.entries.len(), 1);
    let mut near = town.host("b", &folder);
    near.known = host.known.clone();
    assert!(matches!(near.fetch(), Ok(writ::source::fetched::Fetched::Packs { .. })));
    near.known.have.clear();
    let _ = fs::remove_dir_all(town.path("hosts/b/incoming"));
    let told = near.fetch().unwrap_err();
    assert!(told.because.contains("no bundle leads from what this host has"), "{told}");
}

#[test]
fn the_hook_of_a_server_publishes_what_was_pushed() {
    let town = Town::new();
    town.commit("one");
    town.git(town.dir.path(), &["init", "-q", "--bare", "-b", "main", "server.git"]);
    let own = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks/post-receive-mirror");
    fs::copy(own, town.path("server.git/hooks/post-receive")).unwrap();
    for place in ["stick", "another"] {
        let url = format!("dir://{}", town.path(place).display());
        town.git(&town.path("server.git"), &["config", "--add", "writ.mirror", &url]);
    }
    let server = town.path("server.git").display().to_string();
    for text in ["two", "three"] {
        town.commit(text);
        town.git(&town.deploy(), &["push", "-q", &server, "main"]);
        for place in ["stick", "another"] {
            assert_eq!(town.assert_in_order(&town.path(place)).tip, town.tip());
        }
    }
}

#[test]
fn a_checkout_of_ci_has_the_branch_under_another_name() {
    let town = Town::new();
    town.commit("one");
    let from = format!("file://{}", town.deploy().display());
    town.git(town.dir.path(), &["clone", "-q", &from, "ci"]);
    town.git(&town.path("ci"), &["checkout", "-q", "--detach"]);
    town.git(&town.path("ci"), &["branch", "-q", "-D", "main"]);
    let (ci, folder) = (town.path("ci").display().to_string(), town.folder());
    let mut told = town.mirror(&["--repo", &ci, "--branch", "main", "--to", &folder]);
    told += &town.mirror(&["--repo", &ci, "--to", &folder]);
    told += &town.mirror(&["--repo", &ci, "--branch", "live", "--to", &folder]);
    town.commit("two");
    town.git(town.dir.path(), &["clone", "-q", "--depth=1", &from, "shallow"]);
    let shallow = town.path("shallow").display().to_string();
    told += &town.mirror(&["--repo", &shallow, "--to", &folder]);
    insta::assert_snapshot!(told);
}
