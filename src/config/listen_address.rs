//! Addresses to listen on, and what is wrong with one that can't be.

use std::net::SocketAddr;

/// Reads an IP address with a port. The system chooses the port where it is 0.
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

/// Tells whether a port could follow: an IPv6 address needs brackets.
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
