//! Passwords: length, comparison and change.

use super::{login, registration, tells_no_hash};
use crate::support::{Bar, DatabaseKind, PostgreSql, Sqlite, person::Answer};
use rstest::rstest;
use serde_json::json;
use shakerqueue::{domain::account::Email, store::users};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_has_8_to_72_bytes() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    // As they are hashed: some characters become less, or more, by normalizing.
    let too_long = ["x".repeat(73), "ñ".repeat(37), "x".repeat(1000), "\u{fdfa}".repeat(3)];
    for password in ["", "1234567", "ñññ", "ｘｙｚ", "\u{fdfa}"].map(str::to_owned).iter().chain(&too_long)
    {
        let answer = bar.stranger().post("/register", registration("Ana", "ana@bar.example", password)).await;
        let problem = answer.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "password", "{password}: {problem}");
        assert!(
            password.is_empty() || !problem.to_string().contains(password),
            "it repeats the password: {problem}"
        );
        let change = json!({ "current_password": "a good password", "new_password": password });
        let problem = guest.put("/me/password", change).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "new_password", "{password}: {problem}");
    }
    for (email, password) in [
        ("short@bar.example", "q7#fL2vx".to_owned()),
        ("long@bar.example", "q7#fL2vx".repeat(9)),
        ("wide@bar.example", "ñéøßåçłž€".repeat(4).chars().take(34).collect()),
        ("decomposed@bar.example", "n\u{303}e\u{301}a\u{30a}c\u{327}u\u{308}o\u{302}".repeat(6)),
    ] {
        bar.stranger().post("/register", registration("Ana", email, &password)).await.expect(201);
        login(&bar, email, &password).await.expect(200);
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_of_a_password_counts() {
    let bar = Bar::open(Sqlite).await;
    let email = "ana@bar.example";
    let longest: String = (0..72).map(|n| char::from(b'!' + u8::try_from(n * 29 % 90).unwrap())).collect();
    bar.stranger().post("/register", registration("Ana", email, &longest)).await.expect(201);
    login(&bar, email, &longest).await.expect(200);
    // bcrypt reads 72 bytes, and some implementations stop at 71 or ignore what follows.
    for near in [&longest[..71], &longest[1..], &format!("{longest}x"), &format!("{}x", &longest[..71]), ""] {
        login(&bar, email, near).await.expect_problem(401, "wrong-password");
    }
    // A password and what it would repeat behind a NUL have one hash.
    login(&bar, "user@example.com", "password123\0password123").await.expect_problem(401, "wrong-password");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_address_and_a_wrong_password_can_not_be_told_apart(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let wrong = login(&bar, "user@example.com", "a wrong password").await;
    assert_eq!(wrong.header("www-authenticate"), Some("Bearer"));
    for (email, password) in [
        ("nobody@example.com", "password123"),
        ("user@example.com.", "password123"),
        ("no address at all", "password123"),
        ("user@example.com", "Password123"),
        ("user@example.com", "password1234"),
        ("user@example.com", ""),
        ("user@example.com", &"x".repeat(1000)),
    ] {
        let answer = login(&bar, email, password).await;
        // All but the request's id, which is no longer for one than for another.
        let told = |answer: &Answer| {
            let mut body = answer.body.clone();
            body.as_object_mut().unwrap().remove("request_id");
            (answer.status, body, answer.text.len())
        };
        assert_eq!(told(&answer), told(&wrong), "{email} {password}");
        answer.expect_problem(401, "wrong-password");
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_would_try_first_is_no_password(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    for password in [
        "password",
        "password123",
        "Passw0rd!",
        "12345678",
        "qwertyuiop",
        "xxxxxxxxxxxxxxxx",
        "ana-maria",
        "ana@tiki.example",
        "shakerqueue1",
    ] {
        let asked =
            bar.stranger().post("/register", registration("Ana-Maria", "ana@tiki.example", password)).await;
        let problem = asked.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "#/password", "{password}: {problem}");
    }
    let registered = bar
        .stranger()
        .post("/register", registration("Ana-Maria", "ana@tiki.example", "five limes and a spoon"))
        .await
        .expect(201);
    let ana = bar.holder_of(registered["token"].as_str().unwrap());
    let change = json!({ "current_password": "five limes and a spoon", "new_password": "anamaria1" });
    let problem = ana.put("/me/password", change).await.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "#/new_password", "{problem}");
    login(&bar, "ana@tiki.example", "five limes and a spoon").await.expect(200);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hash_is_renewed_at_login_when_its_cost_has_risen(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (email, password) = ("ana@tiki.example", "five limes and a spoon");
    bar.stranger().post("/register", registration("Ana", email, password)).await.expect(201);
    let cost = async || {
        let store = bar.database.store();
        let address = Email::try_from(email).unwrap();
        let found = store.read(async move |conn| users::by_email(conn, &address).await).await;
        store.close();
        found.unwrap().unwrap().1[..7].to_owned()
    };
    assert_eq!(cost().await, "$2b$04$");
    let dearer = Bar::open_on(bar.database.lent(), &["--bcrypt-cost", "5"]).await;
    login(&dearer, email, "a wrong password").await.expect_problem(401, "wrong-password");
    assert_eq!(cost().await, "$2b$04$");
    login(&dearer, email, password).await.expect(200);
    assert_eq!(cost().await, "$2b$05$");
    // And a cheaper one leaves it alone.
    login(&bar, email, password).await.expect(200);
    login(&dearer, email, password).await.expect(200);
    assert_eq!(cost().await, "$2b$05$");
    dearer.close().await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_the_same_on_every_keyboard(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    // Composed, decomposed, and in full width.
    let forms = ["fünf Limetten", "fu\u{308}nf Limetten", "ｆünf\u{3000}Limetten"];
    for (number, typed) in forms.into_iter().enumerate() {
        let email = format!("ana{number}@tiki.example");
        bar.stranger().post("/register", registration("Ana", &email, typed)).await.expect(201);
        for form in forms {
            let signed_in = login(&bar, &email, form).await.expect(200);
            let ana = bar.holder_of(signed_in["token"].as_str().unwrap());
            let change = json!({ "current_password": form, "new_password": typed });
            ana.put("/me/password", change).await.expect(204);
        }
        login(&bar, &email, "funf Limetten").await.expect_problem(401, "wrong-password");
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_was_hashed_as_it_was_typed_opens_its_account_and_is_normalized(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let (email, typed, composed) = ("ana@tiki.example", "fu\u{308}nf Limetten", "fünf Limetten");
    bar.stranger().post("/register", registration("Ana", email, "five limes and a spoon")).await.expect(201);
    let set = async |hash: String| {
        let (store, address) = (bar.database.store(), Email::try_from(email).unwrap());
        let set = store.write(async move |conn| {
            let (user, _) = users::by_email(conn, &address).await?.expect("an account");
            users::set_password_hash(conn, user.id, &hash).await
        });
        assert!(set.await.expect("set"));
        store.close();
    };
    // As an earlier release made it.
    let raw = bcrypt::hash(typed, 4).unwrap();
    set(raw.clone()).await;
    login(&bar, email, composed).await.expect_problem(401, "wrong-password");
    login(&bar, email, typed).await.expect(200);
    // From then on it is found in each form.
    login(&bar, email, composed).await.expect(200);
    login(&bar, email, typed).await.expect(200);
    set(raw).await;
    let ana = bar.holder_of(login(&bar, email, typed).await.expect(200)["token"].as_str().unwrap());
    let change = json!({ "current_password": typed, "new_password": "six limes and a spoon" });
    ana.put("/me/password", change).await.expect(204);
    login(&bar, email, typed).await.expect_problem(401, "wrong-password");
    // One that can't be set any more opens its account as before.
    set(bcrypt::hash("ｘｙｚ", 4).unwrap()).await;
    login(&bar, email, "ｘｙｚ").await.expect(200);
    login(&bar, email, "xyz").await.expect_problem(401, "wrong-password");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_changed_by_who_knows_it(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let guest = bar.guest().await;
    let email = guest.get("/me").await.expect(200)["email"].as_str().unwrap().to_owned();
    let change = |old: &str, new: &str| json!({ "current_password": old, "new_password": new });
    guest
        .put("/me/password", change("a wrong password", "a new password"))
        .await
        .expect_problem(403, "not-permitted");
    login(&bar, &email, "a good password").await.expect(200);
    let changed = guest.put("/me/password", change("a good password", "a new password")).await;
    tells_no_hash(&changed.text);
    changed.expect(204);
    login(&bar, &email, "a good password").await.expect_problem(401, "wrong-password");
    login(&bar, &email, "a new password").await.expect(200);
    guest
        .put("/me/password", change("a good password", "another password"))
        .await
        .expect_problem(403, "not-permitted");
    let stranger = bar.stranger().put("/me/password", change("a new password", "another password")).await;
    stranger.expect_problem(401, "not-signed-in");
    // Everyone else's password is as it was.
    login(&bar, "user@example.com", "password123").await.expect(200);
    bar.close().await;
}
