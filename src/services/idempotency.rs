//! Idempotent execution: stores the response under the key in the request's transaction and replays it on a
//! retry. (Orders do without, because their ids are derived from the key.)

use crate::{
    domain::now,
    store::{self, Conn, Work, idempotency_keys},
};
use chrono::TimeDelta;
use sha2::{Digest, Sha256};

/// Minimum time for which a response is stored.
const IDEMPOTENCY_KEY_RETENTION: TimeDelta = TimeDelta::hours(48);

/// A request to be executed once.
#[derive(Clone)]
pub struct IdempotentRequest<T> {
    name: idempotency_keys::Hash,
    fingerprint: idempotency_keys::Hash,
    response: fn(&T) -> String,
}

#[derive(Debug)]
pub enum IdempotencyOutcome<T> {
    Executed(T),
    /// Executed by an earlier request; contains the stored response.
    Replayed(String),
    KeyReused,
}

impl<T> IdempotentRequest<T> {
    /// Identifies the request of `who` under `key` by hashes; `response` makes the response to store.
    pub fn new(who: &str, key: &str, content: &[u8], response: fn(&T) -> String) -> Self {
        let name = Sha256::new().chain_update(who).chain_update([0]).chain_update(key).finalize().into();
        Self { name, fingerprint: Sha256::digest(content).into(), response }
    }

    /// Finds the outcome of an earlier request under the key.
    pub async fn earlier(&self, conn: &mut Conn) -> store::Result<Option<IdempotencyOutcome<T>>> {
        Ok(idempotency_keys::find(conn, self.name).await?.map(|earlier| self.outcome(earlier)))
    }

    fn outcome(&self, (fingerprint, response): idempotency_keys::Earlier) -> IdempotencyOutcome<T> {
        if fingerprint == self.fingerprint {
            IdempotencyOutcome::Replayed(response)
        } else {
            IdempotencyOutcome::KeyReused
        }
    }
}

/// Executes work, unless it was executed before under the same key. Belongs in a transaction: a concurrent
/// request under the same key waits for it. Failed work rolls back, and can be retried.
pub async fn once<T, E, W>(
    conn: &mut Conn,
    once: Option<IdempotentRequest<T>>,
    work: W,
) -> Result<IdempotencyOutcome<T>, E>
where
    T: Send,
    E: From<store::Error>,
    W: for<'c> Work<&'c mut Conn, Result<T, E>, Future: Send>,
{
    let Some(once) = once else { return work(conn).await.map(IdempotencyOutcome::Executed) };
    let at = now();
    idempotency_keys::forget(conn, at - IDEMPOTENCY_KEY_RETENTION).await?;
    if let Some(earlier) = idempotency_keys::claim(conn, once.name, once.fingerprint, at).await? {
        return Ok(once.outcome(earlier));
    }
    let value = work(conn).await?;
    idempotency_keys::keep(conn, once.name, &(once.response)(&value)).await?;
    Ok(IdempotencyOutcome::Executed(value))
}
