//! Hashes, authentication codes and sealed answers: all cryptography of the control plane.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{digest, hmac};

use crate::chance::Chance;
use crate::problem::{Error, Result};

/// The SHA-256 of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    array(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// The SHA-256 of several parts, each with its length, so that no two lists of parts collide.
pub(crate) fn sha256_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    array(context.finish().as_ref())
}

/// HMAC-SHA-256.
pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    array(context.sign().as_ref())
}

fn array(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap_or([0; 32])
}

/// Opens and closes what has to be kept secret. The key of a kept answer is made from the caller's credential and its idempotency
/// key, neither of which is stored: whoever copies the database learns nothing from the answers.
#[derive(Clone)]
pub(crate) struct Sealer([u8; 32]);

impl Sealer {
    /// For secrets that have to be read again, such as those of authenticators. `purpose` keeps kinds of them apart.
    pub(crate) fn of_deployment(secret: &[u8; 32], purpose: &str) -> Self {
        Self(mac(secret, &[b"tenantry sealed 1", purpose.as_bytes()]))
    }

    pub(crate) fn new(credential: &str, idempotency_key: &str) -> Self {
        Self(mac(credential.as_bytes(), &[b"tenantry kept answer 1", idempotency_key.as_bytes()]))
    }

    fn cipher(&self) -> Result<LessSafeKey> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.0).map_err(|_| Error::internal("cipher"))?;
        Ok(LessSafeKey::new(key))
    }

    /// Seals `plain` under a fresh nonce, which goes in front.
    pub(crate) fn seal(&self, plain: &[u8], chance: &Chance) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE_LEN] = chance.bytes()?;
        let mut sealed = plain.to_vec();
        self.cipher()?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .map_err(|_| Error::internal("sealing"))?;
        sealed.splice(0..0, nonce);
        Ok(sealed)
    }

    /// Opens what was sealed with the same credential and idempotency key.
    pub(crate) fn open(&self, sealed: &[u8]) -> Result<Vec<u8>> {
        let broken = || Error::internal("a kept answer cannot be opened");
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(broken)?;
        let mut plain = rest.to_vec();
        let length = self
            .cipher()?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut plain)
            .map_err(|_| broken())?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_credential_and_key_open_an_answer() {
        let chance = Chance::default();
        let sealed = Sealer::new("tny_live_a", "once").seal(b"{\"secret\":1}", &chance).expect("seal");
        assert_eq!(Sealer::new("tny_live_a", "once").open(&sealed).expect("open"), b"{\"secret\":1}");
        assert!(Sealer::new("tny_live_b", "once").open(&sealed).is_err());
        assert!(Sealer::new("tny_live_a", "twice").open(&sealed).is_err());
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(sha256_parts(&[b"ab", b"c"]), sha256_parts(&[b"a", b"bc"]));
    }
}
