//! Passkeys: who relies on them, and the checks of WebAuthn.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tenantry_core::refusal::Code;
use tenantry_core::{Document, Refusal};
use url::Url;
use webauthn_rs::{Webauthn, WebauthnBuilder};

use crate::problem::{Error, Result};
use crate::state::App;

/// The relying party at the public address. Passkeys belong to a name: an address of numbers has none.
pub(crate) fn relying_party(public_url: &str) -> Option<Webauthn> {
    let url: Url = public_url.parse().ok()?;
    let name = url.domain()?.to_owned();
    WebauthnBuilder::new(&name, &url).ok()?.rp_name("Tenantry").build().ok()
}

/// The relying party of this deployment.
///
/// # Errors
/// `passkeys_unavailable`.
pub(crate) fn of(app: &App) -> Result<&Webauthn> {
    Ok(app.webauthn.as_ref().ok_or(Code::PasskeysUnavailable)?)
}

/// What WebAuthn says of an answer that does not fit.
pub(crate) fn invalid(error: impl std::fmt::Display) -> Error {
    Refusal::new(Code::PasskeyInvalid, format!("The answer does not fit: {error}.")).into()
}

/// A value of the library as a document that is stored.
pub(crate) fn document<T: Serialize>(value: &T) -> Result<Document> {
    serde_json::to_string(value).map(Document::from_json).map_err(Error::internal)
}

/// A stored document as a value of the library.
pub(crate) fn value<T: DeserializeOwned>(document: &Document) -> Result<T> {
    serde_json::from_str(document.as_json()).map_err(Error::internal)
}

/// What a browser sent, as a value of the library.
pub(crate) fn answer<T: DeserializeOwned>(credential: serde_json::Value) -> Result<T> {
    serde_json::from_value(credential).map_err(|error| Refusal::field("credential", error.to_string()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_can_be_relied_on() {
        assert!(relying_party("https://portal.example.com").is_some());
        assert!(relying_party("http://localhost:8080").is_some());
        assert!(relying_party("http://127.0.0.1:8080").is_none());
    }
}
