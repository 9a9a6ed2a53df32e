//! The chores of this repository: `cargo xtask <command>`.
//!
//! It needs nothing but the standard library, so that it is built in seconds on a fresh machine.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

mod bench;
mod debian;
mod deny;
mod environment;
mod fuzz;
mod peers;
mod postgres;
mod process;
mod steps;
mod suite;
#[cfg(test)]
mod tidy;

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::ExitCode;

use postgres::Server;

/// What went wrong, for people to read.
type Result<T> = std::result::Result<T, String>;

const USAGE: &str = "\
Usage: cargo xtask <command>

  demo [args…]      run the demo
  test              run everything that CI runs
  test [filters…]   run only `cargo test` with these arguments, such as `-p tenantry-store moves`
  generate          rewrite the committed files that are generated
  bench [args…]     run the benchmarks
  fuzz [seconds] [target]
                    feed the parsers that strangers reach with input that nobody thought of (needs nightly Rust)
  pg                run a private PostgreSQL until standard input ends, for tests in another terminal
  advisories        check the dependencies for known vulnerabilities (downloads the list of them)

Tests and benchmarks run against a private PostgreSQL, which is installed where there is none on a Debian system. Tests
also talk to a mail server, an identity provider and proxies, which pip, npm and apt fetch to below the target directory.
The data plane is measured beside nginx and Redis, which apt fetches there as well.
Set TENANTRY_TEST_PG to the address of a server on which databases may be made and dropped to use that one.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    std::env::set_current_dir(root()).map_err(|error| format!("{}: {error}", root().display()))?;
    let (command, rest) = arguments.split_first().map_or(("help", arguments), |(first, rest)| (first.as_str(), rest));
    match (command, rest) {
        ("demo", _) => demo(rest),
        ("test", []) => suite::everything(),
        ("test", _) => suite::narrow(rest),
        ("generate", []) => generate(),
        ("bench", _) => bench::run(rest),
        ("fuzz", _) => fuzz::run(rest),
        ("pg", []) => pg(),
        ("advisories", []) => deny::check(&["advisories"]),
        ("help" | "--help" | "-h", _) => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("no such command: {}\n\n{USAGE}", arguments.join(" "))),
    }
}

/// The directory of the workspace. All commands run in it, from wherever they are called.
fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// The demo takes the place of this process, so that Ctrl-C is its business alone.
fn demo(arguments: &[String]) -> Result<()> {
    let mut cargo = process::cargo();
    let error = cargo.args(["run", "--quiet", "--package", "tenantry", "--", "demo"]).args(arguments).exec();
    Err(format!("{}: {error}", process::line(&cargo)))
}

/// Tests whose names contain `golden` rewrite their committed file where UPDATE is set.
fn generate() -> Result<()> {
    let server = Server::start()?;
    let mut tests = process::cargo();
    tests.args(["test", "--workspace", "--", "golden"]).env("UPDATE", "1").env(postgres::ADDRESS, server.address());
    process::run(&mut tests).and(server.stop())
}

fn pg() -> Result<()> {
    let (peers, server) = (peers::install()?, Server::start()?);
    println!("export {}={}", peers::DIRECTORY, peers.display());
    println!("export {}={}", postgres::ADDRESS, server.address());
    let ended = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    server.stop()?;
    ended.map(drop).map_err(|error| format!("standard input: {error}"))
}
