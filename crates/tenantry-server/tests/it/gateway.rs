//! Calls through the gateway, with real clients and servers that behave as servers do.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};
use tenantry_server::{Config, Timeouts};
use tenantry_store::Limits;
use tenantry_testkit::peers::free_port;
use tenantry_testkit::{Database, both_engines};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

use crate::behind;
use crate::support::{Answer, Api, Caller, NOBODY, all};

const SECRET: &str = "what-the-api-behind-knows-as-well-0123";

fn config() -> Config {
    let timeouts = Timeouts { upstream: Duration::from_millis(500), ..Timeouts::default() };
    Config { identity_secret: Some(SECRET.to_owned()), timeouts, ..Config::default() }
}

/// An API at `upstream` of which everything can be called.
async fn sell(api: &Api, id: &str, upstream: &str) {
    let sold = json!({"id": id, "name": id, "basePath": format!("/{id}"), "upstream": upstream});
    api.operator().post("/v1/apis", sold).await.created();
    for method in ["GET", "POST"] {
        let endpoint = json!({"method": method, "path": "/**", "cost": 3});
        api.operator().post(&format!("/v1/apis/{id}/endpoints"), endpoint).await.created();
    }
}

fn gateway(api: &Api) -> SocketAddr {
    api.running.gateway.expect("bound")
}

fn call(caller: &Caller<'_>, api: &Api, method: Method, path: &str) -> reqwest::RequestBuilder {
    caller.request_to(method, &format!("http://{}{path}", gateway(api)))
}

async fn get(caller: &Caller<'_>, api: &Api, path: &str) -> Answer {
    Answer::of(call(caller, api, Method::GET, path)).await
}

/// The headers with which the API behind was called.
fn seen(answer: &Answer, name: &str) -> String {
    answer.body["headers"][name].as_str().unwrap_or_default().to_owned()
}

/// Sends bytes as they are; answers all that comes back until the gateway closes.
async fn raw(api: &Api, request: &str) -> String {
    let mut stream = TcpStream::connect(gateway(api)).await.expect("connect");
    stream.write_all(request.as_bytes()).await.expect("send");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the gateway closes");
    String::from_utf8_lossy(&answer).into_owned()
}

