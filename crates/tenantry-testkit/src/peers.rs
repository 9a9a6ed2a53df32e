//! Programs of other people that the product is tested against: a mail server, an identity provider, proxies.
//!
//! They are installed by `cargo xtask test` into the directory that `TENANTRY_TEST_PEERS` names. Tests fail without it.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::fresh_directory;

const PATIENCE: Duration = Duration::from_secs(30);

/// A program that runs until this is dropped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    lines: Receiver<String>,
    /// Its files, which go with it.
    directory: Option<PathBuf>,
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

    /// nginx with this configuration, which has it listen on `port`.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn nginx(configuration: &str, port: u16) -> Self {
        let directory = fresh_directory("nginx");
        let mut nginx = Command::new(installed().join("debian/usr/sbin/nginx"));
        // What Debian's nginx writes to by default belongs to root.
        let mut own = "http { access_log off;".to_owned();
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            own.push_str(&format!(" {kind}_temp_path {}/{kind};", directory.display()));
        }
        let configuration = written(&directory, &configuration.replacen("http {", &own, 1));
        nginx.arg("-p").arg(&directory).args(["-e", "stderr", "-c"]).arg(configuration);
        nginx.args(["-g", &format!("daemon off; master_process off; pid {}/pid;", directory.display())]);
        Self::listening(nginx, directory, port)
    }

    /// Caddy with this configuration, which has it listen on `port`.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn caddy(configuration: &str, port: u16) -> Self {
        let directory = fresh_directory("caddy");
        let mut caddy = Command::new(installed().join("debian/usr/bin/caddy"));
        caddy.args(["run", "--adapter", "caddyfile", "--config"]).arg(written(&directory, configuration));
        caddy.env("HOME", &directory);
        Self::listening(caddy, directory, port)
    }

    /// Envoy with this configuration, which has it listen on `port`.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn envoy(configuration: &str, port: u16) -> Self {
        let directory = fresh_directory("envoy");
        let mut envoy = Command::new(installed().join("python/envoy/_bin/envoy"));
        // By itself it would share memory with others of its kind, and start a thread for every core.
        envoy.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]);
        envoy.args(["--config-yaml", configuration]).current_dir(&directory);
        Self::listening(envoy, directory, port)
    }

    /// Starts a program and waits until somebody can connect to it.
    #[expect(clippy::panic, reason = "a test that cannot run must fail")]
    fn listening(mut command: Command, directory: PathBuf, port: u16) -> Self {
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, lines) = channel();
        let log = child.stderr.take().unwrap_or_else(|| panic!("no log of {command:?}"));
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let peer = Self { child, lines, directory: Some(directory), port };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || peer.lines.try_iter().collect::<Vec<_>>().join("\n");
            assert!(Instant::now() < end, "{command:?} does not listen: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        peer
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
        let mut peer = Self { child, lines, directory: None, port: 0 };
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
        if let Some(directory) = &self.directory {
            let _ = std::fs::remove_dir_all(directory);
        }
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

/// A port of the loopback interface that was free a moment ago.
///
/// # Panics
/// If there is none.
#[must_use]
#[expect(clippy::panic, reason = "a test that cannot run must fail")]
pub fn free_port() -> u16 {
    let bound = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    bound.unwrap_or_else(|error| panic!("no port: {error}")).port()
}

/// A configuration as a file.
#[expect(clippy::panic, reason = "a test that cannot run must fail")]
fn written(directory: &Path, configuration: &str) -> PathBuf {
    let path = directory.join("configuration");
    std::fs::write(&path, configuration).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}
