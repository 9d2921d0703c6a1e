//! `Idempotency-Key`: requests that are done once, however often they are sent.

use super::preconditions;
use crate::http::problem::Problem;
use crate::{
    domain::{FieldError, version::EntityVersion},
    services::{
        accounts::Caller,
        idempotency::{IdempotencyOutcome, IdempotentRequest},
        orders::intake::IdempotencyKey,
    },
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use serde::{Deserialize, Serialize};

/// The header that says that an answer is that of an earlier request.
pub const REPLAYED: &str = "Idempotency-Replayed";

/// The key that a request names.
pub fn key(request: &HttpRequest) -> Result<Option<IdempotencyKey>, Problem> {
    let mut given = request.headers().get_all("Idempotency-Key");
    let (first, more) = (given.next(), given.next());
    if more.is_some() {
        return Err(Problem::of_parameter(FieldError::new("Idempotency-Key", "is given twice")));
    }
    first.map(|key| IdempotencyKey::try_from(key.as_bytes())).transpose().map_err(Problem::of_parameter)
}

/// What a caller asks for, if under a key; `reply` is what shall be told again.
pub fn once<T>(
    request: &HttpRequest,
    caller: Caller,
    asked: &impl Serialize,
    tell: fn(&T) -> String,
) -> Result<Option<IdempotentRequest<T>>, Problem> {
    let Some(key) = key(request)? else { return Ok(None) };
    let asked = serde_json::to_vec(&(request.path(), asked)).map_err(|error| Problem::internal(&error))?;
    Ok(Some(IdempotentRequest::new(&caller.id.to_string(), key.as_str(), &asked, tell)))
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
pub struct StoredResponse {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    body: String,
}

impl StoredResponse {
    /// Something in this state.
    pub fn new(status: StatusCode, stamp: EntityVersion, view: &impl Serialize) -> Self {
        let body = serde_json::to_string(view).unwrap_or_default();
        Self { status: status.as_u16(), location: None, tag: Some(stamp.to_string()), body }
    }

    /// That there is nothing.
    pub fn nothing() -> Self {
        Self { status: StatusCode::NO_CONTENT.as_u16(), location: None, tag: None, body: String::new() }
    }

    /// What has no state of its own.
    pub fn stateless(status: StatusCode, view: &impl Serialize) -> Self {
        let body = serde_json::to_string(view).unwrap_or_default();
        Self { status: status.as_u16(), location: None, tag: None, body }
    }

    /// Where it is from now on.
    #[must_use]
    pub fn at(self, location: String) -> Self {
        Self { location: Some(location), ..self }
    }

    /// To be kept.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn response(self, replayed: bool) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK));
        if let Some(location) = self.location {
            response.insert_header((header::LOCATION, location));
        }
        if let Some(stamp) = self.tag.and_then(|tag| tag.parse().ok()) {
            preconditions::tag(&mut response, stamp);
        }
        if replayed {
            response.insert_header((REPLAYED, "true"));
        }
        if self.body.is_empty() {
            return response.finish();
        }
        response.content_type("application/json").body(self.body)
    }
}

/// What to answer, now or as before.
pub fn answer<T>(
    told: &IdempotencyOutcome<T>,
    reply: fn(&T) -> StoredResponse,
) -> Result<HttpResponse, Problem> {
    match told {
        IdempotencyOutcome::Executed(value) => Ok(reply(value).response(false)),
        IdempotencyOutcome::Replayed(text) => serde_json::from_str::<StoredResponse>(text)
            .map(|reply| reply.response(true))
            .map_err(|error| Problem::internal(&error)),
        IdempotencyOutcome::KeyReused => Err(Problem::key_reused()),
    }
}
