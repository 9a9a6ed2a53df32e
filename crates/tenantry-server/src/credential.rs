//! What a request presents: a key, a session's token or the operator's, in a header or in a cookie.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Uri, header};
use tenantry_core::refusal::Code;
use tenantry_core::secret::{self, Label};
use tenantry_store::tenant::Credential;

use crate::problem::Result;
use crate::seal::sha256;
use crate::state::App;

/// The cookie of a session. The prefix has browsers see to it that nobody else sets it.
pub(crate) const SESSION_COOKIE: &str = "__Host-tenantry";

/// The cookie by which a browser is recognised in which somebody signed in before.
pub(crate) const DEVICE_COOKIE: &str = "__Host-tenantry-device";

/// The cookie by which a browser is recognised that comes back from an identity provider.
pub(crate) const AWAY_COOKIE: &str = "__Host-tenantry-away";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A credential as it was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Presented {
    /// The text.
    pub(crate) text: String,
    /// Whether a browser added it by itself.
    pub(crate) by_cookie: bool,
}

/// The one credential of the request. A session's cookie is one, too.
pub(crate) fn presented(headers: &HeaderMap) -> Result<Option<Presented>> {
    let found = tenantry_gateway::headers::credential(headers)?;
    Ok(match (found, cookie(headers, SESSION_COOKIE)) {
        (Some(found), Some(text)) if found != text => return Err(Code::AmbiguousCredentials.into()),
        (Some(text), _) => Some(Presented { text: text.to_owned(), by_cookie: false }),
        (None, cookie) => cookie.map(|text| Presented { text: text.to_owned(), by_cookie: true }),
    })
}

/// What the text can be, as far as that can be told without the database.
pub(crate) fn parse(text: &str, app: &App) -> Result<Credential> {
    let hash = sha256(text.as_bytes());
    // Comparing hashes: how far two of them agree tells nothing about the token.
    if hash == app.operator_hash {
        return Ok(Credential::Operator);
    }
    Ok(match secret::label_of(text)? {
        Label::Live | Label::Test => Credential::Key { hash },
        Label::Session => Credential::Session { hash },
    })
}

/// The value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value)
}

/// Refuses what the page of another site made a browser send, wherever a browser's cookies would count. Browsers say where
/// a request comes from in `Sec-Fetch-Site`, older ones in `Origin`; a program that is no browser says neither, and has no
/// cookies that somebody else could use.
pub(crate) fn check_site(parts: &Parts, public_url: &str) -> Result<()> {
    if let Some(site) = parts.headers.get(SEC_FETCH_SITE) {
        let own = ["same-origin", "none"].iter().any(|own| site.as_bytes() == own.as_bytes());
        return if own { Ok(()) } else { Err(Code::CrossSite.into()) };
    }
    match parts.headers.get(header::ORIGIN).map(|origin| origin.to_str().ok()) {
        None => Ok(()),
        Some(Some(origin)) if origin == origin_of(public_url) => Ok(()),
        Some(_) => Err(Code::CrossSite.into()),
    }
}

/// Scheme, host and port of an address.
fn origin_of(url: &str) -> String {
    let parts = url.parse::<Uri>().ok().map(Uri::into_parts);
    let origin = parts.and_then(|parts| Some(format!("{}://{}", parts.scheme?, parts.authority?)));
    origin.unwrap_or_default()
}

/// A cookie that only this origin sees, and no script.
pub(crate) fn set_cookie(name: &str, value: &str, seconds: i64) -> String {
    format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; __Host-tenantry=tny_session_x".parse().expect("header"));
        headers.append(header::COOKIE, "b=2".parse().expect("header"));
        assert_eq!(cookie(&headers, SESSION_COOKIE), Some("tny_session_x"));
        assert_eq!(cookie(&headers, DEVICE_COOKIE), None);
    }

    #[test]
    fn origins() {
        assert_eq!(origin_of("https://portal.example:8443/base"), "https://portal.example:8443");
        assert_eq!(origin_of("nonsense"), "");
    }
}
