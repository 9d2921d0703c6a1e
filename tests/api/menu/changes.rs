use super::{glass_of_water, water_with};
use crate::support::{Bar, DatabaseKind, PostgreSql, Sqlite, eventually, person::id};
use futures_util::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};
use shakerqueue::store::recipes;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_put_a_drink_on_the_menu(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let answer = bartender.post("/recipes", glass_of_water()).await;
    let location = answer.header("location").expect("where it is").to_owned();
    let recipe = answer.expect(201);
    assert_eq!(location, format!("/recipes/{}", id(&recipe)));
    for (field, value) in glass_of_water().as_object().unwrap() {
        // 200 and 200.0 are one amount.
        match field.as_str() {
            "ingredients" => assert_eq!(amounts(&recipe), amounts(&glass_of_water())),
            _ => assert_eq!(&recipe[field], value, "{field}"),
        }
    }
    assert_eq!((&recipe["garnish"], &recipe["available"]), (&Value::Null, &json!(true)));
    assert_eq!(guest.get(&location).await.expect(200), recipe);
    assert_eq!(guest.get("/recipes/GLASS%20OF%20WATER").await.expect(200), recipe);
    assert_eq!(guest.order("glass of water").await["items"][0]["recipe"]["id"], recipe["id"]);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_write_a_recipe_anew(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let before = bartender.post("/recipes", water_with("garnish", json!("a straw"))).await.expect(201);
    let order = guest.order("Glass of Water").await;
    let path = format!("/recipes/{}", id(&before));
    let mut sparkling = water_with("name", json!("Sparkling Water"));
    sparkling["build"] = json!("collins");
    sparkling["preparation_seconds"] = json!(20);
    let after = bartender.put(&path, sparkling).await.expect(200);
    assert_eq!((id(&after), &after["created_at"]), (id(&before), &before["created_at"]));
    assert!(after["updated_at"].as_str() > before["updated_at"].as_str(), "{after}");
    assert_eq!(
        (&after["name"], &after["build"], &after["preparation_seconds"]),
        (&json!("Sparkling Water"), &json!("collins"), &json!(20))
    );
    assert_eq!(after["garnish"], Value::Null, "what is left out is gone");
    assert_eq!(guest.get(&path).await.expect(200), after);
    assert_eq!(guest.get("/recipes/sparkling%20water").await.expect(200), after);
    guest.get("/recipes/glass%20of%20water").await.expect_problem(404, "not-found");
    assert_eq!(
        guest.sees(&order).await.expect(200)["items"][0]["recipe"]["name"],
        "Glass of Water",
        "an order keeps the name it was ordered by"
    );
    // Its own name in another case is no one else's.
    bartender.put(&path, water_with("name", json!("SPARKLING water"))).await.expect(200);
    // By name, as it can be read.
    bartender.put("/recipes/sparkling%20water", glass_of_water()).await.expect(200);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_many_changes_at_once_the_menu_shows_the_last(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let bartender = bar.employee().await;
    let store = bar.database.store();
    for _ in 0..20 {
        join_all((0..8).map(async |n| {
            let body = json!({ "available": n % 2 == 0 });
            bartender.put("/recipes/Negroni/availability", body).await.expect(200);
        }))
        .await;
        let shown = bartender.get("/recipes/Negroni").await.expect(200);
        let menu = store.read(async |conn| recipes::menu(conn).await).await.unwrap();
        let stored = menu.iter().find(|recipe| recipe.spec.name.as_str() == "Negroni").unwrap();
        assert_eq!(shown["updated_at"], json!(stored.updated_at));
        assert_eq!(shown["available"], stored.available);
    }
    store.close();
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archived_drink_leaves_the_menu_and_its_orders_keep_it(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let old = bartender.post("/recipes", glass_of_water()).await.expect(201);
    let order = guest.order("Glass of Water").await;
    let path = format!("/recipes/{}", id(&old));
    bartender.delete(&path).await.expect(204);
    for gone in [&path, "/recipes/glass%20of%20water"] {
        guest.get(gone).await.expect_problem(404, "not-found");
        bartender.put(gone, glass_of_water()).await.expect_problem(404, "not-found");
        bartender
            .put(&format!("{gone}/availability"), json!({ "available": true }))
            .await
            .expect_problem(404, "not-found");
        bartender.delete(gone).await.expect_problem(404, "not-found");
    }
    let menu = guest.get("/recipes").await.expect(200).to_string();
    assert!(!menu.contains("Glass of Water"), "it is still on the menu");
    for recipe in [id(&old), "Glass of Water"] {
        guest.post("/orders", json!({ "recipe": recipe })).await.expect_problem(422, "invalid");
    }
    assert_eq!(guest.sees(&order).await.expect(200)["items"], order["items"]);
    assert_eq!(
        bartender.get("/orders?status=pending").await.expect(200)["orders"][0]["items"],
        order["items"]
    );
    bartender.moves(&order, "start").await.expect(200);
    // Its name is free, for another drink.
    let new = bartender.post("/recipes", glass_of_water()).await.expect(201);
    assert_ne!(id(&new), id(&old));
    assert_eq!(guest.order("Glass of Water").await["items"][0]["recipe"]["id"], new["id"]);
    assert_eq!(guest.sees(&order).await.expect(200)["items"][0]["recipe"]["id"], old["id"]);
    bartender.delete(&format!("/recipes/{}", id(&new))).await.expect(204);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_drinks_never_have_one_name_whatever_its_case(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let bartender = bar.employee().await;
    let before = bartender.get("/recipes").await.expect(200);
    for name in ["Negroni", "NEGRONI", " negroni ", "PIÑA COLADA", "piña colada"] {
        bartender
            .post("/recipes", water_with("name", json!(name)))
            .await
            .expect_problem(409, "recipe-exists");
        bartender
            .put("/recipes/mojito", water_with("name", json!(name)))
            .await
            .expect_problem(409, "recipe-exists");
    }
    assert_eq!(bartender.get("/recipes").await.expect(200), before);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_add_one_name_at_once_one_does(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let bartender = bar.employee().await;
    let adding: Vec<_> = (0..10)
        .map(|_| {
            let bartender = bartender.clone();
            tokio::spawn(async move { bartender.post("/recipes", glass_of_water()).await })
        })
        .collect();
    let mut added = 0;
    for answer in adding {
        let answer = answer.await.unwrap();
        if answer.status == 201 {
            added += 1;
        } else {
            answer.expect_problem(409, "recipe-exists");
        }
    }
    assert_eq!(added, 1);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sold_out_can_not_be_ordered_until_it_is_back(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.guest().await, bar.employee().await);
    let mojito = guest.get("/recipes/mojito").await.expect(200);
    let by_id = format!("/recipes/{}/availability", id(&mojito));
    for path in ["/recipes/MOJITO/availability", &by_id] {
        let sold_out = bartender.put(path, json!({ "available": false })).await.expect(200);
        assert_eq!((id(&sold_out), &sold_out["available"]), (id(&mojito), &json!(false)));
        assert_eq!(guest.get("/recipes/mojito").await.expect(200), sold_out, "it stays on the menu");
        for recipe in ["Mojito", id(&mojito)] {
            guest.post("/orders", json!({ "recipe": recipe })).await.expect_problem(409, "sold-out");
        }
        guest.order("Negroni").await;
        bartender.put(path, json!({ "available": true })).await.expect(200);
        guest.post("/orders", json!({ "recipe": "Mojito" })).await.expect(201);
    }
    let menu = guest.get("/recipes").await.expect(200);
    assert!(menu["recipes"].as_array().unwrap().iter().all(|recipe| recipe["available"] == true));
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sold_out_drink_that_is_written_anew_stays_sold_out(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let bartender = bar.employee().await;
    bartender.post("/recipes", glass_of_water()).await.expect(201);
    let path = "/recipes/glass%20of%20water";
    bartender.put(&format!("{path}/availability"), json!({ "available": false })).await.expect(200);
    let after = bartender.put(path, water_with("method", json!("Just pour."))).await.expect(200);
    assert_eq!(after["available"], false);
    bar.close().await;
}

/// Returns name, amount and unit of each ingredient.
fn amounts(recipe: &Value) -> Vec<(&str, f64, &str)> {
    let ingredients = recipe["ingredients"].as_array().unwrap().iter();
    ingredients
        .map(|one| {
            (one["name"].as_str().unwrap(), one["amount"].as_f64().unwrap(), one["unit"].as_str().unwrap())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_seen_by_every_serve_within_seconds() {
    let here = Bar::open(PostgreSql).await;
    let there = here.another().await;
    let (bartender, guest) = (here.employee().await, here.guest().await.at(&there.url));
    let added = bartender.post("/recipes", glass_of_water()).await.expect(201);
    let path = format!("/recipes/{}", id(&added));
    let seen = eventually("the new drink at the other serve", async || {
        let answer = guest.get(&path).await;
        (answer.status == 200).then_some(answer.body)
    })
    .await;
    assert_eq!(seen, added);
    bartender.put(&format!("{path}/availability"), json!({ "available": false })).await.expect(200);
    eventually("a sold-out drink at the other serve", async || {
        (guest.post("/orders", json!({ "recipe": "glass of water" })).await.status == 409).then_some(())
    })
    .await;
    bartender.put(&path, water_with("name", json!("Still Water"))).await.expect(200);
    eventually("its new name at the other serve", async || {
        (guest.get("/recipes/still%20water").await.status == 200).then_some(())
    })
    .await;
    guest.get("/recipes/glass%20of%20water").await.expect_problem(404, "not-found");
    bartender.delete(&path).await.expect(204);
    eventually("its end at the other serve", async || (guest.get(&path).await.status == 404).then_some(()))
        .await;
    // A drink that this serve has not read yet can be changed here all the same.
    let fresh = bartender.post("/recipes", glass_of_water()).await.expect(201);
    let elsewhere = bartender.at(&there.url);
    let changed =
        elsewhere.put(&format!("/recipes/{}", id(&fresh)), water_with("glass", json!("tumbler"))).await;
    assert_eq!(changed.expect(200)["glass"], "tumbler");
    there.close().await;
    here.close().await;
}
