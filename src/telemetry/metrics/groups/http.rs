//! Requests, connections, and signing in.

use super::{
    super::families::{ByLabel, counter, counters, gauge, histogram_vec, int_gauge},
    REQUEST_SECONDS, group,
};
use prometheus::{Gauge, Histogram, HistogramVec, IntCounter, IntGauge};
use std::{cell::RefCell, time::Duration};

group! {
    HttpMetrics, http {
        /// Time from the head of a request to the head of its response.
        requests: HistogramVec = histogram_vec(
            "http_server_request_duration_seconds",
            REQUEST_SECONDS,
            &["http_request_method", "http_route", "http_response_status_code"],
        ),
        /// Open connections of clients to this process.
        connections: IntGauge = int_gauge("shakerqueue_http_connections"),
        /// Threads that answer requests and have not run for 2 s.
        threads_stalled: IntGauge = int_gauge("shakerqueue_http_threads_stalled"),
        /// Time for which the longest stalled thread has not run.
        thread_stall: Gauge = gauge("shakerqueue_http_thread_stall_seconds"),
        /// Requests that could not be parsed.
        malformed_requests: IntCounter = counter("shakerqueue_http_malformed_requests_total"),
        /// TLS handshakes of clients that failed.
        failed_handshakes: IntCounter = counter("shakerqueue_tls_handshakes_failed_total"),
        /// Responses with 5xx that were too many for the log.
        unlogged_answers: IntCounter = counter("shakerqueue_http_unlogged_answers_total"),
        /// Connections that were closed because their address had too many.
        connections_refused: IntCounter = counter("shakerqueue_http_connections_refused_total"),
        /// Connections that were closed because the client read its response too slowly.
        slow_readers: IntCounter = counter("shakerqueue_http_slow_readers_total"),
        /// Bytes reserved for responses that clients have not read yet.
        answer_bytes: IntGauge = int_gauge("shakerqueue_http_answer_bytes"),
        /// Requests answered with 503 because pending responses used up their memory limit.
        answers_refused: IntCounter = counter("shakerqueue_http_answers_refused_total"),
    }
}

struct RequestSeries {
    method: &'static str,
    route: String,
    status: u16,
    duration: Histogram,
}

thread_local! {
    /// The series that this thread has used, the busiest first. A look-up in the family takes a lock and a reference count that
    /// all threads share.
    static REQUEST_SERIES: RefCell<Vec<RequestSeries>> = const { RefCell::new(Vec::new()) };
}

/// Records the duration of a request. The labels must be few: methods and routes that the API knows.
pub fn observe_request(method: &'static str, route: &str, status: u16, duration: Duration) {
    REQUEST_SERIES.with_borrow_mut(|used| {
        let known = used
            .iter()
            .position(|series| series.status == status && series.method == method && series.route == route);
        let at = known.unwrap_or_else(|| {
            let histogram = http().requests.with_label_values(&[method, route, &status.to_string()]);
            used.push(RequestSeries { method, route: route.to_owned(), status, duration: histogram });
            used.len() - 1
        });
        if let Some(series) = used.get(at) {
            series.duration.observe(duration.as_secs_f64());
        }
        // One place further forward at each use.
        if at > 0 {
            used.swap(at, at - 1);
        }
    });
}

group! {
    AccountsMetrics, accounts {
        /// Attempts to sign in, by outcome.
        logins: ByLabel<IntCounter> = counters(
            "shakerqueue_logins_total",
            "outcome",
            &["succeeded", "wrong_password", "inactive", "too_many_failures", "busy", "unavailable"],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_counted_in_the_series_of_its_labels() {
        let requests = [("GET", "/a", 200), ("GET", "/a", 404), ("PUT", "/a", 200), ("GET", "/b", 200)];
        for (times, (method, route, status)) in requests.into_iter().enumerate() {
            for _ in 0..=times {
                observe_request(method, route, status, Duration::from_millis(1));
            }
        }
        for (times, (method, route, status)) in requests.into_iter().enumerate() {
            let series = http().requests.with_label_values(&[method, route, &status.to_string()]);
            assert_eq!(series.get_sample_count(), times as u64 + 1, "{method} {route} {status}");
        }
    }
}
