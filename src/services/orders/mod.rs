pub mod board;
pub mod intake;
pub mod recorder;
pub mod status;
