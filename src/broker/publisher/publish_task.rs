//! The one task that publishes. Delivery tags are counted here, not sent, so nothing else may publish on its channel.

use super::{
    circuit_breaker::{CircuitBreaker, CircuitState},
    confirm_tracker::ConfirmReply,
    confirms::Confirms,
    outgoing::{Outgoing, Route},
    publish_batch::{PendingBatch, PublishBatch},
};
use crate::{
    broker::{
        amqp_call::{BROKER_BACKOFF, CALL_TIMEOUT, delay_after, log_failed},
        channel_pool::{ChannelPool, PooledChannel},
        connection::Current,
        error::{PublishError, QueueError},
        topology::Topology,
    },
    util::reply_channel,
};
use amqprs::{
    BasicProperties, DELIVERY_MODE_PERSISTENT,
    channel::{BasicPublishArguments, ConfirmSelectArguments},
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::{ops::ControlFlow, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

/// Deadlines of confirms may be noticed this late.
const SWEEP_INTERVAL: Duration = Duration::from_millis(25);
/// With this many unanswered messages the broker counts as busy, and further orders wait a moment to go together.
const MIN_BATCHING_UNCONFIRMED: usize = 2;
/// amqprs queues a frame locally, in a buffer that `MAX_UNANSWERED` keeps from filling: the wait is only for its writer.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that confirms nothing for this long is replaced: its peer may be gone, which heartbeats notice only after 20 s.
/// During an alarm the new connection confirms nothing either.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(4);
/// RabbitMQ (3.10, quorum queues) tells a channel that a queue is full, but not always that it has room again: only a new channel
/// finds out.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);
/// Unanswered messages at which the connection is replaced, also if no caller waits for them. Most are left over from an alarm.
/// amqprs' buffer holds 8,192 frames, and a full buffer would block the task.
const MAX_UNANSWERED: usize = 7900;

pub(in crate::broker) struct PublishTask {
    pub(in crate::broker) topology: Topology,
    pub(in crate::broker) pool: ChannelPool,
    pub(in crate::broker) current: Current,
    pub(in crate::broker) breaker: Arc<CircuitBreaker>,
    pub(in crate::broker) confirm_timeout: Duration,
}

struct Session {
    channel: PooledChannel,
    confirms: Arc<Confirms>,
}

enum SessionEnd {
    Lost,
    /// Nothing was confirmed any more.
    Silent,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.confirms.end();
    }
}

impl PublishTask {
    /// Publishes until `closing`, and then the messages that were accepted before.
    pub(in crate::broker) async fn run(
        self,
        mut outgoing: mpsc::Receiver<Outgoing>,
        closing: CancellationToken,
    ) {
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
                    // Callers that were admitted just before the broker went away must not wait for its return.
                    Some(message) = outgoing.recv() => message.reply.give(Err(PublishError::Unavailable)),
                    session = &mut opening => break session,
                }
            };
            let end = self.publish(&session, &mut outgoing, &closing).await;
            went_silent = matches!(end, ControlFlow::Break(SessionEnd::Silent));
        }
    }

    async fn open(&self, after_silence: bool) -> Session {
        let mut current = self.current.clone();
        let mut backoff = BROKER_BACKOFF;
        loop {
            if current.wait_for(Option::is_some).await.is_err() {
                // The connection's task has ended: this one is about to be stopped.
                std::future::pending::<()>().await;
            }
            match self.try_open(after_silence).await {
                Ok(session) => return session,
                Err(error) => {
                    log_failed("shakerqueue publishing", &error);
                    sleep(delay_after(&mut backoff, &error)).await;
                }
            }
        }
    }

    async fn try_open(&self, after_silence: bool) -> Result<Session, QueueError> {
        self.topology.declare(&self.pool).await?;
        let channel = self.pool.keep().await?;
        let confirms = Confirms::new(self.breaker.clone());
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

    /// Publishes on one channel, until it is lost or everything accepted before `closing` is answered.
    async fn publish(
        &self,
        session: &Session,
        outgoing: &mut mpsc::Receiver<Outgoing>,
        closing: &CancellationToken,
    ) -> ControlFlow<SessionEnd> {
        let Session { channel, confirms } = session;
        let mut sweep = interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut redeclaring: Option<AbortOnDropHandle<()>> = None;
        let mut pending = PendingBatch::default();
        let mut checked = FuturesUnordered::new();
        loop {
            let (due, room) = (pending.due(), pending.room());
            tokio::select! {
                biased;
                () = confirms.ended.cancelled() => return ControlFlow::Break(SessionEnd::Lost),
                () = channel.live.gone.cancelled() => return ControlFlow::Break(SessionEnd::Lost),
                _ = sweep.tick() => {
                    self.sweep(session).await?;
                    let is_empty = due.is_none() && checked.is_empty() && outgoing.is_empty();
                    if outgoing.is_closed() && is_empty && confirms.waiting() == 0 {
                        return ControlFlow::Break(SessionEnd::Lost);
                    }
                }
                () = closing.cancelled(), if !outgoing.is_closed() => outgoing.close(),
                () = confirms.returned.notified() => {
                    if redeclaring.as_ref().is_none_or(AbortOnDropHandle::is_finished) {
                        redeclaring = Some(self.redeclare());
                    }
                }
                Some(batch) = checked.next(), if !checked.is_empty() => self.send(session, batch).await?,
                1.. = outgoing.recv_many(&mut pending.messages, room), if room > 0 => {
                    pending.added(Instant::now());
                }
                () = confirms.answered.notified(), if due.is_some() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            loop {
                // A duplicate check costs about as much as ten orders: fewer and larger batches pay.
                let busy_at = if pending.needs_check() { 1 } else { MIN_BATCHING_UNCONFIRMED };
                let is_busy = confirms.unanswered() + checked.len() >= busy_at;
                let Some(batch) = pending.next(is_busy, Instant::now()) else { break };
                match batch.check() {
                    Some(check) => checked.push(batch.without_duplicates(check)),
                    None => self.send(session, batch).await?,
                }
            }
        }
    }

    /// Expires unconfirmed messages, and ends a session that is of no more use.
    async fn sweep(&self, session: &Session) -> ControlFlow<SessionEnd> {
        let Session { channel, confirms } = session;
        confirms.expire(self.confirm_timeout);
        if confirms.unanswered() > MAX_UNANSWERED {
            channel.live.rebuild.notify_one();
            return ControlFlow::Break(SessionEnd::Lost);
        }
        // While stalled only probes are admitted, and there may be no caller to send one.
        if self.breaker.state() == CircuitState::Stalled
            && confirms.unanswered() == 0
            && self.probe(session).await.is_break()
        {
            return ControlFlow::Break(SessionEnd::Silent);
        }
        if confirms.is_silent(SILENCE_TIMEOUT) {
            channel.live.rebuild.notify_one();
            return ControlFlow::Break(SessionEnd::Silent);
        }
        if confirms.is_refused(REFUSAL_TIMEOUT) {
            tracing::warn!(
                "the broker refuses messages, perhaps because its queue is full; trying another channel"
            );
            return ControlFlow::Break(SessionEnd::Lost);
        }
        ControlFlow::Continue(())
    }

    /// Publishes a message to no queue: the broker confirms it and drops it.
    async fn probe(&self, session: &Session) -> ControlFlow<SessionEnd> {
        let (to, _) = reply_channel::channel();
        let reply = ConfirmReply { to, permit: None };
        let Ok(channel) = session.channel.raw() else { return ControlFlow::Break(SessionEnd::Lost) };
        if session.confirms.register(vec![reply], false, Instant::now()).is_err() {
            return ControlFlow::Break(SessionEnd::Lost);
        }
        let to = BasicPublishArguments::new("", &self.topology.nowhere);
        counted(channel.basic_publish(BasicProperties::default(), Vec::new(), to)).await
    }

    async fn send(&self, session: &Session, mut batch: PublishBatch) -> ControlFlow<SessionEnd> {
        if batch.messages.is_empty() {
            return ControlFlow::Continue(());
        }
        let Ok(channel) = session.channel.raw() else { return ControlFlow::Break(SessionEnd::Lost) };
        let (body, media_type) = batch.body();
        let single = match batch.messages.as_slice() {
            [only] => Some((only.message.id, only.message.route)),
            _ => None,
        };
        let headers = batch.headers();
        let messages = std::mem::take(&mut batch.messages);
        // Before the message is sent, or the answer could come first.
        let replies = messages.into_iter().map(|message| message.reply).collect();
        let is_probe = matches!(single, Some((_, Route::Probe)));
        let tag = match session.confirms.register(replies, is_probe, Instant::now()) {
            Ok(tag) => tag,
            Err(replies) => {
                for reply in replies {
                    reply.give(Err(PublishError::Unavailable));
                }
                return ControlFlow::Break(SessionEnd::Lost);
            }
        };
        let mut properties = BasicProperties::default();
        properties
            .with_correlation_id(&tag.to_string())
            .with_delivery_mode(DELIVERY_MODE_PERSISTENT)
            .with_content_type(&media_type)
            .with_app_id("shakerqueue");
        let mut to = BasicPublishArguments::new(&self.topology.orders, &self.topology.orders);
        if let Some(headers) = headers {
            properties.with_headers(headers);
        }
        if let Some((id, route)) = single {
            properties.with_message_id(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
            // The default exchange routes to every queue by its name.
            match route {
                Route::Orders => {}
                Route::OrdersAfter(delay) => {
                    to = BasicPublishArguments::new("", &self.topology.delay_queue(delay));
                }
                Route::Probe => to = BasicPublishArguments::new("", &self.topology.probe),
            }
        }
        // A missing queue of probes is a finding of the durability check, which must not be repaired here.
        to.mandatory(!is_probe);
        counted(channel.basic_publish(properties, body, to)).await
    }

    /// Declares the queues again in the background, because somebody deleted one.
    fn redeclare(&self) -> AbortOnDropHandle<()> {
        let (topology, pool) = (self.topology.clone(), self.pool.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            match topology.declare(&pool).await {
                Ok(()) => {
                    tracing::warn!("the broker had no queue for a message; the queues were declared again");
                }
                Err(error) => log_failed("shakerqueue publishing", &error),
            }
        }))
    }
}

/// Publishes to the end. After a failure or a timeout it is unknown whether the broker counted the message: the channel can't be
/// used any more.
async fn counted(publish: impl Future<Output = Result<(), amqprs::error::Error>>) -> ControlFlow<SessionEnd> {
    match timeout(SEND_TIMEOUT, publish).await {
        Ok(Ok(())) => ControlFlow::Continue(()),
        Ok(Err(_)) | Err(_) => ControlFlow::Break(SessionEnd::Lost),
    }
}
