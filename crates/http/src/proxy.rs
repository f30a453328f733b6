//! Proxies out of the environment that was handed over, never out of the process.
//!
//! `HTTPS_PROXY` and `HTTP_PROXY` serve the scheme in their name, `ALL_PROXY` serves what they do
//! not; the lower-case spelling wins. `NO_PROXY` is a list of hosts, networks and `*`. Loopback is
//! not proxied by them: what listens there is meant to be reached from here. A peer's own settings
//! go before all of that.

use codex_host::{Env, Secret};
use reqwest::{NoProxy, Proxy};
use url::{Host, Url};

use crate::dns::is_localhost;
use crate::error::{HttpError, HttpErrorKind};
use crate::peer::Peer;

const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// Which proxy serves whom.
#[derive(Debug)]
pub(crate) struct Proxies {
    https: Option<Choice>,
    http: Option<Choice>,
    /// Hosts, networks and `*` that are reached without one.
    exceptions: String,
    /// Whether loopback is such an exception.
    spares_loopback: bool,
}

/// One proxy and who said so.
#[derive(Debug)]
struct Choice {
    name: String,
    text: Secret,
}

impl Proxies {
    /// A proxy of the peer's own goes before the variables and serves everything: who names one for
    /// a server on this machine wants to see its requests there.
    pub(crate) fn new(env: &Env, peer: &Peer) -> Self {
        let own = |proxy: &Secret| Choice {
            name: "http.proxy".to_owned(),
            text: proxy.clone(),
        };
        let choice = |scheme| match &peer.proxy {
            Some(proxy) => Some(own(proxy)),
            None => for_scheme(env, scheme),
        };
        let spares_loopback = peer.proxy.is_none();
        let list = match (&peer.no_proxy, &peer.proxy) {
            (Some(list), _) => list.as_str(),
            (None, Some(_)) => "",
            (None, None) => variable(env, "NO_PROXY").map_or("", |(_, list)| list),
        };
        Self {
            https: choice("https"),
            http: choice("http"),
            exceptions: match (spares_loopback, list) {
                (true, "") => LOOPBACK.to_owned(),
                (true, list) => format!("{LOOPBACK},{list}"),
                (false, list) => list.to_owned(),
            },
            spares_loopback,
        }
    }

    /// Returns the proxies for the client. One that cannot be used is left out: [`Self::check`]
    /// tells it to those whom it would have served.
    pub(crate) fn for_library(&self) -> Vec<Proxy> {
        let build = |choice: &Option<Choice>, make: fn(Url) -> reqwest::Result<Proxy>| {
            let proxy = make(address(choice.as_ref()?.text.expose()).ok()?).ok()?;
            Some(proxy.no_proxy(NoProxy::from_string(&self.exceptions)))
        };
        let found = [
            build(&self.https, Proxy::https),
            build(&self.http, Proxy::http),
        ];
        found.into_iter().flatten().collect()
    }

    /// Fails when the proxy for a URL cannot be used: going there without it is not what was wanted.
    pub(crate) fn check(&self, url: &Url) -> Result<(), HttpError> {
        let Some(choice) = self.choice(url) else {
            return Ok(());
        };
        let judged = address(choice.text.expose()).map(drop);
        judged.map_err(|why| {
            let message = format!("cannot use the proxy in {}: {why}", choice.name);
            HttpError::new(HttpErrorKind::Proxy, message)
        })
    }

    /// Returns who sets the proxy for URLs like this one.
    /// Whether the list of exceptions names its host is not looked at.
    pub(crate) fn name_for(&self, url: &Url) -> Option<&str> {
        self.choice(url).map(|choice| choice.name.as_str())
    }

    /// Returns the hosts of all proxies.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let found = [&self.https, &self.http].into_iter().flatten();
        let found = found.filter_map(|choice| address(choice.text.expose()).ok());
        found
            .filter_map(|url| url.host_str().map(str::to_owned))
            .collect()
    }

    fn choice(&self, url: &Url) -> Option<&Choice> {
        let is_loopback = match url.host()? {
            Host::Domain(name) => is_localhost(name),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        let choice = match url.scheme() {
            "https" => self.https.as_ref(),
            _ => self.http.as_ref(),
        };
        choice.filter(|_| !(is_loopback && self.spares_loopback))
    }
}

fn for_scheme(env: &Env, scheme: &str) -> Option<Choice> {
    let own = format!("{}_PROXY", scheme.to_ascii_uppercase());
    let (name, text) = variable(env, &own).or_else(|| variable(env, "ALL_PROXY"))?;
    let text = Secret::new(text);
    Some(Choice { name, text })
}

/// Returns a variable that is set and not empty, with the spelling that was found.
fn variable<'a>(env: &'a Env, name: &str) -> Option<(String, &'a str)> {
    [name.to_ascii_lowercase(), name.to_owned()]
        .into_iter()
        .find_map(|spelling| {
            let value = env.non_empty(&spelling)?;
            Some((spelling, value))
        })
}

/// Reads `http://host:port`, or `host:port` alone.
pub(crate) fn address(text: &str) -> Result<Url, &'static str> {
    let whole = match text.contains("://") {
        true => text.to_owned(),
        false => format!("http://{text}"),
    };
    let url: Url = whole.parse().map_err(|_| "not a URL")?;
    match url.scheme() {
        "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h" if url.has_host() => Ok(url),
        _ => Err("it is no http, https or socks proxy"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str, value: &str) -> Env {
        Env::from_pairs([(name, value)])
    }

    fn proxies(env: &Env) -> Proxies {
        Proxies::new(env, &Peer::default())
    }

    fn checked(name: &str, value: &str, url: &str) -> Result<(), String> {
        let proxies = proxies(&env(name, value));
        let judged = proxies.check(&url.parse().unwrap());
        judged.map_err(|error| error.to_string())
    }

    #[test]
    fn each_variable_serves_its_scheme() {
        let rows = [
            ("HTTPS_PROXY", "http://p:1", 1),
            ("http_proxy", "p:1", 1),
            ("https_proxy", "", 0),
            ("ALL_PROXY", "https://u:pw@p:1", 2),
            ("ALL_PROXY", "socks5h://p:1", 2),
            ("all_proxy", "gopher://p:1", 0),
        ];
        for (name, value, n_proxies) in rows {
            assert_eq!(
                proxies(&env(name, value)).for_library().len(),
                n_proxies,
                "{name}={value}"
            );
        }
    }

    #[test]
    fn what_cannot_be_used_is_said_without_the_password() {
        let error = checked("ALL_PROXY", "gopher://me:secret@p:1", "http://h.example/");
        let expected = "cannot use the proxy in ALL_PROXY: it is no http, https or socks proxy";
        assert_eq!(error.unwrap_err(), expected);
        let error = checked("http_proxy", "http://", "http://h.example/");
        assert!(error.unwrap_err().ends_with("in http_proxy: not a URL"));
    }

    #[test]
    fn nobody_else_is_bothered_by_a_bad_proxy() {
        for url in ["http://127.0.0.1/", "http://[::1]/", "http://localhost/"] {
            assert_eq!(checked("ALL_PROXY", "gopher://p:1", url), Ok(()));
        }
        assert_eq!(
            checked("HTTPS_PROXY", "gopher://p:1", "http://h.example/"),
            Ok(())
        );
    }
}
