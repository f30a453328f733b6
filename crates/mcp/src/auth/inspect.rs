//! What a server says to somebody who is not logged in, and where that leads: for those who explain.

use std::path::Path;

use codex_config::McpServerConfig;
use codex_oauth::TraceStep;
use tokio_util::sync::CancellationToken;

use super::McpAuth;
use super::ask::Asking;
use super::login::{LoginFailure, http_of};

/// What was asked and what it means.
#[derive(Debug, Clone)]
pub struct LoginInspection {
    /// The documents that were fetched, in order.
    pub steps: Vec<TraceStep>,
    /// What it means.
    pub ground: LoginGround,
}

/// What a login at a server stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginGround {
    /// This authorization server.
    Issuer(String),
    /// Nothing: it asks for no login.
    NotAsked,
    /// It cannot be found out, or is refused; why.
    Trouble(String),
}

impl McpAuth {
    /// Asks a server without a token and follows its documents, as a login would. At most 20 s.
    pub async fn inspect(
        &self,
        server: &McpServerConfig,
        cwd: &Path,
        cancel: &CancellationToken,
    ) -> LoginInspection {
        match self.found_ground(server, cwd, cancel).await {
            Ok(inspection) => inspection,
            Err(error) => LoginInspection {
                steps: Vec::new(),
                ground: LoginGround::Trouble(error.to_string()),
            },
        }
    }

    async fn found_ground(
        &self,
        server: &McpServerConfig,
        cwd: &Path,
        cancel: &CancellationToken,
    ) -> Result<LoginInspection, LoginFailure> {
        http_of(server)?;
        let asking = Asking {
            auth: self,
            server,
            cwd,
            is_interactive: true,
            cancel,
        };
        let services = self.services(server, cwd)?;
        let answer = asking.ask(&services).await?;
        let (trace, ground) = match asking.discover(answer, &services).await {
            Ok(discovery) => (
                Some(discovery.trace),
                LoginGround::Issuer(discovery.server.issuer),
            ),
            Err(LoginFailure::NotAsked(_)) => (None, LoginGround::NotAsked),
            Err(LoginFailure::Discovery { error, .. }) => {
                let why = error.to_string();
                (error.trace().cloned(), LoginGround::Trouble(why))
            }
            Err(error) => return Err(error),
        };
        let steps = trace.map_or_else(Vec::new, |trace| trace.0);
        Ok(LoginInspection { steps, ground })
    }
}
