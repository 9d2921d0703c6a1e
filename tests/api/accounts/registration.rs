use super::{login, registration, tells_no_hash};
use crate::support::{Bar, DatabaseKind, PostgreSql, Sqlite};
use rstest::rstest;
use serde_json::{Value, json};

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_registers_is_a_customer_and_signed_in(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let answer =
        bar.stranger().post("/register", registration("Ana", "Ana@Bar.Example", "a good password")).await;
    tells_no_hash(&answer.text);
    assert_eq!(answer.header("cache-control"), Some("no-store"), "nobody keeps a token for others");
    let answer = answer.expect(201);
    let user = &answer["user"];
    assert_eq!(
        (&user["username"], &user["role"], &user["active"]),
        (&json!("Ana"), &json!("customer"), &json!(true))
    );
    assert!(user["created_at"].as_str().unwrap().ends_with('Z'), "{user}");
    let me = bar.holder_of(answer["token"].as_str().unwrap()).get("/me").await;
    tells_no_hash(&me.text);
    assert_eq!(&me.expect(200), user);
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_one_account_whatever_its_case(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let password = "a good password";
    bar.stranger().post("/register", registration("Ana", "Ana@Bar.Example", password)).await.expect(201);
    for email in ["Ana@Bar.Example", "ana@bar.example", "ANA@BAR.EXAMPLE", " ana@bar.example "] {
        bar.stranger()
            .post("/register", registration("Ben", email, "another password"))
            .await
            .expect_problem(409, "email-taken");
        assert_eq!(login(&bar, email, password).await.expect(200)["user"]["username"], "Ana");
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_want_one_address_one_gets_it(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let asking: Vec<_> = (0..10)
        .map(|n| {
            let (stranger, wish) =
                (bar.stranger(), registration(&n.to_string(), "ana@bar.example", "a good password"));
            tokio::spawn(async move { stranger.post("/register", wish).await })
        })
        .collect();
    let mut got = 0;
    for answer in asking {
        let answer = answer.await.unwrap();
        if answer.status == 201 {
            got += 1;
        } else {
            answer.expect_problem(409, "email-taken");
        }
    }
    assert_eq!(got, 1);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_registration_is_refused_and_its_wrong_field_named() {
    let bar = Bar::open(Sqlite).await;
    let with = |field: &str, value: Value| {
        let mut registration = registration("Ana", "ana@bar.example", "a good password");
        registration[field] = value;
        registration
    };
    let without = |field: &str| {
        let mut registration = with(field, Value::Null);
        registration.as_object_mut().unwrap().remove(field);
        registration
    };
    for (body, field) in [
        (with("username", json!("")), "username"),
        (with("username", json!("   ")), "username"),
        (with("username", json!("a".repeat(61))), "username"),
        (with("username", json!(7)), "username"),
        (without("username"), "username"),
        (with("email", json!("")), "email"),
        (with("email", json!("ana")), "email"),
        (with("email", json!("ana@")), "email"),
        (with("email", json!("a b@bar.example")), "email"),
        (with("email", json!("ana@bar.example\r\nBcc: all@bar.example")), "email"),
        (with("email", json!(format!("{}@bar.example", "a".repeat(250)))), "email"),
        (without("email"), "email"),
        (without("password"), "password"),
        (with("password", Value::Null), "password"),
        // Registration makes customers only.
        (with("role", json!("admin")), "role"),
        (with("active", json!(true)), "active"),
        (with("id", json!("00000000-0000-7000-8000-000000000000")), "id"),
    ] {
        let shown = body.to_string();
        let problem = bar.stranger().post("/register", body).await.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{shown}: {problem}");
    }
    let users = bar.admin().await.get("/users").await.expect(200);
    assert_eq!(users["users"].as_array().unwrap().len(), 3, "only the demo accounts: {users}");
    bar.close().await;
}
