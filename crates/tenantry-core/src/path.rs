//! Paths of requests in one canonical form, and the patterns that rules and endpoints name them with.
//!
//! A path is parsed once. One that a server behind us could read in another way than we do (`//`, `..`, encoded
//! slashes, `;`) is refused, never repaired. What remains is decoded once, and the same value is matched by everything.

use std::borrow::Cow;
use std::fmt;

use crate::refusal::{Code, Refusal};

/// Longer paths are refused: nothing that an API offers needs them.
pub const LONGEST: usize = 8 * 1024;

/// A path in canonical form: decoded, without its trailing slash, beginning with one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalPath<'a>(Cow<'a, str>);

impl<'a> CanonicalPath<'a> {
    /// Reads the path of a request target, which may be followed by a query.
    ///
    /// # Errors
    /// `path_invalid`.
    pub fn parse(target: &'a str) -> Result<Self, Refusal> {
        canonical(target).map(Self).ok_or_else(|| Code::PathInvalid.into())
    }

    /// The path as a text. It allocates nothing to make one that had no escapes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is left of the path behind its first `segments`.
    #[must_use]
    pub fn below(&self, segments: usize) -> CanonicalPath<'_> {
        let end = self.0.match_indices('/').nth(segments).map(|(place, _)| place);
        let rest = end.filter(|_| self.0.len() > 1).and_then(|place| self.0.get(place..));
        CanonicalPath(Cow::Borrowed(rest.unwrap_or("/")))
    }

    /// Its segments; the root has none.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }
}

/// As it is written in a request: everything that RFC 3986 does not let stand in a path is escaped.
impl fmt::Display for CanonicalPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => write!(f, "{}", char::from(byte)),
            byte if b"/-._~!$&'()*+,=:@".contains(&byte) => write!(f, "{}", char::from(byte)),
            _ => write!(f, "%{byte:02X}"),
        })
    }
}

fn canonical(target: &str) -> Option<Cow<'_, str>> {
    let (end, escaped) = checked(target.as_bytes())?;
    let raw = target.get(..end)?;
    if !escaped {
        return Some(Cow::Borrowed(raw));
    }
    let path = decoded(raw)?;
    let odd = path.contains(['\\', ';', '#', '?', '%']) || path.chars().any(char::is_control);
    let sound = |segment: &str| !segment.is_empty() && !matches!(segment, "." | "..") && segment.trim() == segment;
    (!odd && path.split('/').skip(1).all(sound)).then_some(Cow::Owned(path))
}

/// Goes through the bytes of a target once. Answers where its path ends, without a trailing slash, and whether it has escapes.
fn checked(target: &[u8]) -> Option<(usize, bool)> {
    let (mut end, mut escaped, mut length, mut dots) = (target.len(), false, 0, 0);
    let is_odd = |length: usize, dots: usize| length == dots && length <= 2;
    for (place, byte) in target.iter().enumerate() {
        match byte {
            b'/' if place == 0 => (),
            _ if place == 0 => return None,
            b'?' => {
                end = place;
                break;
            }
            // Also an empty segment: it is as long as it has dots.
            b'/' if is_odd(length, dots) => return None,
            b'/' => (length, dots) = (0, 0),
            b'\\' | b';' | b'#' => return None,
            0x21..=0x7e => {
                escaped |= *byte == b'%';
                dots += usize::from(*byte == b'.');
                length += 1;
            }
            _ => return None,
        }
    }
    let trailing = length == 0 && end > 1;
    let sound = end > 0 && end <= LONGEST && (length == 0 || !is_odd(length, dots));
    sound.then_some((end - usize::from(trailing), escaped))
}

/// Decodes escapes. An escaped slash would change how many segments there are, an escaped dot what they mean.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, more @ ..] = rest else { return None };
        let byte = u8::try_from(char::from(*high).to_digit(16)? * 16 + char::from(*low).to_digit(16)?).ok()?;
        if matches!(byte, b'/' | b'.') {
            return None;
        }
        bytes.push(byte);
        rest = more;
    }
    String::from_utf8(bytes).ok()
}

/// How exactly a path has to be what a pattern says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// To the letter: what a pattern allows.
    Exact,
    /// As a careless server would read it, without regard to case and to an extension: what a pattern forbids.
    Careless,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    Literal(Box<str>),
    /// `{name}` or `*`: any one segment.
    One(Box<str>),
    /// `**`: whatever follows, nothing included. Only at the end.
    Rest,
}

/// A pattern of paths, such as `/v1/voices/{voice}/**`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Vec<Part>);

/// Most segments of a pattern.
const MOST_PARTS: usize = 32;

