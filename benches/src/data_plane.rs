//! How fast the data plane is: decisions in process, over the network and by way of nginx, calls through the gateway, and what
//! all of it takes in memory and at the start.
//!
//! Over the network, what is measured has one core, and who asks has the other. Programs are processes of their own: the
//! `tenantry` of the same build, nginx and Redis as Debian has them.
//!
//! | module | holds |
//! |---|---|
//! | [`shape`] | what the world looks like |
//! | [`world`], [`planted`] | the world in memory, and in a database |
//! | [`decide`] | decisions in process, beside hashes, SQLite and engines of other people |
//! | [`memory`] | how much memory the world takes, beside Redis |
//! | [`http`] | decisions over the network and calls through the gateway, beside nginx |
//! | [`moved`] | a large subtree that moves while somebody asks |
//! | [`servers`], [`nginx`], [`load`] | processes, configurations, and who asks |
//! | [`chained`], [`lookup`], [`peers`] | what decisions are measured beside |

mod chained;
mod decide;
mod http;
mod load;
mod lookup;
mod memory;
mod moved;
mod nginx;
#[cfg_attr(not(feature = "peers"), path = "data_plane/no_peers.rs")]
mod peers;
mod planted;
mod servers;
pub(crate) mod shape;
mod world;

use std::sync::Arc;
use std::time::Instant;

use tenantry_store::Location;

use crate::Result;
use crate::options::{Benchmark, Engine, Options};
use crate::scratch::Scratch;
use crate::stats::{micros, thousands};
use crate::table::{self, Row};
use load::Question;
use nginx::Doors;

/// Measures everything, and answers the tables.
pub(crate) async fn run(options: &Options) -> Result<String> {
    let mut scratch = Scratch::new(Engine::Sqlite)?;
    let mut rows = decide::run(&mut scratch, options).await?;
    eprintln!("data-plane: planting the database …");
    // One more for whoever asks about the subtree that is moved.
    let keys = shape::texts(options.accounts + 1);
    let planted = planted::plant(&mut scratch, options.accounts, &keys).await?;
    let directory = scratch.directory().to_owned();
    let data = directory.join("data");
    std::fs::create_dir(&data)?;
    let Location::File(path) = &planted.location else { return Err("this is for SQLite".into()) };
    std::fs::rename(path, data.join("tenantry.sqlite3"))?;

    eprintln!("data-plane: over the network …");
    let doors = Doors::free()?;
    let nginx = http::Nginx::start(&directory, &doors)?;
    let start = Instant::now();
    let tenantry = servers::start_tenantry(&directory, &doors)?;
    let (key, keys) = keys.split_last().ok_or("no keys")?;
    let keys: Arc<[String]> = keys.into();
    let first = Question::new(&http::authz(), &keys, 1);
    load::on_the_asking_core(async move || load::Asking::connect(doors.control, first, 0).await?.once().await)?;
    rows.extend(readiness(micros(start.elapsed()), tenantry.memory()?));
    let [network, cores] = http::run(&nginx, &tenantry, &doors, &keys, options)?;
    eprintln!("data-plane: moving …");
    rows.extend(moved::run(&directory, &doors, &planted.grove, key)?);
    drop((tenantry, nginx));
    scratch.remove().await?;
    let inside = table::markdown(Benchmark::DataPlane, options, &rows);
    let (outside, cores) = (table::lines(&http::HEAD, &network), table::lines(&http::CORES, &cores));
    Ok(format!("{inside}\n{outside}\n{cores}"))
}

fn readiness(took: u64, memory: u64) -> [Row; 2] {
    let seconds = format!("{}.{} s", took / 1_000_000, took % 1_000_000 / 100_000);
    let mebibytes = format!("{} MiB", thousands(memory / (1 << 20)));
    [
        row("start until the first decision", seconds, String::new(), String::new(), "reported"),
        row("memory of the process then, names and database included", mebibytes, String::new(), String::new(), ""),
    ]
}

/// The cells of a row of the first table.
fn row(what: &str, takes: String, beside: String, ratio: String, goal: &str) -> Row {
    vec![what.to_owned(), takes, beside, ratio, goal.to_owned()]
}
