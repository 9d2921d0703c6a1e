//! Gathers single orders into batches.

use super::{BATCH, Outcome, record_batch};
use crate::{domain::order::NewOrder, store::Store};
use std::sync::Arc;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

/// The most orders that wait to be written.
const WAITING: usize = 4 * BATCH;
struct Job {
    order: NewOrder,
    outcome: oneshot::Sender<Outcome>,
}

/// Records single orders. While one batch is written the next one gathers, so batches grow with the load and nobody waits for
/// a timer. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    jobs: mpsc::Sender<Job>,
}

impl Recorder {
    /// Starts the task that writes. It ends, with everything written, when all recorders are gone.
    pub fn start(store: Store) -> (Self, JoinHandle<()>) {
        let (jobs, waiting) = mpsc::channel(WAITING);
        (Self { jobs }, tokio::spawn(write(store, waiting)))
    }

    /// Records one order. [`Outcome::TryLater`] when that takes until `deadline`: the order may be stored all the same, and
    /// giving it again is harmless.
    pub async fn record(&self, order: NewOrder, deadline: Instant) -> Outcome {
        let (outcome, decided) = oneshot::channel();
        if self.jobs.try_send(Job { order, outcome }).is_err() {
            return Outcome::TryLater;
        }
        match timeout_at(deadline, decided).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Outcome::TryLater,
        }
    }
}

async fn write(store: Store, mut waiting: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut jobs, BATCH).await > 0 {
        // Nobody waits any more for those: their guests were told to try again, and need not be served twice.
        jobs.retain(|job| !job.outcome.is_closed());
        let (orders, answers): (Vec<_>, Vec<_>) = jobs.drain(..).map(|job| (job.order, job.outcome)).unzip();
        if orders.is_empty() {
            continue;
        }
        for (answer, outcome) in answers.into_iter().zip(record_batch(&store, Arc::from(orders)).await) {
            // Whoever asked may have left.
            let _ = answer.send(outcome);
        }
    }
}
