//! Finds out whether the broker keeps what it confirms: a policy may remove messages from queues, whatever arguments they were
//! declared with. Orders are not published while it does (`gate`).
//!
//! The management API tells the policies, where it can be reached. Otherwise, and besides, probes show what happens: every process
//! puts a message into a queue of its own every second, counts them, and empties the queue every four seconds. The queue has the same
//! type as the others and a name that begins like theirs, so that policies for those apply to it as well; one for the exact name of
//! another queue, or one that lets messages be for longer, only the management API shows.

pub mod management_api;
pub mod policies;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::QueueError;
use super::channel_pool::ChannelPool;
use super::circuit_breaker::CircuitBreaker;
use management_api::Management;

use super::publisher::Publisher;
use super::topology::Topology;
use crate::telemetry::metrics;

/// How often a probe is published, and those before it are counted.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// The longest pause after the queue of probes could not be used: each such answer may cost a channel.
const MAX_PROBE_PAUSE: Duration = Duration::from_secs(600);
/// How long probes are collected before the queue is emptied. A quorum queue removes expired messages from its head only, so that a
/// probe from before a policy hides what the policy does to those behind it.
const PROBES_LIFETIME: Duration = Duration::from_secs(4);
/// How long no probe may be lost until the broker is believed again: more than two lifetimes.
const SURVIVAL: Duration = Duration::from_secs(10);
/// How often the management API is asked: RabbitMQ renews what it tells every 5 s.
const ASK_INTERVAL: Duration = Duration::from_secs(5);
/// How often it is tried where it does not answer.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);
/// So many failures in a row, and what the management API told last counts no more.
const MAX_FAILURES: u32 = 3;
/// How long deleting the queue of probes may take at the end.
const DELETE_TIMEOUT: Duration = Duration::from_millis(500);

/// Watches over what the broker does with messages.
pub(super) struct DurabilityCheck {
    pub(super) topology: Topology,
    pub(super) pool: ChannelPool,
    pub(super) publisher: Publisher,
    pub(super) management: Management,
    pub(super) findings: DurabilityFindings,
}

/// Who found a reason not to publish.
#[derive(Debug, Clone, Copy)]
enum Finder {
    Management,
    Probes,
}

/// The reasons not to publish.
pub(super) struct DurabilityFindings {
    pub(super) gate: Arc<CircuitBreaker>,
    found: Mutex<[Option<Arc<str>>; 2]>,
}

impl DurabilityFindings {
    pub(super) fn new(gate: Arc<CircuitBreaker>) -> Self {
        Self { gate, found: Mutex::default() }
    }

    /// Notes a reason, or that there is none any more.
    fn set(&self, finder: Finder, reason: Option<String>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let [by_management, by_probes] = &mut *found;
        match finder {
            Finder::Management => *by_management = reason.map(Arc::from),
            Finder::Probes => *by_probes = reason.map(Arc::from),
        }
        // The management API can name the policy.
        let now = by_management.clone().or_else(|| by_probes.clone());
        let before = self.gate.loses();
        if now == before {
            return;
        }
        if let Some(reason) = &now {
            tracing::error!(
                %reason,
                "the broker would lose orders: they are stored directly until its policies are corrected"
            );
        } else {
            tracing::warn!("the broker keeps messages again: orders are published");
        }
        metrics::broker().loses_orders.set(now.is_some().into());
        self.gate.set_loses(now);
    }
}

/// The probes that must be in the queue.
#[derive(Debug)]
struct Probes {
    published: u32,
    since: Instant,
    /// When some were lost last, until that is over.
    lost_at: Option<Instant>,
}

/// What a count of the probes tells.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Kept,
    /// Some were lost, and now none for so long that it is over.
    KeptAgain,
    /// Some are lost.
    Lost,
    /// It is time to begin anew.
    Old,
}

impl Probes {
    fn new(now: Instant) -> Self {
        Self { published: 0, since: now, lost_at: None }
    }

    fn judge(&mut self, counted: u32, now: Instant) -> Verdict {
        if counted < self.published {
            self.lost_at = Some(now);
            self.begin(now);
            return Verdict::Lost;
        }
        let is_over = |lost_at: Instant| now.saturating_duration_since(lost_at) >= SURVIVAL;
        if self.published > 0 && self.lost_at.is_some_and(is_over) {
            self.lost_at = None;
            return Verdict::KeptAgain;
        }
        if now.saturating_duration_since(self.since) >= PROBES_LIFETIME {
            self.begin(now);
            return Verdict::Old;
        }
        Verdict::Kept
    }

