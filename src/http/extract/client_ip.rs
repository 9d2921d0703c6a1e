//! The address of a request's client, also behind trusted proxies.

use crate::config::TrustedProxies;
use actix_web::{
    HttpRequest,
    http::header::{self, HeaderMap, HeaderName},
    web::Data,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Returns the client's address: the peer's, unless that is a trusted proxy; then the last one in `X-Forwarded-For` or
/// `Forwarded` that is not a trusted proxy itself. The client can have written anything before that one.
pub fn client_address(request: &HttpRequest) -> IpAddr {
    let peer = request.peer_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip().to_canonical());
    match request.app_data::<Data<TrustedProxies>>() {
        Some(proxies) if proxies.contains(peer) => forwarded(request.headers(), proxies).unwrap_or(peer),
        _ => peer,
    }
}

/// Returns whether a trusted proxy sent the request.
pub fn from_trusted_proxy(request: &HttpRequest) -> bool {
    let proxies = request.app_data::<Data<TrustedProxies>>();
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
    proxies.zip(peer).is_some_and(|(proxies, peer)| proxies.contains(peer))
}

/// Returns the client in the headers, unless they contradict each other.
fn forwarded(headers: &HeaderMap, proxies: &TrustedProxies) -> Option<IpAddr> {
    let by = |name: HeaderName, read: fn(&str) -> Option<IpAddr>| {
        headers.contains_key(&name).then(|| last_untrusted(headers, &name, read, proxies))
    };
    match (by(header::X_FORWARDED_FOR, address), by(header::FORWARDED, element)) {
        (Some(client), None) | (None, Some(client)) => client,
        // A proxy writes one of them and may pass on the other as the client wrote it; which one is unknown here.
        (Some(one), Some(other)) if one == other => one,
        _ => None,
    }
}

/// Follows the hops from the last one towards the client as far as they are trusted. None if the hop reached can't be read.
fn last_untrusted(
    headers: &HeaderMap,
    name: &HeaderName,
    read: fn(&str) -> Option<IpAddr>,
    proxies: &TrustedProxies,
) -> Option<IpAddr> {
    let mut reached = None;
    // Several headers of a name are one list (RFC 9110).
    let lines: Vec<_> = headers.get_all(name).collect();
    for line in lines.into_iter().rev() {
        let line = line.to_str().ok()?;
        // Quoted text may be the client's own (`host="…"`) and has no hops.
        let quoted = line.split('"').skip(1).step_by(2);
        if quoted.into_iter().any(|words| words.contains([',', ';', '\\'])) {
            return None;
        }
        for hop in line.rsplit(',') {
            let hop = read(hop.trim())?.to_canonical();
            reached = Some(hop);
            if !proxies.contains(hop) {
                return reached;
            }
        }
    }
    reached
}

/// Parses one element of `Forwarded` (RFC 7239): `for=192.0.2.60;proto=https`. None for an obfuscated identifier.
fn element(text: &str) -> Option<IpAddr> {
    let mut pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    let (_, client) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    address(client.trim().trim_matches('"'))
}

