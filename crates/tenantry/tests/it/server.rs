//! Runs the binary under test: commands that end by themselves, and servers.

use std::collections::BTreeSet;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _};
use tenantry_testkit::Database;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The operator token of all tests that bring their own.
pub(crate) const OPERATOR: &str = "the-operator-token-of-these-tests";

/// How long anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most rows that a list answers at once.
const LARGEST_PAGE: usize = 100;

/// A command line of the binary, without the settings of whoever runs the tests.
pub(crate) fn tenantry(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TENANTRY_")) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A command line of the binary, on a database.
pub(crate) fn tenantry_on(database: &Database, arguments: &[&str]) -> Command {
    let mut command = tenantry(arguments);
    command.arg("--data-dir").arg(&database.directory);
    if database.is_postgres() {
        command.arg("--database-url").arg(&database.url);
    }
    command
}

/// The command line of a server on free ports, without an operator token.
pub(crate) fn serve(database: &Database) -> Command {
    let mut command = tenantry_on(
        database,
        &["serve", "--log-format", "json", "--gateway-listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"],
    );
    command.env("TENANTRY_LISTEN", "127.0.0.1:0");
    command
}

/// How a process ended, and all that it said.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// What the process said on standard error, if it failed as a refusal does.
    pub(crate) fn refused(self) -> String {
        assert_eq!(self.status.code(), Some(1), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stderr
    }

    /// What the process said on standard output, if it went well.
    pub(crate) fn succeeded(self) -> String {
        assert!(self.status.success(), "{}\nstdout: {}\nstderr: {}", self.status, self.stdout, self.stderr);
        self.stdout
    }
}

/// Runs a command that ends by itself.
pub(crate) async fn finish(mut command: Command) -> Ended {
    let output = timeout(PATIENCE, command.output()).await.expect("the command ends").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs SQL on the database behind the back of the binary.
pub(crate) async fn tamper(database: &Database, sql: &'static str) {
    if database.is_postgres() {
        let mut connection = sqlx::PgConnection::connect(&database.url).await.unwrap();
        connection.execute(sql).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = sqlx::SqliteConnection::connect(&database.url).await.unwrap();
        connection.execute(sql).await.unwrap();
        connection.close().await.unwrap();
    }
}

/// A server process. It dies with this value.
pub(crate) struct Server {
    pub(crate) api: Api,
    /// The address of health and figures.
    pub(crate) ops: String,
    /// The address of the gateway.
    pub(crate) gateway: String,
    child: Child,
    stdout: Drain,
    stderr: Drain,
}

impl Server {
    /// Starts a server with the token of these tests.
    pub(crate) async fn start(database: &Database) -> Self {
        let mut command = serve(database);
        command.env("TENANTRY_OPERATOR_TOKEN", OPERATOR);
        Self::spawn(command).await
    }

    /// Starts what [`serve`] made, and waits until it serves.
    pub(crate) async fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = Drain::of(child.stdout.take().unwrap());
        let stderr = Drain::of(child.stderr.take().unwrap());
        tenantry_server::use_ring();
        let http = Client::builder().timeout(PATIENCE).build().unwrap();
        let api = Api { http, url: String::new() };
        let mut server = Self { api, ops: String::new(), gateway: String::new(), child, stdout, stderr };
        let line = server.logged("serving").await;
        let address = |name: &str| format!("http://{}", line[name].as_str().unwrap());
        (server.api.url, server.ops, server.gateway) = (address("control"), address("ops"), address("gateway"));
        server
    }

    /// Waits for a log line with this message.
    pub(crate) async fn logged(&mut self, message: &str) -> Value {
        let waiting = async {
            loop {
                let ended = self.child.try_wait().unwrap();
                let log = self.stderr.text();
                let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                if let Some(line) = lines.find(|line| line["message"] == message) {
                    return line;
                }
                assert!(ended.is_none(), "the server ended before it said {message:?}:\n{log}");
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, waiting).await.expect("the server says it")
    }

    /// The most memory that the server ever had at once, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().expect("it runs"))).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a figure");
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Asks the server to stop.
    pub(crate) async fn terminate(&mut self) {
        let pid = self.child.id().expect("it runs").to_string();
        // There is no safe call for this in the standard library; every shell has a built-in one.
        let sent = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Kills the server as `kill -9` does, and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        use std::os::unix::process::ExitStatusExt as _;

        self.child.start_kill().unwrap();
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it dies").unwrap();
        assert_eq!(status.signal(), Some(9), "the server ended before it was killed: {status}");
    }

    /// Waits until the server has ended.
    pub(crate) async fn ended(&mut self) -> Ended {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("the server ends").unwrap();
        Ended { status, stdout: self.stdout.rest().await, stderr: self.stderr.rest().await }
    }

    /// Stops the server and waits until it has ended.
    pub(crate) async fn stop(&mut self) -> Ended {
        self.terminate().await;
        self.ended().await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.stderr.text();
            let lines: Vec<_> = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
            let last = lines.len().saturating_sub(10);
            eprintln!("What the server complained about last:\n{}", lines[last..].join("\n"));
        }
    }
}

/// A pipe that is read as it fills, so that it never is full.
struct Drain {
    bytes: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Drain {
    fn of(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let filled = Arc::clone(&bytes);
        let task = tokio::spawn(async move {
            let mut chunk = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
                filled.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..count]);
            }
        });
        Self { bytes, task }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    async fn rest(&mut self) -> String {
        let _ = (&mut self.task).await;
        self.text()
    }
}

