//! Decisions over the network, and calls through the gateway, beside what nginx does without them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::decide::HOT;
use super::load::{Answers, KEY, Question, ask};
use super::nginx::Doors;
use super::servers::{ASKING, MEASURED, OPERATOR, Server, start_nginx};
use super::shape::{CLIENT, TARGET};
use crate::Result;
use crate::options::Options;
use crate::stats::{median, micros, nanos, per_second, percent, ratio, thousands};
use crate::table::Row;

/// How many calls a batch is about.
const BATCH: usize = 64;

/// The head of the table.
pub(crate) const HEAD: [&str; 8] =
    ["Over the network, 64 connections", "Tenantry", "p99", "Beside it", "p99", "Ratio", "p99, ratio", "Goal"];

/// The head of the table that tells what limited what.
pub(crate) const CORES: [&str; 4] = ["Who answers", "Core time of an answer", "Its core busy", "Who asks busy"];

/// The programs beside Tenantry.
pub(crate) struct Nginx {
    front: Server,
    trivial: Server,
    /// Disturbs all that forward in the same way: it is where they are asked from.
    _small: Server,
}

impl Nginx {
    pub(crate) fn start(directory: &Path, doors: &Doors) -> Result<Self> {
        Ok(Self {
            _small: start_nginx(directory, "small", ASKING, &doors.small(), doors.small)?,
            trivial: start_nginx(directory, "trivial", MEASURED, &doors.trivial(), doors.trivial)?,
            front: start_nginx(directory, "front", MEASURED, &doors.front(), doors.empty)?,
        })
    }
}

/// Somebody who answers on the measured core.
struct Candidate<'a> {
    name: &'static str,
    at: SocketAddr,
    question: Question,
    /// Who has to work for an answer.
    servers: Vec<&'a Server>,
    rounds: Vec<Round>,
}

/// One round of one candidate.
struct Round {
    answers: Answers,
    /// How long its processes had the core, in nanoseconds.
    busy: u64,
}

impl<'a> Candidate<'a> {
    fn new(name: &'static str, at: SocketAddr, question: Question, servers: &[&'a Server]) -> Self {
        Self { name, at, question, servers: servers.to_vec(), rounds: Vec::new() }
    }

    fn measure(&mut self, options: &Options) -> Result<Round> {
        let busy = |servers: &[&Server]| servers.iter().map(|server| server.busy()).sum::<Result<u64>>();
        let before = busy(&self.servers)?;
        let answers =
            ask(self.at, &self.question, options.stretch).map_err(|error| format!("{}: {error}", self.name))?;
        Ok(Round { answers, busy: busy(&self.servers)?.saturating_sub(before) })
    }

    fn middle(&self, value: impl Fn(&Round) -> u64) -> u64 {
        median(self.rounds.iter().map(value).collect())
    }

    /// Answers in a second.
    fn rate(&self) -> u64 {
        self.middle(|round| per_second(round.answers.count, round.answers.elapsed))
    }

    /// In microseconds.
    fn p99(&self) -> u64 {
        self.middle(|round| round.answers.p99)
    }

    /// Who was busy for how long: what is near 100 was the limit.
    fn cores(&self) -> Row {
        let share = |nanos: u64, round: &Round| percent(nanos / 1_000, micros(round.answers.elapsed));
        let per_answer = self.middle(|round| round.busy / round.answers.count.max(1));
        vec![
            self.name.to_owned(),
            nanos(per_answer),
            format!("{} %", self.middle(|round| share(round.busy, round))),
            format!("{} %", self.middle(|round| share(round.answers.busy, round))),
        ]
    }
}

