//! What a deployment can be configured to do. Where the values come from is the binary's business.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

pub use tenantry_core::network::Networks;
pub use tenantry_gateway::Address;

/// The configuration of a server.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address under which people reach the control listener.
    pub public_url: String,
    /// The operator token; `None` uses the one made at the first start.
    pub operator_token: Option<String>,
    /// The settings that an account may override.
    pub overridable_settings: BTreeSet<String>,
    /// How mail is sent; `None` keeps it in a mailbox for the operator to read.
    pub smtp_url: Option<String>,
    /// Certificates of authorities, as PEM, that the mail server's may be signed by, besides the usual ones.
    pub smtp_ca: Option<String>,
    /// Who mails are from.
    pub mail_from: String,
    /// What seals the secrets that have to be read again, besides what the database holds.
    pub secret: Option<String>,
    /// The proxies whose `X-Forwarded-For` says where a client is.
    pub trusted_proxies: Networks,
    /// Where users can sign in instead of here.
    pub providers: Vec<Provider>,
    /// Where the APIs are that name no upstream of their own.
    pub upstream: Option<Address>,
    /// Certificates of authorities, as PEM, that servers behind may be signed by, besides the usual ones.
    pub upstream_ca: Option<String>,
    /// What the APIs behind can check our word about callers with.
    pub identity_secret: Option<String>,
    /// Where usage is kept until it is in the database. Only this server has it.
    pub usage_dir: PathBuf,
    /// Whether answers of the gateway wait until what the call used is on the disk.
    pub usage_before_answer: bool,
    /// How long things may take.
    pub timeouts: Timeouts,
}

/// An identity provider that speaks OpenID Connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// What it is called here.
    pub name: String,
    /// Its address, below which its discovery document is.
    pub issuer: String,
    /// Who Tenantry is there.
    pub client_id: String,
    /// How Tenantry proves it.
    pub client_secret: String,
}

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// To send the whole head of a request, counted from the connection or the last answer.
    pub header: Duration,
    /// Between two bytes.
    pub idle: Duration,
    /// For a request as a whole, its body included.
    pub request: Duration,
    /// For a server behind the gateway to do nothing.
    pub upstream: Duration,
    /// For requests in flight when the server is told to stop.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            request: Duration::from_secs(30),
            upstream: Duration::from_secs(60),
            drain: Duration::from_secs(30),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8080".to_owned(),
            operator_token: None,
            overridable_settings: ["timezone", "language", "recording", "policies"].map(str::to_owned).into(),
            smtp_url: None,
            smtp_ca: None,
            mail_from: "Tenantry <tenantry@localhost>".to_owned(),
            secret: None,
            trusted_proxies: Networks::default(),
            providers: Vec::new(),
            upstream: None,
            upstream_ca: None,
            identity_secret: None,
            usage_dir: PathBuf::from("tenantry-data/usage"),
            usage_before_answer: false,
            timeouts: Timeouts::default(),
        }
    }
}

/// The shortest operator token that is accepted, in characters.
pub const SHORTEST_OPERATOR_TOKEN: usize = 32;
