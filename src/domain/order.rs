//! Orders, from what a guest asked for to what is stored.

use super::{
    Timestamp,
    ids::{OrderId, RecipeId, UserId},
    json_integer::JsonInteger,
    openapi_schema,
    order_state::Status,
    text::{Name, Note, Table, deserialize_stored, deserialize_stored_option},
    validation,
    version::EntityVersion,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// How many of one drink: 1 to 20.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "JsonInteger", into = "i64")]
pub struct Quantity(u8);

validation::whole!(Quantity, validation::NUMBER);

openapi_schema::described!(Quantity: openapi_schema::whole("How many of one drink.", 1, usize::from(Self::MAX)));

impl Quantity {
    /// The most.
    const MAX: u8 = 20;
    /// A single drink.
    pub const ONE: Self = Self(1);

    /// The number of drinks.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<JsonInteger> for Quantity {
    type Error = &'static str;

    fn try_from(JsonInteger(quantity): JsonInteger) -> Result<Self, Self::Error> {
        quantity.try_into()
    }
}

impl TryFrom<i64> for Quantity {
    type Error = &'static str;

    fn try_from(quantity: i64) -> Result<Self, Self::Error> {
        match u8::try_from(quantity) {
            Ok(quantity @ 1..=Self::MAX) => Ok(Self(quantity)),
            _ => Err("must be 1 to 20"),
        }
    }
}

impl From<Quantity> for i64 {
    fn from(quantity: Quantity) -> i64 {
        quantity.0.into()
    }
}

/// The drink of a line, as the menu named it when it was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drink {
    /// Which recipe.
    pub id: RecipeId,
    /// What it was called.
    #[serde(deserialize_with = "deserialize_stored")]
    pub name: Name,
}

impl Drink {
    /// Returns whether this is that drink, or was called as it is: a drink keeps its id when it is renamed, and its name when it is taken off
    /// the menu and put back.
    pub fn is_called_as(&self, other: &Self) -> bool {
        self.id == other.id || self.name.key() == other.name.key()
    }
}

/// One drink of an order, and how many of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Line {
    /// Which drink.
    pub recipe: Drink,
    /// How many.
    pub quantity: Quantity,
    /// What the guest added, such as "no ice".
    #[serde(default, deserialize_with = "deserialize_stored_option")]
    #[schema(required)]
    pub note: Option<Note>,
}

/// The most lines an order may have.
pub const MAX_LINES: usize = 20;

/// An order as it was accepted: complete in itself, so that whoever stores it needs to ask nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    /// Its name for good.
    pub id: OrderId,
    /// Whose drinks these are.
    pub customer_id: UserId,
    /// Who ordered: the customer, or staff for them.
    pub placed_by: UserId,
    /// What to make: 1 to [`MAX_LINES`].
    pub lines: Vec<Line>,
    /// Where to.
    #[serde(default, deserialize_with = "deserialize_stored_option")]
    pub table: Option<Table>,
    /// What the guest added about the whole order.
    #[serde(default, deserialize_with = "deserialize_stored_option")]
    pub note: Option<Note>,
    /// Its class, 1 (quickest) to 4; see [`super::priority`].
    pub priority: u8,
    /// Its place in the working order.
    pub due_at: Timestamp,
    /// When it was accepted.
    pub placed_at: Timestamp,
}

