//! `CORS_ORIGINS`: origins whose scripts may use the API, as browsers send them.

use std::str::FromStr;
use url::Url;

/// The wildcard for all subdomains of a domain.
const ANY_LABELS: &str = "*";
/// Schemes whose pages have no origin of their own: browsers send `null`, or another scheme's.
const WITHOUT_ORIGIN: [&str; 8] = ["about", "blob", "data", "file", "ftp", "javascript", "ws", "wss"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Any,
    /// Such as `https://bar.example` or `capacitor://localhost`.
    One(String),
    /// Such as `https://*.bar.example`.
    Subdomains(Subdomains),
}

/// The subdomains of a domain, at any depth, but not the domain itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subdomains {
    scheme: String,
    domain_and_port: String,
}

impl Origin {
    /// Reads an element of a list, which may be empty.
    pub fn parse(text: &str) -> Result<Option<Self>, &'static str> {
        if text.trim().is_empty() { Ok(None) } else { text.parse().map(Some) }
    }
}

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text == ANY_LABELS {
            return Ok(Self::Any);
        }
        if let Some((scheme, domain_and_port)) = text.split_once(ANY_LABELS) {
            return subdomains(scheme, domain_and_port).map(Self::Subdomains);
        }
        if is_web_origin(text) || is_app_origin(text) {
            return Ok(Self::One(text.to_owned()));
        }
        Err(
            "must be an origin as browsers send it, in lower case, without a path and without the scheme's own port, such as \
             https://bar.example or capacitor://localhost, or https://*.bar.example for all its subdomains, or * for any",
        )
    }
}

fn subdomains(scheme: &str, domain_and_port: &str) -> Result<Subdomains, &'static str> {
    let domain = domain_and_port.strip_prefix('.');
    let whole = ["http://", "https://"].contains(&scheme)
        && domain.is_some_and(|domain| domain.contains('.') && !domain.contains(ANY_LABELS));
    // A subdomain must be an origin as browsers send it, without a path or the scheme's own port.
    if !whole || !is_web_origin(&format!("{scheme}a{domain_and_port}")) {
        return Err(
            "must be an origin whose * stands for subdomains only, of a domain with at least one dot, such as \
                    https://*.bar.example",
        );
    }
    Ok(Subdomains { scheme: scheme.to_owned(), domain_and_port: domain_and_port.to_owned() })
}

impl Subdomains {
    pub fn contains(&self, origin: &[u8]) -> bool {
        let labels = origin
            .strip_prefix(self.scheme.as_bytes())
            .and_then(|rest| rest.strip_suffix(self.domain_and_port.as_bytes()));
        labels.is_some_and(|labels| labels.split(|byte| *byte == b'.').all(is_label))
    }
}

fn is_label(label: &[u8]) -> bool {
    !label.is_empty()
        && label
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
}

/// Accepts the origins of web pages: `http` or `https`, a host and perhaps a port.
fn is_web_origin(text: &str) -> bool {
    let url = Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
    url.is_some_and(|url| url.origin().ascii_serialization() == text)
}

