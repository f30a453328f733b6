//! `approve_when`: with which arguments a call of an MCP tool needs no question.
//!
//! A rule only ever approves. There is none that asks because of an argument: whoever chooses the
//! arguments could write them otherwise. For the same reason a path is compared part by part, one with
//! `..` in it fits nothing, and what an argument may be is said by a type and not by a pattern.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};

/// The words of a test.
const TESTS: &str = "equals, one_of, prefix, within, min, max, absent";

/// The arguments that are approved: any of these alternatives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct ApproveWhen(Vec<BTreeMap<String, Vec<Check>>>);

/// Something that an argument must be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Check {
    /// This very value.
    Equals(Value),
    /// One of these.
    OneOf(Vec<Value>),
    /// Text that begins so.
    Prefix(String),
    /// A path at or below this one.
    Within(String),
    /// A number of at least this.
    Min(Number),
    /// A number of at most this.
    Max(Number),
    /// Not given.
    Absent,
}

impl ApproveWhen {
    /// Judges the arguments of a call; the error says what does not fit, without any value of them.
    pub fn fits(&self, arguments: &Map<String, Value>) -> Result<(), String> {
        let mut misses = self.0.iter().map(|tests| miss(tests, arguments));
        match (misses.next().flatten(), self.0.len()) {
            (None, _) => Ok(()),
            (Some(miss), 1) => Err(miss),
            (Some(_), _) if misses.any(|miss| miss.is_none()) => Ok(()),
            (Some(_), n_alternatives) => {
                Err(format!("none of its {n_alternatives} alternatives fits"))
            }
        }
    }
}

/// What the first argument that does not fit is not.
fn miss(tests: &BTreeMap<String, Vec<Check>>, arguments: &Map<String, Value>) -> Option<String> {
    tests.iter().find_map(|(name, checks)| {
        let value = arguments.get(name).filter(|value| !value.is_null());
        let failed = checks.iter().find(|check| !check.holds(value))?;
        let why = match (value, failed) {
            (None, _) => "is missing".to_owned(),
            (Some(_), failed) => failed.denied(),
        };
        Some(format!("argument `{name}` {why}"))
    })
}

impl Check {
    fn holds(&self, value: Option<&Value>) -> bool {
        let Some(value) = value else {
            return *self == Self::Absent;
        };
        match self {
            Self::Equals(wanted) => equal(wanted, value),
            Self::OneOf(wanted) => wanted.iter().any(|wanted| equal(wanted, value)),
            Self::Prefix(prefix) => value
                .as_str()
                .and_then(|text| Some((text, text.strip_prefix(prefix)?)))
                .is_some_and(|(text, rest)| {
                    !(climbs(text) || (is_url(prefix) && hides_a_step(rest)))
                }),
            Self::Within(folder) => value.as_str().is_some_and(|path| is_within(path, folder)),
            Self::Min(least) => orders(value, least).is_some_and(Ordering::is_ge),
            Self::Max(most) => orders(value, most).is_some_and(Ordering::is_le),
            Self::Absent => false,
        }
    }

    fn denied(&self) -> String {
        match self {
            Self::Equals(value) => format!("is not {value}"),
            Self::OneOf(_) => "is none of the listed values".to_owned(),
            Self::Prefix(prefix) => format!("does not begin with `{prefix}`"),
            Self::Within(folder) => format!("is not within `{folder}`"),
            Self::Min(least) => format!("is not a number of at least {least}"),
            Self::Max(most) => format!("is not a number of at most {most}"),
            Self::Absent => "is given".to_owned(),
        }
    }
}

/// Whether two values are the same; a number is the same however it is written.
fn equal(wanted: &Value, value: &Value) -> bool {
    match wanted {
        Value::Number(number) => orders(value, number) == Some(Ordering::Equal),
        wanted => wanted == value,
    }
}

fn orders(value: &Value, bound: &Number) -> Option<Ordering> {
    let Value::Number(number) = value else {
        return None;
    };
    let whole = |number: &Number| {
        let signed = number.as_i64().map(i128::from);
        signed.or(number.as_u64().map(i128::from))
    };
    match (whole(number), whole(bound)) {
        (Some(number), Some(bound)) => Some(number.cmp(&bound)),
        _ => number.as_f64()?.partial_cmp(&bound.as_f64()?),
    }
}

/// Whether a part of a path is `..`, for whichever system it is meant.
fn climbs(path: &str) -> bool {
    path.split(['/', '\\']).any(|part| part == "..")
}

/// Whether a part of a URL may be a `..` for its reader: as a code, or with what a parser drops in it.
fn hides_a_step(rest: &str) -> bool {
    let rest = rest.to_ascii_lowercase();
    let is_dropped = |c: char| c.is_control() || c.is_whitespace();
    let codes = ["%2e", "%2f", "%5c"];
    rest.contains(is_dropped) || codes.iter().any(|code| rest.contains(code))
}

