//! Doing once what is asked for again under the same `Idempotency-Key`: what was answered is kept in the transaction that did it, and
//! told to whoever repeats the request. (Orders need none of this: their ids are derived from the key.)

use crate::{
    domain::now,
    store::{self, Conn, Work, idempotency_keys},
};
use chrono::TimeDelta;
use sha2::{Digest, Sha256};

/// How long an answer is kept at least.
const IDEMPOTENCY_KEY_RETENTION: TimeDelta = TimeDelta::hours(48);

/// A request that shall be done once.
#[derive(Clone)]
pub struct IdempotentRequest<T> {
    name: idempotency_keys::Hash,
    fingerprint: idempotency_keys::Hash,
    tell: fn(&T) -> String,
}

/// What came of it.
#[derive(Debug)]
pub enum IdempotencyOutcome<T> {
    /// It was done now.
    Executed(T),
    /// It was done before: what was told then.
    Replayed(String),
    /// Something else was done under its key.
    KeyReused,
}

impl<T> IdempotentRequest<T> {
    /// What `who` asks for under `key`; `tell` says what shall be told again. Neither of them is kept in clear.
    pub fn new(who: &str, key: &str, asked: &[u8], tell: fn(&T) -> String) -> Self {
        let name = Sha256::new().chain_update(who).chain_update([0]).chain_update(key).finalize().into();
        Self { name, fingerprint: Sha256::digest(asked).into(), tell }
    }

    /// What was told before, if it was done before.
    pub async fn earlier(&self, conn: &mut Conn) -> store::Result<Option<IdempotencyOutcome<T>>> {
        Ok(idempotency_keys::find(conn, self.name).await?.map(|earlier| self.told(earlier)))
    }

    fn told(&self, (fingerprint, answer): idempotency_keys::Earlier) -> IdempotencyOutcome<T> {
        if fingerprint == self.fingerprint {
            IdempotencyOutcome::Replayed(answer)
        } else {
            IdempotencyOutcome::KeyReused
        }
    }
}

/// Does the work, unless it was done before under the same key. Belongs in a transaction: a second one under the same key waits for the
/// first. Work that fails was not done, and may be tried again.
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
        return Ok(once.told(earlier));
    }
    let value = work(conn).await?;
    idempotency_keys::keep(conn, once.name, &(once.tell)(&value)).await?;
    Ok(IdempotencyOutcome::Executed(value))
}
