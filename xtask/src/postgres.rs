//! A private PostgreSQL server to test against.
//!
//! It listens on a free port of the loopback interface, keeps its files in a fresh directory, and ends with the
//! process that started it. Its durability is that of a real one: tests of crashes rely on `fsync`.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::{Result, debian, environment, process};

/// The environment variable with the address of the server that tests use.
pub(crate) const ADDRESS: &str = "TENANTRY_TEST_PG";

const SUPERUSER: &str = "tenantry";
const SETTINGS: [&str; 4] =
    ["listen_addresses=127.0.0.1", "max_connections=300", "shared_buffers=256MB", "max_wal_size=4GB"];
const DIRECTORY_PREFIX: &str = "tenantry-pg-";
const START_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// A server to test against. One that was started here is stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: String,
    own: Option<Own>,
}

/// What there is of a server that was started here. The process is dropped before its files.
#[derive(Debug)]
struct Own {
    process: Process,
    directory: Directory,
}

impl Server {
    /// Starts a private server, unless the environment names one to use.
    pub(crate) fn start() -> Result<Self> {
        if let Some(address) = environment::variable(ADDRESS) {
            return Ok(Self { address, own: None });
        }
        let programs = find_or_install()?;
        let account = Account::find()?;
        let directory = Directory::make(&account)?;
        initialize(&programs, &account, &directory)?;
        let (process, port) = launch(&programs, &account, &directory)
            .map_err(|error| format!("PostgreSQL: {error}\n{}", directory.log_tail()))?;
        let address = format!("postgres://{SUPERUSER}@{}:{port}/postgres", Ipv4Addr::LOCALHOST);
        Ok(Self { address, own: Some(Own { process, directory }) })
    }

    /// Where it listens, with the name of a database.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Stops it, if it was started here, and removes its files.
    pub(crate) fn stop(self) -> Result<()> {
        let Some(mut own) = self.own else { return Ok(()) };
        let stopped = match own.process.ended() {
            Ok(Some(status)) => Err(format!("had ended before it was stopped: {status}")),
            Ok(None) => own.process.quit(),
            Err(error) => Err(error),
        };
        stopped.map_err(|error| format!("PostgreSQL: {error}\n{}", own.directory.log_tail()))
    }
}

/// The process of a server, which ends with this value.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.0.try_wait().map_err(|error| error.to_string())
    }

    /// Told to quit, PostgreSQL stops without writing anything down: its data is thrown away anyway, and a
    /// checkpoint of hundreds of databases would take its time.
    fn quit(&mut self) -> Result<()> {
        // By a shell, since not every system has a program called `kill`.
        process::run(Command::new("sh").args(["-c", "kill -QUIT \"$0\"", &self.0.id().to_string()]))?;
        let start = Instant::now();
        while start.elapsed() < STOP_TIMEOUT {
            if self.ended()?.is_some() {
                return Ok(());
            }
            sleep(PAUSE);
        }
        Err(format!("still runs {STOP_TIMEOUT:?} after it was stopped"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.ended(), Ok(None)) && self.quit().is_err() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// The directory with the programs of PostgreSQL.
fn find_or_install() -> Result<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    // Debian's package also makes a cluster of its own and may start it. It is left alone.
    debian::install("postgresql")?;
    find().ok_or_else(|| "there is no `initdb`, `postgres` and `pg_isready` in one directory".to_owned())
}

fn find() -> Option<PathBuf> {
    let configured = || process::output(Command::new("pg_config").arg("--bindir")).ok().map(PathBuf::from);
    let packaged = || Some(environment::newest(Path::new("/usr/lib/postgresql"))?.join("bin"));
    let on_path = || Some(environment::program("postgres")?.canonicalize().ok()?.parent()?.to_owned());
    configured()
        .filter(|it| is_whole(it))
        .or_else(|| packaged().filter(|it| is_whole(it)))
        .or_else(on_path)
        .filter(|it| is_whole(it))
}

fn is_whole(programs: &Path) -> bool {
    ["initdb", "postgres", "pg_isready"].iter().all(|program| programs.join(program).is_file())
}

/// Who runs the server. PostgreSQL refuses to be run by root.
#[derive(Debug)]
struct Account {
    /// The user that root becomes.
    user: Option<&'static str>,
}

impl Account {
    fn find() -> Result<Self> {
        Ok(Self { user: process::is_root()?.then_some("postgres") })
    }

    /// A command that stays a direct child of this process and is interrupted when this process dies.
    fn command(&self, program: &Path) -> Command {
        let Some(setpriv) = environment::program("setpriv") else { return Command::new(program) };
        let mut command = Command::new(setpriv);
        if let Some(user) = self.user {
            command.args([format!("--reuid={user}"), format!("--regid={user}"), "--init-groups".to_owned()]);
        }
        command.args(["--pdeathsig", "INT", "--"]).arg(program);
        command
    }

    fn own(&self, path: &Path) -> Result<()> {
        let Some(user) = self.user else { return Ok(()) };
        process::output(Command::new("chown").arg(format!("{user}:{user}")).arg(path)).map(drop)
    }
}

/// The files of one server, which are removed with this value.
///
/// Its log is locked while a process of the server or the one that started it runs: the operating system sees to that,
/// however they end.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    log: File,
}

