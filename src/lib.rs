//! ShakerQueue: the order engine of a bar.
//!
//! An order travels from [`http`] through [`intake`] to the broker ([`queue`]), from there through a [`worker`] to the [`recorder`],
//! which stores it ([`store`]); without a broker intake gives it to the recorder itself. From then on it is worked
//! by the [`bar`]. What is an order, and what may be done with it, says [`domain`].
//!
//! Layers, each of which uses those below it and never one above:
//!
//! ```text
//! cli
//! roles                                             what the executable can be run as
//! deployment                                        which servers there are
//! http                                              routes, permissions, problems, their document
//! monitor                                           what those are told who watch over it
//! seed  health  worker  dead_letters
//! intake  bar                                       use cases
//! menu  accounts  recorder
//! audit  once                                       who changed what; what is asked for again under a key
//! queue  store  shutdown                            RabbitMQ; PostgreSQL and SQLite
//! replies  secret  supervised_tasks  telemetry  work_start
//! config  fault_injection
//! domain                                            rules, no I/O
//! ```

pub mod accounts;
pub mod audit;
pub mod bar;
pub mod cli;
pub mod config;
pub mod dead_letters;
pub mod deployment;
pub mod domain;
pub mod fault_injection;
pub mod health;
pub mod http;
pub mod intake;
pub mod menu;
pub mod monitor;
pub mod once;
pub mod queue;
pub mod recorder;
pub mod replies;
pub mod roles;
pub mod secret;
pub mod seed;
pub mod shutdown;
pub mod store;
pub mod supervised_tasks;
pub mod telemetry;
pub mod work_start;
pub mod worker;
