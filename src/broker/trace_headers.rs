//! Where the orders of a message are in their traces, in its headers.

use amqprs::FieldTable;

use super::{
    field_table::{insert, text},
    json_seq,
};
use crate::telemetry::traces::{Extractor, Injector, TraceContext};

/// Those of the orders that travel together, in their order; empty for one that is not traced.
const BATCH_HEADER: &str = "shakerqueue-traceparents";

/// The headers that tell it of a message that goes alone (the W3C's `traceparent` and `tracestate`), or of several in one.
pub(super) fn write(places: &[TraceContext], headers: &mut FieldTable) {
    match places {
        [only] => only.inject(&mut Headers(headers)),
        all => {
            let parents: Vec<_> = all.iter().map(TraceContext::traceparent).collect();
            if parents.iter().any(Option::is_some) {
                let list = parents.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>();
                insert(headers, BATCH_HEADER, list.join(",").into());
            }
        }
    }
}

/// That of a message which came alone.
pub(super) fn alone(headers: Option<&FieldTable>) -> TraceContext {
    headers.map(|headers| TraceContext::extract(&Read(headers))).unwrap_or_default()
}

/// Those of messages that came together. Fewer than there are messages if it does not say so of all.
pub(super) fn together(headers: Option<&FieldTable>) -> Vec<TraceContext> {
    let list = headers.and_then(|headers| text(headers, BATCH_HEADER)).unwrap_or_default();
    list.split(',').take(json_seq::MAX_PARTS).map(TraceContext::from_traceparent).collect()
}

struct Headers<'a>(&'a mut FieldTable);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        // A trace state is empty more often than not.
        if !value.is_empty() {
            insert(self.0, key, value.into());
        }
    }
}

struct Read<'a>(&'a FieldTable);

impl Extractor for Read<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        text(self.0, name)
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}
