//! Real proxies in front of a small API, with the configurations that are handed out in `deploy/`.

mod envoy;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request;
use reqwest::Method;
use serde_json::{Value, json};
use tenantry_core::network::Networks;
use tenantry_server::Config;
use tenantry_store::Limits;
use tenantry_testkit::both_engines;
use tenantry_testkit::peers::{Peer, free_port};
use tokio::net::TcpListener;

use crate::network::raw_to;
use crate::support::{Api, Caller, NOBODY};

/// An API that answers with what it was sent.
async fn upstream() -> SocketAddr {
    let echo = async |request: Request| {
        let mut headers = BTreeMap::<_, Vec<_>>::new();
        for (name, value) in request.headers() {
            headers.entry(name.as_str()).or_default().push(value.to_str().unwrap_or("?"));
        }
        let headers: BTreeMap<_, _> = headers.into_iter().map(|(name, values)| (name, values.join(", "))).collect();
        axum::body::Body::from(json!({"path": request.uri().to_string(), "headers": headers}).to_string())
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("address");
    // It ends with the runtime of the test.
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(echo)).await });
    address
}

/// A shipped configuration with the addresses of this test.
fn shipped(name: &str, api: &Api, upstream: SocketAddr, port: u16) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name);
    let mut text = std::fs::read_to_string(path).expect("the configuration");
    // All of it is on the loopback interface.
    for (shipped, own) in [(8080, api.running.control.port()), (9000, upstream.port()), (8088, port)] {
        for before in ["127.0.0.1:", "port_value: "] {
            text = text.replace(&format!("{before}{shipped}"), &format!("{before}{own}"));
        }
    }
    text
}

/// A call through the proxy: its status, and its body.
async fn call(caller: &Caller<'_>, port: u16, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let url = format!("http://127.0.0.1:{port}{path}");
    let mut request = caller.request_to(Method::GET, &url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.expect("a body")).unwrap_or(Value::Null))
}

/// The same with a path that other clients would repair, in Latin-1. Answers what comes back.
async fn as_it_is(caller: &Caller<'_>, port: u16, path: &str) -> String {
    let key = caller.credential.as_deref().expect("a key");
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-api-key: {key}\r\nconnection: close\r\n\r\n");
    let bytes: Vec<_> = request.chars().map(|char| u8::try_from(char).expect("Latin-1")).collect();
    raw_to(([127, 0, 0, 1], port).into(), &bytes).await
}

