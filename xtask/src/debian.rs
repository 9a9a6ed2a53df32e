//! Installing packages of a Debian system.

use std::process::Command;

use crate::{Result, environment, process};

/// Installs a package, as root or by way of sudo.
pub(crate) fn install(package: &str) -> Result<()> {
    if environment::program("apt-get").is_none() {
        return Err(format!("this is no Debian system: install what Debian calls `{package}`, then try again"));
    }
    println!("Installing {package}.");
    apt_get(&["update"])?;
    apt_get(&["install", "-y", "--no-install-recommends", package])
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = if process::is_root()? {
        Command::new("env")
    } else if environment::program("sudo").is_some() {
        let mut sudo = Command::new("sudo");
        sudo.arg("env");
        sudo
    } else {
        return Err(format!("there is no sudo: run `apt-get {}` as root, then try again", arguments.join(" ")));
    };
    process::run(command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]).args(arguments))
}