impl Pattern {
    /// Reads a pattern: a canonical path whose segments may be `{name}` or `*` for any one, and whose last may be `**` for
    /// whatever follows.
    ///
    /// # Errors
    /// What is wrong with it, for the one who wrote it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let path = CanonicalPath::parse(text).map_err(|_| "takes a path such as /v1/voices/{voice}/**")?;
        if text.contains('?') {
            return Err("takes a path without a query");
        }
        let parts: Vec<_> = path
            .segments()
            .map(part)
            .collect::<Option<_>>()
            .ok_or("takes `{name}`, `*` and `**` only as whole segments")?;
        let ends_early = parts.iter().rev().skip(1).any(|part| *part == Part::Rest);
        if ends_early {
            return Err("takes `**` only at the end");
        }
        if parts.len() > MOST_PARTS {
            return Err("takes at most 32 segments");
        }
        Ok(Self(parts))
    }

    /// Whether the pattern covers the path.
    #[must_use]
    pub fn covers(&self, path: &CanonicalPath<'_>, reading: Reading) -> bool {
        let mut segments = path.segments().peekable();
        for part in &self.0 {
            let Part::Literal(literal) = part else {
                if *part == Part::Rest {
                    return true;
                }
                if segments.next().is_none() {
                    return false;
                }
                continue;
            };
            let Some(segment) = segments.next() else { return false };
            let is_last = segments.peek().is_none();
            if !reads_as(segment, literal, reading, is_last) {
                return false;
            }
        }
        segments.next().is_none()
    }

    /// Whether the pattern covers every path that `other` covers.
    #[must_use]
    pub fn covers_all_of(&self, other: &Self, reading: Reading) -> bool {
        let mut theirs = other.0.iter().peekable();
        for part in &self.0 {
            if *part == Part::Rest {
                return true;
            }
            let Some(their) = theirs.next() else { return false };
            let is_last = theirs.peek().is_none();
            let covered = match (part, their) {
                (_, Part::Rest) | (Part::Literal(_), Part::One(_)) => false,
                (Part::Literal(own), Part::Literal(their)) => reads_as(their, own, reading, is_last),
                (Part::One(_) | Part::Rest, _) => true,
            };
            if !covered {
                return false;
            }
        }
        theirs.next().is_none()
    }

    /// Whether there is a path that the pattern and `other` both cover.
    #[must_use]
    pub fn meets(&self, other: &Self, reading: Reading) -> bool {
        let (mut own, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            let (part, their) = match (own.next(), theirs.next()) {
                (None, None) | (Some(Part::Rest), _) | (_, Some(Part::Rest)) => return true,
                (None, Some(_)) | (Some(_), None) => return false,
                (Some(part), Some(their)) => (part, their),
            };
            // What may follow may also be nothing, if nothing has to follow.
            let may_end = |next: Option<&&Part>| matches!(next, None | Some(Part::Rest));
            let is_last = theirs.peek().is_none() || (may_end(theirs.peek()) && may_end(own.peek()));
            if let (Part::Literal(own), Part::Literal(their)) = (part, their)
                && !reads_as(their, own, reading, is_last)
            {
                return false;
            }
        }
    }

    /// What is left of the pattern below `base`, if it begins with it.
    #[must_use]
    pub fn below(&self, base: &Self) -> Option<Self> {
        self.0.strip_prefix(base.0.as_slice()).map(|rest| Self(rest.to_vec()))
    }

    /// The segments before a `**`: the text of a literal, or `None` for a variable.
    pub fn parts(&self) -> impl Iterator<Item = Option<&str>> {
        self.0.iter().filter(|part| **part != Part::Rest).map(|part| match part {
            Part::Literal(literal) => Some(&**literal),
            Part::One(_) | Part::Rest => None,
        })
    }

    /// Whether the pattern covers whatever follows.
    #[must_use]
    pub fn has_rest(&self) -> bool {
        self.0.last() == Some(&Part::Rest)
    }

    /// Whether it is one path, without variables.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    /// The pattern with the names of its variables taken out: two of one shape cover the same paths.
    #[must_use]
    pub fn shape(&self) -> Self {
        let nameless = |part: &Part| if matches!(part, Part::One(_)) { Part::One("".into()) } else { part.clone() };
        Self(self.0.iter().map(nameless).collect())
    }

    /// How many segments it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is the root alone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of its variables has this name.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        !name.is_empty() && self.0.iter().any(|part| matches!(part, Part::One(own) if **own == *name))
    }

    /// The segment of `path` that stands where the pattern says `{name}`.
    #[must_use]
    pub fn named<'p>(&self, name: &str, path: &'p CanonicalPath<'_>) -> Option<&'p str> {
        let place = self.0.iter().position(|part| matches!(part, Part::One(own) if **own == *name))?;
        path.segments().nth(place)
    }
}

