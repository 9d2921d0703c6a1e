//! Finds out whether the broker keeps the messages that it confirms: a policy may remove messages from queues, whatever arguments
//! they were declared with. No orders are published while it does (`circuit_breaker`).
//!
//! The management API knows the policies, where it can be reached. Besides, probes show the effect: every process publishes a message
//! to a queue of its own every second, counts the messages, and empties the queue every four seconds. This queue has the same type as
//! the others and a name that begins like theirs, so policies for those apply to it as well. Only the management API shows a policy
//! for the exact name of another queue, or one that removes messages later.

pub mod management_api;
pub mod policies;

use super::{
    channel_pool::ChannelPool,
    error::QueueError,
    publisher::{Publisher, circuit_breaker::CircuitBreaker},
    topology::Topology,
};
use crate::{telemetry::metrics, util::backoff::Backoff};
use management_api::Management;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// After the queue of probes could not be used: each such failure may cost a channel.
const PROBE_BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(600));
/// Time after which the queue of probes is emptied. A quorum queue removes expired messages only from its head, so a probe from
/// before a policy hides the policy's effect on those behind it.
const PROBES_LIFETIME: Duration = Duration::from_secs(4);
/// Time without a lost probe after which the broker is trusted again: more than two lifetimes.
const SURVIVAL_PERIOD: Duration = Duration::from_secs(10);
/// RabbitMQ renews the answers of the management API every 5 s.
const ASK_INTERVAL: Duration = Duration::from_secs(5);
/// Interval while the management API does not answer.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);
/// Failures in a row after which the last answer of the management API is out of date.
const MAX_FAILURES: u32 = 3;
const DELETE_TIMEOUT: Duration = Duration::from_millis(500);

pub(super) struct DurabilityCheck {
    pub(super) topology: Topology,
    pub(super) pool: ChannelPool,
    pub(super) publisher: Publisher,
    pub(super) management: Management,
    pub(super) findings: DurabilityFindings,
}

#[derive(Debug, Clone, Copy)]
enum Finder {
    Management,
    Probes,
}

/// The reasons not to publish, from both sources.
pub(super) struct DurabilityFindings {
    breaker: Arc<CircuitBreaker>,
    found: Mutex<[Option<Arc<str>>; 2]>,
}

impl DurabilityFindings {
    pub(super) fn new(breaker: Arc<CircuitBreaker>) -> Self {
        Self { breaker, found: Mutex::default() }
    }

    fn set(&self, finder: Finder, reason: Option<String>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let [by_management, by_probes] = &mut *found;
        match finder {
            Finder::Management => *by_management = reason.map(Arc::from),
            Finder::Probes => *by_probes = reason.map(Arc::from),
        }
        // The management API can name the policy.
        let now = by_management.clone().or_else(|| by_probes.clone());
        let before = self.breaker.loses();
        if now == before {
            return;
        }
        if let Some(reason) = &now {
            tracing::error!(
                %reason,
                "the broker would lose orders: they are recorded directly until its policies are corrected"
            );
        } else {
            tracing::warn!("the broker keeps messages again: orders are published");
        }
        metrics::broker().loses_orders.set(now.is_some().into());
        self.breaker.set_loses(now);
    }
}

#[derive(Debug)]
struct Probes {
    published: u32,
    since: Instant,
    /// The time of the last loss, until the broker is trusted again.
    lost_at: Option<Instant>,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Kept,
    /// None were lost for long enough after a loss.
    KeptAgain,
    Lost,
    /// None were lost, and the queue must be emptied now.
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
        let is_over = |lost_at: Instant| now.saturating_duration_since(lost_at) >= SURVIVAL_PERIOD;
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
    /// Checks until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        tokio::join!(self.probe(&stop), self.ask(&stop));
    }

    async fn probe(&self, stop: &CancellationToken) {
        let mut probes = Probes::new(Instant::now());
        let mut backoff = PROBE_BACKOFF;
        while let Some(probed) = stop.run_until_cancelled(self.probe_once(&mut probes)).await {
            let delay = match probed {
                // A broker that is away may still keep messages.
                Ok(()) | Err(QueueError::NotConnected) => {
                    backoff.reset();
                    PROBE_INTERVAL
                }
                Err(error) => {
                    let delay = backoff.next_delay();
                    tracing::warn!(%error, ?delay, "failed to probe whether the broker keeps messages; trying again");
                    delay
                }
            };
            stop.run_until_cancelled(sleep(delay)).await;
        }
        let _ = timeout(DELETE_TIMEOUT, self.topology.delete_probes(&self.pool)).await;
    }

    async fn probe_once(&self, probes: &mut Probes) -> Result<(), QueueError> {
        let mut counted = self.topology.declare_probes(&self.pool).await?;
        if counted < probes.published {
            // A queue without a leader answers a declaration with no messages. Only a read tells whether they are lost.
            counted = self.topology.count_probes(&self.pool).await?;
        }
        match probes.judge(counted, Instant::now()) {
            Verdict::Kept => {}
            Verdict::KeptAgain => self.findings.set(Finder::Probes, None),
            Verdict::Lost => {
                self.findings.set(Finder::Probes, Some(self.lost()));
                return self.topology.delete_probes(&self.pool).await;
            }
            // Reading a message restarts the queue's expiry, which declaring it does not.
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
            let delay = match asked {
                Ok(Ok(queues)) => {
                    failures = 0;
                    self.findings
                        .set(Finder::Management, policies::harmful_policy(&queues, &self.topology.overrun));
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
                // The runtime is shutting down.
                Err(_) => return,
            };
            stop.run_until_cancelled(sleep(delay)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_lost_probe_is_noticed_and_the_broker_trusted_after_none_was_lost_for_a_while() {
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
