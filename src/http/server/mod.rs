//! What listens: HTTP/1.1, over TLS where there is a certificate.
//!
//! Not HTTP/2: the framework's bounds neither the requests that one connection may have under way nor the size of their heads,
//! and it leaves them when the process stops.

pub mod connection_progress;
pub mod connection_timeouts;
pub mod connections_per_address;
pub mod response_memory;
pub mod thread_watchdog;
pub mod tls;
pub mod upgrade;

use crate::telemetry::metrics;
use actix_http::{HttpService, Protocol};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt, apply_fn_factory, fn_service, map_config,
};
use actix_web::{
    Error,
    body::MessageBody,
    dev::{AppConfig, Server, Service},
    rt::net::TcpStream,
};
use connection_timeouts::{HEAD_TIMEOUT, IDLE_TIMEOUT, LINGER, WatchedConnection};
use connections_per_address::{AddressLimits, TooManyConnections};
use response_memory::SLICE_BYTES;
use socket2::SockRef;
use std::{
    fmt,
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tls::Tls;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

/// Bytes of an answer that the system holds for a connection (Linux: twice as many, with what it needs itself). It would take
/// some MB of each for a client that begins fast and then stalls.
const SEND_BUFFER: usize = 128 * 1024;

type Stream = WatchedConnection<Either<TcpStream, Box<TlsStream<TcpStream>>>>;

/// How much is done at a time.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Threads that answer.
    pub threads: usize,
    /// Connections that are open.
    pub connections: usize,
    /// Bytes of answers under way.
    pub answer_bytes: usize,
}

/// Answers with `app` on this listener. It runs until its handle stops it; `drain` bounds how long requests under way may then take.
pub fn start<F, I, S, B>(
    app: F,
    listener: TcpListener,
    Capacity { threads, connections, .. }: Capacity,
    tls: Option<Tls>,
    addresses: Option<Arc<AddressLimits>>,
    drain: Duration,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, actix_http::Request>,
    S: ServiceFactory<actix_http::Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<actix_http::Response<B>> + 'static,
    S::Service: 'static,
    <S::Service as Service<actix_http::Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    // Connections have what their listener has.
    SockRef::from(&listener).set_send_buffer_size(SEND_BUFFER)?;
    let server = Server::build()
        // Signals belong to the process: it has more to stop than this server.
        .disable_signals()
        .workers(threads)
        .max_concurrent_connections(connections.div_ceil(threads))
        .shutdown_timeout(drain.as_secs().max(1));
    let stopping = server.graceful_shutdown_signal();
    let server = server.listen("http", listener, move || {
        let (stopping, tls, addresses) = (stopping.clone(), tls.clone(), addresses.clone());
        let app = app().into_factory().map_err(|error| error.into().error_response());
        let app = apply_fn_factory(app, upgrade::ignore);
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(LINGER)
            .keep_alive(IDLE_TIMEOUT)
            .h1_write_buffer_size(SLICE_BYTES)
            .on_connect_ext(|stream: &Stream, data| {
                data.insert(stream.progress());
            })
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(move |stream| accept(stream, tls.clone(), addresses.clone())).and_then(http.map_err(
            |error| {
                // Not worth a line each: whoever connects can cause them.
                tracing::trace!(%error, "a connection ended");
                ErrorKind::Other.into()
            },
        ))
    })?;
    Ok(server.run())
}

async fn accept(
    stream: TcpStream,
    tls: Option<Tls>,
    addresses: Option<Arc<AddressLimits>>,
) -> io::Result<(Stream, Protocol, Option<SocketAddr>)> {
    let peer = stream.peer_addr()?;
    // One that is too many is closed without a word, which costs least.
    let slot = match addresses.map(|addresses| addresses.admit(peer.ip())) {
        None => None,
        Some(Ok(slot)) => slot,
        Some(Err(TooManyConnections)) => return Err(ErrorKind::ConnectionRefused.into()),
    };
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
