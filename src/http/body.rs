//! Reading JSON bodies: bounded, in time, and with errors that name the field.

mod wrong;

use super::problem::Problem;
use crate::domain::{Invalid, object::Object};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header};
use futures_util::{StreamExt, future::LocalBoxFuture};
use serde::{Deserializer, de::DeserializeOwned};
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
    let value = fit(&mut *json).map_err(|unfit| match unfit {
        Unfit::NotJson(error) => Problem::malformed(format!("The body is not JSON: {error}.")),
        Unfit::Field(first) => Problem::of_fields(wrong::all::<T>(body, first)),
    })?;
    json.end().map_err(|_| Problem::malformed("There is something behind the JSON."))?;
    Ok(value)
}

/// Why something is not what was asked for.
enum Unfit {
    NotJson(serde_json::Error),
    Field(Invalid),
}

fn fit<'de, T: DeserializeOwned, D: Deserializer<'de, Error = serde_json::Error>>(
    json: D,
) -> Result<T, Unfit> {
    serde_path_to_error::deserialize(json).map(|Object(value)| value).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() { Unfit::Field(invalid(&path, &error.to_string())) } else { Unfit::NotJson(error) }
    })
}

/// What Serde says of a value that does not fit, by the field that it is about.
fn invalid(path: &str, text: &str) -> Invalid {
    // Where in the text it is helps nobody who knows the field.
    let text = text.rsplit_once(" at line ").map_or(text, |(problem, _)| problem);
    let inner = |name: &str| if path == "." { name.to_owned() } else { format!("{path}.{name}") };
    if let Some((name, _)) = text.strip_prefix("missing field `").and_then(|rest| rest.rsplit_once('`')) {
        return Invalid::new(inner(name), "must be given");
    }
    if let Some((name, _)) = text.strip_prefix("duplicate field `").and_then(|rest| rest.rsplit_once('`')) {
        return Invalid::new(inner(name), "is given twice");
    }
    if let Some((name, there_are)) =
        text.strip_prefix("unknown field `").and_then(|rest| rest.split_once("`, "))
    {
        // Serde's path may or may not end with the unknown field already.
        let field = if path.rsplit('.').next() == Some(name) { path.to_owned() } else { inner(name) };
        return Invalid::new(field, format!("unknown field, {there_are}"));
    }
    Invalid::new(if path == "." { "body" } else { path }, text)
}

#[cfg(test)]
#[path = "body_fuzz.rs"]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_about_the_field_and_not_what_it_is_in() {
        let at = " at line 1 column 7";
        for (path, text, field, problem) in [
            (".", "missing field `name`", "name", "must be given"),
            ("items[1]", "missing field `recipe`", "items[1].recipe", "must be given"),
            (
                "items[1].rum",
                "unknown field `rum`, expected `recipe`",
                "items[1].rum",
                "unknown field, expected `recipe`",
            ),
            (
                "items[1]",
                "unknown field `rum`, expected `recipe`",
                "items[1].rum",
                "unknown field, expected `recipe`",
            ),
            ("table", "must not be empty", "table", "must not be empty"),
            (".", "invalid type: null, expected an object", "body", "invalid type: null, expected an object"),
        ] {
            assert_eq!(invalid(path, &format!("{text}{at}")), Invalid::new(field, problem), "{path}: {text}");
        }
    }
}
