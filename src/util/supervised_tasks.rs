//! The tasks that a role runs in the background. Each of them must run until the role stops: one that ends before, by a panic or
//! by returning, would leave a process that looks well and serves an old menu, or stores nothing.

use crate::util::fault_injection;
use futures_util::future::{pending, ready, select_all};
use std::fmt;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::task::AbortOnDropHandle;

/// Tasks that run as long as their role does. They are aborted when this is dropped.
#[derive(Default)]
pub struct SupervisedTasks(Vec<SupervisedTask>);

struct SupervisedTask {
    name: &'static str,
    handle: AbortOnDropHandle<()>,
}

/// A background task that ended while its role went on.
#[derive(Debug, thiserror::Error)]
#[error("the background task {task:?} ended: {cause}")]
pub struct TaskEndedError {
    task: &'static str,
    cause: EndCause,
}

#[derive(Debug)]
enum EndCause {
    Returned,
    Failed(JoinError),
}

impl fmt::Display for EndCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned => f.write_str("it returned"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl SupervisedTasks {
    /// Starts a task.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.supervise(name, tokio::spawn(task));
    }

    /// Takes over a task that was started.
    pub fn supervise(&mut self, name: &'static str, task: JoinHandle<()>) {
        let task = if fault_injection::ends_task(name) { tokio::spawn(ready(())) } else { task };
        self.0.push(SupervisedTask { name, handle: AbortOnDropHandle::new(task) });
    }

    /// Waits for the first task that ends.
    pub async fn first_end(&mut self) -> TaskEndedError {
        if self.0.is_empty() {
            return pending().await;
        }
        let (outcome, index, _) = select_all(self.0.iter_mut().map(|task| &mut task.handle)).await;
        // A task that has ended must not be waited for again.
        let SupervisedTask { name, .. } = self.0.swap_remove(index);
        let cause = outcome.map_or_else(EndCause::Failed, |()| EndCause::Returned);
        TaskEndedError { task: name, cause }
    }

    /// Waits for the end of one task, and goes on at once if it has ended.
    pub async fn finish_task(&mut self, name: &str) {
        if let Some(index) = self.0.iter().position(|task| task.name == name) {
            self.0.swap_remove(index).finish().await;
        }
    }

    /// Waits until all tasks have ended, which they must have been told to.
    pub async fn finish(self) {
        for task in self.0 {
            task.finish().await;
        }
    }
}

impl SupervisedTask {
    async fn finish(self) {
        if let Err(error) = self.handle.await {
            tracing::error!(task = self.name, %error, "a background task failed while it was stopped");
        }
    }
}

#[cfg(test)]
#[allow(clippy::panic, reason = "that is what it is about")]
mod tests {
    use super::*;
    use tokio_util::sync::CancellationToken;

    #[tokio::test]
    async fn a_task_that_panics_or_returns_is_named() {
        let mut tasks = SupervisedTasks::default();
        tasks.spawn("goes on", pending());
        tasks.spawn("panics", async { panic!("out of ice") });
        let error = tasks.first_end().await.to_string();
        assert!(error.contains("\"panics\"") && error.contains("out of ice"), "{error}");
        tasks.spawn("returns", ready(()));
        let error = tasks.first_end().await.to_string();
        assert_eq!(error, "the background task \"returns\" ended: it returned");
        assert!(tokio::time::timeout(std::time::Duration::from_millis(50), tasks.first_end()).await.is_err());
    }

    #[tokio::test]
    async fn tasks_that_were_told_to_end_are_waited_for() {
        let (stop, mut tasks) = (CancellationToken::new(), SupervisedTasks::default());
        for name in ["menu", "recorder"] {
            let stop = stop.clone();
            tasks.spawn(name, async move { stop.cancelled().await });
        }
        stop.cancel();
        tasks.finish_task("recorder").await;
        tasks.finish_task("recorder").await;
        tasks.finish().await;
    }
}
