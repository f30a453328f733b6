//! JSON of other programs: comments and trailing commas are allowed, keys that stand twice are not.
//!
//! Comments become blanks before the parser sees the text, so the places in its errors are those of the
//! file. The parser ends at 128 levels, and who calls this limits the bytes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads an object.
pub(crate) fn parse(text: &str) -> Result<Map<String, Value>, String> {
    let plain = without_comments(text.strip_prefix('\u{feff}').unwrap_or(text));
    match serde_json::from_str::<Strict>(&plain) {
        Ok(Strict(Value::Object(document))) => Ok(document),
        Ok(Strict(_)) => Err("it is not a JSON object".to_owned()),
        Err(error) => Err(format!("it is not valid JSON: {error}")),
    }
}

/// Puts blanks in the place of comments and of commas before a closing bracket.
fn without_comments(text: &str) -> String {
    let mut plain = text.as_bytes().to_vec();
    let blank = |plain: &mut [u8], from: usize, to: usize| {
        for byte in &mut plain[from..to] {
            if !matches!(*byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    };
    // A comma counts as trailing behind a value only: `[,]` stays a fault.
    let (mut at, mut comma, mut last) = (0, None, b'{');
    while at < plain.len() {
        match (plain[at], plain.get(at + 1)) {
            (b'"', _) => {
                (comma, last) = (None, b'"');
                at = end_of_string(&plain, at);
            }
            (b'/', Some(b'/')) => {
                let length = plain[at..].iter().position(|byte| *byte == b'\n');
                let end = length.map_or(plain.len(), |length| at + length);
                blank(&mut plain, at, end);
                at = end;
            }
            (b'/', Some(b'*')) => {
                let length = plain[at + 2..].windows(2).position(|two| two == b"*/");
                let end = length.map_or(plain.len(), |length| at + 2 + length + 2);
                blank(&mut plain, at, end);
                at = end;
            }
            (b',', _) => {
                comma = (!matches!(last, b'{' | b'[' | b',')).then_some(at);
                last = b',';
                at += 1;
            }
            (bracket @ (b'}' | b']'), _) => {
                last = bracket;
                if let Some(comma) = comma.take() {
                    blank(&mut plain, comma, comma + 1);
                }
                at += 1;
            }
            (byte, _) => {
                if !byte.is_ascii_whitespace() {
                    (comma, last) = (None, byte);
                }
                at += 1;
            }
        }
    }
    // Only ASCII was replaced, by ASCII, and never a part of a longer character.
    String::from_utf8(plain).unwrap_or_default()
}

/// Returns the place behind a string that begins here.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// A value in which no key stands twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let Strict(value) = entries.next_value()?;
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("the key `{key}` stands twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_trailing_commas_are_no_fault() {
        let text = r#"{ // one
            /* two, "x": */ "a": [1, 2, /* three */ ], "b": "// no, */ comment\"",
        }"#;
        let parsed = Value::Object(parse(text).unwrap());
        assert_eq!(
            parsed,
            serde_json::json!({"a": [1, 2], "b": "// no, */ comment\""})
        );
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        let told = |text: &str| parse(text).unwrap_err();
        assert_eq!(
            told("{\n /* é */ \"a\": 1,\n \"a\": 2}"),
            "it is not valid JSON: the key `a` stands twice at line 3 column 8"
        );
        assert_eq!(told("[]"), "it is not a JSON object");
        assert!(told("{\"a\" 1}").ends_with("at line 1 column 6"));
        assert!(told("{,}").contains("line 1"));
        assert!(told(&"[".repeat(100_000)).contains("recursion limit"));
        assert!(told("{\"a\": \"\\").contains("line 1"));
        assert!(told("/*").contains("EOF"));
    }
}
