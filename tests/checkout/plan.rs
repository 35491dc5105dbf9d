//! `writ plan` for many hosts, for those who review, and signed into the commit.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::desk::{Desk, ok};
use crate::revert::{ONE, service};

const TWO: &str = "7v5m1xq0w2z9c8b6n4l3k1j0h2g5f8da";

/// A service with a version, on some hosts.
fn versioned(hash: &str, version: &str, hosts: &str, domain: &str) -> String {
    format!(
        "hosts = [{hosts}]\n[artifact]\nstorePath = \"/nix/store/{hash}-web-{version}\"\nclosureSize = 52428800\n[exec]\ncommand = \"web\"\n[http]\ndomain = \"{domain}\"\ninternalPort = 8000\n"
    )
}

impl Desk {
    /// Hosts biz, far and idle; `web` goes from 1.9 to 1.10 on biz and comes to far.
    fn with_three_hosts() -> Self {
        let desk = Self::with_services();
        for host in ["far", "idle"] {
            fs::write(desk.deploy().join(format!("manifests/hosts/{host}.toml")), "").unwrap();
        }
        desk.write("web", &versioned(ONE, "1.9", "\"biz\"", "example.org"));
        desk.commit("web 1.9");
        desk.write("web", &versioned(TWO, "1.10", "\"biz\", \"far\"", "example.org"));
        desk.commit("web 1.10");
        desk
    }

    fn plan(&self, args: &[&str]) -> Output {
        let args: Vec<&str> = ["plan", "--repo", "deploy"].iter().chain(args).copied().collect();
        self.writ(&args)
    }

    fn trailers(&self) -> String {
        self.git(&["log", "-1", "--format=%(trailers:key=Writ-Plan,valueonly)"])
    }

    pub(crate) fn requires_plans(&self) {
        let path = self.deploy().join(".writ/policy.toml");
        let policy = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("requirePlan = true\n{policy}")).unwrap();
        self.commit("plans are looked at");
        self.git(&["push", "-q"]);
    }

    /// The digest that a host is told to have.
    pub(crate) fn digest(&self, args: &[&str]) -> String {
        let told = ok(&self.plan(&[args, &["--host", "biz", "--json"]].concat()));
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        told["hosts"]["biz"]["digest"].as_str().unwrap().to_owned()
    }
}

/// A cache's word on a path.
fn announce(cache: &Path, hash: &str, label: &str, size: u64, references: &[&str]) {
    let text = format!(
        "StorePath: /nix/store/{hash}-{label}\nURL: nar/x.nar.xz\nCompression: xz\nFileHash: sha256:x\nFileSize: {}\nNarHash: sha256:y\nNarSize: {size}\nReferences: {}\nSig: a:b\n",
        size / 4,
        references.join(" ")
    );
    fs::write(cache.join(format!("{hash}.narinfo")), text).unwrap();
}

/// `web` 1.9 with openssl 3.1 and zlib; 1.10 with openssl 3.0 and curl.
fn cache(desk: &Desk) -> String {
    let cache = desk.dir.path().join("cache");
    fs::create_dir(&cache).unwrap();
    let [old_ssl, new_ssl, zlib, curl, libc] = ["1", "2", "3", "4", "5"].map(|c| c.repeat(32));
    let names = |paths: &[(&String, &str)]| -> Vec<String> {
        paths.iter().map(|(hash, label)| format!("{hash}-{label}")).collect()
    };
    let put = |hash: &str, label: &str, size: u64, references: &[String]| {
        let references: Vec<&str> = references.iter().map(String::as_str).collect();
        announce(&cache, hash, label, size, &references);
    };
    put(&libc, "glibc-2.40", 30 << 20, &[]);
    put(&old_ssl, "openssl-3.1", 8 << 20, &names(&[(&libc, "glibc-2.40")]));
    put(&new_ssl, "openssl-3.0", 6 << 20, &names(&[(&libc, "glibc-2.40")]));
    put(&zlib, "zlib-1.3", 1 << 20, &[]);
    put(&curl, "curl-8.9", 2 << 20, &[]);
    put(ONE, "web-1.9", 4 << 20, &names(&[(&old_ssl, "openssl-3.1"), (&zlib, "zlib-1.3")]));
    put(TWO, "web-1.10", 4 << 20, &names(&[(&new_ssl, "openssl-3.0"), (&curl, "curl-8.9")]));
    format!("file://{}", cache.display())
}

