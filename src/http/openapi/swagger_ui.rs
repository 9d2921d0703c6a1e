//! The page that shows the document: Swagger UI, built in (`build.rs`), so that it needs no other server.

use crate::http::asset::Asset;
use std::{collections::HashMap, io};

/// A part of the page: its name, its media type, and itself, compressed (gzip).
struct Part(&'static str, &'static str, &'static [u8]);

macro_rules! part {
    ($name:literal, $kind:literal) => {
        Part($name, $kind, include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")))
    };
}

const PARTS: &[Part] = &[
    part!("start.js", "text/javascript; charset=utf-8"),
    part!("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    part!("swagger-ui.css", "text/css; charset=utf-8"),
    part!("licence.txt", "text/plain; charset=utf-8"),
];

/// The names of the parts.
pub fn names() -> impl Iterator<Item = &'static str> {
    PARTS.iter().map(|Part(name, ..)| *name)
}

/// The page itself.
pub fn page_asset() -> Asset {
    Asset::of("text/html; charset=utf-8", include_str!("swagger_ui/index.html"))
}

/// The parts by name.
pub fn part_assets() -> io::Result<HashMap<&'static str, Asset>> {
    PARTS.iter().map(|Part(name, kind, gzip)| Ok((*name, Asset::unpacked(kind, gzip)?))).collect()
}
