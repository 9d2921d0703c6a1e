//! `ETag`: a client that has the current menu gets a 304.

use super::{glass_of_water, water_with};
use crate::support::{
    Bar, DatabaseKind, Person, PostgreSql, Sqlite,
    person::{Answer, send},
};
use reqwest::Method;
use rstest::rstest;
use serde_json::json;

async fn get(person: &Person, path: &str, known: &str) -> Answer {
    send(person.request(Method::GET, path).header("If-None-Match", known)).await
}

/// Returns the current `ETag` of a path.
async fn tag_of(person: &Person, path: &str) -> String {
    let answer = person.get(path).await;
    let tag = answer.header("etag").expect("a tag").to_owned();
    answer.expect(200);
    tag
}

async fn is_not_sent(person: &Person, path: &str, known: &str, tag: &str) {
    let answer = get(person, path, known).await;
    assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{path} for {known}");
    assert_eq!(answer.header("etag"), Some(tag), "304 tells the tag too");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_has_is_not_sent_again(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let guest = bar.stranger();
    for path in ["/recipes", "/recipes/negroni"] {
        let tag = tag_of(&guest, path).await;
        assert_eq!(tag_of(&guest, path).await, tag, "it stays while nothing changes");
        let strong = tag.strip_prefix("W/").unwrap_or(&tag);
        for known in [
            &tag,
            strong,
            "*",
            &format!("\"x\", {tag}"),
            &format!("{tag}, W/\"x\""),
            &format!("\"x\",{tag},\"y\""),
        ] {
            is_not_sent(&guest, path, known, &tag).await;
        }
        for other in ["\"x\"", "W/\"x\", \"y\"", "", "x", &tag[..tag.len() - 2]] {
            let answer = get(&guest, path, other).await;
            assert_eq!(answer.header("etag"), Some(tag.as_str()));
            answer.expect(200);
        }
    }
    let list = tag_of(&guest, "/recipes").await;
    get(&guest, "/recipes/negroni", &list).await.expect(200);
    // What is not there has no tag that a client could have.
    get(&guest, "/recipes/engine%20oil", "*").await.expect_problem(404, "not-found");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_changes_the_tag(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, bartender) = (bar.stranger(), bar.employee().await);
    let mut before = tag_of(&guest, "/recipes").await;
    let mut changed = async |what: &str| {
        let now = tag_of(&guest, "/recipes").await;
        assert_ne!(now, before, "{what}");
        get(&guest, "/recipes", &before).await.expect(200);
        before = now;
    };
    let negroni = tag_of(&guest, "/recipes/negroni").await;
    bartender.put("/recipes/mojito/availability", json!({ "available": false })).await.expect(200);
    changed("selling out").await;
    assert_eq!(tag_of(&guest, "/recipes/negroni").await, negroni, "another drink's tag stays");
    bartender.put("/recipes/mojito/availability", json!({ "available": true })).await.expect(200);
    changed("coming back").await;
    bartender.post("/recipes", glass_of_water()).await.expect(201);
    changed("adding").await;
    bartender.put("/recipes/glass%20of%20water", water_with("method", json!("Just pour."))).await.expect(200);
    changed("replacing").await;
    bartender.delete("/recipes/glass%20of%20water").await.expect(204);
    changed("archiving").await;
    bar.close().await;
}
