//! Holds `docs/mcp-oauth.md` to what is really said: each text of its table from error to remedy is
//! made by the code, and each text that is made here stands in the table.

use codex_config::McpServerConfig;
use codex_credentials::KeyringError;
use codex_oauth::{
    CallbackError, DeviceError, DiscoveryError, LoginError, LoginWanted, PasteError,
    RegistrationError, ServerKey, StoreError, TokenRequestError, Trace, WhyLogin,
};
use codex_protocol::ServerName;

use super::{LoginFailure, StaticToken};
use crate::error::login_sentence;
use crate::resolve::EndpointError;

const DOCUMENT: &str = include_str!("../../../../docs/mcp-oauth.md");
const URL: &str = "https://mcp.example.com/mcp";

fn name() -> ServerName {
    ServerName::from_config("NAME")
}

fn wanted(why: WhyLogin) -> LoginWanted {
    LoginWanted {
        server: name(),
        why,
        scopes: None,
        challenge: None,
    }
}

fn start(why: WhyLogin, url: &str) -> String {
    login_sentence(&wanted(why), &McpServerConfig::http(name(), url))
}

fn login(error: impl Into<LoginError>) -> String {
    let key = ServerKey::new(name(), URL.to_owned());
    let error = error.into();
    LoginFailure::Login { key, error }.to_string()
}

fn registration(error: RegistrationError) -> String {
    login(error)
}

/// A text that is made where no test can call it: it stands there word for word.
fn literal(source: &str, text: &'static str) -> String {
    assert!(source.contains(text), "nobody says `{text}`");
    text.to_owned()
}

/// The texts of the library, made by its types.
fn made() -> Vec<String> {
    let (issuer, uri) = ("https://auth.example.com", "http://127.0.0.1/callback");
    let address = "127.0.0.1:5555".parse().unwrap();
    let why = || "why".to_owned();
    let endpoint = |error: EndpointError| LoginFailure::Endpoint(error).to_string();
    let keyring = codex_credentials::StoreError::from(KeyringError::Locked);
    vec![
        start(WhyLogin::None, URL),
        start(WhyLogin::Expired, URL),
        start(WhyLogin::None, "https://api.githubcopilot.com/mcp/"),
        wanted(WhyLogin::Expired).to_string(),
        wanted(WhyLogin::MoreScopes).to_string(),
        LoginFailure::NotAsked(name()).to_string(),
        LoginFailure::NotHttp.to_string(),
        LoginFailure::Requirements {
            by: why(),
            why: why(),
        }
        .to_string(),
        LoginFailure::StaticToken {
            server: name(),
            token: StaticToken::Variable("TOK".to_owned()),
        }
        .to_string(),
        LoginFailure::StaticToken {
            server: name(),
            token: StaticToken::Header,
        }
        .to_string(),
        endpoint(EndpointError::BadOAuth {
            server: name(),
            key: "oauth.private_key_file",
            why: why(),
        }),
        endpoint(EndpointError::Peer {
            server: name(),
            error: codex_http::PeerError {
                key: "ca_file",
                why: why(),
            },
        }),
        registration(RegistrationError::NoWay {
            issuer: issuer.to_owned(),
            redirect_uri: uri.to_owned(),
            is_port_free: true,
            tried: Vec::new(),
        }),
        registration(RegistrationError::Refused {
            issuer: issuer.to_owned(),
            why: why(),
            is_guessed: false,
            redirect_uri: uri.to_owned(),
        }),
        registration(RegistrationError::WrongRung(format!(
            "{issuer} has no dynamic registration."
        ))),
        LoginFailure::Unattended(name()).to_string(),
        LoginFailure::Discovery {
            server: name(),
            error: DiscoveryError::Unknown {
                why: why(),
                trace: Trace::default(),
            },
        }
        .to_string(),
        registration(RegistrationError::OtherIssuer {
            known: issuer.to_owned(),
            found: why(),
        }),
        login(CallbackError::Listen {
            address,
            why: why(),
        }),
        login(LoginError::NoBrowserLogin),
        login(LoginError::Timeout),
        login(LoginError::Superseded),
        login(LoginError::OtherIssuer),
        login(TokenRequestError::Denied {
            code: "invalid_grant".to_owned(),
            description: None,
        }),
        PasteError::NotAUrl.to_string(),
        PasteError::NotOurs.to_string(),
        DeviceError::NotOffered.to_string(),
        DeviceError::Denied.to_string(),
        DeviceError::Expired.to_string(),
        DeviceError::Timeout.to_string(),
        LoginFailure::Store(StoreError::from(keyring)).to_string(),
    ]
}

/// The texts that are made in private places, by their words in the source.
fn quoted() -> Vec<String> {
    let rules = include_str!("../../../oauth/src/discovery/rules.rs");
    let address = include_str!("../../../oauth/src/address.rs");
    let browser = include_str!("../../../oauth/src/login.rs");
    let requests = include_str!("../../../rmcp-client/src/login.rs");
    let exchange = include_str!("../../../oauth/src/exchange.rs");
    let renewals = include_str!("../../../oauth/src/source/stored.rs");
    let provider = include_str!("../../../oauth/src/enterprise.rs");
    let logout = include_str!("../../../cli/src/mcp/logout.rs");
    let command = include_str!("../../../cli/src/mcp/login.rs");
    let own = include_str!("settings.rs");
    let file = literal(own, "oauth.assertion_file");
    vec![
        literal(
            rules,
            "the server does not say that it supports PKCE with S256",
        ),
        literal(rules, "describes another resource"),
        literal(rules, "speaks for"),
        literal(rules, "publishes no metadata"),
        literal(address, "is not an https URL"),
        literal(address, "a private network"),
        literal(
            exchange,
            "the server wants a token that is bound to a key (DPoP), and it is a bearer token",
        ),
        literal(browser, "OAuth provider returned `"),
        literal(requests, "its login cannot be renewed: "),
        literal(renewals, "could not be stored: "),
        format!("{}`{file}`: ", literal(requests, "there is no token: ")),
        literal(provider, "the identity provider `"),
        literal(
            logout,
            "the keyring could not be reached; a copy may be left there",
        ),
        literal(
            command,
            "No OAuth callback URL received before input closed",
        ),
    ]
}

/// The first column of the table.
fn rows() -> Vec<String> {
    let table = DOCUMENT.split_once("## From error to remedy").unwrap().1;
    let lines = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = lines.map(|line| line.split(" | ").next().unwrap());
    cells
        .map(|cell| cell.trim_matches(['`', ' ']).to_owned())
        .collect()
}

/// Whether a text is said by a row, in which `…` stands for anything.
fn says(row: &str, text: &str) -> bool {
    let mut rest = text;
    row.split('…')
        .all(|piece| match rest.split_once(piece.trim()) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
}

#[test]
fn the_table_of_remedies_quotes_what_is_said() {
    let (rows, made, quoted) = (rows(), made(), quoted());
    assert!(rows.len() > 20, "{rows:?}");
    for row in &rows {
        let is_made = made.iter().any(|text| says(row, text));
        let is_quoted = quoted.iter().any(|text| row.contains(text.trim()));
        assert!(is_made || is_quoted, "nobody says `{row}`");
    }
    for text in &made {
        assert!(
            rows.iter().any(|row| says(row, text)),
            "no remedy for `{text}`"
        );
    }
    for text in &quoted {
        assert!(
            rows.iter().any(|row| row.contains(text.trim())),
            "no remedy for `{text}`"
        );
    }
}
