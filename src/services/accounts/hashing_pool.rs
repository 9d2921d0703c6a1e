//! The line before the threads that hash: a few, which can give way to all others.

use super::AccountError;
use std::{
    io,
    num::NonZero,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

/// The most requests that wait for a thread.
const QUEUE_CAPACITY: usize = 30;
/// How long one waits at most: threads that give way to all others may get no turn for long.
const HASHING_TIMEOUT: Duration = Duration::from_secs(10);
/// There is one thread for so many cores. Cores share more than the scheduler sees: hashing on all that are idle slows the
/// busy ones too.
const CORES_PER_THREAD: usize = 4;

/// The line. A storm of logins fills it and gets [`AccountError::Busy`]. Cheap to clone; the threads end with the last clone.
#[derive(Clone)]
pub struct HashingPool {
    places: Arc<Semaphore>,
    works: SyncSender<Work>,
}

/// A place in the line, for one piece of work after another.
pub struct PoolSlot {
    permit: Arc<OwnedSemaphorePermit>,
    works: SyncSender<Work>,
}

/// Slow work, and then what tells its outcome.
type Work = Box<dyn FnOnce() -> Completion + Send>;
type Completion = Box<dyn FnOnce() + Send>;

impl HashingPool {
    /// Starts the threads, which give way to all others or not.
    pub fn start(give_way: bool) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = cores.div_ceil(CORES_PER_THREAD);
        let places = QUEUE_CAPACITY + threads;
        // Whatever is in there holds a place, so it is never full.
        let (works, taken) = sync_channel(places);
        let taken = Arc::new(Mutex::new(taken));
        for _ in 0..threads {
            let (to_hash, given) = sync_channel(1);
            let (hashed, outcomes) = sync_channel(1);
            let taken = Arc::clone(&taken);
            spawn("hashing", move || {
                if give_way {
                    self::give_way();
                }
                hash_in_turn(&given, &hashed);
            })?;
            spawn("passwords", move || hand_on(&taken, &to_hash, &outcomes))?;
        }
        Ok(Self { places: Arc::new(Semaphore::new(places)), works })
    }

    /// A place, if there is one. Whoever needs the database for work should have it before: a storm shall not reach that.
    pub fn place(&self) -> Result<PoolSlot, AccountError> {
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| AccountError::Busy)?;
        Ok(PoolSlot { permit: Arc::new(permit), works: self.works.clone() })
    }
}

impl PoolSlot {
    /// Runs slow work when it is its turn.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AccountError> {
        let (sender, done) = oneshot::channel();
        // Work that nobody waits for any more still holds its place until it is taken out.
        let permit = Arc::clone(&self.permit);
        let work: Work = Box::new(move || {
            // A client that has left wants no answer.
            let outcome = (!sender.is_closed()).then(work);
            Box::new(move || {
                drop(permit);
                if let Some(outcome) = outcome {
                    let _ = sender.send(outcome);
                }
            })
        });
        self.works.try_send(work).map_err(|_| AccountError::Busy)?;
        match timeout(HASHING_TIMEOUT, done).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) => {
                tracing::error!("password work ended early");
                Err(AccountError::Busy)
            }
            // Nobody waits for it any more, so it is skipped when it is its turn.
            Err(_) => Err(AccountError::Busy),
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.into()).spawn(run).map(drop)
}

/// Hands work to a thread that gives way to all others and tells its outcome, until nobody can give work any more. That thread itself
/// shares no lock with those that take orders: set aside in the middle of it, it would hold them up.
fn hand_on(works: &Mutex<Receiver<Work>>, to_hash: &SyncSender<Work>, outcomes: &Receiver<Completion>) {
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

fn hash_in_turn(given: &Receiver<Work>, hashed: &SyncSender<Completion>) {
    while let Ok(work) = given.recv() {
        // Whoever waits for work that panics learns it from their channel; this thread goes on.
        let tell = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Box::new(|| {}));
        if hashed.send(tell).is_err() {
            return;
        }
    }
}
