//! The checks of the configuration: files, servers, stored logins, the key of the provider.

use std::time::{Duration, Instant};

use codex_config::{Enablement, McpServerConfig, OffReason, Severity};
use codex_http::{HttpClient, Reached, shown_origin};
use codex_mcp::{KeyringPatience, McpAuth};
use codex_runtime::{Invocation, LoadError, Loaded};
use futures_util::future::join_all;
use tokio::time::{Instant as Deadline, timeout, timeout_at};
use url::Url;

use super::report::{Category, Check, Status};
use crate::mcp::ground::{self, Endpoint};

/// How long all HTTP servers together may take to be connected to.
const REACH_LIMIT: Duration = Duration::from_secs(3);

/// Loads the configuration, and tells how that went.
pub(crate) fn load(invocation: Invocation) -> (Check, Option<Loaded>) {
    let begin = Instant::now();
    let loaded = invocation.load();
    let mut check = match &loaded {
        Ok(loaded) => config_load(loaded),
        Err(error) => load_failure(error),
    };
    check.took = begin.elapsed();
    (check, loaded.ok())
}

/// Runs the checks that need the configuration; they are skipped when there is none.
pub(crate) async fn all(loaded: Option<&Loaded>) -> Vec<Check> {
    let Some(loaded) = loaded else {
        let ids = [
            "auth.credentials",
            "mcp.config",
            "mcp.credentials",
            "policy.requirements",
        ];
        let checks = ids.map(|id| not_loaded(Check::new(id, Category::Configuration)));
        return checks.into();
    };
    vec![
        auth(loaded),
        policy(loaded),
        mcp_config(loaded).await,
        mcp_credentials(loaded).await,
    ]
}

fn not_loaded(check: Check) -> Check {
    check.status(Status::Skip, "the configuration cannot be loaded")
}

/// Whether the provider can be connected to; it is asked nothing.
pub(crate) async fn provider_reachability(loaded: Option<&Loaded>) -> Check {
    let begin = Instant::now();
    let check = Check::new("network.provider_reachability", Category::Connectivity);
    let Some(loaded) = loaded else {
        return not_loaded(check);
    };
    let url = match loaded.provider_address() {
        Ok(url) => url,
        Err(error) => {
            let remedy = error.hints().into_iter().next();
            let check = check.status(Status::Fail, error.to_string());
            return check.remedy(remedy.unwrap_or_else(|| "correct the provider".to_owned()));
        }
    };
    let place = shown_origin(&url);
    let check = check.detail("address", place.as_str());
    let http = HttpClient::from_env(loaded.env.clone());
    let mut check = match timeout(REACH_LIMIT, http.reach(&url)).await {
        Ok(Ok(Reached::Proxied { variable })) => check.ok(format!(
            "{place} by the proxy of {variable}, which was not tried"
        )),
        Ok(Ok(_)) => check.ok(format!("{place} can be connected to")),
        Ok(Err(error)) => {
            let remedy = error.hints().into_iter().next();
            let remedy = remedy.unwrap_or("look at the network of this machine");
            check.status(Status::Fail, error.to_string()).remedy(remedy)
        }
        Err(_) => check
            .status(Status::Fail, format!("no connection to {place} in time"))
            .remedy("look at the network of this machine"),
    };
    check.took = begin.elapsed();
    check
}

fn load_failure(error: &LoadError) -> Check {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    Check::new("config.load", Category::Configuration)
        .status(Status::Fail, error.to_string())
        .list("cause", causes.map(ToString::to_string).collect())
        .remedy("correct the file or the flag that is named below")
}

