//! The addresses of the fake authorization server, each as the standards want it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::state::{Code, Grant, State, change};
use super::{Answer, AuthRequest, Shared, decoded, dpop};

/// As much of MCP as a client needs to list one tool and to call it.
fn mcp_answer(request: &AuthRequest) -> Answer {
    let message = &request.json;
    let result = match message["method"].as_str() {
        None => return status(405, Value::Null),
        Some("initialize") => json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "fake-auth", "version": "1"},
        }),
        Some("tools/list") => json!({"tools": [{
            "name": "whoami",
            "description": "Tells who is logged in.",
            "inputSchema": {"type": "object"},
        }]}),
        Some("tools/call") => json!({"content": [{"type": "text", "text": "ada"}]}),
        Some(method) if method.starts_with("notifications/") => return status(202, Value::Null),
        Some(_) => {
            let error = json!({"code": -32601, "message": "no such method"});
            return ok(json!({"jsonrpc": "2.0", "id": message["id"], "error": error}));
        }
    };
    ok(json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
}

impl Shared {
    pub(super) fn answer(&self, request: &AuthRequest) -> Answer {
        let mut state = self.state.lock().expect("no holder panics");
        let state = &mut *state;
        match request.path.as_str() {
            "/mcp" => self.mcp(state, request),
            "/.well-known/oauth-protected-resource/mcp" => {
                let base = &state.base;
                let mut document = json!({
                    "resource": format!("{base}/mcp"),
                    "authorization_servers": [base],
                });
                change(&mut document, &self.settings.resource);
                ok(document)
            }
            "/.well-known/oauth-authorization-server" => ok(self.metadata(&state.base)),
            "/register" => register(state, request),
            "/authorize" => self.authorize(state, request),
            "/token" => self.token(state, request),
            "/device" => ok(json!({
                "device_code": "device-canary",
                "user_code": "ABCD-EFGH",
                "verification_uri": format!("{}/activate", state.base),
                "expires_in": 60,
                "interval": 0,
            })),
            "/revoke" => {
                let token = request.param("token").unwrap_or_default();
                state.access_tokens.remove(token);
                state.refresh_tokens.remove(token);
                ok(Value::Null)
            }
            _ => status(404, Value::Null),
        }
    }

    fn metadata(&self, base: &str) -> Value {
        let at = |path: &str| format!("{base}{path}");
        let mut document = json!({
            "issuer": base,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "registration_endpoint": at("/register"),
            "revocation_endpoint": at("/revoke"),
            "device_authorization_endpoint": at("/device"),
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["everything", "of", "this", "server"],
            "token_endpoint_auth_methods_supported":
                ["none", "client_secret_basic", "client_secret_post"],
        });
        change(&mut document, &self.settings.metadata);
        document
    }

    fn mcp(&self, state: &mut State, request: &AuthRequest) -> Answer {
        let scheme = match self.settings.dpop {
            Some(_) => "DPoP ",
            None => "Bearer ",
        };
        let token = request.authorization.as_deref();
        let token = token.and_then(|value| value.strip_prefix(scheme));
        let token = token.filter(|token| state.access_tokens.contains_key(*token));
        let (mut challenge, mut headers) = match (self.settings.dpop, token) {
            (None, Some(token)) => return self.granted(state, request, token),
            (None, None) => ("Bearer realm=\"fake\"".to_owned(), Vec::new()),
            (Some(_), None) => dpop::challenge(request, ""),
            (Some(rule), Some(token)) => match dpop::judge(rule, state, request, Some(token)) {
                Ok(key) if state.keys.get(token) == Some(&key) => {
                    return self.granted(state, request, token);
                }
                Ok(_) => dpop::challenge(request, ""),
                Err(why) => dpop::challenge(request, why),
            },
        };
        if self.settings.challenge_names_document {
            let base = &state.base;
            challenge.push_str(&format!(
                ", resource_metadata=\"{base}/.well-known/oauth-protected-resource/mcp\""
            ));
        }
        if let Some(scope) = &self.settings.scope {
            challenge.push_str(&format!(", scope=\"{scope}\""));
        }
        headers.push(("www-authenticate".into(), challenge));
        Answer {
            status: 401,
            headers,
            json: Value::Null,
        }
    }

