//! APIs behind the gateway: one that answers with what it was sent, and one that does all that servers should not do.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// An API that answers with what it was sent. It ends with the runtime of the test.
pub(crate) async fn echo() -> SocketAddr {
    let echo = async |request: Request| {
        let (parts, body) = request.into_parts();
        let headers: serde_json::Map<_, _> = parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap_or("?"))))
            .collect();
        let version = format!("{:?}", parts.version);
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
        let sent = json!({
            "path": parts.uri.path_and_query().map(ToString::to_string),
            "host": parts.uri.host(),
            "version": version,
            "headers": headers,
            "body": String::from_utf8_lossy(&body),
        });
        axum::body::Body::from(sent.to_string())
    };
    let (listener, address) = listen().await;
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(echo)).await });
    address
}

pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("address");
    (listener, address)
}

/// An API that misbehaves as the last segment of the path says.
pub(crate) async fn odd() -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(misbehave(stream));
        }
    });
    address
}

async fn misbehave(mut stream: TcpStream) {
    let head = head(&mut stream).await;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let send = async |stream: &mut TcpStream, text: &str| stream.write_all(text.as_bytes()).await;
    let sent = match path.rsplit('/').next().unwrap_or_default() {
        // Accepts, and never answers.
        "hang" => hang().await,
        "trickle" => {
            let _ = send(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").await;
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_millis(250)).await;
                let _ = send(&mut stream, "x").await;
            }
            Ok(())
        }
        "stall" => {
            let _ = send(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nx").await;
            hang().await
        }
        "half-head" => send(&mut stream, "HTTP/1.1 200 OK\r\ncontent-le").await,
        "reset" => {
            let sent = send(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789").await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            let _ = stream.set_zero_linger();
            sent
        }
        "missing" => send(&mut stream, "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}").await,
        "garbage" => send(&mut stream, "nonsense\r\n\r\n").await,
        "switch" => {
            send(&mut stream, "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: odd\r\n\r\n").await
        }
        // More headers than anybody has memory for.
        "heads" => {
            let _ = send(&mut stream, "HTTP/1.1 200 OK\r\n").await;
            while send(&mut stream, &format!("x-more: {}\r\n", "y".repeat(1_000))).await.is_ok() {}
            Ok(())
        }
        "claims" => {
            let claims = "HTTP/1.1 200 OK\r\nx-tenantry-subject: acc_x\r\nx-tenantry-anything: 1\r\nconnection: x-hop, close\r\n\
                x-hop: 1\r\nset-cookie: __Host-tenantry=stolen; Path=/\r\nset-cookie: own=1\r\ncontent-length: 2\r\n\r\n{}";
            send(&mut stream, claims).await
        }
        // Does not take up the upgrade.
        "ordinary" => {
            let sent = send(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
            // Whatever comes after it must not have come from the client without being judged.
            let mut more = [0; 64];
            let more = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut more)).await;
            assert!(!matches!(more, Ok(Ok(1..))), "a request that nobody judged");
            sent
        }
        other => panic!("{other}"),
    };
    let _ = sent;
}

/// Longer than any test takes.
async fn hang() -> std::io::Result<()> {
    tokio::time::sleep(Duration::from_secs(600)).await;
    Ok(())
}

/// Reads up to the end of a head.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}
