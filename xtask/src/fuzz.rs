//! Fuzzing: input that nobody thought of, for the parsers that strangers reach.

use std::path::PathBuf;
use std::process::Command;

use crate::{Result, environment, process};

const VERSION: &str = "0.13.2";

/// The targets, which are the names of the programs in `fuzz/`.
const TARGETS: [&str; 3] = ["path", "client_address", "credential"];

/// Runs all targets, or one, for so many seconds each. What finds new ways through the code is added to the corpus.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (seconds, chosen) = match arguments {
        [] => ("60", &TARGETS[..]),
        [seconds] => (seconds.as_str(), &TARGETS[..]),
        [seconds, target] => match TARGETS.iter().position(|known| known == target) {
            Some(place) => (seconds.as_str(), TARGETS.get(place..=place).unwrap_or_default()),
            None => return Err(format!("there is no target {target}, only {}", TARGETS.join(", "))),
        },
        _ => return Err("fuzz takes seconds and a target".to_owned()),
    };
    let tool = installed()?;
    for target in chosen {
        let mut fuzz = Command::new(&tool);
        // The proxies of rustup choose the toolchain by this variable.
        fuzz.env("RUSTUP_TOOLCHAIN", "nightly").args(["fuzz", "run", "--fuzz-dir", "fuzz", target, "--"]);
        process::run(fuzz.args([format!("-max_total_time={seconds}"), "-max_len=4096".to_owned()]))?;
        minimize(&tool, target)?;
    }
    Ok(())
}

/// Keeps the smallest corpus that goes the same ways.
fn minimize(tool: &PathBuf, target: &str) -> Result<()> {
    let mut fuzz = Command::new(tool);
    fuzz.env("RUSTUP_TOOLCHAIN", "nightly").args(["fuzz", "cmin", "--fuzz-dir", "fuzz", target]);
    process::run(&mut fuzz)
}

fn installed() -> Result<PathBuf> {
    let directory = environment::target_directory().join("tools").join(format!("cargo-fuzz-{VERSION}"));
    let program = directory.join("bin").join("cargo-fuzz");
    if !program.exists() {
        println!("Installing cargo-fuzz {VERSION} below the target directory.");
        let mut cargo = process::cargo();
        cargo.args(["install", "cargo-fuzz", "--version", VERSION, "--locked", "--root"]);
        process::run(cargo.arg(&directory))?;
    }
    Ok(program)
}
