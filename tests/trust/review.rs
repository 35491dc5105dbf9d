//! What a review foretells of a merge is what hosts say once it is signed.

use writ::names::CommitId;
use writ::trust::{Anchor, Proposal, Review, review};

use crate::forge::{Forge, NOW};
use crate::scene::{API, POLICY, SIGNERS, Scene, TEAM, WEB, rules};

const TWO: &str = "[[protect]]\npaths = [\"manifests/services/api.toml\"]\nthreshold = 2\n";
const THREE: &str = "[[protect]]\npaths = [\"**\"]\nthreshold = 3\n";
const POLICY_TWO: &str = "[[protect]]\npaths = [\".writ/**\"]\nthreshold = 2\n";

impl Scene {
    fn review(&self, base: &CommitId, tip: &CommitId, tree: &CommitId, message: &str) -> Review {
        let anchor = self.on(base);
        let (base, tip, tree) = (base.clone(), tip.clone(), tree.clone());
        let proposal = Proposal { base, tip, tree, message: message.to_owned() };
        review(&self.repo, &self.pins, &anchor, &proposal, self.now).unwrap()
    }

    fn on(&self, base: &CommitId) -> Anchor {
        if *base == self.root { self.anchor.clone() } else { self.accept(base) }
    }

    /// Has everybody make the merge that the review tells of, and holds both against
    /// each other. Gives who may merge.
    fn holds(&self, base: &CommitId, tip: &CommitId, tree: &CommitId, message: &str) -> String {
        let told = self.review(base, tip, tree, message);
        let mut may = Vec::new();
        for merger in &told.merges {
            let draft = self.forge.commit(merger.principal.as_str()).on(base).on(tip);
            let merge = draft.tree(tree).message(message).at(NOW).make();
            let said = self
                .verify_from(Some(&self.on(base)), &merge)
                .map(drop)
                .map_err(|r| (r.rule, r.reason, r.because));
            let foretold = match merger.refused.clone() {
                None => Ok(()),
                Some(refusal) => Err((refusal.rule, refusal.reason, refusal.because)),
            };
            assert_eq!(foretold, said, "{}", merger.principal);
            if said.is_ok() {
                may.push(merger.principal.as_str());
            }
        }
        assert_eq!(told.forward.is_none(), self.verify_from(Some(&self.on(base)), tip).is_ok());
        may.join(" ")
    }

    fn tree_of(&self, commit: &CommitId) -> CommitId {
        self.forge.tree(commit)
    }
}

fn with(more: &str) -> Scene {
    Scene::with(Forge::new(), more)
}

#[test]
fn who_may_merge_is_foretold_as_hosts_will_have_it() {
    let scene = with(&format!("{TWO}{POLICY_TWO}"));
    let merge_of = |tip: &CommitId| scene.holds(&scene.root, tip, &scene.tree_of(tip), "m");
    let web = scene.next("bob").file(WEB, "a = 2\n").make();
    assert_eq!(merge_of(&web), "alice bob dave");
    let api = scene.next("alice").file(API, "a = 2\n").make();
    assert_eq!(merge_of(&api), "dave");
    let denied = scene.next("bob").file(API, "a = 2\n").make();
    assert_eq!(merge_of(&denied), "", "bob's word does not count there");
    let both = scene.forge.commit("dave").on(&denied).file(API, "a = 3\n").make();
    assert_eq!(merge_of(&both), "alice");
    let policy = scene.next("alice").file(POLICY, rules() + "# changed\n").make();
    assert_eq!(merge_of(&policy), "dave");
    let unsigned = scene.forge.unsigned().on(&scene.root).file(WEB, "x = 1\n").make();
    let told = scene.review(&scene.root, &unsigned, &scene.tree_of(&unsigned), "m");
    assert!(told.merges.is_empty());
    assert_eq!(told.commits[0].refused.as_ref().unwrap().rule, "O1");
    let stranger = scene.next("mallory").file(WEB, "x = 1\n").make();
    let on_top = scene.forge.commit("alice").on(&stranger).file(WEB, "x = 2\n").make();
    let told = scene.review(&scene.root, &on_top, &scene.tree_of(&on_top), "m");
    assert_eq!(told.commits[0].refused.as_ref().unwrap().rule, "G3");
    assert!(told.forward.is_some() && told.merges.is_empty());
}

#[test]
fn a_branch_that_forked_earlier_is_foretold_as_well() {
    let scene = with(TWO);
    let web = scene.next("bob").file(WEB, "a = 2\n").make();
    let base = scene.next("alice").file("README", "x").make();
    let merged = scene.forge.commit("dave").on(&base).file(WEB, "a = 2\n").make();
    assert_eq!(scene.holds(&base, &web, &scene.tree_of(&merged), "m"), "alice bob dave");
    let api = scene.next("alice").file(API, "a = 2\n").make();
    let merged = scene.forge.commit("dave").on(&base).file(API, "a = 2\n").make();
    assert_eq!(scene.holds(&base, &api, &scene.tree_of(&merged), "m"), "");
    let told = scene.review(&base, &api, &scene.tree_of(&merged), "m");
    assert!(told.paths[0].agreed.is_empty(), "alice has not seen the base");
    assert_eq!(told.paths[0].missing.as_ref().unwrap().people, 2);
}

