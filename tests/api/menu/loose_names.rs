//! Drinks ordered in another spelling than the menu's: accepted if it is unambiguous, else suggested.

use super::water_with;
use crate::support::{Bar, DatabaseKind, Person, PostgreSql, Sqlite, person::id};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rstest::rstest;
use serde_json::{Value, json};

fn recipe(name: &str) -> Value {
    water_with("name", json!(name))
}

fn path(name: &str) -> String {
    format!("/recipes/{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

/// Returns the names that a search of the menu finds.
async fn found(who: &Person, search: &str) -> Vec<String> {
    let search = utf8_percent_encode(search, NON_ALPHANUMERIC);
    let menu = who.get(&format!("/recipes?q={search}")).await.expect(200);
    let names = menu["recipes"].as_array().unwrap().iter();
    names.map(|recipe| recipe["name"].as_str().unwrap().to_owned()).collect()
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drink_is_found_as_a_phone_writes_it(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (employee, guest) = (bar.employee().await, bar.guest().await);
    for name in ["Μαστίχα Sour", "Gin\u{a0}Basil Smash", "Smørrebrød Sour"] {
        employee.post("/recipes", recipe(name)).await.expect(201);
    }
    for (typed, name) in [
        ("Pina Colada", "Piña Colada"),
        ("Pin\u{303}a-Colada", "Piña Colada"),
        ("pinacolada", "Piña Colada"),
        ("Tommy’s Margarita", "Tommy's Margarita"),
        ("Tommy\u{2bc}s\u{a0}Margarita", "Tommy's Margarita"),
        ("tommys margarita", "Tommy's Margarita"),
        ("Dark ’n’ Stormy", "Dark 'n' Stormy"),
        ("B52", "B-52"),
        ("VIEUX CARRE", "Vieux Carré"),
        ("ΜΑΣΤΙΧΑ SOUR", "Μαστίχα Sour"),
        ("gin basil\u{202f}smash", "Gin\u{a0}Basil Smash"),
        ("Smorrebrod Sour", "Smørrebrød Sour"),
    ] {
        let order = guest.post("/orders", json!({ "recipe": typed })).await.expect(201);
        assert_eq!(order["items"][0]["recipe"]["name"], name, "{typed:?}");
        let order = guest.post("/orders", json!({ "items": [{ "recipe": typed }] })).await.expect(201);
        assert_eq!(order["items"][0]["recipe"]["name"], name, "{typed:?}");
        assert_eq!(guest.get(&path(typed)).await.expect(200)["name"], name, "{typed:?}");
    }
    for (search, name) in [
        ("ΜΑΣ", "Μαστίχα Sour"),
        ("μας", "Μαστίχα Sour"),
        ("μαστιχα", "Μαστίχα Sour"),
        ("pina", "Piña Colada"),
        ("PIN\u{303}A", "Piña Colada"),
        ("tommy’s", "Tommy's Margarita"),
        ("gin basil", "Gin\u{a0}Basil Smash"),
        ("b 52", "B-52"),
        ("b52", "B-52"),
        ("pinacolada", "Piña Colada"),
        ("PINACOL", "Piña Colada"),
        ("smorrebrodsour", "Smørrebrød Sour"),
    ] {
        assert_eq!(found(&guest, search).await, [name], "{search:?}");
    }
    // Of ingredients, too, and from the beginning of a word only.
    let gins = found(&guest, "old tom gin").await;
    assert!(!gins.is_empty());
    assert_eq!(found(&guest, "oldtomgin").await, gins);
    assert_eq!(found(&guest, "ldtomgin").await, [""; 0]);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_as_it_is_written_comes_first_and_where_several_are_like_it_none_is_guessed(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (employee, guest) = (bar.employee().await, bar.guest().await);
    let pina = employee.post("/recipes", recipe("Pina Colada")).await.expect(201);
    for (typed, name) in [("pina colada", "Pina Colada"), ("PIÑA COLADA", "Piña Colada")] {
        let order = guest.post("/orders", json!({ "recipe": typed })).await.expect(201);
        assert_eq!(order["items"][0]["recipe"]["name"], name, "{typed:?}");
    }
    let asked = json!({ "recipe": "Pína Coláda" });
    let problem = guest.post("/orders", asked.clone()).await.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["suggestions"], json!(["Pina Colada", "Piña Colada"]), "{problem}");
    guest.get(&path("Pína Coláda")).await.expect_problem(404, "not-found");
    employee.delete(&format!("/recipes/{}", id(&pina))).await.expect(204);
    let order = guest.post("/orders", asked).await.expect(201);
    assert_eq!(order["items"][0]["recipe"]["name"], "Piña Colada");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_a_drink_names_it_as_it_is_written(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let employee = bar.employee().await;
    employee.post("/recipes", recipe("Pina Colada")).await.expect(201);
    employee.delete(&path("pina colada")).await.expect(204);
    // Repeated by a client that missed the answer, this must not take the other one off the menu.
    let problem = employee.delete(&path("pina colada")).await.expect_problem(404, "not-found");
    assert_eq!(problem["errors"][0]["suggestions"][0], "Piña Colada", "{problem}");
    employee.put(&path("pina colada"), recipe("Pina Colada")).await.expect_problem(404, "not-found");
    let availability = format!("{}/availability", path("pina colada"));
    employee.put(&availability, json!({ "available": false })).await.expect_problem(404, "not-found");
    assert_eq!(employee.get(&path("Piña Colada")).await.expect(200)["available"], true);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_orders_find_the_drink_too(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (employee, guest) = (bar.employee().await, bar.guest().await);
    let order = guest.order("Piña Colada").await;
    guest.order("Negroni").await;
    for drink in ["pina colada", "PIN%CC%83A%20COLADA", "pina-colada"] {
        let listed = employee.get(&format!("/orders?drink={drink}")).await.expect(200);
        assert_eq!(listed["orders"].as_array().map(Vec::len), Some(1), "{drink}: {listed}");
        assert_eq!(id(&listed["orders"][0]), id(&order));
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_not_on_the_menu_is_answered_with_those_that_may_be_meant() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let problem =
        guest.post("/orders", json!({ "recipe": "Margerita" })).await.expect_problem(422, "invalid");
    let error = &problem["errors"][0];
    assert_eq!(error["suggestions"], json!(["Margarita"]), "{problem}");
    assert_eq!(error["problem"], "there is no \"Margerita\" on the menu; did you mean \"Margarita\"?");
    let problem = guest.get("/recipes/Negorni").await.expect_problem(404, "not-found");
    assert_eq!(problem["detail"], "There is no such recipe. Did you mean \"Negroni\"?");
    assert_eq!(problem["errors"][0]["suggestions"], json!(["Negroni"]), "{problem}");
    for (name, meant) in [
        ("gin & tonic", "Gin and Tonic"),
        ("Gin Tonic", "Gin and Tonic"),
        ("dark and stormy", "Dark 'n' Stormy"),
        ("whisky sour", "Whiskey Sour"),
        ("whisky", "Whiskey Sour"),
    ] {
        let problem = guest.post("/orders", json!({ "recipe": name })).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["suggestions"][0], meant, "{problem}");
    }
    // At most three, and each line of an order its own.
    let lines = json!({ "items": [{ "recipe": "Martini" }, { "recipe": "Mojto" }, { "recipe": "Mojito" }] });
    let problem = guest.post("/orders", lines).await.expect_problem(422, "invalid");
    let errors = problem["errors"].as_array().unwrap();
    assert_eq!(errors[0]["suggestions"].as_array().map(Vec::len), Some(3), "{problem}");
    assert_eq!(
        (&errors[1]["pointer"], &errors[1]["suggestions"]),
        (&json!("#/items/1/recipe"), &json!(["Mojito"]))
    );
    // What is like nothing, and what is too much, gets none.
    let long = "x".repeat(50_000);
    for name in ["engine oil", "'", "00000000-0000-7000-8000-000000000000", &long] {
        let problem = guest.post("/orders", json!({ "recipe": name })).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0].get("suggestions"), None, "{problem}");
    }
    let problem = guest.get("/recipes/engine%20oil").await.expect_problem(404, "not-found");
    assert_eq!((problem.get("errors"), &problem["detail"]), (None, &json!("There is no such recipe.")));
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_that_names_its_drink_loosely_is_answered_whatever_became_of_the_menu() {
    let bar = Bar::open(Sqlite).await;
    let (guest, employee) = (bar.guest().await, bar.employee().await);
    let order = json!({ "recipe": "Pina Colada" });
    let first = guest.post_once("a key", "/orders", order.clone()).await.expect(201);
    employee.delete(&path("Piña Colada")).await.expect(204);
    let again = guest.post_once("a key", "/orders", order).await.expect(201);
    assert_eq!(id(&again), id(&first));
    bar.close().await;
}
