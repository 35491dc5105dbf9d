//! Which key of a certificate may sign, when, and what its signature has to say (rule S4).

use writ::trust::Reason;
use writ::trust::Reason::{BadSignature, Expired, NotAuthorized, Revoked, UnknownKey};

use super::{
    HOUR, TIME, armored, asc, binding, introduce, mallory, payload, pinning, subkey, zoe, zoes,
};
use crate::forge::{Forge, NOW};
use crate::gpg::{BORN, sqv};
use crate::hand_pgp::{
    BACK, BINARY, BINDING, CERTIFICATION, CERTIFY, CERTIFY_AND_SIGN, DIRECT_KEY, Draft, ENCRYPT,
    Hand, REVOKED_KEY, REVOKED_SUBKEY, SIGN, block, framed_as_user_id, framed_user_id, packet,
};
use crate::scene::Scene;

/// What a host says to a commit that `key` signs, where `certificate` is zoe's.
fn verdict(certificate: &[u8], key: &Hand) -> Result<(), (String, Reason)> {
    verdict_on(certificate, key, Draft::new(BINARY, TIME))
}

fn verdict_on(certificate: &[u8], key: &Hand, draft: Draft) -> Result<(), (String, Reason)> {
    let text = block(certificate);
    let scene = introduce(Forge::new(), &[("zoe", text.clone(), zoe().fingerprint())]);
    let payload = payload(&scene);
    let armor = key.armor(draft, &payload);
    let verdict = scene.verify(&armored(&scene, &payload, &armor));
    if verdict.is_ok() {
        assert!(sqv(scene.forge.path(), &text, armor.as_bytes(), &payload), "sqv differs");
    }
    verdict.map(drop).map_err(|refusal| (refusal.rule, refusal.reason))
}

#[test]
fn a_certificate_says_which_keys_may_sign_and_when() {
    let refused = |rule: &str, reason| Err((rule.to_owned(), reason));
    let bound = |draft| zoes(&[zoe().bind(&subkey(), draft)]);
    let primary = |draft| zoe().certificate_by(draft);
    let own = || Draft::new(CERTIFICATION, BORN);
    let seconds = |time: i64| u32::try_from(time - BORN).unwrap().to_be_bytes();
    let over_user = [&zoe().framed()[..], &framed_user_id()].concat();
    let later = |draft| packet(2, &zoe().sign(draft, &[&over_user]));
    let revoked = packet(2, &zoe().sign(Draft::new(REVOKED_KEY, BORN), &[&zoe().framed()]));
    let over_both = [zoe().framed(), subkey().framed()].concat();
    let revoked_subkey = packet(2, &zoe().sign(Draft::new(REVOKED_SUBKEY, BORN), &[&over_both]));
    let [head, rest @ ..] = &split(&zoe().certificate(CERTIFY_AND_SIGN))[..] else { panic!() };
    let dead = [&head[..], &revoked, &rest.concat()].concat();

    // Who.
    assert_eq!(verdict(&zoes(&[]), &zoe()), Ok(()));
    assert_eq!(verdict(&bound(binding()), &subkey()), Ok(()));
    assert_eq!(verdict(&bound(binding()), &mallory()), refused("G3", UnknownKey));
    let for_certifying = zoe().certificate(CERTIFY);
    assert_eq!(verdict(&for_certifying, &zoe()), refused("S4", BadSignature));
    assert_eq!(verdict(&primary(own()), &zoe()), refused("S4", BadSignature), "no flags");
    let for_encryption = Draft::new(BINDING, BORN).flags(ENCRYPT);
    assert_eq!(verdict(&bound(for_encryption), &subkey()), refused("S4", BadSignature));
    let one_sided = Draft::new(BINDING, BORN).flags(SIGN);
    assert_eq!(verdict(&bound(one_sided), &subkey()), refused("S4", BadSignature));
    // Not any more.
    assert_eq!(verdict(&dead, &zoe()), refused("S4", Revoked));
    let gone = [bound(binding()), revoked_subkey].concat();
    assert_eq!(verdict(&gone, &subkey()), refused("S4", Revoked));
    assert_eq!(verdict(&gone, &zoe()), Ok(()), "the primary key is not its subkey");
    let whole = [dead, zoe().bind(&subkey(), binding())].concat();
    assert_eq!(verdict(&whole, &subkey()), refused("S4", Revoked), "with its primary key");
    // When.
    for (end, expected) in [(TIME, refused("K2", Expired)), (NOW + 1, Ok(()))] {
        let draft = own().flags(CERTIFY_AND_SIGN);
        assert_eq!(verdict(&primary(draft.with(9, &seconds(end))), &zoe()), expected);
        let draft = own().flags(CERTIFY_AND_SIGN);
        assert_eq!(verdict(&primary(draft.with(3, &seconds(end))), &zoe()), expected, "user id");
        assert_eq!(verdict(&bound(binding().with(9, &seconds(end))), &subkey()), expected);
        assert_eq!(verdict(&bound(binding().with(3, &seconds(end))), &subkey()), expected);
    }
    let prolonged = own().flags(CERTIFY_AND_SIGN).with(9, &seconds(TIME));
    let newer = Draft { time: BORN + 1, ..own().flags(CERTIFY_AND_SIGN) };
    assert_eq!(verdict(&[primary(prolonged), later(newer)].concat(), &zoe()), Ok(()));
    let future = Draft::new(CERTIFICATION, TIME + 1).flags(CERTIFY_AND_SIGN);
    assert_eq!(verdict(&primary(future), &zoe()), refused("K2", NotAuthorized));
    let future = Draft { time: TIME + 1, ..binding() };
    assert_eq!(verdict(&bound(future), &subkey()), refused("K2", NotAuthorized));
}

