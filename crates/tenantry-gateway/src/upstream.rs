//! The servers behind: their addresses, the connections that are kept to them, and how long they may take.

use std::collections::HashMap;
use std::pin::pin;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use http::uri::{Authority, Scheme, Uri};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tenantry_core::Refusal;
use tenantry_core::id::EndpointId;
use tenantry_core::refusal::Code;
use tenantry_core::time::Span;

use crate::breaker::Breaker;
use crate::outgoing::{Outgoing, Upload};

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an unused connection is kept: less than servers do, of which many give up after five seconds, so that calls seldom meet one
/// that is being closed.
const KEEP: Duration = Duration::from_secs(4);

/// Where a server is: `http://`, `https://`, or `h2c://` for HTTP/2 without TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    text: String,
    scheme: Scheme,
    authority: Authority,
    /// Whether it speaks HTTP/2 without being asked.
    is_h2: bool,
}

/// A text that is no address of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAddress;

impl FromStr for Address {
    type Err = NoAddress;
    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let parts = text.parse::<Uri>().map_err(|_| NoAddress)?.into_parts();
        let plain = parts.path_and_query.is_none_or(|path| path.as_str() == "/");
        let authority = parts.authority.filter(|own| plain && !own.as_str().contains('@')).ok_or(NoAddress)?;
        let (scheme, is_h2) = match parts.scheme.as_ref().map(Scheme::as_str) {
            Some("http") => (Scheme::HTTP, false),
            Some("https") => (Scheme::HTTPS, false),
            Some("h2c") => (Scheme::HTTP, true),
            _ => return Err(NoAddress),
        };
        Ok(Self { text: text.to_owned(), scheme, authority, is_h2 })
    }
}

impl Address {
    pub(crate) fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }
}

/// The way to the server of an endpoint.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) address: Address,
    breaker: Breaker,
}

type Pool = Client<HttpsConnector<HttpConnector>, Outgoing>;

/// All servers behind.
pub(crate) struct Upstreams {
    pool: Pool,
    h2_pool: Pool,
    default: Option<Address>,
    ways: RwLock<HashMap<EndpointId, Arc<Way>>>,
    timeout: Duration,
    started: Instant,
}

impl Upstreams {
    /// `default` serves the APIs that name no upstream of their own; `ca` has certificates of authorities besides the usual ones, as PEM.
    pub(crate) fn new(default: Option<Address>, ca: Option<&str>, timeout: Duration) -> Result<Self, String> {
        let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        for certificate in CertificateDer::pem_slice_iter(ca.unwrap_or_default().as_bytes()) {
            let certificate = certificate.map_err(|error| error.to_string())?;
            roots.add(certificate).map_err(|error| error.to_string())?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(http);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(KEEP);
        let pool = builder.build(connector.clone());
        let h2_pool = builder.http2_only(true).build(connector);
        Ok(Self { pool, h2_pool, default, ways: RwLock::default(), timeout, started: Instant::now() })
    }

    /// The way to the server of an endpoint, whose API is at `own` or at the upstream of the deployment.
    pub(crate) fn way(&self, endpoint: EndpointId, own: Option<&str>) -> Result<Arc<Way>, Refusal> {
        let default = self.default.as_ref().map(|default| default.text.as_str());
        let text = own.or(default).ok_or(Code::UpstreamUnset)?;
        let known = self.ways.read().unwrap_or_else(PoisonError::into_inner).get(&endpoint).cloned();
        if let Some(way) = known.filter(|way| way.address.text == text) {
            return Ok(way);
        }
        let address = text.parse().map_err(|NoAddress| Code::UpstreamUnset)?;
        let way = Arc::new(Way { address, breaker: Breaker::default() });
        self.ways.write().unwrap_or_else(PoisonError::into_inner).insert(endpoint, Arc::clone(&way));
        Ok(way)
    }

    /// Sends a request, and answers when the head of the answer is there.
    pub(crate) async fn send(
        &self,
        way: &Way,
        request: Request<Outgoing>,
        upload: Option<&Upload>,
    ) -> Result<Response<Incoming>, Refusal> {
        let begun = self.started.elapsed();
        way.breaker.check(begun).map_err(paused)?;
        let pool = if way.address.is_h2 { &self.h2_pool } else { &self.pool };
        let sent = pool.request(request);
        let failure = match self.in_time(sent, upload).await {
            Some(Ok(response)) => {
                way.breaker.succeeded(self.started.elapsed());
                return Ok(response);
            }
            // It was not the server that failed: nobody else should wait for it.
            Some(Err(error)) if upload.is_some_and(Upload::broke_off) => {
                tracing::debug!(%error, "a client broke off");
                return Err(Code::UpstreamFailed.into());
            }
            Some(Err(error)) => {
                tracing::warn!(upstream = way.address.text, error = %chain(&error), "the server behind failed");
                Code::UpstreamFailed
            }
            None => {
                tracing::warn!(upstream = way.address.text, "the server behind was too slow");
                Code::UpstreamTimeout
            }
        };
        way.breaker.failed(begun, self.started.elapsed());
        Err(failure.into())
    }

    /// What comes of a request, unless nothing happens for too long: neither is more of its body sent, nor does an answer come.
    async fn in_time(
        &self,
        sent: impl Future<Output = Result<Response<Incoming>, Error>>,
        upload: Option<&Upload>,
    ) -> Option<Result<Response<Incoming>, Error>> {
        let (mut sent, mut last) = (pin!(sent), Instant::now());
        loop {
            let deadline = (last + self.timeout).into();
            if let Ok(answered) = tokio::time::timeout_at(deadline, &mut sent).await {
                return Some(answered);
            }
            last = upload.map(Upload::last).filter(|moved| *moved > last)?;
        }
    }
}

fn paused(wait: Duration) -> Refusal {
    let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
    Refusal { wait: Some(Span(micros)), ..Code::UpstreamPaused.into() }
}

/// An error with what it comes from: the outermost says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["http://10.0.0.7:8000", "https://api.example", "http://api.example/", "h2c://[::1]:9000"] {
            assert!(good.parse::<Address>().is_ok(), "{good}");
        }
        for bad in ["", "api.example", "ftp://api.example", "http://", "http://a/b", "http://u@a", "http://a/?b"] {
            assert_eq!(bad.parse::<Address>(), Err(NoAddress), "{bad}");
        }
    }
}
