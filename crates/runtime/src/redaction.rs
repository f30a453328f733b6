//! The secrets of a run that a recording must not hold.

use codex_config::{Config, McpTransport};
use codex_host::{Env, Secret};
use codex_model::{ProviderKey, ProviderSettings, RedactionRules};

/// Gathers the provider's key, configured header values and tokens, and what the environment's
/// names give away.
pub(crate) fn rules(config: &Config, env: &Env, provider: &ProviderSettings) -> RedactionRules {
    let mut secrets: Vec<Secret> = Vec::new();
    if let ProviderKey::Fixed(key) = &provider.key {
        secrets.push(key.clone());
    }
    secrets.extend(provider.headers.iter().map(|(_, value)| value.clone()));
    secrets.extend(
        provider
            .query_params
            .iter()
            .map(|(_, value)| Secret::new(value.clone())),
    );
    for server in config.mcp_servers.values() {
        match &server.transport {
            McpTransport::Stdio(stdio) => secrets.extend(
                stdio
                    .env
                    .iter()
                    .filter(|(name, _)| RedactionRules::is_secret_name(name))
                    .map(|(_, value)| value.clone()),
            ),
            McpTransport::StreamableHttp(http) => {
                secrets.extend(http.http_headers.values().cloned());
                let token = http.bearer_token_env_var.iter();
                let variables = token.chain(http.env_http_headers.values());
                secrets.extend(
                    variables
                        .filter_map(|name| env.non_empty(name))
                        .map(Secret::new),
                );
            }
        }
    }
    let named = env
        .iter()
        .filter(|(name, _)| RedactionRules::is_secret_name(name));
    secrets.extend(named.map(|(_, value)| Secret::new(value)));
    RedactionRules::new(secrets)
}