    fn begin(&mut self, now: Instant) {
        (self.published, self.since) = (0, now);
    }

    fn published(&mut self) {
        self.published = self.published.saturating_add(1);
    }
}

impl DurabilityCheck {
    /// Looks until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        tokio::join!(self.probe(&stop), self.ask(&stop));
    }

    async fn probe(&self, stop: &CancellationToken) {
        let mut probes = Probes::new(Instant::now());
        let mut pause = PROBE_INTERVAL;
        while let Some(probed) = stop.run_until_cancelled(self.probe_once(&mut probes)).await {
            match probed {
                // That it is away says nothing about what it keeps.
                Ok(()) | Err(QueueError::NotConnected) => pause = PROBE_INTERVAL,
                Err(error) => {
                    tracing::warn!(%error, ?pause, "failed to probe whether the broker keeps messages; trying again");
                    pause = (pause * 2).min(MAX_PROBE_PAUSE);
                }
            }
            stop.run_until_cancelled(sleep(pause)).await;
        }
        let _ = timeout(DELETE_TIMEOUT, self.topology.delete_probes(&self.pool)).await;
    }

    async fn probe_once(&self, probes: &mut Probes) -> Result<(), QueueError> {
        let mut counted = self.topology.declare_probes(&self.pool).await?;
        if counted < probes.published {
            // A queue without a leader is declared with no messages in it, and gives none either: it must answer a reader.
            counted = self.topology.count_probes(&self.pool).await?;
        }
        match probes.judge(counted, Instant::now()) {
            Verdict::Kept => {}
            Verdict::KeptAgain => self.findings.set(Finder::Probes, None),
            Verdict::Lost => {
                self.findings.set(Finder::Probes, Some(self.lost()));
                return self.topology.delete_probes(&self.pool).await;
            }
            // Taking one out renews the lease of the queue, which declaring it does not.
            Verdict::Old => {
                self.topology.count_probes(&self.pool).await?;
                self.topology.purge_probes(&self.pool).await?;
            }
        }
        if self.publisher.probe().await.is_ok() {
            probes.published();
        }
        Ok(())
    }

    fn lost(&self) -> String {
        format!(
            "a policy (message-ttl, expires or max-length) removes messages from queues named like {}",
            self.topology.orders
        )
    }

    async fn ask(&self, stop: &CancellationToken) {
        let mut failures = 0_u32;
        loop {
            let management = self.management.clone();
            let asking = stop.run_until_cancelled(spawn_blocking(move || management.queues()));
            let Some(asked) = asking.await else { return };
            let pause = match asked {
                Ok(Ok(queues)) => {
                    failures = 0;
                    self.findings.set(Finder::Management, policies::harm(&queues, &self.topology.overrun));
                    ASK_INTERVAL
                }
                Ok(Err(error)) => {
                    failures = failures.saturating_add(1);
                    tracing::debug!(%error, "failed to ask the broker's management API for policies");
                    if failures >= MAX_FAILURES {
                        self.findings.set(Finder::Management, None);
                        RETRY_INTERVAL
                    } else {
                        ASK_INTERVAL
                    }
                }
                // The runtime is ending.
                Err(_) => return,
            };
            stop.run_until_cancelled(sleep(pause)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_lost_probe_is_noticed_and_the_broker_believed_after_none_was_lost_for_a_while() {
        let start = Instant::now();
        let mut probes = Probes::new(start);
        probes.published();
        probes.published();
        assert_eq!(probes.judge(2, start + SECOND), Verdict::Kept);
        assert_eq!(probes.judge(1, start + 2 * SECOND), Verdict::Lost);
        probes.published();
        assert_eq!(probes.judge(1, start + 3 * SECOND), Verdict::Kept);
        assert_eq!(probes.judge(1, start + 6 * SECOND), Verdict::Old);
        assert_eq!(probes.judge(0, start + 12 * SECOND), Verdict::Old, "nothing was published to be lost");
        probes.published();
        assert_eq!(probes.judge(1, start + 12 * SECOND), Verdict::KeptAgain);
        assert_eq!(probes.judge(1, start + 13 * SECOND), Verdict::Kept);
    }
}
