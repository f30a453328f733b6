//! What a server must be: a pure question about the program or the address that would really be used.
//!
//! Addresses are compared as they are written, because what looks equal may not be. `prefix` and
//! `regex` look at the parsed address, too, because a text can show another host than it leads to.

use std::io::Read;
use std::path::Path;

use codex_host::{Env, open_regular};
use regex::Regex;
use sha2::{Digest, Sha256};
use url::Url;

use super::detours;
use super::raw::{RawCommand, RawIdentity, RawMatch, RawMatcher, RawUrl};
use crate::expand::expand;
use crate::layers::hex;
use crate::{McpServerConfig, McpTransport};

/// A compiled rule is at most this large.
const MAX_REGEX_BYTES: usize = 1024 * 1024;

/// What a server must be, and what it may have beside that.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    target: Target,
    /// Keys that may lead elsewhere.
    allow: Vec<String>,
}

#[derive(Debug, Clone)]
enum Target {
    Command {
        executable: String,
        /// `None`: any.
        args: Option<Vec<Matcher>>,
        sha256: Option<String>,
    },
    Url(UrlRule),
}

#[derive(Debug, Clone)]
enum UrlRule {
    Exact(String),
    Prefix(Url),
    Regex(Regex),
}

#[derive(Debug, Clone)]
enum Matcher {
    Exact(String),
    Prefix(String),
    Regex(Regex),
}

impl Identity {
    /// Makes the rule, or says why it is none.
    pub(super) fn new(raw: RawIdentity) -> Result<Self, String> {
        raw.allow
            .iter()
            .try_for_each(|word| detours::check_word(word))?;
        let allow = raw.allow.clone();
        let target = Target::new(raw)?;
        Ok(Self { target, allow })
    }

    /// Returns whether a server may have a key that leads elsewhere.
    pub(super) fn allows(&self, key: &str) -> bool {
        self.allow.iter().any(|allowed| allowed == key)
    }

    /// Says why a server is not this; the text holds nothing that may be a secret.
    pub(super) fn check(&self, server: &McpServerConfig, env: &Env) -> Result<(), String> {
        let effective = |text: &str| effective(server, text, env);
        match (&self.target, &server.transport) {
            (
                Target::Command {
                    executable,
                    args,
                    sha256,
                },
                McpTransport::Stdio(stdio),
            ) => {
                if effective(&stdio.command)? != *executable {
                    return Err("its command is not the allowed one".to_owned());
                }
                let given: Vec<String> = stdio
                    .args
                    .iter()
                    .map(|arg| effective(arg))
                    .collect::<Result<_, _>>()?;
                let fits = |args: &Vec<Matcher>| {
                    args.len() == given.len()
                        && args.iter().zip(&given).all(|(rule, arg)| rule.matches(arg))
                };
                if !args.as_ref().is_none_or(fits) {
                    return Err("its arguments are not the allowed ones".to_owned());
                }
                match sha256 {
                    Some(wanted) if file_hash(Path::new(executable)).as_ref() != Some(wanted) => {
                        Err("the file of its command is not the allowed one".to_owned())
                    }
                    Some(_) | None => Ok(()),
                }
            }
            (Target::Url(rule), McpTransport::StreamableHttp(http)) => {
                match rule.matches(&effective(&http.url)?) {
                    true => Ok(()),
                    false => Err("its url is not an allowed one".to_owned()),
                }
            }
            (Target::Command { .. }, McpTransport::StreamableHttp(_)) => {
                Err("only a command is allowed under this name".to_owned())
            }
            (Target::Url(_), McpTransport::Stdio(_)) => {
                Err("only a url is allowed under this name".to_owned())
            }
        }
    }
}

/// Returns a text of an entry as it would be used.
fn effective(server: &McpServerConfig, text: &str, env: &Env) -> Result<String, String> {
    match server.expand_env {
        true => expand(text, env).map_err(|name| format!("its variable {name} is not set")),
        false => Ok(text.to_owned()),
    }
}

