//! How long a large subtree takes to another tree.

use std::time::Instant;

use serde_json::json;
use tenantry_core::id::AccountId;

use crate::client::Client;
use crate::disk::Disk;
use crate::plain::Plain;
use crate::product::{Product, operator_request};
use crate::scratch::Scratch;
use crate::seed::{Forest, planted};
use crate::stats::{median, micros, milliseconds, ratio};
use crate::table::Row;
use crate::{Result, check};

/// How often the subtree moves there and back.
const ROUNDS: usize = 10;

/// How many children the accounts of each level have: 10 + 10·27 + 10·27·36 = 10,000 accounts below the top.
const WIDTHS: [usize; 3] = [10, 27, 36];
const MOVED: u64 = 10_001;

/// Two trees, and a subtree that is below the root of the first.
pub(crate) struct Grove {
    pub(crate) top: AccountId,
    /// The last account of the subtree: its ids are neighbours.
    pub(crate) last: AccountId,
    pub(crate) from: AccountId,
    pub(crate) to: AccountId,
    /// An account one level below `to`.
    deeper: AccountId,
}

/// What was measured.
#[derive(Default)]
struct Times {
    ours: Vec<u64>,
    plain: Vec<u64>,
    disk: Vec<u64>,
}

/// Measures product, floor and disk in turns, move by move.
pub(crate) async fn run(scratch: &mut Scratch) -> Result<Vec<Row>> {
    let mut forest = Forest::default();
    let grove = Grove::planted(&mut forest);
    let (ours, floor) = (planted(scratch, &forest).await?, planted(scratch, &forest).await?);
    let plain = Plain::open(&floor).await?;
    let product = Product::start(&ours, scratch.directory()).await?;
    let mut disk = Disk::open(scratch.directory())?;
    let mut rows = Vec::new();
    for (depth, parent) in [("kept", grove.to), ("changed", grove.deeper)] {
        let mut times = Times::default();
        for _ in 0..ROUNDS {
            for (root, parent) in [(grove.to, parent), (grove.from, grove.from)] {
                times.disk.push(micros(disk.append()?));
                times.plain.push(set_root(&plain, &grove, root).await?);
                times.ours.push(set_parent(&product, grove.top, parent).await?);
            }
        }
        let (ours, plain, disk) = (median(times.ours), median(times.plain), median(times.disk));
        rows.push(vec![
            scratch.engine().to_string(),
            depth.to_owned(),
            milliseconds(ours),
            milliseconds(plain),
            ratio(ours, plain),
            milliseconds(disk),
        ]);
    }
    check("the product", product.store()).await?;
    product.stop().await;
    plain.close().await;
    Ok(rows)
}

impl Grove {
    /// Adds the trees to a forest.
    pub(crate) fn planted(forest: &mut Forest) -> Self {
        let (from, to) = (forest.root(), forest.root());
        let deeper = forest.child(to);
        let top = forest.child(from);
        let mut level = vec![top];
        for width in WIDTHS {
            let parents = level.into_iter().flat_map(|parent| std::iter::repeat_n(parent, width));
            level = parents.map(|parent| forest.child(parent)).collect();
        }
        let last = level.last().map_or(top.id, |last| last.id);
        Self { top: top.id, last, from: from.id, to: to.id, deeper: deeper.id }
    }
}

async fn set_root(plain: &Plain, grove: &Grove, root: AccountId) -> Result<u64> {
    let start = Instant::now();
    let written = plain.set_root(root, grove.top, grove.last).await?;
    if written != MOVED {
        return Err(format!("the floor wrote {written} rows").into());
    }
    Ok(micros(start.elapsed()))
}

/// Moves the subtree over HTTP. The connection is not part of it.
async fn set_parent(product: &Product, top: AccountId, parent: AccountId) -> Result<u64> {
    let mut client = Client::connect(product.address()).await?;
    let body = json!({"parentId": parent.to_string()});
    let request = operator_request("PATCH", &format!("/v1/accounts/{top}/parent"), &body);
    let start = Instant::now();
    client.send(&request).await?;
    Ok(micros(start.elapsed()))
}
