//! How usage gets in: batches of a node, each exactly once, whatever is repeated.

use ring::digest::{Context, SHA256};
use tenantry_core::id::Id as _;
use tenantry_core::usage::{Line, Sums, Tally};
use uuid::Uuid;

use super::user_arg;
use crate::db::{Arg, Conn, args};
use crate::{Result, Store};

/// Some batches that a node recorded since one of its starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageRun {
    /// The node.
    pub node: [u8; 16],
    /// Its start.
    pub epoch: i64,
    /// They are those that follow this one.
    pub after: i64,
    /// The last of them.
    pub last: i64,
}

/// What is there already is added to.
const ADD_BY_ENDPOINT: &str = "ON CONFLICT (line_id, hour, endpoint_id) DO UPDATE SET \
    calls = usage_by_endpoint.calls + excluded.calls, failures = usage_by_endpoint.failures + excluded.failures, \
    credits = usage_by_endpoint.credits + excluded.credits";
const ADD_BY_USER: &str = "ON CONFLICT (line_id, day, user_id) DO UPDATE SET \
    calls = usage_by_user.calls + excluded.calls, failures = usage_by_user.failures + excluded.failures, \
    credits = usage_by_user.credits + excluded.credits";
const ADD_BY_KEY: &str = "ON CONFLICT (line_id, day, key_id, endpoint_id, user_id) DO UPDATE SET \
    calls = usage_by_key.calls + excluded.calls, failures = usage_by_key.failures + excluded.failures, \
    credits = usage_by_key.credits + excluded.credits";

impl Store {
    /// Adds what these batches come to, if those before them are in and they are not. Answers which batch is the last that is
    /// in: another one than `run.last` if nothing was done, since the node has to go on from there.
    ///
    /// Named, since it belongs to no caller: what it writes was decided when the calls were let in.
    ///
    /// # Errors
    /// If the database fails. Then the same run can be tried again, also if it is in.
    pub async fn usage_apply(&self, run: UsageRun, tally: &Tally) -> Result<i64> {
        let node = Arg::Id(Some(Uuid::from_bytes(run.node)));
        // Before the transaction: on SQLite all other writers wait for it.
        let rows = Rows::of(tally);
        let mut conn = self.db.begin_write().await?;
        let seq = conn
            .one(
                "INSERT INTO usage_cursor (node_id, epoch, seq) VALUES ($1, $2, 0) \
                 ON CONFLICT (node_id, epoch) DO UPDATE SET seq = usage_cursor.seq RETURNING seq",
                vec![node.clone(), run.epoch.into()],
            )
            .await?
            .int("seq")?;
        if seq != run.after {
            conn.rollback().await?;
            return Ok(seq);
        }
        rows.add(&mut conn).await?;
        conn.execute(
            "UPDATE usage_cursor SET seq = $3 WHERE node_id = $1 AND epoch = $2",
            vec![node, run.epoch.into(), run.last.into()],
        )
        .await?;
        conn.commit().await?;
        Ok(run.last)
    }
}

/// The rows that a tally comes to, as arguments.
#[derive(Default)]
struct Rows {
    /// Lines, each with its account, and with those above.
    own: Vec<Arg>,
    above: Vec<Arg>,
    endpoints: Vec<Arg>,
    users: Vec<Arg>,
    keys: Vec<Arg>,
}

impl Rows {
    /// In the order of the tally, which is the same for all nodes, so that no two wait for each other.
    fn of(tally: &Tally) -> Self {
        let mut own = Self::default();
        for (line, used) in tally.lines() {
            let id = line_id(line);
            let subject = line.subject();
            for account in line.accounts() {
                let rows = if *account == subject { &mut own.own } else { &mut own.above };
                rows.extend([id.clone(), (*account).into(), subject.into()]);
            }
            for ((hour, endpoint), (api, sums)) in &used.endpoints {
                own.endpoints.extend([id.clone(), (*hour).into(), (*endpoint).into(), api.into()]);
                own.endpoints.extend(sum_args(sums));
            }
            for ((day, user), sums) in &used.users {
                own.users.extend([id.clone(), (*day).into(), user_arg(*user)]);
                own.users.extend(sum_args(sums));
            }
            for (of, (api, sums)) in &used.keys {
                let which = [of.day.into(), of.key.into(), of.endpoint.into(), user_arg(of.user), api.into()];
                own.keys.extend([id.clone()].into_iter().chain(which).chain(sum_args(sums)));
            }
        }
        own
    }

    async fn add(self, conn: &mut Conn) -> Result<()> {
        let known = "ON CONFLICT (line_id, ancestor_id) DO NOTHING";
        let lines = "INSERT INTO usage_line (line_id, ancestor_id, account_id)";
        // Where no line is new, which is most of the time, there is nothing above any.
        if conn.insert_all(lines, known, 3, self.own).await? > 0 {
            conn.insert_all(lines, known, 3, self.above).await?;
        }
        let into = "INSERT INTO usage_by_endpoint (line_id, hour, endpoint_id, api_id, calls, failures, credits)";
        conn.insert_all(into, ADD_BY_ENDPOINT, 7, self.endpoints).await?;
        let into = "INSERT INTO usage_by_user (line_id, day, user_id, calls, failures, credits)";
        conn.insert_all(into, ADD_BY_USER, 6, self.users).await?;
        let into =
            "INSERT INTO usage_by_key (line_id, day, key_id, endpoint_id, user_id, api_id, calls, failures, credits)";
        conn.insert_all(into, ADD_BY_KEY, 9, self.keys).await?;
        Ok(())
    }
}

fn sum_args(sums: &Sums) -> Vec<Arg> {
    args![sums.calls, sums.failures, sums.credits]
}

/// The id of a line: the first half of the SHA-256 of its accounts.
fn line_id(line: &Line) -> Arg {
    let mut context = Context::new(&SHA256);
    line.accounts().iter().for_each(|account| context.update(&account.bytes()));
    let digest = context.finish();
    let half = digest.as_ref().first_chunk().copied();
    Arg::Id(half.map(Uuid::from_bytes))
}
