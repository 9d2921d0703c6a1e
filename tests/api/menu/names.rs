//! Equality of names, and their allowed characters.

use super::water_with;
use crate::support::{Bar, DatabaseKind, PostgreSql, Sqlite};
use rstest::rstest;
use serde_json::{Value, json};
use shakerqueue::store::recipes;

fn recipe(name: &str) -> Value {
    water_with("name", json!(name))
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_look_the_same_are_one(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (employee, guest) = (bar.employee().await, bar.guest().await);
    let added = employee.post("/recipes", recipe(" Crème  de\u{a0}Pin\u{303}a ")).await.expect(201);
    assert_eq!(added["name"], "Crème  de\u{a0}Piña");
    for name in ["Crème de Piña", "CRE\u{300}ME DE PIÑA", "Ｃｒème de Piña"] {
        employee.post("/recipes", recipe(name)).await.expect_problem(409, "recipe-exists");
        let order = guest.post("/orders", json!({ "recipe": name })).await.expect(201);
        assert_eq!(order["items"][0]["recipe"]["id"], added["id"], "{name}");
    }
    let found = guest.get("/recipes?q=CRE%CC%80ME%20DE%20PIN%CC%83A").await.expect(200);
    assert_eq!(found["recipes"].as_array().map(Vec::len), Some(1), "{found}");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_one_line_of_what_can_be_seen(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (employee, guest) = (bar.employee().await, bar.guest().await);
    for name in [
        "\u{3164}",
        "Gin\u{ad}Fizz",
        "Gin\nFizz",
        "\u{202e}zziF",
        "a\u{200d}b",
        "\u{2800}",
        "\u{1d159}",
        "\u{e000}",
        "\u{301}",
        "\u{93e}\u{20dd}",
        "\u{fffd}",
        "\u{fffc}",
        "Gin\u{fffc}",
        "Gin\u{fffe}",
        "\u{fdd0}",
        "\u{1ffff}",
    ] {
        let problem = employee.post("/recipes", recipe(name)).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "name", "{name:?}: {problem}");
        let order = json!({ "recipe": "Negroni", "table": name });
        let problem = guest.post("/orders", order).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "table", "{name:?}: {problem}");
        let account = json!({ "username": name, "email": "a@bar.example", "password": "seven green limes" });
        let problem = bar.stranger().post("/register", account).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "username", "{name:?}: {problem}");
    }
    for name in ["👩\u{200d}🍳 Special", "&", "\u{1faea}", "हिन्दी"] {
        employee.post("/recipes", recipe(name)).await.expect(201);
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_loses_what_nobody_sees_and_nothing_else(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let note = "no\u{200b} i\u{fffc}ce\u{fdd0}\r\nfor 👩\u{200d}🍳\u{2028}\u{1faea}\u{0}";
    let order = json!({ "recipe": "Negroni", "note": note });
    let order = bar.guest().await.post("/orders", order).await.expect(201);
    assert_eq!(order["note"], "no ice\nfor 👩\u{200d}🍳\n\u{1faea}");
    bar.close().await;
}

async fn names_get_their_keys_anew(kind: DatabaseKind) {
    let bar = Bar::open(kind).await;
    bar.employee().await.post("/recipes", recipe("Piña\u{a0}Spritz")).await.expect(201);
    let database = bar.shut().await;
    // As an earlier release let them in: a key of its rule, and a second drink that looks the same.
    database
        .execute("UPDATE recipes SET name_key = 'pin\u{303}a\u{a0}spritz' WHERE name LIKE 'Pi%Spritz'")
        .await;
    database
        .execute(
            "UPDATE recipes SET name = 'Moji\u{ad}to\nRoyal', name_key = 'moji\u{ad}to\nroyal' WHERE name = 'Mojito'",
        )
        .await;
    database
        .execute(
            "UPDATE recipes SET name = 'NEGRONI\u{a0}', name_key = 'negroni\u{a0}' WHERE name = 'Daiquiri'",
        )
        .await;
    let store = database.store();
    store.migrate().await.expect("migrated");
    let keys = store.read(async |conn| recipes::menu_with_keys(conn).await).await.expect("the menu");
    store.close();
    let keys: Vec<_> = keys.into_iter().map(|(key, _)| key).collect();
    for key in ["piña spritz", "mojito royal", "negroni", "negroni\u{a0}"] {
        assert!(keys.iter().any(|one| one == key), "{key:?}: {keys:?}");
    }
    let bar = Bar::open_on(database, &[]).await;
    let guest = bar.guest().await;
    let order = guest.post("/orders", json!({ "recipe": "piña spritz" })).await.expect(201);
    assert_eq!(order["items"][0]["recipe"]["name"], "Piña\u{a0}Spritz");
    // Of two the one that came first has the name; all that is stored can be read.
    let order = guest.post("/orders", json!({ "recipe": "negroni" })).await.expect(201);
    assert_eq!(order["items"][0]["recipe"]["name"], "Negroni");
    guest.get("/recipes").await.expect(200);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_an_earlier_release_get_their_keys_anew() {
    names_get_their_keys_anew(Sqlite).await;
    names_get_their_keys_anew(PostgreSql).await;
}
