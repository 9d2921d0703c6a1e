//! What one transaction changed of the things that people look at: the content of one entry of the feed.

use super::{
    ids::{OrderId, RecipeId, UserId},
    recipe::Recipe,
};
use serde::{Deserialize, Serialize};

/// Changes of one transaction. Programs of other versions read it too: unknown fields are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChangeSet {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<OrderChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub menu: Option<MenuChange>,
    /// Accounts whose access changed: role, activity, or an ended session.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<UserId>,
}

/// An order that was stored or changed. A list in JSON, because a batch has hundreds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(OrderId, i32, UserId)", into = "(OrderId, i32, UserId)")]
pub struct OrderChange {
    pub id: OrderId,
    pub version: i32,
    pub customer_id: UserId,
}

impl From<(OrderId, i32, UserId)> for OrderChange {
    fn from((id, version, customer_id): (OrderId, i32, UserId)) -> Self {
        Self { id, version, customer_id }
    }
}

impl From<OrderChange> for (OrderId, i32, UserId) {
    fn from(change: OrderChange) -> Self {
        (change.id, change.version, change.customer_id)
    }
}

/// A new edition of the menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuChange {
    pub edition: String,
    pub changed: Vec<RecipeChange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipeChange {
    pub id: RecipeId,
    /// False also if it is no longer on the menu.
    pub available: bool,
}

impl RecipeChange {
    pub fn of(recipe: &Recipe) -> Self {
        Self { id: recipe.id, available: recipe.available }
    }
}

impl ChangeSet {
    pub fn of_orders(orders: Vec<OrderChange>) -> Self {
        Self { orders, ..Self::default() }
    }

    pub fn of_access(accounts: Vec<UserId>) -> Self {
        Self { access: accounts, ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.menu.is_none() && self.access.is_empty()
    }
}
