//! How nginx is configured: what it answers by itself, what it forwards, and whom it asks before.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use super::servers::free_address;
use crate::Result;

/// More than a connection lasts.
const FOR_EVER: &str = "1000000000";

/// Where everything listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doors {
    pub(crate) control: SocketAddr,
    pub(crate) gateway: SocketAddr,
    pub(crate) ops: SocketAddr,
    /// The API behind, which is small.
    pub(crate) small: SocketAddr,
    /// Who lets everything through without looking.
    pub(crate) trivial: SocketAddr,
    /// nginx that answers 204.
    pub(crate) empty: SocketAddr,
    /// nginx that forwards.
    pub(crate) proxy: SocketAddr,
    /// nginx that asks the trivial server, or Tenantry, and answers itself.
    pub(crate) asks_trivial: SocketAddr,
    pub(crate) asks_tenantry: SocketAddr,
    /// nginx that asks and forwards.
    pub(crate) asks_trivial_and_forwards: SocketAddr,
    pub(crate) asks_tenantry_and_forwards: SocketAddr,
}

impl Doors {
    /// Addresses that were free a moment ago.
    pub(crate) fn free() -> Result<Self> {
        Ok(Self {
            control: free_address()?,
            gateway: free_address()?,
            ops: free_address()?,
            small: free_address()?,
            trivial: free_address()?,
            empty: free_address()?,
            proxy: free_address()?,
            asks_trivial: free_address()?,
            asks_tenantry: free_address()?,
            asks_trivial_and_forwards: free_address()?,
            asks_tenantry_and_forwards: free_address()?,
        })
    }

    /// The nginx that stands in front.
    pub(crate) fn front(&self) -> String {
        let mut text = String::new();
        for (name, address) in [("small", self.small), ("trivial", self.trivial), ("tenantry", self.control)] {
            let _ = writeln!(
                text,
                "upstream {name} {{ server {address}; keepalive 128; keepalive_requests {FOR_EVER}; keepalive_time 1h; }}"
            );
        }
        text.push_str(&server(self.empty, "location / { return 204; }"));
        text.push_str(&server(self.proxy, &format!("location / {{ {} }}", forward("http://small"))));
        for (address, who, what) in [
            (self.asks_trivial, "trivial", "empty_gif;".to_owned()),
            (self.asks_tenantry, "tenantry", "empty_gif;".to_owned()),
            (self.asks_trivial_and_forwards, "trivial", identified()),
            (self.asks_tenantry_and_forwards, "tenantry", identified()),
        ] {
            text.push_str(&server(address, &asking(who, &what)));
        }
        text
    }

    /// Who answers 204 to everything, without looking.
    pub(crate) fn trivial(&self) -> String {
        server(self.trivial, "location / { return 204; }")
    }

    /// The API behind.
    pub(crate) fn small(&self) -> String {
        server(self.small, "location / { default_type text/plain; return 200 'Good day.'; }")
    }
}

/// A whole configuration. What Debian's nginx writes to by default belongs to root.
pub(crate) fn configuration(directory: &Path, servers: &str) -> String {
    let mut own = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = write!(own, "{kind}_temp_path {}/{kind}; ", directory.display());
    }
    format!(
        "worker_processes 1;\nevents {{ worker_connections 1024; }}\n\
         http {{\naccess_log off; {own}\nkeepalive_timeout 1h; keepalive_requests {FOR_EVER};\n{servers}}}\n"
    )
}

fn server(address: SocketAddr, locations: &str) -> String {
    format!("server {{ listen {address}; {locations} }}\n")
}

fn forward(to: &str) -> String {
    format!("proxy_pass {to}; proxy_http_version 1.1; proxy_set_header Connection \"\";")
}

/// As `deploy/nginx.conf` asks.
fn asking(who: &str, what: &str) -> String {
    let forward = forward(&format!("http://{who}/v1/authz/nginx"));
    let kept = ["account", "actor", "user", "key", "code", "status"]
        .map(|name| format!("auth_request_set $tenantry_{name} $upstream_http_x_tenantry_{name};"));
    format!(
        "location = /_ask {{ internal; {forward} proxy_pass_request_body off; proxy_set_header Content-Length \"\"; \
           proxy_set_header X-Original-Method $request_method; proxy_set_header X-Original-URI $request_uri; \
           proxy_set_header X-Forwarded-For $remote_addr; }}\n\
         location / {{ auth_request /_ask; {} {what} }}",
        kept.join(" ")
    )
}

/// Forwards with what the API behind is told, as `deploy/nginx.conf` does.
fn identified() -> String {
    let told = ["Account", "Actor", "User", "Key"]
        .map(|name| format!("proxy_set_header X-Tenantry-{name} $tenantry_{};", name.to_ascii_lowercase()));
    let hidden = ["x-api-key", "X-Auth-Token", "Authorization"].map(|name| format!("proxy_set_header {name} \"\";"));
    format!("{} {} {}", forward("http://small"), told.join(" "), hidden.join(" "))
}
