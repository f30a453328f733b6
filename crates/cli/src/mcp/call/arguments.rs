//! What the user typed as arguments, and what it means for this tool.

use std::io::Read;

use codex_host::AbsPath;
use serde_json::{Map, Value};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::error::CliError;
use crate::mcp::live::interrupted;

/// Largest file or stdin; arguments are not data files.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Arguments before the schema is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RawArguments {
    /// A whole object.
    Object(Map<String, Value>),
    /// `-a key=value`, as typed.
    Pairs(Vec<(String, String)>),
}

impl Default for RawArguments {
    fn default() -> Self {
        Self::Object(Map::new())
    }
}

/// Reads the arguments from where the user put them; Ctrl-C ends the wait for them.
pub(super) async fn read(
    args: Option<&str>,
    pairs: &[String],
    cwd: &AbsPath,
    cancel: &CancellationToken,
) -> Result<RawArguments, CliError> {
    let text = match args {
        None => return split(pairs),
        Some("-") => {
            let text = off_thread(|| read_all(std::io::stdin().lock()), cancel).await?;
            text.map_err(|why| cannot_read("stdin", &why))?
        }
        Some(args) => match args.strip_prefix('@') {
            Some(file) => {
                let path = cwd.join(file);
                let open_and_read = move || {
                    let opened = std::fs::File::open(&path).map_err(|error| error.to_string())?;
                    read_all(opened)
                };
                let text = off_thread(open_and_read, cancel).await?;
                text.map_err(|why| cannot_read(file, &why))?
            }
            None => {
                let parsed = parse(args, "the arguments", CliError::usage);
                let is_pair = args.contains('=') && !args.trim_start().starts_with(['{', '[']);
                return parsed
                    .map(RawArguments::Object)
                    .map_err(|error| match is_pair {
                        true => error.hint("single arguments are given as `-a KEY=VALUE`"),
                        false => error,
                    });
            }
        },
    };
    parse(&text, "the input", CliError::new).map(RawArguments::Object)
}

/// Works on a thread of its own: stdin and a pipe may never end, and must keep neither Ctrl-C nor the
/// runtime from ending.
async fn off_thread(
    work: impl FnOnce() -> Result<String, String> + Send + 'static,
    cancel: &CancellationToken,
) -> Result<Result<String, String>, CliError> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || drop(sender.send(work())));
    tokio::select! {
        () = cancel.cancelled() => Err(interrupted()),
        text = receiver => Ok(text.unwrap_or_else(|_| Err("the read was cut off".to_owned()))),
    }
}

fn read_all(source: impl Read) -> Result<String, String> {
    let mut text = String::new();
    let read = source.take(MAX_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_BYTES {
        return Err("more than 16 MiB".to_owned());
    }
    Ok(text)
}

fn cannot_read(name: &str, why: &str) -> CliError {
    CliError::new(format!("cannot read the arguments from `{name}`")).cause(why)
}

fn parse(
    text: &str,
    what: &str,
    error: fn(String) -> CliError,
) -> Result<Map<String, Value>, CliError> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    let refused = || error(format!("{what} must be a JSON object"));
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(refused()),
        Err(error) => Err(refused().cause(error.to_string())),
    }
}

fn split(pairs: &[String]) -> Result<RawArguments, CliError> {
    let split = |pair: &String| match pair.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        Some(_) => Err(CliError::usage(format!("Empty key in argument: {pair}"))),
        None => Err(CliError::usage(format!(
            "Invalid argument (missing '='): {pair}"
        ))),
    };
    pairs
        .iter()
        .map(split)
        .collect::<Result<_, _>>()
        .map(RawArguments::Pairs)
}

impl RawArguments {
    /// Gives each typed value its type. Where the schema wants text, the typed text is the value:
    /// `-a id=007` is not the number 7.
    pub(super) fn against(self, schema: &Value) -> Result<Map<String, Value>, CliError> {
        let pairs = match self {
            Self::Object(object) => return Ok(object),
            Self::Pairs(pairs) => pairs,
        };
        let mut arguments = Map::new();
        for (key, typed) in pairs {
            let wants_text = schema["properties"][&key]["type"] == "string";
            let value = match codex_config::parse_value::<Value>(&typed) {
                Some(value) if (!wants_text || value.is_string()) && !holds_date(&value) => value,
                _ => Value::String(typed),
            };
            arguments.insert(key, value);
        }
        Ok(arguments)
    }
}

/// Whether a TOML date is in it: JSON has none, so the typed text is what the tool wants.
fn holds_date(value: &Value) -> bool {
    match value {
        Value::Object(map) => map
            .iter()
            .any(|(key, value)| key.starts_with("$__toml_private") || holds_date(value)),
        Value::Array(values) => values.iter().any(holds_date),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Reads what needs no file.
    fn read_now(args: Option<&str>, pairs: &[String]) -> Result<RawArguments, CliError> {
        let cwd = AbsPath::new("/").unwrap();
        let cancel = CancellationToken::new();
        let reading = read(args, pairs, &cwd, &cancel);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(reading)
    }

    fn typed(pairs: &[&str]) -> String {
        let schema = json!({"properties": {"id": {"type": "string"}, "n": {"type": "integer"}}});
        let pairs: Vec<String> = pairs.iter().map(|&pair| pair.to_owned()).collect();
        let raw = read_now(None, &pairs);
        match raw.and_then(|raw| raw.against(&schema)) {
            Ok(arguments) => Value::Object(arguments).to_string(),
            Err(error) => format!(
                "{} [{}]",
                error.to_string().lines().next().unwrap(),
                error.exit_code()
            ),
        }
    }

    #[test]
    fn values_are_toml_or_else_text() {
        assert_eq!(
            typed(&[
                "n=5",
                "day=2026-11-21",
                "b=true",
                "list=[1, \"x\"]",
                "t={a = 1}",
                "s=\"q\"",
                "zone=Europe/Berlin",
                "eq=a=b"
            ]),
            r#"{"n":5,"day":"2026-11-21","b":true,"list":[1,"x"],"t":{"a":1},"s":"q","zone":"Europe/Berlin","eq":"a=b"}"#
        );
    }

    #[test]
    fn where_text_is_wanted_the_typed_text_is_the_value() {
        assert_eq!(typed(&["id=007"]), r#"{"id":"007"}"#);
        assert_eq!(typed(&["id=\"7\""]), r#"{"id":"7"}"#);
    }

    #[test]
    fn slips_are_named() {
        assert_eq!(
            typed(&["n"]),
            "error: Invalid argument (missing '='): n [2]"
        );
        assert_eq!(typed(&["=5"]), "error: Empty key in argument: =5 [2]");
    }

    #[test]
    fn only_an_object_will_do() {
        let error = read_now(Some("[1]"), &[]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(
            error
                .to_string()
                .starts_with("error: the arguments must be a JSON object\n"),
            "{error}"
        );
    }
}
