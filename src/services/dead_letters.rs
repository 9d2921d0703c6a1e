//! Resolves dead letters: replays or discards them.

pub use crate::domain::filters::DeadLetterFilter;

use crate::{
    broker::order_message,
    domain::{
        Timestamp,
        audit::{Action, Changes},
        dead_letter::{DeadLetter, Resolution},
        ids::{DeadLetterId, UserId},
        now,
    },
    services::{DatabaseError, audit, orders::recorder},
    store::{
        self, Conn, Store, dead_letters,
        insert_orders::{self, InsertOutcome},
        transaction_error,
    },
};
use serde_json::json;
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("no such dead letter")]
    Unknown,
    /// The order still can't be recorded.
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
    store: Store,
}

impl DeadLetters {
    pub fn new(store: Store) -> Self {
        Self { store }
    }

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

    /// Records the order of a dead letter, under the id that its customer knows. Replaying twice, or at once,
    /// records one order.
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
        _ => resolve(conn, letter, Resolution::Replayed, by).await?,
    };
    recorder::resolve_letters(conn, &[order_id], at).await?;
    Ok(resolved)
}

async fn discard(conn: &mut Conn, id: DeadLetterId, by: Option<UserId>) -> Decided {
    let Some((letter, _)) = dead_letters::lock(conn, id).await? else {
        return Err(ResolveError::Unknown);
    };
    match letter.resolution {
        Some((Resolution::Replayed, ..)) => Err(ResolveError::Replayed),
        Some((Resolution::Discarded, ..)) => Ok(letter),
        None => resolve(conn, letter, Resolution::Discarded, by).await,
    }
}

async fn resolve(conn: &mut Conn, letter: DeadLetter, what: Resolution, by: Option<UserId>) -> Decided {
    let at = now();
    dead_letters::resolve(conn, letter.id, what, by, at).await?;
    let action = match what {
        Resolution::Replayed => Action::DeadLetterReplayed,
        Resolution::Discarded => Action::DeadLetterDiscarded,
    };
    let resolution = |what: Option<Resolution>| json!({ "resolution": what });
    let changes =
        Changes::between(&resolution(letter.resolution.map(|(what, ..)| what)), &resolution(Some(what)));
    audit::record(conn, by, action, letter.id, changes).await?;
    Ok(DeadLetter { resolution: Some((what, at, by)), ..letter })
}
