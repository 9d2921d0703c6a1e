use crate::support::{Bar, DatabaseKind, PostgreSql, Sqlite, person::id};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rstest::rstest;
use serde_json::{Value, json};
use std::collections::HashSet;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_reads_the_whole_menu(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let menu = bar.stranger().get("/recipes").await.expect(200);
    let recipes = menu["recipes"].as_array().unwrap();
    assert!(recipes.len() >= 60, "{} recipes", recipes.len());
    assert_eq!(menu["next_cursor"], Value::Null);
    let (mut names, mut ids) = (Vec::new(), HashSet::new());
    for recipe in recipes {
        is_whole(recipe);
        names.push(recipe["name"].as_str().unwrap().to_lowercase());
        ids.insert(id(recipe));
    }
    assert!(names.is_sorted_by(|one, next| one < next), "by name, each once: {names:?}");
    assert_eq!(ids.len(), recipes.len());
    assert!(names.contains(&"margarita".into()));
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drink_is_found_by_id_and_by_name_whatever_its_case(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let guest = bar.stranger();
    let menu = guest.get("/recipes").await.expect(200);
    for recipe in menu["recipes"].as_array().unwrap() {
        let name = recipe["name"].as_str().unwrap();
        for key in [
            id(recipe),
            &id(recipe).to_uppercase(),
            name,
            &name.to_lowercase(),
            &name.to_uppercase(),
            &format!(" {name} "),
        ] {
            let path = format!("/recipes/{}", utf8_percent_encode(key, NON_ALPHANUMERIC));
            assert_eq!(&guest.get(&path).await.expect(200), recipe, "{path}");
        }
    }
    let names: Vec<_> =
        menu["recipes"].as_array().unwrap().iter().map(|recipe| recipe["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"Piña Colada"), "the hardest name is there");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drinks_are_ordered_by_name_whatever_its_case(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let guest = bar.guest().await;
    for name in ["PIÑA COLADA", "piña colada", "Piña Colada"] {
        assert_eq!(guest.order(name).await["items"][0]["recipe"]["name"], "Piña Colada");
    }
    bar.close().await;
}

/// Asserts that a recipe has all fields of the contract, with their types.
fn is_whole(recipe: &Value) {
    for field in ["id", "name", "glass", "method", "created_at", "updated_at"] {
        assert!(recipe[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {recipe}");
    }
    assert!(
        ["built", "collins", "stirred", "shaken", "sour"].contains(&recipe["build"].as_str().unwrap()),
        "{recipe}"
    );
    assert!(recipe["garnish"].is_string() || recipe["garnish"].is_null(), "{recipe}");
    assert!((1..=600).contains(&recipe["preparation_seconds"].as_u64().unwrap()), "{recipe}");
    assert!((1..=4).contains(&recipe["priority"].as_u64().unwrap()), "{recipe}");
    assert_eq!(recipe["available"], json!(true), "{recipe}");
    let ingredients = recipe["ingredients"].as_array().unwrap();
    assert!((1..=20).contains(&ingredients.len()), "{recipe}");
    for ingredient in ingredients {
        assert!(ingredient["name"].is_string() && ingredient["unit"].is_string(), "{recipe}");
        assert!(ingredient["amount"].as_f64().unwrap() > 0.0, "{recipe}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drink_takes_as_long_as_its_build_unless_it_says_otherwise() {
    let bar = Bar::open(Sqlite).await;
    let bartender = bar.employee().await;
    for (build, own, seconds, priority) in [
        ("collins", Value::Null, 15, 1),
        ("built", Value::Null, 15, 1),
        ("stirred", Value::Null, 30, 2),
        ("shaken", Value::Null, 45, 3),
        ("sour", Value::Null, 60, 4),
        ("built", json!(600), 600, 4),
        ("sour", json!(1), 1, 1),
    ] {
        let mut water = super::water_with("build", json!(build));
        water["preparation_seconds"] = own;
        let recipe = bartender.post("/recipes", water).await.expect(201);
        let taken = (&recipe["preparation_seconds"], &recipe["priority"]);
        assert_eq!(taken, (&json!(seconds), &json!(priority)), "{build}");
        bartender.delete(&format!("/recipes/{}", id(&recipe))).await.expect(204);
    }
    bar.close().await;
}
