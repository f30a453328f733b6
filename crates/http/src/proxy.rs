//! Proxies out of the environment that was handed over, never out of the process.
//!
//! `HTTPS_PROXY` and `HTTP_PROXY` serve the scheme in their name, `ALL_PROXY` serves what they do
//! not; the lower-case spelling wins. `NO_PROXY` is a list of hosts, networks and `*`. Loopback is
//! never proxied: what listens there is meant to be reached from here.

use codex_host::Env;
use reqwest::{NoProxy, Proxy};
use url::{Host, Url};

use crate::dns::is_localhost;
use crate::error::{HttpError, HttpErrorKind};

const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// Returns the proxies for the client. One that cannot be used is left out: [`check`] tells it to
/// those whom it would have served.
pub(crate) fn proxies(env: &Env) -> Vec<Proxy> {
    let exceptions = match variable(env, "NO_PROXY") {
        Some((_, list)) => format!("{LOOPBACK},{list}"),
        None => LOOPBACK.to_owned(),
    };
    let build = |scheme: &str, make: fn(Url) -> reqwest::Result<Proxy>| {
        let (name, text) = for_scheme(env, scheme)?;
        let proxy = make(address(&name, text).ok()?).ok()?;
        Some(proxy.no_proxy(NoProxy::from_string(&exceptions)))
    };
    let found = [build("https", Proxy::https), build("http", Proxy::http)];
    found.into_iter().flatten().collect()
}

/// Fails when the proxy for a URL cannot be used: going there without it is not what was wanted.
pub(crate) fn check(env: &Env, url: &Url) -> Result<(), HttpError> {
    match variable_for(env, url) {
        Some((name, text)) => address(&name, text).map(|_| ()),
        None => Ok(()),
    }
}

/// Returns the variable that sets a proxy for URLs like this one, and its value.
/// Whether `NO_PROXY` makes an exception is not looked at.
pub(crate) fn variable_for<'a>(env: &'a Env, url: &Url) -> Option<(String, &'a str)> {
    let is_loopback = match url.host()? {
        Host::Domain(name) => is_localhost(name),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    for_scheme(env, url.scheme()).filter(|_| !is_loopback)
}

/// Returns the hosts of all proxies.
pub(crate) fn hosts(env: &Env) -> Vec<String> {
    let found = ["https", "http"].into_iter().filter_map(|scheme| {
        let (name, text) = for_scheme(env, scheme)?;
        address(&name, text).ok()?.host_str().map(str::to_owned)
    });
    found.collect()
}

fn for_scheme<'a>(env: &'a Env, scheme: &str) -> Option<(String, &'a str)> {
    let own = format!("{}_PROXY", scheme.to_ascii_uppercase());
    variable(env, &own).or_else(|| variable(env, "ALL_PROXY"))
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
fn address(name: &str, text: &str) -> Result<Url, HttpError> {
    let whole = match text.contains("://") {
        true => text.to_owned(),
        false => format!("http://{text}"),
    };
    let url: Url = whole.parse().map_err(|_| unusable(name, "not a URL"))?;
    match url.scheme() {
        "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h" if url.has_host() => Ok(url),
        _ => Err(unusable(name, "it is no http, https or socks proxy")),
    }
}

fn unusable(name: &str, why: &'static str) -> HttpError {
    HttpError::new(
        HttpErrorKind::Proxy,
        format!("cannot use the proxy in {name}: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str, value: &str) -> Env {
        Env::from_pairs([(name, value)])
    }

    fn checked(name: &str, value: &str, url: &str) -> Result<(), String> {
        check(&env(name, value), &url.parse().unwrap()).map_err(|error| error.to_string())
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
                proxies(&env(name, value)).len(),
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
