//! JSON bodies: bounded in size and time, with errors that name the field.

use super::json_errors::JsonBody;
use crate::domain::json::{JsonObject, without_bom};
use crate::http::problem::{Problem, types};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header};
use futures_util::{StreamExt, future::LocalBoxFuture};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::timeout;

pub const MAX_BODY_BYTES: usize = 64 * 1024;

const BODY_TIMEOUT: Duration = Duration::from_secs(10);

pub struct Json<T>(pub T);

/// A JSON body that may be left out.
pub struct OptionalJson<T>(pub Option<T>);

impl<T: JsonBody> FromRequest for Json<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            need_json(&request)?;
            parse(&read(&request, payload).await?).map(Self)
        })
    }
}

impl<T: JsonBody> FromRequest for OptionalJson<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let body = read(&request, payload).await?;
            // Some clients send a byte order mark or a line break instead of nothing.
            if without_bom(&body).trim_ascii().is_empty() {
                return Ok(Self(None));
            }
            need_json(&request)?;
            parse(&body).map(|value| Self(Some(value)))
        })
    }
}

fn need_json(request: &HttpRequest) -> Result<(), Problem> {
    let media_type = request.content_type();
    let is_json = media_type.eq_ignore_ascii_case("application/json")
        || (media_type.starts_with("application/") && media_type.ends_with("+json"));
    if is_json { Ok(()) } else { Err(Problem::not_json()) }
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
    if announced.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(Problem::too_large(MAX_BODY_BYTES));
    }
    let reading = async {
        let mut body = Vec::with_capacity(announced.unwrap_or_default());
        while body.len() <= MAX_BODY_BYTES
            && let Some(chunk) = payload.next().await
        {
            let chunk =
                chunk.map_err(|_| Problem::malformed("The body ended early or could not be read."))?;
            // One byte more than allowed is enough to know.
            let room = (MAX_BODY_BYTES + 1).saturating_sub(body.len());
            body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        }
        if body.len() > MAX_BODY_BYTES { Err(Problem::too_large(MAX_BODY_BYTES)) } else { Ok(body) }
    };
    timeout(BODY_TIMEOUT, reading)
        .await
        .unwrap_or_else(|_| Err(Problem::new(types::TOO_SLOW, "The body did not arrive in time.")))
}

pub fn parse<T: JsonBody>(body: &[u8]) -> Result<T, Problem> {
    let body = without_bom(body);
    let json = &mut serde_json::Deserializer::from_slice(body);
    let JsonObject(value) = JsonObject::deserialize(&mut *json)
        .map_err(|error| super::json_errors::explain::<T>(body, &error))?;
    json.end().map_err(|_| Problem::malformed("Unexpected data after the JSON value."))?;
    Ok(value)
}