/// Parses an address, also in brackets, also with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    /// Returns the client's address where `peer` sends these headers; the networks 10.0.0.0/8 and `2001:db8:1::/48` are trusted.
    fn client(peer: &str, headers: &[(&str, &str)]) -> String {
        let proxies: TrustedProxies = "10.0.0.0/8,2001:db8:1::/48".parse().unwrap_or_default();
        let peer = peer.parse().map_or(SocketAddr::from(([0, 0, 0, 0], 0)), |ip: IpAddr| (ip, 1).into());
        let mut request = TestRequest::default().peer_addr(peer).app_data(Data::new(proxies));
        for header in headers {
            request = request.append_header(*header);
        }
        client_address(&request.to_http_request()).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let by = "X-Forwarded-For";
        for (peer, headers, is) in [
            ("192.0.2.1", vec![], "192.0.2.1"),
            ("192.0.2.1", vec![(by, "203.0.113.9")], "192.0.2.1"),
            ("192.0.2.1", vec![("Forwarded", "for=203.0.113.9")], "192.0.2.1"),
            ("::ffff:192.0.2.1", vec![(by, "203.0.113.9")], "192.0.2.1"),
            ("10.0.0.1", vec![], "10.0.0.1"),
            ("10.0.0.1", vec![(by, "203.0.113.9")], "203.0.113.9"),
            ("::ffff:10.0.0.1", vec![(by, "203.0.113.9")], "203.0.113.9"),
            // What the client wrote itself stands first.
            ("10.0.0.1", vec![(by, "198.51.100.1, 203.0.113.9")], "203.0.113.9"),
            ("10.0.0.1", vec![(by, "198.51.100.1, 203.0.113.9, 10.0.0.2,10.1.2.3")], "203.0.113.9"),
            ("10.0.0.1", vec![(by, "198.51.100.1"), (by, "203.0.113.9"), (by, "10.0.0.2")], "203.0.113.9"),
            ("10.0.0.1", vec![(by, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
            ("10.0.0.1", vec![(by, "203.0.113.9:4711")], "203.0.113.9"),
            ("10.0.0.1", vec![(by, "[2001:db8:2::5]:4711")], "2001:db8:2::5"),
            ("2001:db8:1::1", vec![(by, "2001:db8:2::5")], "2001:db8:2::5"),
            ("10.0.0.1", vec![("Forwarded", "for=203.0.113.9;proto=https;by=10.0.0.1")], "203.0.113.9"),
            (
                "10.0.0.1",
                vec![("Forwarded", "for=203.0.113.9;host=\"bar.example,for=198.51.100.7\"")],
                "10.0.0.1",
            ),
            ("10.0.0.1", vec![("Forwarded", "for=203.0.113.9;host=\"a;for=198.51.100.7;b=\"")], "10.0.0.1"),
            ("10.0.0.1", vec![("Forwarded", "for=203.0.113.9;host=\"a\\\",for=198.51.100.7\"")], "10.0.0.1"),
            ("10.0.0.1", vec![("forwarded", "proto=https; For=\"[2001:db8:2::5]:4711\"")], "2001:db8:2::5"),
            (
                "10.0.0.1",
                vec![("Forwarded", "for=198.51.100.1, for=203.0.113.9, for=10.0.0.2")],
                "203.0.113.9",
            ),
            ("10.0.0.1", vec![("Forwarded", "for=203.0.113.9"), (by, "203.0.113.9")], "203.0.113.9"),
        ] {
            assert_eq!(client(peer, &headers), is, "{peer} {headers:?}");
        }
    }

    #[test]
    fn what_can_not_be_believed_leaves_the_proxy() {
        for headers in [
            vec![("X-Forwarded-For", "")],
            vec![("X-Forwarded-For", "unknown")],
            vec![("X-Forwarded-For", "203.0.113.9, rubbish")],
            vec![("X-Forwarded-For", "203.0.113.9,")],
            vec![("X-Forwarded-For", "[203.0.113.9")],
            vec![("X-Forwarded-For", "203.0.113.900")],
            vec![("Forwarded", "for=_hidden")],
            vec![("Forwarded", "by=203.0.113.9")],
            vec![("Forwarded", "for")],
            vec![("Forwarded", ";;=,")],
            // One of the two is the client's own.
            vec![("Forwarded", "for=198.51.100.1"), ("X-Forwarded-For", "203.0.113.9")],
        ] {
            assert_eq!(client("10.0.0.1", &headers), "10.0.0.1", "{headers:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_is_too_strange(value in "[ -~]{0,80}", other in "[0-9.:,\\[\\]\"for=;]{0,80}") {
            client("10.0.0.1", &[("X-Forwarded-For", &value)]);
            client("10.0.0.1", &[("X-Forwarded-For", &other), ("Forwarded", &value)]);
            client("10.0.0.1", &[("Forwarded", &other)]);
        }
    }
}
