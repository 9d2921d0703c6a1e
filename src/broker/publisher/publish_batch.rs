//! Publish batches: while the broker has other messages to confirm, orders wait a moment and go together in one message.

use super::outgoing::{DuplicateCheck, Outgoing};
use crate::broker::{error::PublishError, json_seq, trace_headers};
use amqprs::FieldTable;
use std::{borrow::Cow, sync::Arc, time::Duration};
use tokio::time::Instant;

const MAX_BATCH_BYTES: usize = 64 * 1024;
/// Longest time that an order waits for others, however busy the broker is.
const BATCH_TIMEOUT: Duration = Duration::from_millis(3);

/// Messages that are not sent yet. If this is dropped, their callers are told that they were never sent.
#[derive(Default)]
pub(super) struct PendingBatch {
    pub(super) messages: Vec<Outgoing>,
    /// The time at which the first of them arrived.
    since: Option<Instant>,
}

/// Orders that are sent as one message. If this is dropped, their callers are told that they were never sent.
pub(super) struct PublishBatch {
    pub(super) messages: Vec<Outgoing>,
}

impl PendingBatch {
    pub(super) fn room(&self) -> usize {
        json_seq::MAX_PARTS.saturating_sub(self.messages.len())
    }

    /// Returns whether a message must be checked for duplicates before it is sent.
    pub(super) fn needs_check(&self) -> bool {
        self.messages.iter().any(|message| message.check.is_some())
    }

    /// Notes that messages were added.
    pub(super) fn added(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Returns the time at which the first message has waited long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + BATCH_TIMEOUT)
    }

    /// Returns the next batch, or `None` while it is better to wait for more messages.
    pub(super) fn next(&mut self, busy: bool, now: Instant) -> Option<PublishBatch> {
        // Callers that are gone wait for nothing any more.
        self.messages.retain(|message| !message.reply.to.is_unwanted());
        if busy && self.room() > 0 && self.due().is_some_and(|due| now < due) {
            return None;
        }
        let mut bytes = 0;
        let fit = self.messages.iter().take_while(|message| {
            bytes += message.message.body.len();
            message.can_share() && bytes <= MAX_BATCH_BYTES
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

impl PublishBatch {
    /// Returns the duplicate check, if a message needs one. All messages of a process share the same.
    pub(super) fn check(&self) -> Option<Arc<dyn DuplicateCheck>> {
        self.messages.iter().find_map(|message| message.check.clone())
    }

    /// Answers the callers of duplicates, and keeps the other messages.
    pub(super) async fn without_duplicates(mut self, check: Arc<dyn DuplicateCheck>) -> Self {
        let checked = self.messages.iter().filter(|message| message.check.is_some());
        let used = check.used(checked.map(|message| message.message.id).collect()).await;
        let is_used = |message: &mut Outgoing| message.check.is_some() && used.contains(&message.message.id);
        for duplicate in self.messages.extract_if(.., is_used) {
            duplicate.reply.give(Err(PublishError::Duplicate));
        }
        self
    }

    /// Returns the headers: the failures of a single order, and the trace contexts of all.
    pub(super) fn headers(&self) -> Option<FieldTable> {
        let failures = match self.messages.as_slice() {
            [only] => only.message.failures.headers(),
            _ => None,
        };
        if self.messages.iter().all(|message| message.trace.is_none()) {
            return failures;
        }
        let mut headers = failures.unwrap_or_default();
        let traces: Vec<_> = self.messages.iter().map(|message| message.trace.clone()).collect();
        trace_headers::write(&traces, &mut headers);
        Some(headers)
    }

    /// Returns the body and its media type.
    pub(super) fn body(&mut self) -> (Vec<u8>, Cow<'static, str>) {
        match self.messages.as_mut_slice() {
            [only] => {
                let media_type =
                    only.message.foreign.take().map_or(json_seq::ORDER_MEDIA_TYPE.into(), Cow::from);
                (std::mem::take(&mut only.message.body), media_type)
            }
            all => (
                json_seq::join(all.iter().map(|message| message.message.body.as_slice())),
                json_seq::BATCH_MEDIA_TYPE.into(),
            ),
        }
    }
}
