//! Someone who uses the API.

use reqwest::{
    Client, Method, RequestBuilder,
    header::{HeaderMap, HeaderValue},
};
use serde_json::{Value, json};
use shakerqueue::services::seed::DEMO_PASSWORD;

/// A person at the bar, signed in or not.
#[derive(Clone)]
pub struct Person {
    http: Client,
    url: String,
    token: Option<String>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap<HeaderValue>,
    pub body: Value,
    /// The body as it was received.
    pub text: String,
}

impl Answer {
    pub fn new(status: u16, headers: HeaderMap<HeaderValue>, text: String) -> Self {
        let body = match text.as_str() {
            "" => Value::Null,
            json => serde_json::from_str(json).unwrap_or_else(|_| Value::String(text.clone())),
        };
        Self { status, headers, body, text }
    }

    /// Returns the body. Panics if the status is another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "answered {}: {}", self.status, self.body);
        self.body
    }

    /// Returns the body. Panics unless it is a problem of this status and type.
    #[track_caller]
    pub fn expect_problem(self, status: u16, name: &str) -> Value {
        assert_eq!(self.status, status, "answered {}: {}", self.status, self.body);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.body);
        assert_eq!(self.body["type"], format!("/problems/{name}"), "{}", self.body);
        assert_eq!(self.body["status"], status, "{}", self.body);
        self.body
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Person {
    pub fn new(http: &Client, url: &str, token: Option<&str>) -> Self {
        Self { http: http.clone(), url: url.to_owned(), token: token.map(str::to_owned) }
    }

    /// Returns this person as a client of another `serve`.
    pub fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// Returns this person with another token.
    pub fn signed_in(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Signs in to an account of the demo data, and returns that person.
    pub async fn sign_in(&self, email: &str) -> Self {
        let answer =
            self.post("/login", json!({ "email": email, "password": DEMO_PASSWORD })).await.expect(200);
        self.signed_in(answer["token"].as_str().expect("a token"))
    }

    pub fn token(&self) -> &str {
        self.token.as_deref().expect("someone who is signed in")
    }

    /// Starts a request, to be finished by [`send`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    /// Replaces without a precondition (`If-Match: *`).
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.put_if(path, "*", body).await
    }

    /// Sends the request with `If-Match`.
    pub async fn put_if(&self, path: &str, tag: &str, body: Value) -> Answer {
        send(self.request(Method::PUT, path).header("If-Match", tag).json(&body)).await
    }

    /// Changes without a precondition (`If-Match: *`).
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.patch_if(path, "*", body).await
    }

    /// Sends the request with `If-Match`.
    pub async fn patch_if(&self, path: &str, tag: &str, body: Value) -> Answer {
        send(self.request(Method::PATCH, path).header("If-Match", tag).json(&body)).await
    }

    /// Posts with an `Idempotency-Key`.
    pub async fn post_once(&self, key: &str, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).header("Idempotency-Key", key).json(&body)).await
    }

    /// Posts without a body, with an `Idempotency-Key`.
    pub async fn ask_once(&self, key: &str, path: &str) -> Answer {
        send(self.request(Method::POST, path).header("Idempotency-Key", key)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    /// Posts without a body, as most order actions do.
    pub async fn ask(&self, path: &str) -> Answer {
        send(self.request(Method::POST, path)).await
    }

    /// Orders one drink and returns the order as accepted.
    pub async fn order(&self, recipe: &str) -> Value {
        let answer = self.post("/orders", json!({ "recipe": recipe })).await;
        assert!([201, 202].contains(&answer.status), "answered {}: {}", answer.status, answer.body);
        answer.body
    }

    /// Claims the next order, if one is waiting.
    pub async fn claim(&self) -> Option<Value> {
        let answer = self.ask("/orders/next").await;
        match answer.status {
            204 => None,
            _ => Some(answer.expect(200)),
        }
    }

    /// Does an order action, such as `start`.
    pub async fn moves(&self, order: &Value, action: &str) -> Answer {
        self.ask(&format!("/orders/{}/{action}", id(order))).await
    }

    pub async fn sees(&self, order: &Value) -> Answer {
        self.get(&format!("/orders/{}", id(order))).await
    }
}

/// Returns the field `id`.
#[track_caller]
pub fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap_or_else(|| panic!("no id: {value}"))
}

/// Sends a request and reads the whole answer.
pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("the bar answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer::new(status, headers, response.text().await.expect("a whole answer"))
}
