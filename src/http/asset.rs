//! A document that is the same for every client: made once, plain and compressed, and shared by all responses.

use super::compression::{accepts_gzip, gzip};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
    web::Bytes,
};
use flate2::read::GzDecoder;
use std::io::{self, Read};

/// The header `Vary` of both forms.
const VARY: HeaderValue = HeaderValue::from_static("accept-encoding");

/// A document of one media type in both forms.
pub struct Asset {
    media_type: HeaderValue,
    plain: Bytes,
    gzip: Bytes,
}

impl Asset {
    /// Compresses the document: not for HTTP threads.
    pub fn of(media_type: &'static str, plain: impl Into<Bytes>) -> Self {
        let plain = plain.into();
        let gzip = gzip(&plain).into();
        Self { media_type: HeaderValue::from_static(media_type), plain, gzip }
    }

    /// Decompresses the document: not for HTTP threads.
    pub fn unpacked(media_type: &'static str, gzip: &'static [u8]) -> io::Result<Self> {
        let mut plain = Vec::new();
        GzDecoder::new(gzip).read_to_end(&mut plain)?;
        let media_type = HeaderValue::from_static(media_type);
        Ok(Self { media_type, plain: plain.into(), gzip: Bytes::from_static(gzip) })
    }

    /// Responds with the form that the client prefers, without a copy.
    pub fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response.insert_header((header::CONTENT_TYPE, self.media_type.clone()));
        response.insert_header((header::VARY, VARY));
        if accepts_gzip(request) {
            let gzip = HeaderValue::from_static("gzip");
            response.insert_header((header::CONTENT_ENCODING, gzip)).body(self.gzip.clone())
        } else {
            response.body(self.plain.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{body::MessageBody, test::TestRequest};

    fn body(asset: &Asset, encoding: &'static str) -> Bytes {
        let request = TestRequest::get().insert_header((header::ACCEPT_ENCODING, encoding)).to_http_request();
        asset.answer(&request).into_body().try_into_bytes().expect("there at once")
    }

    #[test]
    fn all_answers_share_one_copy_of_each_form() {
        let asset = Asset::of("text/plain", "x".repeat(100_000));
        for (encoding, whole) in [("gzip", &asset.gzip), ("identity", &asset.plain)] {
            for _ in 0..2 {
                let body = body(&asset, encoding);
                assert_eq!((body.as_ptr(), body.len()), (whole.as_ptr(), whole.len()), "{encoding}");
            }
        }
        assert!(asset.gzip.len() * 10 < asset.plain.len());
    }
}
