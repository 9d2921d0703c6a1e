//! The API accepts what the document allows, and refuses what it forbids.

use super::{document, operations, resolved, schema::misfit, within};
use crate::support::{Bar, Sqlite};
use serde_json::{Value, json};

#[test]
fn every_example_is_as_its_schema_says() {
    let document = document();
    let mut examples = 0;
    for schema in within(&document) {
        for example in schema["examples"].as_array().into_iter().flatten() {
            examples += 1;
            assert_eq!(misfit(&document, schema, example), None, "{example}");
        }
    }
    assert!(examples > 10);
}

#[test]
fn every_body_has_an_example_and_no_room_for_unknown_fields() {
    let document = document();
    for operation in operations(&document) {
        if let Some(body) = operation.body() {
            let body = resolved(&document, body);
            let alternatives =
                body["anyOf"].as_array().map_or_else(|| vec![body], |all| all.iter().collect());
            for body in [body].into_iter().chain(alternatives.iter().copied()) {
                assert!(resolved(&document, body)["examples"][0].is_object(), "{}", operation.path);
            }
            for body in alternatives {
                assert_eq!(resolved(&document, body)["additionalProperties"], false, "{}", operation.path);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limits_in_the_document_are_those_of_the_api() {
    let bar = Bar::open(Sqlite).await;
    let admin = bar.admin().await;
    let document = document();
    let text = |length: usize| "ñ".repeat(length);
    let lines = |number: usize| json!({ "items": vec![json!({ "recipe": "Negroni" }); number] });
    let recipe = |change: Value| {
        let name = uuid::Uuid::new_v4().to_string();
        let mut recipe = json!({
            "name": name, "build": "built", "glass": "highball", "method": "Pour.",
            "ingredients": [{ "name": "water", "amount": 200, "unit": "ml" }],
        });
        recipe.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        recipe
    };
    let amount = |amount: f64| json!({ "ingredients": [{ "name": "x", "amount": amount, "unit": "ml" }] });
    let ingredients = |number: usize| json!({ "ingredients": vec![json!({ "name": "x", "amount": 1, "unit": "dash" }); number] });
    let account = |name: &str, email: &str, password: &str| json!({ "username": name, "email": email, "password": password });
    let order = |change: Value| {
        let mut order = json!({ "recipe": "Margarita" });
        order.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        order
    };
    for (schema, path, good, body) in [
        ("NewOrder", "/orders", true, order(json!({ "quantity": 20, "note": text(200), "table": text(40) }))),
        ("NewOrder", "/orders", true, order(json!({ "quantity": null, "note": null, "table": null }))),
        ("NewOrder", "/orders", false, order(json!({ "quantity": 0 }))),
        ("NewOrder", "/orders", false, order(json!({ "quantity": 21 }))),
        ("NewOrder", "/orders", false, order(json!({ "quantity": "2" }))),
        ("NewOrder", "/orders", false, order(json!({ "note": text(201) }))),
        ("NewOrder", "/orders", true, order(json!({ "quantity": "", "note": "", "table": "" }))),
        ("NewOrder", "/orders", true, order(json!({ "note": " " }))),
        ("NewOrder", "/orders", false, json!({ "recipe": "" })),
        ("NewOrder", "/orders", true, order(json!({ "table": 4 }))),
        ("NewOrder", "/orders", false, order(json!({ "table": 4.5 }))),
        ("NewOrder", "/orders", false, order(json!({ "table": -1 }))),
        ("NewOrder", "/orders", false, order(json!({ "table": text(41) }))),
        ("NewOrder", "/orders", false, order(json!({ "customer_id": "7" }))),
        ("NewOrder", "/orders", false, order(json!({ "ice": "none" }))),
        ("NewOrder", "/orders", true, lines(20)),
        ("NewOrder", "/orders", false, lines(21)),
        ("NewOrder", "/orders", false, lines(0)),
        ("NewOrder", "/orders", false, json!({ "items": [{ "quantity": 1 }] })),
        (
            "NewOrder",
            "/orders",
            true,
            json!({ "items": [{ "recipe": "Negroni", "quantity": null, "note": "" }] }),
        ),
        ("NewOrder", "/orders", false, json!({ "items": [{ "recipe": "Negroni" }], "quantity": 1 })),
        ("NewOrder", "/orders", false, json!({ "items": [{ "recipe": "Negroni", "ice": 1 }] })),
        ("NewRecipe", "/recipes", true, recipe(json!({ "method": text(1000), "preparation_seconds": 600 }))),
        ("NewRecipe", "/recipes", true, recipe(json!({ "garnish": null, "preparation_seconds": 1 }))),
        ("NewRecipe", "/recipes", false, recipe(json!({ "method": text(1001) }))),
        ("NewRecipe", "/recipes", false, recipe(json!({ "name": text(81) }))),
        ("NewRecipe", "/recipes", true, recipe(json!({ "garnish": "", "preparation_seconds": "" }))),
        ("NewRecipe", "/recipes", false, recipe(json!({ "glass": null }))),
        ("NewRecipe", "/recipes", false, recipe(json!({ "glass": "" }))),
        ("NewRecipe", "/recipes", false, recipe(json!({ "priority": 1 }))),
        ("NewRecipe", "/recipes", false, recipe(json!({ "build": "thrown" }))),
        ("NewRecipe", "/recipes", false, recipe(json!({ "preparation_seconds": 0 }))),
        ("NewRecipe", "/recipes", false, recipe(json!({ "preparation_seconds": 601 }))),
        ("NewRecipe", "/recipes", true, recipe(amount(1000.0))),
        ("NewRecipe", "/recipes", false, recipe(amount(1000.1))),
        ("NewRecipe", "/recipes", false, recipe(amount(0.0))),
        ("NewRecipe", "/recipes", true, recipe(ingredients(20))),
        ("NewRecipe", "/recipes", false, recipe(ingredients(21))),
        ("NewRecipe", "/recipes", false, recipe(ingredients(0))),
        ("Registration", "/register", false, account("x", "x", "q7#fL2vx")),
        ("Registration", "/register", false, account("", "x@y", "q7#fL2vx")),
        ("Registration", "/register", false, json!({ "username": "x", "password": "q7#fL2vx" })),
        ("Registration", "/register", true, account(&text(60), "x@y", "q7#fL2vx")),
        ("Registration", "/register", false, account(&text(61), "z@y", "q7#fL2vx")),
        ("Registration", "/register", true, account("x", &format!("{}@y", "x".repeat(252)), "q7#fL2vx")),
        ("Registration", "/register", false, account("x", &format!("{}@y", "x".repeat(253)), "q7#fL2vx")),
        ("Registration", "/register", true, account("x", "a@y", &"q7#fL2vx".repeat(9))),
        ("Registration", "/register", false, account("x", "b@y", &"x".repeat(73))),
    ] {
        let says = misfit(&document, &document["components"]["schemas"][schema], &body);
        assert_eq!(says.is_none(), good, "the document: {says:?}: {body}");
        let status = admin.post(path, body.clone()).await.status;
        assert_eq!(status, if good { 201 } else { 422 }, "the API: {body}");
    }
    bar.close().await;
}
