//! From a server's URL and its refusal to the authorization server that it trusts.
//!
//! The rules are one pure function, [`next`]: it is given what was fetched so far and says what to
//! fetch next or how it ended. [`discover`] only does the fetching, under limits. So each rule is a
//! row of a table of tests, and each document gets one verdict, which the [`Trace`] keeps.
//!
//! Traps: a resource that names another one ends everything, it is never "the next candidate";
//! a server that fails is not a server that has nothing, so the endpoints of 2025-03-26 are tried
//! only when every candidate answered and none had a document.

mod rules;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::address::AddressRule;
use crate::fetch::Fetcher;
use crate::metadata::{ResourceMetadata, ServerMetadata};
use crate::{Challenge, Services};

use rules::{Step, next};

/// For all of it.
const WHOLE_LIMIT: Duration = Duration::from_secs(10);

/// Before a failed request is made once more.
const PAUSE: Duration = Duration::from_millis(250);

/// What discovery starts from.
#[derive(Debug, Clone)]
pub struct DiscoveryRequest {
    /// The MCP server.
    pub server_url: Url,
    /// What it asked for when it refused.
    pub challenge: Option<Challenge>,
    /// Whether it refused with 401. Without that, a server that publishes nothing wants no login.
    pub saw_401: bool,
    /// The issuer that the config names.
    pub pinned_issuer: Option<String>,
    /// The issuer of the login that is stored; preferred when the resource lists several.
    pub known_issuer: Option<String>,
    /// Whether a browser will be involved: only then PKCE is needed.
    pub is_interactive: bool,
    /// Whether `server_url` is an issuer itself, so that no resource is asked about it.
    pub is_issuer: bool,
}

impl DiscoveryRequest {
    /// Asks on behalf of a browser login at a server that answered 401, with this challenge.
    pub fn after_401(server_url: Url, challenge: Option<Challenge>) -> Self {
        Self {
            server_url,
            challenge,
            saw_401: true,
            pinned_issuer: None,
            known_issuer: None,
            is_interactive: true,
            is_issuer: false,
        }
    }

    /// Asks an authorization server that the config names about itself, for use without a browser;
    /// `None` when the issuer is no URL.
    pub fn of_issuer(issuer: &str) -> Option<Self> {
        Some(Self {
            pinned_issuer: Some(issuer.to_owned()),
            is_interactive: false,
            is_issuer: true,
            ..Self::after_401(issuer.parse().ok()?, None)
        })
    }
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// The MCP server that it was found for.
    pub server_url: Url,
    /// The server's own document, if it has one.
    pub resource: Option<ResourceMetadata>,
    /// Its authorization server.
    pub server: ServerMetadata,
    /// Where that was learnt.
    pub found: Found,
    /// The challenge that it started from.
    pub challenge: Option<Challenge>,
    /// Every step.
    pub trace: Trace,
    pub(crate) rule: AddressRule,
}

/// Where an authorization server became known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// By this document.
    Document(Url),
    /// By nothing: the endpoints of 2025-03-26 are assumed.
    LegacyEndpoints,
}

/// Why there is no authorization server.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DiscoveryError {
    /// The server asks for no login.
    #[error("the server does not ask for a login")]
    Unsupported {
        /// Every step.
        trace: Trace,
    },
    /// A document breaks a rule that protects the user.
    #[error("{why}")]
    Refused {
        /// Which document and rule.
        why: String,
        /// Every step.
        trace: Trace,
    },
    /// It could not be found out now.
    #[error("{why}")]
    Unknown {
        /// What failed.
        why: String,
        /// Every step.
        trace: Trace,
    },
    /// The caller gave up.
    #[error("cancelled")]
    Cancelled,
}

impl DiscoveryError {
    /// Returns the steps up to the failure.
    pub fn trace(&self) -> Option<&Trace> {
        match self {
            Self::Unsupported { trace }
            | Self::Refused { trace, .. }
            | Self::Unknown { trace, .. } => Some(trace),
            Self::Cancelled => None,
        }
    }
}

/// Every request of a discovery, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace(pub Vec<TraceStep>);

