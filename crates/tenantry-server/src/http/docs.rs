//! Pages for people: the API reference and the index of errors. Everything comes out of the binary;
//! the pages load nothing from anywhere else.

use std::sync::LazyLock;

use axum::Router;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use serde_json::json;
use tenantry_core::refusal::Code;

use crate::openapi;
use crate::problem::status;
use crate::state::App;

/// The reference page runs one script of ours and styles itself inline; nothing may come from elsewhere.
const POLICY: (HeaderName, &str) = (
    header::CONTENT_SECURITY_POLICY,
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data: blob:; font-src 'self' data:; frame-ancestors 'none'",
);

pub(crate) fn pages() -> Router<App> {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/docs") }))
        .route("/openapi.json", get(document))
        .route("/docs", get(reference))
        .route("/docs/errors", get(errors))
        .route("/docs/scalar.js", get(script))
}

async fn document() -> impl IntoResponse {
    static DOCUMENT: LazyLock<String> = LazyLock::new(openapi::render);
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

async fn reference() -> impl IntoResponse {
    let config = json!({
        "url": "/openapi.json",
        "withDefaultFonts": false,
        "telemetry": false,
        "hideClientButton": true,
        "agent": {"disabled": true},
    });
    ([POLICY], Html(scalar_api_reference::scalar_html(&config, Some("/docs/scalar.js"))))
}

async fn script() -> Response {
    match scalar_api_reference::get_asset("scalar.js") {
        Some(script) => {
            let headers = [(header::CONTENT_TYPE, "text/javascript"), (header::CACHE_CONTROL, "public, max-age=3600")];
            (headers, script).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn errors() -> impl IntoResponse {
    ([POLICY], Html(errors_page()))
}

/// Titles and advice are texts of ours: there is nothing to escape in them.
fn errors_page() -> String {
    let row = |code: &Code| {
        let status = status(code.kind()).as_u16();
        let advice = with_code(code.advice());
        let title = with_code(code.title());
        format!(
            "<tr id=\"{code}\"><td><code>{code}</code></td><td>{status}</td><td>{title}</td><td>{advice}</td></tr>\n"
        )
    };
    let rows: String = Code::ALL.iter().map(row).collect();
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tenantry: errors</title>\n\
         <style>body{{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}}\
         table{{border-collapse:collapse}}td,th{{text-align:left;vertical-align:top;padding:.4rem .8rem;border-top:1px solid #8884}}\
         tr:target{{background:#fd06}}</style>\n\
         <h1>Errors</h1>\n<p>Every refusal is <code>application/problem+json</code> with one of these codes.</p>\n\
         <table><tr><th>code</th><th>status</th><th>meaning</th><th>what to do</th></tr>\n{rows}</table>\n</html>\n"
    )
}

/// Turns `marked` words into code.
fn with_code(text: &str) -> String {
    let part =
        |(place, part): (usize, &str)| if place % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() };
    text.split('`').enumerate().map(part).collect()
}
