//! What a deployment can be configured to do. Where the values come from is the binary's business.

use std::collections::BTreeSet;
use std::time::Duration;

/// The configuration of a server.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address under which people reach the control listener.
    pub public_url: String,
    /// The operator token; `None` uses the one made at the first start.
    pub operator_token: Option<String>,
    /// The settings that an account may override.
    pub overridable_settings: BTreeSet<String>,
    /// How long things may take.
    pub timeouts: Timeouts,
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
    /// For requests in flight when the server is told to stop.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            request: Duration::from_secs(30),
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
            timeouts: Timeouts::default(),
        }
    }
}

/// The shortest operator token that is accepted, in characters.
pub const SHORTEST_OPERATOR_TOKEN: usize = 32;