impl NewOrder {
    /// What keeps this from being an order, if anything: for those that were not made here.
    pub fn flaw(&self) -> Option<&'static str> {
        let possible = Timestamp::EARLIEST..=Timestamp::LATEST;
        if !(1..=MAX_LINES).contains(&self.lines.len()) {
            return Some("it must have 1 to 20 lines");
        }
        if !(1..=4).contains(&self.priority) {
            return Some("its priority must be 1 to 4");
        }
        if !possible.contains(&self.placed_at) || !possible.contains(&self.due_at) {
            return Some("its times are not of this world");
        }
        None
    }

    /// The number of its drinks.
    pub fn drinks(&self) -> u32 {
        self.lines.iter().map(|line| u32::from(line.quantity.get())).sum()
    }

    /// Returns whether this is what another order under the same id is, whatever its drinks are called since. When it was placed does not
    /// count.
    pub fn repeats(&self, earlier: &Self) -> bool {
        let is_same_line = |(line, earlier): (&Line, &Line)| {
            line.quantity == earlier.quantity
                && is_same_text(line.note.as_ref(), earlier.note.as_ref())
                && line.recipe.is_called_as(&earlier.recipe)
        };
        self.customer_id == earlier.customer_id
            && is_same_text(self.table.as_ref(), earlier.table.as_ref())
            && is_same_text(self.note.as_ref(), earlier.note.as_ref())
            && self.lines.len() == earlier.lines.len()
            && self.lines.iter().zip(&earlier.lines).all(is_same_line)
    }

    /// Names what was ordered, and for whom: a SHA-256, stored with each order, and the same in every release. Orders of one
    /// fingerprint are one. Those of two may be one as well, for it has the names of the drinks: [`Self::repeats`] decides then.
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
            // By name, as guests order: a recipe that was taken off the menu and put back has another id. In lower case and no
            // more, whatever names are found by: what was stored with this print must be told from others for good.
            part(line.recipe.name.as_str().to_lowercase().as_bytes());
            part(&[line.quantity.get()]);
            part(line.note.as_ref().map_or("", Note::as_str).as_bytes());
        }
        hash.finalize().into()
    }
}

/// Returns whether two texts are one. What an earlier release stored is read by the present rules, as what is compared with it was.
pub fn is_same_text<T>(asked: Option<&T>, stored: Option<&T>) -> bool
where
    T: Clone + PartialEq + TryFrom<String>,
    String: From<T>,
{
    match (asked, stored) {
        (Some(asked), Some(stored)) => {
            asked == stored || T::try_from(stored.clone().into()).is_ok_and(|stored| stored == *asked)
        }
        (None, None) => true,
        _ => false,
    }
}

/// An order as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What was ordered.
    pub placed: NewOrder,
    /// Where it stands.
    pub status: Status,
    /// Why it was cancelled or failed, if someone said.
    pub status_reason: Option<Note>,
    /// Who works on it, or did last.
    pub bartender_id: Option<UserId>,
    /// When it was stored.
    pub recorded_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
    /// How many moves its history has.
    pub version: i32,
}

impl Order {
    /// An order as it is when it is stored.
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

    /// The state that it is in.
    pub fn stamp(&self) -> EntityVersion {
        EntityVersion { id: self.placed.id.0, version: self.version }
    }
}

/// One move of an order's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its place, from 1, without gaps.
    pub number: i32,
    /// Where the order stood.
    pub from: Status,
    /// Where it stood then.
    pub to: Status,
    /// Who moved it.
    pub actor_id: UserId,
    /// Why, if they said.
    pub reason: Option<Note>,
    /// When.
    pub moved_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{now, text::StoredText};

    fn order() -> NewOrder {
        let id = UserId::new_v7();
        NewOrder {
            id: OrderId::new_v7(),
            customer_id: id,
            placed_by: id,
            lines: vec![Line {
                recipe: Drink { id: RecipeId::new_v7(), name: Name::try_from("Negroni").unwrap() },
                quantity: Quantity::ONE,
                note: None,
            }],
            table: None,
            note: None,
            priority: 2,
            due_at: now(),
            placed_at: now(),
        }
    }

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
        let mut first = order();
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

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    #[test]
    fn a_fingerprint_is_the_same_in_every_release() {
        let mut order = order();
        order.customer_id = "01a203c7-9c4d-73e0-b5cb-40c566f38883".parse().unwrap();
        order.table = Table::try_from("4").ok();
        order.lines[0].note = Note::try_from("no ice").ok();
        assert_eq!(
            hex(&order.fingerprint()),
            "6db0a1a5f5b6660849896ed0449c04d6f0cb559d7256c248b5a3aed0f244aac9"
        );
    }

    #[test]
    fn a_repeat_has_the_same_fingerprint_whenever_it_is_placed() {
        let first = order();
        let mut again = first.clone();
        again.placed_at = now();
        again.id = OrderId::new_v7();
        assert_eq!(first.fingerprint(), again.fingerprint());
    }

    #[test]
    fn any_other_content_has_another_fingerprint() {
        let first = order();
        for change in changes() {
            let mut other = first.clone();
            change(&mut other);
            assert_ne!(first.fingerprint(), other.fingerprint());
        }
    }
}
