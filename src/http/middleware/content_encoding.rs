//! Content encoding: compresses bodies for clients that accept it, and omits those of `HEAD` requests.

use super::Answer;
use crate::http::{
    compression::{accepts_gzip, gzip},
    head_only::{is_head_only, unsent_body},
    offload::offload_if_free,
};
use actix_web::{
    body::{self, BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap, HeaderValue},
    middleware::Next,
};

/// A smaller body fits into one packet anyway.
const MIN_COMPRESSED_BYTES: u64 = 1024;

/// Encodes the body of a response, if it is there as a whole. Streams go through as they are.
pub async fn encode(request: ServiceRequest, next: Next<BoxBody>) -> Answer {
    let (request, response) = next.call(request).await?.into_parts();
    let (mut response, body) = response.into_parts();
    let may_compress = may_compress(response.headers_mut());
    let BodySize::Sized(length) = body.size() else {
        return Ok(ServiceResponse::new(request, response.set_body(body)));
    };
    let compresses = may_compress && length >= MIN_COMPRESSED_BYTES && accepts_gzip(&request);
    if is_head_only(&request) {
        // The length of a compressed body is unknown until it is made.
        let unsent = if compresses {
            mark(response.headers_mut());
            BoxBody::new(body::None::new())
        } else {
            unsent_body(length)
        };
        return Ok(ServiceResponse::new(request, response.set_body(unsent)));
    }
    let body = match body.try_into_bytes() {
        Ok(plain) if compresses => {
            let work = plain.clone();
            // Compression is left out while others are being compressed.
            match offload_if_free(move || gzip(&work)).await {
                Some(gzipped) => {
                    mark(response.headers_mut());
                    BoxBody::new(gzipped)
                }
                None => BoxBody::new(plain),
            }
        }
        Ok(plain) => BoxBody::new(plain),
        Err(body) => body,
    };
    Ok(ServiceResponse::new(request, response.set_body(body)))
}

/// Returns whether the handler left the encoding open. The encoding `identity` forbids compression, and is not sent.
fn may_compress(headers: &mut HeaderMap) -> bool {
    match headers.get(header::CONTENT_ENCODING) {
        None => return true,
        Some(encoding) if encoding == "identity" => {
            headers.remove(header::CONTENT_ENCODING);
        }
        Some(_) => {}
    }
    false
}

fn mark(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head_only::HeadOnly;
    use actix_web::{
        App, HttpMessage, HttpResponse,
        dev::Service,
        middleware::from_fn,
        test::{TestRequest, init_service},
        web,
    };

    async fn answer(text: &'static str, head_only: bool, accepted: &'static str) -> ServiceResponse<BoxBody> {
        let handler = web::to(move || async move { HttpResponse::Ok().body(text) });
        let app = init_service(App::new().wrap(from_fn(encode)).default_service(handler)).await;
        let request = TestRequest::get().insert_header((header::ACCEPT_ENCODING, accepted)).to_request();
        if head_only {
            request.extensions_mut().insert(HeadOnly);
        }
        app.call(request).await.expect("an answer")
    }

    fn is_gzip(answer: &ServiceResponse<BoxBody>) -> bool {
        answer.headers().get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "gzip")
    }

    const LONG: &str = match std::str::from_utf8(&[b'x'; 5000]) {
        Ok(text) => text,
        Err(_) => "",
    };

    #[actix_web::test]
    async fn a_body_travels_compressed_where_that_is_worth_it() {
        for (text, accepted, compressed) in [
            (LONG, "gzip", true),
            (LONG, "br;q=1, gzip;q=0.5", true),
            (LONG, "gzip;q=0", false),
            (LONG, "identity, gzip;q=0.5", false),
            ("short", "gzip", false),
        ] {
            let answer = answer(text, false, accepted).await;
            assert_eq!(is_gzip(&answer), compressed, "{accepted}");
            let body = answer.into_body();
            let BodySize::Sized(length) = body.size() else { panic!("no length") };
            assert_eq!(length == text.len() as u64, !compressed, "{accepted}");
        }
    }

    #[actix_web::test]
    async fn who_asks_for_the_head_only_is_made_no_body() {
        for (accepted, size) in [("identity", BodySize::Sized(LONG.len() as u64)), ("gzip", BodySize::None)] {
            let answer = answer(LONG, true, accepted).await;
            assert_eq!(is_gzip(&answer), accepted == "gzip");
            let mut body = answer.into_body();
            assert_eq!(body.size(), size);
            let sent = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_next(cx)).await;
            assert!(sent.is_none(), "{accepted}");
        }
    }
}
