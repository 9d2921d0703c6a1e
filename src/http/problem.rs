//! Errors as clients see them: `application/problem+json` (RFC 9457). Causes go to the log.

use super::views::OrderView;
use crate::{
    accounts::Denied,
    bar::NotMoved,
    dead_letters::NotResolved,
    domain::Invalid,
    intake::{NotTaken, Refusal},
    menu::{Error, Unique},
};
use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde::Serialize;
use std::fmt;
use utoipa::ToSchema;

/// How long a client should wait before it tries again, in seconds.
const RETRY_AFTER: u32 = 2;

/// The longest explanation, in characters.
const MOST_CHARACTERS: usize = 300;

/// What is wrong with one field.
#[derive(Debug, Serialize, ToSchema)]
struct FieldError {
    /// The field as the client wrote it, with its place in lists.
    #[schema(examples("items[0].quantity"))]
    field: String,
    #[schema(examples("must be 1 to 20"))]
    problem: String,
}

/// An error response (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem, for good: `/problems/NAME`.
    #[schema(pattern = "^/problems/[a-z-]+$", examples("/problems/invalid"))]
    r#type: String,
    /// The same for all problems of the type.
    #[schema(examples("Invalid"))]
    title: &'static str,
    /// The status of the response.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong this time, for people.
    #[schema(examples("items[0].quantity: must be 1 to 20"))]
    detail: String,
    /// Which fields are wrong, where that is the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// The order as it stands, where that is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = OrderView)]
    order: Option<Box<OrderView>>,
}

impl Problem {
    fn new(status: StatusCode, name: &str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            r#type: format!("/problems/{name}"),
            title,
            status: status.as_u16(),
            detail: shortened(detail.into()),
            errors: Vec::new(),
            order: None,
        }
    }

    /// 404, also for what exists but is none of the caller's: ids can't be probed.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", format!("There is no such {what}."))
    }

    /// 401.
    pub fn not_signed_in() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "not-signed-in",
            "Not signed in",
            "This needs a valid token: Authorization: Bearer TOKEN.",
        )
    }

    /// 403.
    pub fn not_permitted(detail: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not-permitted", "Not permitted", detail)
    }

    /// 400: it can't be read at all.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed-request", "Malformed request", detail)
    }

    /// 408.
    pub fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "Too slow", "The body did not arrive in time.")
    }

    /// 413.
    pub fn too_large(most: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "Too large",
            format!("A body may have at most {most} bytes."),
        )
    }

    /// 415.
    pub fn not_json() -> Self {
        let detail = "The body must be JSON, not compressed, with Content-Type: application/json.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "Not JSON", detail)
    }

    /// 409, where there is no order to show.
    pub fn not_movable(detail: &str) -> Self {
        Self::conflict("illegal-move", "Illegal move", detail)
    }

    /// For a status that a library chose.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found("resource"),
            StatusCode::METHOD_NOT_ALLOWED => {
                let detail = "This resource does not have that method; Allow lists those it has.";
                Self::new(status, "method-not-allowed", "Method not allowed", detail)
            }
            _ => Self::new(
                status,
                "request-refused",
                status.canonical_reason().unwrap_or("Error"),
                "The request was refused.",
            ),
        }
    }

    fn unavailable(cause: &dyn fmt::Display) -> Self {
        tracing::warn!(%cause, "answered 503");
        let detail = "This can't be done right now. Please try again in a moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Unavailable", detail)
    }

    /// 503 after which it may have been done all the same.
    fn outcome_unknown(cause: &dyn fmt::Display) -> Self {
        tracing::warn!(%cause, "answered 503");
        let detail =
            "This may have been done or not. Please look, or repeat an order under the same Idempotency-Key.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown", "Outcome unknown", detail)
    }

    fn internal(cause: &dyn fmt::Display) -> Self {
        tracing::error!(%cause, "answered 500");
        let detail = "Something went wrong here; it has been noted.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    fn conflict(name: &str, title: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, name, title, detail)
    }
}

