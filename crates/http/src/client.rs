//! The client: one pool, made when the first request needs it.
//!
//! Redirects are followed here and not by the library, so that the rules are in one place: same
//! origin, at most three, the method and body kept (303 asks for a GET). A token that goes with the
//! request thus never reaches another origin. [`HttpClient::only_to`] makes a client that connects
//! to allowed addresses only: what is checked is what is connected to, so that a name cannot change
//! its address in between.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use codex_host::Env;
use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode, header};
use tokio::time::timeout;
use url::Url;

use crate::dns::Resolver;
use crate::error::{HttpError, HttpErrorKind, shown_url};
use crate::peer::{Peer, PeerError, PeerSettings};
use crate::proxy::Proxies;
use crate::reach::{Reached, Way};
use crate::request::Redirects;
use crate::{Body, Request, Response, tls};

const MAX_REDIRECTS: usize = 3;

/// How to reach the network.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Proxies (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, also in lower case) and CA
    /// files (`SSL_CERT_FILE`, `SSL_CERT_DIR`) come from here.
    pub env: Env,
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
}

impl HttpSettings {
    /// Takes proxies and CA files from `env`; connecting may take 10 s.
    pub fn from_env(env: Env) -> Self {
        Self {
            env,
            connect_timeout: Duration::from_secs(10),
        }
    }
}

/// A pool of connections. Cloning is cheap and shares the pool.
#[derive(Clone)]
pub struct HttpClient(Arc<Inner>);

/// Says which addresses may be connected to.
pub type AddressFilter = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

struct Inner {
    settings: HttpSettings,
    peer: Peer,
    proxies: Proxies,
    filter: Option<AddressFilter>,
    library: OnceLock<Result<reqwest::Client, HttpError>>,
}

impl HttpClient {
    /// Makes a client. Nothing is read or built before the first request.
    pub fn new(settings: HttpSettings) -> Self {
        Self::assemble(settings, Peer::default(), None)
    }

    /// Makes a client for one peer, with a pool of its own; its files are read now. Without any
    /// setting it is this client.
    pub fn for_peer(&self, peer: &PeerSettings) -> Result<Self, PeerError> {
        if *peer == PeerSettings::default() {
            return Ok(self.clone());
        }
        let inner = &self.0;
        let (settings, filter) = (inner.settings.clone(), inner.filter.clone());
        Ok(Self::assemble(settings, Peer::read(peer)?, filter))
    }

    /// Returns what is special about its peer, for a process that is to talk to it too.
    pub fn peer_settings(&self) -> &PeerSettings {
        &self.0.peer.settings
    }

    /// Makes a client with the same settings and a pool of its own that connects only to addresses
    /// that `filter` allows, redirects included. Behind a proxy only addresses that stand in the URL
    /// are checked: where a name leads is the proxy's affair.
    #[must_use]
    pub fn only_to(&self, filter: AddressFilter) -> Self {
        let inner = &self.0;
        Self::assemble(inner.settings.clone(), inner.peer.clone(), Some(filter))
    }

    fn assemble(settings: HttpSettings, peer: Peer, filter: Option<AddressFilter>) -> Self {
        Self(Arc::new(Inner {
            proxies: Proxies::new(&settings.env, &peer),
            settings,
            peer,
            filter,
            library: OnceLock::new(),
        }))
    }

    /// Makes a client for `env` with the usual limits.
    pub fn from_env(env: Env) -> Self {
        Self::new(HttpSettings::from_env(env))
    }

