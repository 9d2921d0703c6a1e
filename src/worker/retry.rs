//! Handles messages that could not be recorded: retries transient failures with a delay, notes a reused key in the history of the
//! order that has the key, and dead-letters the rest. A message is acknowledged only once this is safe.

use super::Worker;
use crate::{
    broker::{
        Delivery, DeliveryTag, Postponed,
        order_message::{self, DecodeError},
    },
    domain::{Timestamp, dead_letter::DeadLetter, ids::OrderId, now, order::NewOrder, text::printable},
    services::orders::intake::Refusal,
    store::{
        self, dead_letters,
        key_conflicts::{self, KeyConflict},
    },
    telemetry::{log_throttle, metrics},
};
use futures_util::future::join_all;
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

const MAX_REASON_CHARS: usize = 1000;
/// Longer messages are kept cut off: this is many times the length of an order.
const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;

pub(super) enum Reason {
    Permanent(String),
    Transient(String),
    /// Another order of the customer has the key: only one of the two was promised.
    KeyReused(KeyConflict),
}

impl Reason {
    pub(super) fn key_reused(order: &NewOrder) -> Self {
        Self::KeyReused(KeyConflict {
            order_id: order.id,
            fingerprint: order.fingerprint(),
            placed_by: order.placed_by,
        })
    }
}

impl From<DecodeError> for Reason {
    fn from(error: DecodeError) -> Self {
        match error {
            // Workers of that version may be about to start.
            DecodeError::Version(_) | DecodeError::Foreign(_) => Self::Transient(error.to_string()),
            DecodeError::Malformed(_) | DecodeError::Impossible(_) => Self::Permanent(error.to_string()),
        }
    }
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            // A database that was restored, or a replica that was promoted, may catch up with it.
            Refusal::Unknown(_) => Self::Transient(refusal.to_string()),
            Refusal::InvalidValue(_) | Refusal::Other(_) => Self::Permanent(refusal.to_string()),
        }
    }
}

/// A message that could not be recorded, with the id of its order if it tells one.
pub(super) struct Rejected<R = Reason> {
    pub(super) delivery: Delivery,
    pub(super) order_id: Option<OrderId>,
    pub(super) reason: R,
}

/// Returns the first rejected part of each message and the number of its rejected parts. The log gets a line for each message,
/// however many parts it has.
fn by_message<'r>(
    rejected: impl Iterator<Item = &'r Rejected<String>>,
) -> impl Iterator<Item = (usize, &'r Rejected<String>)> {
    let mut messages = BTreeMap::new();
    for part in rejected {
        messages.entry(part.delivery.tag.message()).or_insert((0, part)).0 += 1;
    }
    messages.into_values()
}

impl Worker {
    /// Returns the tags of the messages that are safe afterwards.
    pub(super) async fn retry_or_dead_letter(&self, messages: Vec<Rejected>) -> Vec<DeliveryTag> {
        let (mut later, mut never, mut reused) = (Vec::new(), Vec::new(), Vec::new());
        for Rejected { delivery, order_id, reason } in messages {
            let failures = delivery.failures.and_one_more(now());
            let attempts = usize::try_from(failures.count).unwrap_or(usize::MAX);
            let delivery = Delivery { failures, ..delivery };
            let (why, is_transient) = match reason {
                Reason::KeyReused(conflict) => {
                    reused.push((delivery.tag, conflict));
                    continue;
                }
                Reason::Transient(why) => (why, true),
                Reason::Permanent(why) => (why, false),
            };
            // It may quote the message, parts of which neither a database nor the log accepts.
            let reason = why.chars().flat_map(printable).take(MAX_REASON_CHARS).collect();
            let message = Rejected { delivery, order_id, reason };
            match self.retries.get(attempts.saturating_sub(1)) {
                Some(&delay) if is_transient => later.push((message, delay)),
                _ => never.push(message),
            }
        }
        for (parts, Rejected { delivery, order_id: order, reason }) in by_message(never.iter()) {
            let attempts = delivery.failures.count;
            tracing::error!(
                ?order,
                reason,
                attempts,
                parts,
                "failed to record an order: it becomes a dead letter"
            );
        }
        for (parts, Rejected { delivery, order_id: order, reason }) in
            by_message(later.iter().map(|(message, _)| message))
        {
            let attempts = delivery.failures.count;
            tracing::warn!(?order, reason, attempts, parts, "failed to record an order: it is retried later");
        }
        let mut safe = self.dead_letter(never).await;
        safe.extend(self.note_reused_keys(reused).await);
        let postponing = later.into_iter().map(|(message, delay)| self.postpone(message, delay));
        safe.extend(join_all(postponing).await.into_iter().flatten());
        safe
    }

