//! One TOML document as a tree in which every key and value knows where it stands.
//!
//! toml_edit's own serde support loses positions after a merge and cannot say which layer a value
//! came from, so the layers are merged as these trees and deserialised from them (see `de.rs`).

use toml_edit::{Document, Item, Value};
use toml_writer::{ToTomlValue as _, TomlStringBuilder};

/// Where something stands: a layer by number and a byte offset in its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    pub(crate) layer: usize,
    pub(crate) offset: usize,
}

/// A value with its place. Equality looks at the value only.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: NodeValue,
    pub(crate) at: Place,
}

#[derive(Debug, Clone)]
pub(crate) enum NodeValue {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Datetime(String),
    Array(Vec<Node>),
    Table(Table),
}

/// Entries in the order of the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table(pub(crate) Vec<Entry>);

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Place,
    pub(crate) node: Node,
}

impl Table {
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.0.iter_mut().find(|entry| entry.key == key)
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Entry> {
        let at = self.0.iter().position(|entry| entry.key == key)?;
        Some(self.0.remove(at))
    }

    pub(crate) fn insert(&mut self, entry: Entry) {
        match self.get_mut(&entry.key) {
            Some(old) => *old = entry,
            None => self.0.push(entry),
        }
    }
}

impl Node {
    pub(crate) fn table() -> Self {
        Self {
            value: NodeValue::Table(Table::default()),
            at: Place::default(),
        }
    }

