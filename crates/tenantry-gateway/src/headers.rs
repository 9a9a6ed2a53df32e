//! Reading what a call presents, and the names of our own headers.

use http::HeaderMap;
use tenantry_core::refusal::Code;

/// The headers that programs put a credential into. In the last one it follows the word `Bearer`.
pub const CREDENTIALS: [&str; 3] = ["x-auth-token", "x-api-key", "authorization"];

/// The header that names an account to act for.
pub const ASSUME: &str = "x-assume-org";

/// For whom a call is: told to the API behind.
pub const ACCOUNT: &str = "x-tenantry-account";
/// Which account makes it; told to the client, too.
pub const ACTOR: &str = "x-tenantry-actor";
/// Whose key it is, if it is a person's.
pub const USER: &str = "x-tenantry-user";
/// With which key.
pub const KEY: &str = "x-tenantry-key";
/// That it was Tenantry who said so.
pub const SIGNATURE: &str = "x-tenantry-signature";
/// For whom an answer is: told to the client.
pub const SUBJECT: &str = "x-tenantry-subject";
/// What limits there are (draft-ietf-httpapi-ratelimit-headers).
pub const RATE_LIMIT_POLICY: &str = "ratelimit-policy";
/// What is left of them.
pub const RATE_LIMIT: &str = "ratelimit";
/// What a call was charged.
pub const CHARGED: &str = "x-credits-cost";
/// The id of a request.
pub const REQUEST_ID: &str = "x-request-id";

/// How the names of our own headers begin.
pub const OURS: &str = "x-tenantry-";
/// How the names of our own cookies begin.
pub(crate) const OUR_COOKIES: &str = "__Host-tenantry";

/// The one credential in the headers that programs use.
///
/// # Errors
/// `ambiguous_credentials` if there are two that differ, `key_malformed` if one is no text.
pub fn credential(headers: &HeaderMap) -> Result<Option<&str>, Code> {
    let [plain @ .., bearer] = CREDENTIALS;
    let plain = plain.into_iter().flat_map(|name| headers.get_all(name)).map(|value| value.to_str().ok());
    let bearer = headers.get_all(bearer).iter().map(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let mut found: Option<&str> = None;
    for text in plain.chain(bearer) {
        let text = text.map(str::trim).filter(|text| !text.is_empty()).ok_or(Code::KeyMalformed)?;
        if found.is_some_and(|other| other != text) {
            return Err(Code::AmbiguousCredentials);
        }
        found = Some(text);
    }
    Ok(found)
}

/// A header that may stand once; empty is as good as absent.
///
/// # Errors
/// `malformed` if it stands more than once, or is no text.
pub fn single<'a>(headers: &'a HeaderMap, name: &str, malformed: Code) -> Result<Option<&'a str>, Code> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed);
    }
    let text = first.to_str().map_err(|_| malformed)?.trim();
    Ok((!text.is_empty()).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn of(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), http::HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn s22_two_credentials_that_differ_are_none() {
        for (pairs, expected) in [
            (&[][..], Ok(None)),
            (&[("x-api-key", " a ")], Ok(Some("a"))),
            (&[("x-api-key", "a"), ("authorization", "bearer a")], Ok(Some("a"))),
            (&[("x-api-key", "a"), ("x-api-key", "b")], Err(Code::AmbiguousCredentials)),
            (&[("x-auth-token", "a"), ("authorization", "Bearer b")], Err(Code::AmbiguousCredentials)),
            (&[("authorization", "Basic YTpi")], Err(Code::KeyMalformed)),
            (&[("x-api-key", "")], Err(Code::KeyMalformed)),
        ] {
            assert_eq!(credential(&of(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn one_value_or_none() {
        let twice = of(&[("x-assume-org", "a"), ("x-assume-org", "a")]);
        assert_eq!(single(&twice, ASSUME, Code::AssumeMalformed), Err(Code::AssumeMalformed));
        assert_eq!(single(&of(&[("x-assume-org", "  ")]), ASSUME, Code::AssumeMalformed), Ok(None));
    }
}
