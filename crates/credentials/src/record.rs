//! A record as opaque JSON text that is wiped when it goes and never shown.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

/// A text was to be stored that is no JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored record must be a JSON object")]
pub struct NotAnObject;

/// A JSON object that holds secrets: wiped on drop, `[redacted]` in every print.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretJson(Zeroizing<String>);

impl SecretJson {
    /// Writes a value as JSON; it must come out as an object.
    pub fn from_value(value: &impl Serialize) -> Result<Self, NotAnObject> {
        Self::from_text(serde_json::to_string(value).map_err(|_| NotAnObject)?)
    }

    /// Takes a JSON text; it must hold an object.
    pub fn from_text(text: String) -> Result<Self, NotAnObject> {
        let text = Zeroizing::new(text);
        SecretMap::parse(&text).map_err(|_| NotAnObject)?;
        Ok(Self(text))
    }

    /// Reads the record as a type; the error names a place in the text, never a value of it.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }

    /// Returns the text, for the one place that reads or stores it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the object with its strings wiped when it goes.
    pub(crate) fn to_map(&self) -> SecretMap {
        // The text was checked when it came in.
        SecretMap::parse(&self.0).unwrap_or_default()
    }

    /// Returns the number in the field `name` of the object.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.to_map().0.get(name)?.as_i64()
    }
}

impl fmt::Debug for SecretJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// One record in the form that each backend keeps; both say the same.
///
/// Two forms because codex 0.169.0, which shares the stores with us, keeps two (observed
/// 2026-11-20). Where there is only one form, use [`Record::same`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What goes into the file.
    pub file: SecretJson,
    /// What goes into the keyring.
    pub keyring: SecretJson,
}

impl Record {
    /// Makes a record that looks the same in both backends.
    pub fn same(json: SecretJson) -> Self {
        Self {
            file: json.clone(),
            keyring: json,
        }
    }
}

/// A parsed JSON object whose strings are wiped when it goes.
#[derive(Default)]
pub(crate) struct SecretMap(pub(crate) Map<String, Value>);

impl SecretMap {
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes).map(Self)
    }

    /// Removes and wipes an entry; the others stay in their order.
    pub(crate) fn remove(&mut self, key: &str) -> Option<()> {
        let mut removed = self.0.shift_remove(key)?;
        wipe(&mut removed);
        Some(())
    }

    /// Puts an entry in, and wipes the one that it replaces.
    pub(crate) fn insert(&mut self, key: &str, mut entry: Self) {
        let entry = Value::Object(std::mem::take(&mut entry.0));
        if let Some(mut replaced) = self.0.insert(key.to_owned(), entry) {
            wipe(&mut replaced);
        }
    }

    pub(crate) fn to_text(&self) -> Result<Zeroizing<String>, serde_json::Error> {
        serde_json::to_string(&self.0).map(Zeroizing::new)
    }
}

impl Drop for SecretMap {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_prints_as_redacted() {
        let json = SecretJson::from_value(&json!({"access_token": "hunter2"})).unwrap();
        assert_eq!(format!("{json:?}"), "[redacted]");
        assert!(!format!("{:?}", Record::same(json)).contains("hunter2"));
    }

    #[test]
    fn only_an_object_is_a_record() {
        assert_eq!(SecretJson::from_value(&"text"), Err(NotAnObject));
        assert_eq!(SecretJson::from_text("{".to_owned()), Err(NotAnObject));
    }
}
