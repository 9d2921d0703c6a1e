//! Computation that would block an HTTP thread, and with it all of that thread's connections.

use super::problem::Problem;
use std::{sync::LazyLock, thread::available_parallelism, time::Duration};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::spawn_blocking,
    time::timeout,
};

/// The time that work may wait for a slot.
const SLOT_TIMEOUT: Duration = Duration::from_secs(2);

/// As many as processors: more would only take time from the HTTP threads.
static SLOTS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, usize::from)));

/// Runs work on another thread, once a slot is free.
pub async fn offload<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let slot = timeout(SLOT_TIMEOUT, SLOTS.acquire()).await;
    let Ok(Ok(slot)) = slot else {
        return Err(Problem::unavailable(&"too many large responses are being made"));
    };
    in_slot(slot, work).await.ok_or_else(|| Problem::internal(&"failed to finish work on another thread"))
}

/// Runs work on another thread, if a slot is free now.
pub async fn offload_if_free<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    in_slot(SLOTS.try_acquire().ok()?, work).await
}

/// Frees the slot when the work is done, also if the caller no longer waits.
async fn in_slot<T: Send + 'static>(
    slot: SemaphorePermit<'static>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let work = move || {
        let _slot = slot;
        work()
    };
    spawn_blocking(work).await.ok()
}
