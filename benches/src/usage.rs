//! How many records of usage get into the database in a second: through the journal, added up, beside rows that are inserted
//! one by one, a hundred in a transaction. Both keep the same promise: what is there survives a crash.
//!
//! To see one core, run it with `taskset -c 0`.
#![expect(clippy::disallowed_methods, reason = "the floor is plain SQL")]

use std::time::{Duration, Instant};

use sqlx::Row as _;
use tenantry_core::Timestamp;
use tenantry_core::id::{AccountId, EndpointId, Id, KeyId, UserId};
use tenantry_core::usage::{Line, Outcome, Usage};
use tenantry_server::App;
use tenantry_server::clock::Clock;
use uuid::Uuid;

use crate::data_plane::shape::Shuffled;
use crate::options::Options;
use crate::plain::Plain;
use crate::product::Product;
use crate::scratch::Scratch;
use crate::stats::{median, per_second, ratio, thousands};
use crate::table::Row;
use crate::{Failure, Result, check};

const ROUNDS: usize = 5;
/// How many records the product takes in a round; it is timed until all of them are in the database.
const RECORDS: usize = 200_000;
/// On whose behalf calls are made, each with a key and a user of its own, and of what.
const ACCOUNTS: usize = 1_000;
const ENDPOINTS: usize = 10;
/// How many rows of the floor are one transaction.
const BATCH: usize = 100;

const TABLE: &str = "CREATE TABLE usage_event (id UUID NOT NULL PRIMARY KEY, at BIGINT NOT NULL, account_id UUID NOT NULL, \
   actor_id UUID NOT NULL, user_id UUID, key_id UUID NOT NULL, api_id TEXT NOT NULL, endpoint_id UUID NOT NULL, \
   credits BIGINT NOT NULL, outcome BIGINT NOT NULL)";
const INSERT: &str = "INSERT INTO usage_event (id, at, account_id, actor_id, user_id, key_id, api_id, endpoint_id, credits, outcome) \
 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const CALLS: &str = "SELECT CAST(COALESCE(SUM(calls), 0) AS BIGINT) AS n FROM usage_by_user";

/// Measures product and floor in turns.
pub(crate) async fn run(scratch: &mut Scratch, options: &Options) -> Result<Vec<Row>> {
    let (ours, theirs) = (scratch.database().await?, scratch.database().await?);
    let product = Product::start(&ours, scratch.directory()).await?;
    let floor = Plain::open(&theirs).await?;
    floor.script(TABLE.to_owned()).await?;
    let (mut calls, mut metered, mut inserted) = (Calls::new()?, Vec::new(), Vec::new());
    let mut rows = 0;
    for _ in 0..ROUNDS {
        inserted.push(insert(&floor, &mut calls, &mut rows, options.stretch).await?);
        metered.push(meter(&product, &mut calls).await?);
    }
    check("the product", product.store()).await?;
    let there = count(&Plain::open(&ours).await?).await?;
    if there != i64::try_from(ROUNDS * RECORDS)? {
        return Err(format!("{there} calls are in the database").into());
    }
    product.stop().await;
    floor.close().await;
    let by_round: Vec<String> = metered.iter().zip(&inserted).map(|(ours, plain)| ratio(*ours, *plain)).collect();
    let (metered, inserted) = (median(metered), median(inserted));
    let rate = |number| format!("{}/s", thousands(number));
    let engine = scratch.engine().to_string();
    Ok(vec![vec![engine, rate(metered), rate(inserted), ratio(metered, inserted), by_round.join(", ")]])
}

/// Records of calls, in an order that has none.
struct Calls {
    lines: Vec<Line>,
    order: Shuffled,
}

impl Calls {
    fn new() -> Result<Self> {
        let id = |n: usize| AccountId::from_bytes((n as u128 + 1).to_be_bytes());
        // Three levels, a hundred accounts below each in the middle.
        let line = |n: usize| Line::new([id(n), id(ACCOUNTS + n / 100), id(2 * ACCOUNTS)]);
        let lines: Option<_> = (0..ACCOUNTS).map(line).collect();
        Ok(Self { lines: lines.ok_or("there are lines")?, order: Shuffled(7) })
    }

    fn next(&mut self, at: Timestamp) -> Result<Usage<'static>> {
        let (account, endpoint) = (self.order.below(ACCOUNTS), self.order.below(ENDPOINTS));
        let line = *self.lines.get(account).ok_or("there is a line")?;
        let bytes = line.subject().bytes();
        Ok(Usage {
            at,
            line,
            actor: line.subject(),
            user: Some(UserId::from_bytes(bytes)),
            key: KeyId::from_bytes(bytes),
            api: "voice",
            endpoint: EndpointId::from_bytes((endpoint as u128 + 1).to_be_bytes()),
            credits: 5,
            outcome: Outcome::Success,
        })
    }
}

/// Has calls recorded as the gateway does, until all of them are in the database.
async fn meter(product: &Product, calls: &mut Calls) -> Result<u64> {
    let app: &App = product.app();
    let start = Instant::now();
    for _ in 0..RECORDS {
        while !app.metering.journal.has_room() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        app.metering.journal.append(&calls.next(Clock::system().now())?)?;
    }
    product.ship().await?;
    Ok(per_second(RECORDS as u64, start.elapsed()))
}

/// Inserts rows for a while.
async fn insert(floor: &Plain, calls: &mut Calls, rows: &mut u128, stretch: Duration) -> Result<u64> {
    let (start, before) = (Instant::now(), *rows);
    while start.elapsed() < stretch {
        let mut batch = Vec::with_capacity(BATCH);
        for _ in 0..BATCH {
            *rows += 1;
            batch.push((Uuid::from_u128(*rows), calls.next(Clock::system().now())?));
        }
        write(floor, &batch).await?;
    }
    Ok(per_second(u64::try_from(*rows - before)?, start.elapsed()))
}

macro_rules! insert_all {
    ($tx:expr, $batch:expr) => {{
        let mut tx = $tx;
        for (id, usage) in $batch {
            sqlx::query(INSERT)
                .bind(id)
                .bind(usage.at.0)
                .bind(uuid(usage.line.subject()))
                .bind(uuid(usage.actor))
                .bind(usage.user.map(uuid))
                .bind(uuid(usage.key))
                .bind(usage.api)
                .bind(uuid(usage.endpoint))
                .bind(usage.credits)
                .bind(usage.outcome as i64)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
    }};
}

/// One transaction.
async fn write(floor: &Plain, batch: &[(Uuid, Usage<'static>)]) -> Result<()> {
    match floor {
        Plain::Sqlite { writer, .. } => insert_all!(writer.begin_with("BEGIN IMMEDIATE").await?, batch),
        Plain::Postgres(pool) => insert_all!(pool.begin().await?, batch),
    }
    Ok(())
}

/// How many calls the product has in its database.
async fn count(plain: &Plain) -> Result<i64> {
    let calls = match plain {
        Plain::Sqlite { readers, .. } => sqlx::query(CALLS).fetch_one(readers).await?.try_get("n"),
        Plain::Postgres(pool) => sqlx::query(CALLS).fetch_one(pool).await?.try_get("n"),
    };
    plain.close().await;
    calls.map_err(Failure::from)
}

fn uuid(id: impl Id) -> Uuid {
    Uuid::from_bytes(id.bytes())
}
