//! Orders: as they were placed, and as they stand.

use super::{
    Timestamp,
    bounded_integer::bounded_integer,
    ids::{OrderId, RecipeId, UserId},
    order_state::Status,
    text::{Name, Note, Table, deserialize_stored, deserialize_stored_option},
    version::EntityVersion,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

bounded_integer! {
    /// The quantity of one drink.
    Quantity(u8), max 20
}

impl Quantity {
    pub const ONE: Self = Self(1);
}

/// The drink of a line, as the menu named it when it was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drink {
    /// The id of its recipe.
    pub id: RecipeId,
    /// The recipe's name when it was ordered.
    #[serde(deserialize_with = "deserialize_stored")]
    pub name: Name,
}

impl Drink {
    /// Compares by id or by name: a renamed recipe keeps its id, and one that is archived and added again keeps its name.
    pub fn is_same_drink(&self, other: &Self) -> bool {
        self.id == other.id || self.name.key() == other.name.key()
    }
}

/// One recipe of an order, with its quantity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Line)]
pub struct OrderLine {
    /// The recipe as it was ordered.
    pub recipe: Drink,
    /// The number of drinks of it.
    pub quantity: Quantity,
    /// A request of the guest, such as "no ice".
    #[serde(default, deserialize_with = "deserialize_stored_option")]
    #[schema(required)]
    pub note: Option<Note>,
}

pub const MAX_LINES: usize = 20;

/// An order as it was accepted: complete in itself, so that it can be recorded without further look-ups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    pub id: OrderId,
    pub customer_id: UserId,
    /// The customer, or an employee who ordered for them.
    pub placed_by: UserId,
    /// 1 to [`MAX_LINES`].
    pub lines: Vec<OrderLine>,
    #[serde(default, deserialize_with = "deserialize_stored_option")]
    pub table: Option<Table>,
    #[serde(default, deserialize_with = "deserialize_stored_option")]
    pub note: Option<Note>,
    /// Its class, 1 (quickest) to 4; see [`super::priority`].
    pub priority: u8,
    /// Its key in the working order; see [`super::priority`].
    pub due_at: Timestamp,
    pub placed_at: Timestamp,
}

impl NewOrder {
    /// Checks an order that another process made. Returns the first error.
    pub fn flaw(&self) -> Option<&'static str> {
        let storable = Timestamp::EARLIEST..=Timestamp::LATEST;
        if !(1..=MAX_LINES).contains(&self.lines.len()) {
            return Some("it must have 1 to 20 lines");
        }
        if !(1..=4).contains(&self.priority) {
            return Some("its priority must be 1 to 4");
        }
        if !storable.contains(&self.placed_at) || !storable.contains(&self.due_at) {
            return Some("placed_at and due_at must be in the years 1970 to 9999");
        }
        None
    }

    pub fn drinks(&self) -> u32 {
        self.lines.iter().map(|line| u32::from(line.quantity.get())).sum()
    }

    /// Compares the content of two orders under one id, except the time. Recipes may have been renamed in between.
    pub fn repeats(&self, earlier: &Self) -> bool {
        let is_same_line = |(line, earlier): (&OrderLine, &OrderLine)| {
            line.quantity == earlier.quantity
                && is_same_text(line.note.as_ref(), earlier.note.as_ref())
                && line.recipe.is_same_drink(&earlier.recipe)
        };
        self.customer_id == earlier.customer_id
            && is_same_text(self.table.as_ref(), earlier.table.as_ref())
            && is_same_text(self.note.as_ref(), earlier.note.as_ref())
            && self.lines.len() == earlier.lines.len()
            && self.lines.iter().zip(&earlier.lines).all(is_same_line)
    }

    /// Hashes the content of the order (SHA-256). It is stored, so it must be the same in every release. Orders with one fingerprint
    /// have the same content. The converse does not hold, because recipes can be renamed: [`Self::repeats`] decides then.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            // Each part with its length, so that parts can't run into each other.
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(self.customer_id.0.as_bytes());
        part(self.table.as_ref().map_or("", Table::as_str).as_bytes());
        part(self.note.as_ref().map_or("", Note::as_str).as_bytes());
        for line in &self.lines {
            // By name, as guests order: a recipe that is archived and added again has another id. In lower case and not by the
            // key that names are found by: that may change, and stored fingerprints must stay valid.
            part(line.recipe.name.as_str().to_lowercase().as_bytes());
            part(&[line.quantity.get()]);
            part(line.note.as_ref().map_or("", Note::as_str).as_bytes());
        }
        hash.finalize().into()
    }
}

