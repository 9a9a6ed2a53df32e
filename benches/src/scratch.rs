//! Databases that are thrown away, and the directory that the files of one run are in.

use std::path::{Path, PathBuf};

use tenantry_store::Location;

use crate::Result;
use crate::options::Engine;
use crate::plain::Plain;

/// The databases of one benchmark on one engine.
#[derive(Debug)]
pub(crate) struct Scratch {
    engine: Engine,
    directory: PathBuf,
    made: Vec<Location>,
}

impl Scratch {
    /// A place without a database.
    pub(crate) fn new(engine: Engine) -> Result<Self> {
        let directory = std::env::temp_dir().join(unique());
        std::fs::create_dir_all(&directory)?;
        Ok(Self { engine, directory, made: Vec::new() })
    }

    /// What the databases are on.
    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    /// Where SQLite's files are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes an empty database.
    pub(crate) async fn database(&mut self) -> Result<Location> {
        let location = match self.engine {
            Engine::Sqlite => Location::File(self.directory.join(format!("{}.sqlite3", self.made.len()))),
            Engine::Postgres => {
                let name = format!("{}_{}", unique(), self.made.len());
                administer(format!("CREATE DATABASE {name} TEMPLATE template0")).await?;
                Location::Server(sibling(&server()?, &name))
            }
        };
        self.made.push(location.clone());
        Ok(location)
    }

    /// Throws all databases away.
    pub(crate) async fn remove(self) -> Result<()> {
        for location in &self.made {
            if let Location::Server(address) = location {
                let name = address.rsplit_once('/').map_or("", |(_, name)| name);
                administer(format!("DROP DATABASE {name} WITH (FORCE)")).await?;
            }
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The address of the server that databases are made on, as `cargo xtask bench` gives it.
#[expect(clippy::disallowed_methods, reason = "no part of the product, which has its configuration elsewhere")]
pub(crate) fn server() -> Result<String> {
    std::env::var("TENANTRY_TEST_PG").map_err(|_| "set TENANTRY_TEST_PG, or use `cargo xtask bench`".into())
}

async fn administer(statement: String) -> Result<()> {
    let server = Plain::open(&Location::Server(server()?)).await?;
    let outcome = server.script(statement).await;
    server.close().await;
    outcome
}

/// The address of another database on the same server.
fn sibling(address: &str, name: &str) -> String {
    let base = address.rsplit_once('/').map_or(address, |(base, _)| base);
    format!("{base}/{name}")
}

fn unique() -> String {
    let tick = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    format!("tenantry_bench_{}_{tick:x}", std::process::id())
}
