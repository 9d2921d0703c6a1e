//! The server: HTTP/1.1, over TLS where there is a certificate.
//!
//! Not HTTP/2: the framework's bounds neither the requests that one connection may have under way nor the size of their heads, and
//! abandons them when the process stops.

pub mod connection_progress;
pub mod connection_slots;
pub mod connection_timeouts;
pub mod connections_per_address;
pub mod response_budget;
pub mod thread_watchdog;
pub mod tls;
pub mod upgrade;

use crate::telemetry::metrics;
use actix_http::{HttpService, Protocol};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt, apply_fn_factory, fn_service, map_config,
};
use actix_web::{
    App, Error,
    dev::{AppConfig, Server, ServiceRequest, ServiceResponse},
    rt::net::TcpStream,
};
use connection_progress::{HEAD_TIMEOUT, IDLE_TIMEOUT};
use connection_slots::ConnectionLimits;
use connection_timeouts::{LINGER_TIMEOUT, WatchedConnection};
use response_budget::SLICE_BYTES;
use socket2::SockRef;
use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener},
    time::Duration,
};
use tls::Tls;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

/// Bytes of a response that the system holds for a connection (Linux: twice as many, with its own overhead). By default it would
/// hold some MB for a client that begins fast and then stalls.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

type Stream = WatchedConnection<Either<TcpStream, Box<TlsStream<TcpStream>>>>;

#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    pub threads: usize,
    /// Without those that carry a stream of changes.
    pub connections: usize,
    pub streams: usize,
    /// Bytes of responses under way.
    pub answer_bytes: usize,
}

/// Serves `app` on this listener, until the server's handle stops it. Requests under way then have until `drain`.
pub fn start<T>(
    app: impl Fn() -> App<T> + Send + Clone + 'static,
    listener: TcpListener,
    Capacity { threads, connections, streams, .. }: Capacity,
    tls: Option<Tls>,
    limits: ConnectionLimits,
    drain: Duration,
) -> io::Result<Server>
where
    T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>
        + 'static,
{
    // Connections inherit it from their listener.
    SockRef::from(&listener).set_send_buffer_size(SEND_BUFFER_BYTES)?;
    let server = Server::build()
        // Signals belong to the process: it has more to stop than this server.
        .disable_signals()
        .workers(threads)
        // Of these `limits` admits as many as may carry no stream.
        .max_concurrent_connections((connections + streams).div_ceil(threads))
        .shutdown_timeout(drain.as_secs().max(1));
    let stopping = server.graceful_shutdown_signal();
    let server = server.listen("http", listener, move || {
        let (stopping, tls, limits) = (stopping.clone(), tls.clone(), limits.clone());
        let closing = stopping.clone();
        let app = app().into_factory().map_err(|error: Error| error.error_response());
        let app = apply_fn_factory(app, upgrade::ignore);
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(LINGER_TIMEOUT)
            .keep_alive(IDLE_TIMEOUT)
            .h1_write_buffer_size(SLICE_BYTES)
            .on_connect_ext(|stream: &Stream, data| {
                data.insert(stream.progress());
            })
            .finish(map_config(app, |()| AppConfig::default()));
        let admit = move |stream| {
            let (tls, limits, closing) = (tls.clone(), limits.clone(), closing.clone());
            async move {
                tokio::select! {
                    biased;
                    accepted = accept(stream, tls, limits) => accepted,
                    // A connection that waits for room would delay the end.
                    () = closing.notified() => Err(ErrorKind::ConnectionAborted.into()),
                }
            }
        };
        fn_service(admit).and_then(http.map_err(|error| {
            // Not worth a line each: any client can cause them.
            tracing::trace!(%error, "a connection failed");
            ErrorKind::Other.into()
        }))
    })?;
    Ok(server.run())
}

async fn accept(
    stream: TcpStream,
    tls: Option<Tls>,
    limits: ConnectionLimits,
) -> io::Result<(Stream, Protocol, Option<SocketAddr>)> {
    let peer = stream.peer_addr()?;
    // A connection beyond the limit of its address is closed without a response, which costs least.
    let slot = limits.admit(peer.ip()).await?;
    let stream = match tls {
        None => WatchedConnection::new(Either::Left(stream), false, slot),
        Some(tls) => {
            let encrypted = tls.accept(stream).await;
            let encrypted = encrypted.inspect_err(|_| metrics::http().failed_handshakes.inc())?;
            WatchedConnection::new(Either::Right(Box::new(encrypted)), true, slot)
        }
    };
    Ok((stream, Protocol::Http1, Some(peer)))
}
