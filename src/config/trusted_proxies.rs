//! `TRUSTED_PROXIES`: proxies whose forwarding headers are trusted.

use ipnet::IpNet;
use std::{net::IpAddr, str::FromStr};

#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let networks = text.split(',').map(str::trim).filter(|network| !network.is_empty());
        networks.map(network).collect::<Result<_, _>>().map(Self)
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let network =
        text.parse().or_else(|_| text.parse::<IpAddr>().map(|address| address.to_canonical().into()));
    network.map_err(|_| format!("{text}: must be an address or a network, such as 10.0.0.7 or 10.0.0.0/8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_of_both_families() -> Result<(), String> {
        let proxies = TrustedProxies::from_str("10.0.0.7, 192.168.0.0/16,2001:db8::/32,::1,")?;
        for (address, is_one) in [
            ("10.0.0.7", true),
            ("10.0.0.8", false),
            ("192.168.255.1", true),
            ("192.169.0.1", false),
            ("2001:db8:1::5", true),
            ("2001:db9::5", false),
            ("::1", true),
        ] {
            assert_eq!(address.parse().map(|address| proxies.contains(address)), Ok(is_one), "{address}");
        }
        let mapped = TrustedProxies::from_str("::ffff:10.0.0.7")?;
        assert!(
            mapped.contains(IpAddr::from([10, 0, 0, 7])) && !mapped.contains(IpAddr::from([10, 0, 0, 8]))
        );
        assert!(!TrustedProxies::from_str("")?.contains(IpAddr::from([127, 0, 0, 1])));
        Ok(())
    }

    #[test]
    fn what_is_no_address_is_named() {
        for text in ["proxy.example", "10.0.0.0/33", "10.0.0", "10.0.0.1:80", "*"] {
            let sentence = TrustedProxies::from_str(&format!("127.0.0.1,{text}")).err().unwrap_or_default();
            assert!(sentence.starts_with(text), "{text}: {sentence}");
        }
    }
}
