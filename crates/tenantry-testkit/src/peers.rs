//! Programs of other people that the product is tested against: a mail server, an identity provider.
//!
//! They are installed by `cargo xtask test` into the directory that `TENANTRY_TEST_PEERS` names. Tests fail without it.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// A program that runs until this is dropped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    lines: Receiver<String>,
    /// Where it listens, on the loopback interface.
    pub port: u16,
}

impl Peer {
    /// A mail server that prints each mail as JSON, and turns the first `refusals` away for now.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn smtp(refusals: u32) -> Self {
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", installed().join("python")).arg(script("smtp.py"));
        python.args(["refuse", &refusals.to_string()]);
        Self::start(python)
    }

    /// An identity provider that sends browsers back to `redirect`.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn oidc(redirect: &str) -> Self {
        // Node looks for packages beside the script.
        let mut node = Command::new(installed().join("bin/node"));
        node.arg(installed().join("node/oidc.mjs")).arg(redirect);
        Self::start(node)
    }

    #[expect(clippy::panic, reason = "a test that cannot run must fail")]
    fn start(mut command: Command) -> Self {
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, lines) = channel();
        let output = child.stdout.take().unwrap_or_else(|| panic!("no output of {command:?}"));
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut peer = Self { child, lines, port: 0 };
        let first = peer.line();
        peer.port = first.parse().unwrap_or_else(|_| panic!("{command:?} said {first:?}"));
        peer
    }

    /// The next line that it prints.
    ///
    /// # Panics
    /// If none comes for half a minute.
    #[must_use]
    #[expect(clippy::panic, reason = "an assertion")]
    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("the peer says nothing: {error}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(
    clippy::disallowed_methods,
    clippy::panic,
    reason = "a setting of the tests; a test that cannot run must fail"
)]
fn installed() -> PathBuf {
    let set = std::env::var("TENANTRY_TEST_PEERS");
    set.map(PathBuf::from).unwrap_or_else(|_| panic!("set TENANTRY_TEST_PEERS, or use `cargo xtask test`"))
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}
