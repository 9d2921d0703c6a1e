//! The bodies of answers as they travel: compressed where the client reads that, and none for who asks for the head only.

use super::offload::offload_if_free;
use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, AcceptEncoding, Encoding, Header, HeaderMap, HeaderValue},
    middleware::Next,
    web::Bytes,
};
use flate2::{Compression, write::GzEncoder};
use std::{
    convert::Infallible,
    io::Write,
    pin::Pin,
    task::{Context, Poll},
};

/// The size from which a body is compressed: less fits into one packet anyway.
const MIN_COMPRESSED_BYTES: usize = 1024;

/// Marks a request for a head (HEAD), which handlers see as GET.
pub struct HeadOnly;

/// Whether the client asks for the head only: what is costly needs not be made.
pub fn is_head_only(request: &HttpRequest) -> bool {
    request.extensions().contains::<HeadOnly>()
}

/// Whether the client prefers gzip to what is not compressed.
pub fn accepts_gzip(request: &HttpRequest) -> bool {
    let known = [Encoding::identity(), Encoding::gzip()];
    AcceptEncoding::parse(request)
        .is_ok_and(|accepted| accepted.negotiate(known.iter()) == Some(Encoding::gzip()))
}

/// A body that is not sent: the client asked for the head only.
pub struct Unsent(BodySize);

impl Unsent {
    /// One that was not made, so that nobody knows its length.
    pub fn unmade() -> Self {
        Self(BodySize::None)
    }
}

impl MessageBody for Unsent {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}

/// The layer next to the handlers. It looks at whole bodies only: streams go through as they are.
pub async fn encode(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (request, response) = next.call(request).await?.into_parts();
    let (mut response, body) = response.into_parts();
    let size = body.size();
    let BodySize::Sized(length) = size else {
        return Ok(ServiceResponse::new(request, response.set_body(body.boxed())));
    };
    let compressed = is_compressible(response.headers(), length) && accepts_gzip(&request);
    if is_head_only(&request) {
        let unsent = if compressed { Unsent::unmade() } else { Unsent(size) };
        if compressed {
            mark(response.headers_mut());
        }
        return Ok(ServiceResponse::new(request, response.set_body(BoxBody::new(unsent))));
    }
    let body = match body.try_into_bytes() {
        Ok(plain) if compressed => {
            let work = plain.clone();
            // It is a favour: while others are being compressed it is left out.
            match offload_if_free(move || gzip(&work)).await {
                Some(gzipped) => {
                    mark(response.headers_mut());
                    BoxBody::new(gzipped)
                }
                None => BoxBody::new(plain),
            }
        }
        Ok(plain) => BoxBody::new(plain),
        Err(body) => body.boxed(),
    };
    Ok(ServiceResponse::new(request, response.set_body(body)))
}

/// Compresses with little effort. Writing to memory does not fail.
pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
    let _ = encoder.write_all(plain);
    encoder.finish().unwrap_or_default()
}

fn is_compressible(headers: &HeaderMap, length: u64) -> bool {
    length >= MIN_COMPRESSED_BYTES as u64 && !headers.contains_key(header::CONTENT_ENCODING)
}

fn mark(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{
        App, HttpResponse,
        dev::Service,
        middleware::from_fn,
        test::{TestRequest, init_service},
        web,
    };

    /// The answer to a request for this body.
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
            let sent = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await;
            assert!(sent.is_none(), "{accepted}");
        }
    }
}
