//! Starting and stopping a server.

use std::net::SocketAddr;

use tenantry_store::Store;
use tenantry_store::system::Deployment;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::chance::Chance;
use crate::clock::Clock;
use crate::config::{Config, SHORTEST_OPERATOR_TOKEN};
use crate::lane::Lane;
use crate::problem::{Error, Result};
use crate::seal::{mac, sha256, sha256_parts};
use crate::state::{App, Secrets, Services};
use crate::{gateway, metering, net, ops, plane, router, workers};

/// Where a server listens.
#[derive(Debug)]
pub struct Server {
    /// For the control plane.
    pub control: TcpListener,
    /// For health and figures.
    pub ops: TcpListener,
    /// For the customers of the API, if there is one: it serves the published contract of super organizations.
    pub gateway: Option<TcpListener>,
}

/// A server that runs.
pub struct Running {
    /// What its requests share.
    pub app: App,
    /// Where the control plane listens.
    pub control: SocketAddr,
    /// Where health and figures are.
    pub ops: SocketAddr,
    /// Where the gateway listens.
    pub gateway: Option<SocketAddr>,
    /// The operator token, if this start made one: the only time that it can be shown.
    pub new_operator_token: Option<String>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Binds the listeners.
    ///
    /// # Errors
    /// If an address cannot be bound; says which.
    pub async fn bind(control: SocketAddr, ops: SocketAddr) -> std::io::Result<Self> {
        Ok(Self { control: listener(control).await?, ops: listener(ops).await?, gateway: None })
    }

    /// Binds a gateway listener as well.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn with_gateway(self, gateway: SocketAddr) -> std::io::Result<Self> {
        Ok(Self { gateway: Some(listener(gateway).await?), ..self })
    }

    /// Starts serving.
    ///
    /// # Errors
    /// If the operator token is too short, or the database fails.
    pub async fn start(self, store: Store, clock: Clock, config: Config) -> Result<Running> {
        let (app, new_operator_token) = open(store, clock, config).await?;
        let (stop, stopped) = watch::channel(false);
        let timeouts = app.config.timeouts;
        let (control, ops) = (address(&self.control)?, address(&self.ops)?);
        let gateway = self.gateway.as_ref().map(address).transpose()?;
        let (metrics, connections) = (net::routes(ops::router(&app)), || net::counted(app.clone()));
        let lane = Lane::new(&app, net::routes(router::router(&app)));
        let lane = move |peer, request| lane.clone().answer(peer, request);
        let metrics = move |peer, request| net::route(metrics.clone(), peer, request);
        let mut tasks = vec![
            tokio::spawn(net::serve(self.control, lane, timeouts, connections(), stopped.clone())),
            tokio::spawn(net::serve(self.ops, metrics, timeouts, connections(), stopped.clone())),
            tokio::spawn(workers::run(app.clone(), stopped.clone())),
            tokio::spawn(plane::follow(app.clone(), stopped.clone())),
            tokio::spawn(workers::run_sender(app.clone(), stopped.clone())),
            tokio::spawn(metering::run(app.clone(), stopped.clone())),
        ];
        if let Some(listener) = self.gateway {
            let door = gateway::Door::open(&app)?;
            let timeouts = door.timeouts();
            let answer = move |peer, request| door.clone().answer(peer, request);
            tasks.push(tokio::spawn(net::serve(listener, answer, timeouts, connections(), stopped)));
        }
        Ok(Running { app, control, ops, gateway, new_operator_token, stop, tasks })
    }
}

fn address(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(Error::internal)
}

async fn listener(address: SocketAddr) -> std::io::Result<TcpListener> {
    let named = |error: std::io::Error| std::io::Error::new(error.kind(), format!("{address}: {error}"));
    TcpListener::bind(address).await.map_err(named)
}

/// Reads or makes what belongs to the deployment. Answers the operator token if it was made here.
async fn open(store: Store, clock: Clock, config: Config) -> Result<(App, Option<String>)> {
    let chance = Chance::default();
    let given = match &config.operator_token {
        Some(token) if token.chars().count() < SHORTEST_OPERATOR_TOKEN => {
            return Err(Error::internal(format!(
                "the operator token has fewer than {SHORTEST_OPERATOR_TOKEN} characters"
            )));
        }
        Some(token) => Some(sha256(token.as_bytes())),
        None => None,
    };
    let services = Services::open(&store, &config, &chance, clock.now()).await?;
    let fresh = format!("tny_operator_{}", hex(&chance.bytes::<24>()?));
    let deployment =
        Deployment { operator_hash: given.is_none().then(|| sha256(fresh.as_bytes())), cursor_secret: chance.bytes()? };
    let (deployment, made) = store.deployment(&deployment, clock.now()).await?;
    let operator_hash = given.or(deployment.operator_hash).ok_or_else(|| Error::internal("no operator token"))?;
    let cursor_secret = deployment.cursor_secret;
    let secret = mac(&cursor_secret, &[b"tenantry secret 1", config.secret.as_deref().unwrap_or_default().as_bytes()]);
    if !store.deployment_secret_is(sha256_parts(&[b"tenantry secret check 1", &secret])).await? {
        return Err(Error::internal("the deployment began with another `secret`: what it sealed could not be opened"));
    }
    let new_token = (given.is_none() && made).then_some(fresh);
    let app = App::new(store, clock, config, &Secrets { operator_hash, cursor_secret, secret }, services);
    Ok((app, new_token))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Running {
    /// Purges closed accounts whose retention period is over, as the worker does every hour.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn purge(&self) -> Result<()> {
        Ok(workers::purge_closed(&self.app).await?)
    }

    /// Writes down when keys were used, as the worker does every few seconds.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn flush(&self) -> Result<()> {
        Ok(workers::write_uses(&self.app).await?)
    }

    /// Sends the mails that are due, as the worker does whenever there is one.
    ///
    /// # Errors
    /// If the database fails; a mail that is not taken is tried again later.
    pub async fn deliver(&self) -> Result<()> {
        workers::send_mails(&self.app).await
    }

    /// Makes durable what was recorded of calls, and adds it to the database, as the worker does several times a second.
    ///
    /// # Errors
    /// If the database fails: then it is tried again later.
    pub async fn ship(&self) -> Result<()> {
        self.app.metering.journal.sync().await;
        metering::ship(&self.app).await
    }

    /// Stops accepting, waits for what is in flight, writes down what is left, and closes the database.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
        metering::finish(&self.app).await;
        self.app.store.close().await;
    }
}
