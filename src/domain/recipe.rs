//! Recipes: how a drink is made, and how long that takes.

use super::{
    Timestamp,
    ids::RecipeId,
    json_integer::JsonInteger,
    json_object::JsonObject,
    openapi_schema,
    text::{Method, Name, deserialize_stored},
    validation,
    version::EntityVersion,
    words,
};
use deserr::{DeserializeError, Deserr, IntoValue, Value, ValuePointerRef};
use serde::{Deserialize, Serialize};
use utoipa::{
    Number, PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ArrayBuilder, ObjectBuilder, Ref, Schema, Type},
    },
};

words! {
    /// How a drink is built, which says how long it takes.
    pub enum Build {
        /// Made in the glass it is served in.
        Built = "built",
        /// Lengthened in the glass with something sparkling.
        Collins = "collins",
        /// Stirred with ice and strained.
        Stirred = "stirred",
        /// Shaken without citrus, or blended.
        Shaken = "shaken",
        /// Shaken with citrus.
        Sour = "sour",
    }
}

impl Build {
    /// How long one drink takes unless its recipe says otherwise, in seconds.
    pub fn seconds(self) -> u16 {
        match self {
            Self::Built | Self::Collins => 15,
            Self::Stirred => 30,
            Self::Shaken => 45,
            Self::Sour => 60,
        }
    }
}

words! {
    /// What an ingredient is measured in.
    pub enum Unit {
        /// Millilitres.
        Millilitre = "ml",
        /// About 0.8 ml, from a dasher bottle.
        Dash = "dash",
        /// About 0.05 ml.
        Drop = "drop",
        /// About 5 ml.
        Barspoon = "barspoon",
        /// One whole, such as an egg white.
        Piece = "piece",
        /// A slice of fruit.
        Slice = "slice",
        /// A wedge of fruit.
        Wedge = "wedge",
        /// A leaf.
        Leaf = "leaf",
        /// A stem with leaves.
        Sprig = "sprig",
        /// A sugar cube.
        Cube = "cube",
        /// Between two fingers.
        Pinch = "pinch",
    }
}

/// How much of an ingredient, in its unit: more than 0, at most 1000.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Amount(f64);

impl Amount {
    /// The most.
    const MAX: f64 = 1000.0;
}

validation::whole!(Amount, validation::NUMBER);

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Number).description(Some("How much."));
        number.exclusive_minimum(Some(Number::UInt(0))).maximum(Some(Self::MAX)).into()
    }
}

impl ToSchema for Amount {}

impl TryFrom<f64> for Amount {
    type Error = &'static str;

    fn try_from(amount: f64) -> Result<Self, Self::Error> {
        if amount > 0.0 && amount <= Self::MAX {
            Ok(Self(amount))
        } else {
            Err("must be more than 0 and at most 1000")
        }
    }
}

impl From<Amount> for f64 {
    fn from(amount: Amount) -> f64 {
        amount.0
    }
}

/// One thing that goes into the glass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
pub struct Ingredient {
    /// What it is.
    pub name: Name,
    /// How much of it.
    pub amount: Amount,
    /// What the amount counts.
    pub unit: Unit,
}

/// Everything that goes into the glass: 1 to 20 ingredients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<JsonObject<Ingredient>>", into = "Vec<Ingredient>")]
pub struct Ingredients(Vec<Ingredient>);

impl Ingredients {
    /// The most.
    const MAX: usize = 20;

    /// Reads what was stored, perhaps under rules of an earlier release.
    pub fn from_stored(json: serde_json::Value) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Stored {
            #[serde(deserialize_with = "deserialize_stored")]
            name: Name,
            amount: Amount,
            unit: Unit,
        }
        let stored: Vec<Stored> = serde_json::from_value(json)?;
        let ingredient = |Stored { name, amount, unit }| Ingredient { name, amount, unit };
        Ok(Self(stored.into_iter().map(ingredient).collect()))
    }
}

impl PartialSchema for Ingredients {
    fn schema() -> RefOr<Schema> {
        let list = ArrayBuilder::new().description(Some("Everything that goes into the glass."));
        let each = Ref::from_schema_name(Ingredient::name());
        list.items(each).min_items(Some(1)).max_items(Some(Self::MAX)).into()
    }
}

