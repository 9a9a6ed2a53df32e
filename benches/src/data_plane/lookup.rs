//! What a database would be asked before every call: whose key this is, by the primary key of one table.

use crate::Result;
use crate::plain::{Plain, Reader};
use crate::scratch::Scratch;

/// How many rows one statement inserts.
const BATCH: usize = 10_000;

/// A table of hashes on SQLite: by way of the driver that the store has, and without one.
pub(crate) struct Lookup {
    reader: Reader,
    #[cfg(feature = "peers")]
    direct: rusqlite::Connection,
}

impl Lookup {
    /// Fills the table.
    pub(crate) async fn prepare(scratch: &mut Scratch, hashes: &[[u8; 32]]) -> Result<Self> {
        let location = scratch.database().await?;
        let plain = Plain::open(&location).await?;
        let table = "CREATE TABLE lookup (hash BLOB NOT NULL PRIMARY KEY, account BLOB NOT NULL) WITHOUT ROWID";
        plain.script(table.to_owned()).await?;
        for some in hashes.chunks(BATCH) {
            let rows: Vec<String> = some.iter().map(row).collect();
            plain.script(format!("INSERT INTO lookup VALUES {}", rows.join(", "))).await?;
        }
        plain.script("PRAGMA wal_checkpoint(TRUNCATE)".to_owned()).await?;
        Ok(Self {
            reader: plain.reader().await?,
            #[cfg(feature = "peers")]
            direct: open(&location)?,
        })
    }

    /// Asks as the store would.
    pub(crate) async fn by_driver(&mut self, hash: &[u8; 32]) -> Result<()> {
        self.reader.account_of(hash).await
    }

    /// The mean time in nanoseconds of asking SQLite itself, with a statement that is prepared; `None` if it was not built.
    #[cfg(feature = "peers")]
    pub(crate) fn direct(&self, places: &[usize], hashes: &[[u8; 32]]) -> Result<Option<u64>> {
        let mut statement = self.direct.prepare("SELECT account FROM lookup WHERE hash = ?1")?;
        Ok(Some(super::decide::each(places, |place| {
            let hash = hashes.get(place)?;
            statement.query_row([hash], |row| row.get::<_, [u8; 16]>(0)).ok()
        })))
    }

    #[cfg(not(feature = "peers"))]
    pub(crate) fn direct(&self, _: &[usize], _: &[[u8; 32]]) -> Result<Option<u64>> {
        Ok(None)
    }
}

/// A key, and an id that is as long as that of an account.
fn row(hash: &[u8; 32]) -> String {
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("(x'{hash}', x'{}')", hash.get(..32).unwrap_or_default())
}

#[cfg(feature = "peers")]
fn open(location: &tenantry_store::Location) -> Result<rusqlite::Connection> {
    let tenantry_store::Location::File(path) = location else { return Err("this is for SQLite".into()) };
    let direct = rusqlite::Connection::open(path)?;
    // All of it, so that no look-up waits for the system.
    direct.pragma_update(None, "cache_size", -1_048_576)?;
    Ok(direct)
}
