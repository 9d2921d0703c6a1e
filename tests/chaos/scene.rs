//! Everything that a fault can disturb: servers, connections, the product's processes, and people.

use crate::{
    Result,
    clock::Clock,
    disk::Disk,
    harness::{
        roles::{Role, SECRET},
        servers::Servers,
        tokens::Tokens,
        wait::until,
    },
    load::Load,
    proxy::{LinkState, Proxy},
    viewers::Viewers,
};
use rand::{RngExt, rngs::StdRng};
use std::{ops::Range, path::Path, time::Duration};
use tokio::time::sleep;
use uuid::Uuid;

/// Connections between the product and its servers.
pub struct Links {
    pub serve_broker: Proxy,
    pub serve_database: Proxy,
    pub work_broker: Proxy,
    pub work_database: Proxy,
}

impl Links {
    async fn to(servers: &Servers) -> Result<Self> {
        let (database, broker) = (servers.data.postgres.address(), servers.rabbitmq.address());
        Ok(Self {
            serve_broker: Proxy::to(broker).await?,
            serve_database: Proxy::to(database).await?,
            work_broker: Proxy::to(broker).await?,
            work_database: Proxy::to(database).await?,
        })
    }

    pub fn all(&self) -> [&Proxy; 4] {
        [&self.serve_broker, &self.serve_database, &self.work_broker, &self.work_database]
    }
}

