//! What a guest asks for, as it comes in.

use crate::domain::{
    Invalid,
    ids::UserId,
    object::Object,
    order::{Line, NewOrder, Quantity},
    text::{Name, Note, Table},
    validation::FieldPath,
};
use deserr::Deserr;
use serde::Deserialize;
use utoipa::ToSchema;

/// An order: one drink by `recipe`, or several by `items`.
#[derive(Debug, Clone, Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
#[schema(as = NewOrder, examples(
    json!({ "recipe": "Margarita", "quantity": 2 }),
    json!({ "items": [{ "recipe": "Negroni", "note": "no ice" }, { "recipe": "Gin Fizz" }], "table": "4" }),
))]
pub struct Request {
    /// One drink, by id or by name.
    #[deserr(default)]
    recipe: Option<String>,
    /// How many of it.
    #[deserr(default)]
    quantity: Option<Quantity>,
    /// Several drinks, instead of `recipe` and `quantity`: 100 at most in all, or as many as the bar has set.
    #[schema(value_type = Option<Vec<Item>>, min_items = 1, max_items = 20)]
    #[deserr(default)]
    items: Option<Vec<Object<Item>>>,
    /// Where to.
    #[deserr(default)]
    pub table: Option<Table>,
    /// What the guest adds about the whole order.
    #[deserr(default)]
    pub note: Option<Note>,
    /// For whom, where staff order for a guest.
    #[deserr(default)]
    pub customer_id: Option<UserId>,
}

/// One line of an order.
#[derive(Debug, Clone, Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
#[schema(as = NewLine)]
pub struct Item {
    /// Which drink, by id or by name.
    pub recipe: String,
    /// How many: one, unless it is said.
    #[serde(default = "one")]
    #[deserr(default = one())]
    pub quantity: Quantity,
    /// What the guest adds about this drink.
    #[deserr(default)]
    pub note: Option<Note>,
}

fn one() -> Quantity {
    Quantity::ONE
}

impl Request {
    /// Whether this asks for what was ordered before. Works without the menu, which may have changed since.
    pub(super) fn repeats(self, order: &NewOrder) -> bool {
        let same_place = self.table == order.table && self.note == order.note;
        let Ok(items) = self.into_items() else { return false };
        let same = |(item, line): (&Item, &Line)| {
            let by_name = Name::key_of(&item.recipe) == line.recipe.name.key();
            let by_id = item.recipe.parse() == Ok(line.recipe.id);
            (by_name || by_id) && item.quantity == line.quantity && item.note == line.note
        };
        same_place
            && items.len() == order.lines.len()
            && items.iter().map(|(_, item)| item).zip(&order.lines).all(same)
    }

    /// Whether it orders by `items`.
    pub(super) fn is_list(&self) -> bool {
        self.items.is_some()
    }

    /// The lines, each with the field that names its recipe.
    pub(super) fn into_items(self) -> Result<Vec<(FieldPath, Item)>, Invalid> {
        match (self.recipe, self.items) {
            (Some(recipe), None) => {
                let item = Item { recipe, quantity: self.quantity.unwrap_or(Quantity::ONE), note: None };
                Ok(vec![(FieldPath::from("recipe"), item)])
            }
            (None, Some(items)) if self.quantity.is_none() => Ok(items
                .into_iter()
                .enumerate()
                .map(|(at, Object(item))| (FieldPath::from("items").index(at).key("recipe"), item))
                .collect()),
            (None, Some(_)) => Err(Invalid::new("quantity", "belongs into the items")),
            (Some(_), Some(_)) => Err(Invalid::new("recipe", "must not be given beside items")),
            (None, None) => Err(Invalid::new("recipe", "must be given, or items")),
        }
    }
}

/// What makes repeated requests one order: the client's own word for it, 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The most characters.
    pub const MOST: usize = 255;

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&[u8]> for IdempotencyKey {
    type Error = Invalid;

    fn try_from(bytes: &[u8]) -> Result<Self, Invalid> {
        match std::str::from_utf8(bytes) {
            Ok(key)
                if (1..=Self::MOST).contains(&key.len())
                    && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') =>
            {
                Ok(Self(key.to_owned()))
            }
            _ => Err(Invalid::new("Idempotency-Key", "must be 1 to 255 visible ASCII characters")),
        }
    }
}

#[cfg(test)]
#[path = "request_fuzz.rs"]
mod fuzz;
