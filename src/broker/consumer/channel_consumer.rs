//! One consumer of a queue, on a channel of its own, and what was delivered to it.

use std::collections::VecDeque;
use std::iter::repeat_with;
use std::time::Duration;

use amqprs::channel::{
    BasicAckArguments, BasicCancelArguments, BasicConsumeArguments, BasicQosArguments, ConsumerMessage,
};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::acknowledgements::{Acknowledgement, Acknowledgements, DeliveryTag};
use crate::broker::QueueError;
use crate::broker::amqp_call::CALL_TIMEOUT;
use crate::broker::channel_pool::{ChannelPool, PooledChannel, log_closed};
use crate::broker::json_seq::{self, OversizeError};
use crate::broker::retry_headers::RetryInfo;
use crate::broker::trace_headers;
use crate::telemetry::traces::TraceContext;

/// amqprs queues an acknowledgement locally; the wait is for its writer only.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(1);

/// A message as it was published, alone or with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its number on this subscription, for settling it.
    pub tag: DeliveryTag,
    /// The publisher's name for it, if it came alone.
    pub message_id: Option<String>,
    /// Tells whether it was delivered before, to whomever, and not acknowledged.
    pub redelivered: bool,
    /// Its content type, if it says one and this program knows it not: a later one may have written it.
    pub foreign: Option<String>,
    /// Why it was not taken apart, if it is too large: the content is then that of the whole message.
    pub oversize: Option<OversizeError>,
    /// The failures of earlier attempts, as it tells them.
    pub failures: RetryInfo,
    /// The place in a trace.
    pub place: TraceContext,
    /// The content.
    pub body: Vec<u8>,
}

/// A consumer of a queue. Dropping it returns what is not acknowledged to the queue, in the background.
pub(crate) struct Consumer {
    channel: PooledChannel,
    tag: String,
    generation: Generation,
    /// amqprs does not bound it; the prefetch does.
    messages: UnboundedReceiver<ConsumerMessage>,
    /// Deliveries that came with others and did not fit into a batch.
    left: VecDeque<Delivery>,
    acknowledgements: Acknowledgements,
}

/// Tells the deliveries to one consumer of a subscription from those to the others: which one it is, in the
/// upper bits of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

/// A channel numbers its deliveries from 1, and never gets as far as these bits reach.
const DELIVERY_BITS: u32 = 40;

impl Generation {
    pub(crate) const FIRST: Self = Self(0);

    pub(crate) fn next(self) -> Self {
        // The upper bits begin anew after 2 years, when nothing of the first ones is left.
        Self(self.0.wrapping_add(1) << DELIVERY_BITS >> DELIVERY_BITS)
    }

    /// The number in a subscription of what a channel numbers like this.
    fn number(self, delivery: u64) -> u64 {
        (self.0 << DELIVERY_BITS) | delivery
    }

    /// Returns the channel's number of it.
    fn delivery(self, number: u64) -> u64 {
        number ^ (self.0 << DELIVERY_BITS)
    }

    fn has(self, tag: DeliveryTag) -> bool {
        tag.message >> DELIVERY_BITS == self.0
    }
}

impl Consumer {
    pub(crate) async fn open(
        pool: &ChannelPool,
        queue: &str,
        prefetch: u16,
        generation: Generation,
    ) -> Result<Self, QueueError> {
        // Never a channel that consumed before: RabbitMQ 3.10.8 cannot consume again on it.
        let channel = pool.keep().await?;
        // To the broker 0 means no bound at all.
        let prefetch = BasicQosArguments::new(0, prefetch.max(1), false);
        let consume = BasicConsumeArguments::new(queue, "").manual_ack(true).finish();
        // The pool has registered a callback: without one amqprs ignores the server's cancel.
        let (tag, messages) = channel
            .request("consume", CALL_TIMEOUT, async move |channel| {
                channel.basic_qos(prefetch).await?;
                channel.basic_consume_rx(consume).await
            })
            .await?;
        Ok(Self {
            channel,
            tag,
            generation,
            messages,
            left: VecDeque::new(),
            acknowledgements: Acknowledgements::default(),
        })
    }

    /// Waits for a message and returns it with what else is here, at most `max` in all, in the order of their
    /// tags.
    ///
    /// `None` means that it is over: the connection or channel is lost, or nothing more is delivered and all
    /// of it was returned. Cancelling loses nothing.
    pub(crate) async fn next_batch(&mut self, max: usize) -> Option<Vec<Delivery>> {
        let max = max.max(1);
        // Waits only if nothing is left; then takes what is here.
        while self.left.len() < max {
            let message = if self.left.is_empty() {
                match self.messages.recv().await {
                    Some(message) => message,
                    None => return self.over(),
                }
            } else {
                match self.messages.try_recv() {
                    Ok(message) => message,
                    Err(_) => break,
                }
            };
            self.unpack(message);
        }
        // What a lost channel left behind can no longer be acknowledged, and will be delivered again.
        if !self.channel.is_open() {
            return self.over();
        }
        Some(self.left.drain(..max.min(self.left.len())).collect())
    }

