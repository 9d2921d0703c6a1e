//! Limits on connections, and the count of bytes of responses under way, by the client's address: no single address can have all
//! of a process.
//!
//! The peer's address counts, since a connection begins before a proxy can name the client. A proxy has the connections of all
//! its clients and must be trusted (`TRUSTED_PROXIES`), also one on the same machine.

use crate::{config::TrustedProxies, domain::network::client_network, telemetry::metrics};
use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
};

/// The divisor of what a process has that gives one address its share.
pub const ADDRESS_SHARE: usize = 4;

/// The connections of each address.
pub struct AddressLimits {
    max_connections: usize,
    max_streams: usize,
    unlimited: TrustedProxies,
    open: Mutex<HashMap<u128, Usage>>,
}

#[derive(Default)]
struct Usage {
    /// Without those that carry a stream.
    connections: usize,
    streams: usize,
    bytes: Arc<AtomicUsize>,
}

impl AddressLimits {
    /// Creates limits for a process with this many connections and streams; `unlimited` addresses have none.
    pub fn new(connections: usize, streams: usize, unlimited: TrustedProxies) -> Self {
        let [max_connections, max_streams] = [connections, streams].map(|all| all.div_ceil(ADDRESS_SHARE));
        Self { max_connections, max_streams, unlimited, open: Mutex::default() }
    }

    /// Counts a connection; refuses it if its address has as many as it may. `Ok(None)`: the address has no limit.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> io::Result<Option<AddressSlot>> {
        let address = address.to_canonical();
        if self.unlimited.contains(address) {
            return Ok(None);
        }
        let key = client_network(address);
        let mut open = self.open();
        let usage = open.entry(key).or_default();
        if usage.connections >= self.max_connections {
            metrics::http().connections_refused.inc();
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        usage.connections += 1;
        Ok(Some(AddressSlot { limits: self.clone(), key, is_stream: false, bytes: usage.bytes.clone() }))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u128, Usage>> {
        // Its numbers are consistent at any time, also after a panic.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the connections that an address may have.
pub struct AddressSlot {
    limits: Arc<AddressLimits>,
    key: u128,
    is_stream: bool,
    /// The bytes of responses under way to the address.
    pub bytes: Arc<AtomicUsize>,
}

impl AddressSlot {
    /// Counts the connection among the streams of its address. Returns false, and changes nothing, if there are as many as there may
    /// be.
    pub fn become_stream(&mut self) -> bool {
        let mut open = self.limits.open();
        match open.get_mut(&self.key) {
            Some(usage) if !self.is_stream && usage.streams < self.limits.max_streams => {
                usage.connections -= 1;
                usage.streams += 1;
                self.is_stream = true;
            }
            _ => {}
        }
        self.is_stream
    }
}

impl Drop for AddressSlot {
    fn drop(&mut self) {
        let mut open = self.limits.open();
        if let Some(usage) = open.get_mut(&self.key) {
            let count = if self.is_stream { &mut usage.streams } else { &mut usage.connections };
            *count -= 1;
            if usage.connections + usage.streams == 0 {
                open.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(connections: usize) -> Arc<AddressLimits> {
        let proxies = "192.0.2.9".parse().unwrap_or_default();
        Arc::new(AddressLimits::new(connections, 2 * connections, proxies))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn an_address_has_a_quarter_and_gets_it_back() {
        let limits = limits(8);
        let first = limits.admit(address("192.0.2.1"));
        let second = limits.admit(address("::ffff:192.0.2.1"));
        assert!(first.is_ok() && second.is_ok());
        assert!(limits.admit(address("192.0.2.1")).is_err());
        // Another one has a quarter of its own.
        assert!(limits.admit(address("192.0.2.2")).is_ok());
        drop(first);
        assert!(limits.admit(address("192.0.2.1")).is_ok());
        drop(second);
        assert!(limits.open().is_empty(), "nothing is kept of who is gone");
    }

    #[test]
    fn streams_do_not_count_among_the_connections_and_have_a_quarter_of_their_own() {
        let limits = limits(4);
        let admit = || limits.admit(address("192.0.2.1")).map(|slot| slot.expect("it has a limit"));
        let mut streams = Vec::new();
        for _ in 0..2 {
            let mut slot = admit().expect("room");
            assert!(slot.become_stream() && slot.become_stream());
            streams.push(slot);
        }
        let mut third = admit().expect("room");
        assert!(!third.become_stream(), "the address has its streams");
        assert!(admit().is_err(), "so that it is still a connection");
        streams.pop();
        assert!(third.become_stream());
        assert!(admit().is_ok());
        drop((streams, third));
        assert!(limits.open().is_empty(), "nothing is kept of who is gone");
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_a_proxy_has_no_limit() {
        let limits = limits(4);
        let one = limits.admit(address("2001:db8::1"));
        assert!(one.is_ok_and(|slot| limits.admit(address("2001:db8::2")).is_err() && slot.is_some()));
        let many: Vec<_> = (0..100).map(|_| limits.admit(address("192.0.2.9"))).collect();
        assert!(many.into_iter().all(|slot| slot.is_ok_and(|slot| slot.is_none())));
    }
}
