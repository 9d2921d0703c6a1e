//! Messages that wait a moment to go together, while the broker has others to confirm.

use std::borrow::Cow;
use std::time::Duration;

use amqprs::FieldTable;
use tokio::time::Instant;

use super::json_seq;
use super::trace_headers;
use super::{
    error::PublishError,
    publisher::{Outgoing, Route},
};

/// The most bytes of a bundle.
const MAX_BATCH_BYTES: usize = 64 * 1024;
/// How long they wait at most, however busy the broker is.
const BATCH_TIMEOUT: Duration = Duration::from_millis(3);

/// What was taken from the callers and is not sent yet. When this is dropped they are told that it never was.
#[derive(Default)]
pub(super) struct PendingBatch {
    /// In the order in which they came.
    pub(super) messages: Vec<Outgoing>,
    since: Option<Instant>,
}

/// What goes as one message. When this is dropped its callers are told that it was never sent.
pub(super) struct PublishBatch {
    pub(super) messages: Vec<Outgoing>,
}

impl PendingBatch {
    /// How many more there may be.
    pub(super) fn room(&self) -> usize {
        json_seq::MAX_PARTS.saturating_sub(self.messages.len())
    }

    /// Returns whether somebody must be asked about one of them before it is sent.
    pub(super) fn needs_check(&self) -> bool {
        self.messages.iter().any(|message| message.check.is_some())
    }

    /// Notes that messages were added.
    pub(super) fn added(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// When the first of them has waited long enough. None if there are none.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + BATCH_TIMEOUT)
    }

    /// What goes next; None while it is better to wait for more.
    pub(super) fn next(&mut self, busy: bool, now: Instant) -> Option<PublishBatch> {
        // Nobody waits for them any more.
        self.messages.retain(|message| !message.reply.is_unwanted());
        if busy && self.room() > 0 && self.due().is_some_and(|due| now < due) {
            return None;
        }
        let mut bytes = 0;
        let fit = self.messages.iter().take_while(|message| {
            bytes += message.message.body.len();
            message.goes_with_others() && bytes <= MAX_BATCH_BYTES
        });
        let count = fit.count().max(1).min(self.messages.len());
        let messages: Vec<_> = self.messages.drain(..count).collect();
        if self.messages.is_empty() {
            self.since = None;
        }
        (!messages.is_empty()).then_some(PublishBatch { messages })
    }
}

impl Drop for PendingBatch {
    fn drop(&mut self) {
        refuse(&mut self.messages);
    }
}

impl Drop for PublishBatch {
    fn drop(&mut self) {
        refuse(&mut self.messages);
    }
}

fn refuse(messages: &mut Vec<Outgoing>) {
    for message in messages.drain(..) {
        message.reply.give(Err(PublishError::Unavailable));
    }
}

impl Outgoing {
    /// What failed before says so in its properties, and those are the whole message's.
    fn goes_with_others(&self) -> bool {
        matches!(self.message.route, Route::Orders) && self.message.failures.count == 0
    }
}

impl PublishBatch {
    /// What the message says of its orders: of earlier attempts at one that goes alone, and where they are in traces.
    pub(super) fn headers(&self) -> Option<FieldTable> {
        let failures = match self.messages.as_slice() {
            [only] => only.message.failures.headers(),
            _ => None,
        };
        if self.messages.iter().all(|message| message.place.is_none()) {
            return failures;
        }
        let mut headers = failures.unwrap_or_default();
        let places: Vec<_> = self.messages.iter().map(|message| message.place.clone()).collect();
        trace_headers::write(&places, &mut headers);
        Some(headers)
    }

    /// The body, and what kind it is.
    pub(super) fn body(&mut self) -> (Vec<u8>, Cow<'static, str>) {
        match self.messages.as_mut_slice() {
            [only] => {
                let kind = only.message.foreign.take().map_or(json_seq::ORDER_MEDIA_TYPE.into(), Cow::from);
                (std::mem::take(&mut only.message.body), kind)
            }
            all => (
                json_seq::join(all.iter().map(|message| message.message.body.as_slice())),
                json_seq::BATCH_MEDIA_TYPE.into(),
            ),
        }
    }
}
