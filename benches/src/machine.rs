//! What the numbers are from.

use tenantry_store::Location;

use crate::Result;
use crate::options::Engine;
use crate::plain::Plain;
use crate::scratch::{Scratch, server};

/// A line about cores, system and engines.
pub(crate) async fn line(engines: &[Engine]) -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let mut parts = vec![format!("{cores} cores ({}), shared by server, clients and database", processor())];
    if let Some(system) = read("/proc/sys/kernel/osrelease") {
        parts.push(format!("Linux {system}"));
    }
    for engine in engines {
        parts.push(format!("{engine} {}", version(*engine).await?));
    }
    Ok(format!("Measured on {}.", parts.join("; ")))
}

fn processor() -> String {
    let named = read("/proc/cpuinfo").and_then(|text| {
        Some(text.lines().find(|line| line.starts_with("model name"))?.split_once(": ")?.1.to_owned())
    });
    named.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn read(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

async fn version(engine: Engine) -> Result<String> {
    let mut scratch = Scratch::new(engine)?;
    let location = match engine {
        Engine::Sqlite => scratch.database().await?,
        Engine::Postgres => Location::Server(server()?),
    };
    let plain = Plain::open(&location).await?;
    let version = plain.version().await?;
    plain.close().await;
    // "15.18 (Debian 15.18-0+deb12u1)" says it twice.
    Ok(version.split(' ').next().unwrap_or_default().to_owned())
}
