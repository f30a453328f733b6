//! The grammar of `-c key.path=value`.
//!
//! The key is split at dots outside of quotes; a segment that begins with a quote is a TOML string.
//! The value is TOML, else the raw text as a string.

use toml_edit::{Key, Value};

use crate::tree::{self, Node, NodeValue, Place};
use crate::{ConfigError, Feature};

/// A path of keys and the value to put there.
#[derive(Debug, PartialEq)]
pub(crate) struct Setting {
    pub(crate) path: Vec<String>,
    pub(crate) value: Node,
}

/// Reads one `-c`.
pub(crate) fn parse(raw: &str, at: Place) -> Result<Setting, ConfigError> {
    let (path, value) = split(raw)?;
    let value = value.trim();
    let value = match value.parse::<Value>() {
        Ok(value) => without_places(tree::from_value(&value, at), at),
        Err(_) => Node {
            value: NodeValue::String(value.to_owned()),
            at,
        },
    };
    Ok(Setting { path, value })
}

/// Takes a value that a program has already; its key is written as in `-c`.
pub(crate) fn typed(key: &str, value: &Value, at: Place) -> Result<Setting, ConfigError> {
    let path = key_path(key)?;
    let value = without_places(tree::from_value(value, at), at);
    Ok(Setting { path, value })
}

/// Cuts `a."b.c".d` into its keys, as `-c` does.
pub fn key_path(key: &str) -> Result<Vec<String>, ConfigError> {
    let whole = format!("{key}=");
    let (path, rest) = split(&whole)?;
    match rest {
        "" => Ok(path),
        _ => Err(ConfigError::Flag {
            message: format!("Invalid key in override: {key}"),
            hints: Vec::new(),
        }),
    }
}

/// Reads one `--enable` or `--disable`.
pub(crate) fn feature(key: &str, on: bool, at: Place) -> Result<Setting, ConfigError> {
    if Feature::from_key(key).is_none() {
        let near = codex_utils_fuzzy_match::nearest_key(key, Feature::keys());
        return Err(ConfigError::Flag {
            message: format!("Unknown feature flag: {key}"),
            hints: near
                .map(|near| format!("did you mean `{near}`?"))
                .into_iter()
                .collect(),
        });
    }
    let value = Node {
        value: NodeValue::Boolean(on),
        at,
    };
    Ok(Setting {
        path: vec!["features".to_owned(), key.to_owned()],
        value,
    })
}

fn split(raw: &str) -> Result<(Vec<String>, &str), ConfigError> {
    let fault = |what: &str| ConfigError::Flag {
        message: format!("{what}: {raw}"),
        hints: Vec::new(),
    };
    let mut path = Vec::new();
    let mut rest = raw.trim_start();
    loop {
        let (segment, behind) = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let end =
                    quoted_end(rest, quote).ok_or_else(|| fault("Unfinished quote in override"))?;
                let key =
                    Key::parse(&rest[..end]).map_err(|_| fault("Invalid quote in override"))?;
                let segment = key
                    .first()
                    .map(|key| key.get().to_owned())
                    .unwrap_or_default();
                (segment, rest[end..].trim_start())
            }
            _ => {
                let end = rest
                    .find(['.', '='])
                    .ok_or_else(|| fault("Invalid override (missing '=')"))?;
                (rest[..end].trim().to_owned(), &rest[end..])
            }
        };
        if segment.is_empty() {
            return Err(fault("Empty key in override"));
        }
        path.push(segment);
        match behind.chars().next() {
            Some('.') => rest = &behind[1..],
            Some('=') => return Ok((path, &behind[1..])),
            _ => return Err(fault("Invalid override (missing '=')")),
        }
    }
}

fn quoted_end(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, found) in text.char_indices().skip(1) {
        match found {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if found == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// A flag has no line, so every part of its value stands at the same place.
fn without_places(mut node: Node, at: Place) -> Node {
    fn flatten(node: &mut Node, at: Place) {
        node.at = at;
        match &mut node.value {
            NodeValue::Array(items) => items.iter_mut().for_each(|item| flatten(item, at)),
            NodeValue::Table(table) => table.0.iter_mut().for_each(|entry| {
                entry.key_at = at;
                flatten(&mut entry.node, at);
            }),
            _ => {}
        }
    }
    flatten(&mut node, at);
    node
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn show(raw: &str) -> String {
        match parse(raw, Place::default()) {
            Ok(setting) => format!(
                "{} = {}",
                setting.path.join(" / "),
                tree::to_value(&setting.value)
            ),
            Err(error) => format!("Error: {error}"),
        }
    }

    #[test]
    fn a_key_is_split_at_dots_outside_of_quotes() {
        assert_snapshot!(show("a.b=1"), @"a / b = 1");
        assert_snapshot!(show(r#"mcp_servers."q.r".command=x"#), @r#"mcp_servers / q.r / command = "x""#);
        assert_snapshot!(show("mcp_servers.'q.\"r'.url=y"), @r#"mcp_servers / q."r / url = "y""#);
        assert_snapshot!(show(r#"a."\"=".b=c=d"#), @r#"a / "= / b = "c=d""#);
    }

    #[test]
    fn a_value_is_toml_and_otherwise_text() {
        assert_snapshot!(show("a=[1, 'x']"), @r#"a = [1, "x"]"#);
        assert_snapshot!(show("a={b=true}"), @"a = { b = true }");
        assert_snapshot!(show("a=gpt-5.5"), @r#"a = "gpt-5.5""#);
        assert_snapshot!(show("a="), @r#"a = """#);
        assert_snapshot!(show(r#"a="x""#), @r#"a = "x""#);
    }

    #[test]
    fn each_fault_has_its_sentence() {
        assert_snapshot!(show("foo"), @"Error: Invalid override (missing '='): foo");
        assert_snapshot!(show("=x"), @"Error: Empty key in override: =x");
        assert_snapshot!(show("a..b=x"), @"Error: Empty key in override: a..b=x");
        assert_snapshot!(show("mcp_servers.\"a"), @r#"Error: Unfinished quote in override: mcp_servers."a"#);
    }

    #[test]
    fn an_unknown_feature_names_the_nearest() {
        let error = feature("unified_exce", true, Place::default()).unwrap_err();
        assert_snapshot!(error, @"Unknown feature flag: unified_exce");
        assert_eq!(error.hints(), ["did you mean `unified_exec`?"]);
    }
}
