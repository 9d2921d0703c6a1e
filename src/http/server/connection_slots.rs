//! The connections that a process has at a time. One that carries a stream of changes makes room for another.

use super::connections_per_address::{AddressLimits, AddressSlot};
use std::{
    io,
    net::IpAddr,
    sync::{Arc, atomic::AtomicUsize},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Limits on the connections of a process. Cheap to clone.
#[derive(Clone)]
pub struct ConnectionLimits {
    /// One permit for each connection without a stream.
    places: Arc<Semaphore>,
    /// `None` where an address may have all of them.
    addresses: Option<Arc<AddressLimits>>,
}

impl ConnectionLimits {
    pub fn new(connections: usize, addresses: Option<Arc<AddressLimits>>) -> Self {
        Self { places: Arc::new(Semaphore::new(connections)), addresses }
    }

    /// Waits until there is room for a connection. Fails at once if its address has as many as it may.
    pub async fn admit(&self, address: IpAddr) -> io::Result<ConnectionSlot> {
        let addresses = self.addresses.as_ref();
        let address = addresses.map(|addresses| addresses.admit(address)).transpose()?.flatten();
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(io::Error::other)?;
        Ok(ConnectionSlot { place: Some(place), address })
    }
}

/// The place of a connection. Dropping it makes room for another.
#[derive(Default)]
pub struct ConnectionSlot {
    place: Option<OwnedSemaphorePermit>,
    address: Option<AddressSlot>,
}

impl ConnectionSlot {
    /// Returns the count of bytes of responses under way to the client's address; `None` where the address has no limit.
    pub fn address_bytes(&self) -> Option<Arc<AtomicUsize>> {
        self.address.as_ref().map(|address| address.bytes.clone())
    }

    /// Makes room for another connection, because this one carries a stream from here on. Returns false, and changes nothing, if its
    /// address has as many streams as it may.
    pub fn become_stream(&mut self) -> bool {
        let may = self.address.as_mut().is_none_or(AddressSlot::become_stream);
        if may {
            self.place = None;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::Ipv4Addr, time::Duration};
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn a_connection_waits_until_another_ends_or_becomes_a_stream() {
        let limits = ConnectionLimits::new(2, None);
        let admit = || timeout(Duration::from_secs(1), limits.admit(Ipv4Addr::LOCALHOST.into()));
        let first = admit().await.expect("room").expect("admitted");
        let mut second = admit().await.expect("room").expect("admitted");
        assert!(admit().await.is_err(), "a third one waits");
        assert!(second.become_stream());
        let third = admit().await.expect("room").expect("admitted");
        assert!(admit().await.is_err(), "a fourth one waits");
        drop(first);
        let fourth = admit().await.expect("room").expect("admitted");
        drop((second, third, fourth));
        assert_eq!(limits.places.available_permits(), 2);
    }
}
