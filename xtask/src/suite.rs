//! What has to pass before a change lands.

use std::process::Command;

use crate::postgres::{self, Server};
use crate::steps::Steps;
use crate::{Result, deny, peers, process};

/// Everything that CI runs, up to the first failure.
pub(crate) fn everything() -> Result<()> {
    let mut steps = Steps::default();
    let outcome = all_steps(&mut steps);
    steps.print();
    outcome
}

/// Only the tests that these arguments of `cargo test` choose.
pub(crate) fn narrow(arguments: &[String]) -> Result<()> {
    let mut tests = process::cargo();
    tests.arg("test");
    // Cargo would take `--workspace` over `--package`.
    if !names_a_package(arguments) {
        tests.arg("--workspace");
    }
    let (peers, server) = (peers::install()?, Server::start()?);
    tests.args(arguments).env(postgres::ADDRESS, server.address()).env(peers::DIRECTORY, peers);
    process::run(&mut tests).and(server.stop())
}

fn names_a_package(arguments: &[String]) -> bool {
    let mut options = arguments.iter().take_while(|argument| *argument != "--");
    options.any(|option| option.starts_with("-p") || option.starts_with("--package"))
}

fn all_steps(steps: &mut Steps) -> Result<()> {
    steps.step("format", || cargo(&["fmt", "--all", "--check"], |_| {}))?;
    steps.step("clippy", || {
        cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"], |_| {})
    })?;
    steps.step("documentation", || {
        cargo(&["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"], |cargo| {
            cargo.env("RUSTDOCFLAGS", "-D warnings");
        })
    })?;
    // Not the advisories: their list is a download from GitHub, and what passed yesterday has to pass today.
    // `cargo xtask advisories` checks them.
    steps.step("dependencies", || deny::check(&["bans", "licenses", "sources"]))?;
    let peers = steps.step("peers", peers::install)?;
    let server = steps.step("PostgreSQL start", Server::start)?;
    let tests = steps.step("tests", || {
        cargo(&["test", "--workspace", "--locked", "--no-fail-fast"], |cargo| {
            cargo.env(postgres::ADDRESS, server.address()).env(peers::DIRECTORY, &peers);
        })
    });
    tests.and(steps.step("PostgreSQL stop", || server.stop()))
}

fn cargo(arguments: &[&str], change: impl FnOnce(&mut Command)) -> Result<()> {
    let mut cargo = process::cargo();
    change(cargo.args(arguments));
    process::run(&mut cargo)
}