fn part(segment: &str) -> Option<Part> {
    match segment {
        "**" => Some(Part::Rest),
        "*" => Some(Part::One("".into())),
        _ => match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) if !name.is_empty() && !name.contains(['{', '}', '*']) => Some(Part::One(name.into())),
            Some(_) => None,
            None if segment.contains(['{', '}', '*']) => None,
            None => Some(Part::Literal(segment.into())),
        },
    }
}

fn reads_as(segment: &str, literal: &str, reading: Reading, is_last: bool) -> bool {
    if reading == Reading::Exact {
        return segment == literal;
    }
    let without_extension = || segment.split_once('.').map_or(segment, |(stem, _)| stem);
    segment.eq_ignore_ascii_case(literal) || (is_last && without_extension().eq_ignore_ascii_case(literal))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("/");
        }
        self.0.iter().try_for_each(|part| match part {
            Part::Literal(literal) => {
                f.write_str("/")?;
                // As it has to be written to be read again.
                literal.bytes().try_for_each(|byte| match byte {
                    0x21..=0x7e => write!(f, "{}", char::from(byte)),
                    _ => write!(f, "%{byte:02X}"),
                })
            }
            Part::One(name) if name.is_empty() => f.write_str("/*"),
            Part::One(name) => write!(f, "/{{{name}}}"),
            Part::Rest => f.write_str("/**"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn covers(pattern: &str, path: &str, reading: Reading) -> bool {
        let path = CanonicalPath::parse(path).expect("canonical");
        Pattern::parse(pattern).expect("pattern").covers(&path, reading)
    }

    #[test]
    fn a_path_is_written_in_one_way() {
        for (sent, written) in [
            ("/v1/tts", "/v1/tts"),
            ("/%61dmin/%7euser", "/admin/~user"),
            ("/caf%c3%a9/a%20b", "/caf%C3%A9/a%20b"),
            ("/a%22%3c%7b", "/a%22%3C%7B"),
        ] {
            let path = CanonicalPath::parse(sent).expect("canonical");
            assert_eq!(path.to_string(), written);
            assert_eq!(CanonicalPath::parse(written).expect("canonical"), path);
        }
    }

    #[test]
    fn s49_paths_that_need_repair_are_refused() {
        for odd in [
            "/public/../admin",
            "/public/%2e%2e/admin",
            "/public/%2e%2e%2fadmin",
            "/public/%252e%252e/admin",
            "/public/..;/admin",
            "/public/..%5cadmin",
            "/./admin",
            "//admin",
            "/admin;x=1",
            "/admin%00",
            "/admin%20",
            "/a%2Fb",
            "/api../../admin",
            "/a//b",
            "/a\\b",
            "",
            "admin",
            "*",
            "/a#f",
            "/a%zz",
            "/a%2",
            "/%ff",
            "/a b",
            "/a/%09",
            "/a/.",
            "/a/%2e",
            "/a%0d%0ab",
            "/a%3fb",
            "/a%3bb",
            "/a/ü",
        ] {
            assert_eq!(CanonicalPath::parse(odd).map_err(|r| r.code), Err(Code::PathInvalid), "{odd}");
        }
        for (good, text) in [
            ("/", "/"),
            ("/a/", "/a"),
            ("/%61dmin?x=/../", "/admin"),
            ("/a%20b/c", "/a b/c"),
            ("/v1.2/x", "/v1.2/x"),
            ("/%C3%BC", "/ü"),
        ] {
            assert_eq!(CanonicalPath::parse(good).map(|path| path.as_str().to_owned()), Ok(text.to_owned()));
        }
        assert!(CanonicalPath::parse(&format!("/{}", "a".repeat(LONGEST))).is_err());
    }

    #[test]
    fn s50_what_is_forbidden_cannot_be_spelled_around() {
        for path in ["/admin", "/admin/", "/Admin", "/%61dmin", "/admin?", "/admin.json", "/ADMIN.JSON.gz"] {
            assert!(covers("/admin", path, Reading::Careless), "{path}");
        }
        for path in ["/admins", "/admin/users", "/", "/x/admin"] {
            assert!(!covers("/admin", path, Reading::Careless), "{path}");
        }
        assert!(!covers("/public", "/Public", Reading::Exact) && !covers("/public", "/public.json", Reading::Exact));
    }

    #[test]
    fn patterns_cover_whole_segments() {
        for (pattern, path, expected) in [
            ("/v1/tts/{voice}", "/v1/tts/alice", true),
            ("/v1/tts/{voice}", "/v1/tts", false),
            ("/v1/tts/{voice}", "/v1/tts/alice/x", false),
            ("/v1/*/x", "/v1/a/x", true),
            ("/v1/**", "/v1", true),
            ("/v1/**", "/v1/a/b", true),
            ("/v1/**", "/v2/a", false),
            ("/**", "/", true),
            ("/", "/", true),
            ("/", "/a", false),
        ] {
            assert_eq!(covers(pattern, path, Reading::Exact), expected, "{pattern} {path}");
        }
        for bad in ["", "v1", "/a/**/b", "/a*", "/{}", "/{a", "/a?b", "/../a", "/{a*}"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
        let path = CanonicalPath::parse("/v1/voices/bob/takes/3").expect("canonical");
        let pattern = Pattern::parse("/v1/voices/{voice}/takes/{take}").expect("pattern");
        let below = |n| path.below(n).as_str().to_owned();
        assert_eq!(
            (below(0), below(2), below(5)),
            ("/v1/voices/bob/takes/3".into(), "/bob/takes/3".into(), "/".into())
        );
        let base = Pattern::parse("/v1/voices").expect("pattern");
        assert_eq!(pattern.below(&base).map(|rest| rest.to_string()).as_deref(), Some("/{voice}/takes/{take}"));
        assert_eq!(base.below(&pattern), None);
        assert_eq!(
            (pattern.named("voice", &path), pattern.named("take", &path), pattern.named("x", &path)),
            (Some("bob"), Some("3"), None)
        );
    }

    proptest! {
        #[test]
        fn what_covers_all_covers_each_and_what_meets_has_one_in_common(
            own in "(/(a|b|B|\\*)){0,3}(/\\*\\*)?",
            other in "(/(a|b|b\\.x|\\*)){0,3}(/\\*\\*)?",
            careless: bool,
        ) {
            let read = |text: &str| Pattern::parse(if text.is_empty() { "/" } else { text }).expect("a pattern");
            let (own, other) = (read(&own), read(&other));
            let reading = if careless { Reading::Careless } else { Reading::Exact };
            // All paths of up to four segments: as many as it takes to tell the patterns apart.
            let mut paths = vec![String::new()];
            for longer in 0..4 {
                let grown = paths.iter().filter(|path| path.matches('/').count() == longer);
                let grown = grown.flat_map(|path| ["a", "b", "B", "b.x", "c"].map(|segment| format!("{path}/{segment}")));
                let grown: Vec<_> = grown.collect();
                paths.extend(grown);
            }
            let covered = |pattern: &Pattern, path: &str, reading| {
                let path = CanonicalPath::parse(if path.is_empty() { "/" } else { path }).expect("a path");
                pattern.covers(&path, reading)
            };
            let theirs: Vec<_> = paths.iter().filter(|path| covered(&other, path, Reading::Exact)).collect();
            let both = theirs.iter().filter(|path| covered(&own, path, reading)).count();
            prop_assert_eq!(own.covers_all_of(&other, reading), both == theirs.len(), "{} {}", own, other);
            prop_assert_eq!(own.meets(&other, reading), both > 0, "{} {}", own, other);
        }

        #[test]
        fn reading_a_canonical_path_again_changes_nothing(text in "(/[a-z%0-9.; ]{0,4}){0,5}") {
            if let Ok(path) = CanonicalPath::parse(&text) {
                // Spaces and the like were escaped; what they decode to is not escaped again here.
                if path.as_str().bytes().all(|b| b.is_ascii_graphic()) {
                    let again = CanonicalPath::parse(path.as_str());
                    prop_assert_eq!(again.as_ref().map(CanonicalPath::as_str), Ok(path.as_str()));
                }
            }
        }

        #[test]
        fn patterns_round_trip(text in "(/([a-z]{1,3}|a%20b|%c3%bc|\\*|\\{[a-z]{1,3}\\})){0,4}(/\\*\\*)?") {
            if let Ok(pattern) = Pattern::parse(&text) {
                prop_assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern));
            }
        }

        #[test]
        fn what_is_covered_to_the_letter_is_covered_carelessly(pattern in "(/(a|B|\\*)){1,3}(/\\*\\*)?", path in "(/(a|B|a\\.b)){1,4}") {
            if covers(&pattern, &path, Reading::Exact) {
                prop_assert!(covers(&pattern, &path, Reading::Careless));
            }
        }
    }
}
