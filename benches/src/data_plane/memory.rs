//! How much memory accounts and keys take in a snapshot, beside Redis with the same keys.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use tenantry_core::snapshot::Snapshot;

use super::servers::{Server, free_address, program};
use super::{row, world};
use crate::Result;
use crate::stats::ratio;
use crate::table::Row;

/// How many commands Redis gets at once.
const BATCH: usize = 1_000;

/// A world with these keys, and the rows about its memory.
pub(crate) fn measured(leaves: &[usize], hashes: &[[u8; 32]]) -> Result<(Snapshot, Vec<Row>)> {
    let before = resident()?;
    let snapshot = world::accounts(hashes.len())?;
    let with_accounts = resident()?;
    let snapshot = world::with_people(snapshot, leaves, hashes.len());
    let with_people = resident()?;
    let snapshot = world::with_keys(snapshot, leaves, hashes);
    let with_keys = resident()?;
    let each = |more: u64, less: u64| more.saturating_sub(less) / hashes.len().max(1) as u64;
    let redis = of_redis(hashes)?;
    let line = |what: &str, bytes: u64, goal: &str| {
        let beside = format!("a key in Redis, with an id: {redis} bytes");
        row(what, format!("{bytes} bytes"), beside, ratio(bytes, redis), goal)
    };
    let rows = vec![
        line("memory of a key", each(with_keys, with_people), "≤ 1"),
        line("memory of an account", each(with_accounts, before), "≤ 0.8"),
        line("memory of the person behind a key, ten keys each", each(with_people, with_accounts), ""),
    ];
    Ok((snapshot, rows))
}

/// The memory of this process, in bytes.
fn resident() -> Result<u64> {
    Server::resident(std::process::id())
}

/// What a hash with the id of an account takes in Redis, in bytes.
fn of_redis(hashes: &[[u8; 32]]) -> Result<u64> {
    let address = free_address()?;
    let mut redis = program("usr/bin/redis-server")?;
    redis.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]).arg(address.port().to_string());
    let redis = Server::start("redis", redis, address)?;
    let mut client = Redis::connect(address)?;
    let before = client.used_memory()?;
    for some in hashes.chunks(BATCH) {
        client.set(some)?;
    }
    let after = client.used_memory()?;
    drop(redis);
    Ok(after.saturating_sub(before) / hashes.len().max(1) as u64)
}

/// As much of a client of Redis as this takes.
struct Redis(BufReader<TcpStream>);

impl Redis {
    fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self(BufReader::new(TcpStream::connect(address)?)))
    }

    /// Sets keys to values of 16 bytes.
    fn set(&mut self, hashes: &[[u8; 32]]) -> Result<()> {
        let mut commands = Vec::new();
        for hash in hashes {
            commands.extend(b"*3\r\n$3\r\nSET\r\n$32\r\n");
            commands.extend(hash);
            commands.extend(b"\r\n$16\r\n");
            commands.extend(hash.iter().take(16));
            commands.extend(b"\r\n");
        }
        self.0.get_mut().write_all(&commands)?;
        for _ in hashes {
            let line = self.line()?;
            if line != "+OK" {
                return Err(format!("Redis says {line}").into());
            }
        }
        Ok(())
    }

    fn used_memory(&mut self) -> Result<u64> {
        self.0.get_mut().write_all(b"INFO memory\r\n")?;
        let length: usize = self.line()?.strip_prefix('$').ok_or("Redis does not answer")?.parse()?;
        // With the end of the line after it.
        let mut text = vec![0; length + 2];
        self.0.read_exact(&mut text)?;
        let text = String::from_utf8(text)?;
        let used = text.lines().find_map(|line| line.strip_prefix("used_memory:"));
        Ok(used.ok_or("Redis does not say how much memory it uses")?.parse()?)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err("Redis closed the connection".into());
        }
        Ok(line.trim_end().to_owned())
    }
}
