//! Parses AMQP URLs. No error repeats the URL, because it contains a password.

use amqprs::connection::OpenConnectionArguments;
use amqprs::security::SecurityCredentials;
use percent_encoding::percent_decode_str;
use url::{ParseError, Url};

const DEFAULT_PORT: u16 = 5672;
const DEFAULT_CREDENTIAL: &str = "guest";
const DEFAULT_VHOST: &str = "/";
/// A dead peer is noticed after two heartbeats; amqprs' default is 60 s.
const HEARTBEAT_SECONDS: u16 = 10;
/// The limit of AMQP's short strings; amqprs panics on a longer one.
const MAX_VHOST_BYTES: usize = 255;
/// Leaves room for the suffixes that the topology appends.
const MAX_PREFIX_BYTES: usize = 200;

/// An AMQP URL is invalid: one sentence that never repeats the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BrokerUrlError(pub(super) &'static str);

/// The text after the host may also be a password whose special characters are not encoded.
const WRONG_PORT: BrokerUrlError = BrokerUrlError(
    "the AMQP URL's port must be 1 to 65535; special characters in a name or password must be percent-encoded",
);

/// A parsed AMQP URL. It has no `Debug`, because it contains the password.
#[derive(Clone)]
pub(super) struct BrokerUrl {
    pub(super) arguments: OpenConnectionArguments,
    pub(super) user: String,
    pub(super) password: String,
}

