//! Paths that anybody sends: none makes the canonicaliser panic, and none that it lets through can be read in another way by a
//! server behind.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tenantry_core::path::{CanonicalPath, Pattern, Reading};

/// A server that decodes again and again, and walks the segments as a file system would.
fn careless(target: &str) -> Vec<String> {
    let mut text = target.split_once('?').map_or(target, |(path, _)| path).to_owned();
    for _ in 0..3 {
        text = decoded(&text);
    }
    let mut walked = Vec::new();
    for segment in text.split(['/', '\\']).map(|segment| segment.split(';').next().unwrap_or_default()) {
        match segment {
            "" | "." => (),
            ".." => drop(walked.pop()),
            other => walked.push(other.to_owned()),
        }
    }
    walked
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let hex = |byte: u8| char::from(byte).to_digit(16);
        match (first, more) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                bytes.push((hex(*high).unwrap() * 16 + hex(*low).unwrap()) as u8);
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fuzz_target!(|input: (&str, &str)| {
    let (target, pattern) = input;
    let path = CanonicalPath::parse(target);
    if let Ok(path) = &path {
        let ours: Vec<String> = path.segments().map(str::to_owned).collect();
        assert_eq!(ours, careless(target), "{target:?}");
        for cut in 0..=ours.len() {
            let below: Vec<String> = path.below(cut).segments().map(str::to_owned).collect();
            assert_eq!(below, ours[cut..], "{target:?} below {cut}");
        }
    }
    if let Ok(pattern) = Pattern::parse(pattern) {
        assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern.clone()));
        if let Ok(path) = &path {
            let exactly = pattern.covers(path, Reading::Exact);
            assert!(!exactly || pattern.covers(path, Reading::Careless));
        }
    }
});
