//! RabbitMQ and our client of it: topology, supervised connections, channel pools, publishing with confirms, consuming in batches.
//!
//! A process has two connections, one for publishing and one for consuming: an alarm of the broker blocks a connection that
//! publishes, and must not keep workers from emptying the queue. Each has a pool of channels (`channel_pool`), and a task that
//! opens it again when it is lost (`connection`). One task publishes (`publisher::publish_task`), whichever thread asks
//! (`publisher`), and a circuit breaker (`publisher::circuit_breaker`) answers at once while the broker is away.

mod amqp_call;
mod channel_pool;
mod client;
mod connection;
mod consumer;
mod durability_check;
mod error;
mod field_table;
mod json_seq;
pub mod order_message;
mod publisher;
mod retry_headers;
mod topology;
mod trace_headers;
mod url;

pub use client::{Broker, Depth, Postponed, Settings};
pub use consumer::{Subscription, acknowledgements::DeliveryTag, channel_consumer::Delivery};
pub use error::{PostponeError, PublishError, QueueError};
pub use json_seq::OversizeError;
pub use publisher::{Publisher, outgoing::DuplicateCheck};
pub use retry_headers::RetryInfo;
pub use topology::Source;
pub use url::BrokerUrlError;
