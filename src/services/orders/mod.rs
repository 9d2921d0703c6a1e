pub mod board;
mod feed_caches;
pub mod intake;
pub mod recorder;
pub mod status;

pub use feed_caches::OrderCaches;
