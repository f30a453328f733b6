//! stub
use crate::KeyringError;
use codex_host::Env;
use std::sync::Arc;
use std::time::Duration;
/// The desktop's keyring. Cloning is cheap; all clones share one connection and one verdict.
#[derive(Debug, Clone)]
pub struct KeyringBackend;
impl KeyringBackend {
    /// The platform's keyring; it is connected to at the first call.
    pub fn system(_env: &Env) -> Self {
        todo!()
    }
    /// A keyring of the caller's choice, for tests and embedders.
    pub fn with_store(_store: Arc<keyring_core::CredentialStore>) -> Self {
        todo!()
    }
    /// Tests once per process with a canary that is written, read and deleted.
    pub async fn test(&self, _limit: Duration) -> Result<(), KeyringError> {
        todo!()
    }
}
