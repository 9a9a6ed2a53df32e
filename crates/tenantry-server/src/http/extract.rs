//! What handlers take: ids from the path, parameters from the query, a body.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tenantry_core::Refusal;
use tenantry_core::refusal::Code;

use crate::ctx::Payload;
use crate::problem::{Error, Result};

/// The ids in a path. One that is malformed names nothing: `not_found`, like one that is unknown.
pub(crate) struct Path<T>(pub(crate) T);

/// Ids that a path can hold.
pub(crate) trait Ids: Sized {
    fn parse(segments: &[&str]) -> Option<Self>;
}

impl<A: FromStr> Ids for (A,) {
    fn parse(segments: &[&str]) -> Option<Self> {
        let [a] = segments else { return None };
        Some((a.parse().ok()?,))
    }
}

impl<A: FromStr, B: FromStr> Ids for (A, B) {
    fn parse(segments: &[&str]) -> Option<Self> {
        let [a, b] = segments else { return None };
        Some((a.parse().ok()?, b.parse().ok()?))
    }
}

impl<A: FromStr, B: FromStr, C: FromStr> Ids for (A, B, C) {
    fn parse(segments: &[&str]) -> Option<Self> {
        let [a, b, c] = segments else { return None };
        Some((a.parse().ok()?, b.parse().ok()?, c.parse().ok()?))
    }
}

impl<S: Send + Sync, T: Ids> FromRequestParts<S> for Path<T> {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let params =
            RawPathParams::from_request_parts(parts, state).await.map_err(|_| Refusal::from(Code::NotFound))?;
        let segments: Vec<&str> = params.iter().map(|(_, value)| value).collect();
        Ok(Self(T::parse(&segments).ok_or(Code::NotFound)?))
    }
}

/// Query parameters. Unknown ones are refused: a misspelt filter must not list everything.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let axum::extract::Query(query) = axum::extract::Query::try_from_uri(&parts.uri)
            .map_err(|error| Refusal::new(Code::InvalidParameter, reason(&error.body_text())))?;
        Ok(Self(query))
    }
}

/// The last part of what the deserializer says, without the wrapping.
fn reason(text: &str) -> String {
    text.rsplit_once("query string: ").map_or(text, |(_, reason)| reason).to_owned()
}

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Body<T> {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        if !is_json(parts) {
            return Err(Code::MediaTypeUnsupported.into());
        }
        parse(payload(parts)?).map(Self)
    }
}

/// A JSON body that may be left out.
pub(crate) struct MaybeBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequestParts<S> for MaybeBody<T> {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        if payload(parts)?.is_empty() {
            return Ok(Self(T::default()));
        }
        Body::from_request_parts(parts, state).await.map(|Body(body)| Self(body))
    }
}

fn is_json(parts: &Parts) -> bool {
    let mut types = parts.headers.get_all(header::CONTENT_TYPE).iter();
    let json = types.next().is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"application/json"));
    json && types.next().is_none()
}

fn payload(parts: &Parts) -> Result<&[u8]> {
    let payload = parts.extensions.get::<Payload>().ok_or_else(|| Error::internal("the body was not read"))?;
    Ok(&payload.0)
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| refusal(&error))?;
    deserializer.end().map_err(|error| Refusal::new(Code::InvalidJson, error.to_string()))?;
    Ok(value)
}

fn refusal(error: &serde_path_to_error::Error<serde_json::Error>) -> Refusal {
    let message = error.inner().to_string();
    let at = error.path().to_string();
    if !error.inner().is_data() {
        return Refusal::new(Code::InvalidJson, message);
    }
    // serde names fields that are unknown or missing in the message, not in the path.
    let named = message.split('`').nth(1).unwrap_or_default();
    let below = |name: &str| if at == "." { name.to_owned() } else { format!("{at}.{name}") };
    let short = message.split(" at line ").next().unwrap_or(&message).to_owned();
    if message.starts_with("unknown field") {
        let field = if at.rsplit('.').next() == Some(named) { at } else { below(named) };
        Refusal::at(Code::UnknownField, field, short)
    } else if message.starts_with("missing field") {
        Refusal::at(Code::InvalidField, below(named), "is required")
    } else {
        Refusal::at(Code::InvalidField, at, short)
    }
}
