//! SQLite's plan for each statement. SQLite plans without looking at the data, so a few orders are enough.

use super::{background, requests};
use crate::documents::commands::block;
use crate::support::{Bar, Person, Sqlite, database::Database};
use diesel::{
    Connection, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::{Instrumentation, InstrumentationEvent, SimpleConnection, set_default_instrumentation},
    sql_query,
};
use serde_json::json;
use std::sync::{Mutex, OnceLock, PoisonError};

/// File whose statements are recorded. Other tests in this process have files of their own.
static RECORDED_FILE: OnceLock<String> = OnceLock::new();

static STATEMENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Records the statements of one connection.
#[derive(Default)]
struct StatementRecorder {
    concerned: bool,
}

impl Instrumentation for StatementRecorder {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => {
                self.concerned = RECORDED_FILE.get().is_some_and(|file| file == url);
            }
            InstrumentationEvent::StartQuery { query, .. } if self.concerned => {
                STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner).push(query.to_string());
            }
            _ => {}
        }
    }
}

/// Returns the statements since the last call.
fn heard() -> Vec<String> {
    std::mem::take(&mut STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner))
}

#[derive(QueryableByName)]
struct PlanStep {
    #[diesel(sql_type = diesel::sql_types::Text)]
    detail: String,
}

/// Returns the statement and its plan if SQLite scans, sorts or reads without bounds.
fn wrong(conn: &mut SqliteConnection, statement: &str, path: &str) -> Option<String> {
    let plan: Vec<PlanStep> =
        sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(conn).expect("a plan");
    let plan: Vec<String> = plan.into_iter().map(|step| step.detail).collect();
    let has = |part: &str| plan.iter().any(|step| step.contains(part));
    let of = |part: &str| path.contains(part);
    let newest = statement.contains("`placed_at` DESC");

    // Along an index, from its beginning, goes only what shows nearly all that is in it.
    let nearly_all = !of("table=7") && (of("status=&") || of("completed"));
    let along =
        |step: &str| step.contains("orders_working_order") || nearly_all && step.contains("orders_newest");
    // So do the parts of the audit trail that have an index of their own.
    let whole = |step: &str| step.contains("moves_newest") || step.contains("audit_of_operators");
    let kept = |step: &str| step.contains("order") || step.contains("audit");
    let scans =
        plan.iter().any(|step| step.starts_with("SCAN") && kept(step) && !along(step) && !whole(step));
    // Where in the index to begin or to end.
    let bounds = [
        (newest && of("cursor=n"), "placed_at<?"),
        (newest && of("status=pending&"), "placed_at>?"),
        (statement.contains("audit_entries") && of("cursor=a"), "at<?"),
        (statement.contains("order_moves") && of("cursor=a") && !of("subject_id="), "moved_at<?"),
        (newest && of("placed_from="), "placed_at>?"),
        (newest && of("placed_until="), "placed_at<?"),
        (statement.contains("ORDER BY `orders`.`due_at`") && of("cursor=w"), "due_at>?"),
    ];
    let unbounded = bounds.into_iter().any(|(expected, bound)| expected && !has(bound));
    // The moves of one order are few, and sorted by number.
    let sorts = has("TEMP B-TREE") && !(of("/audit") && has("order_moves_1 (order_id=?"));
    (scans || unbounded || sorts).then(|| format!("{statement}\n  {}", plan.join("\n  ")))
}

