//! `[mcp_servers.NAME]` as it stands in the file: every key, all optional.
//!
//! The same struct reads and writes, so a new key is added here, in `convert.rs` and where it is used.
//! The order of the fields is the order in which keys are written; tables come last.
//! No `Debug`: the values may be secrets.

use std::collections::BTreeMap;
use std::fmt;

use codex_protocol::ToolApprovalMode;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    EnvVar, EnvVarSource, HttpAuth, OAuthGrant, ServerSandbox, StartupReadiness,
    TokenEndpointAuthMethod, ToolSettings,
};

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct RawMcpServer {
    /// Name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Program of a stdio server; no shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<String>,
    /// Arguments of `command`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("default" = [])))]
    pub(crate) args: Option<Vec<String>>,
    /// Names copied from our environment for the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) env_vars: Option<Vec<EnvVar>>,
    /// Directory of the server; relative ones are seen from the directory of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cwd: Option<String>,
    /// Give the whole environment instead of the short list.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("default" = false)))]
    pub(crate) inherit_env: Option<bool>,
    /// What the server may touch: `read-only`, `workspace-write`, or a table with more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sandbox: Option<ServerSandbox>,
    /// Absolute http or https URL of a streamable HTTP server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// Variable with the bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bearer_token_env_var: Option<String>,
    /// Program that prints a JSON object of headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http_headers_helper: Option<String>,
    /// How the server authenticates; found out by discovery when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) auth: Option<HttpAuth>,
    /// Value of `resource` in a login, instead of the canonical URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oauth_resource: Option<String>,
    /// Scopes that a login asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scopes: Option<Vec<String>>,
    /// Whether the server is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("default" = true)))]
    pub(crate) enabled: Option<bool>,
    /// A start that fails ends the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("default" = false)))]
    pub(crate) required: Option<bool>,
    /// Seconds for connect, handshake and tool list.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("default" = 30)))]
    pub(crate) startup_timeout_sec: Option<Seconds>,
    /// Older spelling of `startup_timeout_sec`, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("deprecated" = true)))]
    pub(crate) startup_timeout_ms: Option<u64>,
    /// Seconds without progress after which a call ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("default" = 300)))]
    pub(crate) tool_timeout_sec: Option<Seconds>,
    /// Only these tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enabled_tools: Option<Vec<String>>,
    /// Not these tools; taken away after `enabled_tools`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("default" = [])))]
    pub(crate) disabled_tools: Option<Vec<String>>,
    /// Who decides about calls of this server's tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        test,
        schemars(schema_with = "crate::schema::words::<codex_protocol::ToolApprovalMode>"),
        schemars(extend("default" = "auto"))
    )]
    pub(crate) default_tools_approval_mode: Option<ToolApprovalMode>,
    /// Several calls at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("default" = false)))]
    pub(crate) supports_parallel_tool_calls: Option<bool>,
    /// A tool with a larger input schema is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool_input_schema_max_bytes: Option<u64>,
    /// What ready means.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("default" = "catalog")))]
    pub(crate) startup_readiness: Option<StartupReadiness>,
    /// Replace `${NAME}` and `${NAME:-default}` in command, args, cwd, env, url and headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("default" = false)))]
    pub(crate) expand_env: Option<bool>,
    /// Hold back tools that are not what they were at their first use, until they are approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("default" = false)))]
    pub(crate) pin_tools: Option<bool>,
    /// Anything but `local` turns the server off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) environment_id: Option<String>,
    // Read only to be refused with a better sentence than "unknown key".
    #[serde(skip_serializing)]
    #[cfg_attr(test, schemars(skip))]
    pub(crate) bearer_token: Option<String>,
    /// Environment of the server, literal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) env: Option<BTreeMap<String, String>>,
    /// Headers sent to this server only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http_headers: Option<BTreeMap<String, String>>,
    /// Headers sent to this server only: header = VARIABLE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) env_http_headers: Option<BTreeMap<String, String>>,
    /// Settings of the login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oauth: Option<RawOAuth>,
    /// Proxy and certificates for this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http: Option<RawPeerHttp>,
    /// Settings by tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tools: Option<BTreeMap<String, ToolSettings>>,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct RawOAuth {
    /// Client registered by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    /// Its secret in clear; prefer `client_secret_env_var`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret: Option<String>,
    /// Variable with its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret_env_var: Option<String>,
    /// Redirect URI, sent byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) callback_url: Option<String>,
    /// Port of the listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) callback_port: Option<u16>,
    /// How the client proves itself at the token endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_endpoint_auth_method: Option<TokenEndpointAuthMethod>,
    /// The issuer to use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) authorization_server_issuer: Option<String>,
    /// Client ID metadata document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_metadata_url: Option<String>,
    /// How tokens are obtained.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("default" = "authorization_code")))]
    pub(crate) grant: Option<OAuthGrant>,
    /// Key of `private_key_jwt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) private_key_file: Option<String>,
    /// Assertion of `jwt_bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) assertion_file: Option<String>,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct RawPeerHttp {
    /// Proxy URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proxy: Option<String>,
    /// Hosts without proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) no_proxy: Option<String>,
    /// CA certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<std::path::PathBuf>,
    /// Client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_cert: Option<std::path::PathBuf>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_key: Option<std::path::PathBuf>,
}

/// Returns whether the last key of a path below `[mcp_servers.NAME]` is one that this program reads.
pub(crate) fn knows(path: &[&str]) -> bool {
    match path {
        [key] => field_names::<RawMcpServer>().contains(key),
        ["tools", _, key] => field_names::<ToolSettings>().contains(key),
        ["oauth", key] => field_names::<RawOAuth>().contains(key),
        ["http", key] => field_names::<RawPeerHttp>().contains(key),
        _ => true,
    }
}

/// Returns every key that a struct reads, as its derived reader spells them.
pub(crate) fn field_names<T: serde::de::DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    let _ = T::deserialize(Names(&mut names));
    names
}

/// Returns every word of an enum, likewise.
#[cfg(test)]
pub(crate) use field_names as variant_names;

/// A deserializer that only listens to what its caller asks for.
struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("only names are asked for"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = variants;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// A number of seconds; written without a fraction when it has none.
#[derive(Clone, Copy, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub(crate) struct Seconds(pub(crate) f64);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "guarded: whole and far below the limit"
        )]
        if self.0.fract() == 0.0 && self.0.abs() < 1e15 {
            return serializer.serialize_i64(self.0 as i64);
        }
        serializer.serialize_f64(self.0)
    }
}

impl Serialize for EnvVar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(source) = &self.source else {
            return serializer.serialize_str(&self.name);
        };
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("source", source)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for EnvVar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EnvVarVisitor)
    }
}

struct EnvVarVisitor;

impl<'de> Visitor<'de> for EnvVarVisitor {
    type Value = EnvVar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name or a table with `name` and `source`")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<EnvVar, E> {
        Ok(EnvVar {
            name: name.to_owned(),
            source: None,
        })
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<EnvVar, M::Error> {
        let (mut name, mut source) = (None::<String>, None::<EnvVarSource>);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "name" => name = Some(map.next_value()?),
                "source" => source = Some(map.next_value()?),
                _ => return Err(de::Error::unknown_field(&key, &["name", "source"])),
            }
        }
        let name = name.ok_or_else(|| de::Error::missing_field("name"))?;
        Ok(EnvVar {
            name,
            source: Some(source.unwrap_or(EnvVarSource::Local)),
        })
    }
}
