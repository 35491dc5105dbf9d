//! Somebody who makes kits: a deploy repository beside a nix store and a bucket.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::shop::{Shop, narinfos, path};

/// A deploy repository beside the shop's store.
pub(crate) struct Carrier {
    pub(crate) shop: Shop,
}

impl Carrier {
    /// The host biz runs web, whose closure the bucket has too, signed; the local store
    /// has it unsigned.
    pub(crate) fn open() -> Self {
        let carrier = Self { shop: Shop::open() };
        let home = carrier.shop.home();
        fs::write(home.join("closures"), "").unwrap();
        fs::create_dir(home.join(".ssh")).unwrap();
        let key = ["-q", "-t", "ed25519", "-N", "", "-C", "alice", "-f"];
        let made = Command::new("ssh-keygen").args(key).arg(home.join(".ssh/id_ed25519")).output();
        assert!(made.unwrap().status.success());
        for (name, value) in [("user.name", "Alice"), ("user.email", "alice@acme.example")] {
            carrier.git(&home, &["config", "--global", name, value]);
        }
        let init = ["init", "deploy", "--id", "acme", "--host", "biz", "--host", "db"];
        carrier.fine(&init);
        carrier.web(&path('2', "web-1.2"), "");
        carrier
    }

    pub(crate) fn deploy(&self) -> PathBuf {
        self.shop.home().join("deploy")
    }

    pub(crate) fn git(&self, dir: &Path, args: &[&str]) -> String {
        let git = self.shop.command(&[]).get_envs().fold(Command::new("git"), |mut git, (k, v)| {
            git.env(k, v.unwrap_or_default());
            git
        });
        let mut git = git;
        let ran = git.args(args).current_dir(dir).env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap();
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    /// Has biz run this path, by a signed commit; its id.
    pub(crate) fn web(&self, store_path: &str, more: &str) -> String {
        let text = format!(
            "hosts = [\"biz\"]\n[artifact]\nstorePath = \"{store_path}\"\n{more}\n[exec]\ncommand = \"web\"\n"
        );
        let file = self.deploy().join("manifests/services/web.toml");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self.git(&self.deploy(), &["add", "--all"]);
        self.git(&self.deploy(), &["commit", "--quiet", "-S", "--no-verify", "--message", "web"]);
        self.git(&self.deploy(), &["rev-parse", "HEAD"])
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.shop.dir.path().join("stick/kit")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let out = self.out();
        let out = out.to_str().unwrap();
        let all = ["kit", "--repo", "deploy", "--host", "biz"];
        let named = args.contains(&"--out");
        let out: &[&str] = if named { &[] } else { &["--out", out] };
        self.shop.command(&[&all[..], out, args].concat())
    }

    pub(crate) fn kit(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    pub(crate) fn fine(&self, args: &[&str]) -> String {
        let ran = self.shop.command(args).output().unwrap();
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// What a person was told, without what differs from run to run.
    pub(crate) fn told(&self, output: &Output) -> String {
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), self.shop.told(output));
        let head = self.git(&self.deploy(), &["rev-parse", "HEAD"]);
        let text = text.replace(&self.shop.dir.path().display().to_string(), "/shop");
        text.replace(&head, "HEAD").replace(&head[..10], "HEAD").replace(&head[..8], "HEAD")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.out().join("cache")
    }

    /// Which paths the kit has, by the digits that their hashes are made of.
    pub(crate) fn carried(&self) -> String {
        let digit = |text: &String| text["StorePath: /nix/store/".len()..].chars().next().unwrap();
        narinfos(&self.cache()).iter().map(digit).collect()
    }

    pub(crate) fn fill_bucket(&self) {
        let told = self.shop.told(&self.shop.upload(&self.shop.url()));
        assert!(told.ends_with("exit 0\n"), "{told}");
    }
}
