//! Sessions that PostgreSQL ends (a failover, an operator, a crash of another session): transactions that were not
//! committed are retried on a new connection.

use super::*;
use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;
use shakerqueue::store::{Conn, Error};

/// Makes inserts into this table end their session this many times, while the statement runs.
async fn end_sessions_that_insert(fixture: &StoreFixture, table: &str, times: u32) {
    let trigger =
        format!("CREATE TRIGGER strike BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION strike()");
    fixture.database.execute(&[strike(times), trigger].concat()).await;
}

/// Makes inserts into this table end their session this many times, when the transaction commits.
async fn end_sessions_that_commit(fixture: &StoreFixture, table: &str, times: u32) {
    let trigger = format!(
        "CREATE CONSTRAINT TRIGGER strike AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION strike()"
    );
    fixture.database.execute(&[strike(times), trigger].concat()).await;
}

/// Returns a trigger function that ends its own session this many times. It counts with a sequence, which no rollback
/// resets.
fn strike(times: u32) -> String {
    format!(
        "CREATE SEQUENCE strikes;
         CREATE FUNCTION strike() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('strikes') <= {times} THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
             RETURN NEW;
         END $$;"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_meets_a_dead_connection_is_recorded_on_the_next_one() {
    let fixture = StoreFixture::new(PostgreSql).await;
    end_sessions_that_insert(&fixture, "orders", 1).await;
    assert_eq!(fixture.record(&fixture.orders(10)).await, vec![RECORDED; 10]);
    assert_eq!(fixture.database.count("orders").await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_connection_dies_during_the_commit_is_recorded_under_the_same_ids() {
    let fixture = StoreFixture::new(PostgreSql).await;
    end_sessions_that_commit(&fixture, "orders", 1).await;
    let batch = fixture.orders(10);
    assert_eq!(fixture.record(&batch).await, vec![RECORDED; 10]);
    assert_eq!(fixture.record(&batch).await, vec![RecordOutcome::AlreadyThere; 10]);
    assert_eq!(fixture.database.count("orders").await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_tried_twice_and_not_for_ever() {
    let fixture = StoreFixture::new(PostgreSql).await;
    end_sessions_that_insert(&fixture, "orders", 2).await;
    let batch = fixture.orders(10);
    assert_eq!(fixture.record(&batch).await, vec![RecordOutcome::Retryable; 10]);
    assert_eq!(fixture.record(&batch).await, vec![RECORDED; 10]);

    let fixture = StoreFixture::new(PostgreSql).await;
    end_sessions_that_commit(&fixture, "orders", 2).await;
    assert_eq!(
        fixture.record(&fixture.orders(1)).await,
        [RecordOutcome::Unknown],
        "each of them may be stored"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_counts_twice_is_not_made_again_once_its_commit_was_sent() {
    let fixture = StoreFixture::new(PostgreSql).await;
    let add = async |name: &str| {
        let email = Email::try_from(format!("{name}@example.com").as_str()).unwrap();
        let user = new_user(Username::try_from(name).unwrap(), email, Role::Customer);
        fixture.store.write(async move |conn| users::add(conn, &user, "no hash").await).await
    };
    end_sessions_that_commit(&fixture, "users", 1).await;
    assert!(matches!(add("ben").await, Err(Error::OutcomeUnknown(_))));
    assert_eq!(fixture.database.count("users WHERE username = 'ben'").await, 0);

    // Before that it is: nothing of it was kept.
    let again = "DROP TRIGGER strike ON users; DROP FUNCTION strike; DROP SEQUENCE strikes;";
    fixture.database.execute(again).await;
    end_sessions_that_insert(&fixture, "users", 1).await;
    add("ben").await.expect("added");
    assert_eq!(fixture.database.count("users WHERE username = 'ben'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_that_meets_a_dead_connection_reads_on_the_next_one() {
    let fixture = StoreFixture::new(PostgreSql).await;
    fixture.database.execute("CREATE SEQUENCE strikes").await;
    let end_own_session = || {
        fixture.store.read(async |conn| {
            let Conn::Pg(conn) = conn else { panic!("it is PostgreSQL") };
            let strike = "DO $$ BEGIN IF nextval('strikes') = 1 THEN
                    PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5);
                END IF; END $$";
            Ok(conn.batch_execute(strike).await?)
        })
    };
    end_own_session().await.expect("read");

    // All that are open at once: nobody gets another one that is dead as well.
    let name = fixture.database.name();
    for outcome in join_all((0..16).map(|_| fixture.store.ping())).await {
        outcome.expect("read");
    }
    let end_all = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    );
    fixture.database.client().await.batch_execute(&end_all).await.expect("ended");
    for outcome in join_all((0..16).map(|_| fixture.store.ping())).await {
        outcome.expect("read");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_a_statement_is_not_tried_again() {
    let fixture = StoreFixture::new(PostgreSql).await;
    fixture.database.execute("CREATE SEQUENCE strikes").await;
    let failing = fixture.store.write(async |conn| {
        let Conn::Pg(conn) = conn else { panic!("it is PostgreSQL") };
        conn.batch_execute("SELECT nextval('strikes')").await?;
        Ok(conn.batch_execute("SELECT 1 / 0").await?)
    });
    assert!(failing.await.is_err());
    assert_eq!(fixture.database.count("strikes WHERE last_value = 1").await, 1);
}
