//! Conditional requests (RFC 9110, section 13): a client is not sent a version that it has, and changes none that it has not seen.
//!
//! The tags of single resources are strong, and name the version, not the bytes: so these responses are never compressed, which
//! would give one version several representations. Lists and the menu, which are not changed as a whole, have weak tags or none.

use crate::domain::version::{EntityVersion, EntityVersions, Precondition};
use crate::http::problem::{Problem, etag, types};
use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Extracts the precondition of a change, for which a client may name the version that it has seen.
pub struct OptionalPrecondition(pub Precondition);

/// Extracts the precondition of a replacement, for which a client must name the version that it has seen.
pub struct RequiredPrecondition(pub Precondition);

from_head!(OptionalPrecondition, |request| precondition(request.headers()).map(Self));
from_head!(RequiredPrecondition, |request| match precondition(request.headers())? {
    Precondition { is: None, .. } => {
        let detail = "This needs the header If-Match, with the ETag of what was read.";
        Err(Problem::new(types::PRECONDITION_REQUIRED, detail))
    }
    precondition => Ok(Self(precondition)),
});

fn precondition(headers: &HeaderMap) -> Result<Precondition, Problem> {
    let given = |name: HeaderName, weakly| match tags(headers, &name) {
        Ok(tags) => Ok(tags.map(|tags| tags.versions(weakly))),
        Err(UnreadableTagsError) => Err(Problem::of_parameter(
            if weakly { "If-None-Match" } else { "If-Match" },
            "must be at most 100 entity tags in quotes, with commas between them, or *",
        )),
    };
    // A weak tag never matches `If-Match`.
    Ok(Precondition { is: given(header::IF_MATCH, false)?, is_not: given(header::IF_NONE_MATCH, true)? })
}

/// Tags in one header; no client knows as many versions of one resource.
const MAX_TAGS: usize = 100;

/// Entity tags, each without its quotes; the flag says that it is weak.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    Any,
    These(Vec<(bool, String)>),
}

impl Tags {
    /// Returns the tags that name a version; no other can match.
    fn versions(self, weakly: bool) -> EntityVersions {
        match self {
            Self::Any => EntityVersions::Any,
            Self::These(tags) => {
                let tags = tags.into_iter().filter(|(weak, _)| weakly || !weak);
                EntityVersions::These(tags.filter_map(|(_, tag)| tag.parse().ok()).collect())
            }
        }
    }

    fn parse(text: &[u8]) -> Option<Self> {
        if text.trim_ascii() == b"*" {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        let mut rest = after_commas(text);
        for _ in 0..MAX_TAGS {
            if rest.is_empty() {
                break;
            }
            let (weak, quoted) = rest.strip_prefix(b"W/").map_or((false, rest), |quoted| (true, quoted));
            let inner = quoted.strip_prefix(b"\"")?;
            let (tag, behind) = inner.split_at_checked(inner.iter().position(|byte| *byte == b'"')?)?;
            if tag.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
                return None;
            }
            tags.push((weak, String::from_utf8_lossy(tag).into_owned()));
            let behind = behind.strip_prefix(b"\"")?.trim_ascii_start();
            if !(behind.is_empty() || behind.starts_with(b",")) {
                return None;
            }
            rest = after_commas(behind);
        }
        rest.is_empty().then_some(Self::These(tags))
    }
}

/// Skips commas and blanks. Elements of a list may be empty (RFC 9110, 5.6.1).
fn after_commas(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| *byte != b',' && !byte.is_ascii_whitespace());
    start.and_then(|start| text.get(start..)).unwrap_or_default()
}

/// The header is not a list of tags.
struct UnreadableTagsError;

/// Reads the tags of a header, if the request has it.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, UnreadableTagsError> {
    let lines: Vec<_> = headers.get_all(name).map(HeaderValue::as_bytes).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    Tags::parse(&lines.join(&b","[..])).map(Some).ok_or(UnreadableTagsError)
}

