//! What a key of a certificate may do, and when, as its self-signatures put it.

use super::Bad;
use super::certificate::Own;
use super::public::Public;
use super::signature::{Kind, Packet, lifetime};
use crate::trust::signers::Unfit;

/// A key of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) key: Public,
    pub(super) revoked: bool,
    /// Whether it may sign at all, or why not.
    pub(super) signs: Result<(), Bad>,
    /// Seconds since 1970: it counts from the first, to before the second.
    from: i64,
    until: Option<i64>,
}

/// The key flag for signing (RFC 9580, section 5.2.3.29).
const SIGN: u8 = 0x02;

/// The primary key. What its self-signatures do not agree on does not count: it begins
/// with the latest of them, the earliest end holds, and each that says what the key is
/// for has to say "sign".
pub(super) fn primary(key: Public, own: &Own) -> Result<Bound, Bad> {
    let last = latest(own.people.iter().copied()).ok_or(Bad("no user id of it counts"))?;
    let ends = own.signatures.iter().map(|s| lifetime(key.created, s.said.key_lifetime));
    let (flags, words): (Vec<u8>, Vec<Option<i64>>) =
        own.signatures.iter().filter_map(|s| s.said.flags.map(|flags| (flags, s.until()))).unzip();
    let agreed = !flags.is_empty() && flags.iter().all(|flags| flags & SIGN != 0);
    // Once each signature that says "sign" has expired, nothing says so any more.
    let word = latest(words.into_iter()).flatten();
    Ok(Bound {
        revoked: own.revoked,
        signs: if agreed { Ok(()) } else { Err(NOT_FOR_SIGNING) },
        from: own.signatures.iter().map(|s| s.created).fold(key.created, i64::max),
        until: ends.chain([last, word]).flatten().min(),
        key,
    })
}

/// The last of some ends, where there are any; `None` among them is later than any time.
fn latest(ends: impl Iterator<Item = Option<i64>>) -> Option<Option<i64>> {
    ends.reduce(|last, end| last.zip(end).map(|(last, end)| last.max(end)))
}

/// A subkey by the binding that counts, itself checked.
pub(super) fn subkey(
    primary: &Public,
    key: Public,
    binding: &Packet,
    revoked: bool,
) -> Result<Bound, Bad> {
    let back = binding.said.back.as_deref().map(Packet::read).transpose()?;
    if let Some(back) = &back {
        if back.kind != Kind::Back {
            return Err(Bad("a back-signature in it is of another type"));
        }
        back.verify(&key, &[&primary.framed, &key.framed])
            .map_err(|_| Bad("a back-signature in it does not verify"))?;
    }
    let for_signing = binding.said.flags.is_some_and(|flags| flags & SIGN != 0);
    let signs = if !for_signing {
        Err(NOT_FOR_SIGNING)
    } else if !key.can_sign() {
        Err(Bad("it is of a kind that is not accepted"))
    } else if back.is_none() {
        Err(Bad("it has not signed its binding itself"))
    } else {
        Ok(())
    };
    let agreed = back.as_ref().map_or(binding.created, |back| back.created);
    let from = key.created.max(binding.created).max(agreed);
    let ends = [
        lifetime(key.created, binding.said.key_lifetime),
        binding.until(),
        back.and_then(|back| back.until()),
    ];
    Ok(Bound { revoked, signs, from, until: ends.into_iter().flatten().min(), key })
}

const NOT_FOR_SIGNING: Bad = Bad("it is not for signing");

impl Bound {
    pub(super) fn window(&self) -> (Option<i64>, Option<i64>) {
        (Some(self.from), self.until.map(|until| until - 1))
    }

    pub(super) fn valid_at(&self, time: i64) -> Result<(), Unfit> {
        if time < self.from {
            Err(Unfit::NotYet)
        } else if self.until.is_some_and(|until| time >= until) {
            Err(Unfit::NoLonger)
        } else {
            Ok(())
        }
    }
}
