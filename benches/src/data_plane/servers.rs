//! Programs that are measured, each a process of its own on a core of its own, which ends with the value that stands for it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::nginx::{self, Doors};
use crate::Result;

/// The core of what is measured.
pub(crate) const MEASURED: usize = 0;
/// The core of who asks, and of what is the same for all.
pub(crate) const ASKING: usize = 1;

/// How long a program has to listen.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// The token of the operator.
pub(crate) const OPERATOR: &str = "the operator of the benchmarks, 32 or more characters";

/// A program that runs until this is dropped.
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// Starts a program and waits until somebody can connect to it.
    pub(crate) fn start(name: &str, mut command: Command, address: SocketAddr) -> Result<Self> {
        let child = command.stdin(Stdio::null()).spawn().map_err(|error| format!("{name}: {error}"))?;
        let mut server = Self { child };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("{name} ended: {status}").into());
            }
            if Instant::now() > end {
                return Err(format!("{name} does not listen").into());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(server)
    }

    /// How long its threads have had a core, in nanoseconds.
    pub(crate) fn busy(&self) -> Result<u64> {
        let mut nanos = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            nanos += had_a_core(&task?.path())?;
        }
        Ok(nanos)
    }

    /// Its memory, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        Self::resident(self.child.id())
    }

    /// The memory of a process, in bytes.
    pub(crate) fn resident(process: u32) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long a thread has had a core, in nanoseconds, by its directory below `/proc`.
pub(crate) fn had_a_core(thread: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(thread.join("schedstat"))?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

/// A program of other people, as `cargo xtask bench` installs it.
#[expect(clippy::disallowed_methods, reason = "no part of the product, which has its configuration elsewhere")]
pub(crate) fn program(path: &str) -> Result<Command> {
    let directory = std::env::var("TENANTRY_BENCH_PEERS").map_err(|_| "use `cargo xtask bench`")?;
    let directory = PathBuf::from(directory);
    let mut command = Command::new(directory.join(path));
    command.env("LD_LIBRARY_PATH", directory.join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH)));
    command.stdout(Stdio::null());
    Ok(command)
}

/// The same program on one core only.
fn pinned(command: &Command, core: usize) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.args(["--cpu-list", &core.to_string()]).arg(command.get_program()).args(command.get_args());
    pinned.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    pinned
}

/// An address of the loopback interface that was free a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// nginx with one worker on one core.
pub(crate) fn start_nginx(directory: &Path, name: &str, core: usize, servers: &str, at: SocketAddr) -> Result<Server> {
    let own = directory.join(name);
    std::fs::create_dir_all(&own)?;
    let path = own.join("configuration");
    std::fs::write(&path, nginx::configuration(&own, servers))?;
    let mut command = program("usr/sbin/nginx")?;
    command.arg("-p").arg(&own).args(["-e", "stderr", "-c"]).arg(path);
    command.args(["-g", &format!("daemon off; master_process off; pid {}/pid;", own.display())]);
    let mut command = pinned(&command, core);
    command.stdout(Stdio::null());
    Server::start(name, command, at)
}

/// Tenantry as it is released, on one core: it is built beside this program.
pub(crate) fn start_tenantry(directory: &Path, doors: &Doors) -> Result<Server> {
    let own = std::env::current_exe()?;
    let binary = own.with_file_name("tenantry");
    if !binary.is_file() {
        return Err("there is no `tenantry` beside this program: use `cargo xtask bench`".into());
    }
    let mut command = Command::new(binary);
    command.arg("serve").arg("--data-dir").arg(directory.join("data"));
    for (flag, address) in
        [("--listen", doors.control), ("--gateway-listen", doors.gateway), ("--ops-listen", doors.ops)]
    {
        command.arg(flag).arg(address.to_string());
    }
    command.args(["--upstream", &format!("http://{}", doors.small), "--trusted-proxies", "127.0.0.1"]);
    // nginx writes no log of what it answers, either.
    command.args(["--log", "warn"]).env("TENANTRY_OPERATOR_TOKEN", OPERATOR);
    let mut command = pinned(&command, MEASURED);
    // Nobody's `tenantry.toml` is read.
    command.current_dir(directory).env_remove("TENANTRY_CONFIG").stdout(Stdio::null());
    Server::start("tenantry", command, doors.control)
}
