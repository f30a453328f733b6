//! The rules of discovery, D2 to D7 of the contract, as a pure function.

use url::Url;

use super::{DiscoveryRequest, Found, Seen};
use crate::address::AddressRule;
use crate::fetch::Answer;
use crate::metadata::{ResourceMetadata, ServerMetadata};

const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// What comes next.
#[derive(Debug)]
pub(super) enum Step {
    Fetch(Url),
    Done(Box<Outcome>),
    Unsupported,
    Refused(String),
    Unknown(String),
}

/// How it ended well.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) resource: Option<ResourceMetadata>,
    pub(super) server: ServerMetadata,
    pub(super) found: Found,
}

/// Says what comes next after `seen`, and what each document of `seen` meant.
pub(super) fn next(
    request: &DiscoveryRequest,
    rule: AddressRule,
    seen: &[Seen],
) -> (Step, Vec<String>) {
    let mut walk = Walk {
        request,
        rule,
        seen: seen.iter(),
        verdicts: Vec::new(),
    };
    let step = walk.run().unwrap_or_else(|end| end);
    (step, walk.verdicts)
}

/// Goes the way again from its start; what was fetched already answers at once. The order of
/// questions depends on nothing but the answers, so the n-th question gets the n-th answer.
struct Walk<'a> {
    request: &'a DiscoveryRequest,
    rule: AddressRule,
    seen: std::slice::Iter<'a, Seen>,
    verdicts: Vec<String>,
}

impl<'a> Walk<'a> {
    fn run(&mut self) -> Result<Step, Step> {
        let resource = match self.request.is_issuer {
            true => None,
            false => self.resource()?,
        };
        let (issuers, is_ours) = self.issuer(resource.as_ref())?;
        if let Some((server, url)) = self.server(&issuers, is_ours)? {
            return Ok(Step::Done(Box::new(Outcome {
                resource,
                server,
                found: Found::Document(url),
            })));
        }
        if resource.is_some() || self.request.pinned_issuer.is_some() {
            let why = format!("`{}` publishes no metadata", issuers[0]);
            return Err(Step::Refused(why));
        }
        if !self.request.saw_401 {
            return Err(Step::Unsupported);
        }
        let server = ServerMetadata::legacy(&self.request.server_url);
        if let Some(why) = self.rule.refuse_shape(&server.token_endpoint) {
            return Err(Step::Refused(why));
        }
        Ok(Step::Done(Box::new(Outcome {
            resource: None,
            server,
            found: Found::LegacyEndpoints,
        })))
    }

    /// D2: the resource's own document.
    fn resource(&mut self) -> Result<Option<ResourceMetadata>, Step> {
        for url in self.resource_candidates()? {
            let Some(document) = self.document(&url)? else {
                continue;
            };
            let shown = codex_http::shown_url(&url);
            let metadata = match ResourceMetadata::read(document) {
                Ok(metadata) => metadata,
                Err(error) => return Err(self.refuse(format!("`{shown}`: {error}"))),
            };
            if !covers(&metadata.resource, &self.request.server_url) {
                let why = format!(
                    "`{shown}` describes another resource, `{}`",
                    plain(&metadata.resource)
                );
                return Err(self.refuse(why));
            }
            self.verdicts.push("resource metadata".to_owned());
            return Ok(Some(metadata));
        }
        Ok(None)
    }

    fn resource_candidates(&mut self) -> Result<Vec<Url>, Step> {
        let server_url = &self.request.server_url;
        let path = server_url.path().trim_end_matches('/');
        let mut candidates = Vec::new();
        let challenge = self.request.challenge.as_ref();
        if let Some(text) = challenge.and_then(|challenge| challenge.resource_metadata.as_ref()) {
            // Relative references are not allowed there, but harmless and seen.
            let url = server_url.join(text).map_err(|_| {
                Step::Refused("`resource_metadata` of the challenge is not a URL".to_owned())
            })?;
            candidates.push(url);
        }
        for well_known in [
            format!("{RESOURCE}{path}"),
            format!("{path}{RESOURCE}"),
            RESOURCE.to_owned(),
        ] {
            candidates.push(at(server_url, &well_known));
        }
        Ok(without_repeats(candidates))
    }

    /// Returns the spellings of the issuer that are right, and whether we made them up.
    fn issuer(&mut self, resource: Option<&ResourceMetadata>) -> Result<(Vec<String>, bool), Step> {
        let pinned = self.request.pinned_issuer.as_ref();
        let Some(resource) = resource else {
            return Ok(match pinned {
                Some(pinned) => (vec![pinned.clone()], false),
                None => {
                    let origin = self.request.server_url.origin().ascii_serialization();
                    let with_slash = format!("{origin}/");
                    (vec![origin, with_slash], true)
                }
            });
        };
        let listed = &resource.authorization_servers;
        if let Some(pinned) = pinned {
            if !listed.contains(pinned) {
                let why = format!(
                    "the server trusts `{}`, the config names `{}`",
                    plain(&listed[0]),
                    plain(pinned)
                );
                return Err(Step::Refused(why));
            }
            return Ok((vec![pinned.clone()], false));
        }
        let known = self.request.known_issuer.as_ref();
        let chosen = known
            .filter(|known| listed.contains(known))
            .unwrap_or(&listed[0]);
        Ok((vec![chosen.clone()], false))
    }