#[test]
fn plan_of_all_hosts_tells_packages_and_sizes_where_a_cache_is_asked() {
    let desk = Desk::with_three_hosts();
    let url = cache(&desk);
    let text = desk.plan(&["HEAD", "--against", "HEAD^", "--all-hosts", "--cache", &url]);
    insta::assert_snapshot!("all_hosts", ok(&text));
    let bare = desk.plan(&["HEAD", "--against", "HEAD^", "--all-hosts"]);
    insta::assert_snapshot!("all_hosts_by_the_manifest", ok(&bare));
    let none = desk.plan(&["HEAD", "--against", "HEAD", "--all-hosts"]);
    assert_eq!(ok(&none), "nothing to do on biz, far, idle");
    let old = ok(&desk.plan(&["HEAD", "--from", "HEAD^", "--host", "biz"]));
    assert!(old.contains("web 1.9 → 1.10") && old.ends_with("reboot  none"), "{old}");
}

#[test]
fn plan_of_all_hosts_is_json_for_programs() {
    let desk = Desk::with_three_hosts();
    let url = cache(&desk);
    let told = desk.plan(&["HEAD", "--all-hosts", "--json", "--cache", &url]);
    let mut told: serde_json::Value = serde_json::from_str(&ok(&told)).unwrap();
    // The text of units has a golden text of its own.
    for host in told["hosts"].as_object_mut().unwrap().values_mut() {
        for step in host["steps"].as_array_mut().unwrap() {
            let units = step.get_mut("units").and_then(|units| units.as_array_mut());
            for file in units.into_iter().flatten().filter_map(|unit| unit.get_mut("files")) {
                file[0]["text"] = "…".into();
            }
        }
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&told).unwrap());
}

#[test]
fn plan_is_a_comment_for_those_who_review() {
    let desk = Desk::with_three_hosts();
    let url = cache(&desk);
    desk.git(&["branch", "a|b`c</pre>@x"]);
    let told = desk.plan(&[
        "a|b`c</pre>@x",
        "--against",
        "HEAD^",
        "--all-hosts",
        "--markdown",
        "--cache",
        &url,
    ]);
    insta::assert_snapshot!(ok(&told));
    let none = ok(&desk.plan(&["HEAD", "--against", "HEAD", "--all-hosts", "--markdown"]));
    assert!(none.ends_with("No host has anything to do."), "{none}");
}

/// Forges take comments of 65,536 characters.
#[test]
fn a_comment_is_bounded_and_tells_what_is_left_out() {
    let desk = Desk::with_services();
    for n in 0..130 {
        let host = format!("\"h{n}\"");
        let domain = format!("{}.example.org", "x".repeat(60));
        let text = versioned(TWO, "2", &host, &domain).replace("web", &format!("s{n}"));
        desk.write(&format!("s{n}"), &text);
    }
    let told = ok(&desk.plan(&["--all-hosts", "--markdown"]));
    assert!(told.len() < 65_536, "{}", told.len());
    assert!(told.contains("| … and 30 more |"), "{told}");
    assert!(told.lines().last().unwrap().starts_with("… and "), "{told}");
}

#[test]
fn a_host_that_leaves_the_manifest_is_told() {
    let desk = Desk::with_three_hosts();
    desk.write("web", &versioned(TWO, "1.10", "\"biz\"", "example.org"));
    fs::remove_file(desk.deploy().join("manifests/hosts/far.toml")).unwrap();
    let told = ok(&desk.plan(&["--all-hosts"]));
    assert!(told.contains("on far\nstop    web\n"), "{told}");
}

#[test]
fn head_is_signed_with_the_plan_of_each_host_that_has_something_to_do() {
    let desk = Desk::with_three_hosts();
    let tree = desk.git(&["rev-parse", "HEAD^{tree}"]);
    let told = ok(&desk.plan(&["--sign"]));
    assert!(told.ends_with("signed with the plan of biz, far; now: git push"), "{told}");
    let biz = desk.digest(&["HEAD"]);
    let trailers = desk.trailers();
    let lines: Vec<&str> = trailers.lines().collect();
    assert_eq!(lines[0], format!("biz {biz}"));
    assert!(lines[1].starts_with("far sha256:") && lines.len() == 2, "{trailers}");
    assert_eq!(desk.git(&["log", "-1", "--format=%G? %s"]), "G web 1.10");
    assert_eq!(desk.git(&["rev-parse", "HEAD^{tree}"]), tree);

    let signed = desk.git(&["rev-parse", "HEAD"]);
    assert!(ok(&desk.plan(&["--sign"])).ends_with("signed already"));
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), signed);

    // Another content: the old lines go.
    desk.write("web", &versioned(TWO, "1.10", "\"biz\"", "example.net"));
    desk.git(&["commit", "-q", "-a", "--amend", "--no-edit"]);
    ok(&desk.plan(&["--sign"]));
    let (again, new) = (desk.trailers(), desk.digest(&["HEAD"]));
    assert_eq!(again, format!("biz {new}"));
    assert_ne!(new, biz);
}

