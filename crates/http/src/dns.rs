//! Names to addresses.
//!
//! `localhost` never leaves the machine (RFC 6761): it needs neither a DNS query nor the thread
//! that the system's resolver blocks. All other names go to the system's resolver; its failure gets
//! a type, so that nobody must read messages to tell it from other failures. An address filter is
//! asked here, on what is connected to: a look-up of its own could get another answer.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::AddressFilter;

/// The system's resolver does not know the host.
#[derive(Debug, thiserror::Error)]
#[error("host name `{host}` not found")]
pub(crate) struct NameNotFound {
    host: String,
}

/// The host leads only to addresses that the filter forbids.
#[derive(Debug, thiserror::Error)]
#[error("host name `{host}` leads to an address that is not allowed")]
pub(crate) struct AddressForbidden {
    host: String,
}

/// Resolves `localhost` by itself, everything else by the system.
pub(crate) struct Resolver {
    pub(crate) filter: Option<AddressFilter>,
    /// Hosts of proxies: the user chose them, wherever they are.
    pub(crate) proxies: Vec<String>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let filter = self
            .filter
            .clone()
            .filter(|_| !self.proxies.contains(&host));
        Box::pin(async move {
            let mut addresses = lookup(&host).await?;
            if let Some(filter) = filter {
                addresses.retain(|address| filter(address.ip()));
                if addresses.is_empty() {
                    return Err(AddressForbidden { host }.into());
                }
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Returns the addresses of a host, with port 0.
pub(crate) async fn lookup(host: &str) -> Result<Vec<SocketAddr>, NameNotFound> {
    if is_localhost(host) {
        let home = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return Ok(home.map(|ip| SocketAddr::new(ip, 0)).to_vec());
    }
    let found = tokio::net::lookup_host((host, 0)).await;
    found.map(Iterator::collect).map_err(|_| NameNotFound {
        host: host.to_owned(),
    })
}

/// Whether a host is `localhost` or below it.
pub(crate) fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_localhost_is_at_home() {
        for host in ["localhost", "LocalHost.", "a.localhost"] {
            assert!(is_localhost(host), "{host}");
        }
        for host in ["localhost.example", "mylocalhost", "local"] {
            assert!(!is_localhost(host), "{host}");
        }
    }
}
