//! Hashing passwords: slow on purpose, so on threads of its own and only a few at a time.

use super::Denied;
use crate::domain::account::Password;
use secrecy::{ExposeSecret, SecretString};
use std::{
    num::NonZero,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};
use tokio::{sync::oneshot, time::timeout};

/// The most requests that wait for a thread.
const WAITING: usize = 30;
/// How long one waits at most: threads that give way to all others may get no turn for long.
const PATIENCE: Duration = Duration::from_secs(10);
/// There is one thread for so many cores. Cores share more than the scheduler sees: hashing on all that are idle slows the
/// busy ones too.
const CORES_EACH: usize = 4;
/// A password that would be guessed sooner is refused: common ones, and what is made of them in obvious ways.
const LEAST_GUESSES: u64 = 100_000;

/// Hashes and verifies passwords with bcrypt, on threads of its own that give way to those that take orders. A storm of
/// logins fills its line and gets [`Denied::Busy`]. Cheap to clone; the threads end with the last clone.
#[derive(Clone)]
pub struct Passwords {
    cost: u32,
    line: SyncSender<Work>,
    /// A hash of nobody's password: unknown accounts take as long as known ones.
    nobody: Arc<OnceLock<String>>,
}

/// Slow work, and then what tells its outcome.
type Work = Box<dyn FnOnce() -> Tell + Send>;
type Tell = Box<dyn FnOnce() + Send>;

impl Passwords {
    /// Hashes at this cost (a power of two of rounds, 4 to 31).
    pub fn new(cost: u32) -> Self {
        let (line, works) = sync_channel(WAITING);
        let works = Arc::new(Mutex::new(works));
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        for _ in 0..cores.div_ceil(CORES_EACH) {
            let works = Arc::clone(&works);
            spawn("passwords", move || hand_on(&works));
        }
        Self { cost, line, nobody: Arc::default() }
    }

    /// The hash to keep of a password that somebody chose, if it is not among the first that others would try: common ones, and
    /// what is made of `personal`, such as the account's name.
    pub async fn hash_chosen(&self, password: &Password, personal: Vec<String>) -> Result<String, Denied> {
        let chosen = password.clone();
        // To judge a long one takes more time than a request may hold up others.
        if self.apart(move || is_guessable(&chosen, &personal)).await? {
            return Err(Denied::Guessable);
        }
        self.hash(password).await
    }

    /// Whether this hash was made at less than the cost that hashes have now.
    pub fn is_outdated(&self, hash: &str) -> bool {
        hash.parse::<bcrypt::HashParts>().is_ok_and(|parts| parts.get_cost() < self.cost)
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

    /// Runs slow work when it is its turn.
    async fn apart<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Denied> {
        let (sender, done) = oneshot::channel();
        let work: Work = Box::new(move || {
            // A client that has left wants no answer.
            let outcome = (!sender.is_closed()).then(work);
            Box::new(move || {
                if let Some(outcome) = outcome {
                    let _ = sender.send(outcome);
                }
            })
        });
        self.line.try_send(work).map_err(|_| Denied::Busy)?;
        match timeout(PATIENCE, done).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) => {
                tracing::error!("password work ended early");
                Err(Denied::Busy)
            }
            // Nobody waits for it any more, so it is skipped when it is its turn.
            Err(_) => Err(Denied::Busy),
        }
    }
}

/// Whether a password is among the first that somebody would try who knows `personal`.
pub fn is_guessable(password: &Password, personal: &[String]) -> bool {
    let personal: Vec<&str> = personal.iter().map(String::as_str).collect();
    zxcvbn::zxcvbn(password.expose(), &personal).guesses() < LEAST_GUESSES
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name(name.into()).spawn(run) {
        tracing::error!(%error, "a thread for passwords could not be started");
    }
}

/// Hands work to a thread that gives way to all others and tells its outcome, until nobody can give work any more. That thread itself
/// shares no lock with those that take orders: set aside in the middle of it, it would hold them up.
fn hand_on(works: &Mutex<Receiver<Work>>) {
    let (to_hash, given) = sync_channel::<Work>(1);
    let (hashed, outcomes) = sync_channel::<Tell>(1);
    spawn("hashing", move || hash_behind(&given, &hashed));
    loop {
        let next = works.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        if to_hash.send(work).is_err() {
            return;
        }
        let Ok(tell) = outcomes.recv() else { return };
        tell();
    }
}

/// Lets this thread run when no other wants to. A merely lower priority (`nice`) still keeps each thread that wakes up waiting
/// for some milliseconds, and an order wakes up a dozen of them.
fn give_way() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy::Idle, ThreadPriority, ThreadSchedulePolicy::Normal,
            set_thread_priority_and_policy, thread_native_id,
        };
        if let Err(error) =
            set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, Normal(Idle))
        {
            tracing::debug!(?error, "hashing has the priority of everything else");
        }
    }
}

fn hash_behind(given: &Receiver<Work>, hashed: &SyncSender<Tell>) {
    give_way();
    while let Ok(work) = given.recv() {
        // Whoever waits for work that panics learns it from their channel; this thread goes on.
        let tell = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Box::new(|| {}));
        if hashed.send(tell).is_err() {
            return;
        }
    }
}
