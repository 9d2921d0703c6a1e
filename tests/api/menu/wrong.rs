//! Changes of the menu that are refused.

use super::{glass_of_water, water_with};
use crate::support::{Bar, Sqlite};
use serde_json::{Value, json};

/// A recipe, and the name of its wrong field.
type WrongRecipe = (Value, &'static str);

fn wrong_recipes() -> Vec<WrongRecipe> {
    let mut cases = vec![
        (water_with("garnish", json!("\u{3164}")), "garnish"),
        (water_with("garnish", json!("g".repeat(81))), "garnish"),
        (water_with("colour", json!("clear")), "colour"),
        (water_with("id", json!("00000000-0000-7000-8000-000000000000")), "id"),
        (water_with("available", json!(false)), "available"),
        (water_with("method", json!("m".repeat(1001))), "method"),
    ];
    for field in ["name", "glass", "method"] {
        for value in [json!(""), json!(" "), json!(null), json!(7), json!("\u{0}")] {
            cases.push((water_with(field, value), field));
        }
    }
    for field in ["name", "glass"] {
        cases.push((water_with(field, json!("no\u{0}thing")), field));
        cases.push((water_with(field, json!("ñ".repeat(81))), field));
    }
    for build in [json!("soup"), json!("Built"), json!(""), json!(null), json!(7), json!({ "built": null })] {
        cases.push((water_with("build", build), "build"));
    }
    for seconds in [json!(0), json!(601), json!(-1), json!(1.5), json!("15")] {
        cases.push((water_with("preparation_seconds", seconds), "preparation_seconds"));
    }
    for field in ["name", "build", "glass", "ingredients", "method"] {
        let mut recipe = glass_of_water();
        recipe.as_object_mut().unwrap().remove(field);
        cases.push((recipe, field));
    }
    cases
}

fn recipes_with_wrong_ingredients() -> Vec<WrongRecipe> {
    let second = |field: &str, value: Value| {
        let mut recipe = glass_of_water();
        recipe["ingredients"][1][field] = value;
        recipe
    };
    let line = json!({ "name": "water", "amount": 1, "unit": "ml" });
    let mut cases = vec![
        (water_with("ingredients", json!([])), "ingredients"),
        (water_with("ingredients", json!(vec![line; 21])), "ingredients"),
        (water_with("ingredients", json!({})), "ingredients"),
        (water_with("ingredients", json!(["water"])), "ingredients[0]"),
        // What serde would take for a struct.
        (water_with("ingredients", json!([["water", 200, "ml"]])), "ingredients[0]"),
        (second("colour", json!("clear")), "ingredients[1].colour"),
    ];
    for unit in [json!("litre"), json!("ML"), json!(null), json!(7), json!({ "ml": null })] {
        cases.push((second("unit", unit), "ingredients[1].unit"));
    }
    for amount in [json!(0), json!(-1), json!(1000.5), json!("2"), json!(null)] {
        cases.push((second("amount", amount), "ingredients[1].amount"));
    }
    for name in [json!(""), json!("n".repeat(81)), json!(null)] {
        cases.push((second("name", name), "ingredients[1].name"));
    }
    for (field, named) in [
        ("name", "ingredients[0].name"),
        ("amount", "ingredients[0].amount"),
        ("unit", "ingredients[0].unit"),
    ] {
        let mut recipe = glass_of_water();
        recipe["ingredients"][0].as_object_mut().unwrap().remove(field);
        cases.push((recipe, named));
    }
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_recipe_is_refused_and_its_wrong_field_named() {
    let bar = Bar::open(Sqlite).await;
    let bartender = bar.employee().await;
    let before = bartender.get("/recipes").await.expect(200);
    let mut wrong = Vec::new();
    for (recipe, field) in wrong_recipes().into_iter().chain(recipes_with_wrong_ingredients()) {
        for answer in [
            bartender.post("/recipes", recipe.clone()).await,
            bartender.put("/recipes/negroni", recipe.clone()).await,
        ] {
            let named = answer.body["errors"][0]["field"].as_str().unwrap_or_default();
            if (answer.status, named) != (422, field) {
                wrong.push(format!("{field} of {recipe}\n  answered {}", answer.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(bartender.get("/recipes").await.expect(200), before);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drink_is_sold_out_or_not_and_nothing_between() {
    let bar = Bar::open(Sqlite).await;
    let bartender = bar.employee().await;
    for (body, field) in [
        (json!({}), "available"),
        (json!({ "available": null }), "available"),
        (json!({ "available": "no" }), "available"),
        (json!({ "available": 0 }), "available"),
        (json!({ "available": false, "until": "tomorrow" }), "until"),
        (json!(false), "body"),
        (json!([false]), "body"),
    ] {
        let problem =
            bartender.put("/recipes/negroni/availability", body.clone()).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
    }
    assert_eq!(bartender.get("/recipes/negroni").await.expect(200)["available"], true);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_do_not_change_the_menu() {
    let bar = Bar::open(Sqlite).await;
    let (guest, stranger) = (bar.guest().await, bar.stranger());
    let before = guest.get("/recipes").await.expect(200);
    for (person, status, problem) in [(&guest, 403, "not-permitted"), (&stranger, 401, "not-signed-in")] {
        person.post("/recipes", glass_of_water()).await.expect_problem(status, problem);
        person.put("/recipes/negroni", glass_of_water()).await.expect_problem(status, problem);
        person.delete("/recipes/negroni").await.expect_problem(status, problem);
        let sold_out = person.put("/recipes/negroni/availability", json!({ "available": false })).await;
        sold_out.expect_problem(status, problem);
    }
    assert_eq!(guest.get("/recipes").await.expect(200), before);
    bar.close().await;
}
