//! A build without OpenPGP refuses what it cannot judge.

use writ::trust::Reason::Unsupported;

use crate::scene::{POLICY, Scene, WEB, rules};

const DIGITS: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

#[test]
fn a_policy_with_openpgp_keys_and_a_signature_are_unsupported() {
    let scene = Scene::new();
    let signed = scene.forge.unsigned().on(&scene.root).file(WEB, "a = 2\n").make();
    let armor = b"-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n";
    let bytes = scene.forge.with_signature(&scene.forge.payload(&signed), armor);
    let pinned =
        format!("{}[principals.zoe]\nmay = \"everything\"\nopenpgp = [\"{DIGITS}\"]\n", rules());
    let file = format!(".writ/openpgp/{DIGITS}.asc");
    for (head, rule) in [
        (scene.forge.raw("commit", &bytes), "S4"),
        (scene.next("alice").file(POLICY, &pinned).make(), "P1"),
        (scene.next("alice").file(&file, "x").make(), "P1"),
    ] {
        let refusal = scene.verify(&head).unwrap_err();
        assert_eq!((refusal.rule.as_str(), refusal.reason), (rule, Unsupported), "{refusal}");
        assert!(refusal.because.contains("cargo feature openpgp"), "{refusal}");
    }
}
