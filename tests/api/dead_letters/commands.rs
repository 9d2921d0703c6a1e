//! `shakerqueue dead-letters`, for operators.

use super::{keep, message};
use crate::support::{database::Database, executable::run};
use serde_json::json;
use shakerqueue::store::{recipes, users};
use uuid::Uuid;

/// Runs the command on this database. Returns true if it succeeded, and its output.
async fn dead_letters(database: &Database, arguments: &[&str]) -> (bool, String) {
    let all = [&["dead-letters"], arguments].concat();
    let output = run(&all, &[("DATABASE_URL", &database.url)]).await;
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_lists_shows_replays_and_discards() {
    let database = Database::file();
    assert!(run(&["seed"], &[("DATABASE_URL", &database.url)]).await.status.success());
    let store = database.store();
    let menu = store.read(async |conn| recipes::menu(conn).await).await.unwrap();
    let recipe = json!({ "id": menu[0].id, "name": menu[0].spec.name });
    let customers = store
        .read(async |conn| users::page(conn, users::UserFilter::default(), None, 1).await)
        .await
        .unwrap();
    let order = Uuid::now_v7();
    let good = keep(&store, Some(order), message(order, &customers[0].id.to_string(), &recipe)).await;
    let bad = keep(&store, None, "\u{1b}[31mPiña\ncolada".into()).await;
    let [good, bad] = [good, bad].map(|path| path.rsplit('/').next().unwrap().to_owned());

    let (ok, list) = dead_letters(&database, &["list"]).await;
    assert!(ok && list.lines().count() == 3, "{list}");
    assert!(list.contains(&good) && list.contains(&bad) && list.contains("the bar was on fire"), "{list}");
    let (ok, shown) = dead_letters(&database, &["show", &bad]).await;
    assert!(ok && shown.contains("Piña\\ncolada") && !shown.contains('\u{1b}'), "{shown}");
    let (ok, shown) = dead_letters(&database, &["show", &Uuid::nil().to_string()]).await;
    assert!(!ok && shown.contains("there is no dead letter"), "{shown}");

    let (ok, said) = dead_letters(&database, &["replay", "--all"]).await;
    assert!(!ok && said.contains("1 of 2 dead letters were not changed"), "{said}");
    assert!(said.contains(&format!("{good}: replayed")), "{said}");
    let (ok, said) = dead_letters(&database, &["replay", &good]).await;
    assert!(ok, "again is harmless: {said}");
    let (ok, said) = dead_letters(&database, &["discard", &good]).await;
    assert!(!ok && said.contains("stored meanwhile"), "{said}");
    let (ok, said) = dead_letters(&database, &["discard", &bad]).await;
    assert!(ok, "{said}");

    let (_, open) = dead_letters(&database, &["list"]).await;
    assert_eq!(open.lines().count(), 1, "{open}");
    let (_, all) = dead_letters(&database, &["list", "--all"]).await;
    assert!(all.contains("\treplayed\t") && all.contains("\tdiscarded\t"), "{all}");
    for wrong in [&["replay"][..], &["replay", "--all", &good], &["show", "7"]] {
        assert!(!dead_letters(&database, wrong).await.0, "{wrong:?}");
    }
}
