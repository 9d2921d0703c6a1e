//! Entity tags (RFC 9110, section 8.8.3) of single resources, which name their version.

use crate::domain::version::EntityVersion;
use serde::{Serialize, Serializer};
use std::fmt;

/// The strong entity tag of a version.
#[derive(Debug)]
pub struct ETag(pub EntityVersion);

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

impl Serialize for ETag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
