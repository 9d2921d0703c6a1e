//! Reading JSON bodies: bounded, in time, and with errors that name the field.

use super::problem::Problem;
use crate::domain::Invalid;
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header};
use futures_util::{StreamExt, future::LocalBoxFuture};
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::timeout;

/// The most bytes.
pub const MOST: usize = 64 * 1024;

/// How long a client may take to send it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A JSON body.
pub struct Json<T>(pub T);

/// A JSON body that may be left out.
pub struct OptionalJson<T>(pub Option<T>);

impl<T: DeserializeOwned> FromRequest for Json<T> {
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

impl<T: DeserializeOwned> FromRequest for OptionalJson<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let body = read(&request, payload).await?;
            if body.is_empty() {
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
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MOST) {
        return Err(Problem::too_large(MOST));
    }
    let reading = async {
        let mut body = Vec::with_capacity(announced.unwrap_or_default());
        while let Some(chunk) = payload.next().await {
            let chunk =
                chunk.map_err(|_| Problem::malformed("The body ended early or could not be read."))?;
            if body.len() + chunk.len() > MOST {
                return Err(Problem::too_large(MOST));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    };
    timeout(PATIENCE, reading).await.unwrap_or_else(|_| Err(Problem::too_slow()))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let json = &mut serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut *json).map_err(|error| {
        let field = error.path().to_string();
        let error = error.into_inner();
        if !error.is_data() {
            return Problem::malformed(format!("The body is not JSON: {error}."));
        }
        let text = error.to_string();
        // Where in the text it is helps nobody who knows the field.
        let problem = text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem);
        let field = if field == "." { "body".to_owned() } else { field };
        Invalid::new(field, problem).into()
    })?;
    json.end().map_err(|_| Problem::malformed("There is something behind the JSON."))?;
    Ok(value)
}
