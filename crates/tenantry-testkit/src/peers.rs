//! Programs of other people that the product is tested against: a mail server, an identity provider.
//!
//! They are installed by `cargo xtask test` into the directory that `TENANTRY_TEST_PEERS` names. Tests fail without it.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::fresh_directory;

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
        let mut python = smtp_server();
        python.args(["refuse", &refusals.to_string()]);
        Self::start(python)
    }

    /// A mail server that takes mail only after STARTTLS, and the certificate of its authority as PEM. Its own certificate
    /// is for `localhost` and 127.0.0.1.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn smtp_with_starttls() -> (Self, String) {
        Self::certified("starttls")
    }

    /// A mail server that speaks TLS from the first byte, and the certificate of its authority as PEM. Its own certificate
    /// is for `localhost` and 127.0.0.1.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn smtp_over_tls() -> (Self, String) {
        Self::certified("tls")
    }

    /// A mail server with a certificate of an authority that it made for itself, so that nobody else trusts it.
    #[expect(clippy::panic, reason = "a test that cannot run must fail")]
    fn certified(mode: &str) -> (Self, String) {
        let directory = fresh_directory("smtp");
        let path = directory.join("ca.pem");
        let mut python = smtp_server();
        python.arg(mode).arg(&path);
        let peer = Self::start(python);
        // It has written the file by the time that it tells its port.
        let ca = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let _ = std::fs::remove_dir_all(directory);
        (peer, ca)
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

fn smtp_server() -> Command {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", installed().join("python")).arg(script("smtp.py"));
    python
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}
