use super::app;
use crate::http::server::{
    connection_progress::ConnectionProgress, connection_slots::ConnectionSlot,
    connection_timeouts::WatchedConnection,
};
use actix_http::{HttpService, Protocol};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, map_config};
use actix_web::{HttpRequest, HttpResponse, dev::AppConfig, rt, web};
use futures_util::FutureExt;
use std::{cell::RefCell, rc::Rc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split},
    time::timeout,
};

const REQUESTS: usize = 12;
const BUFFER_BYTES: usize = 64 * 1024;

/// Reads until this many responses are there.
async fn read_answers(client: &mut (impl AsyncRead + Unpin), number: usize) {
    let mut bytes = Vec::new();
    while String::from_utf8_lossy(&bytes).matches("HTTP/1.1 ").count() < number {
        let read = timeout(Duration::from_secs(10), client.read_buf(&mut bytes));
        assert!(read.await.expect("an answer in time").expect("it goes on") > 0, "the server hung up");
    }
}

#[actix_web::test]
async fn a_row_of_requests_lets_another_connection_have_its_turn() {
    let (server_of_row, mut row) = duplex(BUFFER_BYTES);
    let (server_of_other, mut other) = duplex(BUFFER_BYTES);
    other.write_all(b"GET /other HTTP/1.1\r\nHost: bar\r\n\r\n").await.expect("sent");
    let answered = Rc::new(RefCell::new(Vec::new()));
    // The other request arrives while the first one of the row is being answered, on the same thread.
    let (mut other, sending) = split(other);
    let sending = Rc::new(RefCell::new(sending));
    let handler = {
        let answered = answered.clone();
        move |request: HttpRequest| {
            if request.path() == "/row" && answered.borrow().len() == 1 {
                let again = b"GET /other HTTP/1.1\r\nHost: bar\r\n\r\n";
                sending.borrow_mut().write_all(again).now_or_never().expect("room").expect("sent");
            }
            answered.borrow_mut().push(request.path().to_owned());
            async { HttpResponse::Ok().finish() }
        }
    };
    let app = app(&[]).default_service(web::to(handler));
    let app = app.into_factory().map_err(|error: actix_web::Error| error.error_response());
    let server = HttpService::build()
        .on_connect_ext(|stream: &WatchedConnection<DuplexStream>, data| {
            data.insert::<Rc<ConnectionProgress>>(stream.progress());
        })
        .finish(map_config(app, |()| AppConfig::default()));
    let server = server.new_service(()).await.expect("a server");
    rt::spawn(server.call((
        WatchedConnection::new(server_of_other, false, ConnectionSlot::default()),
        Protocol::Http1,
        None,
    )));
    read_answers(&mut other, 1).await;
    rt::spawn(server.call((
        WatchedConnection::new(server_of_row, false, ConnectionSlot::default()),
        Protocol::Http1,
        None,
    )));
    row.write_all("GET /row HTTP/1.1\r\nHost: bar\r\n\r\n".repeat(REQUESTS).as_bytes()).await.expect("sent");
    read_answers(&mut row, REQUESTS).await;
    let answered = answered.borrow();
    let place = answered.iter().skip(1).position(|path| path == "/other");
    assert!(place.is_some_and(|place| place < REQUESTS / 2), "{answered:?}");
}
