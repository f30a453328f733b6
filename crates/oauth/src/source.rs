//! A token per request: what a connection asks before it sends, and tells when it was refused.
//!
//! One source per server and process; clones of its `Arc` share one flight, so that a hundred calls
//! renew once. A refused token is compared with the stored one first: somebody may have renewed it,
//! here or in another process, and then the answer is simply to send again.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use codex_host::Secret;
use codex_protocol::ServerName;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use crate::dpop::{PROOF, Prover, WANTS_NONCE};
use crate::{Challenge, Scopes};

mod stored;

pub use stored::{LoginQuestion, StoredTokenSource};

/// A future in a box, as a trait object needs it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Gives tokens for the requests to one MCP server.
pub trait TokenSource: fmt::Debug + Send + Sync {
    /// Returns the token for the next request, renewed when it is due; `None` when there is no login
    /// (the request then goes without one and its refusal says what is wanted).
    fn token(&self) -> BoxFuture<'_, Result<Option<AccessToken>, TokenError>>;

    /// Says what to do after a 401, or after a 403 with a challenge.
    fn rejected<'a>(
        &'a self,
        sent: Option<&'a AccessToken>,
        rejection: &'a Rejection,
    ) -> BoxFuture<'a, Retry>;
}

/// A token for one request.
#[derive(Clone)]
pub struct AccessToken {
    pub(crate) token: Secret,
    /// What a token that is bound to a key needs with each request; a bearer token has none.
    prover: Option<Prover>,
}

impl AccessToken {
    /// Makes a bearer token.
    pub fn bearer(token: Secret) -> Self {
        Self::of(token, None)
    }

    pub(crate) fn of(token: Secret, prover: Option<Prover>) -> Self {
        Self { token, prover }
    }

    /// Puts the token into the headers of a request with this method and URL, with a fresh proof
    /// when it is bound to a key (RFC 9449). An error says why it cannot be sent; a bound token
    /// never goes without its proof.
    pub fn sign(
        &self,
        method: &Method,
        url: &Url,
        headers: &mut HeaderMap,
    ) -> Result<(), &'static str> {
        let scheme = match &self.prover {
            None => "Bearer",
            Some(prover) => {
                let proof = prover.proof(method, url, Some(&self.token));
                let proof = proof.map_err(|_| "the key of the access token cannot sign")?;
                headers.insert(PROOF, proof);
                "DPoP"
            }
        };
        let value = HeaderValue::from_str(&format!("{scheme} {}", self.token.expose()));
        let mut value =
            value.map_err(|_| "the access token has characters that a header cannot carry")?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    /// Looks at an answer: keeps the nonce that the server wants in the next proof.
    pub fn seen(&self, url: &Url, headers: &HeaderMap) -> Nonce {
        let Some(prover) = &self.prover else {
            return Nonce::None;
        };
        let has_nonce = prover.learn(url, headers);
        let challenge = Challenge::from_headers(headers);
        let error = challenge.and_then(|challenge| challenge.error);
        match (error.as_deref() == Some(WANTS_NONCE), has_nonce) {
            (true, true) => Nonce::Wanted,
            (true, false) => Nonce::Withheld,
            (false, _) => Nonce::None,
        }
    }
}

impl PartialEq for AccessToken {
    fn eq(&self, other: &Self) -> bool {
        let key = |token: &Self| token.prover.as_ref().map(|prover| prover.key.clone());
        self.token == other.token && key(self) == key(other)
    }
}

impl Eq for AccessToken {}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.prover {
            Some(_) => "DPoP",
            None => "Bearer",
        };
        write!(f, "AccessToken({scheme} [redacted])")
    }
}

/// What an answer says about nonces of proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonce {
    /// Nothing that matters.
    None,
    /// The request was refused for want of a nonce, which came along: send it again, once.
    Wanted,
    /// The request was refused for want of a nonce, and none came.
    Withheld,
}

/// A refusal as a connection saw it.
#[derive(Debug, Clone)]
pub struct Rejection {
    /// 401 or 403.
    pub status: u16,
    /// What the server asks for, if it says.
    pub challenge: Option<Challenge>,
    /// What was tried, for the bound on step-ups: the method and, for a call, the tool.
    pub operation: String,
    /// Whether this same request was sent again already after an earlier refusal.
    pub is_repeat: bool,
}

/// What to do after a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retry {
    /// Send the same request once more, with the token that [`TokenSource::token`] now returns.
    Again,
    /// The user must log in.
    Login(LoginWanted),
    /// Nothing will help; the sentence says why.
    Refused(String),
    /// No token could be had now; the sentence says why. The login is untouched.
    NotNow(String),
}

/// Why the user must log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyLogin {
    /// There is no login.
    None,
    /// There was one; the server no longer takes it.
    Expired,
    /// The login is good but does not grant this.
    MoreScopes,
}

/// A login that a frontend should offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginWanted {
    /// The server.
    pub server: ServerName,
    /// Why.
    pub why: WhyLogin,
    /// For more scopes: everything to ask for, the old ones included.
    pub scopes: Option<Scopes>,
    /// The challenge that the login starts from.
    pub challenge: Option<Challenge>,
}

impl LoginWanted {
    /// Returns the command that helps.
    pub fn command(&self) -> String {
        let scopes: Vec<&str> = self.scopes.iter().flat_map(Scopes::iter).collect();
        match scopes.is_empty() {
            true => format!("codex mcp login {}", self.server),
            false => format!(
                "codex mcp login {} --scopes {}",
                self.server,
                scopes.join(",")
            ),
        }
    }
}

impl fmt::Display for LoginWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (server, command) = (&self.server, self.command());
        match self.why {
            WhyLogin::None | WhyLogin::Expired => {
                write!(f, "MCP server `{server}` wants a login. Run `{command}`.")
            }
            WhyLogin::MoreScopes => {
                write!(
                    f,
                    "MCP server `{server}` wants more scopes. Run `{command}`."
                )
            }
        }
    }
}

/// Why there is no token now.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// The user must log in.
    #[error("{0}")]
    LoginRequired(LoginWanted),
    /// It could not be renewed now; the login is untouched.
    #[error("cannot renew the login of MCP server `{server}`: {why}")]
    NotNow {
        /// The server.
        server: ServerName,
        /// Why.
        why: String,
    },
    /// It was refused for a reason that no login heals, or lacks what it takes.
    #[error("there is no token for MCP server `{server}`: {why}")]
    Refused {
        /// The server.
        server: ServerName,
        /// Why.
        why: String,
    },
    /// The store cannot be read or written.
    #[error("cannot use the stored login of MCP server `{server}`: {why}")]
    Store {
        /// The server.
        server: ServerName,
        /// Why.
        why: String,
    },
}
