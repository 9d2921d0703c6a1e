//! Bodies that are not JSON, incomplete, too large, or of another media type.

use super::{Case, are_refused, count, refuses};
use crate::support::{
    Bar, DatabaseKind, Person, PostgreSql, Sqlite,
    person::{id, send},
    raw::Raw,
};
use reqwest::Method;
use rstest::rstest;

const MAX_BODY_BYTES: usize = 64 * 1024;

fn order(guest: &Person, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
    guest.request(Method::POST, "/orders").header("Content-Type", "application/json").body(body)
}

/// Builds a valid order of this many bytes, padded with white space.
fn order_of(bytes: usize) -> String {
    let order = r#"{"recipe":"Negroni"}"#;
    format!("{}{order}", " ".repeat(bytes - order.len()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_order_is_refused() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let cases: [Case<&[u8]>; 19] = [
        (b"", 400, "malformed-request", ""),
        (b" ", 400, "malformed-request", ""),
        (b"Negroni", 400, "malformed-request", ""),
        (b"{", 400, "malformed-request", ""),
        (br#"{"recipe":"Negr"#, 400, "malformed-request", ""),
        (br#"{"recipe":"Negroni""#, 400, "malformed-request", ""),
        (br#"{"items":[{"recipe":"Negroni"}"#, 400, "malformed-request", ""),
        (br#"{"recipe":"Negroni",}"#, 400, "malformed-request", ""),
        (br#"{recipe:"Negroni"}"#, 400, "malformed-request", ""),
        (br"{'recipe':'Negroni'}", 400, "malformed-request", ""),
        (br#"{"recipe":"Negroni"}x"#, 400, "malformed-request", ""),
        (br#"{"recipe":"Negroni"}{"recipe":"Negroni"}"#, 400, "malformed-request", ""),
        (br#"{"recipe":"\ud800"}"#, 400, "malformed-request", ""),
        (b"{\"recipe\":\"Negroni\xff\"}", 400, "malformed-request", ""),
        (br#"{"recipe":"Negroni","quantity":1e400}"#, 400, "malformed-request", ""),
        (b"null", 422, "invalid", "body"),
        (br#""Negroni""#, 422, "invalid", "body"),
        // What serde would take for a struct.
        (br#"["Negroni",null,null,null,null,null]"#, 422, "invalid", "body"),
        (br#"{"recipe":"Negroni","recipe":"Mojito"}"#, 422, "invalid", "recipe"),
    ];
    are_refused(&bar, cases.map(|(body, status, kind, field)| (order(&guest, body), status, kind, field)))
        .await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_order_mark_is_no_part_of_a_body_and_other_encodings_are_named() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let placed = send(order(&guest, "\u{feff}{\"recipe\":\"Piña Colada\"}")).await.expect(201);
    let reason = "\u{feff}{\"reason\":\"too\\r\\nlate\"}";
    let cancel = guest.request(Method::POST, &format!("/orders/{}/cancel", id(&placed)));
    let cancelled = send(cancel.header("Content-Type", "application/json").body(reason)).await.expect(200);
    assert_eq!(cancelled["status_reason"], "too\nlate");
    let utf16 =
        |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<_>>();
    let utf32 = |text: &str, bytes: fn(u32) -> [u8; 4]| {
        text.chars().flat_map(|character| bytes(character.into())).collect::<Vec<_>>()
    };
    // Where a body may be left out.
    for nothing in ["", "\u{feff}", " \n", "\u{feff}\r\n"] {
        let placed = guest.order("Negroni").await;
        let cancel = guest.request(Method::POST, &format!("/orders/{}/cancel", id(&placed)));
        let cancelled =
            send(cancel.header("Content-Type", "application/json").body(nothing)).await.expect(200);
        assert_eq!(cancelled["status_reason"], serde_json::Value::Null);
    }
    let text = "{\"recipe\":\"Piña Colada\"}";
    let marked = format!("\u{feff}{text}");
    for (body, named) in [
        (utf16(text, u16::to_le_bytes), "UTF-16"),
        (utf16(text, u16::to_be_bytes), "UTF-16"),
        (utf16(&marked, u16::to_le_bytes), "UTF-16"),
        (utf16(&marked, u16::to_be_bytes), "UTF-16"),
        (b"{\"recipe\":\"Pi\xf1a Colada\"}".to_vec(), "must be UTF-8"),
        (utf32(text, u32::to_le_bytes), "UTF-32"),
        (utf32(text, u32::to_be_bytes), "UTF-32"),
        (utf32(&marked, u32::to_le_bytes), "UTF-32"),
        (utf32(&marked, u32::to_be_bytes), "UTF-32"),
        (Vec::new(), "The body is empty."),
        ("\u{feff}".into(), "The body is empty."),
        ("\u{feff} \r\n".into(), "The body is empty."),
        ("\u{feff}\u{feff}{}".into(), "not JSON"),
    ] {
        let problem = send(order(&guest, body)).await.expect_problem(400, "malformed-request");
        assert!(problem["detail"].as_str().unwrap().contains(named), "{named}: {problem}");
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_nesting_is_refused_and_overflows_no_stack() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let deep = "[".repeat(10_000);
    for body in [
        deep.clone(),
        format!(r#"{{"recipe":{deep}"#),
        format!(r#"{{"items":{deep}"#),
        format!(r#"{{"items":[{{"recipe":"Negroni","note":{deep}"#),
        format!(r#"{{"unknown":{}"#, r#"{"a":"#.repeat(10_000)),
    ] {
        let answer = send(order(&guest, body)).await;
        // Whether the depth or the type is seen first does not matter.
        assert!(matches!(answer.status, 400 | 422), "answered {}: {}", answer.status, answer.text);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert!(answer.text.len() < 2000, "{} bytes come back", answer.text.len());
    }
    assert_eq!(count(&bar).await, 0);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_another_kind_is_refused() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    let body = r#"{"recipe":"Negroni"}"#;
    let typed = |kind: &str| guest.request(Method::POST, "/orders").header("Content-Type", kind).body(body);
    let mut cases = vec![(guest.request(Method::POST, "/orders").body(body), 415, "not-json", "")];
    for kind in [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "json",
        "",
        "multipart/form-data; boundary=application/json",
    ] {
        cases.push((typed(kind), 415, "not-json", ""));
    }
    let login = bar.stranger().request(Method::POST, "/login").body("{}");
    cases.push((login.header("Content-Type", "text/plain"), 415, "not-json", ""));
    are_refused(&bar, cases).await;
    for kind in ["application/json; charset=utf-8", "Application/JSON", "application/vnd.bar+json"] {
        send(typed(kind)).await.expect(201);
    }
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_may_have_64_kib_and_not_one_byte_more() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    send(order(&guest, order_of(MAX_BODY_BYTES))).await.expect(201);
    are_refused(&bar, [(order(&guest, order_of(MAX_BODY_BYTES + 1)), 413, "too-large", "")]).await;
    bar.close().await;
}

fn head(guest: &Person, more: &str) -> String {
    format!(
        "POST /orders HTTP/1.1\r\nHost: bar\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\n{more}\r\n",
        guest.token()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_announced_as_too_large_is_refused_before_it_comes() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    for length in [MAX_BODY_BYTES + 1, 10_000_000_000] {
        let mut raw = Raw::open(&bar.url).await;
        raw.send(head(&guest, &format!("Content-Length: {length}\r\n")).as_bytes()).await;
        let answer = raw.answer().await.expect("an answer");
        assert_eq!(refuses(&answer, 413, "too-large", ""), Ok(()));
    }
    assert_eq!(count(&bar).await, 0);
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunked_body_is_cut_off_where_it_is_too_large() {
    let bar = Bar::open(Sqlite).await;
    let guest = bar.guest().await;
    for (bytes, too_large) in
        [(MAX_BODY_BYTES, false), (MAX_BODY_BYTES + 1, true), (MAX_BODY_BYTES * 4, true)]
    {
        let mut raw = Raw::open(&bar.url).await;
        raw.send(head(&guest, "Transfer-Encoding: chunked\r\n").as_bytes()).await;
        for chunk in order_of(bytes).as_bytes().chunks(10_000) {
            raw.send(format!("{:x}\r\n", chunk.len()).as_bytes()).await;
            raw.send(chunk).await;
            raw.send(b"\r\n").await;
        }
        raw.send(b"0\r\n\r\n").await;
        let answer = raw.answer().await.expect("an answer");
        if too_large {
            assert_eq!(refuses(&answer, 413, "too-large", ""), Ok(()), "{bytes} bytes");
        } else {
            answer.expect(201);
        }
    }
    assert_eq!(count(&bar).await, 1, "the one that was not too large");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_body_that_ends_early_nothing_is_stored(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let guest = bar.guest().await;
    let whole = r#"{"recipe":"Negroni"}"#;
    // The second is a whole order as it stands, and yet not what was announced.
    for sent in [&whole[..12], whole] {
        for head in [
            head(&guest, "Content-Length: 100\r\n"),
            // A chunk of 100 bytes that never comes to its end.
            head(&guest, "Transfer-Encoding: chunked\r\n") + "64\r\n",
        ] {
            let mut raw = Raw::open(&bar.url).await;
            raw.send(head.as_bytes()).await;
            raw.send(sent.as_bytes()).await;
            raw.hang_up().await;
            // Who hung up need not be answered.
            if let Some(answer) = raw.answer().await {
                assert_eq!(refuses(&answer, 400, "malformed-request", ""), Ok(()));
            }
        }
    }
    assert_eq!(count(&bar).await, 0);
    guest.order("Negroni").await;
    assert_eq!(count(&bar).await, 1, "the bar lives on");
    bar.close().await;
}
