//! Recipes as clients and menu files write them.

use super::{
    FieldError, Timestamp,
    ids::RecipeId,
    json::{JsonInteger, Optional},
    openapi_schema::described,
    priority,
    recipe::{Build, Ingredients, PreparationSeconds, Recipe, RecipeSpec},
    text::{Method, Name},
};
use deserr::Deserr;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// A new recipe for the menu.
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
    /// The method of building the drink.
    build: Build,
    /// The glass in which it is served.
    glass: Name,
    /// The ingredients of the drink.
    ingredients: Ingredients,
    /// The garnish of the drink.
    #[deserr(default)]
    #[schema(value_type = Option<Name>)]
    garnish: Optional<Name>,
    /// The instructions for making the drink.
    method: Method,
    /// The time for one drink in seconds, if it differs from the usual time of its build.
    #[deserr(default)]
    #[schema(value_type = Option<PreparationSeconds>)]
    preparation_seconds: Optional<PreparationSeconds>,
    // Read-only fields: `GET` returns them, and clients send them back.
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
    pub fn into_parts(self) -> (RecipeSpec, ReadOnlyFields) {
        let Self { name, build, glass, ingredients, garnish, method, preparation_seconds, .. } = self;
        let (garnish, preparation_seconds) = (garnish.0, preparation_seconds.0);
        let read_only = ReadOnlyFields([
            ("id", json!(self.id)),
            ("priority", json!(self.priority.0.map(|JsonInteger(priority)| priority))),
            ("available", json!(self.available)),
            ("created_at", json!(self.created_at)),
            ("updated_at", json!(self.updated_at)),
        ]);
        (RecipeSpec { name, build, glass, ingredients, garnish, method, preparation_seconds }, read_only)
    }

    /// Refuses read-only fields, which a new recipe can't have.
    pub fn into_new(self) -> Result<RecipeSpec, Vec<FieldError>> {
        let (spec, read_only) = self.into_parts();
        let given = read_only.given();
        if given.is_empty() { Ok(spec) } else { Err(given) }
    }
}

/// The schema of a recipe that replaces another. The response of `GET` is valid as well: read-only fields are ignored if they are
/// unchanged. The document gets them from the schema of that response.
pub struct RecipeReplacement;

described!(RecipeReplacement: RecipeDraft::schema());

/// The read-only fields of a draft, by name. Null if they are absent.
#[derive(Debug, Clone)]
pub struct ReadOnlyFields([(&'static str, Value); 5]);

impl ReadOnlyFields {
    /// An error for each field that is given.
    fn given(&self) -> Vec<FieldError> {
        let given = self.0.iter().filter(|(_, value)| !value.is_null());
        given.map(|(field, _)| FieldError::new(*field, "must be left out: it is read-only")).collect()
    }

    /// An error for each field that is given and differs from the recipe.
    pub fn differing(&self, recipe: &Recipe) -> Vec<FieldError> {
        let present = [
            json!(recipe.id),
            json!(priority::priority(recipe.spec.seconds())),
            json!(recipe.available),
            json!(recipe.created_at),
            json!(recipe.updated_at),
        ];
        let fields = self.0.iter().zip(present);
        let differing = fields.filter(|((_, value), present)| !value.is_null() && value != present);
        differing
            .map(|((field, _), present)| {
                let problem = match *field {
                    "available" => "must be changed by PUT /recipes/{id}/availability".to_owned(),
                    _ => format!("must be left out or be {present}: it is read-only"),
                };
                FieldError::new(*field, problem)
            })
            .collect()
    }
}
