//! The response with the whole menu, which most clients ask for: made once for each edition of the menu.

use crate::http::{
    asset::Asset,
    extract::preconditions,
    offload::offload,
    problem::Problem,
    responses::{MenuView, RecipeView},
};
use crate::services::menu::Snapshot;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use tokio::sync::Mutex;

#[derive(Default)]
pub struct MenuPage {
    latest: ArcSwapOption<Edition>,
    /// Held by the request that makes the page; others wait for it.
    making: Mutex<()>,
}

/// The page of one edition of the menu.
pub struct Edition {
    of: Arc<Snapshot>,
    /// The entity tag, without quotes.
    pub tag: String,
    pub asset: Asset,
}

impl Edition {
    fn make(of: Arc<Snapshot>) -> Self {
        let recipes = of.recipes().iter().map(|recipe| RecipeView::from(recipe.as_ref())).collect();
        let json = serde_json::to_vec(&MenuView { recipes, next_cursor: None }).unwrap_or_default();
        Self { of, tag: preconditions::content_tag(&json), asset: Asset::of("application/json", json) }
    }
}

impl MenuPage {
    /// Returns the page of this menu.
    pub async fn of(&self, menu: Arc<Snapshot>) -> Result<Arc<Edition>, Problem> {
        if let Some(edition) = self.latest_of(&menu) {
            return Ok(edition);
        }
        let _turn = self.making.lock().await;
        if let Some(edition) = self.latest_of(&menu) {
            return Ok(edition);
        }
        let edition = Arc::new(offload(move || Edition::make(menu)).await?);
        self.latest.store(Some(edition.clone()));
        Ok(edition)
    }

    fn latest_of(&self, menu: &Arc<Snapshot>) -> Option<Arc<Edition>> {
        self.latest.load_full().filter(|edition| Arc::ptr_eq(&edition.of, menu))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn an_edition_is_made_once() {
        let (page, menu, other) = (MenuPage::default(), Arc::default(), Arc::default());
        let one = page.of(Arc::clone(&menu)).await.expect("made");
        let again = page.of(menu).await.expect("made");
        assert!(Arc::ptr_eq(&one, &again));
        assert!(!Arc::ptr_eq(&one, &page.of(other).await.expect("made")));
    }
}
