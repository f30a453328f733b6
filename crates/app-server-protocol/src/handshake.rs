//! `initialize`: who talks to us, and who we are.

use serde::{Deserialize, Serialize};

/// Params of `initialize`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitializeParams {
    /// Who talks to us.
    pub client_info: ClientInfo,
    /// What it understands.
    #[serde(default)]
    pub capabilities: Option<ClientCapabilities>,
}

/// A program that drives us.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ClientInfo {
    /// Its name, such as `my_editor`.
    pub name: String,
    /// Its name for people.
    #[serde(default)]
    pub title: Option<String>,
    /// Its version.
    pub version: String,
}

/// What a client understands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientCapabilities {
    /// It may use what is not settled yet.
    pub experimental_api: bool,
    /// Notifications that it does not want, by their exact method.
    pub opt_out_notification_methods: Option<Vec<String>>,
}

/// Result of `initialize`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InitializeResponse {
    /// The user agent of model requests, with the version of this wire in it.
    pub user_agent: String,
    /// Where the settings are.
    pub codex_home: String,
    /// `unix` or `windows`.
    pub platform_family: &'static str,
    /// `linux`, `macos` and so on.
    pub platform_os: &'static str,
}
