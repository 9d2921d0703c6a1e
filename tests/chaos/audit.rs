//! Compares the answers with the final state of the database.

use crate::{
    Result,
    ledger::{Attempt, AttemptStatus, Ledger, Reply, note},
    scene::Scene,
};
use std::collections::HashMap;
use tokio_postgres::Client;

/// Violations of the promise that an accepted order is recorded once.
#[derive(Debug, Default)]
pub struct Verdict {
    pub lost: usize,
    pub doubled: usize,
    pub other: usize,
    pub dead: usize,
    pub lines: Vec<String>,
}

impl Verdict {
    pub fn violations(&self) -> usize {
        self.lost + self.doubled + self.other
    }

    fn other(&mut self, line: String) {
        self.other += 1;
        self.lines.push(line);
    }
}

struct Row {
    id: String,
    status: String,
    lines: Option<String>,
}

impl Row {
    fn shown(rows: &[Self]) -> String {
        let shown: Vec<_> = rows
            .iter()
            .map(|row| format!("{} {} ({})", row.status, row.id, row.lines.as_deref().unwrap_or("no lines")))
            .collect();
        if shown.is_empty() { "nothing".into() } else { shown.join(" and ") }
    }
}

/// Histories with a gap, with another length than the order's version, or with transitions that don't follow from each
/// other. An order that was claimed twice has one.
const BROKEN_HISTORIES: &str = "
    SELECT o.id::text, o.note, o.status, o.version,
           (SELECT string_agg(m.number || ' ' || m.from_status || ' to ' || m.to_status, ', ' ORDER BY m.number)
            FROM order_moves m WHERE m.order_id = o.id)
    FROM orders o
    WHERE o.id NOT IN (
        SELECT order_id FROM (
            SELECT order_id, number, to_status,
                   from_status = lag(to_status, 1, 'queued') OVER history AND number = row_number() OVER history AS good
            FROM order_moves WINDOW history AS (PARTITION BY order_id ORDER BY number)
        ) moves JOIN orders ON orders.id = order_id
        GROUP BY order_id, version, status
        HAVING bool_and(good) AND max(number) = version
           AND max(to_status) FILTER (WHERE number = version) = status
    )";

pub async fn audit(scene: &Scene) -> Result<Verdict> {
    let database = scene.servers.data.postgres.client(&scene.database).await?;
    let mut verdict = Verdict::default();
    for finding in &scene.findings {
        verdict.other(finding.clone());
    }
    let letters = dead_letters(&database, scene, &mut verdict).await?;
    reused_keys(&database, scene, &mut verdict).await?;
    let rows = orders(&database).await?;
    compare(&scene.load.ledger(), rows, &letters, &mut verdict);
    for row in database.query(BROKEN_HISTORIES, &[]).await? {
        let column = |at: usize| row.get::<_, Option<String>>(at).unwrap_or_default();
        verdict.other(format!(
            "{} ({}) has a broken history: {} in version {}, after {}",
            column(1),
            column(0),
            column(2),
            row.get::<_, i32>(3),
            column(4),
        ));
    }
    Ok(verdict)
}

fn compare(ledger: &Ledger, mut rows: HashMap<String, Vec<Row>>, letters: &[String], verdict: &mut Verdict) {
    for (number, attempt) in ledger.attempts.iter().enumerate() {
        let name = note(number);
        let of = |name: &str| rows.get(name).map(Vec::as_slice).unwrap_or_default();
        let rival = attempt.rival.map_or(&[][..], |rival| of(&note(rival)));
        judge(&name, attempt, of(&name), rival, letters, verdict);
    }
    for number in 0..ledger.attempts.len() {
        rows.remove(&note(number));
    }
    for (note, rows) in rows {
        verdict.other(format!("orders that nobody asked for, {note:?}: {}", Row::shown(&rows)));
    }
    refusals(ledger, verdict);
}