/// Compares two texts by the present rules: an earlier release may have stored one that they would normalize.
pub fn is_same_text<T>(given: Option<&T>, stored: Option<&T>) -> bool
where
    T: Clone + PartialEq + TryFrom<String>,
    String: From<T>,
{
    match (given, stored) {
        (Some(given), Some(stored)) => {
            given == stored || T::try_from(stored.clone().into()).is_ok_and(|stored| stored == *given)
        }
        (None, None) => true,
        _ => false,
    }
}

/// A recorded order in its present state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub placed: NewOrder,
    pub status: Status,
    /// The reason for cancelling or failing it.
    pub status_reason: Option<Note>,
    /// The bartender who works on it, or did last.
    pub bartender_id: Option<UserId>,
    pub recorded_at: Timestamp,
    pub updated_at: Timestamp,
    /// The number of its transitions.
    pub version: i32,
}

impl Order {
    pub fn recorded(placed: NewOrder, at: Timestamp) -> Self {
        Self {
            placed,
            status: Status::Pending,
            status_reason: None,
            bartender_id: None,
            recorded_at: at,
            updated_at: at,
            version: 1,
        }
    }

    pub fn entity_version(&self) -> EntityVersion {
        EntityVersion { id: self.placed.id.0, version: self.version }
    }
}

/// One transition in an order's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// From 1, without gaps.
    pub number: i32,
    pub from: Status,
    pub to: Status,
    pub actor_id: UserId,
    pub reason: Option<Note>,
    pub moved_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{now, proptests::order_of, text::StoredText};

    fn changes() -> [fn(&mut NewOrder); 6] {
        [
            |order| order.note = Note::try_from("quick").ok(),
            |order| order.table = Table::try_from("quick").ok(),
            |order| order.customer_id = UserId::new_v7(),
            |order| order.lines.extend_from_within(..),
            |order| order.lines[0].note = Note::try_from("quick").ok(),
            |order| order.lines[0].quantity = Quantity::try_from(2).unwrap(),
        ]
    }

    #[test]
    fn a_repeat_is_one_whatever_its_drinks_are_called_since() {
        let mut first = order_of(UserId::new_v7(), 1);
        first.note = Note::from_stored("cre\u{300}me\u{200b}".into()).ok();
        let mut again = NewOrder { placed_at: now(), note: Note::try_from("crème").ok(), ..first.clone() };
        again.lines[0].recipe.name = Name::try_from("Negroni Classico").unwrap();
        assert!(again.repeats(&first));
        assert_ne!(again.fingerprint(), first.fingerprint());
        // Off the menu and on it again.
        again.lines[0].recipe = Drink { id: RecipeId::new_v7(), name: Name::try_from("NEGRONI").unwrap() };
        assert!(again.repeats(&first));
        again.lines[0].recipe.name = Name::try_from("Gin Fizz").unwrap();
        assert!(!again.repeats(&first));
        for change in changes() {
            let mut other = first.clone();
            change(&mut other);
            assert!(!other.repeats(&first), "{other:?}");
        }
    }

    #[test]
    fn a_fingerprint_is_the_same_in_every_release() {
        let mut order = order_of(UserId::new_v7(), 1);
        order.customer_id = "01a203c7-9c4d-73e0-b5cb-40c566f38883".parse().unwrap();
        order.table = Table::try_from("4").ok();
        order.lines[0].note = Note::try_from("no ice").ok();
        assert_eq!(
            order.fingerprint().map(|byte| format!("{byte:02x}")).concat(),
            "6db0a1a5f5b6660849896ed0449c04d6f0cb559d7256c248b5a3aed0f244aac9"
        );
    }

    #[test]
    fn a_repeat_has_the_same_fingerprint_whenever_it_is_placed() {
        let first = order_of(UserId::new_v7(), 1);
        let mut again = first.clone();
        again.placed_at = now();
        again.id = OrderId::new_v7();
        assert_eq!(first.fingerprint(), again.fingerprint());
    }

    #[test]
    fn any_other_content_has_another_fingerprint() {
        let first = order_of(UserId::new_v7(), 1);
        for change in changes() {
            let mut other = first.clone();
            change(&mut other);
            assert_ne!(first.fingerprint(), other.fingerprint());
        }
    }
}
