//! The text of secrets that are shown once: API keys, session tokens, and the tokens in links.
//!
//! Keys and session tokens read `tny_<label>_<32 base-62 characters>_<6 characters of checksum>`. The prefix lets secret
//! scanners find them, the checksum lets a typing error be told from a wrong one without a look-up.
//! Only a SHA-256 of the text is stored: 190 random bits need no slow hash.

use crate::account::words;
use crate::refusal::{Code, Refusal};

words! {
    /// What a secret is for.
    Label {
        /// A key for production.
        Live = "live",
        /// A key for a sandbox.
        Test = "test",
        /// Somebody who is signed in.
        Session = "session",
    }
}

/// Random bytes that one secret needs.
pub const RANDOM_BYTES: usize = BODY * 2;

const BODY: usize = 32;
const CHECKSUM: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Makes the text of a secret out of random bytes.
#[must_use]
pub fn compose(label: Label, random: &[u8; RANDOM_BYTES]) -> String {
    let text = format!("tny_{label}_{}", token(random));
    let checksum = checksum(&text).map(char::from);
    format!("{text}_{}", checksum.iter().collect::<String>())
}

/// Makes the token of a link: 32 random characters that are safe in an address.
#[must_use]
pub fn token(random: &[u8; RANDOM_BYTES]) -> String {
    // 16 bits a character: the bias of the remainder is below one part in a thousand.
    let (pairs, _) = random.as_chunks::<2>();
    pairs.iter().map(|pair| base62(u64::from(u16::from_be_bytes(*pair)))).collect()
}

/// What the secret is for, if `text` has the form and the checksum of one.
///
/// # Errors
/// `key_malformed`.
pub fn label_of(text: &str) -> Result<Label, Refusal> {
    let well_formed = || {
        let (rest, given) = text.rsplit_once('_')?;
        let (label, body) = rest.strip_prefix("tny_")?.split_once('_')?;
        let sound =
            body.len() >= 26 && body.bytes().all(|b| b.is_ascii_alphanumeric()) && checksum(rest) == given.as_bytes();
        label.parse().ok().filter(|_| sound)
    };
    well_formed().ok_or_else(|| Code::KeyMalformed.into())
}

/// The characters by which people recognise a secret: the last four of its random part.
#[must_use]
pub fn last_four(text: &str) -> String {
    let body = text.rsplit_once('_').map_or(text, |(rest, _)| rest);
    body.chars().skip(body.chars().count().saturating_sub(4)).collect()
}

fn base62(value: u64) -> char {
    char::from(digit_of(value % 62))
}

fn digit_of(value: u64) -> u8 {
    usize::try_from(value).ok().and_then(|value| BASE62.get(value)).copied().unwrap_or(b'0')
}

/// The digits of the CRC-32 of a text (ISO 3309, the one of zip and PNG).
fn checksum(text: &str) -> [u8; CHECKSUM] {
    let mut rest = u64::from(crc32fast::hash(text.as_bytes()));
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = digit_of(rest % 62);
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_text_is_stable() {
        let text = compose(Label::Live, &[0; RANDOM_BYTES]);
        assert_eq!(text.len(), 9 + 32 + 7);
        assert!(text.starts_with("tny_live_00000000000000000000000000000000_"), "{text}");
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926, "the check value of CRC-32");
        assert_eq!(last_four(&text), "0000");
        assert_eq!(token(&[0; RANDOM_BYTES]), "0".repeat(32));
    }

    proptest! {
        #[test]
        fn every_typing_error_is_noticed(random: [u8; RANDOM_BYTES], at in 0_usize..48, letter in "[0-9A-Za-z_]") {
            let text = compose(Label::Test, &random);
            prop_assert_eq!(label_of(&text), Ok(Label::Test));
            let mut wrong = text.clone();
            wrong.replace_range(at..=at, &letter);
            prop_assert_eq!(label_of(&wrong).is_ok(), wrong == text);
        }

        #[test]
        fn no_text_makes_the_check_panic(text: String) {
            prop_assert!(label_of(&text).is_err());
        }
    }
}
