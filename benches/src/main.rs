//! How fast it is, beside the least that the same work can cost: `cargo xtask bench`.
//!
//! Absolute numbers belong to one machine and one moment. So every benchmark measures a floor in the same run, in turns
//! with the product, and tells medians of several rounds and their ratio. The product is a server in this process, asked
//! over loopback HTTP; the floor is plain SQL on a database of the same schema, with the same driver and durability.
//!
//! | module | holds |
//! |---|---|
//! | [`creates`] | how many accounts are created in a second |
//! | [`children`] | how long a page of children takes among a million accounts |
//! | [`moves`] | how long a subtree of 10,000 accounts takes to another tree |
//! | [`rights`] | how long it takes to find out what a person may do |
//! | [`sign_ins`] | how many users sign in in a second |
//! | [`usage`] | how many records of usage get into the database in a second |
//! | [`data_plane`] | how long decisions take, and what the gateway can do |
//! | [`product`], [`client`] | a server to measure, and requests that cost little to make |
//! | [`plain`], [`disk`] | the floors: SQL through the driver alone, and a disk that is told to keep its promise |
//! | [`seed`] | forests of accounts, planted in bulk |
//! | [`scratch`] | databases that are thrown away |
//! | [`options`] | the command line |
//! | [`stats`], [`table`], [`machine`] | medians, Markdown, and what the numbers are from |
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

mod children;
mod client;
mod creates;
mod data_plane;
mod disk;
mod machine;
mod moves;
mod options;
mod plain;
mod product;
mod rights;
mod scratch;
mod seed;
mod sign_ins;
mod stats;
mod table;
mod usage;

use std::process::ExitCode;

use options::{Benchmark, Engine, Options};
use scratch::Scratch;
use table::Row;

/// What went wrong, for people to read.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The result of everything here.
type Result<T, E = Failure> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{}", options::USAGE);
        return ExitCode::SUCCESS;
    }
    match Options::parse(&arguments).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("benches: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    // The runtime of the binary: all cores, which server, clients and floor have in turn.
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let mut tables = Vec::new();
        for benchmark in &options.benchmarks {
            tables.push(measure(*benchmark, options).await?);
        }
        println!("{}\n\n{}", tables.join("\n"), machine::line(&options.engines).await?);
        Ok(())
    })
}

/// The table of one benchmark, with the rows of all engines.
async fn measure(benchmark: Benchmark, options: &Options) -> Result<String> {
    let mut rows = Vec::new();
    if benchmark == Benchmark::Rights {
        eprintln!("{benchmark} …");
        return Ok(table::markdown(benchmark, options, &rights::run()?));
    }
    if benchmark == Benchmark::DataPlane {
        eprintln!("{benchmark} …");
        return data_plane::run(options).await;
    }
    for engine in &options.engines {
        eprintln!("{benchmark} on {engine} …");
        let mut scratch = Scratch::new(*engine)?;
        let outcome = on(&mut scratch, benchmark, options).await;
        scratch.remove().await?;
        rows.extend(outcome?);
    }
    Ok(table::markdown(benchmark, options, &rows))
}

async fn on(scratch: &mut Scratch, benchmark: Benchmark, options: &Options) -> Result<Vec<Row>> {
    match benchmark {
        Benchmark::Creates => creates::run(scratch, options).await,
        Benchmark::Children => children::run(scratch, options).await,
        Benchmark::Move => moves::run(scratch).await,
        Benchmark::SignIns => sign_ins::run(scratch, options).await,
        Benchmark::Usage => usage::run(scratch, options).await,
        Benchmark::Rights | Benchmark::DataPlane => Err(format!("{benchmark} has no engine").into()),
    }
}

/// Fails unless all invariants hold: what was measured has to be what it says it is.
async fn check(what: &str, store: &tenantry_store::Store) -> Result<()> {
    let report = store.fsck().await?;
    match report.findings.first() {
        None => Ok(()),
        Some(finding) => Err(format!("{what} left {} findings, such as {finding}", report.findings.len()).into()),
    }
}

impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}
