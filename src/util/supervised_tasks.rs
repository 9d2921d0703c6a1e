//! The tasks that a command runs in the background. Each of them must run until the command stops: if one ended before, by a
//! panic or by returning, the process would look healthy and serve an old menu, or record nothing.

use crate::util::fault_injection;
use futures_util::future::{pending, ready, select_all};
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

/// Tasks that run as long as their command does. They are aborted when this is dropped.
#[derive(Default)]
pub struct SupervisedTasks(Vec<(&'static str, AbortOnDropHandle<()>)>);

/// A background task ended before its command was told to stop.
#[derive(Debug, thiserror::Error)]
#[error("the background task {task:?} ended: {cause}")]
pub struct TaskEndedError {
    task: &'static str,
    cause: String,
}

impl SupervisedTasks {
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.supervise(name, tokio::spawn(task));
    }

    /// Takes over a task that is already running.
    pub fn supervise(&mut self, name: &'static str, task: JoinHandle<()>) {
        let task = if fault_injection::ends_task(name) { tokio::spawn(ready(())) } else { task };
        self.0.push((name, AbortOnDropHandle::new(task)));
    }

    pub async fn first_end(&mut self) -> TaskEndedError {
        if self.0.is_empty() {
            return pending().await;
        }
        let (outcome, index, _) = select_all(self.0.iter_mut().map(|(_, handle)| handle)).await;
        // A handle must not be polled again after its task has ended.
        let (task, _) = self.0.swap_remove(index);
        let cause = outcome.map_or_else(|error| error.to_string(), |()| "it returned".to_owned());
        TaskEndedError { task, cause }
    }

    /// Waits until one task has ended, which must have been told to stop.
    pub async fn finish_task(&mut self, name: &str) {
        self.finish_those(|task| task == name).await;
    }

    /// Waits until all tasks but one have ended, which must have been told to stop.
    pub async fn finish_all_except(&mut self, name: &str) {
        self.finish_those(|task| task != name).await;
    }

    async fn finish_those(&mut self, is_ending: impl Fn(&str) -> bool) {
        let ending: Vec<_> = self.0.extract_if(.., |(name, _)| is_ending(name)).collect();
        for (name, handle) in ending {
            if let Err(error) = handle.await {
                tracing::error!(task = name, %error, "a background task failed while it was stopped");
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::panic, reason = "the tests are about panics")]
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
        tasks.spawn("server", pending());
        stop.cancel();
        tasks.finish_task("recorder").await;
        tasks.finish_task("recorder").await;
        tasks.finish_all_except("server").await;
    }
}