/// Returns whether the client has the version with this tag. A header that can't be read has no tags.
fn has(request: &HttpRequest, tag: &str) -> bool {
    match tags(request.headers(), &header::IF_NONE_MATCH) {
        Ok(None) | Err(UnreadableTagsError) => false,
        Ok(Some(Tags::Any)) => true,
        Ok(Some(Tags::These(tags))) => tags.iter().any(|(_, known)| known == tag),
    }
}

/// Responds with a resource, or 304 where the client has this version.
pub fn show(request: &HttpRequest, version: EntityVersion, view: &impl Serialize) -> HttpResponse {
    let known = has(request, &version.to_string());
    let mut response = HttpResponse::build(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    tag(&mut response, version);
    if known { response.finish() } else { response.json(view) }
}

/// Responds with a resource that was changed to this version.
pub fn changed(version: EntityVersion, view: &impl Serialize) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    tag(&mut response, version);
    response.json(view)
}

/// Adds the entity tag of a version.
pub fn tag(response: &mut HttpResponseBuilder, version: EntityVersion) {
    // This encoding is not sent: it keeps the middleware from compressing.
    let as_it_is = (header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
    response.insert_header(as_it_is).insert_header((header::ETAG, etag(version)));
}

/// Responds with a resource that any client may cache and must revalidate, or 304 where the client has it. The tag is a digest of
/// its content.
pub fn show_public(request: &HttpRequest, tag: &str, answer: impl FnOnce() -> HttpResponse) -> HttpResponse {
    let mut response = if has(request, tag) { HttpResponse::NotModified().finish() } else { answer() };
    let headers = response.headers_mut();
    // Weak: a compressed body has other bytes.
    if let Ok(tag) = HeaderValue::try_from(format!("W/\"{tag}\"")) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Returns the digest of these bytes as an entity tag, without quotes.
pub fn content_tag(bytes: &[u8]) -> String {
    let tag = Sha256::digest(bytes).first_chunk().map_or(0, |start| u128::from_be_bytes(*start));
    format!("{tag:032x}")
}

#[cfg(test)]
#[path = "preconditions_proptests.rs"]
mod proptests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_tags_are_read_as_the_rfc_says() {
        let these = |tags: &[(bool, &str)]| {
            Some(Tags::These(tags.iter().map(|(weak, tag)| (*weak, (*tag).to_owned())).collect()))
        };
        for (text, read) in [
            ("*", Some(Tags::Any)),
            (" * ", Some(Tags::Any)),
            ("\"a\"", these(&[(false, "a")])),
            ("W/\"a\"", these(&[(true, "a")])),
            ("\"a\", W/\"b\" ,\t\"c\"", these(&[(false, "a"), (true, "b"), (false, "c")])),
            ("\"a,b\",\"\"", these(&[(false, "a,b"), (false, "")])),
            (", ,\"a\",,", these(&[(false, "a")])),
            ("", these(&[])),
            ("\"ä\"", these(&[(false, "ä")])),
            ("a", None),
            ("\"a", None),
            ("a\"", None),
            ("\"a\"\"b\"", None),
            ("\"a\" \"b\"", None),
            ("\"a b\"", None),
            ("w/\"a\"", None),
            ("W/ \"a\"", None),
            ("*, \"a\"", None),
            ("\"a\", *", None),
        ] {
            assert_eq!(Tags::parse(text.as_bytes()), read, "{text:?}");
        }
    }

    #[test]
    fn a_weak_tag_says_what_is_known_and_never_what_may_be_changed() {
        let version = EntityVersion { id: uuid::Uuid::nil(), version: 1 };
        let tags = || Tags::parse(format!("W/\"{version}\", \"x\"").as_bytes());
        assert_eq!(tags().map(|tags| tags.versions(true)), Some(EntityVersions::These(vec![version])));
        assert_eq!(tags().map(|tags| tags.versions(false)), Some(EntityVersions::These(Vec::new())));
    }
}
