//! Messages larger than any that this program publishes: each costs one dead letter, one log line, and no memory.

use crate::support::{broker, eventually, executable::Role, installation::Installation};
use serde_json::json;
use std::fs;
use tempfile::NamedTempFile;
use uuid::Uuid;

const MEBIBYTE: usize = 1024 * 1024;
/// Limit on a worker's memory. Idle it has 25 MB; each record of a message that was parsed took about 300 bytes.
const MAX_WORKER_KIB: u64 = 150 * 1024;

/// Reads the peak memory of a process, in KiB.
fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Builds a message that is too large because of white space around a valid order.
fn padded_order() -> Vec<u8> {
    let (id, at) = ("0199f3a4-c0de-7000-a1b2-c3d4e5f60718", "2026-11-22T15:02:26.088658Z");
    let order = json!({
        "id": id, "customer_id": id, "placed_by": id, "table": null, "note": null, "priority": 1, "due_at": at,
        "placed_at": at, "lines": [{ "recipe": { "id": id, "name": "Negroni" }, "quantity": 1, "note": null }],
    });
    let message = json!({ "version": 1, "order": order });
    format!("{}{message}", " ".repeat(MEBIBYTE)).into_bytes()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_large_is_one_dead_letter_and_one_line_and_takes_no_memory() {
    let bar = Installation::new().await;
    let (serve, _) = bar.serve().await;
    let log = NamedTempFile::new().unwrap();
    let mut worker = Role::start_logging_to(log.reopen().unwrap().into(), &["work"], &bar.environment());
    worker.says("records orders").await;

    // Too many parts, too many bytes, or both.
    let parts = |count: usize| "\u{1e}{}\n".repeat(count).into_bytes();
    let some_parts =
        (0..128).map(|part| format!("\u{1e}\"{part}\"\n")).collect::<Vec<_>>().concat().into_bytes();
    for (kind, body) in [
        ("application/json-seq", vec![0x1e; MEBIBYTE]),
        ("application/json-seq", vec![0x1e; MEBIBYTE + 1]),
        ("application/json-seq", parts(129)),
        ("application/json", vec![b'['; MEBIBYTE + 1]),
        ("application/cbor", vec![b'['; MEBIBYTE + 1]),
        // One that is taken apart: each part is a letter, and they have a line together.
        ("application/json-seq", some_parts),
        // An order, if it were read.
        ("application/json", padded_order()),
        // What an error quotes of a message is not logged at length.
        ("application/json", format!("{{\"version\":\"{}\"}}", "long".repeat(100_000)).into()),
    ] {
        broker::publish_as(&bar.prefix.name, Uuid::now_v7(), kind, body).await;
    }
    eventually("all to be dead letters", async || {
        (bar.database.count("dead_letters").await == 6 + 128 + 1).then_some(())
    })
    .await;
    eventually("nothing to be left", async || {
        (broker::depth(&bar.prefix.name, "orders").await == Some(0)).then_some(())
    })
    .await;
    let lines = fs::read_to_string(log.path()).unwrap();
    assert_eq!(lines.lines().count(), 8, "{lines}");
    assert!(lines.len() < 20_000, "{} bytes", lines.len());
    let peak = peak_memory(worker.pid());
    assert!(peak < MAX_WORKER_KIB, "the worker had {peak} KiB");

    let too_large = "dead_letters WHERE reason LIKE '%must have at most%'";
    assert_eq!(bar.database.count(too_large).await, 6);

    worker.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}
