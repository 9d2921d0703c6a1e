//! Work of the processor that would hold up the thread that answers, and with it all of that thread's connections.

use super::problem::Problem;
use std::{sync::LazyLock, thread::available_parallelism, time::Duration};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::spawn_blocking,
    time::timeout,
};

/// How long such work may wait for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);

/// As much is done at a time as there are processors; more would only take time from the threads that answer.
static SLOTS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, usize::from)));

/// Does it on another thread, once there is one for it.
pub async fn offload<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let turn = timeout(TURN_TIMEOUT, SLOTS.acquire()).await;
    let Ok(Ok(slot)) = turn else {
        return Err(Problem::unavailable(&"too many large answers are being made"));
    };
    in_slot(slot, work).await.ok_or_else(|| Problem::internal(&"work on another thread ended early"))
}

/// Does it on another thread if there is one for it now.
pub async fn offload_if_free<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    in_slot(SLOTS.try_acquire().ok()?, work).await
}

/// The slot is given back when the work is done, also if nobody waits for it any more.
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
