//! Compression of bodies with gzip, for clients that prefer it.

use actix_web::{
    HttpRequest,
    http::header::{AcceptEncoding, Encoding, Header},
};
use flate2::{Compression, write::GzEncoder};
use std::io::Write;

/// Returns whether the client prefers gzip to no compression.
pub fn accepts_gzip(request: &HttpRequest) -> bool {
    let known = [Encoding::identity(), Encoding::gzip()];
    AcceptEncoding::parse(request)
        .is_ok_and(|accepted| accepted.negotiate(known.iter()) == Some(Encoding::gzip()))
}

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    // With little effort, since a client waits.
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(plain);
    encoder.finish().unwrap_or_default()
}
