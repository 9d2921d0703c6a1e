//! A client of the stream of changes.

use super::{WAIT_TIMEOUT, person::Person};
use reqwest::{Method, Response};
use serde_json::Value;
use tokio::time::timeout;

#[derive(Debug, Clone)]
pub struct Event {
    pub name: String,
    pub data: Value,
}

/// A stream, read event by event.
pub struct Events {
    response: Response,
    buffer: String,
    /// The beginning of a character whose end has not arrived.
    rest: Vec<u8>,
    /// Id of the latest batch that was read.
    pub id: Option<String>,
}

impl Events {
    /// Opens a stream, from the position `since` on if there is one, and reads its greeting.
    pub async fn open(person: &Person, path: &str, since: Option<&str>) -> Self {
        let mut request = person.request(Method::GET, path);
        if let Some(since) = since {
            request = request.header("Last-Event-ID", since);
        }
        let response = request.send().await.expect("the bar answers");
        assert_eq!(response.status(), 200);
        let mut events = Self { response, buffer: String::new(), rest: Vec::new(), id: None };
        let hello = events.next().await.expect("a greeting");
        assert_eq!(hello.name, "hello", "{hello:?}");
        events
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// Reads the next event. Returns `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Event> {
        timeout(WAIT_TIMEOUT, self.read()).await.expect("an event or the end in time")
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                        .map(str::to_owned)
                };
                let (id, name, data) = (field("id"), field("event"), field("data"));
                let rest = rest.to_owned();
                self.buffer = rest;
                self.id = id.or(self.id.take());
                if let (Some(name), Some(data)) = (name, data) {
                    let data = serde_json::from_str(&data).expect("JSON");
                    return Some(Event { name, data });
                }
            }
            let bytes = self.response.chunk().await.ok().flatten()?;
            self.rest.extend_from_slice(&bytes);
            let whole = std::str::from_utf8(&self.rest).map_or_else(|error| error.valid_up_to(), str::len);
            let text: Vec<u8> = self.rest.drain(..whole).collect();
            self.buffer.push_str(std::str::from_utf8(&text).expect("text"));
        }
    }

    /// Reads until an event of this name comes, and returns its data.
    pub async fn next_named(&mut self, name: &str) -> Value {
        let named = async {
            loop {
                let event = self.next().await.unwrap_or_else(|| panic!("the stream ended before: {name}"));
                if event.name == name {
                    return event.data;
                }
            }
        };
        timeout(WAIT_TIMEOUT, named).await.unwrap_or_else(|_| panic!("{name} in time"))
    }

    /// Reads until the id of a batch has come after the last event.
    pub async fn next_id(&mut self) -> String {
        self.id = None;
        loop {
            if let Some(id) = &self.id {
                return id.clone();
            }
            self.next().await.expect("an id before the end");
        }
    }
}