/// An API in the catalogue, what is allowed and what is denied behind this proxy.
async fn behind(api: &Api, proxy: impl Fn(SocketAddr, u16) -> Peer) {
    let operator = api.operator();
    operator.post("/v1/apis", json!({"id": "voice", "name": "Voice", "basePath": "/voice"})).await.created();
    for endpoint in [
        json!({"method": "GET", "path": "/languages"}),
        json!({"method": "GET", "path": "/clones/{clone}", "feature": "voice-cloning"}),
        json!({"method": "GET", "path": "/admin", "permission": "audit.read"}),
        json!({"method": "GET", "path": "/internal"}),
        json!({"method": "GET", "path": "/takes/{take}", "resource": {"kind": "take", "name": "take"}}),
    ] {
        operator.post("/v1/apis/voice/endpoints", endpoint).await.created();
    }
    let [parent, account, child] = api.line("Acme").await;
    let at = format!("/v1/accounts/{account}");
    let made = api.new_key(&account, json!({"name": "k"})).await;
    let key = api.key(&made.text("secret"));
    let port = free_port();
    let _proxy = proxy(upstream().await, port);

    // What is allowed arrives, with who it is from; what a client says about that does not.
    let claims =
        ["x-tenantry-account", "X-Tenantry-Account", "x-tenantry-user", "x_tenantry_account", "x-tenantry_user"];
    let mut spoofed = claims.map(|name| (name, NOBODY)).to_vec();
    spoofed.push(("x-assume-org", &child));
    let (status, seen) = call(&key, port, "/voice/languages?q=%20a", &spoofed).await;
    assert_eq!((status, &seen["path"]), (200, &json!("/voice/languages?q=%20a")), "{seen}");
    let told = |name: &str| seen["headers"][format!("x-tenantry-{name}")].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        ["account", "actor", "key", "user"].map(told),
        [child.clone(), account.clone(), made.id(), String::new()]
    );
    assert!(!seen["headers"].to_string().contains(NOBODY), "{seen}");
    assert!(seen["headers"]["x-api-key"].is_null(), "the key stays here");

    let denied = async |caller: &Caller<'_>, path: &str, headers: &[(&str, &str)], status: u16, code: &str| {
        let (is, body) = call(caller, port, path, headers).await;
        assert_eq!((is, body["code"].as_str()), (status, Some(code)), "{path}: {body}");
    };
    denied(&api.anonymous(), "/voice/languages", &[], 401, "credential_missing").await;
    denied(&api.key("nonsense"), "/voice/languages", &[], 401, "key_malformed").await;
    let unknown = tenantry_core::secret::compose(tenantry_core::secret::Label::Live, &[7; 64]);
    denied(&api.key(&unknown), "/voice/languages", &[], 401, "key_unknown").await;
    denied(&key, "/voice/languages", &[("x-assume-org", &parent)], 403, "assume_forbidden").await;
    denied(&key, "/voice/nothing", &[], 404, "endpoint_unknown").await;
    denied(&key, "/voice/languages%2f", &[], 400, "path_invalid").await;
    for path in
        ["//voice/languages", "/voice/../voice/languages", "/voice/%2e%2e/x", "/voice/languages;x", "/voice/\u{e4}"]
    {
        let answer = as_it_is(&key, port, path).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
    }
    denied(&key, "/voice/clones/7", &[], 403, "feature_missing").await;
    denied(&key, "/voice/takes/7", &[], 403, "resource_not_shared").await;
    let scoped = api.new_key(&account, json!({"name": "s", "scopes": ["credits.consume"]})).await.text("secret");
    denied(&api.key(&scoped), "/voice/admin", &[], 403, "permission_denied").await;
    let once = json!({"name": "once", "limits": {"rate": {"calls": 1, "seconds": 60}}});
    let once = api.key(&api.new_key(&account, once).await.text("secret"));
    assert_eq!(call(&once, port, "/voice/languages", &[]).await.0, 200);
    denied(&once, "/voice/languages", &[], 429, "rate_limited").await;
    let again = once.request_to(Method::GET, &format!("http://127.0.0.1:{port}/voice/languages"));
    let again = again.send().await.expect("an answer");
    let told = ["ratelimit", "retry-after"].map(|name| again.headers()[name].to_str().expect("text").to_owned());
    assert_eq!(told, [r#""key";r=0;t=60"#.to_owned(), "60".to_owned()]);
    let rule = json!({"mode": "deny", "endpoints": [{"api": "voice", "path": "/internal"}]});
    operator.assuming(&account).post(&format!("{at}/restrictions"), rule).await.created();
    for path in ["/voice/internal", "/voice/internal/"] {
        denied(&key, path, &[], 403, "endpoint_restricted").await;
    }
    let elsewhere = json!({"api": "voice", "cidrs": ["192.0.2.0/24"]});
    let list = operator.post(&format!("{at}/ip-allowlists"), elsewhere).await.created().id();
    denied(&key, "/voice/languages", &[("x-forwarded-for", "192.0.2.1")], 403, "ip_not_allowed").await;
    operator.patch(&format!("{at}/ip-allowlists/{list}"), json!({"cidrs": ["127.0.0.0/8"]})).await.ok();
    assert_eq!(call(&key, port, "/voice/languages", &[]).await.0, 200);
    operator.act(&format!("/v1/accounts/{parent}/suspend")).await.ok();
    denied(&key, "/voice/languages", &[], 403, "account_suspended").await;
    operator.act(&format!("/v1/accounts/{parent}/activate")).await.ok();
    operator.act(&format!("{at}/keys/{}/revoke", made.id())).await.ok();
    denied(&key, "/voice/languages", &[], 401, "key_revoked").await;
    let brief = json!({"name": "brief", "expiresAt": "2026-01-31T12:30:00Z"});
    let brief = api.key(&api.new_key(&account, brief).await.text("secret"));
    let orphan = api.key_of(&child).await;
    operator.act(&format!("/v1/accounts/{child}/close")).await.ok();
    denied(&orphan, "/voice/languages", &[], 403, "account_closed").await;
    assert_eq!(call(&brief, port, "/voice/languages", &[]).await.0, 200);
    api.clock.advance(tenantry_core::time::Span::seconds(3_600));
    denied(&brief, "/voice/languages", &[], 401, "key_expired").await;
}

/// nginx closes a connection whose answer has a body that it does not read: then every call would cost a new one.
async fn keeps_connections(api: &Api) {
    let operator = api.operator();
    operator.post("/v1/apis", json!({"id": "voice", "name": "Voice", "basePath": "/voice"})).await.created();
    operator.post("/v1/apis/voice/endpoints", json!({"method": "GET", "path": "/languages"})).await.created();
    let key = api.key_of(&api.root("Acme").await).await;
    let (upstream, port) = (upstream().await, free_port());
    let _nginx = Peer::nginx(&shipped("nginx.conf", api, upstream, port), port);
    let accepted = async || {
        let figures = reqwest::get(format!("http://{}/metrics", api.running.ops)).await.expect("figures");
        let figures = figures.text().await.expect("text");
        let line = figures.lines().find_map(|line| line.strip_prefix("tenantry_http_connections_accepted_total "));
        line.expect("a figure").parse::<u64>().expect("a number")
    };
    let before = accepted().await;
    for _ in 0..20 {
        assert_eq!(call(&key, port, "/voice/languages", &[]).await.0, 200);
        assert_eq!(call(&key, port, "/voice/nothing", &[]).await.0, 404);
    }
    // One for the questions, and those that ask for the figures.
    let opened = accepted().await - before;
    assert!(opened <= 3, "{opened} connections for 40 questions");
}

fn config() -> Config {
    Config { trusted_proxies: Networks::parse(&["127.0.0.1"]).expect("networks"), ..Config::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_keeps_its_connections() {
    Api::run_with(tenantry_testkit::Database::sqlite(), Limits::DEFAULT, config(), keeps_connections).await;
}

both_engines! {
    async fn nginx_asks_before_it_forwards(database) {
        Api::run_with(database, Limits::DEFAULT, config(), async |api| {
            behind(api, |upstream, port| Peer::nginx(&shipped("nginx.conf", api, upstream, port), port)).await;
        }).await;
    }

    async fn caddy_asks_before_it_forwards(database) {
        Api::run_with(database, Limits::DEFAULT, config(), async |api| {
            behind(api, |upstream, port| Peer::caddy(&shipped("Caddyfile", api, upstream, port), port)).await;
        }).await;
    }
}