/// Returns the settings that all processes have, besides their servers.
fn common_settings(prefix: &str, clock: Option<&Clock>) -> Vec<(String, String)> {
    let settings = [
        ("QUEUE_PREFIX", prefix),
        ("SHUTDOWN_SECONDS", "10"),
        ("SHUTDOWN_DELAY_SECONDS", "1"),
        ("RETRY_SECONDS", "1,1,2"),
        ("QUEUE_SETTLE_SECONDS", "3"),
        ("JWT_SECRET", SECRET),
        ("BCRYPT_COST", "4"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    settings.into_iter().chain(clock.into_iter().flat_map(Clock::settings)).collect()
}

pub struct Scene {
    pub serves: [Role; 2],
    pub works: [Role; 2],
    pub load: Load,
    pub viewers: Viewers,
    pub links: Links,
    pub servers: Servers,
    pub database: String,
    pub prefix: String,
    pub rng: StdRng,
    /// Ids of messages that must become dead letters, each once.
    pub dead: Vec<String>,
    /// Ids of recorded orders whose histories must name another order under the same key.
    pub reused: Vec<String>,
    /// Violations found during the fault.
    pub findings: Vec<String>,
    pub clock: Option<Clock>,
    pub disk: Option<Disk>,
}

impl Scene {
    /// Starts the product on a new database and new queues, and the load.
    pub async fn open(
        mut servers: Servers,
        clock: Option<Clock>,
        disk: Option<Disk>,
        mut rng: StdRng,
        folder: &Path,
    ) -> Result<Self> {
        let template = servers.data.template.clone();
        let database = servers.data.postgres.new_database(Some(&template)).await?;
        let prefix = format!("chaos-{}", Uuid::new_v4().simple());
        let links = Links::to(&servers).await?;
        let settings = |database_by: &Proxy, broker_by: &Proxy| {
            let mut settings = common_settings(&prefix, clock.as_ref());
            let database_url = servers.data.postgres.url(database_by.address, &database);
            settings.push(("DATABASE_URL".into(), database_url));
            settings.push(("AMQP_URL".into(), servers.rabbitmq.url(broker_by.address)));
            settings
        };
        let serving = settings(&links.serve_database, &links.serve_broker);
        let working = settings(&links.work_database, &links.work_broker);
        let serve = |number| Role::start("serve", number, "BIND_ADDR", &serving, folder);
        let work = |number| Role::start("work", number, "ADMIN_ADDR", &working, folder);
        let (mut at_bar, mut behind) = ([serve(1)?, serve(2)?], [work(1)?, work(2)?]);
        for role in at_bar.iter_mut().chain(&mut behind) {
            role.ready().await?;
        }
        let addresses = [at_bar[0].address, at_bar[1].address];
        let tokens = match servers.data.tokens.take() {
            // Where the clock jumps, it matters how long ago they signed in: just now.
            Some(tokens) if clock.is_none() => tokens,
            _ => Tokens::sign_in(addresses[0]).await?,
        };
        let viewers = Viewers::start(addresses, &tokens, &mut rng)?;
        let load = Load::start(addresses, &tokens, &servers.data.drinks, &mut rng)?;
        servers.data.tokens = Some(tokens);
        Ok(Self {
            serves: at_bar,
            works: behind,
            load,
            viewers,
            links,
            servers,
            database,
            prefix,
            rng,
            dead: Vec::new(),
            reused: Vec::new(),
            findings: Vec::new(),
            clock,
            disk,
        })
    }

    /// Sleeps for a random number of milliseconds.
    pub async fn pause(&mut self, range: Range<u64>) {
        let pause = self.rng.random_range(range);
        sleep(Duration::from_millis(pause)).await;
    }

    /// Returns the name of the queue of orders, which is also its exchange's.
    pub fn orders_queue(&self) -> String {
        format!("{}.orders", self.prefix)
    }

    pub fn set_all_links(&self, line: LinkState) {
        for link in self.links.all() {
            link.set(line);
        }
    }

    /// Waits until every order accepted before this call is recorded or a dead letter.
    pub async fn promised_are_stored(&self) -> Result<()> {
        let promised = self.load.ledger().promised();
        let database = until("the database answers", async || {
            Ok(Some(self.servers.data.postgres.client(&self.database).await?))
        })
        .await?;
        let mut missing = 0_i64;
        let stored = until("all promised orders are stored", async || {
            let missing_now = database
                .query_one(
                    "SELECT count(*) FROM unnest($1::text[]::uuid[]) AS promised (id)
                     WHERE NOT EXISTS (SELECT FROM orders o WHERE o.id = promised.id)
                     AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.order_id = promised.id)",
                    &[&promised],
                )
                .await?;
            missing = missing_now.get(0);
            Ok((missing == 0).then_some(()))
        })
        .await;
        stored.map_err(|error| format!("{error}: {missing} of {}", promised.len()).into())
    }

    /// Waits until every message that can't be recorded is a dead letter, which takes all of its retries.
    pub async fn the_dead_are_found(&self) -> Result<()> {
        let database = self.servers.data.postgres.client(&self.database).await?;
        until("every bad message is a dead letter", async || {
            let missing: i64 = database
                .query_one(
                    "SELECT count(*) FROM unnest($1::text[]::uuid[]) AS dead (id)
                     WHERE NOT EXISTS (SELECT FROM dead_letters d WHERE d.order_id = dead.id)",
                    &[&self.dead],
                )
                .await?
                .get(0);
            Ok((missing == 0).then_some(()))
        })
        .await
    }

    /// Waits until every viewer has the latest version of every order. Nothing may change meanwhile.
    pub async fn viewers_are_current(&self) -> Result<()> {
        self.viewers.are_current(&self.servers.data.postgres.client(&self.database).await?).await
    }

    pub async fn queue_is_empty(&self) -> Result<()> {
        let queue = self.orders_queue();
        let empty = async || Ok((self.servers.rabbitmq.waiting(&queue).await? == 0).then_some(()));
        until("the queue of orders is empty", empty).await
    }

    /// Restarts processes that ended by themselves, and notes them.
    pub fn revive_roles(&mut self) -> Result<()> {
        for role in self.serves.iter_mut().chain(&mut self.works) {
            self.findings.extend(role.revive()?);
        }
        Ok(())
    }

    /// Stops all processes at once, and notes those that did not stop cleanly.
    pub async fn stop_roles(&mut self) {
        let [first, second] = &mut self.serves;
        let [third, fourth] = &mut self.works;
        let (first, second, third, fourth) =
            tokio::join!(first.stop(), second.stop(), third.stop(), fourth.stop());
        self.findings.extend([first, second, third, fourth].into_iter().flatten());
    }
}
