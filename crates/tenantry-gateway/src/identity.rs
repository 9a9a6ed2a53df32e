//! What the API behind is told about who calls, and how it can tell that Tenantry said so.
//!
//! With a secret that both know, each request carries `X-Tenantry-Signature: t=<seconds since 1970>,v1=<hexadecimal HMAC-SHA256>` over
//! the lines time, request id, method, path with query, account, actor, user, key, each ended by a line feed.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderValue};
use ring::hmac;
use tenantry_core::Timestamp;

use crate::headers::{ACCOUNT, ACTOR, KEY, REQUEST_ID, SIGNATURE, USER};
use crate::verdict::Allowed;

/// What is signed besides who calls.
pub(crate) struct Signed<'a> {
    pub(crate) now: Timestamp,
    pub(crate) request: &'a str,
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
}

/// Tells who calls.
pub(crate) fn tell(fields: &mut HeaderMap, allowed: &Allowed, signed: &Signed<'_>, secret: Option<&hmac::Key>) {
    let ids = [
        Some(allowed.subject().to_string()),
        Some(allowed.actor.to_string()),
        allowed.user.map(|user| user.to_string()),
        Some(allowed.key.to_string()),
    ];
    if let Some(secret) = secret {
        insert(fields, SIGNATURE, &signature(secret, signed, &ids));
    }
    for (name, id) in [ACCOUNT, ACTOR, USER, KEY].into_iter().zip(ids) {
        if let Some(id) = id {
            insert(fields, name, &id);
        }
    }
    insert(fields, REQUEST_ID, signed.request);
}

/// Sets a header to a text that is one.
pub(crate) fn insert(fields: &mut HeaderMap, name: &'static str, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        fields.insert(name, value);
    }
}

fn signature(secret: &hmac::Key, signed: &Signed<'_>, ids: &[Option<String>; 4]) -> String {
    let seconds = signed.now.0.div_euclid(1_000_000);
    let mut text = format!("{seconds}\n{}\n{}\n{}\n", signed.request, signed.method, signed.target);
    for id in ids {
        text.push_str(id.as_deref().unwrap_or_default());
        text.push('\n');
    }
    let tag = hmac::sign(secret, text.as_bytes());
    let mut value = format!("t={seconds},v1=");
    for byte in tag.as_ref() {
        // Writing into a String cannot fail.
        let _ = write!(value, "{byte:02x}");
    }
    value
}
