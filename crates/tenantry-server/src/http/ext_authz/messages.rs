//! The messages of `envoy.service.auth.v3`, as far as they are read or written here. Numbers and types are those of
//! `external_auth.proto`, `attribute_context.proto` and the files that they import; what else is sent is skipped.

use std::collections::HashMap;

use prost::{Enumeration, Message, Oneof};

/// The question: may this call go on?
#[derive(Clone, PartialEq, Message)]
pub struct CheckRequest {
    /// What is known about the call.
    #[prost(message, optional, tag = "1")]
    pub attributes: Option<AttributeContext>,
}

/// What Envoy knows about a call.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeContext {
    /// Who is connected to Envoy.
    #[prost(message, optional, tag = "1")]
    pub source: Option<Peer>,
    /// What they ask for.
    #[prost(message, optional, tag = "4")]
    pub request: Option<Request>,
}

/// One end of a connection.
#[derive(Clone, PartialEq, Message)]
pub struct Peer {
    /// Where it is.
    #[prost(message, optional, tag = "1")]
    pub address: Option<Address>,
}

/// An address; only those of sockets are read.
#[derive(Clone, PartialEq, Message)]
pub struct Address {
    /// Of a socket.
    #[prost(message, optional, tag = "1")]
    pub socket_address: Option<SocketAddress>,
}

/// The address of a socket, without its port.
#[derive(Clone, PartialEq, Message)]
pub struct SocketAddress {
    /// In digits.
    #[prost(string, tag = "2")]
    pub address: String,
}

/// A request of some protocol; only HTTP is read.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// Of HTTP.
    #[prost(message, optional, tag = "2")]
    pub http: Option<HttpRequest>,
}

/// The head of a call.
#[derive(Clone, PartialEq, Message)]
pub struct HttpRequest {
    /// The method.
    #[prost(string, tag = "2")]
    pub method: String,
    /// The headers, those of one name joined by commas.
    #[prost(map = "string, string", tag = "3")]
    pub headers: HashMap<String, String>,
    /// Path and query as they came: bytes, since a client can send what is no text.
    #[prost(bytes = "vec", tag = "4")]
    pub path: Vec<u8>,
    /// The headers one by one as they came, where Envoy is told so (`encode_raw_headers`).
    #[prost(message, optional, tag = "13")]
    pub header_map: Option<HeaderMap>,
}

/// Headers in their order.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderMap {
    /// One by one.
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<HeaderValue>,
}

/// A header.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderValue {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value, if that is a text.
    #[prost(string, tag = "2")]
    pub value: String,
    /// Its value in bytes, where `value` is empty.
    #[prost(bytes = "vec", tag = "3")]
    pub raw_value: Vec<u8>,
}

/// The answer.
#[derive(Clone, PartialEq, Message)]
pub struct CheckResponse {
    /// Whether the call may go on: only with a code of 0.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// What comes of it.
    #[prost(oneof = "HttpResponse", tags = "2, 3")]
    pub http_response: Option<HttpResponse>,
}

/// A status as gRPC has it.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// The code.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// What comes of a call.
#[derive(Clone, PartialEq, Oneof)]
pub enum HttpResponse {
    /// It is answered with this.
    #[prost(message, tag = "2")]
    Denied(DeniedHttpResponse),
    /// It goes on, changed like this.
    #[prost(message, tag = "3")]
    Ok(OkHttpResponse),
}

/// The answer to a call that may not go on.
#[derive(Clone, PartialEq, Message)]
pub struct DeniedHttpResponse {
    /// Its status.
    #[prost(message, optional, tag = "1")]
    pub status: Option<HttpStatus>,
    /// Its headers.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    /// Its body.
    #[prost(string, tag = "3")]
    pub body: String,
}

/// A status of HTTP.
#[derive(Clone, PartialEq, Message)]
pub struct HttpStatus {
    /// The number. It is an enumeration there, of all the numbers that a status can be.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// How a call is changed before it goes on.
#[derive(Clone, PartialEq, Message)]
pub struct OkHttpResponse {
    /// Headers that it gets.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    /// Names of headers that it loses.
    #[prost(string, repeated, tag = "5")]
    pub headers_to_remove: Vec<String>,
    /// Headers that its answer gets.
    #[prost(message, repeated, tag = "6")]
    pub response_headers_to_add: Vec<HeaderValueOption>,
}

/// A header to set.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderValueOption {
    /// The header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<HeaderValue>,
    /// What becomes of one that is there.
    #[prost(enumeration = "HeaderAppendAction", tag = "3")]
    pub append_action: i32,
}

/// What becomes of a header that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum HeaderAppendAction {
    /// It stays, beside the new one.
    AppendIfExistsOrAdd = 0,
    /// It stays, and the new one is dropped.
    AddIfAbsent = 1,
    /// It goes.
    OverwriteIfExistsOrAdd = 2,
    /// It goes; where there is none, the new one is dropped.
    OverwriteIfExists = 3,
}
