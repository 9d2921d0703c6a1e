//! Doing once what is asked for again under the same `Idempotency-Key`: what was answered is kept in the transaction that did it, and
//! told to whoever repeats the request. (Orders need none of this: their ids are derived from the key.)

use crate::{
    domain::now,
    store::{self, Conn, keys},
};
use chrono::TimeDelta;
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};

/// How long an answer is kept at least.
const KEPT: TimeDelta = TimeDelta::hours(48);

/// A request that shall be done once.
#[derive(Clone)]
pub struct Once<T> {
    name: keys::Hash,
    fingerprint: keys::Hash,
    tell: fn(&T) -> String,
}

/// What came of it.
#[derive(Debug)]
pub enum Told<T> {
    /// It was done now.
    Now(T),
    /// It was done before: what was told then.
    Before(String),
    /// Something else was done under its key.
    Other,
}

impl<T> Once<T> {
    /// What `who` asks for under `key`; `tell` says what shall be told again. Neither of them is kept in clear.
    pub fn new(who: &str, key: &str, asked: &[u8], tell: fn(&T) -> String) -> Self {
        let name = Sha256::new().chain_update(who).chain_update([0]).chain_update(key).finalize().into();
        Self { name, fingerprint: Sha256::digest(asked).into(), tell }
    }

    /// What was told before, if it was done before.
    pub async fn earlier(&self, conn: &mut Conn) -> store::Result<Option<Told<T>>> {
        Ok(keys::find(conn, self.name).await?.map(|earlier| self.told(earlier)))
    }

    fn told(&self, (fingerprint, answer): keys::Earlier) -> Told<T> {
        if fingerprint == self.fingerprint { Told::Before(answer) } else { Told::Other }
    }
}

/// Does the work, unless it was done before under the same key. Belongs in a transaction: a second one under the same key waits for the
/// first. Work that fails was not done, and may be tried again.
pub async fn once<T, E, W>(
    conn: &mut Conn,
    once: Option<Once<T>>,
    work: W,
) -> store::Result<Result<Told<T>, E>>
where
    W: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, store::Result<Result<T, E>>> + Send,
{
    let Some(once) = once else { return Ok(work(conn).await?.map(Told::Now)) };
    let at = now();
    keys::forget(conn, at - KEPT).await?;
    if let Some(earlier) = keys::claim(conn, once.name, once.fingerprint, at).await? {
        return Ok(Ok(once.told(earlier)));
    }
    match work(conn).await? {
        Ok(value) => {
            keys::keep(conn, once.name, &(once.tell)(&value)).await?;
            Ok(Ok(Told::Now(value)))
        }
        Err(error) => keys::release(conn, once.name).await.map(|()| Err(error)),
    }
}
