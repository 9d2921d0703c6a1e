//! Resolves dead letters: replays or discards them.

pub use crate::domain::filters::DeadLetterFilter;

use crate::{
    broker::order_message,
    domain::{
        Timestamp,
        audit::{Action, Changes},
        dead_letter::{DeadLetter, Resolution},
        ids::{DeadLetterId, OrderId, UserId},
        now,
    },
    services::{DatabaseError, audit},
    store::{
        self, Conn, Store, dead_letters,
        insert_orders::{self, InsertOutcome},
        transaction_error,
    },
};
use serde_json::json;
use std::sync::Arc;

/// Dead letters resolved per batch of orders: few orders ever have one, and hardly any has two.
const MAX_LETTERS: i64 = 1000;

#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("no such dead letter")]
    Unknown,
    #[error("it still can't be stored: {0}")]
    Unstorable(String),
    /// The order was recorded meanwhile, so nothing can be discarded.
    #[error("its order was stored meanwhile")]
    Replayed,
    #[error(transparent)]
    Store(#[from] store::Error),
}

transaction_error!(ResolveError);

#[derive(Clone)]
pub struct DeadLetters {
    pub store: Store,
}

impl DeadLetters {
    /// Loads a page of dead letters, newest first, after the position `after`.
    pub async fn page(
        &self,
        filter: DeadLetterFilter,
        after: Option<(Timestamp, DeadLetterId)>,
        limit: i64,
    ) -> Result<Vec<DeadLetter>, DatabaseError> {
        Ok(self.store.read(async move |conn| dead_letters::page(conn, filter, after, limit).await).await?)
    }

    /// Finds a dead letter and its message.
    pub async fn find(&self, id: DeadLetterId) -> Result<Option<(DeadLetter, Vec<u8>)>, DatabaseError> {
        Ok(self.store.read(async move |conn| dead_letters::find(conn, id).await).await?)
    }

    /// Records the order of a dead letter, under the id that its customer knows, once however often it is replayed.
    pub async fn replay(&self, id: DeadLetterId, by: Option<UserId>) -> Result<DeadLetter, ResolveError> {
        match self.store.transaction(async move |conn| replay(conn, id, by).await).await {
            Err(ResolveError::Store(error)) if !error.is_transient() => {
                Err(ResolveError::Unstorable(insert_orders::why(&error)))
            }
            outcome => outcome,
        }
    }

    /// Discards a dead letter, which stays readable.
    pub async fn discard(&self, id: DeadLetterId, by: Option<UserId>) -> Result<DeadLetter, ResolveError> {
        self.store.transaction(async move |conn| discard(conn, id, by).await).await
    }
}

type Decided = Result<DeadLetter, ResolveError>;

async fn replay(conn: &mut Conn, id: DeadLetterId, by: Option<UserId>) -> Decided {
    // Not locked yet: recording locks the id of an order before its dead letters, and so must this.
    let Some((letter, payload)) = dead_letters::find(conn, id).await? else {
        return Err(ResolveError::Unknown);
    };
    if matches!(letter.resolution, Some((Resolution::Replayed, ..))) {
        return Ok(letter);
    }
    let order =
        order_message::decode(&payload).map_err(|error| ResolveError::Unstorable(error.to_string()))?;
    let (order_id, at) = (order.id, now());
    match insert_orders::record(conn, &Arc::from([order]), at).await?.first() {
        Some(InsertOutcome::Stored | InsertOutcome::AlreadyThere) => {}
        Some(InsertOutcome::KeyReused | InsertOutcome::Conflict) | None => {
            return Err(ResolveError::Unstorable(insert_orders::CONFLICT.into()));
        }
    }
    let Some((letter, _)) = dead_letters::lock(conn, id).await? else {
        return Err(ResolveError::Unknown);
    };
    let resolved = match letter.resolution {
        // Replayed by somebody else meanwhile.
        Some((Resolution::Replayed, ..)) => letter,
        _ => decide(conn, letter, Resolution::Replayed, by).await?,
    };
    resolve_open(conn, &[order_id], at).await?;
    Ok(resolved)
}

async fn discard(conn: &mut Conn, id: DeadLetterId, by: Option<UserId>) -> Decided {
    let Some((letter, _)) = dead_letters::lock(conn, id).await? else {
        return Err(ResolveError::Unknown);
    };
    match letter.resolution {
        Some((Resolution::Replayed, ..)) => Err(ResolveError::Replayed),
        Some((Resolution::Discarded, ..)) => Ok(letter),
        None => decide(conn, letter, Resolution::Discarded, by).await,
    }
}

async fn decide(conn: &mut Conn, letter: DeadLetter, what: Resolution, by: Option<UserId>) -> Decided {
    let (before, at) = (letter.resolution.map(|(what, ..)| what), now());
    resolve(conn, letter.id, before, (what, at, by)).await?;
    Ok(DeadLetter { resolution: Some((what, at, by)), ..letter })
}

/// Resolves the open dead letters of orders that are recorded after all, with no account as the decider. Belongs
/// in the transaction that records the orders, after that: adding a dead letter
/// [reserves](insert_orders::reserve) the id of its order first.
pub async fn resolve_open(conn: &mut Conn, stored: &[OrderId], at: Timestamp) -> store::Result<()> {
    // The only cost if no dead letter is open.
    if stored.is_empty() || !dead_letters::any_open(conn).await? {
        return Ok(());
    }
    for letter in dead_letters::lock_open_of(conn, stored, MAX_LETTERS).await? {
        resolve(conn, letter, None, (Resolution::Replayed, at, None)).await?;
    }
    Ok(())
}

async fn resolve(
    conn: &mut Conn,
    id: DeadLetterId,
    before: Option<Resolution>,
    (what, at, by): (Resolution, Timestamp, Option<UserId>),
) -> store::Result<()> {
    dead_letters::resolve(conn, id, what, by, at).await?;
    let action = match what {
        Resolution::Replayed => Action::DeadLetterReplayed,
        Resolution::Discarded => Action::DeadLetterDiscarded,
    };
    let resolution = |what: Option<Resolution>| json!({ "resolution": what });
    let changes = Changes::between(&resolution(before), &resolution(Some(what)));
    audit::record(conn, by, action, id, changes).await
}