/// One request of a discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceStep {
    /// The address, fit to be shown.
    pub url: String,
    /// The status of the answer, if one came.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
    /// What it meant.
    pub verdict: String,
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.0 {
            let status = step
                .status
                .map_or("-".to_owned(), |status| status.to_string());
            let (url, verdict) = (&step.url, &step.verdict);
            writeln!(f, "{status} {} ms {url}: {verdict}", step.took.as_millis())?;
        }
        Ok(())
    }
}

/// One fetched document.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The address that was asked for.
    pub url: Url,
    /// What came.
    pub answer: crate::fetch::Answer,
    /// How long it took.
    pub took: Duration,
}

/// Finds the authorization server of an MCP server. At most 10 s in all, 3 s per request.
pub async fn discover(
    request: &DiscoveryRequest,
    services: &Services,
    cancel: &CancellationToken,
) -> Result<Discovery, DiscoveryError> {
    let mut seen = Vec::new();
    let walk = timeout(WHOLE_LIMIT, walk(request, services, &mut seen));
    let outcome = tokio::select! {
        outcome = walk => outcome,
        () = cancel.cancelled() => return Err(DiscoveryError::Cancelled),
    };
    let Ok((rule, step, verdicts)) = outcome else {
        let trace = trace(&seen, Vec::new());
        let why = format!("discovery did not end within {WHOLE_LIMIT:?}");
        return Err(DiscoveryError::Unknown { why, trace });
    };
    let trace = trace(&seen, verdicts);
    match step {
        Step::Done(outcome) => Ok(Discovery {
            server_url: request.server_url.clone(),
            resource: outcome.resource,
            server: outcome.server,
            found: outcome.found,
            challenge: request.challenge.clone(),
            trace,
            rule,
        }),
        Step::Unsupported => Err(DiscoveryError::Unsupported { trace }),
        Step::Refused(why) => Err(DiscoveryError::Refused { why, trace }),
        Step::Unknown(why) => Err(DiscoveryError::Unknown { why, trace }),
        Step::Fetch(url) => {
            let why = format!("`{}` was not asked", codex_http::shown_url(&url));
            Err(DiscoveryError::Unknown { why, trace })
        }
    }
}

/// Asks until the rules know. They name each URL once, and only a handful of URLs.
async fn walk(
    request: &DiscoveryRequest,
    services: &Services,
    seen: &mut Vec<Seen>,
) -> (AddressRule, Step, Vec<String>) {
    let rule = AddressRule::for_server(&request.server_url, request.pinned_issuer.is_some()).await;
    let fetcher = Fetcher::new(services, rule);
    loop {
        let (step, verdicts) = next(request, rule, seen);
        let Step::Fetch(url) = step else {
            return (rule, step, verdicts);
        };
        let begin = Instant::now();
        let mut answer = fetcher.document(&url).await;
        if answer.is_worth_another_try() {
            tokio::time::sleep(PAUSE).await;
            answer = fetcher.document(&url).await;
        }
        seen.push(Seen {
            url,
            answer,
            took: begin.elapsed(),
        });
    }
}

/// Returns the `resource` parameter (RFC 8707) of every grant: what the config says, else what the
/// server publishes, else its URL.
pub(crate) fn resource_parameter(configured: Option<&str>, discovery: &Discovery) -> String {
    match (configured, &discovery.resource) {
        (Some(configured), _) => configured.to_owned(),
        // Byte for byte: servers compare it so.
        (None, Some(published)) => published.resource.clone(),
        (None, None) => canonical(discovery.server_url.as_str()),
    }
}

pub(crate) fn canonical(server_url: &str) -> String {
    let Ok(mut url) = server_url.parse::<Url>() else {
        return server_url.to_owned();
    };
    url.set_fragment(None);
    let text = String::from(url.clone());
    match url.path() == "/" && url.query().is_none() {
        true => text.trim_end_matches('/').to_owned(),
        false => text,
    }
}

fn trace(seen: &[Seen], verdicts: Vec<String>) -> Trace {
    let mut verdicts = verdicts.into_iter();
    let steps = seen.iter().map(|seen| TraceStep {
        url: codex_http::shown_url(&seen.url),
        status: seen.answer.status(),
        took: seen.took,
        verdict: verdicts.next().unwrap_or_else(|| "not judged".to_owned()),
    });
    Trace(steps.collect())
}
