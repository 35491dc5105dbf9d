//! OpenPGP keys in the rest of trust: introductions and revocations.

use writ::names::CommitId;
use writ::trust::Reason::{BadSignature, Revoked, UnknownKey};

use super::{
    TIME, armored, asc, binding, introduce, introduction, mallory, subkey, with, zoe, zoes,
};
use crate::forge::{EPOCH, Forge, NOW};
use crate::hand_pgp::{BINARY, CERTIFY, Draft, Hand, block};
use crate::scene::{POLICY, WEB, rules};

#[test]
fn a_team_is_introduced_by_a_subkey_of_the_pinned_key() {
    let forge = Forge::new();
    let certificate = [zoe().certificate(CERTIFY), zoe().bind(&subkey(), binding())].concat();
    let people = [("zoe", block(&certificate), zoe().fingerprint())];
    let unsigned = introduction(&forge, &people);
    let payload = forge.payload(&unsigned);
    let time = EPOCH;
    let by = |key: &Hand| {
        let armor = key.armor(Draft::new(BINARY, time), &payload);
        forge.raw("commit", &forge.with_signature(&payload, armor.as_bytes()))
    };
    let judge = |root: &CommitId, introducer: &str| {
        let mut pins = forge.pins(root, "alice");
        pins.introducer = format!("openpgp:{introducer}").parse().unwrap();
        writ::trust::verify(&forge.repository(), &pins, None, root, NOW)
            .map(|commit| (commit.principal().to_string(), commit.key().to_string()))
            .map_err(|refusal| (refusal.rule, refusal.reason))
    };
    let root = by(&subkey());
    let key = format!("openpgp:{}", zoe().fingerprint());
    assert_eq!(judge(&root, &zoe().fingerprint()), Ok(("zoe".to_owned(), key.clone())));
    let claims = writ::trust::claims(&forge.repository(), &root).unwrap();
    assert_eq!(claims.key.as_str(), key);
    let stranger = Err(("G1".to_owned(), UnknownKey));
    assert_eq!(judge(&root, &mallory().fingerprint()), stranger);
    assert_eq!(judge(&by(&mallory()), &zoe().fingerprint()), stranger);
    let certifier = Err(("S4".to_owned(), BadSignature));
    assert_eq!(judge(&by(&zoe()), &zoe().fingerprint()), certifier, "it may not sign");
}

#[test]
fn a_revoked_key_or_subkey_counts_up_to_the_named_commit_and_never_comes_back() {
    let certificate = zoes(&[zoe().bind(&subkey(), binding())]);
    let people = [("zoe", block(&certificate), zoe().fingerprint())];
    let scene = introduce(Forge::new(), &people);
    let change = |on: &CommitId, n: i64| {
        let draft = scene.forge.unsigned().on(on).file(WEB, format!("a = {n}\n"));
        let payload = scene.forge.payload(&draft.at(TIME + n).make());
        armored(&scene, &payload, &subkey().armor(Draft::new(BINARY, TIME + n), &payload))
    };
    let (first, second) = (change(&scene.root, 2), change(&change(&scene.root, 2), 3));
    for digits in [subkey().fingerprint(), zoe().fingerprint()] {
        let own = digits == zoe().fingerprint();
        let policy = if own { rules() } else { with(&people) };
        let policy = |good: &CommitId| {
            format!("{policy}[[revoked]]\nkey = \"openpgp:{digits}\"\ngoodUntil = \"{good}\"\n")
        };
        let revoke = |on: &CommitId, good: &CommitId| {
            let draft = scene.forge.commit("alice").on(on).file(POLICY, policy(good));
            let draft = draft.at(TIME + 100);
            if own { draft.delete(&asc(&digits)).make() } else { draft.make() }
        };
        let why = |head: &CommitId| {
            scene.verify(head).map(drop).map_err(|refusal| (refusal.rule, refusal.reason))
        };
        assert_eq!(why(&revoke(&first, &first)), Ok(()), "{digits}");
        assert_eq!(why(&revoke(&second, &first)), Err(("K3".to_owned(), Revoked)), "{digits}");
        let after = change(&revoke(&first, &first), 200);
        let expected = if own { ("G3", UnknownKey) } else { ("G3", Revoked) };
        assert_eq!(why(&after), Err((expected.0.to_owned(), expected.1)), "{digits}");
    }
    // Allowed and revoked at once.
    let both = format!(
        "{}[[revoked]]\nkey = \"openpgp:{}\"\ngoodUntil = \"{}\"\n",
        with(&people),
        zoe().fingerprint(),
        scene.root
    );
    let head = scene.next("alice").file(POLICY, both).make();
    assert_eq!(scene.verify(&head).unwrap_err().rule, "P3");
}

/// A review knows which part of a certificate signs, as it knows where none does.
#[test]
fn what_a_review_foretells_of_an_openpgp_key_is_so() {
    for bound in [true, false] {
        let parts = if bound { zoe().bind(&subkey(), binding()) } else { Vec::new() };
        let certificate = [zoe().certificate(CERTIFY), parts].concat();
        let people = [("zoe", block(&certificate), zoe().fingerprint())];
        let scene = introduce(Forge::new(), &people);
        let tip = scene.next("alice").file(WEB, "a = 2\n").make();
        let (base, tree) = (scene.root.clone(), scene.forge.tree(&tip));
        let draft = scene.forge.unsigned().on(&base).on(&tip).tree_of(&tip).at(NOW);
        let payload = scene.forge.payload(&draft.make());
        let merge = armored(&scene, &payload, &subkey().armor(Draft::new(BINARY, NOW), &payload));
        let proposal = writ::trust::Proposal { base, tip, tree, message: "m".to_owned() };
        let told = writ::trust::review(&scene.repo, &scene.pins, &scene.anchor, &proposal, NOW);
        let told = told.unwrap();
        let own = told.merges.iter().find(|merger| merger.principal.as_str() == "zoe").unwrap();
        assert_eq!(own.refused.is_none(), bound, "{:?}", own.refused);
        assert_eq!(scene.verify(&merge).is_ok(), bound);
        let writes = told.paths[0].writers.iter().any(|right| right.principal.as_str() == "zoe");
        assert_eq!(writes, bound);
    }
}
