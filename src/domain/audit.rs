//! The audit trail of changes and their authors.

use super::{
    Timestamp,
    ids::{EntryId, SubjectId, UserId},
    openapi_schema::described,
    validation::via_serde,
    words::words,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::mem;
use utoipa::{
    ToSchema,
    openapi::schema::{AnyOfBuilder, ObjectBuilder, Ref, Type},
};
use uuid::Uuid;

words! {
    /// The kind of entity that was changed.
    pub enum SubjectKind {
        /// An account of any role.
        Account = "account",
        /// A recipe on the menu.
        Recipe = "recipe",
        /// An order, with its status.
        Order = "order",
        /// An accepted order that could not be recorded.
        DeadLetter = "dead_letter",
    }
}

words! {
    /// A change that the audit trail records.
    pub enum Action {
        /// A guest registered an account.
        AccountRegistered = "account_registered",
        /// An operator created the account with `seed`.
        AccountSeeded = "account_seeded",
        /// The role of an account changed.
        AccountRoleChanged = "account_role_changed",
        /// An admin activated the account.
        AccountActivated = "account_activated",
        /// An admin deactivated the account.
        AccountDeactivated = "account_deactivated",
        /// The password of an account changed.
        AccountPasswordChanged = "account_password_changed",
        /// A recipe was added to the menu.
        RecipeAdded = "recipe_added",
        /// The recipe was replaced by another version.
        RecipeReplaced = "recipe_replaced",
        /// The recipe was marked as sold out or available.
        RecipeAvailabilityChanged = "recipe_availability_changed",
        /// The recipe was removed from the menu.
        RecipeArchived = "recipe_archived",
        /// The status of an order changed.
        OrderMoved = "order_moved",
        /// The order of a dead letter was recorded after all.
        DeadLetterReplayed = "dead_letter_replayed",
        /// The dead letter was discarded.
        DeadLetterDiscarded = "dead_letter_discarded",
    }
}

impl Action {
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

/// The author of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Actor {
    /// An operator at the command line, or ShakerQueue itself.
    System,
    Account(UserId),
}

impl Actor {
    /// The word for [`System`](Self::System).
    const SYSTEM: &str = "system";
}

via_serde!(Actor);

described!(Actor: {
    // The title is the name that generators of clients give it.
    let operator = ObjectBuilder::new().schema_type(Type::String).title(Some("Operator"));
    let operator = operator.enum_values(Some([Self::SYSTEM]));
    AnyOfBuilder::new().item(Ref::from_schema_name(UserId::name())).item(operator).into()
});

impl TryFrom<String> for Actor {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            Self::SYSTEM => Ok(Self::System),
            id => id
                .parse()
                .map(Self::Account)
                .map_err(|_| format!("must be the id of an account, or {}", Self::SYSTEM)),
        }
    }
}

/// A field that an action changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// The name of the field in the entity's own JSON.
    field: String,
    /// The old value; null if there was none.
    #[schema(required)]
    before: Value,
    /// The new value; null if there is none.
    #[schema(required)]
    after: Value,
}

/// The fields that an action changed, sorted by name. Never a password, a hash or a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Changes(Vec<Change>);

impl Changes {
    /// For changes that must stay secret.
    pub const UNTOLD: Self = Self(Vec::new());

    /// The fields in which two values differ. A missing field counts as null.
    pub fn between(before: &impl Serialize, after: &impl Serialize) -> Self {
        let (mut before, after) = (fields(before), fields(after));
        let mut changes = Vec::new();
        for (field, after) in after {
            let before = before.get_mut(&field).map(mem::take).unwrap_or_default();
            changes.push(Change { field, before, after });
        }
        // The loop above left null in the fields that it took.
        let removed = before.into_iter().map(|(field, before)| Change { field, before, after: Value::Null });
        changes.extend(removed);
        changes.retain(|change| change.before != change.after);
        Self(changes)
    }

    pub fn added(entity: &impl Serialize) -> Self {
        Self::between(&(), entity)
    }

    pub fn removed(entity: &impl Serialize) -> Self {
        Self::between(entity, &())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_list(self) -> Vec<Change> {
        self.0
    }
}

fn fields(entity: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(entity) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// An entry of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: EntryId,
    pub at: Timestamp,
    /// None for an operator at the command line.
    pub actor_id: Option<UserId>,
    pub action: Action,
    pub subject_id: SubjectId,
    pub changes: Changes,
    pub request_id: Option<String>,
}

impl Entry {
    /// The key by which entries are sorted and pages continue. An order has one transition at a time, so its own id tells those of
    /// one microsecond apart.
    pub fn page_key(&self) -> (Timestamp, Uuid) {
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
        assert_eq!(Actor::try_from(id.to_string()), Ok(Actor::Account(id)));
        assert_eq!(Actor::try_from("system".to_owned()), Ok(Actor::System));
        assert!(["System", "7"].into_iter().all(|text| Actor::try_from(text.to_owned()).is_err()));
    }
}
