//! Tokens of a stored login.
//!
//! The state has one lock, and whoever renews holds it: the others wait and then find the new token.
//! The renewal itself runs in a task, so that a call that is cancelled cannot take it along between
//! the server's answer and the store. Questions to the user are asked without that lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use codex_credentials::{Notice, SecretStore};
use codex_host::Secret;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;

use super::{
    AccessToken, BoxFuture, LoginWanted, Rejection, Retry, TokenError, TokenSource, WhyLogin,
};
use crate::back_off::BackOff;
use crate::refresh::Renewed;
use crate::{Challenge, OAuthTokens, RefreshError, RefreshTransaction, Scopes, ServerKey, Unsaved};

/// How often the store is looked at while a login is missing.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A token is due when less than this is left, or less than a tenth of its life.
const MAX_SKEW: SignedDuration = SignedDuration::from_secs(30);

/// How long the end of the process waits for what a deputy may have to say.
const WAIT_FOR_DEPUTY: Duration = Duration::from_secs(2);

/// How many step-ups a source asks for in all, and for one operation.
const MAX_STEP_UPS: u32 = 3;

/// What a source asks a frontend: a login, and whether one was made.
pub type LoginQuestion = (LoginWanted, oneshot::Sender<bool>);

/// The token source of one server with a stored login.
#[derive(Debug)]
pub struct StoredTokenSource {
    refresh: RefreshTransaction,
    frontend: Option<mpsc::Sender<LoginQuestion>>,
    state: Mutex<State>,
    /// Held while the user is asked, so that he is asked once.
    asking: Mutex<StepUps>,
    tasks: TaskTracker,
    /// The last renewal, if the store does not have it. Whoever waited for it may be gone.
    held: Arc<StdMutex<Option<Renewed>>>,
    warnings: StdMutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Current>,
    /// When the store was last looked at.
    looked: Option<Instant>,
    /// Whether the server refused the current token for good.
    is_refused: bool,
    back_off: BackOff,
}

impl State {
    /// Whether there is a token that may be sent and is not `sent`.
    fn has_other(&self, sent: Option<&AccessToken>) -> bool {
        let token = self.current.as_ref().map(Current::token);
        !self.is_refused && token.is_some() && token.as_ref() != sent
    }
}

#[derive(Debug)]
struct Current {
    tokens: OAuthTokens,
    /// The token as requests carry it.
    token: AccessToken,
    /// How long before its end a token is due.
    skew: SignedDuration,
}

