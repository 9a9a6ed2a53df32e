//! `kill -9` at random moments while clients call through the gateway: what was answered is in the usage, and nothing is there
//! twice.
//!
//! A run has 50 rounds on each engine, half of them with `--usage-before-answer`: then not one answered call may be missing. Without
//! it, what was answered while the records before were being written may be; the run prints how many that were at most.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tenantry_testkit::{Database, both_engines};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::crash::setting;
use crate::server::{OPERATOR, Server, Write, serve};

const ROUNDS: u64 = 50;
const CLIENTS: usize = 16;

/// How many calls are answered before a server is killed, so that every round has some.
const CALLS_FROM: i64 = 50;
/// How many milliseconds it may live after that.
const KILLED_UNTIL: u64 = 60;

/// The longest that usage may take to get into the database.
const PATIENCE: Duration = Duration::from_secs(20);

/// Counts of calls: what clients know, one by one, and what the API behind does.
#[derive(Default)]
struct Counts {
    /// Calls of which a client has the answer.
    answered: [AtomicI64; CLIENTS],
    /// Calls that reached the API.
    reached: AtomicI64,
}

impl Counts {
    fn all_answered(&self) -> i64 {
        self.answered.iter().map(|count| count.load(Ordering::SeqCst)).sum()
    }
}

/// An API that counts its calls.
async fn counting(counts: Arc<Counts>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&counts)));
        }
    });
    address
}

async fn answer(mut stream: TcpStream, counts: Arc<Counts>) -> std::io::Result<()> {
    let mut seen = Vec::new();
    loop {
        seen.push(stream.read_u8().await?);
        if seen.ends_with(b"\r\n\r\n") {
            seen.clear();
            counts.reached.fetch_add(1, Ordering::SeqCst);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await?;
        }
    }
}

struct Trial {
    database: Database,
    upstream: String,
    account: String,
    /// One for each client: ids and texts.
    keys: Vec<(String, String)>,
    counts: Arc<Counts>,
    /// Calls of each client that were found in the usage without an answer that the client knows of.
    unknown: [i64; CLIENTS],
    /// Records of answered calls that were found to be missing.
    missing: i64,
    /// The most that were after one kill.
    most_missing: i64,
}

impl Trial {
    async fn begin(database: Database) -> Self {
        let counts = Arc::new(Counts::default());
        let upstream = counting(Arc::clone(&counts)).await;
        let mut trial = Self {
            database,
            upstream,
            account: String::new(),
            keys: Vec::new(),
            counts,
            unknown: [0; CLIENTS],
            missing: 0,
            most_missing: 0,
        };
        let mut server = trial.start(false).await;
        trial.account = server.api.plant("Acme").await;
        let post =
            async |path: &str, body: Value| server.api.send(&Write::post(path, body)).await.unwrap().expect_status(201);
        post("/v1/apis", json!({"id": "voice", "name": "v", "basePath": "/voice"})).await;
        post("/v1/apis/voice/endpoints", json!({"method": "GET", "path": "/**", "cost": 3})).await;
        for _ in 0..CLIENTS {
            let made = post(&format!("/v1/accounts/{}/keys", trial.account), json!({"name": "k"})).await;
            trial.keys.push((made.field("id"), made.field("secret")));
        }
        server.stop().await.succeeded();
        trial
    }

    async fn start(&self, before_answer: bool) -> Server {
        let mut command = serve(&self.database);
        command.env("TENANTRY_OPERATOR_TOKEN", OPERATOR).arg("--upstream").arg(&self.upstream);
        if before_answer {
            command.arg("--usage-before-answer");
        }
        Server::spawn(command).await
    }

    /// Looks at what the servers before left, then calls with all clients until this one is killed.
    async fn round(&mut self, before_answer: bool, lives: Duration) {
        let mut server = self.start(before_answer).await;
        self.check(&server).await;
        let begun = self.counts.all_answered();
        let clients: Vec<_> = (0..CLIENTS).map(|client| tokio::spawn(self.client(client, &server))).collect();
        while self.counts.all_answered() < begun + CALLS_FROM {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(lives).await;
        server.kill().await;
        for client in clients {
            client.await.unwrap();
        }
    }

    /// Calls one after the other until nobody answers.
    fn client(&self, client: usize, server: &Server) -> impl Future<Output = ()> + Send + 'static {
        let counts = Arc::clone(&self.counts);
        let (url, (_, key)) = (format!("{}/voice/a", server.gateway), self.keys[client].clone());
        async move {
            let http = reqwest::Client::new();
            while let Ok(answer) = http.get(&url).header("x-api-key", &key).send().await {
                assert_eq!(answer.status().as_u16(), 200);
                // What has a head has been answered.
                counts.answered[client].fetch_add(1, Ordering::SeqCst);
                let _ = answer.bytes().await;
            }
        }
    }

    /// Compares what the database knows of with what clients know, once everything of before is in.
    async fn check(&mut self, server: &Server) {
        let used = self.used(server).await;
        let (calls, credits) = (&used["totals"]["calls"], &used["totals"]["credits"]);
        assert_eq!(credits.as_i64().unwrap(), 3 * calls.as_i64().unwrap(), "nothing failed");
        let reached = self.counts.reached.load(Ordering::SeqCst);
        assert!(calls.as_i64().unwrap() <= reached, "{calls} calls are in the usage, {reached} reached the API");
        let mut missing = 0;
        for (client, (key, _)) in self.keys.iter().enumerate() {
            let row = used["data"].as_array().unwrap().iter().find(|row| row["group"] == key.as_str());
            let calls = row.map_or(0, |row| row["calls"].as_i64().unwrap());
            let beyond = calls - self.counts.answered[client].load(Ordering::SeqCst) - self.unknown[client];
            // The one call that was under way may be in, too; nothing is in twice.
            assert!(beyond <= 1, "{beyond} calls too many of {key}");
            self.unknown[client] += beyond;
            missing += (-beyond).max(0);
        }
        self.missing += missing;
        self.most_missing = self.most_missing.max(missing);
    }

    async fn used(&self, server: &Server) -> Value {
        let path = format!("/v1/accounts/{}/usage?granularity=day&groupBy=key", self.account);
        let started = Instant::now();
        loop {
            let used = server.api.get(&path, OPERATOR).await.expect_status(200).json();
            if used["asOf"].is_string() {
                return used;
            }
            assert!(started.elapsed() < PATIENCE, "usage does not get in: {used}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

both_engines! {
    async fn usage_survives(database) {
        let rounds = setting("TENANTRY_KILLS").unwrap_or(ROUNDS) / 2;
        let engine = if database.is_postgres() { "PostgreSQL" } else { "SQLite" };
        let mut trial = Trial::begin(database).await;
        for round in 0..=rounds {
            trial.round(true, Duration::from_millis(round * 37 % KILLED_UNTIL)).await;
        }
        // The last one was not looked at yet, which the next does.
        for round in 0..rounds {
            let missing = trial.missing;
            trial.round(false, Duration::from_millis(round * 37 % KILLED_UNTIL)).await;
            assert!(round > 0 || (missing, trial.missing) == (0, 0), "each answer waited for its record");
        }
        let mut server = trial.start(false).await;
        trial.check(&server).await;
        server.stop().await.succeeded();
        let Trial { missing, most_missing, .. } = trial;
        let answered = trial.counts.all_answered();
        println!("{engine}: {} kills, {answered} answered calls, {missing} records missing, at most {most_missing} after a kill", 2 * rounds + 1);
    }
}
