//! HTTP as bytes, for requests that no well-behaved client sends.

use super::{WAIT_TIMEOUT, person::Answer};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub struct Raw<S = TcpStream>(pub S);

impl Raw {
    pub async fn open(url: &str) -> Self {
        let (_, address) = url.split_once("://").expect("a URL");
        Self(TcpStream::connect(address).await.expect("the bar listens"))
    }

    pub fn reset(self) {
        let _ = self.0.set_zero_linger();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Sends bytes. Ignores errors: the server may answer and close the connection before it has read them all.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// Closes the sending side of the connection.
    pub async fn hang_up(&mut self) {
        let _ = self.0.shutdown().await;
    }

    /// Reads more bytes. Returns false at the end of the connection.
    pub async fn more(&mut self, bytes: &mut Vec<u8>) -> bool {
        matches!(self.0.read_buf(bytes).await, Ok(1..))
    }

    /// Reads an answer, or `None` if the server closes the connection without one.
    pub async fn answer(&mut self) -> Option<Answer> {
        timeout(WAIT_TIMEOUT, self.read()).await.expect("an answer or an end in time")
    }

    async fn read(&mut self) -> Option<Answer> {
        let mut bytes = Vec::new();
        loop {
            if let Some(answer) = parse(&bytes) {
                return Some(answer);
            }
            if !self.more(&mut bytes).await {
                return None;
            }
        }
    }
}

/// Parses an answer, if it is complete.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status");
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name: HeaderName = name.parse().expect("a header's name");
        headers.append(name, HeaderValue::from_str(value).expect("a header's value"));
    }
    let length: usize = headers.get("content-length")?.to_str().ok()?.parse().expect("a length");
    (body.len() >= length).then(|| Answer::new(status, headers, body.to_owned()))
}
