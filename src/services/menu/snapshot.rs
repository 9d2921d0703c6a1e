//! An immutable copy of the menu, indexed for searching.

use crate::domain::{
    ids::RecipeId,
    recipe::Recipe,
    text::{
        Name,
        name_search::{LooseWords, nearest},
        search::{SearchPattern, SearchableName},
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

#[derive(Debug, Default)]
pub struct Snapshot {
    pub(super) edition: Option<String>,
    recipes: Vec<Arc<Recipe>>,
    by_id: HashMap<RecipeId, Arc<Recipe>>,
    by_name: HashMap<String, Arc<Recipe>>,
    /// Recipes by loose key; rarely more than one per key.
    by_loose_key: BTreeMap<String, Vec<Arc<Recipe>>>,
    /// Folded once, because folding takes longer than searching: for each recipe its name as spoken, and its
    /// searchable names. Most ingredients are in many recipes.
    spoken: Vec<LooseWords>,
    searchable: Vec<Vec<Arc<SearchableName>>>,
}

impl Snapshot {
    pub(super) fn new(edition: String, recipes: Vec<(String, Recipe)>) -> Self {
        let mut menu = Self { edition: Some(edition), ..Self::default() };
        let mut names = HashMap::new();
        for (key, recipe) in recipes {
            let recipe = Arc::new(recipe);
            menu.by_id.insert(recipe.id, Arc::clone(&recipe));
            menu.by_name.insert(key, Arc::clone(&recipe));
            let name = recipe.spec.name.as_str();
            if let Some(key) = Name::loose_key_of(name) {
                menu.by_loose_key.entry(key).or_default().push(Arc::clone(&recipe));
            }
            menu.spoken.push(LooseWords::spoken(name));
            menu.searchable.push(searchable(&recipe, &mut names));
            menu.recipes.push(recipe);
        }
        menu
    }

    /// All recipes on the menu, sorted by name.
    pub fn recipes(&self) -> &[Arc<Recipe>] {
        &self.recipes
    }

    /// Returns the recipes of which the name or an ingredient matches, or all of them, sorted by name.
    pub fn search(&self, search: Option<&SearchPattern>) -> impl Iterator<Item = &Arc<Recipe>> {
        let fits = move |names: &[Arc<SearchableName>]| {
            search.is_none_or(|search| names.iter().any(|name| search.is_in_name(name)))
        };
        self.recipes
            .iter()
            .zip(&self.searchable)
            .filter(move |(_, names)| fits(names))
            .map(|(recipe, _)| recipe)
    }

    /// Finds a recipe by id or by name in any case; failing that, the only one whose name differs in accents,
    /// apostrophes, dashes or spaces.
    pub fn find(&self, id_or_name: &str) -> Option<&Arc<Recipe>> {
        self.find_exact(id_or_name).or_else(|| self.find_loose(id_or_name))
    }

    /// Finds a recipe by id or by name in any case.
    pub fn find_exact(&self, id_or_name: &str) -> Option<&Arc<Recipe>> {
        let by_id = id_or_name.parse().ok().and_then(|id| self.by_id.get(&id));
        by_id.or_else(|| self.by_name.get(&Name::key_of(id_or_name)))
    }

    pub(super) fn find_loose(&self, name: &str) -> Option<&Arc<Recipe>> {
        match self.by_loose_key.get(&Name::loose_key_of(name)?)?.as_slice() {
            [recipe] => Some(recipe),
            _ => None,
        }
    }

    /// Suggests names on the menu for an unknown name, best first; none for an id.
    pub fn suggestions(&self, id_or_name: &str) -> Vec<String> {
        if id_or_name.parse::<RecipeId>().is_ok() {
            return Vec::new();
        }
        let Some(wanted) = Name::spoken_words_of(id_or_name) else { return Vec::new() };
        let found = nearest(&wanted, self.spoken.iter().zip(&self.recipes));
        found.into_iter().map(|recipe| recipe.spec.name.as_str().to_owned()).collect()
    }
}

/// Collects the searchable names of a recipe, sharing those that an earlier recipe has.
fn searchable(recipe: &Recipe, known: &mut HashMap<String, Arc<SearchableName>>) -> Vec<Arc<SearchableName>> {
    let names = recipe.spec.searched_names().map(Name::as_str);
    let shared = names.map(|name| {
        let known = known.entry(name.to_owned()).or_insert_with(|| Arc::new(SearchableName::of(name)));
        Arc::clone(known)
    });
    shared.collect()
}
