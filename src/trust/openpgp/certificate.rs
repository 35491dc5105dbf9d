//! Certificates: a primary key, what it says of itself, and the subkeys it vouches for
//! (RFC 9580, section 10.1).

use super::bound::{self, Bound};
use super::packet::{self, Packet as Raw};
use super::public::Public;
use super::signature::{Kind, Packet, Signature};
use super::{Bad, armor};
use crate::names::Fingerprint;
use crate::trust::signers::Unfit;

/// Packets of one certificate; each signature among them is work.
const PACKETS: usize = 64;

/// A certificate of which every signature is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::trust) struct Certificate {
    primary: Bound,
    subkeys: Vec<Bound>,
}

impl Certificate {
    /// Reads the armored text of one certificate.
    pub(in crate::trust) fn read(text: &str) -> Result<Self, Bad> {
        let bytes = armor::remove(text.as_bytes(), "PUBLIC KEY BLOCK")?;
        let packets = packet::split(&bytes, PACKETS)?;
        let mut components = components(&packets)?.into_iter();
        let first = components.next().ok_or(Bad("it is empty"))?;
        let [packet::PUBLIC_KEY] = [first.head.tag] else {
            return Err(Bad("it does not begin with a public key"));
        };
        let key = Public::read(first.head.body)?;
        if !key.can_sign() {
            return Err(Bad("its primary key is of a kind that is not accepted"));
        }
        let mut own = first.primary(&key)?;
        let mut subkeys = Vec::new();
        for component in components {
            match component.head.tag {
                packet::USER_ID => component.user_id(&key, &mut own)?,
                packet::PUBLIC_SUBKEY => subkeys.push(component.subkey(&key)?),
                tag => return Err(misplaced(tag)),
            }
        }
        Self { primary: bound::primary(key, &own)?, subkeys }.distinct()
    }

    /// The primary key's fingerprint, which policies pin.
    pub(in crate::trust) fn fingerprint(&self) -> &Fingerprint {
        &self.primary.key.fingerprint
    }

    /// The fingerprints of the primary key and all subkeys.
    pub(in crate::trust) fn keys(&self) -> impl Iterator<Item = &Fingerprint> {
        self.members().map(|member| &member.key.fingerprint)
    }

    pub(in crate::trust) fn is_revoked(&self) -> bool {
        self.primary.revoked
    }

    /// The first and the last second at which its primary key counts.
    pub(in crate::trust) fn window(&self) -> (Option<i64>, Option<i64>) {
        self.primary.window()
    }

    /// Whether the key or subkey `maker` may sign at `time`.
    pub(in crate::trust) fn may_sign(&self, maker: &Fingerprint, time: i64) -> Result<(), Unfit> {
        let member =
            self.member(maker).ok_or(Unfit::NotForSigning("it is not in the certificate"))?;
        if self.primary.revoked || member.revoked {
            return Err(Unfit::Revoked);
        }
        member.signs.map_err(|Bad(why)| Unfit::NotForSigning(why))?;
        self.primary.valid_at(time)?;
        member.valid_at(time)
    }

    /// Checks a commit's signature, whose maker is one of its keys.
    pub(in crate::trust) fn verify(
        &self,
        signature: &Signature,
        payload: &[u8],
    ) -> Result<(), Bad> {
        let member = self.member(&signature.maker);
        signature.verify(&member.ok_or(Bad("it was made by another key"))?.key, payload)
    }

    fn member(&self, maker: &Fingerprint) -> Option<&Bound> {
        self.members().find(|member| member.key.fingerprint == *maker)
    }

    fn members(&self) -> impl Iterator<Item = &Bound> {
        std::iter::once(&self.primary).chain(&self.subkeys)
    }

    fn distinct(self) -> Result<Self, Bad> {
        let mut keys: Vec<&Fingerprint> = self.keys().collect();
        keys.sort();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Bad("it holds a key twice"));
        }
        Ok(self)
    }
}

/// A key or a user id, and the signatures that follow it.
struct Component<'a> {
    head: Raw<'a>,
    signatures: Vec<Packet>,
}

fn components<'a>(packets: &[Raw<'a>]) -> Result<Vec<Component<'a>>, Bad> {
    let mut components: Vec<Component<'a>> = Vec::new();
    for packet in packets {
        match (packet.tag, components.last_mut()) {
            (packet::SIGNATURE, Some(owner)) => owner.signatures.push(Packet::read(packet.body)?),
            (_, _) => components.push(Component { head: *packet, signatures: Vec::new() }),
        }
    }
    Ok(components)
}

