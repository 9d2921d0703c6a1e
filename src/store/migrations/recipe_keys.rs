//! Recomputes the lookup keys of recipes after the program's rule for equal names has changed.

use crate::domain::{Timestamp, ids::RecipeId, text::Name};
use crate::store::{Conn, Result, on, schema::recipes};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use std::collections::{HashMap, hash_map::Entry};

/// Two recipes on the menu whose names are equal by the rule. The second keeps its old key, and can be found
/// by its id only.
#[derive(Debug)]
pub struct KeyCollision {
    pub first: Name,
    /// The recipe that should be renamed.
    pub second: Name,
}

/// Updates the keys that differ from the rule. Safe to repeat.
pub async fn refresh(conn: &mut Conn) -> Result<Vec<KeyCollision>> {
    // Of two recipes that need the same key the older one gets it. Archived recipes do not occupy theirs.
    let rows: Vec<(RecipeId, Name, String, Option<Timestamp>)> = on!(conn, c => recipes::table
        .select((recipes::id, recipes::name, recipes::name_key, recipes::archived_at))
        .order((recipes::created_at, recipes::id))
        .load(c))?;
    // Recipes that have their key already come first: no other row may take it from them.
    let (settled, others): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|(_, name, key, _)| name.key() == *key);
    let mut named: HashMap<String, Name> = HashMap::new();
    for (_, name, key, archived_at) in settled {
        if archived_at.is_none() {
            named.insert(key, name);
        }
    }
    let (mut stale, mut collisions) = (Vec::new(), Vec::new());
    for (id, name, _, archived_at) in others {
        let key = name.key();
        if archived_at.is_none() {
            match named.entry(key.clone()) {
                Entry::Vacant(free) => drop(free.insert(name)),
                Entry::Occupied(first) => {
                    collisions.push(KeyCollision { first: first.get().clone(), second: name });
                    continue;
                }
            }
        }
        stale.push((id, key));
    }
    for (id, key) in stale {
        let recipe = recipes::table.find(id);
        on!(conn, c => diesel::update(recipe).set(recipes::name_key.eq(key)).execute(c))?;
    }
    Ok(collisions)
}
