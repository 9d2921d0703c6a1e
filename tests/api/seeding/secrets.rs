//! The secret that an embedded `serve` generates.

use super::{file_of, login, serve};
use crate::support::{Person, database::Database};
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_kept_beside_the_database_for_its_owner_only() {
    let database = Database::file();
    let secret_file = file_of(&database).with_file_name("bar.db.secret");
    let (role, stranger) = serve(&database, &[]).await;
    for (email, _) in shakerqueue::services::seed::DEMO_ACCOUNTS {
        assert_eq!(
            login(&stranger, email, "password123").await,
            401,
            "{email}: demo data that nobody asked for"
        );
    }
    let account = json!({ "username": "Ana", "email": "ana@bar.example", "password": "a good password" });
    let token = stranger.post("/register", account).await.expect(201)["token"].as_str().unwrap().to_owned();
    let secret = fs::read_to_string(&secret_file).unwrap();
    assert!(secret.trim().len() >= 32);
    let mode = fs::metadata(&secret_file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "{mode:o}");
    assert!(!token.contains(secret.trim()));
    role.stop().await;

    // Someone was careless with it meanwhile.
    fs::set_permissions(&secret_file, fs::Permissions::from_mode(0o644)).unwrap();
    let (role, stranger) = serve(&database, &[]).await;
    let me =
        crate::support::person::send(stranger.request(reqwest::Method::GET, "/me").bearer_auth(&token)).await;
    assert_eq!(me.expect(200)["email"], "ana@bar.example", "a token outlives a restart");
    assert_eq!(fs::read_to_string(&secret_file).unwrap(), secret);
    assert_eq!(fs::metadata(&secret_file).unwrap().permissions().mode() & 0o777, 0o600);
    role.stop().await;

    let files = secret_file.parent().unwrap().read_dir().unwrap();
    for file in files.map(|file| file.unwrap().file_name().into_string().unwrap()) {
        assert!(file.starts_with("bar.db"), "{file} was left behind");
        assert!(!file.contains(".new"), "{file} was left behind");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_given_needs_no_file() {
    let database = Database::file();
    let (role, stranger) = serve(&database, &[("JWT_SECRET", crate::support::bar::SECRET)]).await;
    let account = json!({ "username": "Ana", "email": "ana@bar.example", "password": "a good password" });
    let token = stranger.post("/register", account).await.expect(201)["token"].as_str().unwrap().to_owned();
    assert!(!file_of(&database).with_file_name("bar.db.secret").exists());
    role.stop().await;
    // Another secret: the old tokens are worth nothing.
    let (role, stranger) = serve(&database, &[]).await;
    let me =
        crate::support::person::send(stranger.request(reqwest::Method::GET, "/me").bearer_auth(&token)).await;
    me.expect_problem(401, "not-signed-in");
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_cut_short_is_refused() {
    let database = Database::file();
    let secret_file = file_of(&database).with_file_name("bar.db.secret");
    for text in ["", "short", "   \n"] {
        fs::write(&secret_file, text).unwrap();
        let environment = [("DATABASE_URL", database.url.as_str()), ("BIND_ADDR", "127.0.0.1:0")];
        let sentence = super::refuses(&["serve"], &environment).await;
        assert!(sentence.contains("bar.db.secret") && sentence.contains("32 bytes"), "{sentence}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_start_at_once_both_have_the_same() {
    let database = Database::file();
    let ((one, here), (other, there)) = tokio::join!(serve(&database, &[]), serve(&database, &[]));
    let account = json!({ "username": "Ana", "email": "ana@bar.example", "password": "a good password" });
    let session = here.post("/register", account).await.expect(201);
    let ana = there.signed_in(session["token"].as_str().unwrap());
    assert_eq!(ana.get("/me").await.expect(200)["email"], "ana@bar.example");
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_others_can_write_there_is_none_and_one_must_be_given() {
    let database = Database::file();
    let folder = file_of(&database).parent().unwrap().to_owned();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let environment = [("DATABASE_URL", database.url.as_str()), ("BIND_ADDR", "127.0.0.1:0")];
    let sentence = super::refuses(&["serve"], &environment).await;
    assert!(sentence.contains("chmod go-w") && sentence.contains("JWT_SECRET"), "{sentence}");
    let (role, stranger) = serve(&database, &[("JWT_SECRET", crate::support::bar::SECRET)]).await;
    stranger.get("/recipes").await.expect(200);
    role.stop().await;
    // As anybody can make a file in a folder like /tmp.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).unwrap();
    let secret_file = file_of(&database).with_file_name("bar.db.secret");
    std::os::unix::fs::symlink("/etc/hostname", &secret_file).unwrap();
    let sentence = super::refuses(&["serve"], &environment).await;
    assert!(sentence.contains("must be a regular file"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_tells_who_lives() {
    let database = Database::file();
    let (role, stranger) = serve(&database, &[]).await;
    let url = |path: &str| format!("{}{path}", address(&stranger));
    let said = super::does(&["health", "--url", &url("/healthz")], &[]).await;
    assert!(said.contains("ok"), "{said}");
    super::does(&["health"], &[("HEALTH_URL", &url("/readyz"))]).await;
    let sentence = super::refuses(&["health", "--url", &url("/nothing")], &[]).await;
    assert!(sentence.contains("404"), "{sentence}");
    let (health, ready) = (url("/healthz"), url("/readyz"));
    role.stop().await;
    for url in [&health, &ready] {
        let sentence = super::refuses(&["health", "--url", url], &[]).await;
        assert!(sentence.contains(url.as_str()), "{sentence}");
    }
    super::refuses(&["health", "--url", "no address"], &[]).await;
}

fn address(person: &Person) -> String {
    let request = person.request(reqwest::Method::GET, "").build().expect("a request");
    request.url().as_str().trim_end_matches('/').to_owned()
}
