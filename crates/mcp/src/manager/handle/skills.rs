//! Skills of servers: listed when asked for, read one file at a time and checked before use.
//!
//! Nothing is kept: each read is checked against a listing that is as fresh as it is, and goes to
//! the server that made the listing.

use codex_protocol::ServerName;
use codex_rmcp_client::{CallOptions, SkillEntry};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{McpHandle, or_cancelled};
use crate::error::CallError;
use crate::notice::{McpNotice, quoted};

impl McpHandle {
    /// Lists the skills of a server; entries that break a rule are left out and told. No file is read.
    pub async fn list_skills(
        &self,
        server: &ServerName,
        cancel: &CancellationToken,
    ) -> Result<Vec<SkillEntry>, CallError> {
        let config = self.config(server)?;
        let connection = self.connection(&config, None, cancel).await?;
        let listed = connection.client.list_skills(config.tool_timeout());
        let listed = or_cancelled(cancel, listed).await?;
        let entries = self.whole_or_told("skills", server, listed).await?;
        let mut skills = Vec::new();
        for entry in entries {
            match SkillEntry::read(&entry) {
                Ok(skill) => skills.push(skill),
                Err(why) => {
                    let why = quoted(&why);
                    let text = format!("a skill of MCP server `{server}` is left out: {why}");
                    self.say(McpNotice::about(server, text)).await;
                }
            }
        }
        Ok(skills)
    }

    /// Reads one file of a skill, its `SKILL.md` when none is named; returns its content once size,
    /// digest and header are what the server listed.
    pub async fn read_skill(
        &self,
        server: &ServerName,
        skill: &str,
        file: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<Value, CallError> {
        let fault = |why: String| CallError::Skill {
            server: server.clone(),
            skill: quoted(skill),
            why: quoted(&why),
        };
        let skills = self.list_skills(server, cancel).await?;
        let entry = skills.iter().find(|entry| entry.uri() == skill);
        let entry = entry.ok_or_else(|| fault("the server does not list it".to_owned()))?;
        let file = file.unwrap_or(skill);
        entry
            .check_listed(file)
            .map_err(|error| fault(error.to_string()))?;
        let config = self.config(server)?;
        let connection = self.connection(&config, None, cancel).await?;
        let options = CallOptions::with_idle_timeout(config.tool_timeout());
        let read = connection
            .client
            .read_resource(file, options, cancel.clone());
        let answer = read.await.map_err(|error| self.explain(server, error))?;
        entry
            .verified(file, &answer)
            .map_err(|error| fault(error.to_string()))
    }
}
