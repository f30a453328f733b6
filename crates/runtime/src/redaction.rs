//! The secrets of a run: what a recording must not hold, and which variables no command gets.

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

/// Names the variables in which the config says that keys of providers and tokens of servers lie;
/// whoever they are for, they are not for the commands of the model.
pub(crate) fn token_variables(config: &Config) -> impl Iterator<Item = &str> {
    let providers = config.model_providers.values();
    let keys = providers.filter_map(|provider| provider.env_key.as_deref());
    let servers = config.mcp_servers.values();
    let tokens = servers.filter_map(|server| match &server.transport {
        McpTransport::Stdio(_) => None,
        McpTransport::StreamableHttp(http) => http.bearer_token_env_var.as_deref(),
    });
    keys.chain(tokens)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use codex_config::{Constrained, McpServerConfig, ModelProviderConfig};
    use codex_protocol::ServerName;

    use super::*;

    #[test]
    fn variables_of_every_provider_and_server_are_known_as_tokens() {
        let mut config = Config::default();
        let mut provider = ModelProviderConfig::default();
        provider.env_key = Some("PROVIDER_KEY".to_owned());
        config.model_providers.insert("p".to_owned(), provider);
        let name = ServerName::from_config("s");
        let mut server = McpServerConfig::http(name.clone(), "http://127.0.0.1:1/");
        if let McpTransport::StreamableHttp(http) = &mut server.transport {
            http.bearer_token_env_var = Some("SERVER_TOKEN".to_owned());
        }
        config.mcp_servers = Constrained::free(BTreeMap::from([(name, server)]));
        let named: Vec<&str> = token_variables(&config).collect();
        assert_eq!(named, ["PROVIDER_KEY", "SERVER_TOKEN"]);
    }
}
