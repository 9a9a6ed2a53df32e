//! `kill -9` at random moments while 32 clients write: what was acknowledged is there, what was not is there
//! once or not at all, and the invariants hold.
//!
//! A run has 50 rounds on each engine. `TENANTRY_KILLS=1000` makes it longer; `TENANTRY_SEED`, with the
//! number that an earlier run printed, draws the same writes and moments again (what they hit is up to
//! the scheduler). `--nocapture` shows the figures.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tenantry_testkit::{Database, both_engines};

use crate::server::{self, Api, OPERATOR, Server, Write, serve, tenantry_on};
use crate::writer::{Chance, Fate, Writer};

const ROUNDS: u64 = 50;
const WRITERS: usize = 32;
const ROOTS: usize = 4;

/// The first and the last millisecond of a round in which the server may be killed.
const KILLED_FROM: usize = 5;
const KILLED_UNTIL: usize = 600;

/// Fewer acknowledged writes a round, on average, than even a busy machine manages: they would prove nothing.
const FEWEST_A_ROUND: usize = 2;

/// How often a first start dies, each time this much later than before.
const FIRST_STARTS: u32 = 16;
const FIRST_START_STEP: Duration = Duration::from_millis(6);

both_engines! {
    async fn what_was_acknowledged_survives(database) {
        let seed = setting("TENANTRY_SEED").unwrap_or_else(|| {
            std::time::UNIX_EPOCH.elapsed().map_or(1, |time| u64::from(time.subsec_nanos()))
        });
        let rounds = setting("TENANTRY_KILLS").unwrap_or(ROUNDS);
        let engine = if database.is_postgres() { "PostgreSQL" } else { "SQLite" };
        println!("{engine}: TENANTRY_SEED={seed} TENANTRY_KILLS={rounds}");

        let started = Instant::now();
        let mut trial = Trial::begin(database, seed).await;
        for round in 0..rounds {
            trial.round(round).await;
        }
        trial.check_everything().await;
        let Tally { acknowledged, applied, lost } = trial.tally;
        println!(
            "{engine}: {rounds} rounds in {:.1?}: {acknowledged} acknowledged writes, {} unknown: {applied} had been \
             applied, {lost} had not; {} accounts",
            started.elapsed(),
            applied + lost,
            trial.account_count(),
        );
        assert!(acknowledged >= FEWEST_A_ROUND * usize::try_from(rounds).unwrap(), "too few writes to prove anything");
        assert!(applied + lost > 0, "no write was under way when the server died");
    }
}

/// The first start makes the schema: it may die at any point of that, and the next start goes on from there.
async fn die_at_the_first_start(database: &Database, after: Duration) {
    let mut first = serve(database).env("TENANTRY_OPERATOR_TOKEN", OPERATOR).spawn().unwrap();
    tokio::time::sleep(after).await;
    first.kill().await.unwrap();
    let server = Server::start(database).await;
    server.api.plant("Acme").await;
    assert_eq!(fsck(database).await, 1);
}

#[tokio::test]
async fn a_first_start_may_die_on_sqlite() {
    for step in 0..FIRST_STARTS {
        die_at_the_first_start(&Database::sqlite(), FIRST_START_STEP * step).await;
    }
}

#[tokio::test]
async fn a_first_start_may_die_on_postgres() {
    for step in 0..FIRST_STARTS {
        die_at_the_first_start(&Database::postgres().await, FIRST_START_STEP * step).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "how long the test runs is for whoever starts it to say")]
pub(crate) fn setting(name: &str) -> Option<u64> {
    Some(std::env::var(name).ok()?.parse().expect("a number"))
}

/// What became of the writes.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: usize,
    /// Without an answer, but applied.
    applied: usize,
    /// Without an answer, and not applied.
    lost: usize,
}

/// A database, the server on it, and those who write to it.
struct Trial {
    server: Server,
    roots: Arc<[String]>,
    writers: Vec<Writer>,
    chance: Chance,
    tally: Tally,
    database: Database,
}

impl Trial {
    async fn begin(database: Database, seed: u64) -> Self {
        let server = Server::start(&database).await;
        let roots = plant(&server.api).await;
        let writers = (0..WRITERS).map(|number| Writer::new(number, seed, &roots)).collect();
        Self { server, roots, writers, chance: Chance::new(!seed), tally: Tally::default(), database }
    }

    /// One death and what comes after it.
    async fn round(&mut self, round: u64) {
        self.write_until_killed().await;
        // The checker runs on what the crash left, or beside the server that came after.
        if round.is_multiple_of(2) {
            fsck(&self.database).await;
        }
        self.server = Server::start(&self.database).await;
        self.resolve().await;
        self.check_lists(false).await;
        if !round.is_multiple_of(2) {
            assert_eq!(fsck(&self.database).await, self.account_count());
        }
    }

