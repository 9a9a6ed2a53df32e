//! Texts that claim to be keys: none makes the parser panic, and none with one character changed is taken for a key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tenantry_core::secret::{Label, RANDOM_BYTES, compose, label_of, last_four};

fuzz_target!(|input: (&str, [u8; RANDOM_BYTES], u8, char)| {
    let (text, random, place, other) = input;
    if label_of(text).is_ok() {
        assert!(text.starts_with("tny_") && text.is_ascii(), "{text:?}");
    }
    let _ = last_four(text);
    let key = compose(Label::Live, &random);
    assert!(matches!(label_of(&key), Ok(Label::Live)));
    let mut letters: Vec<char> = key.chars().collect();
    let place = usize::from(place) % letters.len();
    if letters[place] != other {
        letters[place] = other;
        let changed: String = letters.into_iter().collect();
        assert!(label_of(&changed).is_err(), "{changed:?}");
    }
});
