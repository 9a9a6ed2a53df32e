//! Health and figures, on a listener that is not for customers.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::state::App;

pub(crate) fn router(app: &App) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(app.clone())
}

async fn live() -> &'static str {
    "ok\n"
}

async fn ready(State(app): State<App>) -> Response {
    match app.store.ping().await {
        Ok(()) => "ok\n".into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response()
        }
    }
}

async fn metrics(State(app): State<App>) -> Response {
    match app.store.mails_left().await {
        Ok((waiting, given_up)) => app.metrics.mails(waiting, given_up),
        Err(error) => tracing::warn!(%error, "the mails are not counted"),
    }
    app.metrics.usage_recorded(app.metering.journal.figures());
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.metrics.render()).into_response()
}
