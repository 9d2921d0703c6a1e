//! Threads that hash passwords, few and with a low priority, and the bounded queue of work for them.

use crate::util::lock;
use std::{
    io,
    num::NonZero,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

/// Requests that wait for a thread.
const QUEUE_CAPACITY: usize = 30;
/// Maximum wait of a request: threads with a low priority may not get to run for long.
const HASHING_TIMEOUT: Duration = Duration::from_secs(10);
/// From this bcrypt cost on (about 15 ms per hash) hashing gets the lowest priority.
const MIN_LOW_PRIORITY_COST: u32 = 8;
/// Cores share more than the scheduler knows: hashing on all that are idle slows down the busy ones too.
const CORES_PER_THREAD: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// The queue is full, or the work timed out in it.
    #[error("too many passwords are being checked")]
    Busy,
    #[error("failed to start the threads that hash passwords: {0}")]
    NoThreads(#[from] io::Error),
}

/// Hashes and verifies passwords with bcrypt, on threads of its own. Its queue is bounded: a storm of logins fills
/// it and gets [`HashingError::Busy`]. Cheap to clone; the threads end with the last clone.
#[derive(Clone)]
pub struct PasswordHasher {
    cost: u32,
    permits: Arc<Semaphore>,
    works: SyncSender<Work>,
}

/// A reserved place in the queue, for one piece of work after another.
pub struct HashingSlot {
    pub(super) cost: u32,
    permit: Arc<OwnedSemaphorePermit>,
    works: SyncSender<Work>,
}

/// Slow work; it returns the closure that delivers its outcome.
type Work = Box<dyn FnOnce() -> Completion + Send>;
type Completion = Box<dyn FnOnce() + Send>;

impl PasswordHasher {
    /// Hashes at this bcrypt cost (4 to 31). Fails if the threads can't be started.
    pub fn start(cost: u32) -> Result<Self, HashingError> {
        Self::with_threads(cost, cost >= MIN_LOW_PRIORITY_COST)
    }

    /// Does the same in a process that has nothing else to do, with normal priority.
    pub fn dedicated(cost: u32) -> Result<Self, HashingError> {
        Self::with_threads(cost, false)
    }

    /// Starts the threads, with the lowest priority if they `give_way`.
    fn with_threads(cost: u32, give_way: bool) -> Result<Self, HashingError> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = cores.div_ceil(CORES_PER_THREAD);
        let permits = QUEUE_CAPACITY + threads;
        // Every entry holds a permit, so the channel is never full.
        let (works, queue) = sync_channel(permits);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let (to_hash, received) = sync_channel(1);
            let (hashed, outcomes) = sync_channel(1);
            let queue = Arc::clone(&queue);
            spawn("hashing", move || {
                if give_way {
                    self::give_way();
                }
                hash_in_order(&received, &hashed);
            })?;
            spawn("passwords", move || relay(&queue, &to_hash, &outcomes))?;
        }
        Ok(Self { cost, permits: Arc::new(Semaphore::new(permits)), works })
    }

    /// Reserves a place. Do so before using the database, to keep a storm of logins away from it.
    pub fn slot(&self) -> Result<HashingSlot, HashingError> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| HashingError::Busy)?;
        Ok(HashingSlot { cost: self.cost, permit: Arc::new(permit), works: self.works.clone() })
    }
}

impl HashingSlot {
    /// Runs slow work when its turn comes.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashingError> {
        let (sender, done) = oneshot::channel();
        // Abandoned work still holds its place until it leaves the queue.
        let permit = Arc::clone(&self.permit);
        let work: Work = Box::new(move || {
            // The client has disconnected.
            let outcome = (!sender.is_closed()).then(work);
            Box::new(move || {
                drop(permit);
                if let Some(outcome) = outcome {
                    let _ = sender.send(outcome);
                }
            })
        });
        self.works.try_send(work).map_err(|_| HashingError::Busy)?;
        match timeout(HASHING_TIMEOUT, done).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) => {
                tracing::error!("hashing ended without an outcome");
                Err(HashingError::Busy)
            }
            // The receiver is gone, so the work will be skipped.
            Err(_) => Err(HashingError::Busy),
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.into()).spawn(run).map(drop)
}

/// Passes work on to a low-priority thread and delivers its outcome, until the queue closes. The low-priority
/// thread itself shares no lock with threads that take orders: preempted while it holds one, it would block
/// them.
fn relay(works: &Mutex<Receiver<Work>>, to_hash: &SyncSender<Work>, outcomes: &Receiver<Completion>) {
    loop {
        let next = lock(works).recv();
        let Ok(work) = next else { return };
        if to_hash.send(work).is_err() {
            return;
        }
        let Ok(deliver) = outcomes.recv() else { return };
        deliver();
    }
}

/// Sets `SCHED_IDLE`, so that this thread runs only when no other wants to. A higher `nice` value still
/// delays each thread that wakes up by some milliseconds, and an order wakes up a dozen of them.
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
            tracing::debug!(?error, "failed to lower the priority of a hashing thread");
        }
    }
}

fn hash_in_order(received: &Receiver<Work>, hashed: &SyncSender<Completion>) {
    while let Ok(work) = received.recv() {
        // After a panic the waiting request sees a closed channel, and this thread continues.
        let deliver = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Box::new(|| {}));
        if hashed.send(deliver).is_err() {
            return;
        }
    }
}
