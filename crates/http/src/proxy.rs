//! Proxies out of the environment that was handed over, never out of the process.
//!
//! `HTTPS_PROXY` and `HTTP_PROXY` serve the scheme in their name, `ALL_PROXY` serves what they do
//! not; the lower-case spelling wins. `NO_PROXY` is a list of hosts, networks and `*`. Loopback is
//! never proxied: what listens there is meant to be reached from here.

use codex_host::Env;
use reqwest::{NoProxy, Proxy};
use url::Url;

use crate::error::{HttpError, HttpErrorKind, shown_url};

const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// Returns the proxies for the client.
pub(crate) fn proxies(env: &Env) -> Result<Vec<Proxy>, HttpError> {
    let exceptions = match variable(env, "NO_PROXY") {
        Some((_, list)) => format!("{LOOPBACK},{list}"),
        None => LOOPBACK.to_owned(),
    };
    let build = |names: [&'static str; 2], make: fn(Url) -> reqwest::Result<Proxy>| {
        let found = names.iter().find_map(|name| variable(env, name));
        let Some((name, text)) = found else {
            return Ok(None);
        };
        let proxy = make(address(&name, text)?).map_err(|_| unusable(&name, "bad address"))?;
        Ok(Some(proxy.no_proxy(NoProxy::from_string(&exceptions))))
    };
    let found = [
        build(["HTTPS_PROXY", "ALL_PROXY"], Proxy::https)?,
        build(["HTTP_PROXY", "ALL_PROXY"], Proxy::http)?,
    ];
    Ok(found.into_iter().flatten().collect())
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
        "http" | "https" => Ok(url),
        _ => Err(unusable(
            name,
            &format!(
                "`{}` is not supported, only http and https proxies are",
                shown_url(&url)
            ),
        )),
    }
}

fn unusable(name: &str, why: &str) -> HttpError {
    HttpError::new(
        HttpErrorKind::Proxy,
        format!("cannot use the proxy in {name}: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(pairs: &[(&str, &str)]) -> Result<usize, String> {
        match proxies(&Env::from_pairs(pairs.iter().copied())) {
            Ok(proxies) => Ok(proxies.len()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn each_variable_serves_its_scheme() {
        assert_eq!(count(&[]), Ok(0));
        assert_eq!(count(&[("HTTPS_PROXY", "http://p:1")]), Ok(1));
        assert_eq!(count(&[("http_proxy", "p:1"), ("HTTPS_PROXY", "")]), Ok(1));
        assert_eq!(count(&[("ALL_PROXY", "https://u:pw@p:1")]), Ok(2));
    }

    #[test]
    fn what_cannot_be_used_is_said_without_the_password() {
        let error = count(&[("ALL_PROXY", "socks5://me:secret@p:1")]).unwrap_err();
        assert_eq!(
            error,
            "cannot use the proxy in ALL_PROXY: \
             `socks5://p:1` is not supported, only http and https proxies are"
        );
        let error = count(&[("http_proxy", "http://")]).unwrap_err();
        assert_eq!(error, "cannot use the proxy in http_proxy: not a URL");
    }
}
