//! A client of the broker's management API, which is the only source for the policies of a queue.

use super::policies::ListedQueue;
use crate::{
    broker::url::{BrokerUrl, BrokerUrlError, decode},
    telemetry::http_agent,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use std::time::Duration;
use ureq::Agent;
use url::{ParseError, Url};

const DEFAULT_PORT: u16 = 15672;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_ANSWER_BYTES: u64 = 1024 * 1024;
/// There are two queues, and one for each delay before a retry.
const MAX_QUEUES: usize = 100;

#[derive(Clone)]
pub(crate) struct Management {
    agent: Agent,
    url: String,
    authorization: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ManagementError {
    #[error("no answer: {0}")]
    Unreachable(#[from] Box<ureq::Error>),
    #[error("answered {0}")]
    Status(u16),
    #[error("no list of queues: {0}")]
    Malformed(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Page {
    items: Vec<ListedQueue>,
}

impl Management {
    /// Uses the API at `base`, which may contain a user, or else at the default port of the broker's host.
    pub(crate) fn new(base: Option<&str>, address: &BrokerUrl, prefix: &str) -> Result<Self, BrokerUrlError> {
        let default = format!("http://{}:{DEFAULT_PORT}", address.arguments.get_host());
        let bad =
            BrokerUrlError("the URL of the management API must look like http://USER:PASSWORD@HOST:15672");
        let wrong_port = BrokerUrlError("the port in the URL of the management API must be 1 to 65535");
        let mut url = Url::parse(base.unwrap_or(&default)).map_err(|error| match error {
            ParseError::InvalidPort => wrong_port.clone(),
            _ => bad.clone(),
        })?;
        if url.port() == Some(0) {
            return Err(wrong_port);
        }
        if !["http", "https"].contains(&url.scheme()) {
            return Err(bad);
        }
        let (mut user, mut password) = (address.user.clone(), address.password.clone());
        if !url.username().is_empty() {
            (user, password) = (decode(url.username())?, decode(url.password().unwrap_or_default())?);
        }
        let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| bad.clone())?;
        url.path_segments_mut().map_err(|()| bad)?.pop_if_empty().extend([
            "api",
            "queues",
            address.arguments.get_virtual_host(),
        ]);
        url.query_pairs_mut()
            .append_pair("page", "1")
            .append_pair("page_size", &MAX_QUEUES.to_string())
            .append_pair("use_regex", "true")
            .append_pair("name", &pattern(prefix))
            .append_pair("columns", "name,policy,operator_policy,effective_policy_definition");
        Ok(Self { agent: http_agent(ANSWER_TIMEOUT), url: url.into(), authorization })
    }

    /// Returns the queues in which orders wait. It blocks, at most until the timeout.
    pub(crate) fn queues(&self) -> Result<Vec<ListedQueue>, ManagementError> {
        let request = self.agent.get(&self.url).header("Authorization", &self.authorization);
        let mut response = request.call().map_err(Box::new)?;
        if response.status() != 200 {
            return Err(ManagementError::Status(response.status().as_u16()));
        }
        let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
        Ok(serde_json::from_slice::<Page>(&body.map_err(Box::new)?)?.items)
    }
}

/// Returns a regular expression for the names of queues in which orders wait.
fn pattern(prefix: &str) -> String {
    let escaped = prefix.chars().flat_map(|character| {
        let special = character.is_ascii() && !character.is_ascii_alphanumeric();
        special.then_some('\\').into_iter().chain([character])
    });
    format!(r"^{}\.orders(\.overrun|\.after\.[0-9]+ms)?$", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base: Option<&str>) -> Management {
        let address = BrokerUrl::parse("amqp://ana:p%2F1@rabbit:99/%2F").expect("a good URL");
        Management::new(base, &address, "a.bar").expect("a good URL")
    }

    #[test]
    fn the_api_is_at_the_brokers_host_unless_an_address_is_set() {
        let usual = at(None);
        assert!(usual.url.starts_with("http://rabbit:15672/api/queues/%2F?page=1&"), "{}", usual.url);
        assert_eq!(usual.authorization, "Basic YW5hOnAvMQ==");
        let named = at(Some("https://ben:x@elsewhere/rabbit/"));
        assert!(named.url.starts_with("https://elsewhere/rabbit/api/queues/%2F?"), "{}", named.url);
        assert_eq!(named.authorization, "Basic YmVuOng=");
    }

    #[test]
    fn the_pattern_names_the_queues_of_this_prefix_only() {
        assert_eq!(pattern("a.bar-1"), r"^a\.bar\-1\.orders(\.overrun|\.after\.[0-9]+ms)?$");
    }
}