fn config_load(loaded: &Loaded) -> Check {
    let check = Check::new("config.load", Category::Configuration);
    let files: Vec<String> = loaded
        .layers
        .layers()
        .iter()
        .map(|layer| match layer.source.file() {
            Some(file) => format!("{} ({file})", layer.source.word()),
            None => layer.source.word().to_owned(),
        })
        .collect();
    let n_layers = files.len();
    let s = if n_layers == 1 { "" } else { "s" };
    let check = check
        .ok(format!("{n_layers} layer{s}"))
        .list("layers", files);
    let told = |is_wanted: fn(Severity) -> bool| -> Vec<String> {
        let notices = loaded.notices.iter();
        notices
            .filter(|notice| is_wanted(notice.severity))
            .map(|notice| notice.message.clone())
            .collect()
    };
    let faults = told(|severity| matches!(severity, Severity::Error | Severity::Warning));
    let n_faults = faults.len();
    let check = check.list(
        "notes",
        told(|severity| matches!(severity, Severity::Deprecated | Severity::Note)),
    );
    match n_faults {
        0 => check,
        _ => check
            .status(
                Status::Warning,
                format!("{n_layers} layer{s}, {n_faults} to look at"),
            )
            .list("warnings", faults)
            .remedy("correct the settings that are named below"),
    }
}

/// Whether there is a key for the provider; it is not tried.
fn auth(loaded: &Loaded) -> Check {
    let env = &loaded.env;
    let check = Check::new("auth.credentials", Category::Configuration);
    let config = &loaded.config;
    let provider = config.model_provider.as_deref().unwrap_or("openai");
    let check = check.detail("model_provider", provider);
    let own = config.model_providers.get(provider);
    if own.is_some_and(|own| own.auth.is_some()) {
        return check.ok("a command prints the key");
    }
    let wanted = own.and_then(|own| own.env_key.as_deref());
    let candidates = match wanted {
        Some(variable) => vec![variable],
        None => vec!["CODEX_API_KEY", "OPENAI_API_KEY"],
    };
    match candidates.iter().find(|name| env.non_empty(name).is_some()) {
        Some(name) => check.ok(format!("{name} is set")),
        None => {
            let variable = wanted.unwrap_or("OPENAI_API_KEY");
            check
                .status(
                    Status::Warning,
                    format!("{} is not set", candidates.join(" or ")),
                )
                .remedy(format!(
                    "give a key of provider `{provider}` in the environment: export {variable}=…"
                ))
        }
    }
}

/// What the machine requires, how much of it there is, and whether all of it can be read.
fn policy(loaded: &Loaded) -> Check {
    let requirements = &loaded.config.requirements;
    let check = Check::new("policy.requirements", Category::Configuration);
    let sources = requirements.sources().iter().map(ToString::to_string);
    let sources: Vec<String> = sources.collect();
    if sources.is_empty() {
        return check.ok("none");
    }
    let rules = match requirements.mcp().names().map(Iterator::count) {
        None => "any MCP server".to_owned(),
        Some(0) => "no MCP server".to_owned(),
        Some(1) => "MCP servers of 1 name".to_owned(),
        Some(n) => format!("MCP servers of {n} names"),
    };
    let mut words = format!("{} allows {rules}", sources.join(" and "));
    if let n @ 1.. = requirements.n_pinned_features() {
        let s = if n == 1 { "" } else { "s" };
        words.push_str(&format!(", pins {n} feature{s}"));
    }
    let constraints = requirements.constraints();
    for (key, _) in &constraints {
        words.push_str(&format!(", sets {key}"));
    }
    let off = loaded.config.mcp_servers.values();
    let off = off.filter_map(|server| match &server.enablement {
        Enablement::Off(OffReason::Requirements { why, .. }) => {
            Some(format!("{}: {why}", server.name))
        }
        _ => None,
    });
    let problems = requirements.problems().iter().map(ToString::to_string);
    let problems: Vec<String> = problems.collect();
    let n_problems = problems.len();
    let mut check = check
        .list("sources", sources)
        .list("turned_off", off.collect())
        .list("problems", problems);
    for (key, allowed) in constraints {
        check = check.detail(key, allowed);
    }
    let remedy = "tell the administrator of this machine";
    match (requirements.refusal(), n_problems) {
        (Some(refusal), _) => check
            .status(Status::Fail, refusal.to_string())
            .remedy(remedy),
        (None, 0) => check.ok(words),
        (None, n) => {
            let s = if n == 1 { "" } else { "s" };
            let words = format!("{words}; {n} problem{s}");
            check.status(Status::Fail, words).remedy(remedy)
        }
    }
}

