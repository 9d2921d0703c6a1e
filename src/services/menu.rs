//! The menu: cached in memory for placing orders, and refreshed while others change it.

mod snapshot;

pub use snapshot::Snapshot;

use crate::{
    domain::{
        FieldError,
        audit::{Action, Changes},
        change_set::{ChangeSet, MenuChange, RecipeChange},
        ids::{RecipeId, UserId},
        now,
        recipe::{Recipe, RecipeSpec},
        recipe_draft::RecipeDraft,
        text::Name,
        version::{EntityVersion, Precondition},
    },
    services::{
        DatabaseError, audit,
        idempotency::{IdempotencyOutcome, IdempotentRequest, once},
    },
    store::{self, Conn, Store, Unique, Work, changes, recipes, settings, transaction_error},
};
use arc_swap::ArcSwap;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// Delay until a change that the feed does not have is visible here.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5);

/// Name of the setting that counts changes.
const EDITION: &str = "menu_edition";

#[derive(Debug, thiserror::Error)]
pub enum MenuError {
    #[error("no such recipe")]
    Unknown,
    #[error("the name is on the menu already")]
    NameTaken,
    /// The precondition does not hold; contains the current version.
    #[error("the recipe has changed")]
    Outdated(EntityVersion),
    #[error("{}", .0.iter().map(FieldError::to_string).collect::<Vec<_>>().join("; "))]
    ReadOnly(Vec<FieldError>),
    #[error(transparent)]
    Store(store::Error),
}

impl From<store::Error> for MenuError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Taken(Unique::RecipeName) => Self::NameTaken,
            error => Self::Store(error),
        }
    }
}

transaction_error!(MenuError);

#[derive(Clone)]
pub struct Menu {
    store: Store,
    current: Arc<ArcSwap<Snapshot>>,
    /// Serializes refreshes, so that none replaces a newer menu with an older one.
    refreshing: Arc<Mutex<()>>,
}

