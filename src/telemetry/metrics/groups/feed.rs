//! The feed of changes, and the streams that live by it.

use super::{
    super::families::{counter, gauge, int_gauge},
    group,
};
use prometheus::{Gauge, IntCounter, IntGauge};

group! {
    FeedMetrics, feed {
        /// Time since the last successful read of the feed of changes began.
        lag: Gauge = gauge("shakerqueue_feed_lag_seconds"),
        /// Changes that were read from the feed, each of one transaction.
        changes_read: IntCounter = counter("shakerqueue_feed_changes_read_total"),
        /// Open streams of changes (`GET /stream`).
        streams: IntGauge = int_gauge("shakerqueue_streams"),
        /// Times that a stream told its client to read everything again.
        resets: IntCounter = counter("shakerqueue_stream_resets_total"),
    }
}
