//! All faults. Each is a function that causes a fault, keeps it for a while, and repairs it.

mod broker;
mod clock;
mod database;
mod disk;
mod keys;
mod links;
mod messages;
mod poison;
mod policies;
mod processes;
mod storm;
mod tampering;

use crate::{Result, proxy::LinkState, scene::Scene};
use futures_util::future::LocalBoxFuture;
use std::time::Duration;

/// Special environment that a fault needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    Plain,
    /// A clock of the product that can be set.
    OwnClock,
    /// PostgreSQL on a disk that can be filled.
    SmallDisk,
}

type Injection = for<'a> fn(&'a mut Scene, Duration) -> LocalBoxFuture<'a, Result<()>>;

pub struct Fault {
    pub name: &'static str,
    /// Description in the list of faults.
    pub what: &'static str,
    pub requirement: Requirement,
    pub inject: Injection,
}

impl Fault {
    const fn new(name: &'static str, what: &'static str, inject: Injection) -> Self {
        Self { name, what, requirement: Requirement::Plain, inject }
    }

    const fn needing(
        requirement: Requirement,
        name: &'static str,
        what: &'static str,
        inject: Injection,
    ) -> Self {
        Self { name, what, requirement, inject }
    }
}

/// The faults, in the order in which they run.
pub const ALL: &[Fault] = &[
    Fault::new("none", "nothing: the control", |s, t| Box::pin(processes::nothing(s, t))),
    Fault::new("worker-killed", "one worker at a time is killed and started again", |s, t| {
        Box::pin(processes::worker_killed(s, t))
    }),
    Fault::new("all-workers-killed", "no worker is there", |s, t| {
        Box::pin(processes::all_workers_killed(s, t))
    }),
    Fault::new("worker-stopped-cleanly", "one worker at a time is stopped and started again", |s, t| {
        Box::pin(processes::worker_stopped(s, t))
    }),
    Fault::new("worker-frozen", "one worker stands still", |s, t| Box::pin(processes::worker_frozen(s, t))),
    Fault::new("api-killed", "one serve at a time is killed and started again", |s, t| {
        Box::pin(processes::api_killed(s, t))
    }),
    Fault::new("api-stopped-cleanly", "one serve at a time is stopped and started again", |s, t| {
        Box::pin(processes::api_stopped(s, t))
    }),
    Fault::new(
        "rolling-restart",
        "every process is stopped and started again, one after the other",
        |s, t| Box::pin(processes::rolling_restart(s, t)),
    ),
    Fault::new("broker-killed", "the broker is killed and started again", |s, t| {
        Box::pin(broker::killed(s, t))
    }),
    Fault::new("broker-stopped-cleanly", "the broker is stopped and started again", |s, t| {
        Box::pin(broker::stopped(s, t))
    }),
    Fault::new("broker-frozen", "the broker stands still", |s, t| Box::pin(broker::frozen(s, t))),
    Fault::new("broker-memory-alarm", "the broker blocks publishers for lack of memory", |s, t| {
        Box::pin(broker::memory_alarm(s, t))
    }),
    Fault::new("database-killed", "the database is killed and started again", |s, t| {
        Box::pin(database::killed(s, t))
    }),
    Fault::new("database-stopped-cleanly", "the database is stopped and started again", |s, t| {
        Box::pin(database::stopped(s, t))
    }),
    Fault::new("database-frozen", "the database stands still", |s, t| Box::pin(database::frozen(s, t))),
    Fault::new("database-out-of-connections", "somebody else takes all connections", |s, t| {
        Box::pin(database::out_of_connections(s, t))
    }),
    Fault::new("database-read-only", "the database takes no writes", |s, t| {
        Box::pin(database::read_only(s, t))
    }),
    Fault::new("database-locked", "somebody else locks the table of orders", |s, t| {
        Box::pin(database::locked(s, t))
    }),
    Fault::needing(Requirement::SmallDisk, "disk-full", "the database's disk is full", |s, t| {
        Box::pin(disk::full(s, t))
    }),
    Fault::new("both-down", "broker and database are killed and started again", |s, t| {
        Box::pin(broker::both_killed(s, t))
    }),
    Fault::new("blackhole-serve-broker", "nothing passes between serve and broker", |s, t| {
        Box::pin(links::one(s, t, |links| &links.serve_broker, LinkState::Silent))
    }),
    Fault::new("blackhole-serve-database", "nothing passes between serve and database", |s, t| {
        Box::pin(links::one(s, t, |links| &links.serve_database, LinkState::Silent))
    }),
    Fault::new("blackhole-work-broker", "nothing passes between work and broker", |s, t| {
        Box::pin(links::one(s, t, |links| &links.work_broker, LinkState::Silent))
    }),
    Fault::new("blackhole-work-database", "nothing passes between work and database", |s, t| {
        Box::pin(links::one(s, t, |links| &links.work_database, LinkState::Silent))
    }),
    Fault::new("reset-serve-broker", "connections between serve and broker are reset", |s, t| {
        Box::pin(links::one(s, t, |links| &links.serve_broker, LinkState::Reset))
    }),
    Fault::new("reset-serve-database", "connections between serve and database are reset", |s, t| {
        Box::pin(links::one(s, t, |links| &links.serve_database, LinkState::Reset))
    }),
    Fault::new("reset-work-broker", "connections between work and broker are reset", |s, t| {
        Box::pin(links::one(s, t, |links| &links.work_broker, LinkState::Reset))
    }),
    Fault::new("reset-work-database", "connections between work and database are reset", |s, t| {
        Box::pin(links::one(s, t, |links| &links.work_database, LinkState::Reset))
    }),
    Fault::new("half-open-serve-broker", "the broker's side of serve's connections is gone", |s, t| {
        Box::pin(links::one(s, t, |links| &links.serve_broker, LinkState::HalfOpen))
    }),
    Fault::new("half-open-work-broker", "the broker's side of work's connections is gone", |s, t| {
        Box::pin(links::one(s, t, |links| &links.work_broker, LinkState::HalfOpen))
    }),
    Fault::new("slow-link", "little passes between serve and broker", |s, t| {
        Box::pin(links::one(s, t, |links| &links.serve_broker, LinkState::Slow(3_000)))
    }),
    Fault::new("latency", "all lines take 50 to 200 ms each way", |s, t| {
        Box::pin(links::all(s, t, LinkState::Late(50, 200)))
    }),
    Fault::new("confirms-late", "the broker's answers to serve come after more than a second", |s, t| {
        Box::pin(links::confirms_late(s, t))
    }),
    Fault::new("commit-cut-work", "work's connections are cut between a commit and its answer", |s, t| {
        Box::pin(links::one(s, t, |links| &links.work_database, LinkState::CutAtCommit))
    }),
    Fault::new("commit-cut-serve", "likewise serve's, while it has no broker", |s, t| {
        Box::pin(links::commit_cut_without_broker(s, t))
    }),
    Fault::new(
        "database-late-without-broker",
        "the database's answers to serve are late, and it has no broker",
        |s, t| Box::pin(links::database_late_without_broker(s, t)),
    ),
    Fault::new("queue-deleted", "the queue of orders is deleted while it is empty", |s, t| {
        Box::pin(messages::queue_deleted(s, t))
    }),
    Fault::new(
        "queue-deleted-under-load",
        "the queue of orders is deleted again and again while guests order",
        |s, t| Box::pin(tampering::queue_deleted_under_load(s, t)),
    ),
    Fault::new(
        "broker-tampered-with",
        "queues, exchanges, bindings, permissions and the virtual host are taken away, connections are closed",
        |s, t| Box::pin(tampering::everything_deleted(s, t)),
    ),
    Fault::new("queue-unbound", "the queue of orders gets no messages", |s, t| {
        Box::pin(messages::queue_unbound(s, t))
    }),
    Fault::new(
        "exchange-deleted-100-times",
        "the exchange of orders is deleted whenever it is there",
        |s, t| Box::pin(messages::exchange_deleted(s, t)),
    ),
    Fault::new("queue-full", "the queue of orders takes one message", |s, t| {
        Box::pin(messages::queue_full(s, t))
    }),
    Fault::new(
        "policy-ttl",
        "a policy removes messages after half a second, and no worker is there",
        |s, t| Box::pin(policies::ttl(s, t)),
    ),
    Fault::new("policy-expires", "a policy deletes queues that nobody uses for a second", |s, t| {
        Box::pin(policies::expires(s, t))
    }),
    Fault::needing(Requirement::OwnClock, "clock-step", "the clock jumps by 10 minutes", |s, t| {
        Box::pin(clock::step(s, t))
    }),
    Fault::new("poison-storm", "hundreds of bad messages are in the queue", |s, t| {
        Box::pin(poison::storm(s, t))
    }),
    Fault::new("keys-reused", "guests use one key for two orders, at both serves at once", |s, t| {
        Box::pin(keys::reused(s, t))
    }),
    Fault::new("everything", "lines fail and processes are killed, all mixed up", |s, t| {
        Box::pin(storm::everything(s, t))
    }),
];
