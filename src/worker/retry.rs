//! Handles messages that could not be recorded: those that may be storable later come again after a pause, another content under a
//! used key is noted in the history of the order that has the key, and the rest becomes dead letters. Each is safe before it is
//! acknowledged.

use super::Worker;
use crate::{
    broker::{
        Delivery, DeliveryTag, Postponed,
        order_message::{self, DecodeError},
    },
    domain::{Timestamp, dead_letter::DeadLetter, ids::OrderId, now, order::NewOrder, text::printable},
    services::orders::intake::Refusal,
    store::{self, dead_letters, insert_orders, key_conflicts},
    telemetry::{log_throttle, metrics},
};
use futures_util::future::join_all;
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// The most characters of a reason.
const MAX_REASON_CHARS: usize = 1000;
/// The most bytes that are kept of a message: many times as long as an order can be.
const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;

/// Why a message can't be stored.
pub(super) enum Reason {
    /// It never can.
    Final(String),
    /// Perhaps it can later.
    MayPass(String),
    /// Another order of its customer has its key: nothing was promised but one of the two.
    KeyReused(key_conflicts::KeyConflict),
}

impl Reason {
    pub(super) fn conflict() -> Self {
        Self::Final(insert_orders::CONFLICT.into())
    }

    pub(super) fn key_reused(order: &NewOrder) -> Self {
        Self::KeyReused(key_conflicts::KeyConflict {
            order_id: order.id,
            fingerprint: order.fingerprint(),
            placed_by: order.placed_by,
        })
    }

    /// Escapes and shortens it: it may quote the message, and neither a database nor the log takes everything of that.
    fn shortened(self) -> Self {
        let short = |why: String| why.chars().flat_map(printable).take(MAX_REASON_CHARS).collect();
        match self {
            Self::Final(why) => Self::Final(short(why)),
            Self::MayPass(why) => Self::MayPass(short(why)),
            Self::KeyReused(entry) => Self::KeyReused(entry),
        }
    }
}

impl From<DecodeError> for Reason {
    fn from(error: DecodeError) -> Self {
        match error {
            // Workers of that version may be about to start.
            DecodeError::Version(_) | DecodeError::Foreign(_) => Self::MayPass(error.to_string()),
            DecodeError::Malformed(_) | DecodeError::Impossible(_) => Self::Final(error.to_string()),
        }
    }
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            // A database that was restored, or fell back to a replica, may catch up with it.
            Refusal::Unknown(_) => Self::MayPass(refusal.to_string()),
            Refusal::InvalidValue(_) | Refusal::Other(_) => Self::Final(refusal.to_string()),
        }
    }
}

/// A message that can't be stored, the order that it would be, and why it can't.
pub(super) type Unstorable = (Delivery, Option<OrderId>, Reason);
/// The same with the reason in words, once it is decided what to do with the message.
type Failed = (Delivery, Option<OrderId>, String);

/// The first part of each message that failed, and how many parts of it did: the log gets a line for each message, however
/// many parts somebody put into it.
fn by_message(failed: &[Failed]) -> impl Iterator<Item = (usize, &Failed)> {
    let mut messages: BTreeMap<u64, (usize, &Failed)> = BTreeMap::new();
    for part in failed {
        messages.entry(part.0.tag.message()).or_insert((0, part)).0 += 1;
    }
    messages.into_values()
}

impl Worker {
    /// Puts messages out of the way of the others and returns the tags of those that are safe there.
    pub(super) async fn retry_or_dead_letter(&self, messages: Vec<Unstorable>) -> Vec<DeliveryTag> {
        let (mut later, mut pauses, mut never) = (Vec::new(), Vec::new(), Vec::new());
        let mut reused = Vec::new();
        for (delivery, order, reason) in messages {
            let failures = delivery.failures.and_one_more(now());
            let tried = usize::try_from(failures.count).unwrap_or(usize::MAX);
            let delivery = Delivery { failures, ..delivery };
            let reason = reason.shortened();
            match (reason, self.retries.get(tried.saturating_sub(1))) {
                (Reason::KeyReused(entry), _) => reused.push((delivery.tag, entry)),
                (Reason::MayPass(why), Some(&pause)) => {
                    pauses.push(pause);
                    later.push((delivery, order, why));
                }
                (Reason::Final(why) | Reason::MayPass(why), _) => never.push((delivery, order, why)),
            }
        }
        for (parts, (delivery, order, reason)) in by_message(&never) {
            let attempts = delivery.failures.count;
            tracing::error!(
                ?order,
                reason,
                attempts,
                parts,
                "failed to store an order: it becomes a dead letter"
            );
        }
        for (parts, (delivery, order, reason)) in by_message(&later) {
            let attempts = delivery.failures.count;
            tracing::warn!(
                ?order,
                reason,
                attempts,
                parts,
                "failed to store an order: it is tried again later"
            );
        }
        let mut safe = self.keep(never).await;
        safe.extend(self.note(reused).await);
        let postponing = later.into_iter().zip(pauses).map(|(message, pause)| self.postpone(message, pause));
        safe.extend(join_all(postponing).await.into_iter().flatten());
        safe
    }

