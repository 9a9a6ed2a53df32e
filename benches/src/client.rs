//! An HTTP/1.1 client that does no more than it must: server and clients share the cores, and what the client burns is
//! missing where it is measured.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Result;

/// A connection that is kept for all requests of one client.
pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

/// What an answer starts with.
pub(crate) struct Head {
    pub(crate) ok: bool,
    /// How long it is, together with the empty line after it.
    pub(crate) length: usize,
    /// How long the body is.
    pub(crate) body: usize,
}

impl Client {
    /// Opens a connection.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(1 << 16) })
    }

    /// Sends a request and returns the body of its answer, or fails unless that is a success.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request).await?;
        self.received.clear();
        loop {
            if let Some(head) = head(&self.received)?
                && self.received.len() >= head.length + head.body
            {
                return self.answer(&head);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
    }

    fn answer(&self, head: &Head) -> Result<&[u8]> {
        if head.ok {
            return Ok(self.received.get(head.length..).unwrap_or_default());
        }
        Err(format!("the server refused: {}", String::from_utf8_lossy(&self.received)).into())
    }
}

/// The bytes of a request; one without a body has an empty one.
pub(crate) fn request(method: &str, path: &str, credential: &str, body: &str) -> Vec<u8> {
    let content = if body.is_empty() {
        String::new()
    } else {
        format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\nhost: bench\r\nx-api-key: {credential}\r\n{content}\r\n{body}").into_bytes()
}

/// The head of an answer, once all of it is there. An answer without content need not say that it has none.
pub(crate) fn head(received: &[u8]) -> Result<Option<Head>> {
    let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(received.get(..end).unwrap_or_default())?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok())?
    });
    let empty = text.starts_with("HTTP/1.1 204").then_some(0);
    let body = length.or(empty).ok_or("the answer does not say how long it is")?;
    Ok(Some(Head { ok: text.starts_with("HTTP/1.1 2"), length: end + 4, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        assert!(head(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n").expect("not there yet").is_none());
        let head = head(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}").expect("well-formed").expect("whole");
        assert_eq!((head.ok, head.length, head.body), (true, 43, 2));
        let empty = super::head(b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n").expect("well-formed").expect("whole");
        assert_eq!((empty.ok, empty.length, empty.body), (true, 38, 0));
    }
}