impl Current {
    fn new(tokens: OAuthTokens, refresh: &RefreshTransaction) -> Self {
        let now = refresh.now();
        // Another program's login does not say when it began: what is left stands for all.
        let client = tokens.client.as_ref();
        let begin = client.and_then(|client| client.obtained_at).unwrap_or(now);
        let life = tokens.login.expires_at.map(|end| end.duration_since(begin));
        Self {
            skew: life.map_or(MAX_SKEW, |life| MAX_SKEW.min(life / 10)),
            token: refresh.access_token(&tokens),
            tokens,
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let end = self.tokens.login.expires_at;
        // None at all: it was bound to a key, and the key is gone.
        self.tokens.login.access_token.is_empty()
            || end.is_some_and(|end| end.duration_since(now) <= self.skew)
    }

    fn token(&self) -> AccessToken {
        self.token.clone()
    }
}

/// Which step-ups were asked for.
#[derive(Debug, Default)]
struct StepUps(HashMap<String, u32>);

impl StepUps {
    /// Counts one more; `false` when it is one too many.
    fn admit(&mut self, operation: &str) -> bool {
        let n_all: u32 = self.0.values().sum();
        if n_all >= MAX_STEP_UPS || self.0.contains_key(operation) {
            return false;
        }
        self.0.insert(operation.to_owned(), 1);
        true
    }
}

impl StoredTokenSource {
    /// Makes the source; nothing is read yet. A `frontend` is asked for logins that need the user;
    /// without one they end in [`Retry::Login`].
    pub fn new(
        refresh: RefreshTransaction,
        frontend: Option<mpsc::Sender<LoginQuestion>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            refresh,
            frontend,
            state: Mutex::default(),
            asking: Mutex::default(),
            tasks: TaskTracker::new(),
            held: Arc::default(),
            warnings: StdMutex::default(),
        })
    }

    /// Returns whose tokens these are.
    pub fn key(&self) -> &ServerKey {
        self.refresh.key()
    }

    /// Returns what the user should know since the last call, about the store too.
    pub fn take_warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = std::mem::take(&mut *warnings);
        let store = self.refresh.store();
        for notice in [store.logins(), store.clients()].map(SecretStore::take_notices) {
            for text in notice.iter().map(Notice::text) {
                if !all.contains(&text) {
                    all.push(text);
                }
            }
        }
        all
    }

    /// Waits for a renewal under way and stores what could not be stored before. Call it before
    /// the process ends. A renewal that a deputy has begun goes on without us: it is waited for only
    /// shortly.
    pub async fn settle(&self, limit: Duration) {
        self.tasks.close();
        let work = async {
            self.tasks.wait().await;
            let held = self.held().clone();
            if let Some(held) = held
                && self.refresh.save_held(held, limit).await.is_ok()
            {
                *self.held() = None;
            }
        };
        let deputy = async {
            self.refresh.begun_by_deputy().await;
            sleep(WAIT_FOR_DEPUTY).await;
        };
        tokio::select! {
            _ = timeout(limit, work) => {}
            () = deputy => {}
        }
        self.tasks.reopen();
    }

    fn held(&self) -> MutexGuard<'_, Option<Renewed>> {
        lock(&self.held)
    }

    /// Returns the token of the login that is known, whether the server takes it or not.
    pub async fn last_token(&self) -> Option<AccessToken> {
        let state = self.state.lock().await;
        state.current.as_ref().map(Current::token)
    }

    /// Says whether there is a login with another token than `token`, here or in the store, which is
    /// read at most every two seconds.
    pub async fn has_login_besides(&self, token: Option<&AccessToken>) -> bool {
        let mut state = self.state.lock().await;
        // A store that cannot be read holds nothing new for us.
        let _ = self.look(&mut state).await;
        state.has_other(token)
    }

    async fn next_token(&self) -> Result<Option<AccessToken>, TokenError> {
        let mut state = self.state.lock().await;
        let looked = self.look(&mut state).await;
        // A store that cannot be read now does not stop a login that is known.
        if state.current.is_none() || state.is_refused {
            looked?;
        }
        let now = self.refresh.now();
        let Some(current) = &state.current else {
            return Ok(None);
        };
        if state.is_refused {
            return Err(self.login_required(WhyLogin::Expired));
        }
        if !current.is_due(now) {
            return Ok(Some(current.token()));
        }
        let is_valid = current.tokens.is_valid(now);
        let waits = state.back_off.is_waiting();
        let can_renew = current.tokens.login.refresh_token.is_some();
        if is_valid && (waits || !can_renew) {
            return Ok(Some(current.token()));
        }
        let (stale, token) = (current.tokens.login.access_token.clone(), current.token());
        if waits {
            return Err(self.not_now("the last try failed a moment ago"));
        }
        match self.renew(&mut state, &stale).await {
            Ok(()) => Ok(state.current.as_ref().map(Current::token)),
            Err(_) if is_valid => Ok(Some(token)),
            Err(RefreshError::LoginRequired { .. }) => {
                state.is_refused = true;
                Err(self.login_required(WhyLogin::Expired))
            }
            Err(RefreshError::Refused(why)) => Err(TokenError::Refused {
                server: self.key().name.clone(),
                why,
            }),
            Err(error) => Err(self.not_now(&error.to_string())),
        }
    }

    /// Reads the store, at most every two seconds: somebody else may have logged in or out.
    async fn look(&self, state: &mut State) -> Result<(), TokenError> {
        if state.looked.is_some_and(|time| time.elapsed() < LOOK_AGAIN) {
            return Ok(());
        }
        state.looked = Some(Instant::now());
        let found = self.refresh.store().load(self.key()).await;
        let found = found.map_err(|error| TokenError::Store {
            server: self.key().name.clone(),
            why: error.sentence(),
        })?;
        let now = self.refresh.now();
        let is_same = |tokens: &OAuthTokens| {
            let known = state.current.as_ref();
            known.is_some_and(|known| {
                known.tokens.login.access_token == tokens.login.access_token
                    && known.tokens.login.refresh_token == tokens.login.refresh_token
            })
        };
        let held = self.held().clone();
        // What could not be stored is newer than what it came for.
        if held.is_some_and(|held| held.replaces(found.as_ref())) {
            return Ok(());
        }
        let Some(tokens) = found else {
            // Somebody has logged out.
            if state.current.is_some() && self.refresh.store().holds_none(self.key()).await {
                *self.held() = None;
                *state = State {
                    looked: state.looked,
                    ..State::default()
                };
            }
            return Ok(());
        };
        // A token that works is not given up for a login that does not; one that was refused heals
        // only by another.
        let is_needed = state.current.is_none() || state.is_refused || tokens.is_usable(now);
        if is_needed && !is_same(&tokens) {
            *self.held() = None;
            *state = State {
                looked: state.looked,
                is_refused: !tokens.is_usable(now),
                current: Some(Current::new(tokens, &self.refresh)),
                ..State::default()
            };
        }
        Ok(())
    }

    /// Renews in a task of its own and takes over what came.
    async fn renew(&self, state: &mut State, stale: &Secret) -> Result<(), RefreshError> {
        let (refresh, stale) = (self.refresh.clone(), stale.clone());
        let slot = Arc::clone(&self.held);
        let task = self.tasks.spawn(async move {
            let held = lock(&slot).clone();
            let outcome = refresh.run(&stale, held).await;
            if let Ok(renewed) = &outcome {
                *lock(&slot) = Some(renewed.clone()).filter(|it| it.unsaved.is_some());
            }
            outcome
        });
        let outcome = task.await.unwrap_or_else(|error| {
            let why = format!("the renewal broke off: {error}");
            Err(RefreshError::Transient { why, after: None })
        });
        match outcome {
            Ok(Renewed { tokens, unsaved }) => {
                if let Some(Unsaved { why, .. }) = unsaved {
                    self.warn(format!(
                        "the renewed login of MCP server `{}` could not be stored: {why}",
                        self.key().name
                    ));
                }
                *state = State {
                    looked: state.looked,
                    current: Some(Current::new(tokens, &self.refresh)),
                    ..State::default()
                };
                Ok(())
            }
            Err(error) => {
                if let RefreshError::Transient { after, .. } = &error {
                    state.back_off.failed(*after);
                }
                Err(error)
            }
        }
    }

    async fn after_401(&self, sent: Option<&AccessToken>, rejection: &Rejection) -> Retry {
        let challenge = rejection.challenge.clone();
        let mut state = self.state.lock().await;
        let Some(sent) = sent else {
            state.looked = None;
            let _ = self.look(&mut state).await;
            let has_login = state.current.is_some() && !state.is_refused;
            drop(state);
            return match has_login {
                true if !rejection.is_repeat => Retry::Again,
                _ => {
                    self.ask(self.wanted(WhyLogin::None, None, challenge), None)
                        .await
                }
            };
        };
        let current = state.current.as_ref().map(Current::token);
        if current.as_ref().is_some_and(|current| current != sent) && !state.is_refused {
            return Retry::Again;
        }
        if !rejection.is_repeat {
            match self.renew(&mut state, &sent.token).await {
                Ok(()) => return Retry::Again,
                Err(RefreshError::LoginRequired { .. }) => {}
                Err(RefreshError::Refused(why)) => return Retry::Refused(why),
                Err(error) => return Retry::NotNow(error.to_string()),
            }
        }
        state.is_refused = true;
        drop(state);
        let wanted = self.wanted(WhyLogin::Expired, None, challenge);
        self.ask(wanted, Some(sent)).await
    }

    async fn after_403(&self, sent: Option<&AccessToken>, rejection: &Rejection) -> Retry {
        let challenge = rejection.challenge.as_ref();
        let challenge = challenge.filter(|challenge| challenge.wants_more_scope());
        let Some(challenge) = challenge else {
            return Retry::Refused("the server forbids it (HTTP 403)".to_owned());
        };
        let state = self.state.lock().await;
        let current = state.current.as_ref();
        if let (Some(current), Some(sent)) = (current, sent)
            && current.token() != *sent
        {
            return Retry::Again;
        }
        let empty = Scopes::default();
        let more = challenge.scope.as_ref().unwrap_or(&empty);
        let (granted, requested) = match current.map(|current| &current.tokens) {
            Some(tokens) => {
                let client = tokens.client.as_ref();
                let requested = client.map(|client| &client.scopes_requested);
                (
                    &tokens.login.scopes,
                    requested.unwrap_or(&tokens.login.scopes),
                )
            }
            None => (&empty, &empty),
        };
        if granted.contains_all(more) {
            let why = "the server wants more scopes and names none that are not granted already";
            return Retry::Refused(why.to_owned());
        }
        let wanted = requested.union(granted).union(more);
        drop(state);
        let wanted = self.wanted(WhyLogin::MoreScopes, Some(wanted), Some(challenge.clone()));
        if self.frontend.is_some() && !self.asking.lock().await.admit(&rejection.operation) {
            return Retry::Refused(format!(
                "the server keeps asking for more scopes for {}",
                rejection.operation
            ));
        }
        self.ask(wanted, sent).await
    }

    /// Asks the frontend for a login, if there is one. Who comes second finds the answer.
    async fn ask(&self, wanted: LoginWanted, sent: Option<&AccessToken>) -> Retry {
        let Some(frontend) = &self.frontend else {
            return Retry::Login(wanted);
        };
        let _asking = self.asking.lock().await;
        if self.has_other_token(sent).await {
            return Retry::Again;
        }
        let (reply, answer) = oneshot::channel();
        if frontend.send((wanted.clone(), reply)).await.is_err() {
            return Retry::Login(wanted);
        }
        match answer.await {
            Ok(true) if self.has_other_token(sent).await => Retry::Again,
            Ok(_) | Err(_) => Retry::Login(wanted),
        }
    }

    /// Says whether there is a token that was not sent yet, here or in the store.
    async fn has_other_token(&self, sent: Option<&AccessToken>) -> bool {
        let mut state = self.state.lock().await;
        if state.has_other(sent) {
            return true;
        }
        state.looked = None;
        // A store that cannot be read holds nothing new for us.
        let _ = self.look(&mut state).await;
        state.has_other(sent)
    }

    fn wanted(
        &self,
        why: WhyLogin,
        scopes: Option<Scopes>,
        challenge: Option<Challenge>,
    ) -> LoginWanted {
        LoginWanted {
            server: self.key().name.clone(),
            why,
            scopes,
            challenge,
        }
    }

    fn login_required(&self, why: WhyLogin) -> TokenError {
        TokenError::LoginRequired(self.wanted(why, None, None))
    }

    fn not_now(&self, why: &str) -> TokenError {
        TokenError::NotNow {
            server: self.key().name.clone(),
            why: why.to_owned(),
        }
    }

    fn warn(&self, warning: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&warning) && warnings.len() < 16 {
            warnings.push(warning);
        }
    }
}

fn lock(slot: &StdMutex<Option<Renewed>>) -> MutexGuard<'_, Option<Renewed>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TokenSource for StoredTokenSource {
    fn token(&self) -> BoxFuture<'_, Result<Option<AccessToken>, TokenError>> {
        Box::pin(async move {
            match self.next_token().await {
                Err(TokenError::LoginRequired(wanted)) if self.frontend.is_some() => {
                    let sent = self.state.lock().await.current.as_ref().map(Current::token);
                    match self.ask(wanted.clone(), sent.as_ref()).await {
                        Retry::Again => self.next_token().await,
                        _ => Err(TokenError::LoginRequired(wanted)),
                    }
                }
                token => token,
            }
        })
    }

    fn rejected<'a>(
        &'a self,
        sent: Option<&'a AccessToken>,
        rejection: &'a Rejection,
    ) -> BoxFuture<'a, Retry> {
        Box::pin(async move {
            match rejection.status {
                403 => self.after_403(sent, rejection).await,
                _ => self.after_401(sent, rejection).await,
            }
        })
    }
}
