//! Who changed what.

use super::{
    Timestamp,
    ids::{EntryId, SubjectId, UserId},
    words,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{mem, str::FromStr};
use utoipa::ToSchema;
use uuid::Uuid;

words! {
    /// What kind of thing was changed.
    pub enum SubjectKind {
        /// Somebody's account.
        Account = "account",
        /// A drink on the menu.
        Recipe = "recipe",
        /// An order.
        Order = "order",
        /// An order that could not be stored.
        DeadLetter = "dead_letter",
    }
}

words! {
    /// What was done.
    pub enum Action {
        /// Somebody made themselves an account.
        AccountRegistered = "account_registered",
        /// An operator made an account, when filling the database.
        AccountSeeded = "account_seeded",
        /// An account may do other things than before.
        AccountRoleChanged = "account_role_changed",
        /// An account was switched on.
        AccountActivated = "account_activated",
        /// An account was switched off.
        AccountDeactivated = "account_deactivated",
        /// An account has another password.
        AccountPasswordChanged = "account_password_changed",
        /// A drink came onto the menu.
        RecipeAdded = "recipe_added",
        /// A recipe was written anew.
        RecipeReplaced = "recipe_replaced",
        /// A drink was marked as sold out, or back.
        RecipeAvailabilityChanged = "recipe_availability_changed",
        /// A drink went off the menu.
        RecipeArchived = "recipe_archived",
        /// An order was moved on, called off, or back.
        OrderMoved = "order_moved",
        /// The order of a dead letter was stored after all.
        DeadLetterReplayed = "dead_letter_replayed",
        /// A dead letter was given up.
        DeadLetterDiscarded = "dead_letter_discarded",
    }
}

impl Action {
    /// What it is done to.
    pub const fn subject_kind(self) -> SubjectKind {
        match self {
            Self::AccountRegistered
            | Self::AccountSeeded
            | Self::AccountRoleChanged
            | Self::AccountActivated
            | Self::AccountDeactivated
            | Self::AccountPasswordChanged => SubjectKind::Account,
            Self::RecipeAdded
            | Self::RecipeReplaced
            | Self::RecipeAvailabilityChanged
            | Self::RecipeArchived => SubjectKind::Recipe,
            Self::OrderMoved => SubjectKind::Order,
            Self::DeadLetterReplayed | Self::DeadLetterDiscarded => SubjectKind::DeadLetter,
        }
    }
}

/// Who acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// An operator at the command line, or the product itself.
    System,
    /// The holder of this account.
    Account(UserId),
}

impl Actor {
    /// The word for an operator.
    pub const SYSTEM: &str = "system";
}

impl FromStr for Actor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            Self::SYSTEM => Ok(Self::System),
            id => id
                .parse()
                .map(Self::Account)
                .map_err(|_| format!("must be the id of an account, or {}", Self::SYSTEM)),
        }
    }
}

/// One field that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Its name, as where the thing itself is read.
    field: String,
    /// What it was; null where there was nothing.
    #[schema(required)]
    before: Value,
    /// What it is; null where there is nothing any more.
    #[schema(required)]
    after: Value,
}

/// What is different, by name of the field. Never a password, a hash or a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Changes(Vec<Change>);

impl Changes {
    /// What an action changed that can't be told.
    pub const UNTOLD: Self = Self(Vec::new());

    /// The fields in which the two differ; a field that is missing counts as null.
    pub fn between(before: &impl Serialize, after: &impl Serialize) -> Self {
        let (mut before, after) = (fields(before), fields(after));
        let mut changes = Vec::new();
        for (field, after) in after {
            let before = before.get_mut(&field).map(mem::take).unwrap_or_default();
            changes.push(Change { field, before, after });
        }
        // What was taken above is null now.
        let gone = before.into_iter().map(|(field, before)| Change { field, before, after: Value::Null });
        changes.extend(gone);
        changes.retain(|change| change.before != change.after);
        Self(changes)
    }

    /// All fields of what is new.
    pub fn added(it: &impl Serialize) -> Self {
        Self::between(&(), it)
    }

    /// All fields of what is gone.
    pub fn removed(it: &impl Serialize) -> Self {
        Self::between(it, &())
    }

    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn into_list(self) -> Vec<Change> {
        self.0
    }
}

fn fields(it: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(it) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// Something that somebody changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub id: EntryId,
    /// When.
    pub at: Timestamp,
    /// Who: nobody for an operator at the command line.
    pub actor_id: Option<UserId>,
    /// What they did.
    pub action: Action,
    /// To which account, recipe, order or dead letter.
    pub subject_id: SubjectId,
    /// What is different since.
    pub changes: Changes,
    /// The request that asked for it.
    pub request_id: Option<String>,
}

impl Entry {
    /// Its place in the trail. An order makes one move at a time, so that its own id tells its moves apart from all others of a moment.
    pub fn place(&self) -> (Timestamp, Uuid) {
        let id = if self.action == Action::OrderMoved { self.subject_id.0 } else { self.id.0 };
        (self.at, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(changes: Changes) -> Value {
        serde_json::to_value(changes).unwrap()
    }

    #[test]
    fn only_what_differs_is_told() {
        let before = json!({ "name": "Negroni", "garnish": null, "glass": "rocks", "method": "Stir." });
        let after = json!({ "name": "Negroni", "garnish": "orange", "glass": null });
        assert_eq!(
            told(Changes::between(&before, &after)),
            json!([
                { "field": "garnish", "before": null, "after": "orange" },
                { "field": "glass", "before": "rocks", "after": null },
                { "field": "method", "before": "Stir.", "after": null },
            ])
        );
        assert!(Changes::between(&before, &before).is_empty());
    }

    #[test]
    fn what_is_new_was_nothing_and_what_is_gone_will_be_nothing() {
        let it = json!({ "role": "admin", "note": null });
        assert_eq!(told(Changes::added(&it)), json!([{ "field": "role", "before": null, "after": "admin" }]));
        assert_eq!(
            told(Changes::removed(&it)),
            json!([{ "field": "role", "before": "admin", "after": null }])
        );
    }

    #[test]
    fn an_actor_is_an_account_or_the_system() {
        let id = UserId::new_v7();
        assert_eq!(id.to_string().parse(), Ok(Actor::Account(id)));
        assert_eq!("system".parse(), Ok(Actor::System));
        assert!("System".parse::<Actor>().is_err() && "7".parse::<Actor>().is_err());
    }
}
