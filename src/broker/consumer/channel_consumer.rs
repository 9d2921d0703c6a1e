//! One consumer of a queue, on a channel of its own, with its deliveries.

use super::acknowledgements::{Acknowledgement, Acknowledgements, DeliveryTag};
use crate::{
    broker::{
        amqp_call::CALL_TIMEOUT,
        channel_pool::{ChannelPool, PooledChannel, log_closed},
        error::QueueError,
        json_seq::{self, OversizeError},
        retry_headers::RetryInfo,
        trace_headers,
    },
    telemetry::traces::TraceContext,
};
use amqprs::channel::{
    BasicAckArguments, BasicCancelArguments, BasicConsumeArguments, BasicQosArguments, ConsumerMessage,
};
use std::{collections::VecDeque, iter::repeat_with, time::Duration};
use tokio::{sync::mpsc::UnboundedReceiver, time::timeout};

/// amqprs queues an acknowledgement locally: the wait is only for its writer.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(1);

/// An order's message, or one part of a publish batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub tag: DeliveryTag,
    /// Unset for a part of a publish batch.
    pub message_id: Option<String>,
    /// Set if the message was delivered before, to any consumer, and not acknowledged.
    pub redelivered: bool,
    /// The content type, if it is not one of this program's: a later release may have written the message.
    pub foreign: Option<String>,
    /// Set if the message is too large to be read: then `body` is that of the whole message.
    pub oversize: Option<OversizeError>,
    pub failures: RetryInfo,
    pub trace: TraceContext,
    pub body: Vec<u8>,
}

/// A consumer of a queue. Dropping it returns unacknowledged messages to the queue, in the background.
pub(crate) struct Consumer {
    channel: PooledChannel,
    tag: String,
    /// The number within the subscription.
    pub(crate) number: u64,
    /// Limited by the prefetch, not by amqprs.
    messages: UnboundedReceiver<ConsumerMessage>,
    /// Parts of messages that did not fit into a batch.
    left: VecDeque<Delivery>,
    acknowledgements: Acknowledgements,
}

impl Consumer {
    pub(crate) async fn open(
        pool: &ChannelPool,
        queue: &str,
        prefetch: u16,
        number: u64,
    ) -> Result<Self, QueueError> {
        // A new channel, because RabbitMQ 3.10.8 can't consume twice on the same one.
        let channel = pool.keep().await?;
        // To the broker 0 means no limit.
        let prefetch = BasicQosArguments::new(0, prefetch.max(1), false);
        let consume = BasicConsumeArguments::new(queue, "").manual_ack(true).finish();
        // The pool has registered a callback: without one amqprs ignores a cancel by the server.
        let (tag, messages) = channel
            .request("consume", CALL_TIMEOUT, async move |channel| {
                channel.basic_qos(prefetch).await?;
                channel.basic_consume_rx(consume).await
            })
            .await?;
        Ok(Self {
            channel,
            tag,
            number,
            messages,
            left: VecDeque::new(),
            acknowledgements: Acknowledgements::default(),
        })
    }

    /// Does what [`Subscription::next_batch`](super::Subscription::next_batch) does. `None` also ends a cancelled consumer.
    pub(crate) async fn next_batch(&mut self, max: usize) -> Option<Vec<Delivery>> {
        let max = max.max(1);
        // It waits only if nothing is left, and then takes what has arrived.
        while self.left.len() < max {
            let message = if self.left.is_empty() {
                match self.messages.recv().await {
                    Some(message) => message,
                    None => return self.end(),
                }
            } else {
                match self.messages.try_recv() {
                    Ok(message) => message,
                    Err(_) => break,
                }
            };
            self.unpack(message);
        }
        // Messages of a lost channel can't be acknowledged any more, and are delivered again.
        if !self.channel.is_open() {
            return self.end();
        }
        Some(self.left.drain(..max.min(self.left.len())).collect())
    }

    /// Returns `None`, and logs the broker's reason if it ended the consumer.
    fn end<T>(&self) -> Option<T> {
        if let Some(reason) = self.channel.close_reason() {
            log_closed("shakerqueue consuming", reason);
        }
        None
    }

    fn unpack(&mut self, message: ConsumerMessage) {
        let Some(deliver) = message.deliver else { return };
        let properties = message.basic_properties.unwrap_or_default();
        let (number, redelivered) = (deliver.delivery_tag(), deliver.redelivered());
        let failures = RetryInfo::read(properties.headers());
        let body = message.content.unwrap_or_default();
        let media_type = properties.content_type().map(String::as_str);
        let known = [json_seq::ORDER_MEDIA_TYPE, json_seq::BATCH_MEDIA_TYPE];
        let foreign = media_type.filter(|media_type| !known.contains(media_type));
        let is_batch = media_type == Some(json_seq::BATCH_MEDIA_TYPE);
        let checked = if is_batch { json_seq::check_batch(&body) } else { json_seq::check_single(&body) };
        let oversize = checked.err();
        let consumer = self.number;
        let delivery = |part, body, message_id, trace| Delivery {
            tag: DeliveryTag { consumer, message: number, part },
            message_id,
            foreign: foreign.map(str::to_owned),
            redelivered,
            oversize,
            failures,
            trace,
            body,
        };
        let before = self.left.len();
        if is_batch && oversize.is_none() {
            let traces = trace_headers::batch(properties.headers());
            let traces = traces.into_iter().chain(repeat_with(TraceContext::default));
            let texts = json_seq::split(&body).enumerate().zip(traces);
            self.left.extend(texts.map(|((part, text), trace)| delivery(part, text.to_vec(), None, trace)));
        } else {
            let trace = trace_headers::single(properties.headers());
            self.left.push_back(delivery(0, body, properties.message_id().cloned(), trace));
        }
        self.acknowledgements.delivered(number, self.left.len() - before);
    }

    pub(crate) async fn settle(
        &mut self,
        tags: impl IntoIterator<Item = DeliveryTag>,
    ) -> Result<(), QueueError> {
        tags.into_iter().for_each(|tag| self.acknowledgements.settle(tag));
        for Acknowledgement { tag, multiple } in self.acknowledgements.take() {
            if !self.channel.is_open() {
                return Err(QueueError::NotConnected);
            }
            let acknowledge = self.channel.raw()?.basic_ack(BasicAckArguments::new(tag, multiple));
            match timeout(ACKNOWLEDGE_TIMEOUT, acknowledge).await {
                Ok(sent) => sent.map_err(|cause| QueueError::Failed { what: "acknowledge", cause })?,
                Err(_) => return Err(QueueError::TimedOut("acknowledge")),
            }
        }
        Ok(())
    }

    /// Returns whether all deliveries were returned and settled, or can't be any more.
    pub(crate) fn is_done(&self) -> bool {
        !self.channel.is_open() || (self.messages.is_empty() && self.acknowledgements.is_empty())
    }

    /// Tells the broker to deliver no more. Earlier deliveries can still be received and settled.
    pub(crate) async fn cancel(&self) -> Result<(), QueueError> {
        let cancel = BasicCancelArguments::new(&self.tag);
        self.channel
            .request("stop consuming", CALL_TIMEOUT, async move |channel| channel.basic_cancel(cancel).await)
            .await
            .map(drop)
    }

    pub(crate) async fn close(self) {
        if let Err(error) = self.cancel().await.and(self.channel.close().await) {
            // The end of the connection has the same effect.
            tracing::debug!(%error, "failed to close a consumer");
        }
    }
}