/// The way to a server: an address, and connections that are kept.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) http: Client,
    pub(crate) url: String,
}

/// A request that changes something.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) credential: String,
    /// The idempotency key.
    pub(crate) once: Option<String>,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
}

/// An answer, read as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) replayed: bool,
    /// The revisions of the change.
    pub(crate) revision: Option<String>,
    pub(crate) text: String,
}

impl Write {
    /// A `POST` by the operator.
    pub(crate) fn post(path: impl Into<String>, body: Value) -> Self {
        let (credential, path) = (OPERATOR.to_owned(), path.into());
        Self { credential, once: None, method: Method::POST, path, body: Some(body) }
    }

    /// The same under an idempotency key.
    pub(crate) fn once(self, key: &str) -> Self {
        Self { once: Some(key.to_owned()), ..self }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// A text at the top of the body.
    pub(crate) fn field(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name}: {self:?}")).to_owned()
    }

    /// The answer, if it has this status.
    pub(crate) fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl Api {
    pub(crate) async fn get(&self, path: &str, credential: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.url)).header("x-api-key", credential);
        read(request).await.unwrap()
    }

    /// Sends a write; an error is a write of which nobody knows whether it happened.
    pub(crate) async fn send(&self, write: &Write) -> reqwest::Result<Answer> {
        let mut request = self.http.request(write.method.clone(), format!("{}{}", self.url, write.path));
        request = request.header("x-api-key", &write.credential);
        if let Some(key) = &write.once {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = &write.body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        read(request).await
    }

    /// How long a list is.
    pub(crate) async fn total(&self, path: &str) -> usize {
        let answer = self.get(&format!("{path}?limit=1"), OPERATOR).await.expect_status(200).json();
        usize::try_from(answer["pagination"]["total"].as_u64().unwrap()).unwrap()
    }

    /// The ids of a whole list.
    pub(crate) async fn list(&self, path: &str) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        for offset in (0..).step_by(LARGEST_PAGE) {
            let path = format!("{path}?limit={LARGEST_PAGE}&offset={offset}");
            let page = self.get(&path, OPERATOR).await.expect_status(200).json();
            let rows = page["data"].as_array().unwrap();
            for row in rows {
                assert!(ids.insert(row["id"].as_str().unwrap().to_owned()), "{row} twice");
            }
            if rows.len() < LARGEST_PAGE {
                break;
            }
        }
        ids
    }

    /// Makes a root account; answers its id.
    pub(crate) async fn plant(&self, name: &str) -> String {
        let write = Write::post("/v1/accounts", json!({"name": name, "email": "root@example.com"}));
        self.send(&write).await.unwrap().expect_status(201).field("id")
    }
}

/// Sends a request and reads its answer as a whole.
pub(crate) async fn read(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let replayed = header("idempotency-replayed").as_deref() == Some("true");
    let (status, revision) = (response.status().as_u16(), header("x-tenantry-rev"));
    Ok(Answer { status, replayed, revision, text: response.text().await? })
}