#[test]
fn whose_word_there_is_and_whose_is_missing_is_told_for_each_path() {
    let scene = with(THREE);
    let api = scene.next("alice").file(API, "a = 2\n").make();
    let tree = scene.tree_of(&api);
    let told = scene.review(&scene.root, &api, &tree, "m");
    let path = &told.paths[0];
    assert_eq!((path.path.as_str(), path.change, path.threshold), (API, "change", 3));
    let names = |people: &[writ::names::Principal]| {
        people.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&path.agreed), "alice");
    let missing = path.missing.as_ref().unwrap();
    assert_eq!((missing.people, names(&missing.of).as_str()), (2, "dave"));
    let writers: Vec<String> =
        path.writers.iter().map(|right| format!("{}: {}", right.principal, right.by)).collect();
    assert_eq!(writers, ["alice: role admin", "dave: role admin"]);
    assert_eq!(scene.holds(&scene.root, &api, &tree, "m"), "");
    // ci may change some fields alone, and its word counts for these.
    let moved = crate::scene::SERVICE.replace("old", "new");
    let api = scene.next("ci").file(API, moved).make();
    let told = scene.review(&scene.root, &api, &scene.tree_of(&api), "m");
    assert_eq!(names(&told.paths[0].agreed), "ci");
}

#[test]
fn an_approval_in_the_merge_is_one_of_those_it_needs() {
    let forge = Forge::new();
    let key = |name: &str, namespaces: &str| {
        format!("{name} namespaces=\"{namespaces}\" {}\n", forge.public(name))
    };
    let signers: String = TEAM.iter().map(|name| key(name, "git,writ-approve")).collect();
    let rules = format!(
        "{}[principals.frank]\nmay = \"everything\"\nroles = [\"admin\"]\n{THREE}",
        rules()
    );
    let signers = signers + &key("frank", "git,writ-approve");
    let scene = Scene::introduce(forge, &signers, &rules);
    let api = scene.next("alice").file(API, "a = 2\n").make();
    let tree = scene.tree_of(&api);
    let text = writ::trust::detached::approval(crate::forge::CHANNEL, &scene.root, &tree);
    let line = |who: &str| {
        let armor = scene.forge.sign(who, "writ-approve", text.as_bytes());
        writ::trust::detached::trailer(&String::from_utf8(armor).unwrap()).unwrap()
    };
    let with_frank = format!("m\n\n{}\n", line("frank"));
    assert_eq!(scene.holds(&scene.root, &api, &tree, "m"), "");
    assert_eq!(scene.holds(&scene.root, &api, &tree, &with_frank), "dave");
    let told = scene.review(&scene.root, &api, &tree, &format!("m\n\n{}\n", line("mallory")));
    assert!(told.ignored[0].contains("nobody has the key"), "{:?}", told.ignored);
    assert_eq!(told.paths[0].agreed.len(), 1);
}

/// Keys that may sign, and only later, or no longer, or something else.
#[test]
fn a_key_that_does_not_count_now_may_not_merge() {
    let forge = Forge::new();
    let line = |name: &str, options: &str| format!("{name} {options} {}\n", forge.public(name));
    let signers = line("alice", "namespaces=\"git\"")
        + &line("bob", "namespaces=\"git\",valid-before=\"20200101Z\"")
        + &line("dave", "namespaces=\"git\",valid-after=\"20900101Z\"")
        + &line("erin", "namespaces=\"writ-head\"");
    let rules = rules().replace("[principals.ci]\ngrants = [\"manifests/services/**\"]\nonly = [\"artifact\", \"revision\"]\n", "");
    let scene = Scene::introduce(forge, &signers, &rules);
    let web = scene.next("alice").file(WEB, "a = 2\n").make();
    assert_eq!(scene.holds(&scene.root, &web, &scene.tree_of(&web), "m"), "alice");
    let told = scene.review(&scene.root, &web, &scene.tree_of(&web), "m");
    let writers: Vec<&str> = told.paths[0].writers.iter().map(|w| w.principal.as_str()).collect();
    assert_eq!(writers, ["alice"]);
    let by_file = scene.review(&scene.root, &web, &scene.tree_of(&web), "m").files.unwrap();
    assert_eq!(by_file[WEB], b"a = 2\n");
    assert!(!by_file.contains_key(SIGNERS));
}

/// Keys that do more than sign, or less.
#[test]
fn a_merge_key_a_rollback_and_a_key_that_asks_its_user_are_foretold_as_well() {
    let forge = Forge::new();
    let signers = forge.signers(&["alice", "bob", "dave", "forge", "oncall"]);
    let rules = rules().replace("[principals.ci]\ngrants = [\"manifests/services/**\"]\nonly = [\"artifact\", \"revision\"]\n", "[principals.forge]\nmay = \"everything\"\nroles = [\"merge\"]\n[principals.oncall]\nmay = \"everything\"\nroles = [\"rollback\"]\n");
    let rules = rules
        .replace(
            "[principals.dave]\nmay = \"everything\"\n",
            "[principals.dave]\nmay = \"everything\"\nverifyRequired = true\n",
        )
        .replace("[principals.erin]\nmay = \"everything\"\n", "");
    let scene = Scene::introduce(forge, &signers, &format!("{rules}{TWO}"));
    let api = scene.next("alice").file(API, "a = 2\n").make();
    let tree = scene.tree_of(&api);
    assert_eq!(scene.holds(&scene.root, &api, &tree, "m"), "dave forge");
    let told = scene.review(&scene.root, &api, &tree, "m");
    let of: Vec<&str> =
        told.paths[0].missing.as_ref().unwrap().of.iter().map(|name| name.as_str()).collect();
    assert_eq!(of, ["dave", "forge"]);
    // Back to what the branch had a moment ago, which takes nobody else.
    let web = scene.next("bob").file(WEB, "a = 2\n").make();
    let back = scene.forge.commit("bob").on(&web).tree_of(&scene.root).make();
    let tree = scene.tree_of(&back);
    assert_eq!(scene.holds(&web, &back, &tree, "m"), "alice bob dave forge oncall");
}
