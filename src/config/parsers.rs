//! Parsers of single values, for clap.

use std::{convert::Infallible, net::SocketAddr, path::PathBuf};

/// Accepts an empty path, as an unset variable may have.
#[expect(clippy::unnecessary_wraps, reason = "clap wants a parser that could fail")]
pub fn path(text: &str) -> Result<PathBuf, Infallible> {
    Ok(PathBuf::from(text))
}

pub fn ratio(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).ok_or("must be 0 to 1")
}

pub fn count<const MIN: usize, const MAX: usize>(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (MIN..=MAX).contains(&count) => Ok(count),
        _ => Err(format!("must be {MIN} to {MAX}")),
    }
}

/// Reads an IP address with a port. With port 0 the system chooses one.
pub fn listen_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| match text.rsplit_once(':') {
        Some((ip, port)) if port.parse::<u16>().is_err() && is_ip(ip) => {
            "the port must be 0 to 65535, as in 127.0.0.1:8080"
        }
        Some((_, port)) if port.parse::<u16>().is_ok() => {
            "the address must be an IP address, not a name, as in 127.0.0.1:8080 or [::1]:8080"
        }
        _ => "must be an IP address and a port, as in 127.0.0.1:8080 or [::1]:8080",
    })
}

/// Accepts IPv6 addresses only in brackets, as they are before a port.
fn is_ip(text: &str) -> bool {
    format!("{text}:0").parse::<SocketAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_an_address_is_named() {
        for good in ["127.0.0.1:8080", "0.0.0.0:0", "[::1]:65535"] {
            assert!(listen_address(good).is_ok(), "{good}");
        }
        for (bad, said) in [
            ("127.0.0.1:99999", "the port must be"),
            ("127.0.0.1:abc", "the port must be"),
            ("127.0.0.1:", "the port must be"),
            ("[::1]:65536", "the port must be"),
            ("localhost:8080", "not a name"),
            ("::1:8080:x", "an IP address and a port"),
            ("127.0.0.1", "an IP address and a port"),
            ("8080", "an IP address and a port"),
            ("", "an IP address and a port"),
        ] {
            let problem = listen_address(bad).expect_err(bad);
            assert!(problem.contains(said), "{bad}: {problem}");
        }
    }
}
