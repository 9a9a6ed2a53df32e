//! Who asks: one thread on a core of its own, with many connections that each send their next request when they have the answer
//! to the last. It is the same for all that is measured, and tells how busy it was: what it cannot send was not refused.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::servers::{ASKING, had_a_core};
use super::shape::Shuffled;
use crate::client::head;
use crate::stats::{micros, percentile};
use crate::{Failure, Result};

/// How many connections there are.
const CONNECTIONS: usize = 64;
/// More than any answer has.
const LARGEST: usize = 1 << 18;

/// Stands in a request for the text of a key, and is as long.
pub(crate) const KEY: &str = "tny_live_????????????????????????????????_??????";

/// A request, in which the keys are others each time.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    bytes: Vec<u8>,
    /// Where the keys stand.
    places: Vec<usize>,
    keys: Arc<[String]>,
    /// How many of the keys take turns.
    among: usize,
}

/// What came of asking.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answers {
    pub(crate) count: u64,
    pub(crate) elapsed: Duration,
    /// How long the slowest of a hundred took, in microseconds.
    pub(crate) p99: u64,
    /// How long the asking thread has had its core.
    pub(crate) busy: u64,
}

impl Question {
    pub(crate) fn new(text: &str, keys: &Arc<[String]>, among: usize) -> Self {
        let places = text.match_indices(KEY).map(|(place, _)| place).collect();
        Self { bytes: text.as_bytes().to_vec(), places, keys: Arc::clone(keys), among: among.min(keys.len()) }
    }

    /// How many keys take turns.
    pub(crate) fn keys(&self) -> usize {
        self.among
    }

    /// Puts other keys in.
    fn next(&mut self, order: &mut Shuffled) -> &[u8] {
        for place in &self.places {
            let key = self.keys.get(order.below(self.among));
            if let (Some(key), Some(hole)) = (key, self.bytes.get_mut(*place..*place + KEY.len())) {
                hole.copy_from_slice(key.as_bytes());
            }
        }
        &self.bytes
    }
}

/// Asks for a while.
pub(crate) fn ask(address: SocketAddr, question: &Question, stretch: Duration) -> Result<Answers> {
    let question = question.clone();
    on_the_asking_core(async move || {
        let mut clients = Vec::new();
        for number in 0..CONNECTIONS {
            clients.push(Asking::connect(address, question.clone(), number).await?);
        }
        let (start, mut running) = (Instant::now(), JoinSet::new());
        let busy = busy()?;
        for client in clients {
            running.spawn(client.run(start, stretch));
        }
        let mut took: Vec<u64> = Vec::new();
        while let Some(done) = running.join_next().await {
            took.extend(done??.into_iter().map(u64::from));
        }
        let (elapsed, busy) = (start.elapsed(), self::busy()?.saturating_sub(busy));
        Ok(Answers { count: took.len() as u64, elapsed, p99: percentile(took, 99), busy })
    })
}

/// Runs to its end on a thread that has the core to itself.
pub(crate) fn on_the_asking_core<T: Send + 'static, F: Future<Output = Result<T>>>(
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<T> {
    let thread = std::thread::spawn(move || {
        let number = own()?.file_name().map(|name| name.to_string_lossy().into_owned()).ok_or("no thread")?;
        let pinned = Command::new("taskset").args(["--pid", "--cpu-list", &ASKING.to_string(), &number]).output()?;
        if !pinned.status.success() {
            return Err(Failure::from(String::from_utf8_lossy(&pinned.stderr)));
        }
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work())
    });
    thread.join().map_err(|_| "the asking thread panicked")?
}

/// The directory of this thread below `/proc`.
fn own() -> Result<PathBuf> {
    Ok(PathBuf::from("/proc").join(fs::read_link("/proc/thread-self")?))
}

fn busy() -> Result<u64> {
    had_a_core(&own()?)
}

/// One connection.
pub(crate) struct Asking {
    stream: TcpStream,
    question: Question,
    order: Shuffled,
    received: Vec<u8>,
    /// How long head and body of the last answer were: most are like the one before.
    like: (usize, usize),
}

impl Asking {
    pub(crate) async fn connect(address: SocketAddr, question: Question, number: usize) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let order = Shuffled(number as u64 * 1_000_003);
        Ok(Self { stream, question, order, received: Vec::with_capacity(LARGEST), like: (0, 0) })
    }

    /// Asks for a while, and tells how long each answer took, in microseconds.
    async fn run(mut self, start: Instant, stretch: Duration) -> Result<Vec<u32>> {
        let (mut took, mut asked) = (Vec::new(), Instant::now());
        while start.elapsed() < stretch {
            self.once().await?;
            let now = Instant::now();
            took.push(u32::try_from(micros(now.duration_since(asked))).unwrap_or(u32::MAX));
            asked = now;
        }
        Ok(took)
    }

    /// Sends one request and waits for its answer, which has to be a success.
    pub(crate) async fn once(&mut self) -> Result<()> {
        self.stream.write_all(self.question.next(&mut self.order)).await?;
        self.received.clear();
        while !self.is_whole()? {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
        Ok(())
    }

    fn is_whole(&mut self) -> Result<bool> {
        let (length, body) = self.like;
        let ended = self.received.get(..length).is_some_and(|head| head.ends_with(b"\r\n\r\n"));
        if ended && self.received.len() == length + body && self.received.starts_with(b"HTTP/1.1 2") {
            return Ok(true);
        }
        let Some(head) = head(&self.received)? else { return Ok(false) };
        if !head.ok {
            return Err(format!("the server refused: {}", String::from_utf8_lossy(&self.received)).into());
        }
        self.like = (head.length, head.body);
        Ok(self.received.len() >= head.length + head.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_plane::shape::texts;

    #[test]
    fn keys_take_turns() {
        let keys: Arc<[String]> = texts(3).into();
        let mut question = Question::new(&format!("a {KEY} b {KEY}"), &keys, 2);
        let mut order = Shuffled(0);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let text = String::from_utf8(question.next(&mut order).to_vec()).expect("text");
            let (first, second) = text.split_once(" b ").expect("two");
            seen.extend([first.trim_start_matches("a ").to_owned(), second.to_owned()]);
        }
        assert!(seen.iter().eq(keys[..2].iter().collect::<std::collections::BTreeSet<_>>()), "{seen:?}");
    }
}
