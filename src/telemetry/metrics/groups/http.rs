//! Requests, connections, accounts.

use super::{
    super::kinds::{By, counter, counters, gauge, histograms_of, label, number},
    REQUEST_SECONDS, group,
};
use prometheus::{Gauge, HistogramVec, IntCounter, IntGauge};

group! {
    /// Requests and connections.
    Http, http {
        /// By method, route and status.
        requests: HistogramVec = histograms_of(
            "http_server_request_duration_seconds",
            "How long answers took.",
            REQUEST_SECONDS,
            &["http_request_method", "http_route", "http_response_status_code"],
        ),
        /// Open now.
        connections: IntGauge = number("shakerqueue_http_connections", "Connections of clients that are open."),
        /// Threads that answer requests and do not run.
        threads_stalled: IntGauge = number(
            "shakerqueue_http_threads_stalled",
            "Threads that answer requests and have not run for 2 s.",
        ),
        /// Of these the one that has not run for longest.
        thread_stall: Gauge = gauge(
            "shakerqueue_http_thread_stall_seconds",
            "How long the thread that has been stalled longest has not run.",
        ),
        /// Answered with 400 or 431 before anything of ours saw them.
        malformed_requests: IntCounter = counter(
            "shakerqueue_http_malformed_requests_total",
            "Requests that could not be read.",
        ),
        /// Connections that never became encrypted.
        failed_handshakes: IntCounter =
            counter("shakerqueue_tls_handshakes_failed_total", "TLS handshakes of clients that failed."),
        /// Answers with 5xx beyond those that are logged one by one.
        unlogged_answers: IntCounter = counter(
            "shakerqueue_http_unlogged_answers_total",
            "Answers with 5xx that were too many for the log.",
        ),
        /// Closed at once.
        connections_refused: IntCounter = counter(
            "shakerqueue_http_connections_refused_total",
            "Connections that were closed because their address had as many as it may.",
        ),
        /// Closed while an answer was under way.
        slow_readers: IntCounter = counter(
            "shakerqueue_http_slow_readers_total",
            "Connections that were closed because the client took its answer too slowly.",
        ),
        /// Held now.
        answer_bytes: IntGauge = number(
            "shakerqueue_http_answer_bytes",
            "Bytes reserved for answers that clients have not taken yet.",
        ),
        /// Not made.
        answers_refused: IntCounter = counter(
            "shakerqueue_http_answers_refused_total",
            "Requests answered with 503 because answers under way took all the memory that they may.",
        ),
    }
}

label! {
    /// What became of an attempt to sign in.
    Login, "outcome" {
        /// A session began.
        Succeeded = "succeeded",
        /// The password was wrong, or there is no such account.
        WrongPassword = "wrong_password",
        /// The account is switched off.
        Inactive = "inactive",
        /// So many had failed that it was not looked at.
        TooManyFailures = "too_many_failures",
        /// Too many passwords were being checked.
        Busy = "busy",
        /// The database could not do it.
        Unavailable = "unavailable",
    }
}

group! {
    /// Accounts.
    Accounts, accounts {
        /// Attempts to sign in.
        logins: By<Login, IntCounter> = counters("shakerqueue_logins_total", "Attempts to sign in."),
    }
}
