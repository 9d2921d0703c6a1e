//! Errors as clients see them: `application/problem+json` (RFC 9457). Their causes are for the log.

mod from_errors;
pub mod types;

use super::{request_id::RequestId, responses::OrderView};
use crate::domain::{
    FieldError,
    order::Order,
    validation::{FieldPath, alternatives},
    version::EntityVersion,
};
use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use chrono::TimeDelta;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;
use std::fmt;
use types::ProblemType;
use utoipa::ToSchema;

/// The header `Retry-After`, unless the problem knows better.
const RETRY_AFTER_SECONDS: u16 = 2;

const MAX_DETAIL_CHARS: usize = 300;

/// Characters that the fragment of a URI must not have (RFC 3986).
const FRAGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b'\\');

/// An error of one field, parameter or header.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FieldError)]
struct FieldProblem {
    /// The field, parameter or header as the client wrote it, with its place in lists.
    #[schema(examples("items[0].quantity"))]
    field: String,
    /// The place in the body, as the fragment of a URI (RFC 6901). Absent for parameters and headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, pattern = "^#(/.*)?$", examples("#/items/0/quantity"))]
    pointer: Option<String>,
    /// The error, readable after the field's name.
    #[schema(examples("must be 1 to 20"))]
    problem: String,
    /// For a drink that is not on the menu: up to three similar names, best first.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<String>, max_items = 3)]
    suggestions: Box<[String]>,
}

/// An error response (RFC 9457).
#[derive(Debug, thiserror::Error, Serialize, ToSchema)]
#[error("{title}: {detail}")]
pub struct Problem {
    /// The type of problem, which never changes: `/problems/NAME`, the path of a page about it.
    #[schema(value_type = String, pattern = "^/problems/[a-z-]+$", examples("/problems/invalid"))]
    r#type: &'static ProblemType,
    /// A short summary, the same for all problems of the type.
    #[schema(examples("Invalid"))]
    title: &'static str,
    /// The status of the response.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// An explanation of this occurrence, for people.
    #[schema(examples("items[0].quantity: must be 1 to 20"))]
    detail: Box<str>,
    /// The request's id in the service's log, as in the header `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, examples("0199f3a4c0de7000a1b2c3d4e5f60718"))]
    request_id: Option<Box<str>>,
    /// The fields that are wrong, if that is the reason.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<FieldProblem>)]
    errors: Box<[FieldProblem]>,
    /// The cause, for the log only.
    #[serde(skip)]
    cause: Option<Box<str>>,
    /// Seconds until a retry may succeed, if known.
    #[serde(skip)]
    retry_after: Option<u16>,
    /// The order as it is now, if that is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = OrderView)]
    order: Option<Box<OrderView>>,
    /// The current `ETag` of the resource that was to be changed, if that is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, examples("\"3-01a203c7a8287562865fb3ef9919e243\""))]
    etag: Option<Box<str>>,
}

impl Problem {
    pub fn new(problem_type: &'static ProblemType, detail: impl Into<String>) -> Self {
        Self {
            r#type: problem_type,
            title: problem_type.title,
            status: problem_type.status.as_u16(),
            detail: shortened(detail.into()).into(),
            request_id: RequestId::current().map(|id| id.as_str().into()),
            errors: Box::default(),
            cause: None,
            retry_after: None,
            order: None,
            etag: None,
        }
    }

    /// 404, also for a resource that the caller may not see, so that ids can't be probed.
    pub fn not_found(what: &str) -> Self {
        Self::new(types::NOT_FOUND, format!("There is no such {what}."))
    }

    /// 404 for a name that is not on the menu, with similar names.
    pub fn no_such_recipe(name: &str, suggestions: Vec<String>) -> Self {
        let problem = Self::not_found("recipe");
        let Some(names) = alternatives(&suggestions) else { return problem };
        let detail = format!("{} Did you mean {names}?", problem.detail);
        let invalid = FieldError::not_on_menu("id", name, suggestions);
        Self { detail: shortened(detail).into(), errors: Self::of_parameters([invalid]).errors, ..problem }
    }

    pub fn not_signed_in() -> Self {
        Self::new(types::NOT_SIGNED_IN, "This needs a valid token: Authorization: Bearer TOKEN.")
    }

    pub fn not_permitted(detail: &str) -> Self {
        Self::new(types::NOT_PERMITTED, detail)
    }

