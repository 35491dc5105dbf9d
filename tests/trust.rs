//! Attacks on the decision which commits a host obeys, each beside its legitimate twin.

#[path = "trust/beside.rs"]
mod beside;
#[path = "trust/confinement.rs"]
mod confinement;
#[path = "trust/cost.rs"]
mod cost;
#[path = "trust/desk.rs"]
mod desk;
#[path = "trust/forge.rs"]
mod forge;
#[cfg(feature = "openpgp")]
#[path = "trust/gpg.rs"]
mod gpg;
#[path = "trust/graph.rs"]
mod graph;
#[path = "trust/hand.rs"]
mod hand;
#[cfg(feature = "openpgp")]
#[path = "trust/hand_pgp.rs"]
mod hand_pgp;
#[path = "trust/merge_key.rs"]
mod merge_key;
#[cfg(not(feature = "openpgp"))]
#[path = "trust/no_openpgp.rs"]
mod no_openpgp;
#[path = "trust/objects.rs"]
mod objects;
#[path = "trust/onward.rs"]
mod onward;
#[cfg(feature = "openpgp")]
#[path = "trust/openpgp.rs"]
mod openpgp;
#[path = "trust/oracles.rs"]
mod oracles;
#[path = "trust/paths.rs"]
mod paths;
#[path = "trust/people.rs"]
mod people;
#[path = "trust/policies.rs"]
mod policies;
#[path = "trust/published.rs"]
mod published;
#[path = "trust/random.rs"]
mod random;
#[path = "trust/repository.rs"]
mod repository;
#[path = "trust/review.rs"]
mod review;
#[path = "trust/scene.rs"]
mod scene;
#[path = "trust/signatures.rs"]
mod signatures;
#[path = "trust/state.rs"]
mod state;
#[path = "trust/table.rs"]
mod table;
#[path = "trust/team.rs"]
mod team;
#[path = "trust/trailers.rs"]
mod trailers;
#[path = "trust/trees.rs"]
mod trees;
#[path = "trust/zones.rs"]
mod zones;

use forge::{CHANNEL, Forge, NOW};
use writ::trust::{recall, verify};

fn policy() -> String {
    format!(
        "channel = \"{CHANNEL}\"\n[principals.alice]\nmay = \"everything\"\nroles = [\"admin\"]\n"
    )
}

#[test]
fn a_signed_history_is_accepted_and_an_old_commit_of_it_can_be_recalled() {
    for format in ["sha1", "sha256"] {
        let forge = Forge::with_format(format);
        let root = forge
            .commit("alice")
            .file(".writ/allowed_signers", forge.signers(&["alice"]))
            .file(".writ/policy.toml", policy())
            .file("manifests/services/web.toml", "a = 1\n")
            .make();
        let next =
            forge.commit("alice").on(&root).file("manifests/services/web.toml", "a = 2\n").make();
        let (repo, pins) = (forge.repository(), forge.pins(&root, "alice"));
        let first = verify(&repo, &pins, None, &root, NOW).unwrap();
        let second = verify(&repo, &pins, Some(first.anchor()), &next, NOW).unwrap();
        assert_eq!(second.files()["manifests/services/web.toml"], b"a = 2\n");
        assert_eq!(verify(&repo, &pins, None, &next, NOW).unwrap().anchor(), second.anchor());
        let again = verify(&repo, &pins, Some(second.anchor()), &next, NOW).unwrap();
        assert_eq!(again.anchor(), second.anchor());
        let old = recall(&repo, &pins, second.anchor(), &root, NOW).unwrap();
        assert_eq!(old.anchor(), first.anchor());
        let early = recall(&repo, &pins, second.anchor(), &root, forge::EPOCH - 1_000_000).unwrap();
        assert_eq!(early.anchor(), first.anchor(), "a clock that went wrong since is no reason");
        assert_eq!(old.principal().as_str(), "alice");
    }
}
