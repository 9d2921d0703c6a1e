//! The response to `GET` of a recipe can be sent back with `PUT`.

use super::{glass_of_water, water_with};
use crate::support::{Bar, DatabaseKind, PostgreSql, Sqlite, person::id};
use rstest::rstest;
use serde_json::{Value, json};
use shakerqueue::{domain::recipe::PreparationSeconds, store::recipes};

const READ_ONLY_FIELDS: [&str; 5] = ["available", "created_at", "id", "priority", "updated_at"];

/// Reads the preparation time that is stored for a recipe, if there is any.
async fn own_seconds(bar: &Bar, name: &str) -> Option<u16> {
    let store = bar.database.store();
    let menu = store.read(async |conn| recipes::menu(conn).await).await.unwrap();
    store.close();
    let recipe = menu.into_iter().find(|recipe| recipe.spec.name.as_str() == name).expect("the drink");
    recipe.spec.preparation_seconds.map(PreparationSeconds::get)
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_can_be_written_back_and_changes_nothing(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (staff, admin) = (bar.employee().await, bar.admin().await);
    staff.post("/recipes", glass_of_water()).await.expect(201);
    for name in ["Glass of Water", "Negroni", "Piña Colada"] {
        let path = format!("/recipes/{name}");
        let answer = staff.get(&path).await;
        let (tag, read) = (answer.header("etag").unwrap().to_owned(), answer.expect(200));
        let own = own_seconds(&bar, name).await;
        let mut written = staff.put_if(&path, &tag, read.clone()).await.expect(200);
        written["updated_at"] = read["updated_at"].clone();
        assert_eq!(written, read);
        assert_eq!(own_seconds(&bar, name).await, own, "{name}");
    }
    assert_eq!(own_seconds(&bar, "Glass of Water").await, None);
    let trail = admin.get("/audit?action=recipe_replaced").await.expect(200);
    assert_eq!(trail["entries"], json!([]), "nothing was changed");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_can_be_changed_and_written_back(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let staff = bar.employee().await;
    staff.post("/recipes", glass_of_water()).await.expect(201);
    let mut recipe = staff.get("/recipes/Glass%20of%20Water").await.expect(200);
    let path = format!("/recipes/{}", id(&recipe));
    recipe["name"] = json!("Bar Water");
    recipe["garnish"] = json!("a straw");
    // The time that was read is the time of the build that was read.
    recipe["build"] = json!("sour");
    let written = staff.put(&path, recipe).await.expect(200);
    let shown = (&written["name"], &written["garnish"], &written["preparation_seconds"]);
    assert_eq!(shown, (&json!("Bar Water"), &json!("a straw"), &json!(15)));
    let mut recipe = written;
    recipe["preparation_seconds"] = Value::Null;
    for field in READ_ONLY_FIELDS {
        recipe[field] = json!("");
    }
    let written = staff.put(&path, recipe).await.expect(200);
    assert_eq!((&written["preparation_seconds"], &written["priority"]), (&json!(60), &json!(4)));
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_only_the_bar_sets_is_refused_where_it_differs(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (staff, admin) = (bar.employee().await, bar.admin().await);
    let answer = staff.get("/recipes/negroni").await;
    let (tag, read) = (answer.header("etag").unwrap().to_owned(), answer.expect(200));
    let mut others = staff.get("/recipes/mojito").await.expect(200);
    others["available"] = json!(false);
    others["created_at"] = json!("2026-01-01T00:00:00Z");
    others["updated_at"] = json!("2026-01-01T00:00:00Z");
    assert_ne!(others["priority"], read["priority"]);
    let mut all = read.clone();
    for field in READ_ONLY_FIELDS {
        let mut recipe = read.clone();
        recipe[field] = others[field].clone();
        all[field] = others[field].clone();
        let problem = staff.put_if("/recipes/negroni", &tag, recipe).await.expect_problem(422, "invalid");
        assert_eq!(
            (&problem["errors"][0]["field"], problem["errors"].as_array().unwrap().len()),
            (&json!(field), 1)
        );
        let new = water_with(field, read[field].clone());
        let problem = staff.post("/recipes", new).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let problem = staff.put_if("/recipes/negroni", &tag, all.clone()).await.expect_problem(422, "invalid");
    let mut named: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    named.sort_by_key(|field| field.as_str());
    assert_eq!(named, READ_ONLY_FIELDS);
    assert!(problem["detail"].as_str().unwrap().contains("/availability"), "{problem}");
    assert_eq!(staff.get("/recipes/negroni").await.expect(200), read, "nothing was done");
    assert_eq!(admin.get("/audit?action=recipe_replaced").await.expect(200)["entries"], json!([]));
    // Who has not seen what is there is told that first.
    staff.put("/recipes/negroni/availability", json!({ "available": false })).await.expect(200);
    staff.put_if("/recipes/negroni", &tag, read.clone()).await.expect_problem(412, "precondition-failed");
    let problem = staff.put("/recipes/negroni", read).await.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["field"], "available", "{problem}");
    bar.close().await;
}
