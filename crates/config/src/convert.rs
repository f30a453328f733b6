//! From the raw top level to [`Config`]: relative paths, providers, words with several spellings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use codex_host::{AbsPath, Secret};
use codex_protocol::AskForApproval;

use crate::config_raw::{RawApprovalPolicy, RawConfig, RawIdentityProvider, RawModelProvider};
use crate::layers::{LayerSource, LayerStack};
use crate::{
    Config, ConfigError, Constrained, IdentityProviderConfig, McpOAuthSettings, McpServerConfig,
    ModelProviderConfig, Notice, ProviderAuthCommand, Severity, report,
};

/// Providers that are built in; their settings cannot be replaced by the file.
const BUILT_IN_PROVIDERS: &[&str] = &["openai", "ollama", "lmstudio"];
const DEFAULT_AUTH_TIMEOUT_MS: u64 = 5000;

/// Directories that relative paths are seen from.
pub(crate) struct Bases<'a> {
    pub(crate) home: &'a AbsPath,
    pub(crate) cwd: &'a AbsPath,
    pub(crate) layers: &'a LayerStack,
}

impl Bases<'_> {
    /// Resolves the path that a key holds: from its file's directory, or from cwd for a flag.
    fn path(&self, key: &[&str], value: &str) -> PathBuf {
        let origin = self.layers.origin(key);
        let base = match origin.as_ref().map(|origin| &origin.layer) {
            Some(LayerSource::SessionFlags) => self.cwd.clone(),
            Some(layer) => layer
                .file()
                .map_or_else(|| self.home.clone(), AbsPath::parent_dir),
            None => self.home.clone(),
        };
        base.join(Path::new(value)).into_path_buf()
    }
}

/// Makes the typed settings; servers and features are added by the caller.
pub(crate) fn config(
    raw: RawConfig,
    bases: &Bases<'_>,
    notices: &mut Vec<Notice>,
) -> Result<Config, ConfigError> {
    let model_instructions_file = raw
        .model_instructions_file
        .as_deref()
        .map(|path| bases.path(&["model_instructions_file"], path));
    let approval_policy = raw.approval_policy.map(|policy| match policy {
        RawApprovalPolicy::Word(policy) => policy,
        RawApprovalPolicy::Granular => {
            let origin = bases.layers.origin(&["approval_policy"]);
            let text = "`approval_policy` as a table is not available yet; it counts as \
                        `on-request`, and `codex exec` never asks";
            notices.push(Notice::new(Severity::Warning, text, origin));
            AskForApproval::OnRequest
        }
    });
    let mut model_providers = std::collections::BTreeMap::new();
    for (id, provider) in raw.model_providers {
        let provider = self::provider(&id, provider, bases, notices)?;
        model_providers.insert(id, provider);
    }
    let identity_provider = raw.mcp_enterprise_managed_auth.idp;
    let identity_provider = identity_provider
        .map(|idp| self::identity_provider(idp, bases, notices))
        .transpose()?;
    Ok(Config {
        model: raw.model,
        model_provider: raw.model_provider,
        model_providers,
        openai_base_url: raw.openai_base_url,
        model_context_window: raw.model_context_window,
        model_auto_compact_token_limit: raw.model_auto_compact_token_limit,
        model_reasoning_effort: raw.model_reasoning_effort,
        model_reasoning_summary: raw.model_reasoning_summary,
        model_verbosity: raw.model_verbosity,
        service_tier: raw.service_tier,
        base_instructions: raw.base_instructions,
        model_instructions_file,
        developer_instructions: raw.developer_instructions,
        approval_policy: Constrained::free(approval_policy),
        sandbox_mode: Constrained::free(raw.sandbox_mode),
        sandbox_workspace_write: raw.sandbox_workspace_write,
        web_search: raw.web_search,
        update_plan: raw
            .tools
            .update_plan
            .is_some_and(|update_plan| update_plan.0),
        mcp_optional_startup_grace: raw.mcp_optional_startup_grace_ms.map(Duration::from_millis),
        mcp_oauth: McpOAuthSettings {
            credentials_store: raw.mcp_oauth_credentials_store.unwrap_or_default(),
            callback_port: raw.mcp_oauth_callback_port,
            callback_url: raw.mcp_oauth_callback_url,
            client_metadata_url: raw.mcp_oauth_client_metadata_url,
            identity_provider,
        },
        mcp_server_logs: raw.mcp_server_logs,
        projects: raw
            .projects
            .into_iter()
            .filter_map(|(root, project)| Some((PathBuf::from(root), project.trust_level?)))
            .collect(),
        project_mcp_trust: raw.project_mcp_trust,
        project_doc_max_bytes: raw.project_doc_max_bytes,
        suppress_unstable_features_warning: raw.suppress_unstable_features_warning,
        ..Config::default()
    })
}