/// Measures all of them in turns. Answers the rows of both tables.
pub(crate) fn run(
    nginx: &Nginx,
    tenantry: &Server,
    doors: &Doors,
    keys: &Arc<[String]>,
    options: &Options,
) -> Result<[Vec<Row>; 2]> {
    let hot = |text: &str| Question::new(text, keys, HOT);
    let (authz, single, batch, call) =
        (authz(), post("/v1/decisions", &one()), post("/v1/decisions/batch", &many()), call());
    let (front, trivial) = (&nginx.front, &nginx.trivial);
    let mut all = [
        Candidate::new("nginx `return 204`", doors.empty, hot(&authz), &[front]),
        Candidate::new("`/v1/authz/nginx`, 1,000 keys", doors.control, hot(&authz), &[tenantry]),
        Candidate::new(
            "`/v1/authz/nginx`, all keys",
            doors.control,
            Question::new(&authz, keys, keys.len()),
            &[tenantry],
        ),
        Candidate::new("nginx `return 204` to the same `POST`", doors.empty, hot(&single), &[front]),
        Candidate::new("`POST /v1/decisions`", doors.control, hot(&single), &[tenantry]),
        Candidate::new("`POST /v1/decisions/batch` of 64", doors.control, hot(&batch), &[tenantry]),
        Candidate::new(
            "nginx `auth_request`, a trivial server asked",
            doors.asks_trivial,
            hot(&call),
            &[front, trivial],
        ),
        Candidate::new("nginx `auth_request`, Tenantry asked", doors.asks_tenantry, hot(&call), &[front, tenantry]),
        Candidate::new("nginx `proxy_pass`", doors.proxy, hot(&call), &[front]),
        Candidate::new(
            "nginx `auth_request` + `proxy_pass`, a trivial server asked",
            doors.asks_trivial_and_forwards,
            hot(&call),
            &[front, trivial],
        ),
        Candidate::new(
            "nginx `auth_request` + `proxy_pass`, Tenantry asked",
            doors.asks_tenantry_and_forwards,
            hot(&call),
            &[front, tenantry],
        ),
        Candidate::new("the gateway", doors.gateway, hot(&call), &[tenantry]),
    ];
    let warm_up = Options { stretch: options.stretch / 3, ..options.clone() };
    for candidate in &mut all {
        candidate.measure(&warm_up)?;
    }
    for _ in 0..options.rounds {
        for candidate in &mut all {
            let round = candidate.measure(options)?;
            candidate.rounds.push(round);
        }
    }
    Ok([rows(&all), all.iter().map(Candidate::cores).collect()])
}

fn rows(all: &[Candidate<'_>; 12]) -> Vec<Row> {
    let [empty, authz, random, empty_post, single, batch, asks_trivial, asks_us, proxy, with_trivial, with_us, gateway] =
        all;
    let line = |what: &str, ours: &Candidate<'_>, beside: &str, floor: &Candidate<'_>, times: u64, goal: &str| {
        let (ours_rate, floor_rate) = (ours.rate() * times, floor.rate());
        vec![
            what.to_owned(),
            format!("{}/s", thousands(ours_rate)),
            format!("{} µs", thousands(ours.p99())),
            format!("{beside}: {}/s", thousands(floor_rate)),
            format!("{} µs", thousands(floor.p99())),
            ratio(ours_rate, floor_rate),
            ratio(ours.p99(), floor.p99()),
            goal.to_owned(),
        ]
    };
    let authz_random = format!("`/v1/authz/nginx`, {} keys at random", thousands(random.question.keys() as u64));
    let (returns, and_proxies) = ("nginx `return 204`", "nginx `auth_request` + `proxy_pass`");
    vec![
        line("`/v1/authz/nginx`, 1,000 keys", authz, returns, empty, 1, "≥ 0.95, p99 ≤ 1.5"),
        line(&authz_random, random, returns, empty, 1, "≥ 0.9, p99 ≤ 1.5"),
        line("`POST /v1/decisions`", single, returns, empty_post, 1, "≥ 0.8"),
        line("decisions by `POST /v1/decisions/batch` of 64", batch, "one by one", single, BATCH as u64, "≥ 8"),
        line("nginx `auth_request` to Tenantry", asks_us, "to a trivial server", asks_trivial, 1, "≥ 0.95"),
        line("the gateway", gateway, "nginx `proxy_pass`", proxy, 1, "≥ 1"),
        line("the gateway", gateway, &format!("{and_proxies}, a trivial server asked"), with_trivial, 1, "≥ 1.6"),
        line("the gateway", gateway, &format!("{and_proxies}, Tenantry asked"), with_us, 1, ""),
    ]
}

/// The question of nginx about a call.
pub(crate) fn authz() -> String {
    format!(
        "GET /v1/authz/nginx HTTP/1.1\r\nHost: bench\r\nX-Original-Method: GET\r\nX-Original-URI: {TARGET}\r\n\
         X-Forwarded-For: {CLIENT}\r\nUser-Agent: bench\r\nAccept: */*\r\nx-api-key: {KEY}\r\n\r\n"
    )
}

/// The call itself.
fn call() -> String {
    format!("GET {TARGET} HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\nAccept: */*\r\nx-api-key: {KEY}\r\n\r\n")
}

fn one() -> Value {
    json!({"key": KEY, "ip": CLIENT, "method": "GET", "path": TARGET})
}

fn many() -> Value {
    json!({"decisions": vec![one(); BATCH]})
}

fn post(path: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {OPERATOR}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