impl Target {
    fn new(raw: RawIdentity) -> Result<Self, String> {
        match (raw.command, raw.url, raw.sha256) {
            (Some(_), Some(_), _) => Err("it has both `command` and `url`".to_owned()),
            (None, None, _) => Err("it has neither `command` nor `url`".to_owned()),
            (None, Some(_), Some(_)) => Err("`sha256` belongs to a `command`".to_owned()),
            (None, Some(url), None) => Ok(Self::Url(url_rule(url)?)),
            (Some(command), None, sha256) => {
                let (executable, args) = match command {
                    RawCommand::Plain(executable) => (executable, None),
                    RawCommand::Detailed(rule) => {
                        let args = rule.args.into_iter().map(matcher);
                        (rule.executable, Some(args.collect::<Result<_, _>>()?))
                    }
                };
                if let Some(hash) = &sha256 {
                    let is_hash = hash.len() == 64 && hash.bytes().all(|c| c.is_ascii_hexdigit());
                    if !is_hash {
                        return Err("`sha256` is not 64 hexadecimal digits".to_owned());
                    }
                    if !Path::new(&executable).is_absolute() {
                        return Err("`sha256` needs a `command` with an absolute path".to_owned());
                    }
                }
                Ok(Self::Command {
                    executable,
                    args,
                    sha256: sha256.map(|hash| hash.to_ascii_lowercase()),
                })
            }
        }
    }
}

impl UrlRule {
    fn matches(&self, url: &str) -> bool {
        // A parser would drop such characters, and then two texts are one address.
        let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
        let parsed = || {
            let is_plain = !url.contains(odd) && McpServerConfig::check_url(url).is_ok();
            Url::parse(url).ok().filter(|_| is_plain)
        };
        match self {
            Self::Exact(allowed) => url == allowed,
            Self::Prefix(allowed) => parsed().is_some_and(|url| has_prefix(&url, allowed)),
            // Parsed, the host ends at a slash, so that no `?` can pass for a part of it.
            Self::Regex(regex) => {
                regex.is_match(url) && parsed().is_some_and(|url| regex.is_match(url.as_str()))
            }
        }
    }
}

fn has_prefix(url: &Url, allowed: &Url) -> bool {
    // A server may read these as a step out of the prefix.
    let path = url.path().to_ascii_lowercase();
    let hides = ["%2f", "%5c", "%2e"].iter().any(|code| path.contains(code));
    let rest = |url: &Url| match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    !hides && url.origin() == allowed.origin() && rest(url).starts_with(&rest(allowed))
}

impl Matcher {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(allowed) => text == allowed,
            Self::Prefix(allowed) => text.starts_with(allowed),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

fn url_rule(raw: RawUrl) -> Result<UrlRule, String> {
    let matcher = match raw {
        RawUrl::Plain(url) => return Ok(UrlRule::Exact(url)),
        RawUrl::Matcher(raw) => matcher(raw)?,
    };
    match matcher {
        Matcher::Exact(url) => Ok(UrlRule::Exact(url)),
        Matcher::Regex(regex) => Ok(UrlRule::Regex(regex)),
        Matcher::Prefix(text) => {
            let url = Url::parse(&text).ok().filter(|url| url.origin().is_tuple());
            let url = url.ok_or("the prefix of a url must be an absolute http or https URL")?;
            Ok(UrlRule::Prefix(url))
        }
    }
}

fn matcher(raw: RawMatcher) -> Result<Matcher, String> {
    match (raw.kind, raw.value, raw.expression) {
        (RawMatch::Exact, Some(value), None) => Ok(Matcher::Exact(value)),
        (RawMatch::Prefix, Some(value), None) => Ok(Matcher::Prefix(value)),
        (RawMatch::Regex, None, Some(expression)) => whole(&expression).map(Matcher::Regex),
        (RawMatch::Exact | RawMatch::Prefix, _, _) => {
            Err("`exact` and `prefix` need `value` and nothing else".to_owned())
        }
        (RawMatch::Regex, _, _) => Err("`regex` needs `expression` and nothing else".to_owned()),
    }
}

/// Compiles an expression that must match from the first to the last character.
fn whole(expression: &str) -> Result<Regex, String> {
    let compile = |text: &str| {
        let built = regex::RegexBuilder::new(text)
            .size_limit(MAX_REGEX_BYTES)
            .build();
        built.map_err(|_| "`expression` is not a regular expression".to_owned())
    };
    // Alone first: `a)|(b` must not close the group that holds it.
    compile(expression)?;
    compile(&format!(r"\A(?:{expression})\z"))
}

/// Returns the SHA-256 of a file that can be started.
fn file_hash(path: &Path) -> Option<String> {
    let mut file = open_regular(path).ok()??;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(hex(&hash.finalize())),
            n_bytes => hash.update(&buffer[..n_bytes]),
        }
    }
}
