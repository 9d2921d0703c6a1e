use super::{registration, tells_no_hash};
use crate::support::{Bar, DatabaseKind, PostgreSql, Sqlite};
use rstest::rstest;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admins_page_through_all_accounts_oldest_first(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let admin = bar.admin().await;
    let mut emails: Vec<String> = Vec::new();
    for n in 0..5 {
        let email = format!("{n}@bar.example");
        bar.stranger().post("/register", registration("Ana", &email, "a good password")).await.expect(201);
        emails.push(email);
    }
    let (mut seen, mut created, mut pages) = (Vec::new(), Vec::new(), 0);
    let mut path = "/users?limit=3".to_owned();
    loop {
        let answer = admin.get(&path).await;
        tells_no_hash(&answer.text);
        let page = answer.expect(200);
        pages += 1;
        for user in page["users"].as_array().unwrap() {
            seen.push(user["email"].as_str().unwrap().to_owned());
            created.push(user["created_at"].as_str().unwrap().to_owned());
            for field in ["id", "username", "role", "active"] {
                assert!(!user[field].is_null(), "no {field}: {user}");
            }
        }
        // Who comes in meanwhile comes last, and moves nobody.
        if pages == 1 {
            bar.guest().await;
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/users?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (9, 3), "3 of the demo, 5 and 1 more: {seen:?}");
    assert_eq!(&seen[3..8], emails);
    assert!(created.is_sorted(), "{created:?}");
    let mut demo = seen[..3].to_vec();
    demo.sort();
    assert_eq!(demo, ["admin@example.com", "employee@example.com", "user@example.com"]);
    let whole = admin.get("/users").await.expect(200);
    assert_eq!(
        (whole["users"].as_array().unwrap().len(), &whole["next_cursor"]),
        (9, &serde_json::Value::Null)
    );
    bar.close().await;
}