impl Directory {
    fn make(account: &Account) -> Result<Self> {
        remove_leftovers();
        let tick = UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let path = std::env::temp_dir().join(format!("{DIRECTORY_PREFIX}{}-{tick:x}", std::process::id()));
        let explain = |error| format!("{}: {error}", path.display());
        DirBuilder::new().mode(0o700).create(&path).map_err(explain)?;
        let log = File::create(path.join("log")).map_err(explain)?;
        log.lock().map_err(explain)?;
        let directory = Self { path, log };
        DirBuilder::new().mode(0o700).create(directory.data()).map_err(|error| error.to_string())?;
        account.own(&directory.data())?;
        account.own(&directory.path)?;
        Ok(directory)
    }

    fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    fn log(&self) -> Result<Stdio> {
        self.log.try_clone().map(Stdio::from).map_err(|error| format!("the log of PostgreSQL: {error}"))
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read(self.path.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Removes directories of servers whose processes were killed before they could do it.
fn remove_leftovers() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        // The data directory is made once the lock is held.
        let is_unused = || {
            File::open(entry.path().join("log"))
                .is_ok_and(|log| entry.path().join("data").exists() && log.try_lock().is_ok())
        };
        if entry.file_name().to_string_lossy().starts_with(DIRECTORY_PREFIX) && is_unused() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn initialize(programs: &Path, account: &Account, directory: &Directory) -> Result<()> {
    let mut initdb = account.command(&programs.join("initdb"));
    initdb.arg("--pgdata").arg(directory.data()).args(["--username", SUPERUSER, "--auth=trust"]);
    // Without a sync: the fresh cluster may be lost, what tests write to it may not.
    initdb.args(["--locale=C", "--encoding=UTF8", "--no-sync"]);
    process::output(initdb.current_dir(&directory.path)).map(drop)
}

/// Starts the server on a free port. Another program may take the port first, so there is more than one attempt.
fn launch(programs: &Path, account: &Account, directory: &Directory) -> Result<(Process, u16)> {
    for _ in 0..3 {
        let port = free_port()?;
        let mut process = spawn(programs, account, directory, port)?;
        if becomes_ready(&mut process, programs, directory, port)? {
            return Ok((process, port));
        }
    }
    Err("does not start".to_owned())
}

/// Waits until the server answers; false if it ends instead.
fn becomes_ready(process: &mut Process, programs: &Path, directory: &Directory, port: u16) -> Result<bool> {
    let start = Instant::now();
    while start.elapsed() < START_TIMEOUT {
        if process.ended()?.is_some() {
            return Ok(false);
        }
        if answers(programs, directory, port) {
            return Ok(true);
        }
        sleep(PAUSE);
    }
    Err(format!("not ready after {START_TIMEOUT:?}"))
}

/// Whether our server takes connections. Its own socket tells it from another server that has its port.
fn answers(programs: &Path, directory: &Directory, port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut is_ready = Command::new(programs.join("pg_isready"));
    is_ready.arg("--quiet").arg("--host").arg(&directory.path).args(["--port", &port.to_string()]);
    is_ready.args(["--username", SUPERUSER, "--dbname", "postgres"]);
    TcpStream::connect_timeout(&address, PAUSE).is_ok() && is_ready.status().is_ok_and(|status| status.success())
}

fn free_port() -> Result<u16> {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| format!("there is no free port: {error}"))
}

fn spawn(programs: &Path, account: &Account, directory: &Directory, port: u16) -> Result<Process> {
    let mut postgres = account.command(&programs.join("postgres"));
    postgres.arg("-D").arg(directory.data()).arg("-k").arg(&directory.path).args(["-p", &port.to_string()]);
    postgres.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]).map(OsStr::new));
    postgres.current_dir(&directory.path).stdin(Stdio::null()).stdout(directory.log()?).stderr(directory.log()?);
    postgres.spawn().map(Process).map_err(|error| format!("{}: {error}", process::line(&postgres)))
}
