//! Requests to place an order.

use crate::domain::{
    FieldError,
    ids::{RecipeId, UserId},
    json::{JsonObject, Optional},
    order::{Drink, NewOrder, OrderLine, Quantity, is_same_text},
    text::{Name, Note, Table, TableLabel},
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
    /// Id or name of one drink.
    #[deserr(default)]
    #[schema(value_type = Option<String>, min_length = 1)]
    recipe: Optional<String>,
    /// Quantity of that drink; 1 by default.
    #[deserr(default)]
    #[schema(value_type = Option<Quantity>)]
    quantity: Optional<Quantity>,
    /// Several drinks, instead of `recipe` and `quantity`: 100 at most in all, or as many as the bar has set.
    #[schema(value_type = Option<Vec<Item>>, min_items = 1, max_items = 20)]
    #[deserr(default)]
    pub(super) items: Optional<Vec<JsonObject<Item>>>,
    /// The table: text, or a number.
    #[deserr(default)]
    #[schema(value_type = Option<TableLabel>)]
    table: Optional<TableLabel>,
    /// The guest's note about the whole order.
    #[deserr(default)]
    #[schema(value_type = Option<Note>)]
    note: Optional<Note>,
    /// The customer, if staff order for a guest.
    #[deserr(default)]
    #[schema(value_type = Option<UserId>)]
    pub(super) customer_id: Optional<UserId>,
}

/// One line of an order.
#[derive(Debug, Clone, Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
#[schema(as = NewLine)]
pub struct Item {
    /// Id or name of the drink.
    pub recipe: String,
    /// Quantity; 1 by default.
    #[deserr(default)]
    #[schema(value_type = Option<Quantity>)]
    quantity: Optional<Quantity>,
    /// The guest's note about this drink.
    #[deserr(default)]
    #[schema(value_type = Option<Note>)]
    pub note: Optional<Note>,
}

impl Item {
    pub(super) fn quantity(&self) -> Quantity {
        self.quantity.0.unwrap_or(Quantity::ONE)
    }

    /// Returns whether this line asks for the line `earlier`; `found` is the drink that the menu now has for
    /// it. An id is the same drink whatever its name. A name may lead to another drink since, or another name
    /// to the same one.
    fn repeats(&self, found: Option<&Drink>, earlier: &OrderLine) -> bool {
        let drink = &earlier.recipe;
        let is_found = match self.recipe.parse::<RecipeId>() {
            Ok(id) => id == drink.id,
            Err(_) => found.is_some_and(|found| found.is_same_drink(drink)),
        };
        // Either key led to it, whatever else was on the menu then.
        let is_called_so = Name::key_of(&self.recipe) == drink.name.key()
            || Name::loose_key_of(&self.recipe)
                .is_some_and(|key| Some(key) == Name::loose_key_of(drink.name.as_str()));
        let is_drink = is_found || is_called_so;
        is_drink
            && self.quantity() == earlier.quantity
            && is_same_text(self.note.0.as_ref(), earlier.note.as_ref())
    }
}

impl Request {
    pub(super) fn table(&self) -> Option<&Table> {
        self.table.0.as_ref().map(|TableLabel(table)| table)
    }

    pub(super) fn note(&self) -> Option<&Note> {
        self.note.0.as_ref()
    }

    /// Returns whether this repeats an earlier request. `order` is what the current menu makes of it, if it can.
    pub(super) fn repeats(&self, order: Option<&NewOrder>, earlier: &NewOrder) -> bool {
        let lines = self.lines();
        let found = |at| order.and_then(|order| order.lines.get(at)).map(|line: &OrderLine| &line.recipe);
        is_same_text(self.table(), earlier.table.as_ref())
            && is_same_text(self.note(), earlier.note.as_ref())
            && lines.len() == earlier.lines.len()
            && lines
                .iter()
                .zip(&earlier.lines)
                .enumerate()
                .all(|(at, (asked, line))| asked.repeats(found(at), line))
    }

    /// Lists the lines as requested, even if they can't be ordered.
    fn lines(&self) -> Vec<Item> {
        let single = self.recipe.0.clone();
        let single = single.map(|recipe| Item { recipe, quantity: self.quantity, note: Optional(None) });
        let several = self.items.0.iter().flatten().map(|JsonObject(item)| item.clone());
        single.into_iter().chain(several).collect()
    }

    /// Returns the lines, each with the path of the field that names its recipe.
    pub(super) fn into_items(self) -> Result<Vec<(FieldPath, Item)>, FieldError> {
        match (self.recipe.0, self.items.0) {
            (Some(recipe), None) => {
                let item = Item { recipe, quantity: self.quantity, note: Optional(None) };
                Ok(vec![(FieldPath::from("recipe"), item)])
            }
            (None, Some(items)) if self.quantity.0.is_none() => Ok(items
                .into_iter()
                .enumerate()
                .map(|(at, JsonObject(item))| (FieldPath::from("items").index(at).key("recipe"), item))
                .collect()),
            (None, Some(_)) => Err(FieldError::new("quantity", "belongs into the items")),
            (Some(_), Some(_)) => Err(FieldError::new("recipe", "must not be given beside items")),
            (None, None) => Err(FieldError::new("recipe", "must be given, or items")),
        }
    }
}

/// `Idempotency-Key` header: 1 to 255 visible ASCII characters chosen by the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    pub const MAX: usize = 255;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&[u8]> for IdempotencyKey {
    type Error = FieldError;

    fn try_from(bytes: &[u8]) -> Result<Self, FieldError> {
        let is_visible = |byte: &u8| (b' '..=b'~').contains(byte);
        if (1..=Self::MAX).contains(&bytes.len()) && bytes.iter().all(is_visible) {
            return Ok(Self(bytes.iter().copied().map(char::from).collect()));
        }
        Err(FieldError::new("Idempotency-Key", "must be 1 to 255 visible ASCII characters"))
    }
}

#[cfg(test)]
#[path = "request_proptests.rs"]
mod proptests;