/// Compares one attempt with its rows. `rival` has the rows of the other order under the same key: only one of the two
/// is recorded, and the answers to both promised that one.
fn judge(
    name: &str,
    attempt: &Attempt,
    rows: &[Row],
    rival: &[Row],
    letters: &[String],
    verdict: &mut Verdict,
) {
    let has = || format!("{name} {attempt}; the database has {}", Row::shown(rows));
    let ids = attempt.ids();
    let dead = ids.iter().any(|id| letters.iter().any(|letter| letter == id));
    let other_is_kept = rival.iter().any(|row| ids.contains(&row.id.as_str()));
    match (attempt.status(), rows) {
        (_, [_, _, ..]) => {
            verdict.doubled += 1;
            verdict.lines.push(format!("doubled: {}", has()));
        }
        (_, [_]) if !rival.is_empty() => {
            verdict.doubled += 1;
            verdict.lines.push(format!("both under one key: {} and {}", has(), Row::shown(rival)));
        }
        (AttemptStatus::Accepted, []) if !dead && !other_is_kept => {
            verdict.lost += 1;
            verdict.lines.push(format!("lost: {}", has()));
        }
        (AttemptStatus::Refused, [_]) => verdict.other(format!("refused and stored: {}", has())),
        (AttemptStatus::Accepted, [row]) if ids.iter().any(|id| *id != row.id) => {
            verdict.other(format!("another id than was promised: {}", has()));
        }
        (_, [row]) if row.lines.as_deref() != Some(&attempt.lines) => {
            verdict.other(format!("other drinks than {}: {}", attempt.lines, has()));
        }
        _ => {}
    }
}

/// Notes refusals with a 4xx. All orders are valid and all guests are signed in, so only a reused key justifies one.
fn refusals(ledger: &Ledger, verdict: &mut Verdict) {
    for (number, attempt) in ledger.attempts.iter().enumerate() {
        let key_used =
            |why: &str| attempt.rival.is_some() && why.starts_with("422 /problems/idempotency-key-reused");
        let unfounded =
            |reply: &Reply| matches!(reply, Reply::Refused(why) if why.starts_with('4') && !key_used(why));
        if attempt.answers.iter().any(|answer| unfounded(&answer.reply)) {
            verdict.other(format!("a good order was refused: {} {attempt}", note(number)));
        }
    }
}

async fn orders(database: &Client) -> Result<HashMap<String, Vec<Row>>> {
    let query = "SELECT id::text, coalesce(note, ''), status,
                        (SELECT string_agg(l.quantity || ' ' || l.recipe_name, ', ' ORDER BY l.position)
                         FROM order_lines l WHERE l.order_id = o.id)
                 FROM orders o";
    let mut orders: HashMap<String, Vec<Row>> = HashMap::new();
    for row in database.query(query, &[]).await? {
        let order = Row { id: row.get(0), status: row.get(2), lines: row.get(3) };
        orders.entry(row.get(1)).or_default().push(order);
    }
    Ok(orders)
}

/// Returns the ids of the dead letters, each of which must be expected.
async fn dead_letters(database: &Client, scene: &Scene, verdict: &mut Verdict) -> Result<Vec<String>> {
    let query = "SELECT coalesce(order_id::text, ''), reason FROM dead_letters ORDER BY created_at";
    let letters: Vec<(String, String)> =
        database.query(query, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    verdict.dead = letters.len();
    let mut expected: Vec<_> = scene.dead.clone();
    for (id, reason) in &letters {
        match expected.iter().position(|expected| expected == id) {
            Some(at) => drop(expected.swap_remove(at)),
            None => verdict.other(format!("a dead letter that was not expected: {id}: {reason}")),
        }
    }
    for id in expected {
        verdict.other(format!("a bad message did not become a dead letter: {id}"));
    }
    Ok(letters.into_iter().map(|(id, _)| id).collect())
}

/// Checks that the history of each order whose key was used for another one says so.
async fn reused_keys(database: &Client, scene: &Scene, verdict: &mut Verdict) -> Result<()> {
    let query = "SELECT reused.id FROM unnest($1::text[]) AS reused (id)
                 WHERE NOT EXISTS (SELECT FROM orders_not_taken n WHERE n.order_id = reused.id::uuid)";
    for row in database.query(query, &[&scene.reused]).await? {
        verdict.other(format!("nothing says that a key was used twice: {}", row.get::<_, String>(0)));
    }
    Ok(())
}