fn is_url(prefix: &str) -> bool {
    prefix.contains("://")
}

/// Compares part by part, so that `/srv` is not the beginning of `/srv-other`.
fn is_within(path: &str, folder: &str) -> bool {
    let parts = |path: &'_ str| -> Vec<String> {
        let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
        parts.map(str::to_owned).collect()
    };
    let is_plain = !climbs(path) && !path.contains('\0');
    is_plain && path.starts_with('/') && parts(path).starts_with(&parts(folder))
}

impl TryFrom<Value> for ApproveWhen {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        const WANTED: &str =
            "expected a table of arguments with their tests, or a list of such tables";
        let alternatives = match value {
            Value::Array(alternatives) if !alternatives.is_empty() => alternatives,
            table @ Value::Object(_) => vec![table],
            _ => return Err(WANTED.to_owned()),
        };
        let read = |alternative| match alternative {
            // It would approve everything, and that has a word of its own.
            Value::Object(table) if table.is_empty() => {
                Err("a table without arguments approves every call".to_owned())
            }
            Value::Object(table) => table.into_iter().map(checks).collect(),
            _ => Err(WANTED.to_owned()),
        };
        let alternatives = alternatives.into_iter().map(read);
        Ok(Self(alternatives.collect::<Result<_, String>>()?))
    }
}

fn checks((argument, tests): (String, Value)) -> Result<(String, Vec<Check>), String> {
    let wrong = |why: &str| format!("argument `{argument}`: {why}");
    let Value::Object(tests) = tests else {
        return Err(wrong(&format!("expected a table of tests ({TESTS})")));
    };
    let checks: Vec<Check> = tests
        .into_iter()
        .map(|(word, value)| check(&word, value).map_err(|why| wrong(&why)))
        .collect::<Result<_, _>>()?;
    match checks.len() {
        0 => Err(wrong(&format!("expected a test ({TESTS})"))),
        n_tests if n_tests > 1 && checks.contains(&Check::Absent) => {
            Err(wrong("`absent` goes with no other test"))
        }
        _ => Ok((argument, checks)),
    }
}

fn check(word: &str, value: Value) -> Result<Check, String> {
    let is_simple = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    let wants = |what: &str| Err(format!("`{word}` wants {what}"));
    match (word, value) {
        ("equals", value) if is_simple(&value) => Ok(Check::Equals(value)),
        ("equals", _) => wants("text, a number or a boolean"),
        ("one_of", Value::Array(values)) if !values.is_empty() && values.iter().all(is_simple) => {
            Ok(Check::OneOf(values))
        }
        ("one_of", _) => wants("a list of texts, numbers or booleans"),
        ("prefix", Value::String(text)) if is_host_only(&text) => {
            wants("a `/` behind the host of a URL, or other hosts begin so too")
        }
        ("prefix", Value::String(text)) if !text.is_empty() => Ok(Check::Prefix(text)),
        ("prefix", _) => wants("text"),
        ("within", Value::String(path)) if path.starts_with('/') && !climbs(&path) => {
            Ok(Check::Within(path))
        }
        ("within", _) => wants("an absolute path without `..`"),
        ("min", Value::Number(number)) => Ok(Check::Min(number)),
        ("max", Value::Number(number)) => Ok(Check::Max(number)),
        ("min" | "max", _) => wants("a number"),
        ("absent", Value::Bool(true)) => Ok(Check::Absent),
        ("absent", _) => wants("`true`"),
        (word, _) => Err(format!("`{word}` is no test; there are {TESTS}")),
    }
}

fn is_host_only(prefix: &str) -> bool {
    let host = prefix.split_once("://");
    host.is_some_and(|(_, host)| !host.contains('/'))
}

impl From<ApproveWhen> for Value {
    fn from(rule: ApproveWhen) -> Self {
        let table = |tests: BTreeMap<String, Vec<Check>>| -> Self {
            let tests = tests.into_iter();
            let written = tests.map(|(argument, checks)| (argument, written(checks)));
            Self::Object(written.collect())
        };
        let mut alternatives: Vec<Self> = rule.0.into_iter().map(table).collect();
        match alternatives.len() {
            1 => alternatives.remove(0),
            _ => Self::Array(alternatives),
        }
    }
}

fn written(checks: Vec<Check>) -> Value {
    let word = |check| match check {
        Check::Equals(value) => ("equals", value),
        Check::OneOf(values) => ("one_of", Value::Array(values)),
        Check::Prefix(text) => ("prefix", Value::String(text)),
        Check::Within(path) => ("within", Value::String(path)),
        Check::Min(number) => ("min", Value::Number(number)),
        Check::Max(number) => ("max", Value::Number(number)),
        Check::Absent => ("absent", json!(true)),
    };
    let tests = checks.into_iter().map(word);
    Value::Object(
        tests
            .map(|(word, value)| (word.to_owned(), value))
            .collect(),
    )
}

#[cfg(test)]
mod tests;
