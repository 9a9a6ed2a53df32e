//! How long a page of children takes when there are many accounts.

use std::time::{Duration, Instant};

use tenantry_core::id::AccountId;

use crate::Result;
use crate::client::{Client, request};
use crate::options::Options;
use crate::plain::{Plain, Reader};
use crate::product::Product;
use crate::scratch::Scratch;
use crate::seed::{FAMILY, Forest, Node, planted};
use crate::stats::{median, micros, milliseconds, percentile, ratio};
use crate::table::Row;

const ROUNDS: usize = 5;

/// Parents to ask for, each with the request that does.
type Requests = Vec<(AccountId, Vec<u8>)>;

/// What one side took in one round.
struct Round {
    p50: u64,
    p99: u64,
}

/// Measures product and floor in turns, request by request, on one and the same database.
pub(crate) async fn run(scratch: &mut Scratch, options: &Options) -> Result<Vec<Row>> {
    let (forest, parents) = Forest::families(options.accounts);
    let location = planted(scratch, &forest).await?;
    let plain = Plain::open(&location).await?;
    let product = Product::start(&location, scratch.directory()).await?;
    let requests = requests(&product, &parents).await?;
    let mut client = Client::connect(product.address()).await?;
    let mut reader = plain.reader().await?;
    let mut order = Order(0x7e4a_4e77);
    measure(&mut client, &mut reader, &requests, &mut order, options.stretch / 3).await?;
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (of_ours, of_floor) = measure(&mut client, &mut reader, &requests, &mut order, options.stretch).await?;
        ours.push(of_ours);
        floor.push(of_floor);
    }
    drop((reader, client));
    plain.close().await;
    product.stop().await;

    let of = |rounds: &[Round], value: fn(&Round) -> u64| median(rounds.iter().map(value).collect());
    let (ours_p50, floor_p50) = (of(&ours, |round| round.p50), of(&floor, |round| round.p50));
    Ok(vec![vec![
        scratch.engine().to_string(),
        milliseconds(ours_p50),
        milliseconds(of(&ours, |round| round.p99)),
        milliseconds(floor_p50),
        milliseconds(of(&floor, |round| round.p99)),
        ratio(ours_p50, floor_p50),
    ]])
}

/// A request for the children of every parent, with the key of its root.
async fn requests(product: &Product, parents: &[(Node, Node)]) -> Result<Requests> {
    let mut keys = std::collections::BTreeMap::new();
    let mut requests = Vec::new();
    for (root, parent) in parents {
        let key = match keys.get(&root.id) {
            Some(key) => key,
            None => keys.entry(root.id).or_insert(product.key(root.id).await?),
        };
        let path = format!("/v1/accounts/{}/children?limit={FAMILY}", parent.id);
        requests.push((parent.id, request("GET", &path, key, "")));
    }
    Ok(requests)
}

/// One request to each side after the other, for as long as both sides together have.
async fn measure(
    client: &mut Client,
    reader: &mut Reader,
    requests: &Requests,
    order: &mut Order,
    stretch: Duration,
) -> Result<(Round, Round)> {
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while start.elapsed() < stretch * 2 {
        let (parent, _) = order.pick(requests)?;
        let asked = Instant::now();
        let rows = reader.children(*parent).await?;
        floor.push(micros(asked.elapsed()));
        if rows != FAMILY {
            return Err(format!("{parent} has {rows} children").into());
        }
        let (_, request) = order.pick(requests)?;
        let asked = Instant::now();
        client.send(request).await?;
        ours.push(micros(asked.elapsed()));
    }
    let round = |took: Vec<u64>| Round { p50: median(took.clone()), p99: percentile(took, 99) };
    Ok((round(ours), round(floor)))
}

/// An order that no cache knows, but the same in every run: SplitMix64.
struct Order(u64);

impl Order {
    fn pick<'a, T>(&mut self, of: &'a [T]) -> Result<&'a T> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let place = usize::try_from(mixed >> 32)?.checked_rem(of.len());
        place.and_then(|place| of.get(place)).ok_or_else(|| "there is nothing to pick from".into())
    }
}