#[test]
fn head_is_signed_also_for_hosts_that_run_another_commit() {
    let desk = Desk::with_three_hosts();
    ok(&desk.plan(&["--sign", "--against", "none", "--host", "biz"]));
    let (parent, none) = (desk.digest(&["HEAD"]), desk.digest(&["HEAD", "--against", "none"]));
    assert_eq!(desk.trailers(), format!("biz {parent}\nbiz {none}"));
}

#[test]
fn what_others_may_have_is_not_signed_again() {
    let desk = Desk::with_three_hosts();
    desk.git(&["push", "-q"]);
    let head = desk.git(&["rev-parse", "HEAD"]);
    let told = desk.told(&desk.plan(&["--sign"]));
    assert!(told.starts_with("error: HEAD is pushed already (origin/main"), "{told}");
    assert!(told.ends_with("exit 1\n"), "{told}");
    desk.git(&["commit", "-q", "--allow-empty", "-m", "the plan"]);
    desk.write("web", &(desk.read("web") + "# mine\n"));
    let told = desk.told(&desk.plan(&["--sign"]));
    assert!(told.contains("changes that are not committed"), "{told}");
    desk.git(&["checkout", "-q", "."]);
    // The new commit changes nothing on hosts that run the one below it.
    assert!(ok(&desk.plan(&["--sign"])).ends_with("no host needs a plan"));
    ok(&desk.plan(&["--sign", "--against", "HEAD~2"]));
    assert_eq!(desk.trailers().lines().count(), 2);
    assert_eq!(desk.git(&["rev-parse", "HEAD^"]), head);
}

#[test]
fn a_revert_carries_the_plan_where_it_is_asked_for_or_the_policy_asks() {
    for by_policy in [false, true] {
        let desk = Desk::with_services();
        if by_policy {
            desk.requires_plans();
        }
        desk.write("web", &service(TWO, "web", 8000));
        desk.commit("web to two");
        let (plain, asked) = (["revert", "HEAD", "--repo", "deploy"], "--sign-plan");
        ok(&desk.writ(&plain));
        assert_eq!(desk.trailers().is_empty(), !by_policy);
        ok(&desk.writ(&[&plain[..], &[asked]].concat()));
        assert_eq!(desk.trailers(), format!("biz {}", desk.digest(&["HEAD"])));
        assert!(desk.git(&["log", "-1", "--format=%B"]).contains("This reverts commit"));
    }
}

/// What decides is said first, in words, wherever somebody decides.
#[test]
fn what_services_gain_and_lose_of_their_hosts_is_told_first() {
    let desk = Desk::with_services();
    let plain = versioned(ONE, "1.9", "\"biz\"", "example.org");
    desk.write("web", &plain);
    desk.commit("web 1.9");
    let root = plain.replace("[exec]\n", "[exec]\nuser = \"root\"\n");
    desk.write("web", &format!("envFile = \"/var/lib/secrets/db.env\"\n{root}"));
    let told = ok(&desk.plan(&["--all-hosts"]));
    let lines: Vec<&str> = told.lines().filter(|line| line.starts_with("grants")).collect();
    assert_eq!(lines, ["grants  web runs as root", "grants  web reads /var/lib/secrets/db.env"]);
    assert!(told.find("grants").unwrap() < told.find("restart").unwrap(), "{told}");
    let markdown = ok(&desk.plan(&["--all-hosts", "--markdown"]));
    assert!(markdown.find("web runs as root").unwrap() < markdown.find("| host |").unwrap());
    desk.commit("root");
    desk.write("web", &plain);
    let told = ok(&desk.plan(&["--all-hosts"]));
    assert!(told.contains("revokes web no longer runs as root\n"), "{told}");
}
