//! A TCP forwarder between the product and a server, which can delay, hold back and cut connections.

use crate::Result;
use rand::random_range;
use std::{
    future::pending,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

const CHUNK_BYTES: usize = 16 * 1024;
/// `Query` message of PostgreSQL's protocol: its length, and the statement.
const COMMIT_MESSAGE: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// Behaviour of the forwarded connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    Open,
    /// Delays each chunk by a number of milliseconds in this range.
    Late(u64, u64),
    /// Limits the bytes a second in either direction.
    Slow(u32),
    /// Forwards nothing. Connections stay, new ones seem to succeed, and bytes arrive once the state is `Open` again.
    Silent,
    /// Holds back the server's bytes.
    AnswersHeld,
    /// Closes the server's side of the existing connections only. New ones work.
    HalfOpen,
    /// Resets every connection, and each new one.
    Reset,
    /// Resets the connection of every other transaction between its commit and the answer.
    CutAtCommit,
}

pub struct Proxy {
    pub address: SocketAddr,
    line: watch::Sender<LinkState>,
    listening: JoinHandle<()>,
}

impl Proxy {
    pub async fn to(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let line = watch::Sender::new(LinkState::Open);
        let state = line.subscribe();
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, state.clone()));
            }
        });
        Ok(Self { address, line, listening })
    }

    pub fn set(&self, line: LinkState) {
        self.line.send_replace(line);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

enum ConnectionEnd {
    Closed,
    HalfOpen,
    Reset,
}

async fn carry(mut client: TcpStream, server: SocketAddr, mut line: watch::Receiver<LinkState>) {
    line.borrow_and_update();
    let _ = line.wait_for(|line| *line != LinkState::Silent).await;
    if *line.borrow() == LinkState::Reset {
        let _ = client.set_zero_linger();
        return;
    }
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let cutting = AtomicBool::new(false);
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            _ = forward(from_client, to_server, line.clone(), Direction::Requests(&cutting)) => ConnectionEnd::Closed,
            _ = forward(from_server, to_client, line.clone(), Direction::Answers(&cutting)) => {
                if cutting.load(Ordering::Relaxed) { ConnectionEnd::Reset } else { ConnectionEnd::Closed }
            }
            end = disturbed(&mut line) => end,
        }
    };
    match end {
        ConnectionEnd::Closed => {}
        ConnectionEnd::Reset => {
            let _ = (client.set_zero_linger(), server.set_zero_linger());
        }
        ConnectionEnd::HalfOpen => {
            drop(server);
            // What the client goes on sending is taken and lost.
            let _ = tokio::io::copy(&mut client, &mut tokio::io::sink()).await;
        }
    }
}

async fn disturbed(line: &mut watch::Receiver<LinkState>) -> ConnectionEnd {
    while line.changed().await.is_ok() {
        match *line.borrow_and_update() {
            LinkState::Reset => return ConnectionEnd::Reset,
            LinkState::HalfOpen => return ConnectionEnd::HalfOpen,
            _ => {}
        }
    }
    ConnectionEnd::Closed
}

#[derive(Clone, Copy)]
enum Direction<'a> {
    /// Sets the flag if the server's next answer is one to a commit that must not reach the client.
    Requests(&'a AtomicBool),
    Answers(&'a AtomicBool),
}

impl Direction<'_> {
    /// Waits while nothing may pass in this direction, and returns the state after that.
    async fn open(self, line: &mut watch::Receiver<LinkState>) -> LinkState {
        let stopped = |line: &LinkState| {
            *line == LinkState::Silent
                || *line == LinkState::AnswersHeld && matches!(self, Direction::Answers(_))
        };
        let open = line.wait_for(|line| !stopped(line)).await.map(|line| *line);
        match open {
            Ok(line) => line,
            // The proxy is gone, and so is this connection in a moment.
            Err(_) => pending().await,
        }
    }

    /// Returns true if the connection must be cut at these bytes.
    fn cuts(self, line: LinkState, bytes: &[u8]) -> bool {
        static COMMITS: AtomicU32 = AtomicU32::new(0);
        match self {
            Direction::Answers(cutting) => cutting.load(Ordering::Relaxed),
            Direction::Requests(cutting) => {
                let commits = line == LinkState::CutAtCommit
                    && bytes.windows(COMMIT_MESSAGE.len()).any(|part| part == COMMIT_MESSAGE);
                if commits && COMMITS.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
                    cutting.store(true, Ordering::Relaxed);
                }
                false
            }
        }
    }
}

async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: watch::Receiver<LinkState>,
    way: Direction<'_>,
) -> io::Result<()> {
    // What is late must not keep what follows from being read: a line of 200 ms still carries much.
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(64);
    let reading = async move {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            way.open(&mut line).await;
            let length = from.read(&mut buffer).await?;
            let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
            let line = way.open(&mut line).await;
            if way.cuts(line, bytes) {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            let mut due = Instant::now();
            match line {
                LinkState::Late(least, most) => due += Duration::from_millis(random_range(least..=most)),
                LinkState::Slow(rate) => {
                    sleep(Duration::from_secs_f64(
                        f64::from(u32::try_from(length).unwrap_or(rate)) / f64::from(rate),
                    ))
                    .await;
                }
                _ => {}
            }
            if sender.send((due, bytes.to_vec())).await.is_err() {
                return Ok(());
            }
        }
    };
    let writing = async move {
        while let Some((due, bytes)) = receiver.recv().await {
            sleep_until(due).await;
            to.write_all(&bytes).await?;
        }
        Ok(())
    };
    tokio::try_join!(reading, writing).map(|_: ((), ())| ())
}
