//! The one task that publishes. Delivery tags are counted, not told, so that nobody else may use its channel.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use amqprs::channel::{BasicPublishArguments, ConfirmSelectArguments};
use amqprs::{BasicProperties, DELIVERY_MODE_PERSISTENT};
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::QueueError;
use super::amqp_call::{Backoff, CALL_TIMEOUT, log_failed};
use super::channel_pool::{ChannelPool, PooledChannel};
use super::circuit_breaker::{CircuitBreaker, CircuitState};
use super::confirm_tracker::ConfirmReply;
use super::confirms::Confirms;
use super::connection::Current;
use super::publish_batch::{PendingBatch, PublishBatch};
use super::topology::Topology;
use super::{
    error::PublishError,
    publisher::{Outgoing, Route},
};
use crate::util::reply_channel;

/// How late a confirm's deadline may be noticed.
const SWEEP_INTERVAL: Duration = Duration::from_millis(25);
/// While so many messages are without an answer the broker counts as busy, and further ones wait a moment to go together.
const MIN_BATCHING_UNCONFIRMED: usize = 2;
/// amqprs queues a frame locally, in a buffer that `MAX_UNANSWERED` keeps from filling; only its writer is waited for.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that confirms nothing for so long is opened anew: its peer may be gone, which heartbeats notice after 20 s. In
/// an alarm the new one confirms nothing either.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(4);
/// RabbitMQ (3.10, quorum queues) tells a channel that a queue is full, and not always that it has room again: a new channel
/// finds out.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);
/// Unanswered messages, waited for or not, before the connection is rebuilt. Most are what an alarm left
/// over; amqprs' buffer holds 8,192 frames, and a full one would block the task.
const MAX_UNANSWERED: usize = 7900;

pub(super) struct PublishTask {
    pub(super) topology: Topology,
    pub(super) pool: ChannelPool,
    pub(super) current: Current,
    pub(super) gate: Arc<CircuitBreaker>,
    pub(super) confirm_within: Duration,
}

/// A channel to publish on, while it lasts.
struct Session {
    channel: PooledChannel,
    confirms: Arc<Confirms>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.confirms.end();
    }
}

impl PublishTask {
    /// Publishes until `closing`, and then what was accepted before.
    pub(super) async fn run(self, mut outgoing: mpsc::Receiver<Outgoing>, closing: CancellationToken) {
        let mut went_silent = false;
        while !outgoing.is_closed() || !outgoing.is_empty() {
            let opening = self.open(went_silent);
            tokio::pin!(opening);
            let session = loop {
                tokio::select! {
                    biased;
                    () = closing.cancelled() => {
                        outgoing.close();
                        while let Some(message) = outgoing.recv().await {
                            message.reply.give(Err(PublishError::Unavailable));
                        }
                        return;
                    }
                    // Callers that passed the gate just before it closed must not wait for the broker's return.
                    Some(message) = outgoing.recv() => message.reply.give(Err(PublishError::Unavailable)),
                    session = &mut opening => break session,
                }
            };
            went_silent = self.publish(&session, &mut outgoing, &closing).await;
        }
    }

    async fn open(&self, after_silence: bool) -> Session {
        let mut current = self.current.clone();
        let mut backoff = Backoff::new();
        loop {
            if current.wait_for(Option::is_some).await.is_err() {
                // The supervisor has ended: so does this task, soon.
                std::future::pending::<()>().await;
            }
            let pause = match self.try_open(after_silence).await {
                Ok(session) => return session,
                Err(error) => {
                    log_failed("shakerqueue publishing", &error);
                    backoff.pause_after(&error)
                }
            };
            sleep(pause).await;
        }
    }

    async fn try_open(&self, after_silence: bool) -> Result<Session, QueueError> {
        self.topology.declare(&self.pool).await?;
        let channel = self.pool.keep().await?;
        let confirms = Confirms::new(self.gate.clone());
        let callback = confirms.callback();
        channel
            .request("enable confirms", CALL_TIMEOUT, async move |channel| {
                channel.register_callback(callback).await?;
                channel.confirm_select(ConfirmSelectArguments::default()).await
            })
            .await?;
        confirms.begin(after_silence);
        Ok(Session { channel, confirms })
    }

