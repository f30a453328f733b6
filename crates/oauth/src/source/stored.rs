//! Tokens of a stored login.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{AccessToken, BoxFuture, LoginWanted, Rejection, Retry, TokenError, TokenSource};
use crate::{RefreshTransaction, ServerKey};

/// What a source asks a frontend: a login, and whether one was made.
pub type LoginQuestion = (LoginWanted, tokio::sync::oneshot::Sender<bool>);

/// The token source of one server with a stored login.
#[derive(Debug)]
pub struct StoredTokenSource {
    refresh: RefreshTransaction,
    frontend: Option<mpsc::Sender<LoginQuestion>>,
}

impl StoredTokenSource {
    /// Makes the source. A `frontend` is asked for logins that need the user; without one they end
    /// in [`Retry::Login`].
    pub fn new(
        refresh: RefreshTransaction,
        frontend: Option<mpsc::Sender<LoginQuestion>>,
    ) -> Arc<Self> {
        Arc::new(Self { refresh, frontend })
    }

    /// Returns whose tokens these are.
    pub fn key(&self) -> &ServerKey {
        self.refresh.key()
    }
}

impl TokenSource for StoredTokenSource {
    fn token(&self) -> BoxFuture<'_, Result<Option<AccessToken>, TokenError>> {
        let _ = &self.frontend;
        todo!()
    }

    fn rejected<'a>(
        &'a self,
        _sent: Option<&'a AccessToken>,
        _rejection: &'a Rejection,
    ) -> BoxFuture<'a, Retry> {
        todo!()
    }
}