    pub(crate) fn as_table(&self) -> Option<&Table> {
        match &self.value {
            NodeValue::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn as_table_mut(&mut self) -> Option<&mut Table> {
        match &mut self.value {
            NodeValue::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            NodeValue::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self.value {
            NodeValue::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// Returns whether all that another value says is said here; a table may say more.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        let (Some(own), Some(other)) = (self.as_table(), other.as_table()) else {
            return self == other;
        };
        other.0.iter().all(|entry| {
            let own = own.get(&entry.key);
            own.is_some_and(|own| own.node.holds(&entry.node))
        })
    }

    /// Returns the entry at a path of keys.
    pub(crate) fn entry<S: AsRef<str>>(&self, path: &[S]) -> Option<&Entry> {
        let (last, parents) = path.split_last()?;
        let mut node = self;
        for key in parents {
            node = &node.as_table()?.get(key.as_ref())?.node;
        }
        node.as_table()?.get(last.as_ref())
    }

    /// Sets the value at a path; what is no table on the way is replaced by one.
    pub(crate) fn set<S: AsRef<str>>(&mut self, path: &[S], value: Node) {
        let Some((key, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        let at = value.at;
        if self.as_table().is_none() {
            *self = Node {
                value: NodeValue::Table(Table::default()),
                at,
            };
        }
        let Some(table) = self.as_table_mut() else {
            return;
        };
        if table.get(key.as_ref()).is_none() {
            let node = Node {
                value: NodeValue::Table(Table::default()),
                at,
            };
            table.insert(Entry {
                key: key.as_ref().to_owned(),
                key_at: at,
                node,
            });
        }
        if let Some(entry) = table.get_mut(key.as_ref()) {
            entry.key_at = at;
            entry.node.set(rest, value);
        }
    }

    /// Removes the value at a path.
    pub(crate) fn unset<S: AsRef<str>>(&mut self, path: &[S]) -> Option<Entry> {
        let (key, rest) = path.split_first()?;
        let table = self.as_table_mut()?;
        if rest.is_empty() {
            return table.remove(key.as_ref());
        }
        table.get_mut(key.as_ref())?.node.unset(rest)
    }

    /// Moves every place of the tree into another layer.
    pub(crate) fn move_to_layer(&mut self, layer: usize) {
        self.at.layer = layer;
        match &mut self.value {
            NodeValue::Array(items) => items.iter_mut().for_each(|item| item.move_to_layer(layer)),
            NodeValue::Table(table) => table.0.iter_mut().for_each(|entry| {
                entry.key_at.layer = layer;
                entry.node.move_to_layer(layer);
            }),
            NodeValue::String(_)
            | NodeValue::Integer(_)
            | NodeValue::Float(_)
            | NodeValue::Boolean(_)
            | NodeValue::Datetime(_) => {}
        }
    }

    /// Removes tables that hold nothing, which TOML can spell or leave out.
    pub(crate) fn prune(&mut self) {
        let Some(table) = self.as_table_mut() else {
            return;
        };
        table.0.iter_mut().for_each(|entry| entry.node.prune());
        table.0.retain(|entry| {
            entry
                .node
                .as_table()
                .is_none_or(|inner| !inner.0.is_empty())
        });
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        use NodeValue::{Array, Boolean, Datetime, Float, Integer, String, Table};
        #[expect(
            clippy::cast_precision_loss,
            reason = "`3` and `3.0` are one number of seconds"
        )]
        match (&self.value, &other.value) {
            (String(a), String(b)) | (Datetime(a), Datetime(b)) => a == b,
            (Integer(a), Integer(b)) => a == b,
            (Float(a), Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Integer(a), Float(b)) | (Float(b), Integer(a)) => *a as f64 == *b,
            (Boolean(a), Boolean(b)) => a == b,
            (Array(a), Array(b)) => a == b,
            (Table(a), Table(b)) => {
                let equal = |entry: &Entry| {
                    b.get(&entry.key)
                        .is_some_and(|other| other.node == entry.node)
                };
                a.0.len() == b.0.len() && a.0.iter().all(equal)
            }
            _ => false,
        }
    }
}

/// Parses a document into a tree whose places have this layer number.
pub(crate) fn parse(text: &str, layer: usize) -> Result<Node, toml_edit::TomlError> {
    let document = Document::parse(text)?;
    Ok(from_table(
        document.as_table().iter(),
        |key| document.as_table().key(key),
        Place { layer, offset: 0 },
    ))
}

/// Turns a value without text, such as one of `-c`, into a tree.
pub(crate) fn from_value(value: &Value, at: Place) -> Node {
    let at = Place {
        offset: value.span().map_or(at.offset, |span| span.start),
        ..at
    };
    let value = match value {
        Value::String(text) => NodeValue::String(text.value().clone()),
        Value::Integer(number) => NodeValue::Integer(*number.value()),
        Value::Float(number) => NodeValue::Float(*number.value()),
        Value::Boolean(value) => NodeValue::Boolean(*value.value()),
        Value::Datetime(value) => NodeValue::Datetime(value.value().to_string()),
        Value::Array(items) => {
            NodeValue::Array(items.iter().map(|item| from_value(item, at)).collect())
        }
        Value::InlineTable(table) => {
            let entries = table.iter().map(|(key, value)| Entry {
                key: key.to_owned(),
                key_at: key_place(table.key(key), at),
                node: from_value(value, at),
            });
            NodeValue::Table(Table(entries.collect()))
        }
    };
    Node { value, at }
}

/// Turns a tree back into a value that toml_edit can print on one line.
pub(crate) fn to_value(node: &Node) -> Value {
    match &node.value {
        NodeValue::String(text) => one_line(text),
        NodeValue::Integer(number) => Value::from(*number),
        NodeValue::Float(number) => Value::from(*number),
        NodeValue::Boolean(value) => Value::from(*value),
        NodeValue::Datetime(text) => match text.parse::<toml_edit::Datetime>() {
            Ok(value) => Value::from(value),
            Err(_) => Value::from(text.as_str()),
        },
        NodeValue::Array(items) => Value::from_iter(items.iter().map(to_value)),
        NodeValue::Table(table) => {
            let mut inline = toml_edit::InlineTable::new();
            for entry in &table.0 {
                inline.insert(&entry.key, to_value(&entry.node));
            }
            Value::InlineTable(inline)
        }
    }
}

/// A string without a line end of its own, which would be spelled as those of the file are.
fn one_line(text: &str) -> Value {
    if !text.contains(['\n', '\r']) {
        return Value::from(text);
    }
    let spelled = TomlStringBuilder::new(text).as_basic().to_toml_value();
    spelled.parse().unwrap_or_else(|_| Value::from(text))
}

fn from_item(item: &Item, at: Place) -> Node {
    match item {
        Item::Value(value) => from_value(value, at),
        Item::Table(table) => from_table(table.iter(), |key| table.key(key), at),
        Item::ArrayOfTables(tables) => {
            let tables = tables
                .iter()
                .map(|table| from_table(table.iter(), |key| table.key(key), at));
            Node {
                value: NodeValue::Array(tables.collect()),
                at,
            }
        }
        Item::None => Node {
            value: NodeValue::Table(Table::default()),
            at,
        },
    }
}

fn from_table<'t>(
    items: impl Iterator<Item = (&'t str, &'t Item)>,
    key_of: impl Fn(&str) -> Option<&'t toml_edit::Key>,
    at: Place,
) -> Node {
    let entries = items.map(|(key, item)| {
        let key_at = key_place(key_of(key), at);
        Entry {
            key: key.to_owned(),
            key_at,
            node: from_item(item, key_at),
        }
    });
    Node {
        value: NodeValue::Table(Table(entries.collect())),
        at,
    }
}

fn key_place(key: Option<&toml_edit::Key>, fallback: Place) -> Place {
    let span = key.and_then(toml_edit::Key::span);
    Place {
        offset: span.map_or(fallback.offset, |span| span.start),
        ..fallback
    }
}

#[cfg(test)]
mod properties;
