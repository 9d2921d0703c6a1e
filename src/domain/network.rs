//! Networks of clients.

use std::net::IpAddr;

/// The network that one client has: an address, or in version 6 all 2⁶⁴ of a network. IPv4 and IPv6 can't be mixed up: what IPv4 is
/// mapped to is in no network of IPv6.
pub fn client_network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}
