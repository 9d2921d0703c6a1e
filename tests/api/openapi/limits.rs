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

/// Bodies, each with true if the document and the API must accept it.
type Bodies = Vec<(bool, Value)>;

fn text(length: usize) -> String {
    "ñ".repeat(length)
}

fn with(mut body: Value, change: Value) -> Value {
    let Value::Object(change) = change else { panic!("not an object: {change}") };
    body.as_object_mut().unwrap().extend(change);
    body
}

fn orders() -> Bodies {
    let order = |change: Value| with(json!({ "recipe": "Margarita" }), change);
    let lines = |number: usize| json!({ "items": vec![json!({ "recipe": "Negroni" }); number] });
    vec![
        (true, order(json!({ "quantity": 20, "note": text(200), "table": text(40) }))),
        (true, order(json!({ "quantity": null, "note": null, "table": null }))),
        (false, order(json!({ "quantity": 0 }))),
        (false, order(json!({ "quantity": 21 }))),
        (false, order(json!({ "quantity": "2" }))),
        (false, order(json!({ "note": text(201) }))),
        (true, order(json!({ "quantity": "", "note": "", "table": "" }))),
        (true, order(json!({ "note": " " }))),
        (false, json!({ "recipe": "" })),
        (true, order(json!({ "table": 4 }))),
        (false, order(json!({ "table": 4.5 }))),
        (false, order(json!({ "table": -1 }))),
        (false, order(json!({ "table": text(41) }))),
        (false, order(json!({ "customer_id": "7" }))),
        (false, order(json!({ "ice": "none" }))),
        (true, lines(20)),
        (false, lines(21)),
        (false, lines(0)),
        (false, json!({ "items": [{ "quantity": 1 }] })),
        (true, json!({ "items": [{ "recipe": "Negroni", "quantity": null, "note": "" }] })),
        (false, json!({ "items": [{ "recipe": "Negroni" }], "quantity": 1 })),
        (false, json!({ "items": [{ "recipe": "Negroni", "ice": 1 }] })),
    ]
}

fn recipes() -> Bodies {
    let recipe = |change: Value| {
        let name = uuid::Uuid::new_v4().to_string();
        let recipe = json!({
            "name": name, "build": "built", "glass": "highball", "method": "Pour.",
            "ingredients": [{ "name": "water", "amount": 200, "unit": "ml" }],
        });
        with(recipe, change)
    };
    let ingredient = |amount: f64, unit: &str| json!({ "name": "x", "amount": amount, "unit": unit });
    let amount = |amount: f64| json!({ "ingredients": [ingredient(amount, "ml")] });
    let ingredients = |number: usize| json!({ "ingredients": vec![ingredient(1.0, "dash"); number] });
    vec![
        (true, recipe(json!({ "method": text(1000), "preparation_seconds": 600 }))),
        (true, recipe(json!({ "garnish": null, "preparation_seconds": 1 }))),
        (false, recipe(json!({ "method": text(1001) }))),
        (false, recipe(json!({ "name": text(81) }))),
        (true, recipe(json!({ "garnish": "", "preparation_seconds": "" }))),
        (false, recipe(json!({ "glass": null }))),
        (false, recipe(json!({ "glass": "" }))),
        (false, recipe(json!({ "priority": 1 }))),
        (false, recipe(json!({ "build": "thrown" }))),
        (false, recipe(json!({ "preparation_seconds": 0 }))),
        (false, recipe(json!({ "preparation_seconds": 601 }))),
        (true, recipe(amount(1000.0))),
        (false, recipe(amount(1000.1))),
        (false, recipe(amount(0.0))),
        (true, recipe(ingredients(20))),
        (false, recipe(ingredients(21))),
        (false, recipe(ingredients(0))),
    ]
}

fn registrations() -> Bodies {
    let account = |name: &str, email: &str, password: &str| json!({ "username": name, "email": email, "password": password });
    vec![
        (false, account("x", "x", "q7#fL2vx")),
        (false, account("", "x@y", "q7#fL2vx")),
        (false, json!({ "username": "x", "password": "q7#fL2vx" })),
        (true, account(&text(60), "x@y", "q7#fL2vx")),
        (false, account(&text(61), "z@y", "q7#fL2vx")),
        (true, account("x", &format!("{}@y", "x".repeat(252)), "q7#fL2vx")),
        (false, account("x", &format!("{}@y", "x".repeat(253)), "q7#fL2vx")),
        (true, account("x", "a@y", &"q7#fL2vx".repeat(9))),
        (false, account("x", "b@y", &"x".repeat(73))),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limits_in_the_document_are_those_of_the_api() {
    let bar = Bar::open(Sqlite).await;
    let admin = bar.admin().await;
    let document = document();
    for (schema, path, bodies) in [
        ("NewOrder", "/orders", orders()),
        ("NewRecipe", "/recipes", recipes()),
        ("Registration", "/register", registrations()),
    ] {
        for (good, body) in bodies {
            let fault = misfit(&document, &document["components"]["schemas"][schema], &body);
            assert_eq!(fault.is_none(), good, "the document: {fault:?}: {body}");
            let status = admin.post(path, body.clone()).await.status;
            assert_eq!(status, if good { 201 } else { 422 }, "the API: {body}");
        }
    }
    bar.close().await;
}