    /// Publishes a message again after a delay.
    async fn postpone(&self, message: Rejected<String>, delay: Duration) -> Option<DeliveryTag> {
        let id = message.order_id.map_or_else(Uuid::now_v7, |id| id.0);
        let Delivery { tag, foreign, body, failures, trace, .. } = message.delivery;
        let postponed = self.broker.postpone(Postponed { id, foreign, body, failures, trace }, delay).await;
        if let Err(error) = postponed {
            if let Some(repeated) = log_throttle::admit(&error.to_string()) {
                tracing::warn!(%error, repeated, "failed to postpone orders");
            }
            return None;
        }
        metrics::worker().postponed.inc();
        Some(tag)
    }

    /// Notes in the histories of orders that others were placed under their keys and not recorded.
    async fn note_reused_keys(&self, reused: Vec<(DeliveryTag, KeyConflict)>) -> Vec<DeliveryTag> {
        if reused.is_empty() {
            return Vec::new();
        }
        let (tags, conflicts): (Vec<_>, Vec<_>) = reused.into_iter().unzip();
        let at = now();
        let noted = self.store.write(async move |conn| key_conflicts::note(conn, conflicts, at).await).await;
        if let Err(error) = noted {
            if let Some(repeated) = log_throttle::admit(&error.to_string()) {
                tracing::warn!(%error, repeated, "failed to note orders under reused keys: they stay at the broker");
            }
            return Vec::new();
        }
        tags
    }

    async fn dead_letter(&self, messages: Vec<Rejected<String>>) -> Vec<DeliveryTag> {
        let at = now();
        let mut letters: Vec<_> =
            messages.into_iter().map(|message| (message.delivery.tag, Letter::new(message, at))).collect();
        letters.sort_unstable_by_key(|(_, Letter { head, .. })| (head.order_id, head.id));
        let tags = letters.iter().map(|(tag, _)| *tag).collect();
        if letters.is_empty()
            || self.insert_letters(letters.iter().map(|(_, letter)| letter.clone()).collect()).await.is_ok()
        {
            return tags;
        }
        // One letter may have caused the failure: it must not hold up the others.
        let mut inserted = Vec::new();
        for (tag, letter) in letters {
            match self.insert_letters(vec![letter]).await {
                Ok(()) => inserted.push(tag),
                // The database accepts nothing now: trying each of the others would only fill the log.
                Err(error) if error.is_transient() => break,
                Err(_) => {}
            }
        }
        inserted
    }

    /// Inserts letters, which must be sorted by their orders, in one transaction.
    async fn insert_letters(&self, letters: Vec<Letter>) -> store::Result<()> {
        let inserted = self.store.write(async move |conn| {
            let mut open = 0;
            for Letter { head, payload, order } in letters {
                let inserted = dead_letters::keep_unless_stored(conn, &head, &payload, order.as_ref());
                open += u64::from(inserted.await?);
            }
            Ok(open)
        });
        let open = inserted.await.inspect_err(|error| {
            if let Some(repeated) = log_throttle::admit(&error.to_string()) {
                tracing::warn!(%error, repeated, "failed to insert dead letters");
            }
        });
        metrics::worker().dead_letters.inc_by(open?);
        Ok(())
    }
}

#[derive(Clone)]
struct Letter {
    head: DeadLetter,
    payload: Vec<u8>,
    /// The order, if the message can be read.
    order: Option<NewOrder>,
}

impl Letter {
    fn new(message: Rejected<String>, at: Timestamp) -> Self {
        let Rejected { delivery, order_id, mut reason } = message;
        let Delivery { body: mut payload, failures, oversize, .. } = delivery;
        let id = dead_letters::id_of(order_id, &payload);
        // A message that was too large to decode is not decoded here either.
        let order = oversize.is_none().then(|| order_message::decode(&payload).ok()).flatten();
        if payload.len() > MAX_PAYLOAD_BYTES {
            payload.truncate(MAX_PAYLOAD_BYTES);
            reason += " (and its message was too large to be kept whole)";
        }
        let head = DeadLetter {
            id,
            order_id,
            reason,
            attempts: failures.count,
            first_failed_at: failures.first_at.unwrap_or(at),
            created_at: at,
            resolution: None,
        };
        Self { head, payload, order }
    }
}