/// What a primary key says of itself, in signatures over itself and over its user ids.
#[derive(Default)]
pub(super) struct Own {
    pub(super) revoked: bool,
    /// The newest over each.
    pub(super) signatures: Vec<Packet>,
    /// When each user id ends; `None`: never.
    pub(super) people: Vec<Option<i64>>,
}

impl Component<'_> {
    fn primary(self, key: &Public) -> Result<Own, Bad> {
        let mut own = Own::default();
        let mut direct = Vec::new();
        for signature in self.signatures {
            match signature.kind {
                Kind::RevokedKey => own.revoked = true,
                Kind::DirectKey => direct.push(signature.clone()),
                Kind::Binary
                | Kind::UserId
                | Kind::Subkey
                | Kind::Back
                | Kind::RevokedSubkey
                | Kind::RevokedUserId => return Err(OUT_OF_PLACE),
            }
            signature.verify(key, &[&key.framed]).map_err(of_itself)?;
        }
        own.signatures.extend(newest(direct)?);
        Ok(own)
    }

    /// Adds what the user id's signature says, unless it was taken back.
    fn user_id(self, key: &Public, own: &mut Own) -> Result<(), Bad> {
        let length =
            u32::try_from(self.head.body.len()).map_err(|_| Bad("a user id is too long"))?;
        let framed = [&[0xb4][..], &length.to_be_bytes(), self.head.body].concat();
        let mut claims = Vec::new();
        let mut revoked = false;
        for signature in self.signatures {
            signature.verify(key, &[&key.framed, &framed]).map_err(of_itself)?;
            match signature.kind {
                Kind::UserId => claims.push(signature),
                Kind::RevokedUserId => revoked = true,
                Kind::Binary
                | Kind::Subkey
                | Kind::Back
                | Kind::DirectKey
                | Kind::RevokedKey
                | Kind::RevokedSubkey => return Err(OUT_OF_PLACE),
            }
        }
        if let Some(claim) = newest(claims)?.filter(|_| !revoked) {
            own.people.push(claim.until());
            own.signatures.push(claim);
        }
        Ok(())
    }

    fn subkey(self, primary: &Public) -> Result<Bound, Bad> {
        let key = Public::read(self.head.body)?;
        let mut bindings = Vec::new();
        let mut revoked = false;
        for signature in self.signatures {
            signature.verify(primary, &[&primary.framed, &key.framed]).map_err(of_itself)?;
            match signature.kind {
                Kind::Subkey => bindings.push(signature),
                Kind::RevokedSubkey => revoked = true,
                Kind::Binary
                | Kind::UserId
                | Kind::Back
                | Kind::DirectKey
                | Kind::RevokedKey
                | Kind::RevokedUserId => return Err(OUT_OF_PLACE),
            }
        }
        let binding = newest(bindings)?.ok_or(Bad("a subkey of it is not bound to it"))?;
        bound::subkey(primary, key, &binding, revoked)
    }
}

const OUT_OF_PLACE: Bad = Bad("a signature in it stands where its type does not belong");

/// The signature that counts: later ones replace earlier ones.
fn newest(mut signatures: Vec<Packet>) -> Result<Option<Packet>, Bad> {
    signatures.sort_by_key(|signature| signature.created);
    let last = signatures.pop();
    match (&last, signatures.last()) {
        (Some(last), Some(before)) if last.created == before.created => {
            Err(Bad("two signatures in it of one second contradict each other"))
        }
        (Some(_) | None, Some(_) | None) => Ok(last),
    }
}

/// A signature that does not verify is most often somebody else's.
fn of_itself(_: Bad) -> Bad {
    Bad("it holds a signature that is not its own, or that does not verify")
}

fn misplaced(tag: u8) -> Bad {
    match tag {
        packet::SECRET_KEY | packet::SECRET_SUBKEY => {
            Bad("it holds a SECRET key: this key is no longer secret, revoke it")
        }
        packet::PUBLIC_KEY => Bad("it holds several certificates"),
        packet::SIGNATURE | packet::USER_ID | packet::PUBLIC_SUBKEY => OUT_OF_PLACE,
        _ => Bad("it holds something else than keys, user ids and signatures (a photo perhaps)"),
    }
}
