//! serde over [`Node`]: errors carry place and path, unknown keys are collected instead of lost.
//!
//! A derived struct tells its field names to `deserialize_struct`, so what is "unknown" needs no list
//! beside the structs. Trap: `#[serde(flatten)]` and untagged enums bypass this; do not use them.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use crate::tree::{Entry, Node, NodeValue, Place};

/// A value that its key does not want.
#[derive(Debug)]
pub(crate) struct DeError {
    pub(crate) message: String,
    pub(crate) found: Option<Found>,
}

/// Where a fault was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) at: Place,
    pub(crate) path: Vec<String>,
}

/// A key that no field takes.
#[derive(Debug, Clone)]
pub(crate) struct UnknownKey {
    pub(crate) found: Found,
    pub(crate) siblings: &'static [&'static str],
}

impl UnknownKey {
    pub(crate) fn key(&self) -> &str {
        self.found.path.last().map_or("", String::as_str)
    }
}

/// Reads a typed value; `base` is the path that leads to the node, for messages.
pub(crate) fn read<T: DeserializeOwned>(
    node: &Node,
    base: &[&str],
    unknown: &mut Vec<UnknownKey>,
) -> Result<T, DeError> {
    let found = RefCell::new(Vec::new());
    let base: Vec<String> = base.iter().map(|key| (*key).to_owned()).collect();
    let context = Context {
        base: &base,
        unknown: &found,
    };
    let result = T::deserialize(Reader {
        node,
        path: None,
        context: &context,
    });
    unknown.append(&mut found.into_inner());
    result
}

struct Context<'a> {
    base: &'a [String],
    unknown: &'a RefCell<Vec<UnknownKey>>,
}

#[derive(Clone, Copy)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    key: &'a str,
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node,
    path: Option<&'a Path<'a>>,
    context: &'a Context<'a>,
}

impl Reader<'_> {
    fn found(&self, at: Place) -> Found {
        let mut keys = Vec::new();
        let mut next = self.path;
        while let Some(path) = next {
            keys.push(path.key.to_owned());
            next = path.parent;
        }
        keys.reverse();
        Found {
            at,
            path: self.context.base.iter().cloned().chain(keys).collect(),
        }
    }

    fn located(&self, mut error: DeError) -> DeError {
        error.found.get_or_insert_with(|| self.found(self.node.at));
        error
    }

    fn wrong_type(&self, expected: &str) -> DeError {
        self.located(de::Error::invalid_type(self.unexpected(), &expected))
    }

    fn unexpected(&self) -> Unexpected<'_> {
        match &self.node.value {
            NodeValue::String(text) => Unexpected::Str(text),
            NodeValue::Integer(number) => Unexpected::Signed(*number),
            NodeValue::Float(number) => Unexpected::Float(*number),
            NodeValue::Boolean(value) => Unexpected::Bool(*value),
            NodeValue::Datetime(_) => Unexpected::Other("datetime"),
            NodeValue::Array(_) => Unexpected::Other("array"),
            NodeValue::Table(_) => Unexpected::Other("table"),
        }
    }

    fn fields<'de, V: Visitor<'de>>(self, fields: Fields, visitor: V) -> Result<V::Value, DeError> {
        let NodeValue::Table(table) = &self.node.value else {
            return Err(self.wrong_type("a table"));
        };
        let access = Entries {
            reader: self,
            entries: table.0.iter(),
            next: None,
            fields,
        };
        visitor
            .visit_map(access)
            .map_err(|error| self.located(error))
    }
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = DeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        let result = match &self.node.value {
            NodeValue::String(text) => visitor.visit_str(text),
            NodeValue::Integer(number) => visitor.visit_i64(*number),
            NodeValue::Float(number) => visitor.visit_f64(*number),
            NodeValue::Boolean(value) => visitor.visit_bool(*value),
            NodeValue::Datetime(_) => Err(de::Error::invalid_type(
                Unexpected::Other("datetime"),
                &visitor,
            )),
            NodeValue::Array(items) => visitor.visit_seq(Items {
                reader: self,
                items: items.iter(),
            }),
            NodeValue::Table(_) => return self.fields(Fields::Any, visitor),
        };
        result.map_err(|error| self.located(error))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.fields(Fields::Only(fields), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        let NodeValue::String(word) = &self.node.value else {
            return Err(self.wrong_type("a string"));
        };
        let word: StrDeserializer<'_, DeError> = word.as_str().into_deserializer();
        visitor
            .visit_enum(word)
            .map_err(|error| self.located(error))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

#[derive(Clone, Copy)]
enum Fields {
    Any,
    Only(&'static [&'static str]),
}

struct Entries<'a> {
    reader: Reader<'a>,
    entries: std::slice::Iter<'a, Entry>,
    next: Option<&'a Entry>,
    fields: Fields,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = DeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DeError> {
        loop {
            let Some(entry) = self.entries.next() else {
                return Ok(None);
            };
            if let Fields::Only(fields) = self.fields
                && !fields.contains(&entry.key.as_str())
            {
                let mut found = self.reader.found(entry.key_at);
                found.path.push(entry.key.clone());
                self.reader.context.unknown.borrow_mut().push(UnknownKey {
                    found,
                    siblings: fields,
                });
                continue;
            }
            self.next = Some(entry);
            let key: StrDeserializer<'_, DeError> = entry.key.as_str().into_deserializer();
            return seed.deserialize(key).map(Some);
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DeError> {
        let Some(entry) = self.next.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let path = Path {
            parent: self.reader.path,
            key: &entry.key,
        };
        seed.deserialize(Reader {
            node: &entry.node,
            path: Some(&path),
            context: self.reader.context,
        })
    }
}

struct Items<'a> {
    reader: Reader<'a>,
    items: std::slice::Iter<'a, Node>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = DeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DeError> {
        let Some(node) = self.items.next() else {
            return Ok(None);
        };
        seed.deserialize(Reader {
            node,
            ..self.reader
        })
        .map(Some)
    }
}

impl fmt::Display for DeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DeError {}

impl de::Error for DeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            message: message.to_string(),
            found: None,
        }
    }

    // The default would print the value of a string, which may be a secret.
    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!(
            "invalid type: {}, expected {}",
            without_text(unexpected),
            in_words_of_toml(expected)
        ))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!(
            "invalid value: {}, expected {}",
            without_text(unexpected),
            in_words_of_toml(expected)
        ))
    }
}

fn without_text(unexpected: Unexpected<'_>) -> Unexpected<'_> {
    match unexpected {
        Unexpected::Str(_) => Unexpected::Other("string \"…\""),
        Unexpected::Seq => Unexpected::Other("array"),
        Unexpected::Map => Unexpected::Other("table"),
        other => other,
    }
}

/// Says what serde expects in the words of the file and not of this program.
fn in_words_of_toml(expected: &dyn de::Expected) -> String {
    match expected.to_string().as_str() {
        "f64" => "a number".to_owned(),
        "i64" => "an integer".to_owned(),
        "u64" | "usize" => "an integer of 0 or more".to_owned(),
        "u32" => format!("an integer from 0 to {}", u32::MAX),
        "u16" => format!("an integer from 0 to {}", u16::MAX),
        "a sequence" => "an array".to_owned(),
        "a map" => "a table".to_owned(),
        other => other.to_owned(),
    }
}