/// Whether each server could be started or reached; none is started.
async fn mcp_config(loaded: &Loaded) -> Check {
    let begin = Instant::now();
    let deadline = Deadline::now() + REACH_LIMIT;
    let servers = loaded.config.mcp_servers.values();
    let looks =
        servers.map(|server| async move { (server, faults(server, loaded, deadline).await) });
    let found = join_all(looks).await;
    let mut check = Check::new("mcp.config", Category::Configuration);
    let n_servers = found.len();
    let s = if n_servers == 1 { "" } else { "s" };
    let mut worst = Status::Ok;
    let mut n_faulty = 0;
    for (server, faults) in found {
        if faults.texts.is_empty() {
            continue;
        }
        n_faulty += 1;
        if worst != Status::Fail {
            worst = faults.status;
        }
        check = check.list(server.name.as_str(), faults.texts);
    }
    check = match n_faulty {
        0 => check.ok(format!("{n_servers} server{s}")),
        _ => check
            .status(
                worst,
                format!("{n_faulty} of {n_servers} server{s} to look at"),
            )
            .remedy("codex mcp check NAME tells more"),
    };
    check.took = begin.elapsed();
    check
}

/// What is wrong with one server.
struct Faults {
    status: Status,
    texts: Vec<String>,
}

async fn faults(server: &McpServerConfig, loaded: &Loaded, deadline: Deadline) -> Faults {
    let mut texts: Vec<String> = server
        .warnings
        .iter()
        .map(|warning| format!("{}: {}", warning.origin, warning.text))
        .collect();
    let mut status = Status::Warning;
    match &server.enablement {
        Enablement::Off(OffReason::Invalid { origin, why }) => {
            status = Status::Fail;
            texts.insert(
                0,
                match origin {
                    Some(origin) => format!("{origin}: {why}"),
                    None => why.clone(),
                },
            );
        }
        Enablement::Off(_) => {}
        Enablement::On => match ground::look(server, &loaded.env, &loaded.cwd) {
            Err(missing) => {
                if server.required {
                    status = Status::Fail;
                }
                texts.push(missing.why);
            }
            Ok(ground) => {
                texts.extend(ground.warnings);
                if let Endpoint::Url(url, http) = ground.at {
                    texts.extend(unreached(&url, &http, deadline).await);
                }
            }
        },
    }
    Faults { status, texts }
}

/// Tells why nothing can be connected to there; paths and queries stay out of it.
async fn unreached(url: &Url, http: &HttpClient, deadline: Deadline) -> Option<String> {
    match timeout_at(deadline, http.reach(url)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no connection to {} in time", shown_origin(url))),
    }
}

/// Whether a login could be stored and read back.
async fn mcp_credentials(loaded: &Loaded) -> Check {
    let begin = Instant::now();
    let check = Check::new("mcp.credentials", Category::Configuration);
    let auth = McpAuth::new(
        loaded.home.clone(),
        loaded.config.mcp_oauth.clone(),
        loaded.env.clone(),
        HttpClient::from_env(loaded.env.clone()),
        env!("CARGO_PKG_VERSION"),
        KeyringPatience::Run,
    );
    let tested = auth.test_store().await;
    let notices = auth.take_notices();
    let mut check = match tested {
        Ok(backend) => check.ok(format!("logins are stored in the {backend}")),
        Err(why) => check
            .status(Status::Fail, why)
            .remedy("set mcp_oauth_credentials_store to a store that works here"),
    }
    .list("notes", notices);
    check.took = begin.elapsed();
    check
}