both_engines! {
    async fn calls_go_on_to_the_api_with_who_makes_them(database) {
        Api::run_with(database, Limits::DEFAULT, config(), async |api| {
            sell(api, "voice", &format!("http://{}", behind::echo().await)).await;
            let [_, account, child] = api.line("Acme").await;
            let made = api.new_key(&account, json!({"name": "k"})).await;
            let key = api.key(&made.text("secret"));

            // S54: what a client says about itself does not pass, nor can it take off what we say.
            let request = call(&key.assuming(&child), api, Method::POST, "/voice/tts/%61nn?q=%20a&x=/../y")
                .header("x-tenantry-account", NOBODY)
                .header("X_Tenantry_User", "usr_1")
                .header("x-org-id", "1")
                .header("x-forwarded-for", "192.0.2.1")
                .header("x-forwarded-proto", "https")
                .header("connection", "x-tenantry-account, x-request-id, x-custom")
                .header("x-custom", "1")
                .header("cookie", "a=1; __Host-tenantry=tny_session_x")
                .header("te", "trailers")
                .body("hello");
            let answer = Answer::of(request).await.ok();
            assert_eq!(answer.body["path"], "/voice/tts/ann?q=%20a&x=/../y");
            assert_eq!(answer.body["body"], "hello");
            let told = ["account", "actor", "key", "user"].map(|name| seen(&answer, &format!("x-tenantry-{name}")));
            assert_eq!(told, [child.clone(), account.clone(), made.id(), String::new()]);
            for gone in ["x-api-key", "x-assume-org", "x_tenantry_user", "x-org-id", "x-custom", "connection"] {
                assert!(answer.body["headers"][gone].is_null(), "{gone}: {:#}", answer.body);
            }
            assert_eq!(seen(&answer, "x-forwarded-for"), "127.0.0.1");
            assert_eq!(seen(&answer, "x-forwarded-proto"), "http");
            assert_eq!(seen(&answer, "x-forwarded-host"), gateway(api).to_string());
            assert_ne!(seen(&answer, "host"), gateway(api).to_string());
            assert_eq!(seen(&answer, "cookie"), "a=1");
            assert_eq!(seen(&answer, "via"), "1.1 tenantry");
            assert_eq!(seen(&answer, "x-request-id"), answer.header("x-request-id"));
            assert_eq!([answer.header("x-tenantry-subject"), answer.header("x-tenantry-actor")], [&child, &account]);
            assert_signed(&answer, &["POST", "/voice/tts/ann?q=%20a&x=/../y", &child, &account, "", &made.id()]);

            // The published contract stands beside it.
            let org = get(&key, api, "/org").await.ok();
            assert_eq!(org.text("orgId"), account);
        }).await;
    }

    async fn limits_count_calls_and_those_at_once(database) {
        Api::run_with(database, Limits::DEFAULT, config(), async |api| {
            sell(api, "voice", &format!("http://{}", behind::echo().await)).await;
            sell(api, "odd", &format!("http://{}", behind::odd().await)).await;
            let account = api.root("Acme").await;
            let limited = json!({"name": "k", "limits": {"rate": {"calls": 3, "seconds": 60}}});
            let key = api.key(&api.new_key(&account, limited).await.text("secret"));
            for left in [2, 1, 0] {
                let answer = get(&key, api, "/voice/a").await.ok();
                assert_eq!(answer.header("ratelimit-policy"), r#""key";q=3;w=60"#);
                assert!(answer.header("ratelimit").starts_with(&format!(r#""key";r={left};t="#)), "{}", answer.header("ratelimit"));
            }
            let refused = get(&key, api, "/voice/a").await.refused(429, "rate_limited");
            assert_eq!(refused.header("retry-after"), "20");
            assert!(refused.header("ratelimit").starts_with(r#""key";r=0;t="#));

            // One at a time: the next is let in when the answer is through, not when it begins.
            let one = json!({"name": "k", "limits": {"inFlight": 1}});
            let one = api.key(&api.new_key(&account, one).await.text("secret"));
            let slow = call(&one, api, Method::GET, "/odd/trickle").send().await.expect("a head");
            get(&one, api, "/voice/a").await.refused(429, "rate_limited");
            assert_eq!(slow.text().await.expect("a body"), "xxxxx");
            get(&one, api, "/voice/a").await.ok();
            // Nor does a client that goes away keep its place.
            drop(call(&one, api, Method::GET, "/odd/trickle").send().await.expect("a head"));
            let started = Instant::now();
            while call(&one, api, Method::GET, "/voice/a").send().await.expect("an answer").status().as_u16() == 429 {
                assert!(started.elapsed() < Duration::from_secs(5), "the place is free again");
            }
        }).await;
    }

    async fn what_calls_use_is_metered(database) {
        let config = Config { usage_before_answer: true, ..config() };
        Api::run_with(database, Limits::DEFAULT, config, async |api| {
            sell(api, "voice", &format!("http://{}", behind::echo().await)).await;
            sell(api, "odd", &format!("http://{}", behind::odd().await)).await;
            let [parent, account] = api.line("Acme").await;
            let member = api.member(&account, "ann", "member").await;
            let made = member.post(&format!("/v1/accounts/{account}/keys"), json!({"name": "k"})).await.created();
            let key = api.key(&made.text("secret"));
            for _ in 0..3 {
                assert_eq!(get(&key, api, "/voice/a").await.ok().header("x-credits-cost"), "3");
            }
            // What the API refuses, does not do, or does not answer costs nothing; what never gets there is no call.
            assert_eq!(call(&key, api, Method::GET, "/odd/missing").send().await.expect("an answer").headers()["x-credits-cost"], "0");
            get(&key, api, "/odd/garbage").await.refused(502, "upstream_failed");
            get(&key, api, "/nothing").await.refused(404, "endpoint_unknown");
            // Nor does a client that went away before there was an answer.
            let gone = call(&key, api, Method::GET, "/odd/hang").timeout(Duration::from_millis(100)).send().await;
            assert!(gone.is_err());
            let parents = api.key_of(&parent).await.assuming(&account);
            get(&parents, api, "/voice/a").await.ok();

            let started = Instant::now();
            let rows = async |group: &str| {
                api.running.ship().await.expect("shipped");
                let used = api.operator().get(&format!("/v1/accounts/{account}/usage?granularity=day&groupBy={group}")).await.ok();
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let row = |row: &Value| (text(&row["group"]), row["calls"].as_i64(), row["failures"].as_i64(), row["credits"].as_i64());
                used.body["data"].as_array().expect("rows").iter().map(row).collect::<Vec<_>>()
            };
            // The one who went away is noticed a moment later.
            while rows("account").await != [(account.clone(), Some(7), Some(3), Some(12))] {
                assert!(started.elapsed() < Duration::from_secs(10), "{:?}", rows("account").await);
            }
            assert_eq!(rows("api").await, [
                ("odd".to_owned(), Some(3), Some(3), Some(0)),
                ("voice".to_owned(), Some(4), Some(0), Some(12)),
            ]);
            let of_member = rows("user").await.into_iter().find(|(user, ..)| *user == member.id);
            assert_eq!(of_member, Some((member.id.clone(), Some(6), Some(3), Some(9))));
            let children = api.key_of(&parent).await.get("/org/child_orgs").await.ok();
            assert_eq!(children.body[0]["creditsUsed"], 12);
        }).await;
    }

    async fn what_may_not_happen_does_not_reach_the_api(database) {
        Api::run_with(database, Limits::DEFAULT, config(), async |api| {
            sell(api, "voice", &format!("http://{}", behind::echo().await)).await;
            api.operator().post("/v1/apis", json!({"id": "nowhere", "name": "n", "basePath": "/nowhere"})).await.created();
            api.operator().post("/v1/apis/nowhere/endpoints", json!({"method": "GET", "path": "/**"})).await.created();
            let [parent, account] = api.line("Acme").await;
            let key = api.key_of(&account).await;
            get(&api.anonymous(), api, "/voice/a").await.refused(401, "credential_missing");
            get(&api.key("nonsense"), api, "/voice/a").await.refused(401, "key_malformed");
            get(&key.assuming(&parent), api, "/voice/a").await.refused(403, "assume_forbidden");
            get(&key, api, "/nothing").await.refused(404, "endpoint_unknown");
            get(&key, api, "/v1/accounts").await.refused(404, "endpoint_unknown");
            get(&key, api, "/voice/a%2fb").await.refused(400, "path_invalid");
            get(&key, api, "/nowhere/a").await.refused(502, "upstream_unset");
            let query = format!("/voice/a?token={}", key.credential.as_deref().expect("a key"));
            get(&key, api, &query).await.refused(400, "credential_in_query");
            let both = call(&key, api, Method::GET, "/voice/a").header("authorization", "Bearer other");
            Answer::of(both).await.refused(400, "ambiguous_credentials");
            let twice = call(&key, api, Method::GET, "/voice/a").header("content-type", "a/b").header("content-type", "c/d");
            Answer::of(twice).await.refused(400, "header_repeated");

            // S47: a list that is made while a connection is kept counts for the next request on it.
            get(&key, api, "/voice/a").await.ok();
            let list = json!({"api": "voice", "cidrs": ["192.0.2.0/24"]});
            api.operator().post(&format!("/v1/accounts/{account}/ip-allowlists"), list).await.created();
            get(&key, api, "/voice/a").await.refused(403, "ip_not_allowed");
            let spoofed = call(&key, api, Method::GET, "/voice/a").header("x-forwarded-for", "192.0.2.7");
            Answer::of(spoofed).await.refused(403, "ip_not_allowed");
        }).await;
    }
}

/// The signature is what the documentation says, over these lines after time and request id.
fn assert_signed(answer: &Answer, lines: &[&str]) {
    let signature = seen(answer, "x-tenantry-signature");
    let (time, tag) = signature.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")).expect("a signature");
    let text = format!("{time}\n{}\n{}\n", seen(answer, "x-request-id"), lines.join("\n"));
    let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text.as_bytes());
    let hex: String = expected.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(tag, hex, "{text}");
}

async fn run(test: impl AsyncFnOnce(&Api, &Caller<'_>)) {
    Api::run_with(Database::sqlite(), Limits::DEFAULT, config(), async |api| {
        let account = api.root("Acme").await;
        let key = api.key_of(&account).await;
        test(api, &key).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_on_both_sides() {
    run(async |api, key| {
        let echo = behind::echo().await;
        sell(api, "old", &format!("http://{echo}")).await;
        sell(api, "new", &format!("h2c://{echo}")).await;
        let h2 = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
        for (client, path, version) in
            [(&h2, "/old/a", "HTTP/1.1"), (&h2, "/new/a", "HTTP/2.0"), (&reqwest::Client::new(), "/new/a", "HTTP/2.0")]
        {
            let request = client.post(format!("http://{}{path}", gateway(api))).body("hello");
            let request = request.header("x-api-key", key.credential.as_deref().expect("a key"));
            let answer = Answer::of(request).await.ok();
            assert_eq!((answer.body["version"].as_str(), answer.body["body"].as_str()), (Some(version), Some("hello")));
            let via = if std::ptr::eq(client, &raw const h2) { "2 tenantry" } else { "1.1 tenantry" };
            assert_eq!(seen(&answer, "via"), via);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_pass() {
    run(async |api, key| {
        let (listener, address) = behind::listen().await;
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a client");
            let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a handshake");
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() || message.is_binary() {
                    socket.send(message).await.expect("an echo");
                }
            }
        });
        sell(api, "voice", &format!("http://{address}")).await;
        let mut request = format!("ws://{}/voice/live", gateway(api)).into_client_request().expect("a request");
        request.headers_mut().insert("x-api-key", key.credential.as_deref().expect("a key").parse().expect("a header"));
        let stream = TcpStream::connect(gateway(api)).await.expect("connect");
        let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("a handshake");
        for message in [Message::text("hello"), Message::binary(vec![7; 100_000])] {
            socket.send(message.clone()).await.expect("sent");
            assert_eq!(socket.next().await.expect("an echo").expect("an echo"), message);
        }
        socket.close(None).await.expect("closed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protocols_are_named_without_regard_to_case() {
    run(async |api, key| {
        sell(api, "odd", &format!("http://{}", behind::odd().await)).await;
        let key = key.credential.as_deref().expect("a key");
        for (offered, first) in [("odd", "HTTP/1.1 101 "), ("ODD", "HTTP/1.1 101 "), ("other, Odd", "HTTP/1.1 101 "), ("other", "HTTP/1.1 502 ")] {
            let request = format!(
                "GET /odd/switch HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\nconnection: upgrade\r\nupgrade: {offered}\r\n\r\n"
            );
            let mut stream = TcpStream::connect(gateway(api)).await.expect("connect");
            stream.write_all(request.as_bytes()).await.expect("send");
            let mut answer = vec![0; first.len()];
            stream.read_exact(&mut answer).await.expect("an answer");
            assert_eq!(String::from_utf8_lossy(&answer), first, "{offered}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r13_slow_and_dying_servers() {
    run(async |api, key| {
        sell(api, "odd", &format!("http://{}", behind::odd().await)).await;
        let started = Instant::now();
        get(key, api, "/odd/hang").await.refused(504, "upstream_timeout");
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(475) && took < Duration::from_millis(1_500), "{took:?}");
        for path in ["/odd/half-head", "/odd/garbage", "/odd/switch", "/odd/heads"] {
            get(key, api, path).await.refused(502, "upstream_failed");
        }
        // Slow is not dead: between two pieces there is less time than the limit.
        let slow = call(key, api, Method::GET, "/odd/trickle").send().await.expect("an answer");
        assert_eq!(slow.text().await.expect("a body"), "xxxxx");
        // An answer that is not whole does not look like one that is.
        for path in ["/odd/stall", "/odd/reset"] {
            let answer = call(key, api, Method::GET, path).send().await.expect("a head");
            assert_eq!(answer.status().as_u16(), 200);
            assert!(answer.bytes().await.is_err(), "{path}");
        }
        // S56: what only Tenantry may say.
        let answer = get(key, api, "/odd/claims").await.ok();
        assert_ne!(answer.header("x-tenantry-subject"), "acc_x");
        for gone in ["x-tenantry-anything", "x-hop", "connection"] {
            assert!(answer.headers.get(gone).is_none(), "{gone}");
        }
        let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["own=1"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_is_left_alone_for_a_while() {
    run(async |api, key| {
        sell(api, "down", &format!("http://127.0.0.1:{}", free_port())).await;
        sell(api, "up", &format!("http://{}", behind::echo().await)).await;
        for _ in 0..10 {
            get(key, api, "/down/a").await.refused(502, "upstream_failed");
        }
        let answer = get(key, api, "/down/a").await.refused(503, "upstream_paused");
        assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| (1..=6).contains(&seconds)));
        get(key, api, "/up/a").await.ok();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r13_calls_of_one_that_hang_do_not_stop_those_of_others() {
    let timeouts = Timeouts { upstream: Duration::from_secs(3), ..Timeouts::default() };
    Api::run_with(Database::sqlite(), Limits::DEFAULT, Config { timeouts, ..config() }, async |api| {
        sell(api, "odd", &format!("http://{}", behind::odd().await)).await;
        let [hanging, other] = [api.root("Hanging").await, api.root("Other").await];
        let (hanging, other) = (api.key_of(&hanging).await, api.key_of(&other).await);
        let hang = async || get(&hanging, api, "/odd/hang").await.refused(504, "upstream_timeout");
        let over = AtomicBool::new(false);
        let hanging = async {
            all((0..500).map(|_| hang()).collect()).await;
            over.store(true, Ordering::SeqCst);
        };
        // Calls of the same endpoint, while hundreds wait, and when all of those are given up at once.
        let others = async {
            let mut calls = 0;
            while !over.load(Ordering::SeqCst) {
                get(&other, api, "/odd/claims").await.ok();
                calls += 1;
            }
            calls
        };
        let ((), calls) = tokio::join!(hanging, others);
        assert!(calls > 10, "{calls}");
        get(&other, api, "/odd/claims").await.ok();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_break_off_do_not_count_against_a_server() {
    run(async |api, key| {
        sell(api, "voice", &format!("http://{}", behind::echo().await)).await;
        let key = key.credential.as_deref().expect("a key");
        for _ in 0..15 {
            let mut stream = TcpStream::connect(gateway(api)).await.expect("connect");
            let head =
                format!("POST /voice/a HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-length: 100\r\n\r\nhalf");
            stream.write_all(head.as_bytes()).await.expect("send");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let caller = api.key(key);
        get(&caller, api, "/voice/a").await.ok();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s55_s58_s59_bytes_are_read_in_one_way_only() {
    run(async |api, key| {
        sell(api, "odd", &format!("http://{}", behind::odd().await)).await;
        let key = key.credential.as_deref().expect("a key");
        let hosts = format!("GET /odd/claims HTTP/1.1\r\nhost: a\r\nhost: b\r\nx-api-key: {key}\r\nconnection: close\r\n\r\n");
        assert!(raw(api, &hosts).await.contains("header_repeated"));
        // S58: an upgrade that is not taken up, and a second request behind it.
        let upgrade = format!(
            "GET /odd/ordinary HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n\
             GET /odd/hang HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        );
        let answers = raw(api, &upgrade).await;
        assert!(answers.starts_with("HTTP/1.1 200 OK"), "{answers}");
        assert!(!answers.contains("HTTP/1.1 101"), "{answers}");
        // S59: refused before its body was read; what is in the body is no request.
        let smuggled = "GET /odd/claims HTTP/1.1\r\nhost: a\r\n\r\n";
        let refused = format!(
            "POST /odd/claims HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{smuggled}",
            smuggled.len() + 100_000
        );
        let answers = raw(api, &refused).await;
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
        assert!(answers.contains("credential_missing"), "{answers}");
        // Two lengths are none.
        let two = format!("POST /odd/claims HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab");
        assert!(raw(api, &two).await.starts_with("HTTP/1.1 400 "));
    })
    .await;
}