    async fn write_until_killed(&mut self) {
        let killed = Arc::new(AtomicBool::new(false));
        let api = self.server.api.clone();
        let writing = spawn_each(&mut self.writers, |mut writer| {
            let (api, killed) = (api.clone(), Arc::clone(&killed));
            async move {
                writer.write(&api, &killed).await;
                (writer, ())
            }
        });
        let pause = KILLED_FROM + self.chance.below(KILLED_UNTIL - KILLED_FROM + 1);
        tokio::time::sleep(Duration::from_millis(u64::try_from(pause).unwrap())).await;
        killed.store(true, Ordering::SeqCst);
        self.server.kill().await;
        self.gather(writing).await;
        self.tally.acknowledged += self.writers.iter().map(Writer::acknowledged).sum::<usize>();
    }

    /// Repeats what had no answer, and checks what this round touched.
    async fn resolve(&mut self) {
        let api = self.server.api.clone();
        let resolving = spawn_each(&mut self.writers, |mut writer| {
            let api = api.clone();
            async move {
                writer.repeat(&api).await;
                let fate = writer.resolve(&api).await;
                writer.check_touched(&api).await;
                (writer, fate)
            }
        });
        for fate in self.gather(resolving).await.into_iter().flatten() {
            match fate {
                Fate::Applied => self.tally.applied += 1,
                Fate::Lost => self.tally.lost += 1,
            }
        }
    }

    async fn check_everything(&mut self) {
        let api = self.server.api.clone();
        let checking = spawn_each(&mut self.writers, |writer| {
            let api = api.clone();
            async move {
                writer.check_everything(&api).await;
                (writer, ())
            }
        });
        self.gather(checking).await;
        self.check_lists(true).await;
        assert_eq!(fsck(&self.database).await, self.account_count());
    }

    /// Checks that there is nothing but what was acknowledged: by number, or one by one.
    async fn check_lists(&self, one_by_one: bool) {
        let api = &self.server.api;
        assert_eq!(api.total("/v1/accounts").await, self.account_count(), "accounts, against those acknowledged");
        for (number, root) in self.roots.iter().enumerate() {
            let path = format!("/v1/accounts/{root}/children");
            let known: BTreeSet<_> =
                self.writers.iter().flat_map(|writer| writer.children_of_root(number)).map(str::to_owned).collect();
            assert_eq!(api.total(&path).await, known.len(), "the children of {root}");
            if one_by_one {
                assert_eq!(api.list(&path).await, known, "the children of {root}");
            }
        }
    }

    fn account_count(&self) -> usize {
        self.roots.len() + self.writers.iter().map(Writer::account_count).sum::<usize>()
    }

    /// Waits for all writers, which come back with what they found.
    async fn gather<T>(&mut self, tasks: Vec<tokio::task::JoinHandle<(Writer, T)>>) -> Vec<T> {
        let mut found = Vec::new();
        for task in tasks {
            let (writer, result) = task.await.expect("the writer found what it expected");
            self.writers.push(writer);
            found.push(result);
        }
        found
    }
}

/// Sends all writers to work, each in a task of its own.
fn spawn_each<T, F>(writers: &mut Vec<Writer>, work: impl Fn(Writer) -> F) -> Vec<tokio::task::JoinHandle<(Writer, T)>>
where
    T: Send + 'static,
    F: Future<Output = (Writer, T)> + Send + 'static,
{
    std::mem::take(writers).into_iter().map(|writer| tokio::spawn(work(writer))).collect()
}

/// Makes the roots that all writers share: super organizations, which have no cap on children.
async fn plant(api: &Api) -> Arc<[String]> {
    let mut roots = Vec::new();
    for number in 0..ROOTS {
        let root = api.plant(&format!("root {number}")).await;
        let limits = Write::post(format!("/v1/accounts/{root}/limits"), json!({"superOrganization": true}));
        api.send(&Write { method: Method::PUT, ..limits }).await.unwrap().expect_status(200);
        roots.push(root);
    }
    roots.into()
}

/// Runs the checker, which must find nothing; answers how many accounts there are.
async fn fsck(database: &Database) -> usize {
    let report: Value = server::finish(tenantry_on(database, &["fsck", "--json"])).await.succeeded().parse().unwrap();
    assert_eq!(report["findings"], json!([]), "{report}");
    usize::try_from(report["accounts"].as_u64().unwrap()).unwrap()
}