impl Menu {
    pub async fn load(store: Store) -> store::Result<Self> {
        let menu = Self { store, current: Arc::default(), refreshing: Arc::default() };
        menu.refresh().await?;
        Ok(menu)
    }

    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Refreshes the menu until `stop`, besides the feed: for changes by programs of earlier versions, which
    /// don't write to it. While the database is unavailable the menu stays as it is.
    pub async fn keep_fresh(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(REFRESH_INTERVAL)).await.is_some() {
            if let Err(error) = self.refresh().await {
                tracing::debug!(%error, "failed to refresh the menu");
            }
        }
    }

    /// Reloads the menu if it has changed.
    pub async fn refresh(&self) -> store::Result<()> {
        let _turn = self.refreshing.lock().await;
        let known = self.current().edition.clone();
        let changed = self
            .store
            .read(async move |conn| {
                // The edition first: the next refresh sees a change between the two reads.
                let edition = settings::get(conn, EDITION).await?;
                if edition.is_some() && edition == known {
                    return Ok(None);
                }
                Ok(Some(Snapshot::new(edition.unwrap_or_default(), recipes::menu_with_keys(conn).await?)))
            })
            .await?;
        if let Some(snapshot) = changed {
            self.current.store(Arc::new(snapshot));
        }
        Ok(())
    }

    /// Commits a change and refreshes this process's menu. `changed` returns what it changed.
    async fn change<T: Send + 'static>(
        &self,
        changed: impl Fn(&T) -> Vec<RecipeChange> + Clone + Send + 'static,
        change: impl for<'c> Work<&'c mut Conn, Result<T, MenuError>, Future: Send> + Clone + Send + 'static,
    ) -> Result<T, MenuError> {
        let value = self
            .store
            .transaction(async move |conn| {
                settings::count_up(conn, EDITION).await?;
                let value = change(conn).await?;
                note_change(conn, changed(&value)).await?;
                Ok::<_, MenuError>(value)
            })
            .await?;
        // The change is committed even if this fails; the feed brings about another refresh.
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "failed to refresh the menu");
        }
        Ok(value)
    }

    /// Finds the recipes that have this name in any case, or had it when they were archived; if there are
    /// none, those with the name that a loose search on the menu finds.
    pub async fn called(&self, name: Name) -> Result<Vec<RecipeId>, DatabaseError> {
        let loose = self.current().find_loose(name.as_str()).map(|recipe| recipe.spec.name.clone());
        let read = self.store.read(async move |conn| {
            let exact = recipes::called(conn, &name).await?;
            match loose {
                Some(name) if exact.is_empty() => recipes::called(conn, &name).await,
                _ => Ok(exact),
            }
        });
        Ok(read.await?)
    }

    /// Adds a recipe, once per key.
    pub async fn add(
        &self,
        by: UserId,
        spec: RecipeSpec,
        key: Option<IdempotentRequest<Recipe>>,
    ) -> Result<IdempotencyOutcome<Recipe>, MenuError> {
        let recipe = new_recipe(spec);
        let affected = |outcome: &IdempotencyOutcome<Recipe>| match outcome {
            IdempotencyOutcome::Executed(recipe) => vec![RecipeChange::of(recipe)],
            _ => Vec::new(),
        };
        self.change(affected, async move |conn| {
            once(conn, key, async move |conn| {
                recipes::add(conn, &recipe).await?;
                let changes = Changes::added(&recipe.spec);
                audit::record(conn, by, Action::RecipeAdded, recipe.id, changes).await?;
                Ok(recipe)
            })
            .await
        })
        .await
    }

    /// Adds the recipes whose names are not on the menu, all or none, for an operator. Returns their number.
    pub async fn add_missing(&self, specs: Vec<RecipeSpec>) -> store::Result<usize> {
        let added = self
            .store
            .write(async move |conn| {
                let mut added = Vec::new();
                for spec in specs {
                    let recipe = new_recipe(spec);
                    if recipes::add_if_missing(conn, &recipe).await? {
                        let changes = Changes::added(&recipe.spec);
                        audit::record(conn, None, Action::RecipeAdded, recipe.id, changes).await?;
                        added.push(RecipeChange::of(&recipe));
                    }
                }
                let count = added.len();
                if count > 0 {
                    settings::count_up(conn, EDITION).await?;
                    note_change(conn, added).await?;
                }
                Ok(count)
            })
            .await?;
        self.refresh().await?;
        Ok(added)
    }

    pub async fn replace(
        &self,
        by: UserId,
        id: RecipeId,
        draft: RecipeDraft,
        condition: Precondition,
    ) -> Result<Recipe, MenuError> {
        let (spec, read_only) = draft.into_parts();
        let affected = |after: &Recipe| vec![RecipeChange::of(after)];
        self.change_one(id, condition, affected, async move |(conn, before): (&mut Conn, Recipe)| {
            let differing = read_only.differing(&before);
            if !differing.is_empty() {
                return Err(MenuError::ReadOnly(differing));
            }
            let spec = spec.in_place_of(&before.spec);
            let after = recipes::replace(conn, id, &spec, now()).await?;
            let changes = Changes::between(&before.spec, &spec);
            audit::record_if_changed(conn, by, Action::RecipeReplaced, id, changes).await?;
            after.ok_or(MenuError::Unknown)
        })
        .await
    }

    pub async fn set_available(
        &self,
        by: UserId,
        id: RecipeId,
        available: bool,
        condition: Precondition,
    ) -> Result<Recipe, MenuError> {
        let affected = |after: &Recipe| vec![RecipeChange::of(after)];
        self.change_one(id, condition, affected, async move |(conn, before): (&mut Conn, Recipe)| {
            let after = recipes::set_available(conn, id, available, now()).await?;
            let said = |available: bool| json!({ "available": available });
            let changes = Changes::between(&said(before.available), &said(available));
            audit::record_if_changed(conn, by, Action::RecipeAvailabilityChanged, id, changes).await?;
            after.ok_or(MenuError::Unknown)
        })
        .await
    }

    pub async fn archive(&self, by: UserId, id: RecipeId, condition: Precondition) -> Result<(), MenuError> {
        let affected = move |(): &()| vec![RecipeChange { id, available: false }];
        self.change_one(id, condition, affected, async move |(conn, before): (&mut Conn, Recipe)| {
            let changes = Changes::removed(&before.spec);
            audit::record(conn, by, Action::RecipeArchived, id, changes).await?;
            recipes::archive(conn, id, now()).await?.then_some(()).ok_or(MenuError::Unknown)
        })
        .await
    }

    /// Changes a recipe that fulfils the precondition, and locks it meanwhile.
    async fn change_one<T: Send + 'static>(
        &self,
        id: RecipeId,
        condition: Precondition,
        changed: impl Fn(&T) -> Vec<RecipeChange> + Clone + Send + 'static,
        change: impl for<'c> Work<(&'c mut Conn, Recipe), Result<T, MenuError>, Future: Send>
        + Clone
        + Send
        + 'static,
    ) -> Result<T, MenuError> {
        self.change(changed, async move |conn| match recipes::lock(conn, id).await? {
            None => Err(MenuError::Unknown),
            Some(recipe) if !condition.allows(recipe.entity_version()) => {
                Err(MenuError::Outdated(recipe.entity_version()))
            }
            Some(recipe) => change((conn, recipe)).await,
        })
        .await
    }
}

/// Adds changed recipes to the feed, with the edition that the transaction makes. Belongs in it.
async fn note_change(conn: &mut Conn, changed: Vec<RecipeChange>) -> store::Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    let edition = settings::get(conn, EDITION).await?.unwrap_or_default();
    let what = ChangeSet { menu: Some(MenuChange { edition, changed }), ..ChangeSet::default() };
    changes::append(conn, &what, now()).await
}

fn new_recipe(spec: RecipeSpec) -> Recipe {
    let created_at = now();
    Recipe { id: RecipeId::new_v7(), spec, available: true, created_at, updated_at: created_at, version: 1 }
}