    /// Publishes on one channel, until it is lost or everything accepted before `closing` is answered. True if it went silent.
    async fn publish(
        &self,
        session: &Session,
        outgoing: &mut mpsc::Receiver<Outgoing>,
        closing: &CancellationToken,
    ) -> bool {
        let Session { channel, confirms } = session;
        let mut sweep = interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut healing: Option<AbortOnDropHandle<()>> = None;
        let mut held = PendingBatch::default();
        let mut checked = FuturesUnordered::new();
        loop {
            let (due, room) = (held.due(), held.room());
            tokio::select! {
                biased;
                () = confirms.ended() => return false,
                () = channel.live().gone() => return false,
                _ = sweep.tick() => {
                    confirms.expire(self.confirm_within);
                    if confirms.unanswered() > MAX_UNANSWERED {
                        channel.live().rebuild();
                        return false;
                    }
                    // After a silence nobody is let in before something is confirmed. Nobody may be there to try.
                    if self.gate.state() == CircuitState::Stalled
                        && confirms.unanswered() == 0
                        && self.probe(session).await.is_break()
                    {
                        return true;
                    }
                    if confirms.is_silent(SILENCE_TIMEOUT) {
                        channel.live().rebuild();
                        return true;
                    }
                    if confirms.is_refused(REFUSAL_TIMEOUT) {
                        tracing::warn!("the broker refuses messages: its queue is full, perhaps; trying another channel");
                        return false;
                    }
                    let is_done = outgoing.is_closed() && outgoing.is_empty() && due.is_none() && checked.is_empty();
                    if is_done && confirms.waiting() == 0 {
                        return false;
                    }
                }
                () = closing.cancelled(), if !outgoing.is_closed() => outgoing.close(),
                () = confirms.returned() => {
                    if healing.as_ref().is_none_or(AbortOnDropHandle::is_finished) {
                        healing = Some(self.heal());
                    }
                }
                Some(bundle) = checked.next(), if !checked.is_empty() => {
                    if self.send(session, bundle).await.is_break() {
                        return false;
                    }
                }
                1.. = outgoing.recv_many(&mut held.messages, room), if room > 0 => {
                    held.added(Instant::now());
                }
                () = confirms.answered(), if due.is_some() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            loop {
                // Each question to the database costs about as much as ten orders: fewer and larger bundles pay.
                let busy = if held.needs_check() { 1 } else { MIN_BATCHING_UNCONFIRMED };
                let is_busy = confirms.unanswered() + checked.len() >= busy;
                let Some(bundle) = held.next(is_busy, Instant::now()) else { break };
                if let Some(check) = bundle.check() {
                    checked.push(bundle.without_duplicates(check));
                } else if self.send(session, bundle).await.is_break() {
                    return false;
                }
            }
        }
    }

    /// Publishes a message that the broker confirms and drops, for no queue is bound to where it goes.
    async fn probe(&self, session: &Session) -> ControlFlow<()> {
        let (to, _) = reply_channel::channel();
        let reply = ConfirmReply { to, permit: None };
        let Ok(channel) = session.channel.raw() else { return ControlFlow::Break(()) };
        if session.confirms.register(vec![reply], false, Instant::now()).is_err() {
            return ControlFlow::Break(());
        }
        let to = BasicPublishArguments::new("", &self.topology.nowhere);
        counted(channel.basic_publish(BasicProperties::default(), Vec::new(), to)).await
    }

    async fn send(&self, session: &Session, mut bundle: PublishBatch) -> ControlFlow<()> {
        if bundle.messages.is_empty() {
            return ControlFlow::Continue(());
        }
        let Ok(channel) = session.channel.raw() else { return ControlFlow::Break(()) };
        let (body, kind) = bundle.body();
        let alone = match bundle.messages.as_slice() {
            [only] => Some((only.message.id, only.message.route)),
            _ => None,
        };
        let headers = bundle.headers();
        let messages = std::mem::take(&mut bundle.messages);
        // Before the publish, or the answer could come first.
        let replies = messages.into_iter().map(|message| message.reply).collect();
        let is_probe = matches!(alone, Some((_, Route::Probe)));
        let tag = match session.confirms.register(replies, is_probe, Instant::now()) {
            Ok(tag) => tag,
            Err(replies) => {
                for reply in replies {
                    reply.give(Err(PublishError::Unavailable));
                }
                return ControlFlow::Break(());
            }
        };
        let mut properties = BasicProperties::default();
        properties
            .with_correlation_id(&tag.to_string())
            .with_delivery_mode(DELIVERY_MODE_PERSISTENT)
            .with_content_type(&kind)
            .with_app_id("shakerqueue");
        let mut to = BasicPublishArguments::new(&self.topology.orders, &self.topology.orders);
        if let Some(headers) = headers {
            properties.with_headers(headers);
        }
        if let Some((id, route)) = alone {
            properties.with_message_id(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
            // The default exchange knows every queue by its name.
            match route {
                Route::Orders => {}
                Route::OrdersAfter(delay) => {
                    to = BasicPublishArguments::new("", &self.topology.delay_queue(delay));
                }
                Route::Probe => to = BasicPublishArguments::new("", &self.topology.probe),
            }
        }
        // A queue of probes that is gone has something to tell, and is not to be healed.
        to.mandatory(!is_probe);
        counted(channel.basic_publish(properties, body, to)).await
    }

    /// Declares the queues again, beside publishing: somebody deleted one.
    fn heal(&self) -> AbortOnDropHandle<()> {
        let (topology, pool) = (self.topology.clone(), self.pool.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            match topology.declare(&pool).await {
                Ok(()) => tracing::warn!("a message found no queue; the queues are declared again"),
                Err(error) => log_failed("shakerqueue publishing", &error),
            }
        }))
    }
}

/// Publishes to the end. Cancelled or failed, it may or may not have counted: the channel can't be used any more.
async fn counted(publish: impl Future<Output = Result<(), amqprs::error::Error>>) -> ControlFlow<()> {
    match timeout(SEND_TIMEOUT, publish).await {
        Ok(Ok(())) => ControlFlow::Continue(()),
        Ok(Err(_)) | Err(_) => ControlFlow::Break(()),
    }
}
