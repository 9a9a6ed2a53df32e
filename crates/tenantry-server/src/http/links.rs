//! The pages behind the links in mails.
//!
//! Opening one changes nothing, since mail scanners open links, too: what it is about happens when the person who reads
//! it says so, by a POST of the page's script.

use axum::Router;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::state::App;

const PAGE: &str = include_str!("links/page.html");
const SCRIPT: &str = include_str!("links/page.js");
const STYLE: &str = include_str!("links/page.css");

/// Only what comes with the page, and its address to nobody: it holds the token.
const HEADERS: [(HeaderName, &str); 2] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
];

pub(crate) fn pages() -> Router<App> {
    Router::new()
        .route("/link/{page}", get(async || (HEADERS, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE)))
        .route("/link.js", get(async || asset("text/javascript", SCRIPT)))
        .route("/link.css", get(async || asset("text/css", STYLE)))
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=3600")], text)
}
