//! `requirements.toml` as it stands in the file. What has an unknown key is no rule.

use std::fmt;

use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

/// `[mcp_server_allowlist.NAME]`, and `identity` of `[mcp_servers.NAME]`.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct RawIdentity {
    /// The program that is started.
    pub(crate) command: Option<RawCommand>,
    /// The address.
    pub(crate) url: Option<RawUrl>,
    /// Hash of the program's file, beside `command`.
    pub(crate) sha256: Option<String>,
    /// Keys of the entry that may lead elsewhere.
    #[serde(default)]
    pub(crate) allow: Vec<String>,
}

/// `[mcp_servers.NAME]`.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct RawServerRule {
    /// What a server of this name must be.
    pub(crate) identity: RawIdentity,
}

/// The program alone, or with its arguments.
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(untagged))]
pub(crate) enum RawCommand {
    Plain(String),
    Detailed(RawCommandRule),
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCommandRule {
    /// The program.
    pub(crate) executable: String,
    /// One matcher for each argument.
    #[serde(default)]
    #[cfg_attr(test, schemars(extend("default" = [])))]
    pub(crate) args: Vec<RawMatcher>,
}

/// The address alone, or a matcher.
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(untagged))]
pub(crate) enum RawUrl {
    Plain(String),
    Matcher(RawMatcher),
}

/// `{ match = "exact", value = "x" }`.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct RawMatcher {
    /// How.
    #[serde(rename = "match")]
    pub(crate) kind: RawMatch,
    /// Text of `exact` and `prefix`.
    pub(crate) value: Option<String>,
    /// Text of `regex`.
    pub(crate) expression: Option<String>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawMatch {
    /// The whole text.
    Exact,
    /// Its beginning.
    Prefix,
    /// An expression that matches the whole text.
    Regex,
}

impl<'de> Deserialize<'de> for RawCommand {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_table(deserializer, Self::Plain, Self::Detailed)
    }
}

impl<'de> Deserialize<'de> for RawUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_table(deserializer, Self::Plain, Self::Matcher)
    }
}

/// Reads a string in one way and a table in another.
fn text_or_table<'de, D: Deserializer<'de>, T: Deserialize<'de>, R>(
    deserializer: D,
    text: fn(String) -> R,
    table: fn(T) -> R,
) -> Result<R, D::Error> {
    struct Either<T, R>(fn(String) -> R, fn(T) -> R);
    impl<'de, T: Deserialize<'de>, R> Visitor<'de> for Either<T, R> {
        type Value = R;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string or a table")
        }
        fn visit_str<E: de::Error>(self, value: &str) -> Result<R, E> {
            Ok(self.0(value.to_owned()))
        }
        fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<R, M::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(self.1)
        }
    }
    deserializer.deserialize_any(Either(text, table))
}
