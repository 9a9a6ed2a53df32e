//! Timeouts that fire, and an end that waits.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tenantry_server::{Config, Timeouts};
use tenantry_store::Limits;
use tenantry_testkit::{Database, both_engines};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Api, OPERATOR};

/// Sends bytes as they are; answers all that comes back until the server closes.
pub(crate) async fn raw(api: &Api, request: &str) -> String {
    raw_to(api.running.control, request.as_bytes()).await
}

/// The same to another server.
pub(crate) async fn raw_to(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    stream.write_all(request).await.expect("send");
    until_closed(&mut stream).await
}

async fn until_closed(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is an end, too.
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer))
        .await
        .expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Short enough for a test; in the proportions of the defaults.
fn impatient() -> Config {
    let ms = Duration::from_millis;
    let timeouts = Timeouts { header: ms(300), idle: ms(900), request: ms(600), upstream: ms(500), drain: ms(2_000) };
    Config { timeouts, ..Config::default() }
}

/// How long the server bears with a client that sends this and no more.
async fn patience(api: &Api, request: &str) -> (Duration, String) {
    let started = Instant::now();
    let answer = raw(api, request).await;
    (started.elapsed(), answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_cut_off() {
    Api::run_with(Database::sqlite(), Limits::DEFAULT, impatient(), async |api| {
        let near = |took: Duration, wanted: u64| {
            let wanted = Duration::from_millis(wanted);
            assert!(took + Duration::from_millis(50) >= wanted && took < wanted + Duration::from_secs(1), "{took:?} instead of {wanted:?}");
        };
        // Silent; the first bytes of HTTP/2 and no more: hyper's own timers do not see these.
        near(patience(api, "").await.0, 900);
        near(patience(api, "PRI * HTTP/2").await.0, 900);
        // Half a head.
        near(patience(api, "GET /v1/accounts HTTP/1.1\r\nhost: x\r\n").await.0, 300);
        // A connection that is kept alive, and then idle.
        let (took, answer) = patience(api, "GET /v1/accounts HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        near(took, 300);
        // Half a body: the request as a whole has a deadline.
        let head = format!("POST /v1/accounts HTTP/1.1\r\nhost: x\r\nx-api-key: {OPERATOR}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{");
        let (took, answer) = patience(api, &head).await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("deadline_exceeded"), "{answer}");
        assert!(answer.to_lowercase().contains("retry-after: 1"), "{answer}");
        near(took, 600);
    })
    .await;
}

both_engines! {
    async fn a_stop_waits_for_what_is_in_flight(database) {
        let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = done.clone();
        Api::run(database, async |api| {
            let address = api.running.control;
            let body = json!({"name": "Late", "email": "late@example.com"}).to_string();
            let head = format!(
                "POST /v1/accounts HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: {OPERATOR}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let mut stream = TcpStream::connect(address).await.expect("connect");
            stream.write_all(head.as_bytes()).await.expect("head");
            tokio::time::sleep(Duration::from_millis(100)).await;
            tokio::spawn(async move {
                // By then the server has been told to stop.
                tokio::time::sleep(Duration::from_millis(400)).await;
                stream.write_all(body.as_bytes()).await.expect("body");
                let answer = until_closed(&mut stream).await;
                assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
                seen.store(true, std::sync::atomic::Ordering::SeqCst);
            });
        }).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(done.load(std::sync::atomic::Ordering::SeqCst));
    }

    async fn the_ops_listener_tells_health_and_figures(database) {
        Api::run(database, async |api| {
            api.operator().get("/v1/accounts").await.ok();
            api.operator().get("/v1/accounts/acc_1/children").await.refused(404, "not_found");
            let get = async |path: &str| {
                let response = reqwest::get(format!("http://{}{path}", api.running.ops)).await.expect("answer");
                (response.status().as_u16(), response.text().await.expect("text"))
            };
            assert_eq!(get("/livez").await.0, 200);
            assert_eq!(get("/readyz").await.0, 200);
            let figures = get("/metrics").await.1;
            for line in [
                r#"tenantry_http_requests_total{method="GET",route="/v1/accounts",status="200"} 1"#,
                r#"tenantry_http_requests_total{method="GET",route="/v1/accounts/{account}/children",status="404"} 1"#,
                "tenantry_mails_waiting 0",
                "tenantry_mails_given_up 0",
            ] {
                assert!(figures.contains(line), "{figures}");
            }
            assert!(!figures.contains("acc_1"), "labels are bounded");
            assert_eq!(api.anonymous().get("/metrics").await.status, 404, "not for customers");
        }).await;
    }
}
