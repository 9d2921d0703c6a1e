//! Reading JSON bodies: bounded, in time, and with errors that name the field.

mod errors;

use super::problem::Problem;
use crate::domain::{encoding::without_bom, object::Object, validation::FieldErrors};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header};
use deserr::Deserr;
use futures_util::{StreamExt, future::LocalBoxFuture};
use serde::{Deserialize, de::DeserializeOwned};
use std::time::Duration;
use tokio::time::timeout;

/// The most bytes.
pub const MOST: usize = 64 * 1024;

/// How long a client may take to send it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A type that bodies are read as: by Serde, which is fast and stops at the first error, and where that fails by deserr, which
/// collects them.
pub trait Body: DeserializeOwned + Deserr<FieldErrors> {}

impl<T: DeserializeOwned + Deserr<FieldErrors>> Body for T {}

/// A JSON body.
pub struct Json<T>(pub T);

/// A JSON body that may be left out.
pub struct OptionalJson<T>(pub Option<T>);

impl<T: Body> FromRequest for Json<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            if !is_json(&request) {
                return Err(Problem::not_json());
            }
            parse(&read(&request, payload).await?).map(Self)
        })
    }
}

impl<T: Body> FromRequest for OptionalJson<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let body = read(&request, payload).await?;
            // Some clients send a byte order mark or a line break for nothing.
            if without_bom(&body).trim_ascii().is_empty() {
                return Ok(Self(None));
            }
            if !is_json(&request) {
                return Err(Problem::not_json());
            }
            parse(&body).map(|value| Self(Some(value)))
        })
    }
}

fn is_json(request: &HttpRequest) -> bool {
    let kind = request.content_type();
    kind.eq_ignore_ascii_case("application/json")
        || (kind.starts_with("application/") && kind.ends_with("+json"))
}

async fn read(request: &HttpRequest, mut payload: Payload) -> Result<Vec<u8>, Problem> {
    let encoded = request.headers().get(header::CONTENT_ENCODING);
    if encoded.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::not_json());
    }
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MOST) {
        return Err(Problem::too_large(MOST));
    }
    let reading = async {
        let mut body = Vec::with_capacity(announced.unwrap_or_default());
        while body.len() <= MOST
            && let Some(chunk) = payload.next().await
        {
            let chunk =
                chunk.map_err(|_| Problem::malformed("The body ended early or could not be read."))?;
            let room = (MOST + 1).saturating_sub(body.len());
            body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        }
        if body.len() > MOST { Err(Problem::too_large(MOST)) } else { Ok(body) }
    };
    timeout(PATIENCE, reading).await.unwrap_or_else(|_| Err(Problem::too_slow()))
}

fn parse<T: Body>(body: &[u8]) -> Result<T, Problem> {
    let body = without_bom(body);
    let json = &mut serde_json::Deserializer::from_slice(body);
    let Object(value) =
        Object::deserialize(&mut *json).map_err(|error| errors::explain::<T>(body, &error))?;
    json.end().map_err(|_| Problem::malformed("Unexpected data after the JSON value."))?;
    Ok(value)
}

#[cfg(test)]
#[path = "body_fuzz.rs"]
mod fuzz;
