//! Clients by their network address.

use std::net::IpAddr;

/// Maps an address to a key for its client: the address itself, or in version 6 its /64 network. Keys of IPv4 and IPv6 differ: no
/// client has an IPv6 network of mapped IPv4 addresses.
pub fn client_network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}