    /// D3: the authorization server's document.
    fn server(
        &mut self,
        issuers: &[String],
        is_ours: bool,
    ) -> Result<Option<(ServerMetadata, Url)>, Step> {
        let issuer: Url = match issuers[0].parse() {
            Ok(url) => url,
            Err(_) => {
                let why = format!("the issuer `{}` is not a URL", plain(&issuers[0]));
                return Err(Step::Refused(why));
            }
        };
        let path = issuer.path().trim_end_matches('/');
        let candidates = without_repeats(vec![
            at(&issuer, &format!("{OAUTH}{path}")),
            at(&issuer, &format!("{OPENID}{path}")),
            at(&issuer, &format!("{path}{OPENID}")),
        ]);
        for url in candidates {
            let Some(document) = self.document(&url)? else {
                continue;
            };
            let shown = codex_http::shown_url(&url);
            let server = match ServerMetadata::read(document) {
                Ok(server) => server,
                Err(error) => return Err(self.refuse(format!("`{shown}`: {error}"))),
            };
            if !issuers.contains(&server.issuer) {
                let why = format!(
                    "`{shown}` speaks for `{}`, not for `{}`",
                    plain(&server.issuer),
                    issuers
                        [usize::from(is_ours && issuers.len() > 1 && server.issuer.ends_with('/'))]
                );
                return Err(self.refuse(why));
            }
            if let Some(why) = self.broken_rule(&server) {
                return Err(self.refuse(format!("`{shown}`: {why}")));
            }
            self.verdicts
                .push("authorization server metadata".to_owned());
            return Ok(Some((server, url)));
        }
        Ok(None)
    }

    /// PKCE and D7.
    fn broken_rule(&self, server: &ServerMetadata) -> Option<String> {
        let needs_pkce = self.request.is_interactive && server.authorization_endpoint.is_some();
        let is_pinned = self.request.pinned_issuer.as_ref() == Some(&server.issuer);
        match &server.code_challenge_methods {
            Some(methods) if needs_pkce && !methods.iter().any(|method| method == "S256") => {
                return Some("the server does not support PKCE with S256".to_owned());
            }
            None if needs_pkce && !is_pinned => {
                return Some("the server does not say that it supports PKCE with S256".to_owned());
            }
            _ => {}
        }
        server.endpoints().find_map(|(name, url)| {
            let why = self.rule.refuse_shape(url)?;
            Some(format!("{name} {why}"))
        })
    }

    /// Returns a fetched document, `None` when there is none there, or ends the walk.
    fn document(&mut self, url: &Url) -> Result<Option<&'a serde_json::Value>, Step> {
        if let Some(why) = self.rule.refuse_shape(url) {
            return Err(Step::Refused(why));
        }
        let Some(seen) = self.seen.next() else {
            return Err(Step::Fetch(url.clone()));
        };
        match &seen.answer {
            Answer::Document { json, .. } => Ok(Some(json)),
            Answer::Absent { why, .. } => {
                self.verdicts.push(why.clone());
                Ok(None)
            }
            Answer::Forbidden(why) => Err(self.refuse(why.clone())),
            Answer::Failed { why, .. } => {
                self.verdicts.push(why.clone());
                Err(Step::Unknown(why.clone()))
            }
        }
    }

    fn refuse(&mut self, why: String) -> Step {
        self.verdicts.push(format!("refused: {why}"));
        Step::Refused(why)
    }
}

/// Whether a resource is the server or something above it: same origin, whole path segments.
pub(super) fn covers(resource: &str, server_url: &Url) -> bool {
    let Ok(resource) = resource.parse::<Url>() else {
        return false;
    };
    let segments = |url: &Url| -> Vec<String> {
        let path = url.path().trim_matches('/');
        let parts = path.split('/').filter(|_| !path.is_empty());
        parts.map(str::to_owned).collect()
    };
    resource.origin() == server_url.origin()
        && resource.origin().is_tuple()
        && segments(server_url).starts_with(&segments(&resource))
}

fn at(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(path);
    url.set_query(None);
    url.set_fragment(None);
    url
}

fn without_repeats(urls: Vec<Url>) -> Vec<Url> {
    let mut list: Vec<Url> = Vec::new();
    for url in urls {
        if !list.contains(&url) {
            list.push(url);
        }
    }
    list
}

/// A stranger's text for a message: no control characters, 200 of the rest.
fn plain(text: &str) -> String {
    crate::exchange::plain_text(text, 200)
}
