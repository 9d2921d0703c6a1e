use super::*;
use crate::http::server::connection_progress::{IDLE_TIMEOUT, UNREAD_TIMEOUT};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::{sleep, timeout},
};

const SOON: Duration = Duration::from_secs(1);

/// Returns a connection and the client's end of it, which takes 64 bytes at a time.
fn connected() -> (WatchedConnection<DuplexStream>, DuplexStream) {
    let (server, client) = duplex(64);
    (WatchedConnection::new(server, false, ConnectionSlot::default()), client)
}

/// Returns the time until reading ends with an error.
async fn cut_after(watched: &mut WatchedConnection<DuplexStream>) -> Duration {
    let begun = Instant::now();
    let mut buffer = [0; 64];
    loop {
        match watched.read(&mut buffer).await {
            Ok(0) => panic!("the client hung up"),
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                return begun.elapsed();
            }
        }
    }
}

/// Sends a byte a second.
async fn dribble(mut client: DuplexStream) -> DuplexStream {
    while client.write_all(b"x").await.is_ok() {
        sleep(SOON).await;
    }
    client
}

#[tokio::test(start_paused = true)]
async fn a_head_must_be_there_in_time_the_first_and_each_later_one() {
    let (mut watched, client) = connected();
    let client = tokio::spawn(dribble(client));
    let within = HEAD_TIMEOUT + LATE_HEAD_GRACE;
    let took = cut_after(&mut watched).await;
    assert!((within..within + SOON).contains(&took), "{took:?}");
    // It was a request after all, and was answered for however long: the next one has a time of its own.
    let busy = watched.progress().begin();
    let reading = timeout(10 * IDLE_TIMEOUT, cut_after(&mut watched)).await;
    assert!(reading.is_err(), "cut while it is answered");
    drop(busy);
    let took = cut_after(&mut watched).await;
    assert!((within..within + 2 * SOON).contains(&took), "{took:?}");
    client.abort();
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept_for_a_while() {
    let (mut watched, _client) = connected();
    drop(watched.progress().begin());
    let took = cut_after(&mut watched).await;
    assert!((IDLE_TIMEOUT..IDLE_TIMEOUT + SOON).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_goes_on_keeps_the_connection() {
    let (mut watched, mut client) = connected();
    drop(watched.progress().begin());
    let reader = tokio::spawn(async move {
        let mut all = Vec::new();
        let _ = client.read_to_end(&mut all).await;
        all.len()
    });
    for _ in 0..10 {
        watched.write_all(b"still here").await.expect("written");
        let idle = timeout(IDLE_TIMEOUT / 2, cut_after(&mut watched)).await;
        assert!(idle.is_err(), "cut between two parts");
    }
    drop(watched);
    assert_eq!(reader.await.expect("no panic"), 100);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_is_given_up() {
    let (mut watched, _client) = connected();
    let _busy = watched.progress().begin();
    let begun = Instant::now();
    let written = watched.write_all(&[b'x'; 1000]).await;
    assert_eq!(written.expect_err("never read").kind(), io::ErrorKind::TimedOut);
    assert!((UNREAD_TIMEOUT..UNREAD_TIMEOUT + SOON).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

/// Takes this many bytes at each interval, until there are no more.
async fn take(mut client: DuplexStream, bytes: usize, interval: Duration) -> usize {
    let (mut all, mut some) = (0, vec![0; bytes]);
    loop {
        sleep(interval).await;
        match client.read(&mut some).await {
            Ok(0) | Err(_) => return all,
            Ok(more) => all += more,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_slowly_arrives() {
    let (mut watched, client) = connected();
    let _busy = watched.progress().begin();
    let reader = tokio::spawn(take(client, 64, Duration::from_millis(10)));
    let begun = Instant::now();
    watched.write_all(&vec![b'x'; 300_000]).await.expect("read in the end");
    assert!(begun.elapsed() > 2 * UNREAD_TIMEOUT);
    drop(watched);
    assert_eq!(reader.await.expect("no panic"), 300_000);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_too_slowly_is_given_up() {
    let (mut watched, client) = connected();
    let progress = watched.progress();
    let _busy = progress.begin();
    tokio::spawn(take(client, 64, SOON));
    let begun = Instant::now();
    // Piece by piece, of which each but the last has more behind it.
    progress.has_more.set(true);
    let error = loop {
        let written = match watched.write_all(&[b'x'; 200]).await {
            Ok(()) => watched.flush().await,
            failed => failed,
        };
        if let Err(error) = written {
            break error;
        }
        assert!(begun.elapsed() < 3 * UNREAD_TIMEOUT, "it goes on");
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!((UNREAD_TIMEOUT..UNREAD_TIMEOUT + 2 * SOON).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_small_parts_may_be_read_as_they_come() {
    let (mut watched, client) = connected();
    let _busy = watched.progress().begin();
    tokio::spawn(take(client, 64, SOON));
    let begun = Instant::now();
    while begun.elapsed() < 10 * UNREAD_TIMEOUT {
        watched.write_all(&[b'x'; 100]).await.expect("taken before there is more");
        watched.flush().await.expect("taken");
        sleep(2 * SOON).await;
    }
}

/// Returns the number of bytes that can be read without waiting.
async fn readable(watched: &mut WatchedConnection<DuplexStream>) -> usize {
    let (mut all, mut some) = (0, [0; 8192]);
    while let Ok(Ok(bytes)) = timeout(Duration::from_millis(10), watched.read(&mut some)).await {
        all += bytes;
    }
    all
}

#[tokio::test(start_paused = true)]
async fn little_is_read_behind_a_request_that_is_being_answered() {
    let (server, mut client) = duplex(1 << 20);
    let mut watched = WatchedConnection::new(server, false, ConnectionSlot::default());
    let progress = watched.progress();
    client.write_all(&vec![b'x'; 300_000]).await.expect("room");
    let busy = progress.begin();
    assert_eq!(readable(&mut watched).await, 4096);
    assert_eq!(readable(&mut watched).await, 0);
    // A body is, once it is asked for.
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("1000"));
    progress.expect_body(&headers);
    assert_eq!(readable(&mut watched).await, 1000);
    headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    progress.expect_body(&headers);
    progress.expect_body(&headers);
    assert_eq!(readable(&mut watched).await, 112 * 1024);
    // A second one is there at once in the framework's buffer, so that the answer is no end to reading.
    drop((progress.begin(), progress.begin()));
    assert_eq!(readable(&mut watched).await, 0);
    drop(busy);
    assert!(readable(&mut watched).await > 10_000, "all that is left");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_of_a_client_that_does_not_read() {
    let (server, mut client) = duplex(100);
    let mut watched = WatchedConnection::new(server, false, ConnectionSlot::default());
    client.write_all(b"GET").await.expect("room");
    let written = timeout(SOON, watched.write_all(&[b'x'; 150])).await;
    assert!(written.is_err(), "the client reads nothing");
    assert_eq!(readable(&mut watched).await, 0);
    let mut answer = [0; 100];
    client.read_exact(&mut answer).await.expect("what was written");
    watched.flush().await.expect("nothing waits");
    assert_eq!(readable(&mut watched).await, 3);
}