impl ToSchema for Ingredients {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Ingredient::name().into(), Ingredient::schema()));
        Ingredient::schemas(schemas);
    }
}

impl TryFrom<Vec<JsonObject<Ingredient>>> for Ingredients {
    type Error = &'static str;

    fn try_from(ingredients: Vec<JsonObject<Ingredient>>) -> Result<Self, Self::Error> {
        if (1..=Self::MAX).contains(&ingredients.len()) {
            Ok(Self(ingredients.into_iter().map(|JsonObject(ingredient)| ingredient).collect()))
        } else {
            Err("must have 1 to 20 ingredients")
        }
    }
}

impl<E: DeserializeError> Deserr<E> for Ingredients {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, place: ValuePointerRef<'_>) -> Result<Self, E> {
        Self::try_from(Vec::deserialize_from_value(value, place)?)
            .map_err(|problem| validation::refusal::<E, V>(problem, place))
    }
}

impl From<Ingredients> for Vec<Ingredient> {
    fn from(ingredients: Ingredients) -> Self {
        ingredients.0
    }
}

/// How long one drink takes, in seconds: 1 to 600. The upper bound is also the longest that an order
/// can be overtaken for (see [`super::priority`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "JsonInteger", into = "i64")]
pub struct PreparationSeconds(u16);

validation::whole!(PreparationSeconds, validation::NUMBER);

openapi_schema::described!(PreparationSeconds: openapi_schema::whole("How long one drink takes, in seconds.", 1, usize::from(Self::MAX)));

impl PreparationSeconds {
    /// The longest.
    pub const MAX: u16 = 600;

    /// The number of seconds.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<JsonInteger> for PreparationSeconds {
    type Error = &'static str;

    fn try_from(JsonInteger(seconds): JsonInteger) -> Result<Self, Self::Error> {
        seconds.try_into()
    }
}

impl TryFrom<i64> for PreparationSeconds {
    type Error = &'static str;

    fn try_from(seconds: i64) -> Result<Self, Self::Error> {
        match u16::try_from(seconds) {
            Ok(seconds @ 1..=Self::MAX) => Ok(Self(seconds)),
            _ => Err("must be 1 to 600"),
        }
    }
}

impl From<PreparationSeconds> for i64 {
    fn from(seconds: PreparationSeconds) -> i64 {
        seconds.0.into()
    }
}

/// What a manager writes down about a drink.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecipeSpec {
    /// What guests call it; unique on the menu, whatever its case.
    pub name: Name,
    /// How it is built.
    pub build: Build,
    /// What it is served in.
    pub glass: Name,
    /// What goes in.
    pub ingredients: Ingredients,
    /// What goes on top.
    pub garnish: Option<Name>,
    /// How it is made, in words.
    pub method: Method,
    /// How long it takes, where that differs from its build's usual time.
    pub preparation_seconds: Option<PreparationSeconds>,
}

impl RecipeSpec {
    /// The names that it is found by: its own and those of its ingredients.
    pub fn searched_names(&self) -> impl Iterator<Item = &Name> {
        let ingredients = self.ingredients.0.iter().map(|ingredient| &ingredient.name);
        [&self.name].into_iter().chain(ingredients)
    }

    /// The same in the place of another: where that takes its build's usual time, as readers of it are told, so does this one.
    #[must_use]
    pub fn in_place_of(mut self, before: &Self) -> Self {
        let is_usual = before.preparation_seconds.is_none() && before.build == self.build;
        if is_usual && self.seconds() == before.seconds() {
            self.preparation_seconds = None;
        }
        self
    }

    /// How long one drink takes, in seconds.
    pub fn seconds(&self) -> u16 {
        self.preparation_seconds.map_or_else(|| self.build.seconds(), PreparationSeconds::get)
    }
}

/// A drink on the menu.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Its name for machines.
    pub id: RecipeId,
    /// What the bartender needs to know.
    pub formula: RecipeSpec,
    /// Whether it can be had now; false when it is sold out.
    pub available: bool,
    /// When it came onto the menu.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// How often, counted from 1.
    pub version: i32,
}

impl Recipe {
    /// The state that it is in.
    pub fn stamp(&self) -> EntityVersion {
        EntityVersion { id: self.id.0, version: self.version }
    }
}
