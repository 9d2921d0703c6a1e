use std::{net::IpAddr, path::PathBuf};
use tokio_postgres::config::{Config, Host};

const PORT: u16 = 5432;

/// Address at which a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAddress {
    /// Host name or IP address, and port.
    Tcp(String, u16),
    /// Path of a Unix socket.
    Unix(PathBuf),
}

/// Lists the addresses of a URL, in its order.
pub fn addresses(config: &Config) -> Vec<ServerAddress> {
    let (hosts, known, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let address = |at: usize| {
        let port = ports.get(at).or(ports.first()).copied().unwrap_or(PORT);
        // An IP address saves a DNS lookup.
        match (known.get(at).map(IpAddr::to_string), hosts.get(at)) {
            (Some(known), _) => Some(ServerAddress::Tcp(known, port)),
            (None, Some(Host::Tcp(name))) => Some(ServerAddress::Tcp(name.clone(), port)),
            #[cfg(unix)]
            (None, Some(Host::Unix(folder))) => {
                Some(ServerAddress::Unix(folder.join(format!(".s.PGSQL.{port}"))))
            }
            (None, None) => None,
        }
    };
    (0..hosts.len().max(known.len())).filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_has_its_own_port_or_the_only_one() {
        let of = |url: &str| addresses(&url.parse().unwrap());
        let tcp = |host: &str, port| ServerAddress::Tcp(host.into(), port);
        assert_eq!(of("postgres://one:1,two:2/bar"), [tcp("one", 1), tcp("two", 2)]);
        assert_eq!(of("postgres://one,two/bar"), [tcp("one", PORT), tcp("two", PORT)]);
        assert_eq!(of("postgres://one/bar?hostaddr=127.0.0.1"), [tcp("127.0.0.1", PORT)]);
        assert_eq!(of("postgres:///bar?hostaddr=127.0.0.1&port=7"), [tcp("127.0.0.1", 7)]);
        assert_eq!(of("postgres:///bar?host=one&host=two&port=7"), [tcp("one", 7), tcp("two", 7)]);
        assert_eq!(of("postgres:///bar?host=one&host=two&port=7,8"), [tcp("one", 7), tcp("two", 8)]);
        assert_eq!(of("postgres:///bar?host=one"), [tcp("one", PORT)]);
        let known = "postgres://one:1,two:2/bar?hostaddr=127.0.0.1,127.0.0.2";
        assert_eq!(of(known), [tcp("127.0.0.1", 1), tcp("127.0.0.2", 2)]);
        assert_eq!(of("postgres://%2Frun:7/bar"), [ServerAddress::Unix("/run/.s.PGSQL.7".into())]);
        assert_eq!(of("postgres://%2Frun/bar"), [ServerAddress::Unix("/run/.s.PGSQL.5432".into())]);
    }
}
