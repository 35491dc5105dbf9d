use std::os::unix::fs::symlink;

use super::*;

/// A store with two paths of a closure and a stranger, and a secret beside it.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        for folder in ["store/site/www/deep", "store/assets/img", "store/stranger", "secret"] {
            fs::create_dir_all(disk.path(folder)).unwrap();
        }
        for file in ["store/site/www/index.html", "store/assets/img/a.png", "secret/key"] {
            fs::write(disk.path(file), file).unwrap();
        }
        disk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn link(&self, name: &str, target: impl AsRef<Path>) {
        symlink(target, self.path(name)).unwrap();
    }

    fn unfit(&self, root: &str) -> Option<String> {
        let members = ["site", "assets"].map(str::to_owned).into();
        let store = self.path("store");
        let bounds = Bounds { store: &store, members: &members };
        bounds.unfit(&self.path("store").join(root), &AtomicBool::new(false)).unwrap()
    }
}

#[test]
fn files_and_links_within_the_closure_may_be_served() {
    let disk = Disk::new();
    disk.link("store/site/www/start", "index.html");
    disk.link("store/site/www/deep/up", "../index.html");
    disk.link("store/site/www/self", ".");
    disk.link("store/site/www/img", disk.path("store/assets/img"));
    disk.link("store/site/www/nowhere", "not-there/../../../../secret");
    disk.link("store/site/www/loop", "loop");
    disk.link("store/site/public", "www");
    assert_eq!(disk.unfit("site/www"), None);
    assert_eq!(disk.unfit("site/public"), None);
    assert_eq!(disk.unfit("site"), None);
}

#[test]
fn a_link_that_leads_out_is_named_wherever_it_is() {
    let lead = |name: &str, to: &dyn Fn(&Disk) -> PathBuf| {
        let disk = Disk::new();
        disk.link(name, to(&disk));
        let why = disk.unfit("site/www").unwrap_or_else(|| panic!("{name} is served"));
        assert!(why.contains(" leads to "), "{why}");
        why
    };
    let why = lead("store/site/www/c", &|disk| disk.path("secret"));
    assert!(why.contains("/site/www/c leads to /"), "{why}");
    lead("store/site/www/deep/key", &|disk| disk.path("secret/key"));
    lead("store/site/www/up", &|_| "../../../secret".into());
    lead("store/site/www/other", &|disk| disk.path("store/stranger"));
    lead("store/site/www/all", &|disk| disk.path("store"));
    lead("store/site/www/root", &|_| "/".into());
    let why = lead("store/site/www/gone", &|disk| disk.path("not/there/yet"));
    assert!(why.contains("/not/there/yet, out of its closure"), "{why}");
}

#[test]
fn a_link_is_followed_through_the_rest_of_the_closure() {
    let disk = Disk::new();
    disk.link("store/site/www/img", disk.path("store/assets/img"));
    disk.link("store/assets/img/key", disk.path("secret/key"));
    let why = disk.unfit("site/www").unwrap();
    assert!(why.contains("assets/img/key leads to"), "{why}");

    let disk = Disk::new();
    disk.link("store/assets/hop", disk.path("secret"));
    disk.link("store/site/www/hop", disk.path("store/assets/hop/key"));
    assert!(disk.unfit("site/www").unwrap().contains("www/hop leads to"));
}

/// What lies between two paths of the closure may be changed by somebody else.
#[test]
fn a_way_that_goes_outside_and_comes_back_leads_out() {
    let disk = Disk::new();
    disk.link("secret/back", disk.path("store/assets"));
    disk.link("store/site/www/c", disk.path("secret/back"));
    assert!(disk.unfit("site/www").is_some());
}

#[test]
fn the_root_itself_lies_in_the_closure_and_is_a_folder() {
    let disk = Disk::new();
    disk.link("store/site/away", disk.path("secret"));
    assert!(disk.unfit("site/away").unwrap().contains("site/away leads to"));
    assert!(disk.unfit("site/away/deeper").unwrap().contains("leads to"));
    assert!(disk.unfit("site/none").unwrap().starts_with("there is no "));
    assert!(disk.unfit("site/www/index.html").unwrap().ends_with("is not a folder"));
}
