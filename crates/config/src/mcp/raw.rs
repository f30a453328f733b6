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
    EnvVar, EnvVarSource, HttpAuth, OAuthGrant, PeerHttp, StartupReadiness,
    TokenEndpointAuthMethod, ToolSettings,
};

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RawMcpServer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) args: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) env_vars: Option<Vec<EnvVar>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cwd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) inherit_env: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bearer_token_env_var: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http_headers_helper: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) auth: Option<HttpAuth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oauth_resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scopes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) required: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) startup_timeout_sec: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) startup_timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool_timeout_sec: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enabled_tools: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disabled_tools: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_tools_approval_mode: Option<ToolApprovalMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) supports_parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool_input_schema_max_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) startup_readiness: Option<StartupReadiness>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expand_env: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) environment_id: Option<String>,
    // Read only to be refused with a better sentence than "unknown key".
    #[serde(skip_serializing)]
    pub(crate) bearer_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) env: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http_headers: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) env_http_headers: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oauth: Option<RawOAuth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http: Option<PeerHttp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tools: Option<BTreeMap<String, ToolSettings>>,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RawOAuth {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret_env_var: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) callback_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) callback_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_endpoint_auth_method: Option<TokenEndpointAuthMethod>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) authorization_server_issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_metadata_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grant: Option<OAuthGrant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) private_key_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) assertion_file: Option<String>,
}

/// Returns every key that a struct reads, as its derived reader spells them.
pub(crate) fn field_names<T: serde::de::DeserializeOwned>() -> &'static [&'static str] {
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
            _visitor: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = fields;
            Err(de::Error::custom("only names are asked for"))
        }
        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
            option unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let mut names: &'static [&'static str] = &[];
    let _ = T::deserialize(Names(&mut names));
    names
}

/// A number of seconds; written without a fraction when it has none.
#[derive(Clone, Copy, PartialEq, Deserialize)]
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
