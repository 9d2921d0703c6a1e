//! A sample of accepted orders that are not stored yet, to measure how long the oldest has been waiting.

use crate::{
    domain::{Timestamp, ids::OrderId},
    store::{self, Store, dead_letters, orders},
    util::lock,
};
use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::time::timeout;

/// One order per interval is sampled.
const SAMPLE_INTERVAL_MICROS: i64 = 1_000_000;
/// One hour of samples. Orders beyond that are not sampled: they are not the oldest.
const MAX_SAMPLED_ORDERS: usize = 3600;
/// Maximum delay of a scrape.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);
const LOOKUP_BATCH_ORDERS: usize = 200;

/// Sampled orders of this process, oldest first.
#[derive(Default)]
pub struct UnstoredSample {
    /// Time of the last sample, in microseconds since the Unix epoch.
    last: AtomicI64,
    sample: Mutex<VecDeque<(OrderId, Timestamp)>>,
}

impl UnstoredSample {
    /// Notes an order that was accepted and is to be stored by somebody else.
    pub fn accepted(&self, id: OrderId, at: Timestamp, now: impl FnOnce() -> Timestamp) {
        let last = self.last.load(Ordering::Relaxed);
        if (at.micros() - last).abs() < SAMPLE_INTERVAL_MICROS {
            return;
        }
        // A repeated order is as old as its first request. (A clock that was set back must not stop the sampling.)
        if now().micros() - at.micros() > SAMPLE_INTERVAL_MICROS {
            return;
        }
        if self.last.compare_exchange(last, at.micros(), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let mut sample = lock(&self.sample);
            if sample.len() < MAX_SAMPLED_ORDERS {
                sample.push_back((id, at));
            }
        }
    }

    /// Removes sampled orders that are stored or dead letters, and returns the time since when the oldest
    /// other one waits. While the database is unavailable, all of them count as waiting.
    pub async fn oldest(&self, store: &Store) -> Option<Timestamp> {
        match timeout(LOOKUP_TIMEOUT, self.forget_stored(store)).await {
            Ok(oldest) => oldest,
            Err(_) => self.front(),
        }
    }

    async fn forget_stored(&self, store: &Store) -> Option<Timestamp> {
        loop {
            let ids: Vec<_> =
                lock(&self.sample).iter().take(LOOKUP_BATCH_ORDERS).map(|(id, _)| *id).collect();
            let asked = ids.len();
            if asked == 0 {
                return None;
            }
            match settled(store, ids).await {
                Ok(settled) => {
                    let mut sample = lock(&self.sample);
                    sample.retain(|(id, _)| !settled.contains(id));
                    if settled.len() < asked {
                        return sample.front().map(|(_, since)| *since);
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "failed to look up which orders are stored");
                    return self.front();
                }
            }
        }
    }

    fn front(&self) -> Option<Timestamp> {
        lock(&self.sample).front().map(|(_, since)| *since)
    }
}

/// Returns those of these orders that are stored or dead letters.
pub(super) async fn settled(store: &Store, ids: Vec<OrderId>) -> store::Result<HashSet<OrderId>> {
    let asked = store.read(async move |conn| {
        let mut settled = orders::stored(conn, &ids).await?;
        settled.extend(dead_letters::of(conn, &ids).await?);
        Ok(settled)
    });
    Ok(asked.await?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::now;
    use chrono::TimeDelta;

    #[test]
    fn one_order_of_each_second_is_noted_and_never_more_than_an_hour_of_them() {
        let (waiting, start) = (UnstoredSample::default(), now());
        for millis in 0..10_000 {
            let at = start + TimeDelta::milliseconds(millis);
            waiting.accepted(OrderId::new_v7(), at, || at);
        }
        assert_eq!(lock(&waiting.sample).len(), 10);
        // A clock that is set back does not end the sampling.
        let back = start - TimeDelta::hours(1);
        waiting.accepted(OrderId::new_v7(), back, || back);
        assert_eq!(lock(&waiting.sample).len(), 11);
        // A repeat is the order of then.
        waiting.accepted(OrderId::new_v7(), start, || start + TimeDelta::minutes(1));
        assert_eq!(lock(&waiting.sample).len(), 11);
        for seconds in 0..10_000 {
            let at = start + TimeDelta::seconds(seconds);
            waiting.accepted(OrderId::new_v7(), at, || at);
        }
        assert_eq!(lock(&waiting.sample).len(), MAX_SAMPLED_ORDERS);
        assert_eq!(lock(&waiting.sample).front().map(|(_, since)| *since), Some(start));
    }
}
