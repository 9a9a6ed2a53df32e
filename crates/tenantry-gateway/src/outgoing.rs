//! Requests to the API behind: the client's, without what is for Tenantry alone and what could be taken for Tenantry's word.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::headers::{ASSUME, CREDENTIALS, OUR_COOKIES, OURS};

/// Headers that speak to the next server only (RFC 9110, section 7.6.1), besides those that `Connection` names.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Headers that are for Tenantry, that only a proxy has a right to say, or that would make the API read another call out of the
/// request than the one that was judged.
const OURS_ALONE: [&str; 11] = [
    "x-assume-reason",
    "x-org-id",
    "x-real-ip",
    "forwarded",
    "x-original-uri",
    "x-original-url",
    "x-original-method",
    "x-rewrite-url",
    "x-middleware-subrequest",
    "x-http-method",
    "x-method-override",
];

/// Takes off what speaks to us only.
pub(crate) fn strip_hops(fields: &mut HeaderMap) {
    let named = fields.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named = named.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok());
    let ours = fields.keys().filter(|name| HOP_BY_HOP.contains(&name.as_str())).cloned();
    // Most messages have one of these, or none: the map is gone through once, and not asked for each.
    let hops: Vec<HeaderName> = named.chain(ours).collect();
    let trailers = fields.get(header::TE).is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    for name in hops {
        fields.remove(name);
    }
    if trailers {
        fields.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Takes off what is not the client's to say to the API behind.
pub(crate) fn strip_claims(fields: &mut HeaderMap) {
    let claims = |name: &str| {
        // Some servers take `_` for `-`. No header that anybody needs has one.
        name.contains('_')
            || name.starts_with(OURS)
            || name.starts_with("x-forwarded-")
            || name.starts_with("x-http-method-")
            || CREDENTIALS.contains(&name)
            || name == ASSUME
            || OURS_ALONE.contains(&name)
    };
    let claimed: Vec<HeaderName> = fields.keys().filter(|name| claims(name.as_str())).cloned().collect();
    for name in claimed {
        fields.remove(name);
    }
    strip_cookies(fields);
}

/// Takes our own cookies off: a browser sends them to every port of a host.
fn strip_cookies(fields: &mut HeaderMap) {
    let is_ours = |pair: &str| pair.trim_start().starts_with(OUR_COOKIES);
    let pairs = || {
        let lines = fields.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(';'))
    };
    if !pairs().any(is_ours) {
        return;
    }
    let kept = pairs().filter(|pair| !is_ours(pair)).map(str::trim).collect::<Vec<_>>().join("; ");
    fields.remove(header::COOKIE);
    if let Ok(kept) = HeaderValue::try_from(kept)
        && !kept.is_empty()
    {
        fields.insert(header::COOKIE, kept);
    }
}

/// How the body of a request is getting on: a client that is slow is no server that is.
#[derive(Debug, Clone)]
pub(crate) struct Upload(Arc<Moved>);

#[derive(Debug)]
struct Moved {
    started: Instant,
    /// Milliseconds from the start to the last piece that was taken.
    last: AtomicU64,
    broke_off: AtomicBool,
}

impl Upload {
    fn new() -> Self {
        Self(Arc::new(Moved { started: Instant::now(), last: AtomicU64::new(0), broke_off: AtomicBool::new(false) }))
    }

    /// When the last piece was taken.
    pub(crate) fn last(&self) -> Instant {
        self.0.started + Duration::from_millis(self.0.last.load(Ordering::Relaxed))
    }

    /// Whether the client stopped before the end.
    pub(crate) fn broke_off(&self) -> bool {
        self.0.broke_off.load(Ordering::Relaxed)
    }

    fn moved(&self) {
        let millis = u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last.store(millis, Ordering::Relaxed);
    }
}

/// The body of a request on its way.
#[derive(Debug)]
pub(crate) struct Outgoing {
    body: Incoming,
    upload: Option<Upload>,
}

impl Outgoing {
    /// Takes a client's body; answers how it is getting on as well, if there is any.
    pub(crate) fn new(body: Incoming) -> (Self, Option<Upload>) {
        let upload = (!body.is_end_stream()).then(Upload::new);
        (Self { body, upload: upload.clone() }, upload)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Some(upload) = &self.upload {
            match &polled {
                Poll::Ready(Some(Err(_))) => upload.0.broke_off.store(true, Ordering::Relaxed),
                Poll::Ready(_) => upload.moved(),
                Poll::Pending => (),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pairs: &[(&str, &str)], strip: impl Fn(&mut HeaderMap)) -> String {
        let mut fields = HeaderMap::new();
        for (name, value) in pairs {
            fields.append(name.parse::<HeaderName>().expect("a name"), value.parse().expect("a value"));
        }
        strip(&mut fields);
        let left: Vec<_> =
            fields.iter().map(|(name, value)| format!("{name}={}", value.to_str().expect("text"))).collect();
        left.join(" ")
    }

    #[test]
    fn s54_what_is_not_the_clients_to_say_does_not_pass() {
        let claims = [
            ("X-Tenantry-Account", "acc_1"),
            ("x-tenantry-anything", "1"),
            ("x_tenantry_user", "usr_1"),
            ("X_Org_Id", "1"),
            ("x-org-id", "1"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-prefix", "/x"),
            ("x-http-method-override", "DELETE"),
            ("x-original-url", "/admin"),
            ("authorization", "Bearer k"),
            ("x-api-key", "k"),
            ("accept", "*/*"),
        ];
        assert_eq!(names(&claims, strip_claims), "accept=*/*");
    }

    #[test]
    fn what_speaks_to_us_only_does_not_pass() {
        let fields = [
            ("connection", "close, X-Custom"),
            ("x-custom", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("accept", "*/*"),
        ];
        assert_eq!(names(&fields, strip_hops), "accept=*/* te=trailers");
    }

    #[test]
    fn our_cookies_stay_here() {
        let line = [("cookie", "a=1; __Host-tenantry=secret; b=2"), ("cookie", "__Host-tenantry-device=d")];
        assert_eq!(names(&line, strip_claims), "cookie=a=1; b=2");
        assert_eq!(names(&line[1..], strip_claims), "");
        assert_eq!(names(&[("cookie", "a=1")], strip_claims), "cookie=a=1");
    }
}
