//! What the fake authorization server remembers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::secrets::MARK;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) base: String,
    n_made: u64,
    pub(super) clients: BTreeMap<String, Client>,
    pub(super) codes: BTreeMap<String, Code>,
    /// Token to granted scopes.
    pub(super) access_tokens: BTreeMap<String, String>,
    /// Token, of both kinds, to the thumbprint of the key that it is bound to.
    pub(super) keys: BTreeMap<String, String>,
    /// The ids of the proofs that came.
    pub(super) proofs: BTreeSet<String>,
    pub(super) refresh_tokens: BTreeMap<String, Grant>,
    /// Families that ended because a used refresh token came again.
    pub(super) used: BTreeMap<String, String>,
    pub(super) device_approved: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) secret: Option<String>,
    pub(super) redirect_uris: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Code {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) resource: Option<String>,
    pub(super) scope: String,
}

/// What a refresh token stands for.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) family: String,
    pub(super) scope: String,
}

impl State {
    pub(super) fn register(&mut self, client_id: &str, secret: Option<&str>, uris: &[&str]) {
        let client = Client {
            secret: secret.map(str::to_owned),
            redirect_uris: uris.iter().map(|uri| (*uri).to_owned()).collect(),
        };
        self.clients.insert(client_id.to_owned(), client);
    }

    /// Makes a text that no other is equal to, marked as a secret.
    pub(super) fn fresh(&mut self, what: &str) -> String {
        self.fresh_id(&format!("{what}{MARK}"))
    }

    /// Makes a text that no other is equal to, and that anybody may see.
    pub(super) fn fresh_id(&mut self, what: &str) -> String {
        self.n_made += 1;
        format!("{what}-{}", self.n_made)
    }
}

/// Sets fields of an object; `null` removes one.
pub(super) fn change(document: &mut Value, fields: &Value) {
    let (Some(document), Some(fields)) = (document.as_object_mut(), fields.as_object()) else {
        return;
    };
    for (name, value) in fields {
        match value {
            Value::Null => {
                document.remove(name);
            }
            value => {
                document.insert(name.clone(), value.clone());
            }
        }
    }
}
