//! Orders, from intake to the database and on the board.

pub mod board;
pub mod intake;
pub mod recorder;
