//! SQLite blocks its thread. One piece of work, whatever the number of its statements, has one thread for that: a change of
//! threads a statement costs more than most statements take.

use crate::store::{Error, Result};
use diesel_async::sync_connection_wrapper::SpawnBlocking;
use futures_util::future::{BoxFuture, FutureExt, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::{runtime::Handle, task::spawn_blocking};

/// Runs a statement where it stands: a connection of this kind is used by [`blocking`] work only.
pub struct InPlace;

impl SpawnBlocking for InPlace {
    fn spawn_blocking<'a, R>(
        &mut self,
        statement: impl FnOnce() -> R + Send + 'static,
    ) -> BoxFuture<'a, std::result::Result<R, Box<dyn std::error::Error + Send + Sync + 'static>>>
    where
        R: Send + 'static,
    {
        // As on a thread of its own: who panics fails, and the connection's state is known.
        let outcome = catch_unwind(AssertUnwindSafe(statement));
        ready(outcome.map_err(|_| "a statement panicked".into())).boxed()
    }

    fn get_runtime() -> Self {
        Self
    }
}

/// Runs work that blocks on a thread made for that. It goes on to its end, whether or not anybody waits for it.
pub async fn blocking<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let runtime = Handle::current();
    spawn_blocking(move || runtime.block_on(work)).await.map_err(Error::unavailable)
}
