//! ShakerQueue: the order engine of a bar.
//!
//! An order comes in through [`http`]. [`services::orders::intake`] makes it safe: it publishes the order to the [`broker`], from
//! where a [`worker`] gives it to [`services::orders::recorder`]; without a broker intake calls the recorder itself. The recorder
//! writes the order to the [`store`]. Then the order is on the [`services::orders::board`]. [`domain`] defines orders and the
//! actions on them.
//!
//! A layer uses those below it, never one above. `ARCHITECTURE.md` says more.
//!
//! ```text
//! cli                 commands, deployment, start and stop
//! http  worker        the API; from the broker to the recorder
//! services            use cases; each owns its transaction
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
