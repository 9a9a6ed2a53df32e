//! `tenantry serve`: runs until it is told to stop.

use std::process::ExitCode;

use tenantry_server::clock::Clock;
use tenantry_server::{Running, Server};
use tenantry_store::Store;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::Failure;
use crate::config::{LogFormat, ServeOptions};

pub(crate) async fn run(options: &ServeOptions) -> Result<ExitCode, Failure> {
    log(options.log_format, &options.log)?;
    let signals = Signals::listen()?;
    options.database.make_directory()?;
    let server = Server::bind(options.listen, options.ops_listen).await?.with_gateway(options.gateway_listen).await?;
    let address = server.control.local_addr()?;
    let public_url = options.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let config = options.server_config(public_url)?;
    let store = Store::migrate(&options.database.location(), options.database.default_limits()).await?;
    let running = server.start(store, Clock::system(), config).await?;
    announce(&running);
    signals.stop(running).await
}

#[expect(clippy::print_stdout, reason = "the token is for the person at the console, not for the log")]
fn announce(running: &Running) {
    if let Some(token) = &running.new_operator_token {
        println!("Operator token, shown this once:\n\n    {token}\n");
    }
    let gateway = running.gateway.map(tracing::field::display);
    tracing::info!(control = %running.control, gateway, ops = %running.ops, "serving");
}

/// The signals that end a server. They are listened for before anybody is told that it runs.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }

    /// Waits for a signal, then for what is in flight. A second signal ends the process at once.
    pub(crate) async fn stop(mut self, running: Running) -> Result<ExitCode, Failure> {
        self.next().await;
        tracing::info!("stopping");
        tokio::select! {
            () = running.stop() => Ok(ExitCode::SUCCESS),
            () = self.next() => Ok(ExitCode::FAILURE),
        }
    }
}

/// Sends log lines to standard error.
pub(crate) fn log(format: LogFormat, filter: &str) -> Result<(), Failure> {
    let filter: EnvFilter = filter.parse()?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
