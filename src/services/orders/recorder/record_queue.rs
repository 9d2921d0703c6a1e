//! Gathers single orders into batches.

use super::{Batch, MAX_BATCH_ORDERS, RecordOutcome, batch_span, record_batch};
use crate::{
    domain::order::NewOrder,
    store::Store,
    telemetry::traces::{Span, SpanKind, TraceContext},
    util::{
        reply_channel::{self, ReplySender},
        work_start::WorkStart,
    },
};
use std::sync::Arc;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

const QUEUE_CAPACITY: usize = 4 * MAX_BATCH_ORDERS;

struct Job {
    order: NewOrder,
    outcome: ReplySender<RecordOutcome>,
    trace: TraceContext,
    /// Begun by the transaction that records the order, or abandoned when its caller stops waiting.
    start: Arc<WorkStart>,
}

/// Records single orders. While one batch is written the next one gathers, so that batches grow with the load
/// and nobody waits for a timer. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    jobs: mpsc::Sender<Job>,
}

impl Recorder {
    /// Starts the writing task. It ends, with everything written, when all recorders are dropped.
    pub fn start(store: Store) -> (Self, JoinHandle<()>) {
        let (jobs, waiting) = mpsc::channel(QUEUE_CAPACITY);
        (Self { jobs }, tokio::spawn(write(store, waiting)))
    }

    /// Records one order. After `deadline` the outcome is [`RecordOutcome::Retryable`] if the order was not
    /// begun and never will be, and [`RecordOutcome::Unknown`] otherwise. An order that waits for its turn,
    /// for a connection or for its transaction is not begun.
    pub async fn record(&self, order: NewOrder, deadline: Instant) -> RecordOutcome {
        let (outcome, answer) = reply_channel::channel();
        let start = Arc::new(WorkStart::default());
        // The span ends when the outcome is known.
        let span = Span::child(SpanKind::Internal, "record order");
        let job = Job { order, outcome, trace: span.context(), start: Arc::clone(&start) };
        if self.jobs.try_send(job).is_err() {
            return RecordOutcome::Retryable;
        }
        match timeout_at(deadline, answer).await {
            Ok(Ok(outcome)) => outcome,
            // Abandoned, unless it was begun just before.
            _ if start.abandon() => RecordOutcome::Retryable,
            _ => RecordOutcome::Unknown,
        }
    }
}

async fn write(store: Store, mut waiting: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(MAX_BATCH_ORDERS);
    while waiting.recv_many(&mut jobs, MAX_BATCH_ORDERS).await > 0 {
        // These were told that their orders are not recorded. Others may give up until the transaction begins.
        jobs.retain(|job| !job.start.is_abandoned());
        if jobs.is_empty() {
            continue;
        }
        let span = batch_span(jobs.iter().map(|job| &job.trace), jobs.len());
        let (mut orders, mut starts) = (Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
        let mut answers = Vec::with_capacity(jobs.len());
        for Job { order, outcome, start, .. } in jobs.drain(..) {
            orders.push(order);
            starts.push(start);
            answers.push(outcome);
        }
        let outcomes = span.run(record_batch(&store, Batch::new(orders, starts))).await;
        drop(span);
        reply_channel::give_all(answers.into_iter().zip(outcomes));
    }
}