    /// Lets a message come again later.
    async fn postpone(&self, message: Failed, pause: Duration) -> Option<DeliveryTag> {
        let (delivery, order, _) = message;
        let id = order.map_or_else(Uuid::now_v7, |id| id.0);
        let Delivery { tag, foreign, body, failures, place, .. } = delivery;
        match self.broker.postpone(Postponed { id, foreign, body, failures, place }, pause).await {
            Ok(()) => {
                metrics::worker().postponed.inc();
                Some(tag)
            }
            Err(error) => {
                if let Some(repeated) = log_throttle::admit(&error.to_string()) {
                    tracing::warn!(%error, repeated, "failed to postpone orders");
                }
                None
            }
        }
    }

    /// Notes in the histories of stored orders that others under their keys were not taken.
    async fn note(&self, reused: Vec<(DeliveryTag, key_conflicts::KeyConflict)>) -> Vec<DeliveryTag> {
        if reused.is_empty() {
            return Vec::new();
        }
        let (tags, entries): (Vec<_>, Vec<_>) = reused.into_iter().unzip();
        let at = now();
        match self.store.write(async move |conn| key_conflicts::note(conn, entries, at).await).await {
            Ok(()) => tags,
            Err(error) => {
                if let Some(repeated) = log_throttle::admit(&error.to_string()) {
                    tracing::warn!(%error, repeated, "failed to note orders under used keys: they stay with the broker");
                }
                Vec::new()
            }
        }
    }

    /// Keeps what can't be stored as dead letters.
    async fn keep(&self, messages: Vec<Failed>) -> Vec<DeliveryTag> {
        let at = now();
        let mut letters: Vec<_> = messages
            .into_iter()
            .map(|(delivery, order, reason)| (delivery.tag, letter(delivery, order, reason, at)))
            .collect();
        letters.sort_unstable_by_key(|(_, Letter { head, .. })| (head.order_id, head.id));
        let tags = letters.iter().map(|(tag, _)| *tag).collect();
        if letters.is_empty()
            || self.keep_all(letters.iter().map(|(_, letter)| letter.clone()).collect()).await.is_ok()
        {
            return tags;
        }
        // One of them may be why: it must not hold up the others.
        let mut kept = Vec::new();
        for (tag, letter) in letters {
            match self.keep_all(vec![letter]).await {
                Ok(()) => kept.push(tag),
                // The database keeps nothing now: asking it for each of the others would only fill the log.
                Err(error) if error.is_transient() => break,
                Err(_) => {}
            }
        }
        kept
    }

    /// Keeps letters, which must be sorted by their orders, in one transaction.
    async fn keep_all(&self, letters: Vec<Letter>) -> store::Result<()> {
        let kept = self.store.write(async move |conn| {
            let mut open = 0;
            for Letter { head, payload, order } in letters {
                let kept = dead_letters::keep_unless_stored(conn, &head, &payload, order.as_ref());
                open += u64::from(kept.await?);
            }
            Ok(open)
        });
        let open = kept.await.inspect_err(|error| {
            if let Some(repeated) = log_throttle::admit(&error.to_string()) {
                tracing::warn!(%error, repeated, "failed to keep dead letters");
            }
        });
        metrics::worker().dead_letters.inc_by(open?);
        Ok(())
    }
}

/// A dead letter to keep.
#[derive(Clone)]
struct Letter {
    head: DeadLetter,
    payload: Vec<u8>,
    /// Its order, where the message can be read.
    order: Option<NewOrder>,
}

/// The letter that a message becomes, and what is kept of the message.
fn letter(delivery: Delivery, order_id: Option<OrderId>, mut reason: String, at: Timestamp) -> Letter {
    let Delivery { body: mut payload, failures, oversize, .. } = delivery;
    let id = dead_letters::id_of(order_id, &payload);
    // What is too large to be read whole is not read here either.
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
    Letter { head, payload, order }
}
