//! The short way of questions that proxies ask, one for each call of an API: past the router, with the same answers.

use std::net::SocketAddr;
use std::time::Instant;

use axum::http::{HeaderValue, Method};
use axum::response::{IntoResponse as _, Response};
use hyper::Request;
use hyper::body::Incoming;
use tenantry_api as api;
use tenantry_core::id::RequestId;
use tenantry_gateway::verdict::Allowed;

use crate::app::decisions;
use crate::http::authz;
use crate::metrics::Counted;
use crate::net::{self, Routes};
use crate::reply::{Bare, Reply, headers};
use crate::router::PREFIXES;
use crate::state::App;
use crate::{edge, problem};

/// How these questions are called in figures and log lines.
const ROUTE: &str = "/v1/authz";

/// How the answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As nginx takes it.
    Nginx,
    /// As it is.
    Forward,
}

impl Manner {
    const fn path(self) -> &'static str {
        match self {
            Self::Nginx => "/authz/nginx",
            Self::Forward => "/authz/forward",
        }
    }

    /// The manner of a request, if it is a question. With anything unusual about it, the router sees to it.
    fn of(request: &Request<Incoming>) -> Option<Self> {
        if request.method() != Method::GET || request.uri().query().is_some() {
            return None;
        }
        let path = request.uri().path();
        let below = PREFIXES.iter().find_map(|prefix| path.strip_prefix(prefix))?;
        [Self::Nginx, Self::Forward].into_iter().find(|manner| manner.path() == below)
    }

    /// The answer to a call that may go on.
    fn allow(self, allowed: &Allowed, limits: Option<[(&'static str, String); 2]>) -> Response {
        let mut response = match self {
            Self::Nginx => Bare(Reply::to_anybody(())).into_response(),
            Self::Forward => Reply::<_>::to_anybody(api::Authorized { allow: true }).into_response(),
        };
        let fields = response.headers_mut();
        for (name, value) in authz::identity(allowed).into_iter().chain(limits.into_iter().flatten()) {
            // A value of ours is one of a header: letters, digits, and what an operator may call an API.
            if let Ok(value) = HeaderValue::try_from(value) {
                fields.insert(name, value);
            }
        }
        response
    }
}

/// What is behind the control listener; cheap to clone.
#[derive(Clone)]
pub(crate) struct Lane {
    app: App,
    routes: Routes,
    /// Answers to calls that may go on.
    counted: Counted,
}

impl Lane {
    pub(crate) fn new(app: &App, routes: Routes) -> Self {
        let counted = app.metrics.counted(&Method::GET, ROUTE, 200);
        Self { app: app.clone(), routes, counted }
    }

    /// Answers a request.
    pub(crate) async fn answer(self, peer: SocketAddr, request: Request<Incoming>) -> Response {
        match Manner::of(&request) {
            Some(manner) => self.judge(manner, peer, &request),
            None => net::route(self.routes, peer, request).await,
        }
    }

    fn judge(&self, manner: Manner, peer: SocketAddr, request: &Request<Incoming>) -> Response {
        let (now, started) = (self.app.clock.now(), Instant::now());
        let address = edge::client_address_of(&self.app, peer.ip(), request.headers());
        let judged = authz::waiting(request.headers(), address)
            .and_then(|call| decisions::authorize(&self.app, now, &call))
            .map(|(allowed, limits)| manner.allow(&allowed, limits.map(headers::of_limits)));
        let response = match (judged, manner) {
            (Ok(response), _) => response,
            (Err(error), Manner::Nginx) => error.narrowed().into_response(),
            (Err(error), Manner::Forward) => error.into_response(),
        };
        let id: RequestId = self.app.chance.id(now);
        let response = edge::finish(response, id, &self.app.config.public_url);
        let (status, took) = (problem::meant(&response), started.elapsed());
        if status.is_success() {
            self.counted.note(took);
        } else {
            self.app.metrics.answered(&Method::GET, ROUTE, status.as_u16(), took);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(request = %id, route = ROUTE, %status, micros, peer = address.map(tracing::field::display), "answered");
        response
    }
}
