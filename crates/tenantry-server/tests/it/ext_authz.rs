//! What Envoy asks in gRPC, without an Envoy. With one: `proxies`.

use std::collections::HashMap;
use std::net::SocketAddr;

use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use reqwest::Method;
use serde_json::{Value, json};
use tenantry_core::network::Networks;
use tenantry_server::Config;
use tenantry_server::ext_authz::{
    Address, AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderMap, HeaderValue,
    HeaderValueOption, HttpRequest, HttpResponse, OkHttpResponse, Peer, Request, SocketAddress,
};
use tenantry_store::Limits;
use tenantry_testkit::both_engines;
use tonic::Code;
use tonic_prost::ProstCodec;

use crate::support::{Answer, Api, NOBODY};

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Sends a message to a method.
async fn send<M>(to: SocketAddr, path: &'static str, message: tonic::Request<M>) -> Result<CheckResponse, tonic::Status>
where
    M: prost::Message + 'static,
{
    let http = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let mut grpc = tonic::client::Grpc::with_origin(http, format!("http://{to}").parse().expect("an origin"));
    grpc.ready().await.expect("a connection");
    let codec = ProstCodec::<M, CheckResponse>::default();
    grpc.unary(message, path.parse().expect("a path"), codec).await.map(tonic::Response::into_inner)
}

async fn ask(api: &Api, question: CheckRequest) -> CheckResponse {
    send(api.running.control, CHECK, tonic::Request::new(question)).await.expect("an answer")
}

/// What is said about a call that goes on.
#[track_caller]
fn gone_on(answer: CheckResponse) -> OkHttpResponse {
    match (answer.status.expect("a status").code, answer.http_response) {
        (0, Some(HttpResponse::Ok(ok))) => ok,
        other => panic!("{other:?}"),
    }
}

/// What a call is answered with that does not go on.
#[track_caller]
fn denied(answer: CheckResponse) -> DeniedHttpResponse {
    match (answer.status.expect("a status").code, answer.http_response) {
        (7, Some(HttpResponse::Denied(denied))) => denied,
        other => panic!("{other:?}"),
    }
}

/// Why a call does not go on.
#[track_caller]
fn code(answer: CheckResponse) -> String {
    let body: Value = serde_json::from_str(&denied(answer).body).expect("JSON");
    body["code"].as_str().expect("a code").to_owned()
}

/// The headers of an answer. All of them take the place of others.
fn fields(options: &[HeaderValueOption]) -> HashMap<String, String> {
    let field = |option: &HeaderValueOption| {
        assert_eq!(option.append_action, 2, "{option:?}");
        let header = option.header.clone().expect("a header");
        (header.key, header.value)
    };
    options.iter().map(field).collect()
}

/// A call that somebody at `source` waits for.
fn call(source: &str, http: HttpRequest) -> CheckRequest {
    let socket = SocketAddress { address: source.to_owned() };
    let source = Peer { address: Some(Address { socket_address: Some(socket) }) };
    let request = Request { http: Some(http) };
    CheckRequest { attributes: Some(AttributeContext { source: Some(source), request: Some(request) }) }
}

fn get(path: &str, headers: &[(&str, &str)]) -> HttpRequest {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    HttpRequest { method: "GET".to_owned(), path: path.into(), headers, header_map: None }
}

/// The same with its headers one by one.
fn get_raw(path: &str, headers: &[(&str, &str)]) -> HttpRequest {
    let raw = |(name, value): &(&str, &str)| HeaderValue {
        key: (*name).to_owned(),
        value: String::new(),
        raw_value: (*value).into(),
    };
    HttpRequest { header_map: Some(HeaderMap { headers: headers.iter().map(raw).collect() }), ..get(path, &[]) }
}

/// The id of an endpoint in the catalogue, `GET /voice/languages`.
async fn catalogue(api: &Api) -> String {
    api.operator().post("/v1/apis", json!({"id": "voice", "name": "Voice", "basePath": "/voice"})).await.created();
    let endpoint = json!({"method": "GET", "path": "/languages", "cost": 3});
    api.operator().post("/v1/apis/voice/endpoints", endpoint).await.created().id()
}

fn trusting(proxies: &[&str]) -> Config {
    Config { trusted_proxies: Networks::parse(proxies).expect("networks"), ..Config::default() }
}

both_engines! {
    async fn the_api_behind_envoy_is_told_who_calls(database) {
        Api::run(database, async |api| {
            let endpoint = catalogue(api).await;
            let [account, child] = api.line("Acme").await;
            let made = api.new_key(&account, json!({"name": "k"})).await;
            let secret = made.text("secret");
            let headers = [
                (":path", "/voice/languages"), ("x-api-key", secret.as_str()), ("x-assume-org", &child),
                ("x-tenantry-account", NOBODY), ("X_Tenantry-Anything", NOBODY),
            ];
            for way in [get, get_raw] {
                let ok = gone_on(ask(api, call("192.0.2.1", way("/voice/languages?q=1", &headers))).await);
                let expected = [
                    ("account", child.as_str()), ("actor", &account), ("key", &made.id()),
                    ("api", "voice"), ("endpoint", &endpoint), ("cost", "3"),
                ];
                let expected = expected.map(|(name, value)| (format!("x-tenantry-{name}"), value.to_owned()));
                assert_eq!(fields(&ok.headers), expected.into());
                let removed = ["x-auth-token", "x-api-key", "authorization", "x-assume-org", "x-tenantry-user", "X_Tenantry-Anything"];
                assert_eq!(ok.headers_to_remove, removed);
            }
        }).await;
    }

    async fn who_calls_through_envoy_is_told_why_not(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            let secret = api.new_key(&account, json!({"name": "k"})).await.text("secret");
            let key = ("x-api-key", secret.as_str());
            for (path, headers, status, code) in [
                ("/voice/languages", vec![], 401, "credential_missing"),
                ("/voice/languages", vec![("authorization", "Bearer nonsense")], 401, "key_malformed"),
                ("/voice/languages", vec![key, ("x-auth-token", "another")], 400, "ambiguous_credentials"),
                ("/voice/languages", vec![key, ("x-assume-org", NOBODY)], 403, "assume_forbidden"),
                ("/voice/nothing", vec![key], 404, "endpoint_unknown"),
                ("/voice//languages", vec![key], 400, "path_invalid"),
            ] {
                // The same as other proxies are told.
                let asked = api.anonymous().request(Method::GET, "/v1/authz/forward").header("x-forwarded-method", "GET").header("x-forwarded-uri", path);
                let mut expected = Answer::of(headers.iter().fold(asked, |asked, (name, value)| asked.header(*name, *value))).await.refused(status, code);
                for way in [get, get_raw] {
                    let denied = denied(ask(api, call("192.0.2.1", way(path, &headers))).await);
                    assert_eq!(denied.status.expect("a status").code, i32::from(status), "{code}");
                    let told = fields(&denied.headers);
                    let body: Value = serde_json::from_str(&denied.body).expect("JSON");
                    assert_eq!(body["requestId"], told["x-request-id"]);
                    expected.body["requestId"] = body["requestId"].clone();
                    assert_eq!(body, expected.body);
                    for name in ["content-type", "www-authenticate", "cache-control", "x-content-type-options"] {
                        assert_eq!(told.get(name).map_or("", String::as_str), expected.header(name), "{code}: {name}");
                    }
                }
            }
        }).await;
    }

    async fn what_envoy_says_of_a_call_may_be_odd(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            let secret = api.new_key(&account, json!({"name": "k"})).await.text("secret");
            let key = ("x-api-key", secret.as_str());
            let judge = async |http: HttpRequest| ask(api, call("192.0.2.1", http)).await;
            // Of two keys one could be anybody's, joined or not; twice the same is one.
            let both = format!("{secret},another");
            assert_eq!(code(judge(get("/voice/languages", &[("x-api-key", &both)])).await), "key_malformed");
            assert_eq!(code(judge(get_raw("/voice/languages", &[key, ("x-api-key", "another")])).await), "ambiguous_credentials");
            gone_on(judge(get_raw("/voice/languages", &[key, key])).await);
            let twice = format!("{account},{account}");
            assert_eq!(code(judge(get("/voice/languages", &[key, ("x-assume-org", &twice)])).await), "assume_malformed");
            let assumed = ("x-assume-org", account.as_str());
            assert_eq!(code(judge(get_raw("/voice/languages", &[key, assumed, assumed])).await), "assume_malformed");
            assert_eq!(code(judge(get("/voice/languages", &[key, ("x-other", "a\nb")])).await), "invalid_parameter");
            assert_eq!(code(judge(get("/voice/languages", &[key, ("no name", "")])).await), "invalid_parameter");
            assert_eq!(code(judge(HttpRequest { path: b"/voice/\xe4".to_vec(), ..get("", &[key]) }).await), "path_invalid");
            assert_eq!(code(judge(HttpRequest { path: Vec::new(), ..get("", &[key]) }).await), "path_invalid");
            assert_eq!(code(judge(HttpRequest { method: "BREW".to_owned(), ..get("/voice/languages", &[key]) }).await), "endpoint_unknown");
            // A connection about which nothing is known but that it is there.
            assert_eq!(code(ask(api, CheckRequest::default()).await), "credential_missing");
        }).await;
    }

    async fn an_envoy_that_is_trusted_says_where_calls_come_from(database) {
        Api::run_with(database, Limits::DEFAULT, trusting(&["127.0.0.0/8", "10.0.0.0/8"]), async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            let secret = api.new_key(&account, json!({"name": "k", "ipAllowlist": ["192.0.2.0/24"]})).await.text("secret");
            let from = |source: &str, forwarded: &str| {
                let key = ("x-api-key", secret.as_str());
                let headers = [key, ("x-forwarded-for", forwarded)];
                call(source, get("/voice/languages", if forwarded.is_empty() { &headers[..1] } else { &headers }))
            };
            gone_on(ask(api, from("192.0.2.7", "")).await);
            gone_on(ask(api, from("::ffff:192.0.2.7", "203.0.113.5")).await);
            // A proxy before Envoy, with and without what Envoy adds.
            for forwarded in ["192.0.2.7", "192.0.2.7, 10.0.0.1", "203.0.113.5, 192.0.2.7, 10.0.0.2"] {
                gone_on(ask(api, from("10.0.0.1", forwarded)).await);
            }
            for (source, forwarded) in [
                ("203.0.113.5", ""), ("203.0.113.5", "192.0.2.7"), ("10.0.0.1", ""), ("10.0.0.1", "192.0.2.7, 203.0.113.5"),
                ("10.0.0.1", "192.0.2.7, nonsense"), ("", "192.0.2.7"), ("fe80::1%eth0", "192.0.2.7"),
            ] {
                assert_eq!(code(ask(api, from(source, forwarded)).await), "ip_not_allowed", "{source}: {forwarded}");
            }
            // Of who is connected by anything but a socket, nothing is known: whoever it is, they do not say where they come from.
            let mut unknown = from("", "192.0.2.7");
            unknown.attributes.as_mut().expect("attributes").source = None;
            assert_eq!(code(ask(api, unknown).await), "ip_not_allowed");
            // Somebody who only reached Tenantry through a proxy that is trusted is not trusted for that.
            let mut asked = tonic::Request::new(from("192.0.2.7", ""));
            asked.metadata_mut().insert("x-forwarded-for", "203.0.113.9".parse().expect("text"));
            let answer = send(api.running.control, CHECK, asked).await.expect("an answer");
            assert_eq!(code(answer), "ip_not_allowed");
        }).await;
    }

    async fn an_envoy_that_is_not_trusted_says_nothing_about_that(database) {
        Api::run_with(database, Limits::DEFAULT, trusting(&["10.0.0.0/8"]), async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            for (list, source, allowed) in [("192.0.2.0/24", "192.0.2.7", false), ("127.0.0.1", "192.0.2.7", true), ("10.0.0.0/8", "10.0.0.1", false)] {
                let secret = api.new_key(&account, json!({"name": list, "ipAllowlist": [list]})).await.text("secret");
                let headers = [("x-api-key", secret.as_str()), ("x-forwarded-for", source)];
                let answer = ask(api, call(source, get("/voice/languages", &headers))).await;
                assert_eq!(answer.status.expect("a status").code == 0, allowed, "{list}");
            }
        }).await;
    }

    async fn what_is_no_question_gets_an_error_of_grpc(database) {
        /// The attributes are no text.
        #[derive(Clone, PartialEq, prost::Message)]
        struct Other {
            #[prost(string, tag = "1")]
            attributes: String,
        }

        Api::run(database, async |api| {
            let other = |text: String| tonic::Request::new(Other { attributes: text });
            let control = api.running.control;
            let gateway = api.running.gateway.expect("a gateway");
            let error = async |to: SocketAddr, path: &'static str, text: String| send(to, path, other(text)).await.expect_err("an error").code();
            assert_eq!(error(control, CHECK, "nonsense".to_owned()).await, Code::Internal);
            assert_eq!(error(control, CHECK, "x".repeat(64 << 10)).await, Code::OutOfRange);
            for path in ["/envoy.service.auth.v3.Authorization/Other", "/envoy.service.auth.v2.Authorization/Check", "/v1/nothing"] {
                assert_eq!(error(control, path, String::new()).await, Code::Unimplemented, "{path}");
            }
            assert_eq!(error(control, "/envoy.service.auth.v3.Authorization//Check", String::new()).await, Code::InvalidArgument);
            assert_eq!(error(gateway, CHECK, String::new()).await, Code::Unauthenticated, "it is not for customers");
            // Who does not speak gRPC is answered as everywhere.
            api.operator().post(CHECK, json!({})).await.refused(415, "media_type_unsupported");
            api.operator().get(CHECK).await.refused(405, "method_not_allowed");
            // What counts is what it meant.
            denied(ask(api, CheckRequest::default()).await);
            let figures = reqwest::get(format!("http://{}/metrics", api.running.ops)).await.expect("figures").text().await.expect("text");
            for (route, status, times) in [(CHECK, 401, 1), (CHECK, 400, 2), (CHECK, 415, 1), ("unmatched", 404, 3), ("gateway", 401, 1)] {
                let line = format!(r#"tenantry_http_requests_total{{method="POST",route="{route}",status="{status}"}} {times}"#);
                assert!(figures.contains(&line), "{line}: {figures}");
            }
        }).await;
    }
}