async fn orders(guest: &Person, bartender: &Person) {
    for action in ["", "start", "ready", "complete", "cancel", "fail"] {
        for _ in 0..25 {
            let order = guest.post("/orders", json!({ "recipe": "Negroni", "table": "7" })).await.expect(201);
            let path = format!("/orders/{}", order["id"].as_str().expect("an id"));
            for before in ["start", "ready"] {
                if matches!((action, before), ("ready" | "complete", "start") | ("complete", "ready")) {
                    bartender.ask(&format!("{path}/{before}")).await.expect(200);
                }
            }
            let reason = if action == "fail" { json!({ "reason": "no gin" }) } else { json!({}) };
            if !action.is_empty() {
                bartender.post(&format!("{path}/{action}"), reason).await.expect(200);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_reads_all_orders() {
    let database = Database::file();
    let file = RECORDED_FILE.get_or_init(|| database.url.trim_start_matches("sqlite://").to_owned());
    set_default_instrumentation(|| Some(Box::<StatementRecorder>::default())).expect("listening");
    let bar = Bar::open_on(database, &[]).await;
    let mut conn = SqliteConnection::establish(file).expect("the file");
    conn.set_instrumentation(|_: InstrumentationEvent<'_>| {});
    orders(&bar.customer().await, &bar.employee().await).await;
    let requests = requests(&bar, 150, 1).await;
    let (mut looked_at, mut all_wrong) = (0, Vec::new());
    heard();
    for request in requests {
        request.ask(&bar.url).await;
        for statement in
            heard().into_iter().filter(|statement| statement.contains("order") || statement.contains("audit"))
        {
            looked_at += 1;
            if let Some(wrong) = wrong(&mut conn, &statement, &request.path) {
                all_wrong.push(format!("{}: {wrong}", request.name));
            }
        }
    }
    let store = bar.database.store();
    background(&store, 100).await;
    store.close();
    let own = heard().into_iter().filter(|statement| statement.contains("FROM `orders`"));
    let own: Vec<_> = own.map(|statement| (wrong(&mut conn, &statement, ""), statement)).collect();
    assert_eq!(own.len(), 2, "{own:?}");
    all_wrong.extend(own.into_iter().filter_map(|(wrong, _)| wrong));
    assert!(looked_at > 100, "only {looked_at} statements were heard");
    assert!(all_wrong.is_empty(), "\n{}", all_wrong.join("\n"));
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_orders_are_deleted_as_documented() {
    let bar = Bar::open(Sqlite).await;
    orders(&bar.customer().await, &bar.employee().await).await;
    let mut conn =
        SqliteConnection::establish(bar.database.url.trim_start_matches("sqlite://")).expect("the file");
    conn.batch_execute("PRAGMA busy_timeout = 5000").expect("a setting");
    // All but the last 30 are old: finished ones, and such as nobody finished.
    let aged =
        "UPDATE orders SET placed_at = strftime('%Y-%m-%d %H:%M:%f', placed_at, '-13 months') || '000+00:00'
        WHERE id NOT IN (SELECT id FROM orders ORDER BY placed_at DESC LIMIT 30)";
    conn.batch_execute(aged).expect("UPDATE");
    let old = "orders WHERE placed_at < date('now', '-1 year')";
    let finished = format!("{old} AND status IN ('completed', 'cancelled', 'failed')");
    let [all, before, gone] = ["orders", old, &finished].map(|rows| count(&mut conn, rows));
    assert!(
        gone > 30 && before > gone && all > before,
        "{all}, of which {before} are old, and {gone} finished"
    );

    let statements = block("CREATE TEMP TABLE old").commands.replace("LIMIT 5000", "LIMIT 20");
    while count(&mut conn, &finished) > 0 {
        let left = count(&mut conn, &finished);
        conn.batch_execute(&statements).expect("DELETE");
        assert_eq!(count(&mut conn, &finished), left - left.min(20), "a batch");
    }
    assert_eq!(count(&mut conn, old), before - gone, "what is not finished stays");
    assert_eq!(count(&mut conn, "orders"), all - gone);
    for part in ["order_lines", "order_moves"] {
        assert_eq!(
            count(&mut conn, &format!("orders WHERE id IN (SELECT order_id FROM {part})")),
            all - gone,
            "{part}"
        );
        assert_eq!(
            count(&mut conn, &format!("{part} WHERE order_id NOT IN (SELECT id FROM orders)")),
            0,
            "{part}"
        );
    }
    bar.close().await;
}

fn count(conn: &mut SqliteConnection, rows: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        count: i64,
    }
    let counted: Count =
        sql_query(format!("SELECT count(*) AS count FROM {rows}")).get_result(conn).expect("a count");
    counted.count
}
