//! The name under which a record lies, the same for every program that shares the store.
//!
//! The formula is that of codex 0.169.0 (observed 2026-11-20), so that logins made by it are found:
//! `<name>|` and the first 16 hex digits of SHA-256 over a small JSON text that holds the URL. A
//! server whose URL changed therefore has another key: a login never follows a URL.

use std::fmt;

use sha2::{Digest, Sha256};

/// The key of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreKey(String);

impl StoreKey {
    /// Makes the key of a server from its name and its URL as configured.
    pub fn for_server(name: &str, url: &str) -> Self {
        let url = serde_json::Value::from(url);
        let subject = format!(r#"{{"type":"http","url":{url},"headers":{{}}}}"#);
        Self(format!("{name}|{}", &hex(subject.as_bytes())[..16]))
    }

    /// Takes a key that is already known, as it lies in a file.
    pub fn from_raw(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// Returns the key as it lies in a file and in the keyring.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name of the key's lock file.
    pub(crate) fn lock_file_name(&self) -> String {
        format!("{}.lock", hex(self.0.as_bytes()))
    }
}

impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the SHA-256 of the bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_is_that_of_the_reference() {
        let key = StoreKey::for_server("figma", "https://mcp.example.com/mcp");
        assert_eq!(key.as_str(), "figma|4282f2a9112820d2");
    }

    #[test]
    fn another_url_is_another_key_and_another_name_too() {
        let key = StoreKey::for_server("a", "https://x/");
        assert_ne!(key, StoreKey::for_server("a", "https://x"));
        assert_ne!(key, StoreKey::for_server("b", "https://x/"));
    }
}
