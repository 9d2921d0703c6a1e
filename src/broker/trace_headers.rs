//! Headers with the trace contexts of a message's orders.

use super::{
    field_table::{insert, text},
    json_seq,
};
use crate::telemetry::traces::TraceContext;
use amqprs::FieldTable;

/// The `traceparent` of each order of a batch, with commas between them; empty for an order without a trace.
const BATCH_HEADER: &str = "shakerqueue-traceparents";

/// Writes the trace context of a single order (W3C `traceparent` and `tracestate`), or those of a batch.
pub(super) fn write(traces: &[TraceContext], headers: &mut FieldTable) {
    match traces {
        [only] => {
            // The trace state is usually empty.
            for (key, value) in only.headers().into_iter().filter(|(_, value)| !value.is_empty()) {
                insert(headers, &key, value.into());
            }
        }
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
    TraceContext::extract(|name| text(headers?, name))
}

/// Reads the trace contexts of a batch. There may be fewer than orders.
pub(super) fn batch(headers: Option<&FieldTable>) -> Vec<TraceContext> {
    let list = headers.and_then(|headers| text(headers, BATCH_HEADER)).unwrap_or_default();
    list.split(',').take(json_seq::MAX_PARTS).map(TraceContext::from_traceparent).collect()
}