/// What lets a key sign has to be good itself at that time, not only the key.
#[test]
fn a_signature_that_expired_says_no_more_what_a_key_is_for() {
    let expired = Err(("K2".to_owned(), Expired));
    let seconds = |time: i64| u32::try_from(time - BORN).unwrap().to_be_bytes();
    let [head, rest @ ..] = &split(&zoe().certificate_by(Draft::new(CERTIFICATION, BORN)))[..]
    else {
        panic!()
    };
    let other = b"zoe at work";
    let over_other = [zoe().framed(), framed_as_user_id(other)].concat();
    for (end, expected) in [(TIME, expired), (NOW + 1, Ok(()))] {
        // The user id's signature is silent; one over the key itself is not, and expires.
        let draft = || Draft::new(DIRECT_KEY, BORN).with(3, &seconds(end));
        let direct = zoe().sign(draft().flags(CERTIFY_AND_SIGN), &[&zoe().framed()]);
        let certificate = [&head[..], &packet(2, &direct), &rest.concat()].concat();
        assert_eq!(verdict(&certificate, &zoe()), expected, "a direct key signature");
        // One of two user ids says so, and expires.
        let draft = Draft::new(CERTIFICATION, BORN).flags(CERTIFY_AND_SIGN);
        let silent = zoe().sign(Draft::new(CERTIFICATION, BORN), &[&over_other]);
        let certificate = [
            zoe().certificate_by(draft.with(3, &seconds(end))),
            packet(13, other),
            packet(2, &silent),
        ];
        assert_eq!(verdict(&certificate.concat(), &zoe()), expected, "a user id");
    }
}

#[test]
fn a_refusal_says_what_is_wrong_and_how_to_mend_it() {
    let certificate = zoes(&[zoe().bind(&subkey(), Draft::new(BINDING, BORN).flags(SIGN))]);
    let people = [("zoe", block(&certificate), zoe().fingerprint())];
    let scene = introduce(Forge::new(), &people);
    let payload = payload(&scene);
    let by = |key: &Hand, draft| armored(&scene, &payload, &key.armor(draft, &payload));
    let weak = Draft { hash: 2, ..Draft::new(CERTIFICATION, BORN).flags(SIGN) };
    let text = block(&mallory().certificate_by(weak));
    let other = Scene::new();
    let refusals = [
        scene.verify(&by(&zoe(), Draft { hash: 2, ..Draft::new(BINARY, TIME) })),
        scene.verify(&by(&zoe(), Draft::new(BINARY, TIME + HOUR))),
        scene.verify(&by(&subkey(), Draft::new(BINARY, TIME))),
        scene.verify(&scene.next("alice").delete(&asc(&zoe().fingerprint())).make()),
        other.verify(&pinning(&other, &text, &mallory().fingerprint())),
    ];
    let told = refusals.map(|refusal| {
        let refusal = refusal.unwrap_err();
        let rule = format!("{} {}", refusal.rule, refusal.reason.word());
        format!("{rule}: {}\nhint: {}\n", refusal.because, refusal.remedy)
    });
    insta::assert_snapshot!(told.join("\n"));
}

/// The packets that [`packet`] made.
fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = bytes;
    let mut packets = Vec::new();
    while let [_, 255, a, b, c, d, ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize + 6;
        packets.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    packets
}

#[test]
fn a_signature_packet_says_all_it_must_and_nothing_more() {
    let refused = || Err(("S4".to_owned(), BadSignature));
    let zoes = zoes(&[]);
    let draft = || Draft::new(BINARY, TIME);
    let check = |draft| verdict_on(&zoes, &zoe(), draft);
    assert_eq!(check(draft()), Ok(()));
    assert_eq!(check(draft().beside(16, &raw_id(&zoe()))), Ok(()));
    assert_eq!(check(draft().with(20, b"\0\0\0\0\0\x01\0\x01ab")), Ok(()), "a notation");
    assert_eq!(check(draft().with(28, b"zoe@example.com")), Ok(()), "its signer's user id");
    assert_eq!(check(Draft { hash: 10, ..draft() }), Ok(()));
    assert_eq!(check(Draft { hash: 2, ..draft() }), refused(), "SHA-1");
    assert_eq!(check(Draft { issuer: false, ..draft() }), refused());
    assert_eq!(check(draft().beside(16, &raw_id(&mallory()))), refused(), "two issuers");
    assert_eq!(check(draft().beside(28, b"x")), refused(), "not signed");
    assert_eq!(check(draft().with(2, &[0, 0, 0, 1])), refused(), "two times");
    assert_eq!(check(draft().with(0x80 | 101, b"x")), refused(), "critical");
    assert_eq!(check(draft().with(3, &[0, 1, 0, 0])), refused(), "it expires");
    for kind in [0x01, 0x02, CERTIFICATION, BINDING, BACK, 0x40, 0x50] {
        assert_eq!(check(Draft { kind, ..draft() }), refused(), "type {kind:#x}");
    }
}

fn raw_id(key: &Hand) -> Vec<u8> {
    let digits = key.fingerprint();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (24..40).step_by(2).map(byte).collect()
}

#[test]
fn ed25519_as_the_new_standard_writes_it_counts_too() {
    // sqv of Debian 12 does not know it.
    let key = Hand::modern(7);
    let text = block(&key.certificate(CERTIFY_AND_SIGN));
    let scene = introduce(Forge::new(), &[("zoe", text, key.fingerprint())]);
    let payload = payload(&scene);
    let armor = key.armor(Draft::new(BINARY, TIME), &payload);
    scene.verify(&armored(&scene, &payload, &armor)).unwrap();
    let other = key.armor(Draft::new(BINARY, TIME), b"another");
    scene.verify(&armored(&scene, &payload, &other)).unwrap_err();
}
