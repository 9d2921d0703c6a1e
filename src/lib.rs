//! ShakerQueue: the order engine of a bar.
//!
//! An order travels from [`http`] through [`services::orders::intake`] to the broker ([`broker`]), from there through a [`worker`] to
//! [`services::orders::recorder`], which stores it ([`store`]); without a broker intake gives it to the recorder itself. From then on
//! it is on the [`services::orders::board`]. What is an order, and what may be done with it, says [`domain`].
//!
//! Layers, each of which uses those below it and never one above:
//!
//! ```text
//! cli                 commands, what servers a deployment has, start and stop
//! http  worker        the API; from the broker to the recorder
//! services            use cases
//! broker  store       RabbitMQ; PostgreSQL and SQLite
//! telemetry  util     logs, metrics, traces; secrets, replies, supervised tasks
//! config              every setting
//! domain              rules, no I/O
//! ```

pub mod broker;
pub mod cli;
pub mod config;
pub mod domain;
pub mod http;
pub mod services;
pub mod store;
pub mod telemetry;
pub mod util;
pub mod worker;
