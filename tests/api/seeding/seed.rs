//! `seed`: fills an empty database, and is safe to repeat.

use super::{does, is_untouched, login, refuses, serve};
use crate::support::{Person, bar::SECRET, database::Database};
use futures_util::future::join_all;
use serde_json::json;
use shakerqueue::{
    services::seed::{DEMO_ACCOUNTS, DEMO_PASSWORD},
    store::{recipes, users},
};

/// Reads everything that `seed` fills in, with ids and times.
async fn dump(database: &Database) -> (usize, usize, String) {
    let store = database.store();
    let (recipes, users, hashes) = store
        .read(async |conn| {
            let (recipes, users) = (
                recipes::menu(conn).await?,
                users::page(conn, users::UserFilter::default(), None, 1000).await?,
            );
            let mut hashes = Vec::new();
            for user in &users {
                hashes.push(users::by_id(conn, user.id).await?.map(|(_, hash)| hash));
            }
            Ok((recipes, users, hashes))
        })
        .await
        .unwrap();
    store.close();
    (recipes.len(), users.len(), format!("{recipes:?}{users:?}{hashes:?}"))
}

async fn fills_an_empty_database(database: Database) {
    let environment = [("DATABASE_URL", database.url.as_str())];
    let first = does(&["seed"], &environment).await;
    let filled = dump(&database).await;
    assert!(filled.0 >= 60, "{} recipes", filled.0);
    assert_eq!(filled.1, 3, "a demo account for each role");
    assert!(first.contains(&format!("{0} of {0} recipes", filled.0)) && first.contains("3 of 3"), "{first}");
    let again = does(&["seed"], &environment).await;
    assert!(again.contains("0 of") && again.contains("0 of 3"), "{again}");
    assert!(dump(&database).await == filled, "seeding twice changed something");

    let (role, stranger) = serve(&database, &[("JWT_SECRET", SECRET)]).await;
    for (email, word) in DEMO_ACCOUNTS {
        let answer =
            stranger.post("/login", json!({ "email": email, "password": DEMO_PASSWORD })).await.expect(200);
        assert_eq!(answer["user"]["role"], word.as_str());
    }
    let answer =
        stranger.post("/login", json!({ "email": "user@example.com", "password": DEMO_PASSWORD })).await;
    let token = answer.expect(200)["token"].as_str().unwrap().to_owned();
    let order = json!({ "recipe": "Margarita" });
    let ordered = crate::support::person::send(
        stranger.request(reqwest::Method::POST, "/orders").bearer_auth(token).json(&order),
    );
    ordered.await.expect(201);
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_fills_an_empty_sqlite_database() {
    fills_an_empty_database(Database::file()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_fills_an_empty_postgresql_database() {
    fills_an_empty_database(Database::empty().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_fill_it_once() {
    for database in [Database::file(), Database::empty().await] {
        let environment = [("DATABASE_URL", database.url.as_str())];
        let said = join_all((0..2).map(|_| does(&["seed"], &environment))).await;
        let filled = dump(&database).await;
        assert!(filled.0 >= 60 && filled.1 == 3, "{} recipes, {} accounts: {said:?}", filled.0, filled.1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_leaves_alone_what_was_changed_since() {
    let database = Database::file();
    let environment = [("DATABASE_URL", database.url.as_str())];
    does(&["seed"], &environment).await;
    let (role, stranger) = serve(&database, &[]).await;
    let who = json!({ "email": "employee@example.com", "password": DEMO_PASSWORD });
    let token = stranger.post("/login", who).await.expect(200)["token"].as_str().unwrap().to_owned();
    let send = async |method: reqwest::Method, path: &str, body| {
        crate::support::person::send(stranger.request(method, path).bearer_auth(&token).json(&body)).await
    };
    send(reqwest::Method::PUT, "/recipes/mojito/availability", json!({ "available": false }))
        .await
        .expect(200);
    let change = json!({ "current_password": DEMO_PASSWORD, "new_password": "a better password" });
    send(reqwest::Method::PUT, "/me/password", change).await.expect(204);
    role.stop().await;
    let changed = dump(&database).await;
    does(&["seed"], &environment).await;
    assert!(dump(&database).await == changed, "seeding undid what people did");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_of_ones_own_comes_instead_of_the_demo_accounts() {
    const PASSWORD: &str = "a password of the admin's own";
    for (database, by_flag) in [(Database::file(), true), (Database::empty().await, false)] {
        let mut environment = vec![("DATABASE_URL", database.url.as_str()), ("ADMIN_PASSWORD", PASSWORD)];
        let said = if by_flag {
            does(&["seed", "--admin", "Boss@Bar.Example"], &environment).await
        } else {
            environment.push(("ADMIN_EMAIL", "Boss@Bar.Example"));
            does(&["seed"], &environment).await
        };
        assert!(said.contains("1 of 1") && !said.contains(PASSWORD), "{said}");
        assert_eq!(dump(&database).await.1, 1, "only the admin");
        let (role, stranger) = serve(&database, &[("JWT_SECRET", SECRET)]).await;
        let who = json!({ "email": "boss@bar.example", "password": PASSWORD });
        assert_eq!(stranger.post("/login", who).await.expect(200)["user"]["role"], "admin");
        has_no_demo_account(&stranger).await;
        role.stop().await;
    }
}

async fn has_no_demo_account(stranger: &Person) {
    for (email, _) in DEMO_ACCOUNTS {
        assert_eq!(login(stranger, email, DEMO_PASSWORD).await, 401, "{email} is there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_without_a_good_password_is_refused_and_nothing_written() {
    let database = Database::file();
    let url = ("DATABASE_URL", database.url.as_str());
    // clap's own refusal of a flag without its companion: exit code 2.
    let output = crate::support::executable::run(&["seed", "--admin", "boss@bar.example"], &[url]).await;
    assert!(!output.status.success());
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(complaint.to_uppercase().replace('-', "_").contains("ADMIN_PASSWORD"), "{complaint}");
    let long = "x".repeat(73);
    for (email, password, named) in [
        ("boss@bar.example", "", "ADMIN_PASSWORD"),
        ("boss@bar.example", "hunter2", "ADMIN_PASSWORD"),
        ("boss@bar.example", "password123", "ADMIN_PASSWORD"),
        ("boss@bar.example", &long, "ADMIN_PASSWORD"),
        ("boss", "a good password", "--admin"),
    ] {
        let sentence = refuses(&["seed", "--admin", email], &[url, ("ADMIN_PASSWORD", password)]).await;
        assert!(sentence.contains(named), "{sentence}");
        assert!(password.is_empty() || !sentence.contains(password), "{sentence}");
    }
    let sentence = refuses(&["seed"], &[url, ("ADMIN_PASSWORD", "a good password")]).await;
    assert!(sentence.contains("--admin") || sentence.contains("ADMIN_EMAIL"), "{sentence}");
    assert!(is_untouched(&database).await);
}
