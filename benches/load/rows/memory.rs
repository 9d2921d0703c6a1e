//! Measures the memory of `serve`: idle, at its peak, and some time after that.

use super::{Bench, Goal, Measurement};
use crate::{
    CONNECTIONS,
    client::{Load, orders},
    figures::Figure,
    harness::{Result, roles::Role},
};
use std::{fs, time::Duration};
use tokio::time::sleep;

const DURATION: Duration = Duration::from_secs(4);
/// Times after which it should be idle, and idle again.
const SETTLE_TIME: Duration = Duration::from_secs(1);
const IDLE_TIME: Duration = Duration::from_secs(6);

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measurement>> {
    let Bench { stage, rounds } = bench;
    let [mut idle, mut peak, mut afterwards] = [(); 3].map(|()| Figure::new("MB"));
    for _ in 0..rounds {
        let system = stage.scaled_out(0).await?;
        sleep(SETTLE_TIME).await;
        idle.rounds.push(megabytes(&system.serve, "VmRSS:")?);
        let requests = orders(&system.tokens.guest, stage.drinks());
        let load = Load::closed(system.serve.address, requests, CONNECTIONS, DURATION);
        load.send().await?.only(&[201, 202])?;
        peak.rounds.push(megabytes(&system.serve, "VmHWM:")?);
        sleep(IDLE_TIME).await;
        afterwards.rounds.push(megabytes(&system.serve, "VmRSS:")?);
        system.stop(stage).await?;
    }
    Ok(vec![
        Measurement::value("memory of serve, idle", idle, Goal::AtMost(25.0)),
        Measurement::value("memory of serve, at peak", peak, Goal::AtMost(100.0)),
        Measurement::value("memory of serve, 6 s after the peak", afterwards, Goal::AtMost(25.0)),
    ])
}

/// Reads the memory of the process; only Linux tells it.
pub fn megabytes(role: &Role, field: &str) -> Result<f64> {
    let id = role.id().ok_or("serve does not run")?;
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("no such field")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}
