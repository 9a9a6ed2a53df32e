//! What all requests share.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenantry_core::Timestamp;
use tenantry_core::id::{KeyId, SessionId};
use tenantry_core::time::Span;
use tenantry_gateway::limits::Limiter;
use tenantry_store::system::KeyUse;
use tenantry_store::tenant::Identity;
use tenantry_store::{SessionUse, Store};
use tokio::sync::Notify;
use webauthn_rs::Webauthn;

use crate::chance::Chance;
use crate::clock::Clock;
use crate::config::Config;
use crate::mail::Mailer;
use crate::metering::Metering;
use crate::metrics::Metrics;
use crate::passkeys;
use crate::password::Passwords;
use crate::plane::Plane;
use crate::problem::{Error, Result};
use crate::providers::Providers;

/// How long a caller that was let in may queue for a writer without being asked first.
const RECENT: Span = Span::seconds(5);

/// How many callers are remembered for that.
const MOST_RECENT: usize = 10_000;

/// What the deployment keeps to itself.
pub(crate) struct Secrets {
    pub(crate) operator_hash: [u8; 32],
    pub(crate) cursor_secret: [u8; 32],
    pub(crate) secret: [u8; 32],
}

/// What can fail to be there, made before anything is written down: a token that is made at the first start has to be shown.
pub(crate) struct Services {
    passwords: Passwords,
    mailer: Mailer,
    providers: Providers,
    plane: Plane,
    metering: Metering,
}

impl Services {
    /// # Errors
    /// If the configuration of mail or of providers is none, the directory of usage cannot be used, or the database fails.
    pub(crate) async fn open(store: &Store, config: &Config, chance: &Chance, now: Timestamp) -> Result<Self> {
        Ok(Self {
            passwords: Passwords::new()?,
            mailer: Mailer::new(config.smtp_url.as_deref(), config.smtp_ca.as_deref(), &config.mail_from)?,
            providers: Providers::new(&config.providers)?,
            plane: Plane::load(store).await?,
            metering: Metering::open(&config.usage_dir, chance.bytes()?, now).map_err(Error::internal)?,
        })
    }
}

/// The shared state of a running server; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// What [`App`] points to.
pub struct Shared {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Randomness and ids.
    pub chance: Chance,
    /// How the deployment is configured.
    pub config: Config,
    /// Figures for the ops listener.
    pub metrics: Metrics,
    /// The SHA-256 of the operator token.
    pub(crate) operator_hash: [u8; 32],
    /// Authenticates the cursors of long lists.
    pub(crate) cursor_secret: [u8; 32],
    /// Seals secrets that have to be read again, and marks the browsers in which people signed in.
    pub(crate) secret: [u8; 32],
    /// Hashes and checks passwords.
    pub passwords: Passwords,
    /// What decisions are made by.
    pub plane: Plane,
    /// How many calls were made of those that are limited.
    pub limiter: Arc<Limiter>,
    /// Records what calls used.
    pub metering: Metering,
    /// Writes and sends mails.
    pub mailer: Mailer,
    /// Where users can sign in instead of here.
    pub(crate) providers: Providers,
    /// Checks passkeys, where the public address allows for them.
    pub(crate) webauthn: Option<Webauthn>,
    /// Says that there is a mail to send.
    pub(crate) outbox: Notify,
    /// Held by who sends mails: one at a time, so that who waits for it finds them sent.
    pub(crate) sending: tokio::sync::Mutex<()>,
    in_flight: Mutex<HashSet<[u8; 32]>>,
    key_uses: Mutex<HashMap<KeyId, KeyUse>>,
    session_uses: Mutex<HashMap<SessionId, SessionUse>>,
    recent: Mutex<HashMap<[u8; 32], Timestamp>>,
}

impl Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl App {
    pub(crate) fn new(store: Store, clock: Clock, config: Config, secrets: &Secrets, services: Services) -> Self {
        let Services { passwords, mailer, providers, plane, metering } = services;
        Self(Arc::new(Shared {
            store,
            clock,
            chance: Chance::default(),
            metrics: Metrics::default(),
            operator_hash: secrets.operator_hash,
            cursor_secret: secrets.cursor_secret,
            secret: secrets.secret,
            passwords,
            plane,
            limiter: Arc::default(),
            metering,
            mailer,
            providers,
            webauthn: passkeys::relying_party(&config.public_url),
            outbox: Notify::new(),
            sending: tokio::sync::Mutex::default(),
            config,
            in_flight: Mutex::default(),
            key_uses: Mutex::default(),
            session_uses: Mutex::default(),
            recent: Mutex::default(),
        }))
    }

    /// Marks an idempotency key as being answered; `None` if it is already.
    pub(crate) fn claim(&self, id: [u8; 32]) -> Option<Claim> {
        locked(&self.in_flight).insert(id).then(|| Claim { app: self.clone(), id })
    }

    /// Whether a credential was let in a moment ago. Says nothing about its rights: it only saves a caller
    /// that is known the question whether it may queue for a writer. The door asks again.
    pub(crate) fn was_let_in(&self, credential: [u8; 32], now: Timestamp) -> bool {
        locked(&self.recent).get(&credential).is_some_and(|at| now.since(*at) < RECENT)
    }

    /// Remembers that a credential was let in.
    pub(crate) fn note_let_in(&self, credential: [u8; 32], now: Timestamp) {
        let mut recent = locked(&self.recent);
        if recent.len() >= MOST_RECENT {
            recent.clear();
        }
        recent.insert(credential, now);
    }

    /// Remembers that a key or a session was used; a worker writes it down later.
    pub(crate) fn note_use(&self, identity: &Identity, at: Timestamp, ip: Option<IpAddr>) {
        let ip = ip.map(|address| address.to_string());
        if let Some(key) = &identity.key {
            let used = KeyUse { key: key.id, at, ip: ip.clone() };
            locked(&self.key_uses).insert(key.id, used);
        }
        if let Some(session) = &identity.session {
            let used = SessionUse { session: session.id, at, ip };
            locked(&self.session_uses).insert(session.id, used);
        }
    }

    /// The uses of sessions since the last call.
    pub(crate) fn take_session_uses(&self) -> Vec<SessionUse> {
        std::mem::take(&mut *locked(&self.session_uses)).into_values().collect()
    }

    /// The uses of keys since the last call.
    pub(crate) fn take_uses(&self) -> Vec<KeyUse> {
        std::mem::take(&mut *locked(&self.key_uses)).into_values().collect()
    }
}

/// An idempotency key that is being answered, until this is dropped.
pub(crate) struct Claim {
    app: App,
    id: [u8; 32],
}

impl Drop for Claim {
    fn drop(&mut self) {
        locked(&self.app.in_flight).remove(&self.id);
    }
}
