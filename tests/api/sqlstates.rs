//! PostgreSQL's error codes: transient errors are retried, permanent ones are not.

use crate::support::{Bar, Person, PostgreSql, database::Database, eventually, installation::Installation};
use serde_json::json;

/// Trigger that fails for each order whose note is an error code, with that code and a meaningless message.
const FAULT_TRIGGER: &str = "
    CREATE FUNCTION fail_by_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.note ~ '^[0-9A-Z]{5}$' THEN RAISE EXCEPTION 'Fehler' USING ERRCODE = NEW.note; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER fail_by_note BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION fail_by_note()";

async fn failing_by_note() -> Database {
    let database = Database::new(PostgreSql).await;
    database.client().await.batch_execute(FAULT_TRIGGER).await.expect("a trigger");
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_answered_by_what_the_code_means() {
    let bar = Bar::open_on(failing_by_note().await, &[]).await;
    let guest = bar.guest().await;
    let place = async |note: &str| guest.post("/orders", json!({ "recipe": "Negroni", "note": note })).await;
    // A character that the encoding lacks, a text that is too long, a limit of the program.
    for code in ["22P05", "22021", "22001", "22003", "54000", "21000"] {
        let refused = place(code).await;
        assert_eq!(refused.header("retry-after"), None, "{code}");
        let problem = refused.expect_problem(422, "value-refused");
        assert!(
            !problem.to_string().contains("Fehler"),
            "it tells a client what the database said: {problem}"
        );
    }
    for code in ["09000", "44000", "27000"] {
        place(code).await.expect_problem(500, "internal");
    }
    for code in
        ["40001", "40P01", "42501", "42P01", "53100", "55P03", "57014", "58030", "XX000", "0A000", "P0001"]
    {
        let refused = place(code).await;
        assert!(refused.header("retry-after").is_some(), "{code}");
        refused.expect_problem(503, "unavailable");
    }
    // None of it spoiled anything for others.
    for note in ["No ice", "22", "a 22021 b"] {
        place(note).await.expect(201);
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_beside_one_that_can_not_be_stored_are_stored() {
    let bar = Bar::open_on(failing_by_note().await, &[]).await;
    let guest = bar.guest().await;
    let notes: Vec<_> = (0..20).map(|number| if number % 5 == 0 { "22021" } else { "No ice" }).collect();
    let place = |note: &&str| {
        let (guest, order) = (guest.clone(), json!({ "recipe": "Negroni", "note": note }));
        async move { guest.post("/orders", order).await.status }
    };
    let answers = futures_util::future::join_all(notes.iter().map(place)).await;
    for (note, status) in notes.iter().zip(answers) {
        assert_eq!(status, if *note == "22021" { 422 } else { 201 }, "{note}");
    }
    assert_eq!(bar.database.count("orders").await, 16);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_makes_a_dead_letter_of_it_at_once_and_tries_the_rest_again() {
    let bar = Installation::new().await;
    bar.database.client().await.batch_execute(FAULT_TRIGGER).await.expect("a trigger");
    let (serve, url) = bar.serve().await;
    // Nothing that is put off comes back while this test looks.
    let work = bar.work_with(&[("RETRY_SECONDS", "86400")]).await;
    let guest = bar.sign_in(&url, "user@example.com").await;
    let place = async |note: &str| {
        guest.post("/orders", json!({ "recipe": "Negroni", "note": note })).await.expect(202)
    };
    place("57014").await;
    let (refused, rejected, good) = (place("22021").await, place("44000").await, place("No ice").await);
    let becomes = async |order: &serde_json::Value, status: &str| {
        eventually(status, async || (guest.sees(order).await.expect(200)["status"] == status).then_some(()))
            .await;
    };
    becomes(&good, "pending").await;
    becomes(&refused, "failed").await;
    becomes(&rejected, "failed").await;
    let admin: Person = bar.sign_in(&url, "admin@example.com").await;
    let letters = admin.get("/dead-letters").await.expect(200);
    let letters = letters["dead_letters"].as_array().expect("letters").clone();
    assert_eq!(letters.len(), 2, "what may pass is none: {letters:?}");
    for code in ["22021", "44000"] {
        let letter = letters.iter().find(|letter| letter["reason"].to_string().contains(code));
        assert_eq!(letter.expect("its letter")["attempts"], 1, "{letters:?}");
    }
    work.stop().await;
    serve.stop().await;
    crate::support::broker::delete_queues(&bar.prefix.name, &["orders.after.86400000ms"]).await;
    bar.prefix.clear().await;
}
