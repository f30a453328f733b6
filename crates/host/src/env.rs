//! The environment as a snapshot: read once in main, then a value like any other.
//!
//! Keys and values are kept as the operating system gave them, so that a child can inherit what is
//! not UTF-8; the readers by `&str` simply do not see such entries.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::sync::Arc;

/// Our own keys and tokens: we read them, and no child gets one that was not named for it.
pub const OWN_TOKENS: &[&str] = &["CODEX_API_KEY", "CODEX_ACCESS_TOKEN", "OPENAI_API_KEY"];

/// A snapshot of the environment. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Env(Arc<BTreeMap<OsString, OsString>>);

impl Env {
    /// Reads the environment of this process; only `main` calls this.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one reader of the environment"
    )]
    pub fn from_process() -> Self {
        Self(Arc::new(std::env::vars_os().collect()))
    }

    /// Makes an environment of exactly these variables.
    pub fn from_pairs<K: Into<OsString>, V: Into<OsString>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let pairs = pairs
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()));
        Self(Arc::new(pairs.collect()))
    }

    /// Returns the environment without these variables.
    #[must_use]
    pub fn without<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut variables = (*self.0).clone();
        for name in names {
            variables.remove(OsStr::new(name));
        }
        Self(Arc::new(variables))
    }

    /// Returns the value of a variable, when it is set and is UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_os(name)?.to_str()
    }

    /// Returns the value of a variable unless it is unset or empty.
    pub fn non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Returns the value of a variable as the operating system gave it.
    pub fn get_os(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Returns every variable that is UTF-8, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter_map(|(key, value)| Some((key.to_str()?, value.to_str()?)))
    }

    /// Returns every variable, sorted by name.
    pub fn iter_os(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_os_str(), value.as_os_str()))
    }
}

/// Shows names only: values may be secrets.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Env")
            .field(&self.0.keys().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_names_and_no_values() {
        let env = Env::from_pairs([("TOKEN", "hunter2")]);
        assert_eq!(format!("{env:?}"), r#"Env(["TOKEN"])"#);
    }

    #[test]
    fn an_empty_variable_is_set_but_not_non_empty() {
        let env = Env::from_pairs([("A", "")]);
        assert_eq!(env.get("A"), Some(""));
        assert_eq!(env.non_empty("A"), None);
        assert_eq!(env.get("B"), None);
    }

    #[test]
    fn variables_can_be_left_out() {
        let env = Env::from_pairs([("A", "1"), ("B", "2")]).without(["B", "C"]);
        assert_eq!(env.iter().collect::<Vec<_>>(), [("A", "1")]);
    }
}
