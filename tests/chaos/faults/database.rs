use crate::{
    Result,
    harness::{postgres::ROLE, wait::until},
    scene::Scene,
};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

/// Kills PostgreSQL repeatedly, each time in the middle of some transactions.
pub async fn killed(scene: &mut Scene, hold: Duration) -> Result<()> {
    let end = Instant::now() + hold;
    while Instant::now() < end {
        scene.servers.data.postgres.kill().await?;
        scene.pause(0..800).await;
        scene.servers.data.postgres.start().await?;
        scene.pause(200..1200).await;
    }
    Ok(())
}

pub async fn stopped(scene: &mut Scene, hold: Duration) -> Result<()> {
    scene.servers.data.postgres.stop().await?;
    sleep(hold).await;
    scene.servers.data.postgres.start().await
}

pub async fn frozen(scene: &mut Scene, hold: Duration) -> Result<()> {
    let frozen = scene.servers.data.postgres.freeze(hold)?;
    sleep(hold).await;
    drop(frozen);
    Ok(())
}

const OTHER_ROLE: &str = "greedy";

pub async fn out_of_connections(scene: &mut Scene, hold: Duration) -> Result<()> {
    let postgres = &scene.servers.data.postgres;
    let admin = postgres.client("postgres").await?;
    postgres.add_role(OTHER_ROLE).await?;
    let mut taken: Vec<Client> = Vec::new();
    let end_those_of_the_product =
        format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{ROLE}'");
    // The product takes free places, too: until it has none.
    until("all connections are taken", async || {
        while let Ok(client) = postgres.connect(OTHER_ROLE, "postgres").await {
            taken.push(client);
        }
        let ended: i64 = admin.query_one(&end_those_of_the_product, &[]).await?.get(0);
        Ok((ended == 0).then_some(()))
    })
    .await?;
    sleep(hold).await;
    drop(taken);
    Ok(())
}

pub async fn read_only(scene: &mut Scene, hold: Duration) -> Result<()> {
    let admin = scene.servers.data.postgres.client("postgres").await?;
    let set = async |value: &str| -> Result<()> {
        admin.batch_execute("SET default_transaction_read_only = off").await?;
        admin.batch_execute(&format!("ALTER SYSTEM SET default_transaction_read_only = {value}")).await?;
        admin.batch_execute("SELECT pg_reload_conf()").await?;
        Ok(())
    };
    set("on").await?;
    sleep(hold).await;
    set("off").await
}

pub async fn locked(scene: &mut Scene, hold: Duration) -> Result<()> {
    let postgres = &scene.servers.data.postgres;
    let somebody = postgres.client(&scene.database).await?;
    somebody.batch_execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await?;
    sleep(hold).await;
    Ok(somebody.batch_execute("ROLLBACK").await?)
}
