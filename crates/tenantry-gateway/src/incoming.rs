//! Answers of the API behind: cleaned of what only Tenantry may say, and passed on piece by piece.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{self, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::headers::{OUR_COOKIES, OURS};
use crate::outgoing::strip_hops;

/// Takes off what only Tenantry may say to a client.
pub(crate) fn strip(fields: &mut HeaderMap) {
    strip_hops(fields);
    let ours: Vec<HeaderName> = fields.keys().filter(|name| name.as_str().starts_with(OURS)).cloned().collect();
    for name in ours {
        fields.remove(name);
    }
    let is_ours = |value: &HeaderValue| value.as_bytes().trim_ascii_start().starts_with(OUR_COOKIES.as_bytes());
    if fields.get_all(header::SET_COOKIE).iter().any(is_ours) {
        let kept: Vec<_> = fields.get_all(header::SET_COOKIE).iter().filter(|value| !is_ours(value)).cloned().collect();
        fields.remove(header::SET_COOKIE);
        for value in kept {
            fields.append(header::SET_COOKIE, value);
        }
    }
}

/// The body of an answer on its way. What is held for the call is let go of when it is through, or given up.
#[derive(Debug)]
pub struct Answering<H> {
    body: Incoming,
    timeout: Duration,
    /// Runs while a piece is waited for: most answers come in one, so that there is none.
    waiting: Option<Pin<Box<Sleep>>>,
    _held: H,
}

impl<H> Answering<H> {
    pub(crate) fn new(body: Incoming, timeout: Duration, held: H) -> Self {
        Self { body, timeout, waiting: None, _held: held }
    }
}

/// Why an answer ended early.
#[derive(Debug)]
pub enum Broken {
    /// The server behind broke off.
    Behind(hyper::Error),
    /// It sent nothing for too long.
    Slow,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Behind(error) => error.fmt(f),
            Self::Slow => f.write_str("the server behind sent nothing for too long"),
        }
    }
}

impl std::error::Error for Broken {}

impl<H: Unpin> Body for Answering<H> {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let own = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut own.body).poll_frame(context) {
            own.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Broken::Behind)));
        }
        let timeout = own.timeout;
        let waiting = own.waiting.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + timeout)));
        waiting.as_mut().poll(context).map(|()| Some(Err(Broken::Slow)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
