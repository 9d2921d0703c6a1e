//! Tests of the product from outside: over HTTP, on the command line, and with real servers.
//!
//! Each test has a bar and a database of its own, so all of them run in parallel. Tests that concern both databases
//! run on both.
//! `make test` provides the servers; a test that needs one and has none fails.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail where it stands"
)]

mod absent_fields;
mod accounts;
mod app_role;
mod attacks;
mod audit;
mod bad_input;
mod boards;
mod conditional;
mod database_files;
mod dead_letters;
mod docs;
mod documents;
mod exchange;
mod feed;
mod few_connections;
mod idempotency;
mod journey;
mod keys;
mod layers;
mod leaving;
mod limits;
mod lists;
mod logs;
mod menu;
mod metrics;
mod no_longer_stored;
mod open_files;
mod open_orders;
mod openapi;
mod orders;
mod plans;
mod queue;
mod races;
mod recording;
mod secrecy;
mod seeding;
mod signals;
mod slow;
mod sqlstates;
mod stalled;
mod stopping;
mod stream;
mod supervision;
mod support;
mod tls;
mod traces;
mod unfit_servers;
mod unwritable;
mod upgrades;
mod waiting;
mod walkthrough;
mod watchdog;
mod worker;
