//! Cursors: positions in the feed that clients hold.

use crate::store::changes::Position;
use std::{fmt, str::FromStr};

/// Position of a client, with the feed that it is in and the time at which it was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub feed: String,
    /// Seconds since the Unix epoch.
    pub reached_at: i64,
    pub position: Position,
}

#[derive(Debug, thiserror::Error)]
#[error("not a cursor of a feed")]
pub struct CursorError;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.feed, self.reached_at, self.position)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let mut parts = text.splitn(3, '.');
        let (Some(feed), Some(reached_at), Some(position)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(CursorError);
        };
        Ok(Self {
            feed: feed.to_owned(),
            reached_at: reached_at.parse().map_err(|_| CursorError)?,
            position: position.parse().map_err(|_| CursorError)?,
        })
    }
}