/// Accepts the origins of pages inside an app, which have a scheme of its own: `capacitor://localhost`.
fn is_app_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
    let known = ["http", "https"].contains(&scheme) || WITHOUT_ORIGIN.contains(&scheme);
    let scheme = scheme.as_bytes();
    !known
        && scheme.first().is_some_and(u8::is_ascii_lowercase)
        && scheme.iter().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.')
        })
        && host.split('.').all(|label| is_label(label.as_bytes()))
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number.to_string() == port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Result<Origin, &'static str> {
        text.parse()
    }

    #[test]
    fn origins_of_pages_and_apps_are_taken() {
        for text in [
            "https://bar.example",
            "http://localhost:3000",
            "http://127.0.0.1:5173",
            "http://[::1]:8080",
            "https://xn--bcher-kva.example",
            "http://tauri.localhost",
            "capacitor://localhost",
            "ionic://localhost",
            "tauri://localhost",
            "x-app.bar+2://localhost",
            "app://the_bar-2.example",
            "app://bar.example:8080",
            "chrome-extension://mhjfbmdgcfjbbpaeojofohoefgiehjai",
            "moz-extension://7d1a1a52-1b0c-4b0c-9c0a-2f0d5d3e5a11",
        ] {
            assert_eq!(origin(text), Ok(Origin::One(text.to_owned())));
            assert_eq!(origin(&format!(" {text} ")), Ok(Origin::One(text.to_owned())));
        }
        assert_eq!(origin("*"), Ok(Origin::Any));
        for nothing in ["", "  "] {
            assert_eq!(Origin::parse(nothing), Ok(None));
        }
        assert_eq!(Origin::parse(" * "), Ok(Some(Origin::Any)));
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for text in [
            "",
            "null",
            "bar.example",
            "https://",
            "https://bar.example/",
            "https://bar.example/menu",
            "https://bar.example:443",
            "https://Bar.example",
            "https://bücher.example",
            "https://guest@bar.example",
            "file:///bar",
            "file://bar",
            "ws://bar.example",
            "data:text/html,x",
            "data://localhost",
            "capacitor://",
            "capacitor://localhost/",
            "capacitor://localhost/index.html",
            "capacitor://localhost:080",
            "capacitor://localhost:70000",
            "Capacitor://localhost",
            "capacitor:localhost",
            "1app://localhost",
            "my_app://localhost",
            "aPP://localhost",
            "app://local..host",
            "app://Localhost",
            "about://localhost",
            "blob://localhost",
            "ftp://localhost",
            "javascript://localhost",
            "wss://localhost",
            "://localhost",
        ] {
            assert!(origin(text).is_err_and(|problem| problem.starts_with("must be an origin")), "{text}");
        }
    }

    #[test]
    fn an_asterisk_stands_for_whole_labels_of_a_domain_only() {
        for text in [
            "https://*",
            "https://*.",
            "https://*.example",
            "https://*pub.example",
            "https://a.*.pub.example",
            "https://*.*.pub.example",
            "https://pub.*",
            "https://*.pub.example/",
            "https://*.pub.example:443",
            "https://*.pub.example:*",
            "https://*.PUB.example",
            "https://*.127.0.0.1",
            "*://bar.pub.example",
            "*.pub.example",
            "capacitor://*.pub.example",
            "ws://*.pub.example",
            "**",
        ] {
            assert!(origin(text).is_err_and(|problem| problem.starts_with("must be an origin")), "{text}");
        }
    }

    #[test]
    fn subdomains_are_those_of_the_same_scheme_domain_and_port() {
        let contains = |pattern: &str, text: &str| match origin(pattern) {
            Ok(Origin::Subdomains(subdomains)) => subdomains.contains(text.as_bytes()),
            other => panic!("{other:?}"),
        };
        for inside in
            ["https://bar.pub.example", "https://a.b-1.c_2.pub.example", "https://xn--bcher-kva.pub.example"]
        {
            assert!(contains("https://*.pub.example", inside), "{inside}");
        }
        for outside in [
            "https://pub.example",
            "https://evilpub.example",
            "https://.pub.example",
            "https://a..pub.example",
            "https://*.pub.example",
            "http://bar.pub.example",
            "https://bar.pub.example:8443",
            "https://bar.pub.example.evil.example",
            "https://evil.example/.pub.example",
            "https://evil.example:1.pub.example",
            "https://guest@bar.pub.example",
            "https://BAR.pub.example",
            "null",
            "",
        ] {
            assert!(!contains("https://*.pub.example", outside), "{outside}");
        }
        assert!(contains("http://*.pub.example:8080", "http://bar.pub.example:8080"));
        assert!(!contains("http://*.pub.example:8080", "http://bar.pub.example"));
        assert!(!contains("http://*.pub.example:8080", "http://bar.pub.example:18080"));
    }
}
