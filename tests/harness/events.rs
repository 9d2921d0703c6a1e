//! Server-sent events, as the product sends them.

use serde::Deserialize;

/// The lines between two empty ones: an event, or an id alone.
#[derive(Debug, Default)]
pub struct Block {
    pub event: String,
    pub data: String,
    pub id: Option<String>,
}

/// What an `order` event has of the order.
#[derive(Debug, Clone, Deserialize)]
pub struct OrderEvent {
    pub id: String,
    pub version: i32,
    pub updated_at: String,
}

/// Parses a stream that comes in pieces.
#[derive(Default)]
pub struct Parser {
    text: Vec<u8>,
}

impl Parser {
    pub fn push(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    /// Returns the next block that is complete.
    pub fn next_block(&mut self) -> Option<Block> {
        let end = self.text.windows(2).position(|bytes| bytes == b"\n\n")?;
        let text: Vec<u8> = self.text.drain(..end + 2).collect();
        let mut block = Block::default();
        for line in String::from_utf8_lossy(&text).lines() {
            match line.split_once(": ") {
                Some(("event", name)) => name.clone_into(&mut block.event),
                Some(("data", data)) => data.clone_into(&mut block.data),
                Some(("id", id)) => block.id = Some(id.to_owned()),
                _ => {}
            }
        }
        Some(block)
    }
}
