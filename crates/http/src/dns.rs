//! Names to addresses.
//!
//! `localhost` never leaves the machine (RFC 6761): it needs neither a DNS query nor the thread
//! that the system's resolver blocks. All other names go to the system's resolver; its failure gets
//! a type, so that nobody must read messages to tell it from other failures.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The system's resolver does not know the host.
#[derive(Debug, thiserror::Error)]
#[error("host name `{host}` not found")]
pub(crate) struct NameNotFound {
    host: String,
}

/// Resolves `localhost` by itself, everything else by the system.
#[derive(Debug)]
pub(crate) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        Box::pin(async move {
            if is_localhost(&host) {
                let addresses = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
                return Ok(
                    Box::new(addresses.map(|ip| SocketAddr::new(ip, 0)).into_iter()) as Addrs,
                );
            }
            let found = tokio::net::lookup_host((host.as_str(), 0)).await;
            let addresses: Option<Vec<SocketAddr>> = found.ok().map(Iterator::collect);
            match addresses {
                Some(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
                None => Err(NameNotFound { host }.into()),
            }
        })
    }
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
