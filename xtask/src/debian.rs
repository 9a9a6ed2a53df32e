//! Installing packages of a Debian system.

use std::path::Path;
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

/// Unpacks what packages hold into a directory, without installing them: no service is started, nothing else is replaced.
pub(crate) fn unpack(packages: &[&str], directory: &Path) -> Result<()> {
    if environment::program("apt-get").is_none() {
        return Err(format!("this is no Debian system: it has no packages {}", packages.join(", ")));
    }
    let archives = directory.join("archives");
    std::fs::create_dir_all(&archives).map_err(|error| format!("{}: {error}", archives.display()))?;
    let download = || {
        let mut apt = Command::new("apt-get");
        process::output(apt.args(["--quiet", "download"]).args(packages).current_dir(&archives))
    };
    // The lists of packages may be missing, or older than the packages.
    if download().is_err() {
        apt_get(&["update"])?;
        download()?;
    }
    for entry in std::fs::read_dir(&archives).map_err(|error| format!("{}: {error}", archives.display()))? {
        let archive = entry.map_err(|error| error.to_string())?.path();
        process::output(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(directory))?;
    }
    std::fs::remove_dir_all(&archives).map_err(|error| format!("{}: {error}", archives.display()))
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
