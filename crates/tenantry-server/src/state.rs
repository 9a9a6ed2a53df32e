//! What all requests share.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenantry_core::Timestamp;
use tenantry_core::id::KeyId;
use tenantry_core::time::Span;
use tenantry_store::Store;
use tenantry_store::system::KeyUse;
use tenantry_store::tenant::Identity;

use crate::chance::Chance;
use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Metrics;

/// How long a caller that was let in may queue for a writer without being asked first.
const RECENT: Span = Span::seconds(5);

/// How many callers are remembered for that.
const MOST_RECENT: usize = 10_000;

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
    in_flight: Mutex<HashSet<[u8; 32]>>,
    key_uses: Mutex<HashMap<KeyId, KeyUse>>,
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
    pub(crate) fn new(
        store: Store,
        clock: Clock,
        config: Config,
        operator_hash: [u8; 32],
        cursor_secret: [u8; 32],
    ) -> Self {
        Self(Arc::new(Shared {
            store,
            clock,
            chance: Chance::default(),
            config,
            metrics: Metrics::default(),
            operator_hash,
            cursor_secret,
            in_flight: Mutex::default(),
            key_uses: Mutex::default(),
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

    /// Remembers that a key was used; a worker writes it down later.
    pub(crate) fn note_use(&self, identity: &Identity, at: Timestamp, ip: Option<&str>) {
        if let Some(key) = &identity.key {
            let used = KeyUse { key: key.id, at, ip: ip.map(str::to_owned) };
            locked(&self.key_uses).insert(key.id, used);
        }
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
