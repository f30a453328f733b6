//! The keyring backend: every call on a thread of its own, with a time limit.
//!
//! A keyring may wait for a prompt that nobody sees, or for a daemon that is stopped. The libraries
//! block and cannot be cancelled, so a call runs on a plain thread that is abandoned at the limit;
//! from then on the keyring counts as unavailable in this process. Not on the runtime's blocking
//! pool: the runtime waits for that one at the end, and the exit would hang.
//! Calls go one by one, so that a locked keyring asks once and not once per server.
//! Trap: an abandoned call may still finish much later; work of several steps stops at the next.

mod calls;
mod pieces;
mod platform;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use codex_host::Env;
use keyring_core::CredentialStore;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::{KeyringError, SecretJson, StoreKey};
use calls::Calls;

/// Who dismissed a prompt is not asked again at once.
const LOCKED_PAUSE: Duration = Duration::from_secs(30);

/// The desktop's keyring. Cloning is cheap; all clones share one connection and one verdict.
#[derive(Clone)]
pub struct KeyringBackend(Arc<Shared>);

struct Shared {
    source: Source,
    /// Held during a call: one at a time.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

enum Source {
    System(platform::Facts),
    Given(Arc<CredentialStore>),
}

#[derive(Default)]
struct State {
    store: Option<Arc<CredentialStore>>,
    hangs: Option<KeyringError>,
    locked_until: Option<Instant>,
    passed_test: bool,
}

/// Tells the thread of a call when its caller has gone, at the limit or before.
#[derive(Default)]
struct Caller {
    is_gone: Arc<AtomicBool>,
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }
}

impl KeyringBackend {
    /// The platform's keyring; it is connected to at the first call.
    ///
    /// `env` tells whether there is a session bus at all; the connection itself is made by a
    /// library that looks at the environment of the process.
    pub fn system(env: &Env) -> Self {
        Self::new(Source::System(platform::Facts::gather(env)))
    }

    /// A keyring of the caller's choice, for tests and embedders.
    pub fn with_store(store: Arc<CredentialStore>) -> Self {
        Self::new(Source::Given(store))
    }

    /// Tests the keyring with a canary that is written, read and deleted; once per process.
    pub async fn test(&self, limit: Duration) -> Result<(), KeyringError> {
        if self.0.lock_state().passed_test {
            return Ok(());
        }
        self.call(limit, |calls| calls.test()).await?;
        self.0.lock_state().passed_test = true;
        Ok(())
    }

    /// Reads a record.
    pub(crate) async fn load(
        &self,
        service: &'static str,
        key: &StoreKey,
        limit: Duration,
    ) -> Result<Option<SecretJson>, KeyringError> {
        let key = key.clone();
        let found = self.call(limit, move |calls| {
            pieces::load(&calls.of(service), key.as_str())
        });
        match found.await? {
            Some(text) => SecretJson::from_text(text.to_string())
                .map(Some)
                .map_err(|_| KeyringError::Damaged),
            None => Ok(None),
        }
    }

    /// Writes a record and reads it back.
    pub(crate) async fn save(
        &self,
        service: &'static str,
        key: &StoreKey,
        record: &SecretJson,
        limit: Duration,
    ) -> Result<(), KeyringError> {
        let (key, record) = (key.clone(), record.clone());
        self.call(limit, move |calls| {
            pieces::save(&calls.of(service), key.as_str(), record.expose())
        })
        .await
    }

    /// Deletes a record, and returns whether there was one.
    pub(crate) async fn delete(
        &self,
        service: &'static str,
        key: &StoreKey,
        limit: Duration,
    ) -> Result<bool, KeyringError> {
        let key = key.clone();
        self.call(limit, move |calls| {
            pieces::delete(&calls.of(service), key.as_str())
        })
        .await
    }

    fn new(source: Source) -> Self {
        Self(Arc::new(Shared {
            source,
            turn: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        }))
    }

    /// Runs work on a thread of its own; at the limit the thread is left to itself.
    async fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl Fn(&Calls) -> Result<T, KeyringError> + Send + 'static,
    ) -> Result<T, KeyringError> {
        let _turn = self.0.turn.lock().await;
        self.0.check()?;
        let caller = Caller::default();
        let (report, reported) = oneshot::channel();
        let (shared, is_gone) = (Arc::clone(&self.0), Arc::clone(&caller.is_gone));
        std::thread::Builder::new()
            .name("keyring".to_owned())
            .spawn(move || {
                let result = shared.connected(is_gone, work);
                // Nobody listens any more when the limit has passed.
                let _ = report.send(result);
            })
            .map_err(|error| KeyringError::Failed(error.to_string()))?;
        let result = match tokio::time::timeout(limit, reported).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(KeyringError::Failed("the call broke off".to_owned())),
            Err(_) => Err(KeyringError::Hangs(limit)),
        };
        if let Err(error) = &result {
            self.0.remember(error);
        }
        result
    }
}

impl Shared {
    fn lock_state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a call whose end is known.
    fn check(&self) -> Result<(), KeyringError> {
        let state = self.lock_state();
        if let Some(hangs) = &state.hangs {
            return Err(hangs.clone());
        }
        match state.locked_until {
            Some(until) if Instant::now() < until => Err(KeyringError::Locked),
            _ => Ok(()),
        }
    }

    fn remember(&self, error: &KeyringError) {
        let mut state = self.lock_state();
        match error {
            KeyringError::Hangs(_) => state.hangs = Some(error.clone()),
            KeyringError::Locked => state.locked_until = Some(Instant::now() + LOCKED_PAUSE),
            KeyringError::Absent(_)
            | KeyringError::Volatile
            | KeyringError::TooLarge
            | KeyringError::NotKept
            | KeyringError::Damaged
            | KeyringError::Failed(_) => {}
        }
    }

    /// Does the work with a connected store. A connection that has died is made anew once.
    fn connected<T>(
        &self,
        caller_is_gone: Arc<AtomicBool>,
        work: impl Fn(&Calls) -> Result<T, KeyringError>,
    ) -> Result<T, KeyringError> {
        let known = self.lock_state().store.clone();
        if let Some(store) = known {
            let result = work(&Calls::new(store, Arc::clone(&caller_is_gone)));
            if !matches!(
                result,
                Err(KeyringError::Failed(_) | KeyringError::Absent(_))
            ) {
                return result;
            }
            self.lock_state().store = None;
        }
        let store = match &self.source {
            Source::System(facts) => platform::connect(facts)?,
            Source::Given(store) => Arc::clone(store),
        };
        if !calls::lasts(&store) {
            return Err(KeyringError::Volatile);
        }
        self.lock_state().store = Some(Arc::clone(&store));
        work(&Calls::new(store, caller_is_gone))
    }
}

impl fmt::Debug for KeyringBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.0.source {
            Source::System(_) => "system",
            Source::Given(_) => "given",
        };
        f.debug_tuple("KeyringBackend").field(&source).finish()
    }
}