    /// Answers to who has a token, if it grants enough.
    fn granted(&self, state: &State, request: &AuthRequest, token: &str) -> Answer {
        let granted = state.access_tokens.get(token).map_or("", String::as_str);
        let wanted = self.settings.call_scope.as_deref();
        let wanted = wanted.filter(|_| request.json["method"] == "tools/call");
        match wanted {
            Some(wanted) if !granted.split(' ').any(|it| it == wanted) => {
                let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{wanted}\"");
                Answer {
                    status: 403,
                    headers: vec![("www-authenticate".into(), challenge)],
                    json: Value::Null,
                }
            }
            _ => mcp_answer(request),
        }
    }

    /// The user is logged in and says yes: back at once.
    fn authorize(&self, state: &mut State, request: &AuthRequest) -> Answer {
        let param = |name: &str| request.param(name).unwrap_or_default().to_owned();
        let (client_id, redirect_uri) = (param("client_id"), param("redirect_uri"));
        let is_known = state
            .clients
            .get(&client_id)
            .is_some_and(|client| client.redirect_uris.contains(&redirect_uri));
        // An unknown client or address must not be redirected to (RFC 6749, 4.1.2.1).
        if !is_known {
            return status(400, json!({"error": "unknown client or redirect_uri"}));
        }
        let good = param("response_type") == "code"
            && param("code_challenge_method") == "S256"
            && param("code_challenge").len() == 43
            && param("state").len() >= 22;
        if !good {
            return status(400, json!({"error": "invalid_request"}));
        }
        let code = state.fresh("code");
        let issued = Code {
            client_id,
            redirect_uri: redirect_uri.clone(),
            challenge: param("code_challenge"),
            resource: request.param("resource").map(str::to_owned),
            scope: param("scope"),
        };
        state.codes.insert(code.clone(), issued);
        let mut location = format!("{redirect_uri}{}code={code}", join(&redirect_uri));
        location.push_str(&format!("&state={}", param("state")));
        let metadata = self.metadata(&state.base);
        if metadata["authorization_response_iss_parameter_supported"] == true {
            let issuer = metadata["issuer"].as_str().unwrap_or_default();
            location.push_str(&format!("&iss={}", issuer.replace(':', "%3A")));
        }
        Answer {
            status: 302,
            headers: vec![("location".into(), location)],
            json: Value::Null,
        }
    }

    fn token(&self, state: &mut State, request: &AuthRequest) -> Answer {
        let client_id = match client(state, request) {
            Ok(client_id) => client_id,
            Err(answer) => return answer,
        };
        let Some(rule) = self.settings.dpop else {
            return self.grant(state, request, client_id);
        };
        let key = match dpop::judge(rule, state, request, None) {
            Ok(key) => key,
            Err(why) => return dpop::refused_token(request, why),
        };
        let old = request.param("refresh_token").unwrap_or_default();
        if state.keys.get(old).is_some_and(|bound| *bound != key) {
            return denied("invalid_grant");
        }
        let mut answer = self.grant(state, request, client_id);
        for name in ["access_token", "refresh_token"] {
            if let Some(token) = answer.json[name].as_str() {
                state.keys.insert(token.to_owned(), key.clone());
            }
        }
        if answer.json["token_type"] == "Bearer" {
            answer.json["token_type"] = "DPoP".into();
        }
        answer
    }

    fn grant(&self, state: &mut State, request: &AuthRequest, client_id: String) -> Answer {
        match request.param("grant_type") {
            Some("authorization_code") => self.by_code(state, request, &client_id),
            Some("refresh_token") => self.by_refresh(state, request, &client_id),
            Some("client_credentials") => {
                let scope = request.param("scope").unwrap_or_default().to_owned();
                self.issue(state, &client_id, None, scope)
            }
            Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => {
                let assertion = request.param("assertion").unwrap_or_default();
                if assertion != "assertion-canary" && !assertion.starts_with("id-jag") {
                    return denied("invalid_grant");
                }
                let scope = request.param("scope").unwrap_or_default().to_owned();
                self.issue(state, &client_id, None, scope)
            }
            Some("urn:ietf:params:oauth:grant-type:token-exchange") => {
                let kind = |name| format!("urn:ietf:params:oauth:token-type:{name}");
                let is_good = request.param("subject_token") == Some("id-token-canary")
                    && request.param("subject_token_type") == Some(&kind("id_token"))
                    && request.param("requested_token_type") == Some(&kind("id-jag"))
                    && request.param("audience").is_some()
                    && request.param("resource").is_some();
                if !is_good {
                    return denied("invalid_request");
                }
                ok(json!({
                    "access_token": state.fresh("id-jag"),
                    "issued_token_type": kind("id-jag"),
                    "token_type": "N_A",
                }))
            }
            Some("urn:ietf:params:oauth:grant-type:device_code") => {
                if request.param("device_code") != Some("device-canary") {
                    return denied("invalid_grant");
                }
                if !state.device_approved {
                    return denied("authorization_pending");
                }
                let family = state.fresh("family");
                self.issue(state, &client_id, Some(family), String::new())
            }
            _ => denied("unsupported_grant_type"),
        }
    }

    fn by_code(&self, state: &mut State, request: &AuthRequest, client_id: &str) -> Answer {
        let code = request.param("code").unwrap_or_default();
        let Some(code) = state.codes.remove(code) else {
            return denied("invalid_grant");
        };
        let verifier = request.param("code_verifier").unwrap_or_default();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let is_good = code.client_id == client_id
            && request.param("redirect_uri") == Some(&code.redirect_uri)
            && code.challenge == challenge;
        if !is_good {
            return denied("invalid_grant");
        }
        if request.param("resource") != code.resource.as_deref() {
            return denied("invalid_target");
        }
        let family = state.fresh("family");
        self.issue(state, client_id, Some(family), code.scope)
    }

    fn by_refresh(&self, state: &mut State, request: &AuthRequest, client_id: &str) -> Answer {
        let token = request
            .param("refresh_token")
            .unwrap_or_default()
            .to_owned();
        if let Some(family) = state.used.get(&token).cloned() {
            state
                .refresh_tokens
                .retain(|_, grant| grant.family != family);
            return denied("invalid_grant");
        }
        let Some(grant) = state.refresh_tokens.get(&token).cloned() else {
            return denied("invalid_grant");
        };
        if grant.client_id != client_id {
            return denied("invalid_grant");
        }
        let asked = request.param("scope").unwrap_or(&grant.scope);
        if asked
            .split(' ')
            .any(|scope| !grant.scope.split(' ').any(|it| it == scope))
        {
            return denied("invalid_scope");
        }
        let family = match self.settings.rotates {
            true => {
                state.refresh_tokens.remove(&token);
                state.used.insert(token, grant.family.clone());
                Some(grant.family)
            }
            false => None,
        };
        self.issue(state, client_id, family, grant.scope)
    }

    /// Issues tokens; a `family` gets a refresh token.
    fn issue(
        &self,
        state: &mut State,
        client_id: &str,
        family: Option<String>,
        scope: String,
    ) -> Answer {
        let access = state.fresh("access");
        state.access_tokens.insert(access.clone(), scope.clone());
        let mut answer = json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": self.settings.token_life,
        });
        if let Some(family) = family {
            let refresh = state.fresh("refresh");
            answer["refresh_token"] = refresh.clone().into();
            let grant = Grant {
                client_id: client_id.to_owned(),
                family,
                scope: scope.clone(),
            };
            state.refresh_tokens.insert(refresh, grant);
        }
        if !scope.is_empty() {
            answer["scope"] = scope.into();
        }
        ok(answer)
    }
}