fn identity_provider(
    raw: RawIdentityProvider,
    bases: &Bases<'_>,
    notices: &mut Vec<Notice>,
) -> Result<IdentityProviderConfig, ConfigError> {
    const TABLE: [&str; 2] = ["mcp_enterprise_managed_auth", "idp"];
    let invalid = |key: &str, what: String| {
        let layers = bases.layers;
        let origin = layers.origin(&[TABLE[0], TABLE[1], key]);
        let origin = origin.or_else(|| layers.origin(&TABLE));
        let place = origin.as_ref().map(|origin| format!("{origin}: "));
        let place = place.unwrap_or_default();
        ConfigError::Invalid {
            text: format!("{place}{what}\nin `mcp_enterprise_managed_auth.idp`"),
            origin,
            hints: Vec::new(),
        }
    };
    notices.extend(report::stored_secret(
        bases.layers,
        &[TABLE[0], TABLE[1], "client_secret"],
    ));
    let missing = |key: &str| invalid(key, format!("missing field `{key}`"));
    let issuer = raw.issuer.ok_or_else(|| missing("issuer"))?;
    McpServerConfig::check_url(&issuer)
        .map_err(|why| invalid("issuer", format!("issuer {why}")))?;
    Ok(IdentityProviderConfig {
        issuer,
        client_id: raw.client_id.ok_or_else(|| missing("client_id"))?,
        client_secret: raw.client_secret.map(Secret::new),
        client_secret_env_var: raw.client_secret_env_var,
        token_endpoint_auth_method: raw.token_endpoint_auth_method,
        id_token_file: raw
            .id_token_file
            .map(|path| bases.path(&[TABLE[0], TABLE[1], "id_token_file"], &path)),
    })
}

fn provider(
    id: &str,
    raw: RawModelProvider,
    bases: &Bases<'_>,
    notices: &mut Vec<Notice>,
) -> Result<ModelProviderConfig, ConfigError> {
    let invalid = |key: &str, what: String| {
        let path = ["model_providers", id, key];
        let origin = bases
            .layers
            .origin(&path)
            .or_else(|| bases.layers.origin(&path[..2]));
        let place = origin
            .as_ref()
            .map(|origin| format!("{origin}: "))
            .unwrap_or_default();
        ConfigError::Invalid {
            text: format!("{place}{what}\nin `model_providers.{id}`"),
            origin,
            hints: Vec::new(),
        }
    };
    if BUILT_IN_PROVIDERS.contains(&id) {
        let what =
            format!("`{id}` is a built-in provider and cannot be configured; use another id");
        return Err(invalid("name", what));
    }
    let name = raw
        .name
        .ok_or_else(|| invalid("name", "missing field `name`".to_owned()))?;
    let base_url = raw
        .base_url
        .ok_or_else(|| invalid("base_url", "missing field `base_url`".to_owned()))?;
    let is_http =
        url::Url::parse(&base_url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if !is_http {
        return Err(invalid(
            "base_url",
            "base_url is not an absolute http or https URL".to_owned(),
        ));
    }
    let names = raw.env_http_headers.values().chain(&raw.env_key);
    if !names
        .into_iter()
        .all(|name| McpServerConfig::is_variable_name(name))
    {
        let key = match raw
            .env_key
            .iter()
            .all(|name| McpServerConfig::is_variable_name(name))
        {
            true => "env_http_headers",
            false => "env_key",
        };
        let what = format!(
            "{key} is not the name of an environment variable; put the key into one and name it"
        );
        return Err(invalid(key, what));
    }
    if raw.experimental_bearer_token.is_some() {
        let origin = bases
            .layers
            .origin(&["model_providers", id, "experimental_bearer_token"]);
        let text = format!("the key of model provider `{id}` is stored in clear; prefer `env_key`");
        notices.push(Notice::new(Severity::Warning, text, origin));
    }
    let secrets = |map: std::collections::BTreeMap<String, String>| {
        map.into_iter()
            .map(|(key, value)| (key, Secret::new(value)))
            .collect()
    };
    Ok(ModelProviderConfig {
        name,
        base_url: base_url.trim_end_matches('/').to_owned(),
        wire_api: raw.wire_api.unwrap_or_default(),
        env_key: raw.env_key,
        env_key_instructions: raw.env_key_instructions,
        experimental_bearer_token: raw.experimental_bearer_token.map(Secret::new),
        auth: raw.auth.map(|auth| ProviderAuthCommand {
            command: auth.command,
            args: auth.args,
            timeout: Duration::from_millis(auth.timeout_ms.unwrap_or(DEFAULT_AUTH_TIMEOUT_MS)),
        }),
        requires_openai_auth: raw.requires_openai_auth,
        http_headers: secrets(raw.http_headers),
        env_http_headers: raw.env_http_headers,
        query_params: secrets(raw.query_params),
        request_max_retries: raw.request_max_retries,
        stream_max_retries: raw.stream_max_retries,
        stream_idle_timeout: raw.stream_idle_timeout_ms.map(Duration::from_millis),
        tool_dialect: raw.tool_dialect,
    })
}
