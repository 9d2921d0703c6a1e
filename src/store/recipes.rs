use super::{Conn, Error, Result, Unique, on, on_locked, schema::recipes};
use crate::domain::{
    Timestamp,
    ids::RecipeId,
    recipe::{Build, Ingredients, PreparationSeconds, Recipe, RecipeSpec},
    text::{Method, Name},
};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

/// The columns that a manager writes.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = recipes, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
struct SpecRow {
    name: Name,
    build: Build,
    glass: Name,
    ingredients: Ingredients,
    garnish: Option<Name>,
    method: Method,
    preparation_seconds: Option<PreparationSeconds>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = recipes, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
struct RecipeRow {
    id: RecipeId,
    #[diesel(embed)]
    spec: SpecRow,
    available: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: i32,
}

impl From<RecipeRow> for Recipe {
    fn from(row: RecipeRow) -> Self {
        let RecipeRow { id, spec, available, created_at, updated_at, version } = row;
        let SpecRow { name, build, glass, ingredients, garnish, method, preparation_seconds } = spec;
        let spec = RecipeSpec { name, build, glass, ingredients, garnish, method, preparation_seconds };
        Self { id, spec, available, created_at, updated_at, version }
    }
}

impl From<RecipeSpec> for SpecRow {
    fn from(spec: RecipeSpec) -> Self {
        let RecipeSpec { name, build, glass, ingredients, garnish, method, preparation_seconds } = spec;
        Self { name, build, glass, ingredients, garnish, method, preparation_seconds }
    }
}

/// Adds a recipe. Fails with [`Unique::RecipeName`] if its name is on the menu.
pub async fn add(conn: &mut Conn, recipe: &Recipe) -> Result<()> {
    if add_if_missing(conn, recipe).await? { Ok(()) } else { Err(Error::Taken(Unique::RecipeName)) }
}

/// Adds a recipe unless its name is on the menu. Returns whether it was added.
pub async fn add_if_missing(conn: &mut Conn, recipe: &Recipe) -> Result<bool> {
    let Recipe { id, spec, available, created_at, updated_at, .. } = recipe.clone();
    let row = (
        recipes::id.eq(id),
        recipes::name_key.eq(spec.name.key()),
        SpecRow::from(spec),
        recipes::available.eq(available),
        recipes::created_at.eq(created_at),
        recipes::updated_at.eq(updated_at),
    );
    Ok(on!(conn, c => diesel::insert_into(recipes::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c))?
        == 1)
}

/// Finds a recipe on the menu, and locks it until the transaction ends.
pub async fn lock(conn: &mut Conn, id: RecipeId) -> Result<Option<Recipe>> {
    let recipe = recipes::table.find(id).filter(recipes::archived_at.is_null());
    let found: Option<RecipeRow> =
        on_locked!(conn, recipe.select(RecipeRow::as_select()), [for_no_key_update], first).optional()?;
    Ok(found.map(Recipe::from))
}

/// Finds every recipe that has this name in any case, or had it when it was archived.
pub async fn called(conn: &mut Conn, name: &Name) -> Result<Vec<RecipeId>> {
    Ok(on!(conn, c => recipes::table.filter(recipes::name_key.eq(name.key())).select(recipes::id).load(c))?)
}

/// Replaces a recipe. Returns `None` if it is not on the menu.
pub async fn replace(
    conn: &mut Conn,
    id: RecipeId,
    spec: &RecipeSpec,
    at: Timestamp,
) -> Result<Option<Recipe>> {
    let change = (
        SpecRow::from(spec.clone()),
        recipes::name_key.eq(spec.name.key()),
        recipes::updated_at.eq(at),
        recipes::version.eq(recipes::version + 1),
    );
    let changed: Option<RecipeRow> =
        on!(conn, c => diesel::update(recipes::table.find(id).filter(recipes::archived_at.is_null()))
        .set(change)
        .returning(RecipeRow::as_returning())
        .get_result(c))
        .optional()?;
    Ok(changed.map(Recipe::from))
}

/// Marks a recipe as available or sold out. Returns `None` if it is not on the menu.
pub async fn set_available(
    conn: &mut Conn,
    id: RecipeId,
    available: bool,
    at: Timestamp,
) -> Result<Option<Recipe>> {
    let changed: Option<RecipeRow> =
        on!(conn, c => diesel::update(recipes::table.find(id).filter(recipes::archived_at.is_null()))
        .set((recipes::available.eq(available), recipes::updated_at.eq(at), recipes::version.eq(recipes::version + 1)))
        .returning(RecipeRow::as_returning())
        .get_result(c))
        .optional()?;
    Ok(changed.map(Recipe::from))
}

/// Takes a recipe off the menu; its orders keep it. Returns false if it is not on the menu.
pub async fn archive(conn: &mut Conn, id: RecipeId, at: Timestamp) -> Result<bool> {
    Ok(on!(conn, c => diesel::update(recipes::table.find(id).filter(recipes::archived_at.is_null()))
        .set((recipes::archived_at.eq(at), recipes::updated_at.eq(at)))
        .execute(c))?
        == 1)
}

/// Loads all recipes on the menu, sorted by name.
pub async fn menu(conn: &mut Conn) -> Result<Vec<Recipe>> {
    Ok(menu_with_keys(conn).await?.into_iter().map(|(_, recipe)| recipe).collect())
}

/// Loads all recipes on the menu, sorted by name, with their lookup keys.
pub async fn menu_with_keys(conn: &mut Conn) -> Result<Vec<(String, Recipe)>> {
    let rows: Vec<(String, RecipeRow)> = on!(conn, c => recipes::table
        .filter(recipes::archived_at.is_null())
        .select((recipes::name_key, RecipeRow::as_select()))
        .order(recipes::name_key)
        .load(c))?;
    Ok(rows.into_iter().map(|(key, row)| (key, row.into())).collect())
}
