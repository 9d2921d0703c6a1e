//! Recipes as people and programs write them down, in bodies and in files.

use super::{
    FieldError, Timestamp,
    ids::RecipeId,
    json_integer::JsonInteger,
    optional::Optional,
    priority,
    recipe::{Build, Ingredients, PreparationSeconds, Recipe, RecipeSpec},
    text::{Method, Name},
};
use deserr::{DeserializeError, Deserr, IntoValue, Value, ValuePointerRef};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

/// A drink for the menu.
#[derive(Debug, Clone, Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
#[schema(as = NewRecipe, examples(json!({
    "name": "Margarita", "build": "sour", "glass": "coupe", "garnish": "salt rim",
    "ingredients": [
        { "name": "tequila", "amount": 50, "unit": "ml" },
        { "name": "orange liqueur", "amount": 20, "unit": "ml" },
        { "name": "lime juice", "amount": 15, "unit": "ml" },
    ],
    "method": "Shake with ice and strain.", "preparation_seconds": 50,
})))]
pub struct RecipeDraft {
    /// The name, unique on the menu, whatever its case.
    name: Name,
    /// The way it is built.
    build: Build,
    /// The glass that it is served in.
    glass: Name,
    /// The ingredients.
    ingredients: Ingredients,
    /// The garnish.
    #[deserr(default)]
    #[schema(value_type = Option<Name>)]
    garnish: Optional<Name>,
    /// The method, in words.
    method: Method,
    /// The time that it takes, where that differs from its build's usual time.
    #[deserr(default)]
    #[schema(value_type = Option<PreparationSeconds>)]
    preparation_seconds: Optional<PreparationSeconds>,
    // The rest is what `GET` answers beside it, and what only the bar sets.
    #[deserr(default)]
    #[schema(ignore)]
    id: Optional<RecipeId>,
    #[deserr(default)]
    #[schema(ignore)]
    priority: Optional<JsonInteger>,
    #[deserr(default)]
    #[schema(ignore)]
    available: Optional<bool>,
    #[deserr(default)]
    #[schema(ignore)]
    created_at: Optional<Timestamp>,
    #[deserr(default)]
    #[schema(ignore)]
    updated_at: Optional<Timestamp>,
}

impl RecipeDraft {
    /// The recipe, and what the draft says beside it.
    pub fn into_parts(self) -> (RecipeSpec, ReadOnlyFields) {
        let Self { name, build, glass, ingredients, garnish, method, preparation_seconds, .. } = self;
        let (garnish, preparation_seconds) = (garnish.0, preparation_seconds.0);
        let read_only = ReadOnlyFields {
            id: self.id.0,
            priority: self.priority.0.map(|JsonInteger(priority)| priority),
            available: self.available.0,
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
        };
        (RecipeSpec { name, build, glass, ingredients, garnish, method, preparation_seconds }, read_only)
    }

    /// The recipe of a drink that is new, of which nothing else can be said yet.
    pub fn into_new(self) -> Result<RecipeSpec, Vec<FieldError>> {
        let (formula, read_only) = self.into_parts();
        let given = read_only.given();
        if given.is_empty() { Ok(formula) } else { Err(given) }
    }
}

/// A drink in the place of another. What `GET` answers is one, too: the fields that only the bar sets are ignored where they are
/// unchanged.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct RecipeReplacement(pub RecipeDraft);

impl<E: DeserializeError> Deserr<E> for RecipeReplacement {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, place: ValuePointerRef<'_>) -> Result<Self, E> {
        RecipeDraft::deserialize_from_value(value, place).map(Self)
    }
}

// The document's other half, the read-only fields, is taken from what `GET` answers where the document is put together.
impl PartialSchema for RecipeReplacement {
    fn schema() -> RefOr<Schema> {
        RecipeDraft::schema()
    }
}

impl ToSchema for RecipeReplacement {
    fn name() -> Cow<'static, str> {
        "RecipeReplacement".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        RecipeDraft::schemas(schemas);
    }
}

/// Fields of a recipe that only the bar sets, as a draft has them.
#[derive(Debug, Clone, Copy)]
pub struct ReadOnlyFields {
    id: Option<RecipeId>,
    priority: Option<i64>,
    available: Option<bool>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
}

impl ReadOnlyFields {
    /// Each field that is given.
    fn given(&self) -> Vec<FieldError> {
        let given = [
            ("id", self.id.is_some()),
            ("priority", self.priority.is_some()),
            ("available", self.available.is_some()),
            ("created_at", self.created_at.is_some()),
            ("updated_at", self.updated_at.is_some()),
        ];
        let given = given.into_iter().filter(|(_, is_given)| *is_given);
        given.map(|(field, _)| FieldError::new(field, "must be left out: the bar sets it")).collect()
    }

    /// Each field that is given and is not as the recipe has it.
    pub fn differing(&self, recipe: &Recipe) -> Vec<FieldError> {
        let priority = priority::priority(recipe.formula.seconds()).into();
        let available = "is changed by PUT /recipes/{id}/availability only";
        [
            differing("id", self.id, &recipe.id, None),
            differing("priority", self.priority, &priority, None),
            differing("available", self.available, &recipe.available, Some(available)),
            differing("created_at", self.created_at, &recipe.created_at, None),
            differing("updated_at", self.updated_at, &recipe.updated_at, None),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn differing<T: PartialEq + Serialize>(
    field: &str,
    given: Option<T>,
    present: &T,
    problem: Option<&str>,
) -> Option<FieldError> {
    given.filter(|given| given != present)?;
    let unchangeable = || {
        let present = serde_json::to_string(present).unwrap_or_default();
        format!("can't be changed: it is {present}")
    };
    Some(FieldError::new(field, problem.map_or_else(unchangeable, str::to_owned)))
}
