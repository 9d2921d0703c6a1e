//! Messages that are larger than any that this program publishes: one dead letter and one line of the log each, and no memory.

use crate::support::{broker, eventually, executable::Role, installation::Installation};
use std::fs;
use tempfile::NamedTempFile;
use uuid::Uuid;

const MEBIBYTE: usize = 1024 * 1024;
/// A worker without work takes 25 MB; each part of a message that was taken apart took about 300 bytes.
const MAX_WORKER_KIB: u64 = 150 * 1024;

/// The most memory that a process ever had, in KiB.
fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_large_is_one_dead_letter_and_one_line_and_takes_no_memory() {
    let bar = Installation::new().await;
    let (serve, _) = bar.serve().await;
    let log = NamedTempFile::new().unwrap();
    let mut worker = Role::start_logging_to(log.reopen().unwrap().into(), &["work"], &bar.environment());
    worker.says("works").await;

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
        // What an error quotes of a message is not logged at length.
        ("application/json", format!("{{\"version\":\"{}\"}}", "long".repeat(100_000)).into()),
    ] {
        broker::publish_as(&bar.prefix.name, Uuid::now_v7(), kind, body).await;
    }
    eventually("all to be dead letters", async || {
        (bar.database.count("dead_letters").await == 5 + 128 + 1).then_some(())
    })
    .await;
    eventually("nothing to be left", async || {
        (broker::depth(&bar.prefix.name, "orders").await == Some(0)).then_some(())
    })
    .await;
    let lines = fs::read_to_string(log.path()).unwrap();
    assert_eq!(lines.lines().count(), 7, "{lines}");
    assert!(lines.len() < 20_000, "{} bytes", lines.len());
    let peak = peak_memory(worker.pid());
    assert!(peak < MAX_WORKER_KIB, "the worker had {peak} KiB");

    let too_large = "dead_letters WHERE reason LIKE '%must have at most%'";
    assert_eq!(bar.database.count(too_large).await, 5);

    worker.stop().await;
    serve.stop().await;
    bar.prefix.clear().await;
}
