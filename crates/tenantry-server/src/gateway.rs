//! The door to the APIs behind, and to the routes beside them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use tenantry_core::id::RequestId;
use tenantry_gateway::{Arrival, Gateway, Options};

use crate::config::Timeouts;
use crate::edge;
use crate::net::{self, Routes};
use crate::problem::{Error, Result, in_grpc, meant};
use crate::router;
use crate::state::App;

/// How calls of the APIs behind are called in the figures: their paths are the API's own.
const ROUTE: &str = "gateway";

/// The shortest identity secret that is accepted, in characters.
const SHORTEST_SECRET: usize = 32;

/// What is behind the gateway's listener; cheap to clone.
#[derive(Clone)]
pub(crate) struct Door {
    app: App,
    gateway: Arc<Gateway>,
    beside: Routes,
    paths: Arc<[&'static str]>,
}

impl Door {
    /// # Errors
    /// What is wrong with the configuration of the gateway.
    pub(crate) fn open(app: &App) -> Result<Self> {
        let config = &app.config;
        if config.identity_secret.as_ref().is_some_and(|secret| secret.chars().count() < SHORTEST_SECRET) {
            let short = format!("the identity secret has fewer than {SHORTEST_SECRET} characters");
            return Err(Error::internal(short));
        }
        let options = Options {
            upstream: config.upstream.clone(),
            upstream_ca: config.upstream_ca.clone(),
            timeout: config.timeouts.upstream,
            identity_secret: config.identity_secret.clone(),
            proxies: config.trusted_proxies.clone(),
            usage_before_answer: config.usage_before_answer,
        };
        let journal = Arc::clone(&app.metering.journal);
        let gateway = Gateway::new(app.plane.world(), Arc::clone(&app.limiter), journal, options);
        Ok(Self {
            app: app.clone(),
            gateway: Arc::new(gateway.map_err(Error::internal)?),
            beside: net::routes(router::beside(app)),
            paths: router::bare_paths().into(),
        })
    }

    /// While a server behind takes its time, the client has nothing to send.
    pub(crate) fn timeouts(&self) -> Timeouts {
        let timeouts = self.app.config.timeouts;
        Timeouts { idle: timeouts.idle + timeouts.upstream, ..timeouts }
    }

    /// Answers a request.
    pub(crate) async fn answer(self, peer: SocketAddr, request: hyper::Request<Incoming>) -> Response {
        let path = request.uri().path();
        if self.paths.contains(&path.strip_suffix('/').unwrap_or(path)) {
            return net::route(self.beside, peer, request).await;
        }
        let (now, started, method) = (self.app.clock.now(), Instant::now(), request.method().clone());
        let id: RequestId = self.app.chance.id(now);
        let text = id.to_string();
        let arrival = Arrival { peer: peer.ip(), now, monotonic: self.app.clock.monotonic(), id: &text };
        let speaks_grpc = edge::speaks_grpc(request.headers());
        let response = match self.gateway.call(&arrival, request).await {
            Ok(response) => response.map(Body::new),
            Err(refused) => {
                let refused = Error::from(refused).into_response();
                let refused = if speaks_grpc { in_grpc(refused) } else { refused };
                edge::finish(refused, id, &self.app.config.public_url)
            }
        };
        let (status, took) = (meant(&response).as_u16(), started.elapsed());
        self.app.metrics.answered(&method, ROUTE, status, took);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(request = %id, %method, status, micros, %peer, "forwarded");
        response
    }
}
