//! Runs SQLite work on blocking threads, one per piece of work: switching threads for each statement costs
//! more than most statements take.

use crate::store::{Error, Result};
use diesel_async::sync_connection_wrapper::SpawnBlocking;
use futures_util::future::{BoxFuture, FutureExt, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::{runtime::Handle, task::spawn_blocking};

/// Runs each statement on the current thread. Connections of this kind are used inside [`blocking`] only.
pub struct InPlace;

impl SpawnBlocking for InPlace {
    fn spawn_blocking<'a, R>(
        &mut self,
        statement: impl FnOnce() -> R + Send + 'static,
    ) -> BoxFuture<'a, std::result::Result<R, Box<dyn std::error::Error + Send + Sync + 'static>>>
    where
        R: Send + 'static,
    {
        // As on a thread of its own: a panic fails the statement, and the connection stays usable.
        let outcome = catch_unwind(AssertUnwindSafe(statement));
        ready(outcome.map_err(|_| "a statement panicked".into())).boxed()
    }

    fn get_runtime() -> Self {
        Self
    }
}

/// Runs work on a thread for blocking operations. It runs to its end, even if the caller stops waiting.
pub async fn blocking<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let runtime = Handle::current();
    spawn_blocking(move || runtime.block_on(work)).await.map_err(Error::unavailable)
}