    /// Sends a request and returns when the headers of the response are there, whatever its
    /// status. Dropping the future cancels.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let url = request.url.clone();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(HttpError::bad_url(&url));
        }
        match request.limits.headers {
            Some(limit) => timeout(limit, self.follow(request))
                .await
                .unwrap_or_else(|_| Err(HttpError::headers_timeout(&url, limit))),
            None => self.follow(request).await,
        }
    }

    /// Connects to the peer of a URL and leaves it again, to tell where a connection fails.
    pub async fn reach(&self, url: &Url) -> Result<Reached, HttpError> {
        let inner = &self.0;
        let way = Way {
            settings: &inner.settings,
            peer: &inner.peer,
            proxies: &inner.proxies,
        };
        way.reach(url).await
    }

    async fn follow(&self, request: Request) -> Result<Response, HttpError> {
        let Request {
            mut method,
            mut url,
            mut headers,
            mut body,
            limits,
            redirects,
        } = request;
        for _ in 0..=MAX_REDIRECTS {
            let response = self
                .send_once(&method, &url, headers.clone(), body.clone())
                .await?;
            let Some(target) = redirect_target(&url, &method, redirects, &response)? else {
                return Ok(Response {
                    status: response.status(),
                    headers: response.headers().clone(),
                    body: Body::new(response, url.clone(), limits),
                    url,
                });
            };
            if response.status() == StatusCode::SEE_OTHER && method != Method::HEAD {
                method = Method::GET;
                body = Bytes::new();
                headers.remove(header::CONTENT_TYPE);
            }
            if target.origin() != url.origin() {
                leave_secrets(&mut headers);
            }
            url = target;
        }
        let why = format!("more than {MAX_REDIRECTS} in a row");
        Err(HttpError::redirect(&url, why))
    }

    async fn send_once(
        &self,
        method: &Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<reqwest::Response, HttpError> {
        let mut request = reqwest::Request::new(method.clone(), url.clone());
        *request.headers_mut() = headers;
        if !body.is_empty() {
            *request.body_mut() = Some(body.into());
        }
        let Inner {
            settings, proxies, ..
        } = self.0.as_ref();
        proxies.check(url)?;
        if let (Some(filter), Some(address)) = (&self.0.filter, literal(url))
            && !filter(address)
        {
            return Err(HttpError::forbidden_address(url));
        }
        let answer = self.library()?.execute(request).await;
        answer.map_err(|error| {
            let error = HttpError::from_library(url, settings.connect_timeout, &error);
            match proxies.name_for(url).filter(|_| error.is_connect()) {
                Some(name) => error.with_note(&format!("{name} sets a proxy")),
                None => error,
            }
        })
    }

    fn library(&self) -> Result<&reqwest::Client, HttpError> {
        let built = self.0.library.get_or_init(|| build(&self.0));
        built.as_ref().map_err(HttpError::clone)
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpClient").field(&self.0.settings).finish()
    }
}

fn build(inner: &Inner) -> Result<reqwest::Client, HttpError> {
    let settings = &inner.settings;
    let resolver = Resolver {
        filter: inner.filter.clone(),
        proxies: inner.proxies.hosts(),
    };
    let tls = tls::client_config(&settings.env, &inner.peer).map_err(|error| {
        HttpError::new(HttpErrorKind::Tls, format!("cannot set up TLS: {error}"))
    })?;
    // The library must not look at the process: no proxy but ours.
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(tls)
        .dns_resolver(resolver)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(settings.connect_timeout)
        .tcp_nodelay(true);
    for proxy in inner.proxies.for_library() {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| {
        let why = error.without_url();
        HttpError::new(
            HttpErrorKind::BadRequest,
            format!("cannot set up HTTP: {why}"),
        )
    })
}

/// Returns where a response sends us, or an error when we do not go there.
fn redirect_target(
    url: &Url,
    method: &Method,
    redirects: Redirects,
    response: &reqwest::Response,
) -> Result<Option<Url>, HttpError> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = response.headers().get(LOCATION).filter(|_| is_redirect) else {
        return Ok(None);
    };
    if redirects == Redirects::None {
        return Ok(None);
    }
    let target = location.to_str().ok().and_then(|text| url.join(text).ok());
    let Some(target) = target else {
        return Err(HttpError::redirect(url, "its address is not a URL"));
    };
    let is_allowed = match redirects {
        Redirects::SameScheme => method == Method::GET && target.scheme() == url.scheme(),
        Redirects::SameOrigin | Redirects::None => false,
    };
    if target.origin() != url.origin() && !is_allowed {
        let why = format!("`{}` is another origin", shown_url(&target));
        return Err(HttpError::redirect(url, why));
    }
    Ok(Some(target))
}

/// Takes out what only the first origin may see.
fn leave_secrets(headers: &mut HeaderMap) {
    let is_secret = |name: &header::HeaderName| {
        [
            header::AUTHORIZATION,
            header::COOKIE,
            header::PROXY_AUTHORIZATION,
        ]
        .contains(name)
    };
    let kept = headers
        .iter()
        .filter(|(name, value)| !value.is_sensitive() && !is_secret(name))
        .map(|(name, value)| (name.clone(), value.clone()));
    *headers = kept.collect();
}

/// Returns the address that stands in a URL instead of a name.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.into()),
        url::Host::Domain(_) => None,
    }
}
