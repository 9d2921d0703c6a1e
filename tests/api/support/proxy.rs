//! A TCP forwarder that can hold back a server's answers or cut the connections.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail where it stands")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkState {
    Open,
    /// Forwards the client's bytes, and holds back the server's.
    Held,
    /// Closes every connection, and each new one.
    Cut,
}

/// The forwarder. Dropping it does not stop it.
pub struct Proxy {
    pub address: SocketAddr,
    line: watch::Sender<LinkState>,
    probes: Arc<AtomicUsize>,
}

/// The `SSLRequest` of PostgreSQL's protocol, which the product's liveness probe sends.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

impl Proxy {
    /// Forwards a free port of this machine to `server` (`host:port`).
    pub async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let line = watch::Sender::new(LinkState::Open);
        let state = line.subscribe();
        let probes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&probes);
        // Ends with the test's runtime.
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, server.clone(), state.clone(), Arc::clone(&counter)));
            }
        });
        Self { address, line, probes }
    }

    /// Starts a forwarder to the server of this URL, and returns the URL through it.
    pub async fn before(url: &str) -> (Self, String) {
        let mut url = url::Url::parse(url).expect("a URL");
        let port = url.port().unwrap_or(if url.scheme() == "amqp" { 5672 } else { 5432 });
        let line = Self::to(format!("{}:{port}", url.host_str().expect("a host"))).await;
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(line.address.port())).expect("a port");
        (line, url.into())
    }

    /// Counts the connections that probed PostgreSQL.
    pub fn probes(&self) -> usize {
        self.probes.load(Ordering::Relaxed)
    }

    pub fn hold_answers(&self) {
        self.line.send_replace(LinkState::Held);
    }

    pub fn cut(&self) {
        self.line.send_replace(LinkState::Cut);
    }

    pub fn restore(&self) {
        self.line.send_replace(LinkState::Open);
    }
}

async fn forward(
    client: TcpStream,
    server: String,
    mut line: watch::Receiver<LinkState>,
    probes: Arc<AtomicUsize>,
) {
    if *line.borrow() == LinkState::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let answers = line.clone();
    tokio::select! {
        () = requests(from_client, to_server, &probes) => {}
        () = responses(from_server, to_client, answers) => {}
        _ = line.wait_for(|line| *line == LinkState::Cut) => {}
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, probes: &AtomicUsize) {
    // It is sent in one piece.
    let mut beginning = SSL_REQUEST;
    let length = from.peek(&mut beginning).await.unwrap_or_default();
    if length == SSL_REQUEST.len() && beginning == SSL_REQUEST {
        probes.fetch_add(1, Ordering::Relaxed);
    }
    let _ = copy(&mut from, &mut to).await;
}

async fn responses(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut line: watch::Receiver<LinkState>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let open =
            line.wait_for(|line| *line != LinkState::Held).await.is_ok_and(|line| *line == LinkState::Open);
        if !open || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