/// Some of a text may be the client's own words: they are not repeated at length.
fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MOST_CHARACTERS) {
        text.truncate(end);
        text.push('…');
    }
    text
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        let mut problem =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Invalid", invalid.to_string());
        problem
            .errors
            .push(FieldError { field: shortened(invalid.field), problem: shortened(invalid.problem) });
        problem
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(cause) => Self::unavailable(&cause),
            Error::Undecided(cause) => Self::outcome_unknown(&cause),
            Error::Taken(Unique::RecipeName) => {
                Self::conflict("recipe-exists", "Recipe exists", "There is a drink of that name on the menu.")
            }
            Error::Taken(_) | Error::UnknownReference(_) | Error::Refused(_) => Self::internal(&error),
        }
    }
}

impl From<NotTaken> for Problem {
    fn from(error: NotTaken) -> Self {
        match error {
            NotTaken::Invalid(invalid) => invalid.into(),
            NotTaken::SoldOut(name) => Self::conflict("sold-out", "Sold out", format!("{name} is sold out.")),
            NotTaken::NotForOthers => Self::not_permitted("Only staff order for others."),
            NotTaken::Conflict => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "Idempotency key reused",
                "Another order was placed under this Idempotency-Key.",
            ),
            // The menu is ours, so it is the customer that is not there: a token of another installation.
            NotTaken::Refused(Refusal::Unknown(_)) => Self::not_signed_in(),
            NotTaken::Refused(Refusal::Other(reason)) => Self::internal(&reason),
            NotTaken::Unavailable => Self::unavailable(&error),
            NotTaken::Undecided => Self::outcome_unknown(&error),
            NotTaken::Store(error) => error.into(),
        }
    }
}

impl From<NotMoved> for Problem {
    fn from(error: NotMoved) -> Self {
        match error {
            NotMoved::Unknown => Self::not_found("order"),
            NotMoved::Conflict(order) => {
                let detail = format!("The order is {}: that can't be done with it.", order.status);
                let mut problem = Self::conflict("illegal-move", "Illegal move", detail);
                problem.order = Some(Box::new(OrderView::from(*order)));
                problem
            }
            NotMoved::Store(error) => error.into(),
        }
    }
}

impl From<NotResolved> for Problem {
    fn from(error: NotResolved) -> Self {
        match error {
            NotResolved::Unknown => Self::not_found("dead letter"),
            NotResolved::Unstorable(_) => Self::conflict("unstorable", "Unstorable", sentence(&error)),
            NotResolved::Replayed => Self::conflict("replayed", "Replayed", sentence(&error)),
            NotResolved::Store(error) => error.into(),
        }
    }
}

/// An error's message as a sentence.
fn sentence(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str().trim_end_matches('.'))
}

impl From<Denied> for Problem {
    fn from(error: Denied) -> Self {
        match error {
            Denied::WrongPassword => Self::new(
                StatusCode::UNAUTHORIZED,
                "wrong-password",
                "Wrong password",
                "The e-mail or the password is wrong.",
            ),
            Denied::Inactive => Self::new(
                StatusCode::FORBIDDEN,
                "account-inactive",
                "Account inactive",
                "This account is switched off.",
            ),
            Denied::NotSignedIn => Self::not_signed_in(),
            Denied::EmailTaken => {
                Self::conflict("email-taken", "E-mail taken", "There is an account with this e-mail.")
            }
            Denied::Unknown => Self::not_found("account"),
            Denied::LastAdmin => {
                Self::conflict("last-admin", "Last admin", "The last active admin must stay one.")
            }
            Denied::Busy => Self::unavailable(&error),
            Denied::Store(error) => error.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
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
            StatusCode::SERVICE_UNAVAILABLE => {
                response.insert_header((header::RETRY_AFTER, RETRY_AFTER));
            }
            _ => {}
        }
        response.body(serde_json::to_string(self).unwrap_or_default())
    }
}