    /// Says why, if the broker ended it.
    fn over<T>(&self) -> Option<T> {
        if let Some(reason) = self.channel.close_reason() {
            log_closed("shakerqueue consuming", reason);
        }
        None
    }

    fn unpack(&mut self, message: ConsumerMessage) {
        let Some(deliver) = message.deliver else { return };
        let properties = message.basic_properties.unwrap_or_default();
        let (number, redelivered) = (self.generation.number(deliver.delivery_tag()), deliver.redelivered());
        let failures = RetryInfo::read(properties.headers());
        let body = message.content.unwrap_or_default();
        let kind = properties.content_type().map(String::as_str);
        let foreign =
            kind.filter(|kind| ![json_seq::ORDER_MEDIA_TYPE, json_seq::BATCH_MEDIA_TYPE].contains(kind));
        let is_bundle = kind == Some(json_seq::BATCH_MEDIA_TYPE);
        let checked = if is_bundle { json_seq::check_bundle(&body) } else { json_seq::check_alone(&body) };
        let oversize = checked.err();
        let delivery = |part, body, message_id, place| Delivery {
            tag: DeliveryTag { message: number, part },
            message_id,
            foreign: foreign.map(str::to_owned),
            redelivered,
            oversize,
            failures,
            place,
            body,
        };
        let before = self.left.len();
        if is_bundle && oversize.is_none() {
            let places = trace_headers::together(properties.headers())
                .into_iter()
                .chain(repeat_with(TraceContext::default));
            let texts = json_seq::split(&body).enumerate().zip(places);
            self.left.extend(texts.map(|((part, text), place)| delivery(part, text.to_vec(), None, place)));
        } else {
            let place = trace_headers::alone(properties.headers());
            self.left.push_back(delivery(0, body, properties.message_id().cloned(), place));
        }
        self.acknowledgements.delivered(number, self.left.len() - before);
    }

    /// Returns whether it got this delivery.
    pub(crate) fn got(&self, tag: DeliveryTag) -> bool {
        self.generation.has(tag)
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// Acknowledges what is dealt with for good.
    pub(crate) async fn settle(
        &mut self,
        tags: impl IntoIterator<Item = DeliveryTag>,
    ) -> Result<(), QueueError> {
        tags.into_iter().for_each(|tag| self.acknowledgements.settle(tag));
        for Acknowledgement { tag, multiple } in self.acknowledgements.take() {
            if !self.channel.is_open() {
                return Err(QueueError::NotConnected);
            }
            let tag = self.generation.delivery(tag);
            let acknowledge = self.channel.raw()?.basic_ack(BasicAckArguments::new(tag, multiple));
            match timeout(ACKNOWLEDGE_TIMEOUT, acknowledge).await {
                Ok(sent) => sent.map_err(|cause| QueueError::Failed { what: "acknowledge", cause })?,
                Err(_) => return Err(QueueError::TimedOut("acknowledge")),
            }
        }
        Ok(())
    }

    /// Returns whether nothing of it is left to be returned or settled.
    pub(crate) fn is_done(&self) -> bool {
        !self.channel.is_open() || (self.messages.is_empty() && self.acknowledgements.is_empty())
    }

    /// Tells the broker to deliver no more. What was delivered before can still be received and settled.
    pub(crate) async fn cancel(&self) -> Result<(), QueueError> {
        let cancel = BasicCancelArguments::new(&self.tag);
        self.channel
            .request("stop consuming", CALL_TIMEOUT, async move |channel| channel.basic_cancel(cancel).await)
            .await
            .map(drop)
    }

    /// Stops consuming; what is not acknowledged goes back to the queue before this returns, if the broker
    /// answers.
    pub(crate) async fn close(self) {
        if let Err(error) = self.cancel().await.and(self.channel.close().await) {
            // The end of the connection has the same effect.
            tracing::debug!(%error, "a consumer could not be closed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_to_different_consumers_have_different_numbers() {
        let (first, second) = (Generation::FIRST, Generation::FIRST.next());
        let last = Generation(u64::MAX >> DELIVERY_BITS);
        assert_eq!(last.next(), first);
        for generation in [first, second, last] {
            let tag = DeliveryTag { message: generation.number(7), part: 0 };
            assert_eq!(generation.delivery(tag.message), 7);
            let others = [first, second, last].into_iter().filter(|other| *other != generation);
            assert!(generation.has(tag) && others.into_iter().all(|other| !other.has(tag)));
        }
    }
}
