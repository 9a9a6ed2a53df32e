//! What the gateway costs in memory, as a process.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use serde_json::json;
use tenantry_testkit::Database;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::server::{Server, Write};

const GIB: u64 = 1 << 30;
const CHUNK: usize = 64 * 1024;
/// By how much the memory of the server may grow, in KiB.
const GROWTH: u64 = 32 * 1024;

/// A body of so many bytes.
struct Zeros(u64);

impl http_body::Body for Zeros {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        static CHUNKS: [u8; CHUNK] = [0; CHUNK];
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        self.0 -= CHUNK as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&CHUNKS)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

/// An API that counts what is posted, and gives as much to who gets.
async fn large(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let mut chunk = vec![0; CHUNK];
    if head.starts_with(b"GET") {
        stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {GIB}\r\n\r\n").as_bytes()).await?;
        for _ in 0..GIB / CHUNK as u64 {
            stream.write_all(&chunk).await?;
        }
        return Ok(());
    }
    let mut count = 0;
    while count < GIB {
        count += stream.read(&mut chunk).await? as u64;
    }
    let text = count.to_string();
    stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()).as_bytes()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_passes_in_little_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(large(stream));
        }
    });
    let database = Database::sqlite();
    let mut server = Server::start(&database).await;
    let account = server.api.plant("Acme").await;
    let send = async |path: String, body| server.api.send(&Write::post(path, body)).await.unwrap().expect_status(201);
    send("/v1/apis".to_owned(), json!({"id": "files", "name": "f", "basePath": "/files", "upstream": upstream})).await;
    for method in ["GET", "POST"] {
        send("/v1/apis/files/endpoints".to_owned(), json!({"method": method, "path": "/**"})).await;
    }
    let key = send(format!("/v1/accounts/{account}/keys"), json!({"name": "k"})).await.field("secret");
    let (http, url) = (server.api.http.clone(), format!("{}/files/large", server.gateway));
    // The first calls make connections and buffers that stay.
    let before = server.peak_memory();

    let sent = http.post(&url).header("x-api-key", &key).body(reqwest::Body::wrap(Zeros(GIB))).send().await.unwrap();
    assert_eq!(sent.text().await.unwrap(), GIB.to_string());
    let mut answer = http.get(&url).header("x-api-key", &key).send().await.unwrap();
    let mut count = 0;
    while let Some(chunk) = answer.chunk().await.unwrap() {
        count += chunk.len() as u64;
    }
    assert_eq!(count, GIB);

    let growth = server.peak_memory() - before;
    println!("1 GiB up and 1 GiB down: {growth} KiB more memory");
    assert!(growth < GROWTH, "{growth} KiB");
    server.stop().await.succeeded();
}
