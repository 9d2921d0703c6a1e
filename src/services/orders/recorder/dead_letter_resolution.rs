//! Dead letters of orders that are stored after all, by a copy of the message or by another way.

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

/// The most letters that one batch resolves: few orders ever have one, and hardly any has two.
const MAX_LETTERS: i64 = 1000;

/// Resolves what letters of these orders are open, as nobody's decision. Belongs in the transaction that stores them, after they
/// are stored: who keeps a letter [reserves](crate::store::insert_orders::reserve) its order's id first.
pub async fn resolve_letters(conn: &mut Conn, stored: &[OrderId], at: Timestamp) -> Result<()> {
    // All that this costs where no letter is open.
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
