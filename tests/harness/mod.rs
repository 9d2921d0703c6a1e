//! Real servers and processes of the product, for the faults of `tests/chaos` and the measurements of `benches/load`.

#![allow(dead_code, reason = "each of them uses a part")]

pub mod events;
pub mod folder;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod rabbitmq;
pub mod roles;
pub mod servers;
pub mod tokens;
pub mod wait;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