fn register(state: &mut State, request: &AuthRequest) -> Answer {
    let uris = request.json["redirect_uris"].as_array();
    let uris: Vec<&str> = uris
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let client_id = state.fresh_id("client");
    let method = request.json["token_endpoint_auth_method"].as_str();
    let method = method.unwrap_or("client_secret_basic");
    let secret = (method != "none").then(|| state.fresh("secret"));
    state.register(&client_id, secret.as_deref(), &uris);
    let mut answer = json!({
        "client_id": client_id,
        "redirect_uris": uris,
        "token_endpoint_auth_method": method,
    });
    if let Some(secret) = secret {
        answer["client_secret"] = secret.into();
        answer["client_secret_expires_at"] = 0.into();
    }
    status(201, answer)
}

/// Checks the proof of the client and returns its id.
fn client(state: &State, request: &AuthRequest) -> Result<String, Answer> {
    let refused = || status(401, json!({"error": "invalid_client"}));
    let basic = request.authorization.as_deref();
    let basic = basic.and_then(|value| value.strip_prefix("Basic "));
    let pair = basic.and_then(|text| STANDARD.decode(text).ok());
    let pair = pair.and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = pair.and_then(|text| {
        let (id, secret) = text.split_once(':')?;
        Some((decoded(id), decoded(secret)))
    });
    let (id, secret) = match pair {
        Some((id, secret)) => (id, Some(secret)),
        None => (
            request.param("client_id").unwrap_or_default().to_owned(),
            request.param("client_secret").map(str::to_owned),
        ),
    };
    if id.is_empty() && request.param("assertion").is_some() {
        // The assertion says who asks (RFC 7521, 4.1).
        return Ok(id);
    }
    let known = state.clients.get(&id).ok_or_else(refused)?;
    match known.secret == secret || request.param("client_assertion").is_some() {
        true => Ok(id),
        false => Err(refused()),
    }
}

fn join(uri: &str) -> char {
    if uri.contains('?') { '&' } else { '?' }
}

fn ok(json: Value) -> Answer {
    status(200, json)
}

fn denied(code: &str) -> Answer {
    status(400, json!({"error": code}))
}

fn status(status: u16, json: Value) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        json,
    }
}
