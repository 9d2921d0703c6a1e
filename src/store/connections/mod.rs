//! Connections to either database: opening, pooling, and noticing that a server or a file is gone.

pub mod attempts;
pub mod connect;
pub mod liveness;
pub mod pool;
pub mod sqlite_blocking;
pub mod sqlite_files;
