//! Computes anew by which key each recipe is found: the rule of what is one name is the program's, and has changed.

use crate::domain::{Timestamp, ids::RecipeId, text::Name};
use crate::store::{Conn, Result, on, schema::recipes};
use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;
use std::collections::{HashMap, hash_map::Entry};

/// Two drinks on the menu whose names are one by the rule. The second keeps the key that it had, and is found by its id.
#[derive(Debug)]
pub struct KeyCollision {
    /// The drink that has the name.
    pub first: Name,
    /// The drink that should get another one.
    pub second: Name,
}

/// Brings the keys of all recipes up to the rule. Safe to repeat; writes only keys that differ.
pub async fn refresh(conn: &mut Conn) -> Result<Vec<KeyCollision>> {
    // Of two that need the same key the older one gets it. Those off the menu have none that could be taken from them.
    let rows: Vec<(RecipeId, Name, String, Option<Timestamp>)> = on!(conn, c => recipes::table
        .select((recipes::id, recipes::name, recipes::name_key, recipes::archived_at))
        .order((recipes::created_at, recipes::id))
        .load(c))?;
    // Those that have the key already go first: it is theirs, and can't be written twice.
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
