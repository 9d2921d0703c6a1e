//! Resolves dead letters whose orders are recorded after all, from a copy of the message or otherwise.

use crate::{
    domain::{
        Timestamp,
        audit::{Action, Changes},
        dead_letter::Resolution,
        ids::OrderId,
    },
    services::audit,
    store::{Conn, Result, dead_letters},
};
use serde_json::json;

/// Dead letters resolved per batch: few orders ever have one, and hardly any has two.
const MAX_LETTERS: i64 = 1000;

/// Resolves the open dead letters of these orders, with no account as the decider. Belongs in the transaction
/// that records the orders, after that: adding a dead letter [reserves](crate::store::insert_orders::reserve)
/// the id of its order first.
pub async fn resolve_letters(conn: &mut Conn, stored: &[OrderId], at: Timestamp) -> Result<()> {
    // The only cost if no dead letter is open.
    if stored.is_empty() || !dead_letters::any_open(conn).await? {
        return Ok(());
    }
    for letter in dead_letters::lock_open_of(conn, stored, MAX_LETTERS).await? {
        dead_letters::resolve(conn, letter, Resolution::Replayed, None, at).await?;
        let changes =
            Changes::between(&json!({ "resolution": null }), &json!({ "resolution": Resolution::Replayed }));
        audit::record(conn, None, Action::DeadLetterReplayed, letter, changes).await?;
    }
    Ok(())
}
