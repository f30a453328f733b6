//! Which hosts metadata may lead to: the defence against requests that a stranger lets us make.
//!
//! A public MCP server must not send us to the machine itself, to the network behind it or to the
//! metadata service of a cloud. Loopback is reachable only from a loopback server, private ranges
//! only from a server that is there too or when the user pinned the issuer; link-local never.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tokio::time::timeout;
use url::{Host, Url};

/// For the addresses of one name.
const LOOKUP_LIMIT: Duration = Duration::from_secs(3);

/// Where an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// This machine.
    Loopback,
    /// A network of its own.
    Private,
    /// Everybody's.
    Public,
    /// Nobody has a server there: link-local, multicast, unspecified, reserved.
    Nowhere,
}

/// The widest class of hosts that a login may talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressRule {
    /// The nearest reach that is allowed.
    nearest: Reach,
}

impl AddressRule {
    /// Makes the rule for logins at this MCP server. Its name is looked up, since a name of a
    /// private network tells nothing by itself; an unknown name counts as public.
    pub(crate) async fn for_server(server_url: &Url, is_issuer_pinned: bool) -> Self {
        let mut nearest = match reach_of(server_url).await.into_iter().min() {
            Some(Reach::Nowhere) | None => Reach::Public,
            Some(reach) => reach,
        };
        if is_issuer_pinned {
            nearest = nearest.min(Reach::Private);
        }
        Self { nearest }
    }

    /// The rule for servers that everybody reaches.
    pub(crate) fn public() -> Self {
        Self {
            nearest: Reach::Public,
        }
    }

    /// Says why a URL must not be asked, as far as the URL alone tells. Where a name leads is
    /// checked by the HTTP client, on the address that it connects to.
    pub(crate) fn refuse_shape(self, url: &Url) -> Option<String> {
        let shown = codex_http::shown_url(url);
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Some(format!("`{shown}` carries user info or a fragment"));
        }
        let at_home = self.nearest == Reach::Loopback && is_loopback(url);
        match url.scheme() {
            "https" => {}
            "http" if at_home => {}
            _ => return Some(format!("`{shown}` is not an https URL")),
        }
        let reach = literal(url)?;
        (!self.allows(reach)).then(|| self.sentence(url, reach))
    }

    /// Whether an address may be connected to.
    pub(crate) fn allows_address(self, address: IpAddr) -> bool {
        self.allows(reach(address))
    }

    fn allows(self, reach: Reach) -> bool {
        reach != Reach::Nowhere && reach >= self.nearest
    }

    fn sentence(self, url: &Url, reach: Reach) -> String {
        let shown = codex_http::shown_url(url);
        let what = match reach {
            Reach::Loopback => "this machine",
            Reach::Private => "a private network",
            Reach::Public => "a public address",
            Reach::Nowhere => "an address that no server has",
        };
        format!("`{shown}` leads to {what}")
    }
}

/// Whether the host is this machine, by name or by number.
pub(crate) fn is_loopback(url: &Url) -> bool {
    literal(url) == Some(Reach::Loopback)
}

/// Says where a host is without asking anybody, when it is a number or `localhost`.
fn literal(url: &Url) -> Option<Reach> {
    match url.host()? {
        Host::Ipv4(address) => Some(reach(address.into())),
        Host::Ipv6(address) => Some(reach(address.into())),
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            let is_local = name == "localhost" || name.ends_with(".localhost");
            is_local.then_some(Reach::Loopback)
        }
    }
}

async fn reach_of(url: &Url) -> Vec<Reach> {
    if let Some(reach) = literal(url) {
        return vec![reach];
    }
    let Some(name) = url.host_str() else {
        return Vec::new();
    };
    // A name that does not resolve here may be known to a proxy only; connecting will tell.
    let found = timeout(LOOKUP_LIMIT, tokio::net::lookup_host((name, 0))).await;
    match found {
        Ok(Ok(addresses)) => addresses.map(|address| reach(address.ip())).collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, ..] = address.octets();
    if address.is_loopback() {
        Reach::Loopback
    } else if address.is_private() || (a == 100 && (64..128).contains(&b)) {
        Reach::Private
    } else if a == 0 || address.is_link_local() || a >= 224 {
        Reach::Nowhere
    } else {
        Reach::Public
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    if let Some(inside) = carried_v4(address) {
        return reach_v4(inside);
    }
    let first = address.segments()[0];
    if address.is_loopback() {
        Reach::Loopback
    } else if first & 0xfe00 == 0xfc00 {
        Reach::Private
    } else if address.is_unspecified() || first & 0xffc0 == 0xfe80 || first & 0xff00 == 0xff00 {
        Reach::Nowhere
    } else {
        Reach::Public
    }
}

/// Returns the IPv4 address that mapped, NAT64 and 6to4 addresses carry.
fn carried_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => v4(g, h),
        (0x2002, ..) => v4(b, c),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_range_has_its_reach() {
        let rows = [
            ("127.9.9.9", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("10.0.0.1", Reach::Private),
            ("172.31.255.255", Reach::Private),
            ("192.168.1.1", Reach::Private),
            ("100.100.0.1", Reach::Private),
            ("fd00::1", Reach::Private),
            ("64:ff9b::a00:1", Reach::Private),
            ("2002:a00:1::1", Reach::Private),
            ("169.254.169.254", Reach::Nowhere),
            ("::ffff:169.254.169.254", Reach::Nowhere),
            ("fe80::1", Reach::Nowhere),
            ("0.0.0.0", Reach::Nowhere),
            ("224.0.0.1", Reach::Nowhere),
            ("ff02::1", Reach::Nowhere),
            ("::", Reach::Nowhere),
            ("100.128.0.1", Reach::Public),
            ("172.32.0.1", Reach::Public),
            ("2606:4700::1", Reach::Public),
        ];
        for (address, expected) in rows {
            assert_eq!(reach(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn metadata_pointing_to_169_254_is_refused() {
        let allowed = |nearest: Reach, url: &str| {
            let rule = AddressRule { nearest };
            rule.refuse_shape(&url.parse().unwrap()).is_none()
        };
        let rows = [
            (Reach::Public, "https://169.254.169.254/latest", false),
            (Reach::Loopback, "http://169.254.169.254/latest", false),
            (Reach::Loopback, "https://169.254.169.254/latest", false),
            (Reach::Public, "https://10.0.0.1/", false),
            (Reach::Private, "https://10.0.0.1/", true),
            (Reach::Private, "http://10.0.0.1/", false),
            (Reach::Public, "https://localhost/", false),
            (Reach::Private, "https://127.0.0.1/", false),
            (Reach::Loopback, "http://LOCALHOST./x", true),
            (Reach::Loopback, "http://[::1]:1/x", true),
            (Reach::Loopback, "http://h.example/", false),
            (Reach::Public, "https://h.example/", true),
            (Reach::Public, "https://me@h.example/", false),
            (Reach::Public, "https://h.example/#x", false),
            (Reach::Public, "file:///etc/passwd", false),
            (Reach::Public, "https://0x7f000001/", false),
        ];
        for (nearest, url, expected) in rows {
            assert_eq!(allowed(nearest, url), expected, "{nearest:?} {url}");
        }
    }
}
