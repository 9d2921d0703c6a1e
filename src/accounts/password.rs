//! Hashing passwords: slow on purpose, so on threads of its own and only a few at a time.

use super::Denied;
use crate::domain::account::Password;
use secrecy::{ExposeSecret, SecretString};
use std::{
    num::NonZero,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread::available_parallelism,
};
use tokio::{runtime::Handle, sync::Semaphore};

/// The most requests that wait for their password to be looked at. At a quarter of a second each and two at a time, the last one waits
/// some four seconds.
const WAITING: usize = 32;

/// Hashes and verifies passwords with bcrypt. A storm of logins fills its line and gets [`Denied::Busy`]; it takes no thread
/// from orders. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    cost: u32,
    runtime: Handle,
    at_once: Arc<Semaphore>,
    inside: Arc<AtomicUsize>,
    /// A hash of nobody's password: unknown accounts take as long as known ones.
    nobody: Arc<OnceLock<String>>,
}

/// Counts itself out when a request ends, however it ends.
struct Inside(Arc<AtomicUsize>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Passwords {
    /// Hashes at this cost (a power of two of rounds, 4 to 31), on the runtime it is made on.
    pub fn new(cost: u32) -> Self {
        let threads = available_parallelism().map_or(1, NonZero::get);
        Self {
            cost,
            runtime: Handle::current(),
            at_once: Arc::new(Semaphore::new(threads)),
            inside: Arc::default(),
            nobody: Arc::default(),
        }
    }

    /// The hash to keep of a password.
    pub async fn hash(&self, password: &Password) -> Result<String, Denied> {
        let (cost, password) = (self.cost, password.clone());
        // Nothing is truncated: a `Password` has at most the 72 bytes that count. (`non_truncating_hash` takes 71: it
        // counts the NUL that it adds.)
        self.apart(move || bcrypt::hash(password.expose(), cost)).await?.map_err(|error| {
            tracing::error!(%error, "a password could not be hashed");
            Denied::Busy
        })
    }

    /// Whether the hash is this password's. Without a hash: false, after as long a time.
    pub async fn verify(&self, password: &SecretString, hash: Option<&str>) -> Result<bool, Denied> {
        let (cost, nobody, password, hash) =
            (self.cost, Arc::clone(&self.nobody), password.clone(), hash.map(str::to_owned));
        self.apart(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| {
                nobody.get_or_init(|| bcrypt::hash("nobody's password", cost).unwrap_or_default()).clone()
            });
            // One that is too long to have been set is compared by its beginning, for the time that takes, and is wrong.
            let password = password.expose_secret();
            let fits = password.len() <= Password::MOST;
            let right = bcrypt::verify(password, &hash).unwrap_or(false);
            known && fits && right
        })
        .await
    }

    /// Runs slow work on a blocking thread when it is its turn.
    async fn apart<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Denied> {
        let before = self.inside.fetch_add(1, Ordering::Relaxed);
        let inside = Inside(Arc::clone(&self.inside));
        if before >= WAITING {
            return Err(Denied::Busy);
        }
        let turn = Arc::clone(&self.at_once).acquire_owned().await.map_err(|_| Denied::Busy)?;
        let task = self.runtime.spawn_blocking(move || {
            // Held by the work, not by the request: a client that leaves does not make room while its hash still runs.
            let _held = (turn, inside);
            work()
        });
        task.await.map_err(|error| {
            tracing::error!(%error, "password work ended early");
            Denied::Busy
        })
    }
}
