//! Gathers single orders into batches.

use super::{BATCH, Outcome, batch_span, record_batch};
use crate::{
    domain::order::NewOrder,
    replies::{self, Reply},
    store::Store,
    telemetry::traces::{Kind, Place, Span},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

/// The most orders that wait to be written.
const WAITING: usize = 4 * BATCH;

struct Job {
    order: NewOrder,
    outcome: Reply<Outcome>,
    place: Place,
    /// Set once: by who begins to write it, or by who gives up waiting for that.
    decided: Arc<AtomicBool>,
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

    /// Records one order. When that takes until `deadline`: [`Outcome::TryLater`] if it was not begun and never will be,
    /// [`Outcome::Undecided`] otherwise.
    pub async fn record(&self, order: NewOrder, deadline: Instant) -> Outcome {
        let (outcome, answer) = replies::channel();
        let decided = Arc::new(AtomicBool::new(false));
        // It ends when the outcome is here.
        let span = Span::here(Kind::Internal, "record order");
        let job = Job { order, outcome, place: span.place(), decided: Arc::clone(&decided) };
        if self.jobs.try_send(job).is_err() {
            return Outcome::TryLater;
        }
        match timeout_at(deadline, answer).await {
            Ok(Ok(outcome)) => outcome,
            // Called off, unless it was begun just before.
            _ if !decided.swap(true, Ordering::Relaxed) => Outcome::TryLater,
            _ => Outcome::Undecided,
        }
    }
}

async fn write(store: Store, mut waiting: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut jobs, BATCH).await > 0 {
        // Who gave up waiting was told that it is not stored.
        jobs.retain(|job| !job.decided.swap(true, Ordering::Relaxed));
        let span = batch_span(jobs.iter().map(|job| &job.place), jobs.len());
        let (orders, answers): (Vec<_>, Vec<_>) = jobs.drain(..).map(|job| (job.order, job.outcome)).unzip();
        if orders.is_empty() {
            continue;
        }
        let outcomes = span.run(record_batch(&store, Arc::from(orders))).await;
        drop(span);
        replies::give_all(answers.into_iter().zip(outcomes));
    }
}
