//! `Idempotency-Key`: requests that are executed once, however often they are sent.

use super::preconditions;
use crate::http::problem::Problem;
use crate::{
    domain::version::EntityVersion,
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

/// Marks the stored response of an earlier request.
pub const REPLAYED: &str = "Idempotency-Replayed";

/// Reads the key of a request.
pub fn key(request: &HttpRequest) -> Result<Option<IdempotencyKey>, Problem> {
    let mut given = request.headers().get_all("Idempotency-Key");
    let (first, more) = (given.next(), given.next());
    if more.is_some() {
        return Err(Problem::of_parameter("Idempotency-Key", "is given twice"));
    }
    let key = first.map(|key| IdempotencyKey::try_from(key.as_bytes())).transpose();
    key.map_err(|invalid| Problem::of_parameters([invalid]))
}

/// Returns the request as it is executed once, if it has a key; `to_stored` is the response that a retry gets.
pub fn once<T>(
    request: &HttpRequest,
    caller: Caller,
    content: &impl Serialize,
    to_stored: fn(&T) -> String,
) -> Result<Option<IdempotentRequest<T>>, Problem> {
    let Some(key) = key(request)? else { return Ok(None) };
    let content =
        serde_json::to_vec(&(request.path(), content)).map_err(|error| Problem::internal(&error))?;
    Ok(Some(IdempotentRequest::new(&caller.id.to_string(), key.as_str(), &content, to_stored)))
}

/// A response as the database has it.
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
    /// A response with a resource of this version.
    pub fn new(status: StatusCode, version: EntityVersion, view: &impl Serialize) -> Self {
        Self { tag: Some(version.to_string()), ..Self::stateless(status, view) }
    }

    /// A response without a body: 204.
    pub fn nothing() -> Self {
        Self { status: StatusCode::NO_CONTENT.as_u16(), location: None, tag: None, body: String::new() }
    }

    /// A response with a body that has no version.
    pub fn stateless(status: StatusCode, view: &impl Serialize) -> Self {
        let body = serde_json::to_string(view).unwrap_or_default();
        Self { status: status.as_u16(), location: None, tag: None, body }
    }

    /// Adds the header `Location`.
    #[must_use]
    pub fn at(self, location: String) -> Self {
        Self { location: Some(location), ..self }
    }

    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn response(self, replayed: bool) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK));
        if let Some(location) = self.location {
            response.insert_header((header::LOCATION, location));
        }
        if let Some(version) = self.tag.and_then(|tag| tag.parse().ok()) {
            preconditions::tag(&mut response, version);
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

/// Returns the response to a request, or that of the earlier request with its key.
pub fn answer<T>(
    outcome: &IdempotencyOutcome<T>,
    to_response: fn(&T) -> StoredResponse,
) -> Result<HttpResponse, Problem> {
    match outcome {
        IdempotencyOutcome::Executed(value) => Ok(to_response(value).response(false)),
        IdempotencyOutcome::Replayed(text) => serde_json::from_str::<StoredResponse>(text)
            .map(|stored| stored.response(true))
            .map_err(|error| Problem::internal(&error)),
        IdempotencyOutcome::KeyReused => Err(Problem::key_reused()),
    }
}
