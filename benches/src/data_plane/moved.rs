//! A subtree of 10,000 accounts that moves while somebody asks about a key in it.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tenantry_core::id::AccountId;

use super::http::authz;
use super::load::{Asking, Question, on_the_asking_core};
use super::nginx::Doors;
use super::row;
use super::servers::OPERATOR;
use crate::Result;
use crate::client::{Client, request};
use crate::disk::Disk;
use crate::moves::Grove;
use crate::stats::{median, micros, milliseconds, ratio};
use crate::table::Row;

/// How often the subtree moves there and back.
const ROUNDS: usize = 10;

/// What was measured, in microseconds.
#[derive(Default)]
struct Times {
    moves: Vec<u64>,
    disk: Vec<u64>,
    /// The longest answer of the reader while the subtree moved, for each move.
    stalls: Vec<u64>,
    /// The same for as long a time in which nothing moved.
    apart: Vec<u64>,
}

/// The answers of the reader: when each was asked for, and when it was there.
type Log = Rc<RefCell<Vec<(Instant, Instant)>>>;

/// Moves the subtree there and back.
pub(crate) fn run(directory: &Path, doors: &Doors, grove: &Grove, key: &str) -> Result<Vec<Row>> {
    let question = Question::new(&authz(), &Arc::from([key.to_owned()]), 1);
    let (doors, top, parents) = (*doors, grove.top, [grove.to, grove.from]);
    let mut disk = Disk::open(directory)?;
    let times = on_the_asking_core(async move || {
        let mut times = Times::default();
        for _ in 0..ROUNDS {
            times.disk.push(micros(disk.append()?));
            let (log, mut reader) = (Log::default(), Asking::connect(doors.control, question.clone(), 0).await?);
            let own = Rc::clone(&log);
            let reading = async move {
                loop {
                    let asked = Instant::now();
                    reader.once().await?;
                    own.borrow_mut().push((asked, Instant::now()));
                }
            };
            // The reader never ends by itself, unless it is refused.
            tokio::select! {
                failed = reading => return failed,
                moved = there_and_back(&doors, top, parents, &log, &mut times) => moved?,
            }
        }
        Ok(times)
    })?;
    Ok(rows(times))
}

async fn there_and_back(
    doors: &Doors,
    top: AccountId,
    parents: [AccountId; 2],
    log: &Log,
    times: &mut Times,
) -> Result<()> {
    for parent in parents {
        let mut client = Client::connect(doors.control).await?;
        let body = json!({"parentId": parent.to_string()}).to_string();
        let request = request("PATCH", &format!("/v1/accounts/{top}/parent"), OPERATOR, &body);
        let start = Instant::now();
        client.send(&request).await?;
        let end = Instant::now();
        times.moves.push(micros(end.duration_since(start)));
        let (from, to) = (end + Duration::from_millis(1), end + Duration::from_millis(1) + end.duration_since(start));
        tokio::time::sleep_until(to.into()).await;
        times.stalls.push(longest(log, start, end));
        times.apart.push(longest(log, from, to));
    }
    Ok(())
}

/// The longest answer that was waited for at some time between two instants.
fn longest(log: &Log, from: Instant, to: Instant) -> u64 {
    let log = log.borrow();
    let meanwhile = log.iter().filter(|(asked, there)| *there > from && *asked < to);
    meanwhile.map(|(asked, there)| micros(there.duration_since(*asked))).max().unwrap_or_default()
}

fn rows(times: Times) -> Vec<Row> {
    let worst = |stalls: &[u64]| stalls.iter().copied().max().unwrap_or_default();
    let (took, disk) = (median(times.moves), median(times.disk));
    let (stall, apart) = (worst(&times.stalls), worst(&times.apart));
    vec![
        row(
            "10,000 accounts moved, request to answer: all of it can be seen",
            milliseconds(took),
            format!("one `fdatasync`: {}", milliseconds(disk)),
            ratio(took, disk),
            "≤ 30",
        ),
        row(
            "the longest that a decision took meanwhile",
            milliseconds(stall),
            format!("when nothing moved: {}", milliseconds(apart)),
            ratio(stall, apart),
            "≤ 1 ms",
        ),
        row(
            "the same, in the move of the median",
            milliseconds(median(times.stalls)),
            format!("when nothing moved: {}", milliseconds(median(times.apart))),
            String::new(),
            "",
        ),
    ]
}