    /// 400 for a body that can't be read.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(types::MALFORMED_REQUEST, detail)
    }

    pub fn too_large(max_bytes: usize) -> Self {
        Self::new(types::TOO_LARGE, format!("A body may have at most {max_bytes} bytes."))
    }

    /// 429 with the seconds until a retry may succeed.
    pub fn too_many(detail: impl Into<String>, seconds: u16) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(types::TOO_MANY_REQUESTS, detail) }
    }

    /// 429 for a login whose password was not checked.
    fn too_many_failures(wait: TimeDelta) -> Self {
        // Rounded up, so that a retry after them is not too early.
        let seconds = wait.num_seconds() + i64::from(wait.subsec_nanos() > 0);
        let seconds = u16::try_from(seconds).unwrap_or(u16::MAX);
        let detail = format!("Too many passwords were wrong. The next one may be tried in {seconds} s.");
        Self { retry_after: Some(seconds), ..Self::new(types::TOO_MANY_FAILURES, detail) }
    }

    pub fn not_json() -> Self {
        let detail = "The body must be JSON, not compressed, with Content-Type: application/json.";
        Self::new(types::NOT_JSON, detail)
    }

    /// 412 for a resource that has another version than the client has seen.
    fn outdated(what: &str, version: EntityVersion) -> Self {
        let detail = format!("The {what} has changed since. Please read it again.");
        Self { etag: Some(etag(version).into()), ..Self::new(types::PRECONDITION_FAILED, detail) }
    }

    /// 422 for an idempotency key that belongs to another request.
    pub fn key_reused() -> Self {
        Self::new(types::IDEMPOTENCY_KEY_REUSED, "Another request was made under this Idempotency-Key.")
    }

    /// 422 for a parameter or a header.
    pub fn of_parameter(name: &str, problem: impl Into<String>) -> Self {
        Self::of_parameters([FieldError::new(name, problem)])
    }

    /// 422 for parameters, which have no pointer into the body.
    pub fn of_parameters(wrong: impl IntoIterator<Item = FieldError>) -> Self {
        Self::invalid(wrong, |_| None)
    }

    /// The problem of a status that the framework chose.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found("resource"),
            StatusCode::METHOD_NOT_ALLOWED => {
                let detail = "This resource does not have that method; Allow lists those it has.";
                Self::new(types::METHOD_NOT_ALLOWED, detail)
            }
            _ => Self {
                status: status.as_u16(),
                title: status.canonical_reason().unwrap_or("Error"),
                ..Self::new(types::REQUEST_REFUSED, "The request was refused.")
            },
        }
    }

    /// 500 for a defect of the service.
    pub fn internal(cause: &dyn fmt::Display) -> Self {
        Self::new(types::INTERNAL, "The service failed to answer this request; the cause is in its log.")
            .because(cause)
    }

    /// 422 for a valid value that the database can't store.
    fn value_refused(cause: &dyn fmt::Display) -> Self {
        Self::new(types::VALUE_REFUSED, "The database can't store a value of this request, now or later.")
            .because(cause)
    }

    pub fn unavailable(cause: &dyn fmt::Display) -> Self {
        Self::new(types::UNAVAILABLE, "The service can't do this at the moment. Please try again soon.")
            .because(cause)
    }

    /// 503 for a request that may have been executed all the same.
    fn outcome_unknown(cause: &dyn fmt::Display) -> Self {
        let detail = "It is unknown whether this was done. Please check, or repeat an order under the same Idempotency-Key.";
        Self::new(types::OUTCOME_UNKNOWN, detail).because(cause)
    }

    fn because(self, cause: &dyn fmt::Display) -> Self {
        Self { cause: Some(cause.to_string().into()), ..self }
    }

    fn with_order(self, order: Order) -> Self {
        Self { order: Some(Box::new(order.into())), ..self }
    }

    /// Returns the cause, for the log only: it may name what clients must not know.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// 422 for fields of the body.
    pub fn of_fields(fields: Vec<FieldError>) -> Self {
        Self::invalid(fields, |field| Some(fragment(field)))
    }

    fn invalid(
        fields: impl IntoIterator<Item = FieldError>,
        pointer: fn(&FieldPath) -> Option<String>,
    ) -> Self {
        let (mut sentences, mut errors) = (Vec::new(), Vec::new());
        for invalid in fields {
            sentences.push(invalid.to_string());
            errors.push(FieldProblem {
                field: shortened(invalid.field.to_string()),
                pointer: pointer(&invalid.field).map(shortened),
                problem: shortened(invalid.problem),
                suggestions: invalid.suggestions.into(),
            });
        }
        Self { errors: errors.into(), ..Self::new(types::INVALID, sentences.join("; ")) }
    }
}

/// Returns the strong entity tag of a version (RFC 9110, section 8.8.3).
pub fn etag(version: EntityVersion) -> String {
    format!("\"{version}\"")
}

/// Returns the JSON Pointer of a field as the fragment of a URI (RFC 6901, 6).
fn fragment(field: &FieldPath) -> String {
    format!("#{}", utf8_percent_encode(&field.pointer(), FRAGMENT))
}

/// Cuts a text to [`MAX_DETAIL_CHARS`]: a part of it may be the client's own text.
fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_DETAIL_CHARS) {
        text.truncate(end);
        text.push('…');
    }
    text
}

impl From<FieldError> for Problem {
    fn from(invalid: FieldError) -> Self {
        Self::of_fields(vec![invalid])
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        match status {
            StatusCode::UNAUTHORIZED => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                let seconds = self.retry_after.unwrap_or(RETRY_AFTER_SECONDS);
                response.insert_header((header::RETRY_AFTER, u32::from(seconds)));
            }
            _ => {}
        }
        if let Some(etag) = &self.etag {
            response.insert_header((header::ETAG, etag.as_ref()));
        }
        response.body(serde_json::to_string(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_whole_seconds_that_are_not_too_few() {
        for (wait, seconds) in [(1, "1"), (999_999, "1"), (1_000_000, "1"), (1_000_001, "2")] {
            let response = Problem::too_many_failures(TimeDelta::microseconds(wait)).error_response();
            assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), seconds, "{wait} µs");
        }
    }
}
