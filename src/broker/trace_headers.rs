//! Headers with the trace contexts of a message's orders.

use super::{
    field_table::{insert, text},
    json_seq,
};
use crate::telemetry::traces::{Extractor, Injector, TraceContext};
use amqprs::FieldTable;

/// The `traceparent` of each order of a batch, with commas between them; empty for an order without a trace.
const BATCH_HEADER: &str = "shakerqueue-traceparents";

/// Writes the trace context of a single order (W3C `traceparent` and `tracestate`), or those of a batch.
pub(super) fn write(traces: &[TraceContext], headers: &mut FieldTable) {
    match traces {
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

pub(super) fn single(headers: Option<&FieldTable>) -> TraceContext {
    headers.map(|headers| TraceContext::extract(&Read(headers))).unwrap_or_default()
}

/// Reads the trace contexts of a batch. There may be fewer than orders.
pub(super) fn batch(headers: Option<&FieldTable>) -> Vec<TraceContext> {
    let list = headers.and_then(|headers| text(headers, BATCH_HEADER)).unwrap_or_default();
    list.split(',').take(json_seq::MAX_PARTS).map(TraceContext::from_traceparent).collect()
}

struct Headers<'a>(&'a mut FieldTable);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        // The trace state is usually empty.
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
