//! Recipes: the ingredients of a drink, and the time that it takes.

use super::{
    Timestamp,
    bounded_integer::bounded_integer,
    ids::RecipeId,
    json::JsonObject,
    openapi_schema::described,
    text::{Method, Name, deserialize_stored},
    validation,
    version::EntityVersion,
    words::words,
};
use deserr::{DeserializeError, Deserr, IntoValue, Value, ValuePointerRef};
use serde::{Deserialize, Serialize};
use utoipa::{
    Number, ToSchema,
    openapi::schema::{ArrayBuilder, ObjectBuilder, Ref, Type},
};

words! {
    /// The method of building a drink, which determines its usual time.
    pub enum Build {
        /// Built in the glass in which it is served.
        Built = "built",
        /// Built in the glass and topped up with something sparkling.
        Collins = "collins",
        /// Stirred with ice and strained.
        Stirred = "stirred",
        /// Shaken without citrus, or blended.
        Shaken = "shaken",
        /// Shaken with ice and citrus.
        Sour = "sour",
    }
}

impl Build {
    /// The usual time for one drink.
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
    /// The unit of an ingredient's amount.
    pub enum Unit {
        /// Millilitres (ml): 0.001 litres.
        Millilitre = "ml",
        /// About 0.8 ml, from a dasher bottle.
        Dash = "dash",
        /// About 0.05 ml.
        Drop = "drop",
        /// About 5 ml.
        Barspoon = "barspoon",
        /// One whole, such as an egg white.
        Piece = "piece",
        /// One slice of a fruit.
        Slice = "slice",
        /// One wedge of a fruit.
        Wedge = "wedge",
        /// One leaf of a herb.
        Leaf = "leaf",
        /// One stem with its leaves.
        Sprig = "sprig",
        /// One cube, such as of sugar.
        Cube = "cube",
        /// As much as fits between two fingers.
        Pinch = "pinch",
    }
}

/// The amount of an ingredient in its unit: more than 0, at most 1000.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Amount(f64);

impl Amount {
    const MAX: f64 = 1000.0;
}

validation::via_serde!(Amount, validation::NUMBER);

described!(Amount: {
    let number = ObjectBuilder::new().schema_type(Type::Number).description(Some("The amount in the unit."));
    number.exclusive_minimum(Some(Number::UInt(0))).maximum(Some(Self::MAX)).into()
});

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

/// An ingredient of a recipe, with its amount.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
pub struct Ingredient {
    /// The name of the ingredient.
    pub name: Name,
    /// The amount in the unit.
    pub amount: Amount,
    /// The unit of the amount.
    pub unit: Unit,
}

/// The ingredients of a recipe: 1 to 20.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<JsonObject<Ingredient>>", into = "Vec<Ingredient>")]
pub struct Ingredients(Vec<Ingredient>);

impl Ingredients {
    const MAX: usize = 20;

    /// Reads stored ingredients, which an earlier release may have accepted by other rules.
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

described!(Ingredients, with Ingredient: {
    let list = ArrayBuilder::new().description(Some("The ingredients of the recipe."));
    let each = Ref::from_schema_name(Ingredient::name());
    list.items(each).min_items(Some(1)).max_items(Some(Self::MAX)).into()
});

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
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, path: ValuePointerRef<'_>) -> Result<Self, E> {
        Self::try_from(Vec::deserialize_from_value(value, path)?)
            .map_err(|problem| validation::value_error::<E, V>(problem, path))
    }
}

impl From<Ingredients> for Vec<Ingredient> {
    fn from(ingredients: Ingredients) -> Self {
        ingredients.0
    }
}

// The limit is also the longest time in which an order can be overtaken (see [`super::priority`]).
bounded_integer! {
    /// The time for making one drink, in seconds.
    PreparationSeconds(u16), max 600
}

/// The part of a recipe that staff write.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecipeSpec {
    /// Unique on the menu, whatever its case.
    pub name: Name,
    pub build: Build,
    pub glass: Name,
    pub ingredients: Ingredients,
    pub garnish: Option<Name>,
    pub method: Method,
    /// None if it takes the usual time of its build.
    pub preparation_seconds: Option<PreparationSeconds>,
}

impl RecipeSpec {
    /// The names that searches look at: its own and those of its ingredients.
    pub fn searched_names(&self) -> impl Iterator<Item = &Name> {
        let ingredients = self.ingredients.0.iter().map(|ingredient| &ingredient.name);
        [&self.name].into_iter().chain(ingredients)
    }

    /// Keeps the preparation time unset if `before` has the usual time and this one repeats it, as clients do that send back what
    /// they read.
    #[must_use]
    pub fn in_place_of(mut self, before: &Self) -> Self {
        let is_usual = before.preparation_seconds.is_none() && before.build == self.build;
        if is_usual && self.seconds() == before.seconds() {
            self.preparation_seconds = None;
        }
        self
    }

    pub fn seconds(&self) -> u16 {
        self.preparation_seconds.map_or_else(|| self.build.seconds(), PreparationSeconds::get)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    pub id: RecipeId,
    pub spec: RecipeSpec,
    /// False while it is sold out.
    pub available: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Counted from 1, up with each change.
    pub version: i32,
}

impl Recipe {
    pub fn entity_version(&self) -> EntityVersion {
        EntityVersion { id: self.id.0, version: self.version }
    }
}