impl BrokerUrl {
    /// Parses `amqp://USER:PASSWORD@HOST:PORT/VHOST`. The defaults are `guest`, `localhost`, 5672 and `/`.
    pub(super) fn parse(url: &str) -> Result<Self, BrokerUrlError> {
        // `Url`'s own errors are left out: the mistake is often next to the password.
        let url = Url::parse(url).map_err(|error| match error {
            ParseError::InvalidPort => WRONG_PORT,
            _ => BrokerUrlError("the AMQP URL must look like amqp://USER:PASSWORD@HOST:PORT/VHOST, with special characters percent-encoded"),
        })?;
        if url.port() == Some(0) {
            return Err(WRONG_PORT);
        }
        match url.scheme() {
            "amqp" => {}
            "amqps" => {
                return Err(BrokerUrlError(
                    "the AMQP URL must begin with amqp://: TLS (amqps) is not supported",
                ));
            }
            _ => return Err(BrokerUrlError("the AMQP URL must begin with amqp://")),
        }
        if url.cannot_be_a_base() {
            return Err(BrokerUrlError("the AMQP URL must begin with amqp://"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BrokerUrlError(
                "the AMQP URL must end after the virtual host: no ? and no # (percent-encode them in a name or password)",
            ));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).unwrap_or("localhost");
        let user = match url.username() {
            "" => DEFAULT_CREDENTIAL.to_owned(),
            user => decode(user)?,
        };
        let password = url.password().map_or_else(|| Ok(DEFAULT_CREDENTIAL.to_owned()), decode)?;
        let mut arguments = OpenConnectionArguments::new(host, url.port().unwrap_or(DEFAULT_PORT), "", "");
        arguments
            .credentials(SecurityCredentials::new_plain(&user, &password))
            .virtual_host(&vhost(url.path())?)
            .heartbeat(HEARTBEAT_SECONDS);
        Ok(Self { arguments, user, password })
    }

    /// Returns the arguments of a connection that the broker's tools list under `name`.
    pub(super) fn named(&self, name: &str) -> OpenConnectionArguments {
        let mut arguments = self.arguments.clone();
        arguments.connection_name(name);
        arguments
    }
}

/// Checks that names of exchanges and queues can begin with `prefix`.
pub(super) fn check_prefix(prefix: &str) -> Result<(), BrokerUrlError> {
    if prefix.is_empty() || prefix.len() > MAX_PREFIX_BYTES || prefix.starts_with("amq.") {
        return Err(BrokerUrlError(
            "the queue prefix must have 1 to 200 bytes and must not begin with amq., which RabbitMQ reserves",
        ));
    }
    Ok(())
}

fn vhost(path: &str) -> Result<String, BrokerUrlError> {
    let name = path.strip_prefix('/').unwrap_or(path);
    if name.contains('/') {
        return Err(BrokerUrlError("a slash in the AMQP URL's virtual host must be written as %2F"));
    }
    let name = decode(name)?;
    match name.len() {
        0 => Ok(DEFAULT_VHOST.to_owned()),
        1..=MAX_VHOST_BYTES => Ok(name),
        _ => Err(BrokerUrlError("the AMQP URL's virtual host must have at most 255 bytes")),
    }
}

pub(super) fn decode(text: &str) -> Result<String, BrokerUrlError> {
    percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| BrokerUrlError("the AMQP URL's percent-encoding must give valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the host, the port and the virtual host, then the credentials.
    fn parsed(url: &str) -> Result<(String, SecurityCredentials), BrokerUrlError> {
        BrokerUrl::parse(url).map(|BrokerUrl { arguments, .. }| {
            let (host, port) = (arguments.get_host(), arguments.get_port());
            (format!("{host}:{port} {}", arguments.get_virtual_host()), arguments.get_credentials().clone())
        })
    }

    #[test]
    fn parts_and_defaults() {
        for (url, place, user, password) in [
            ("amqp://", "localhost:5672 /", "guest", "guest"),
            ("amqp://rabbit", "rabbit:5672 /", "guest", "guest"),
            ("amqp://rabbit/", "rabbit:5672 /", "guest", "guest"),
            ("amqp://rabbit:99/%2F", "rabbit:99 /", "guest", "guest"),
            ("amqp://[::1]:99/bar", "[::1]:99 bar", "guest", "guest"),
            ("amqp://user@rabbit", "rabbit:5672 /", "user", "guest"),
            ("amqp://:secret@rabbit", "rabbit:5672 /", "guest", "secret"),
            ("amqp://u%40x:p%2F%3A%25@rabbit/a%2Fb", "rabbit:5672 a/b", "u@x", "p/:%"),
        ] {
            let wanted = (place.to_owned(), SecurityCredentials::new_plain(user, password));
            assert!(parsed(url) == Ok(wanted), "{url}");
        }
    }

    #[test]
    fn a_wrong_port_is_said_to_be_that() {
        for port in ["0", "65536", "99999", "abc", "-1"] {
            let refusal =
                parsed(&format!("amqp://user:hunter2@rabbit:{port}/bar")).map(|_| ()).expect_err(port);
            assert_eq!(refusal, WRONG_PORT, "{port}");
        }
        assert!(parsed("amqp://rabbit:1").is_ok() && parsed("amqp://rabbit:65535").is_ok());
    }

    #[test]
    fn refusals_do_not_repeat_the_url() {
        for url in [
            "",
            "hunter2",
            "http://user:hunter2@rabbit",
            "amqps://user:hunter2@rabbit",
            "amqp:user:hunter2@rabbit",
            "amqp://user:hunter2@rabbit:port",
            "amqp://user:hunter2@rabbit:99999",
            "amqp://user:hunter2@rabbit/a/b",
            "amqp://user:hunter2@rabbit?heartbeat=5",
            "amqp://user:hunter2#@rabbit",
            "amqp://user:hunter2%ff@rabbit",
            "amqp://user%ff:hunter2@rabbit",
            "amqp://user:hunter2@rabbit/%ff",
            "amqp://user:hunter2@rabbit/bar#hunter2",
        ] {
            let refusal = parsed(url).map(|_| ()).expect_err(url);
            assert!(!refusal.to_string().contains("hunter2"), "{refusal}");
        }
    }

    #[test]
    fn refusals_say_what_to_write() {
        let long = format!("amqp://rabbit/{}", "x".repeat(256));
        for (url, words) in [
            ("amqps://rabbit", "TLS (amqps) is not supported"),
            ("http://rabbit", "must begin with amqp://"),
            ("amqp:rabbit", "must begin with amqp://"),
            ("amqp://rabbit?heartbeat=5", "no ? and no #"),
            ("amqp://rabbit/bar#1", "no ? and no #"),
            ("amqp://rabbit/a/b", "must be written as %2F"),
            ("amqp://rabbit/%ff", "valid UTF-8"),
            ("amqp://rabbit:port", "port must be 1 to 65535"),
            ("amqp://rabbit:0x", "port must be 1 to 65535"),
            (&long, "at most 255 bytes"),
        ] {
            let refusal = parsed(url).map(|_| ()).expect_err(url);
            assert!(refusal.to_string().contains(words), "{url}: {refusal}");
        }
        let longest = "x".repeat(255);
        let taken = parsed(&format!("amqp://rabbit/{longest}")).expect("a virtual host");
        assert_eq!(taken.0, format!("rabbit:5672 {longest}"));
    }

    #[test]
    fn a_connection_has_a_name_and_notices_a_dead_broker_soon() {
        let address = BrokerUrl::parse("amqp://user:secret@rabbit/bar").map_err(|error| error.to_string());
        let address = address.expect("an address");
        let arguments = address.named("a test");
        assert_eq!(arguments.get_connection_name(), Some("a test"));
        assert_eq!(arguments.get_heartbeat(), HEARTBEAT_SECONDS);
        assert_eq!((arguments.get_host(), arguments.get_virtual_host()), ("rabbit", "bar"));
        assert_eq!((address.user.as_str(), address.password.as_str()), ("user", "secret"));
    }

    #[test]
    fn prefixes() {
        for prefix in ["bar", "amqp", "amq", &"x".repeat(200)] {
            assert!(check_prefix(prefix).is_ok(), "{prefix}");
        }
        for prefix in ["", "amq.", "amq.bar", &"x".repeat(201)] {
            assert!(check_prefix(prefix).is_err(), "{prefix}");
        }
    }
}
