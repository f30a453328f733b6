//! Keys about logins from the file to what is sent: where the browser goes, and what the token endpoint
//! hears. That they are read at all is a matter of the crate that reads them.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use codex_test_support::{AuthSettings, CodexCommand, FakeAuth, TestHome};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(20);

fn home(auth: &FakeAuth, top: &str, keys: &str) -> TestHome {
    TestHome::with_config(&format!(
        "mcp_oauth_credentials_store = \"file\"\n{top}\n[mcp_servers.oa]\nurl = \"{}\"\n{keys}\n",
        auth.mcp_url()
    ))
}

fn codex(home: &TestHome, words: &[&str]) -> CodexCommand {
    home.codex(words).env("BROWSER", "true").limit(LIMIT)
}

/// What the page that a login opens is asked for.
fn asked(auth: &FakeAuth, top: &str, keys: &str) -> BTreeMap<String, String> {
    let home = home(auth, top, keys);
    let login = codex(&home, &["mcp", "login", "oa", "--no-browser"]).stdin_stays_open();
    let login = login.spawn();
    login.wait_for_stderr("Callback URL (input hidden): ");
    let shown = login.wait_for_stdout("state=");
    let page = shown.lines().find(|line| line.contains("/authorize?"));
    let page = url::Url::parse(page.unwrap_or_default()).unwrap();
    page.query_pairs().into_owned().collect()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Rows 5.scopes, 5.oauth_resource.
#[test]
fn a_login_asks_for_the_scopes_and_the_resource_of_the_config() {
    let auth = FakeAuth::start(AuthSettings::default());
    let plain = asked(&auth, "", "");
    assert_eq!(plain.get("scope"), None);
    assert_eq!(plain["resource"], auth.mcp_url());
    let keys = "scopes = [\"read\", \"write\"]\noauth_resource = \"https://api.example/\"";
    let set = asked(&auth, "", keys);
    assert_eq!(set["scope"], "read write");
    assert_eq!(set["resource"], "https://api.example/");
}

/// Rows 5.oauth.callback_url, 5.oauth.callback_port, 8.mcp_oauth_callback_url, 8.mcp_oauth_callback_port.
#[test]
fn the_way_back_of_a_server_beats_that_of_all_servers() {
    let auth = FakeAuth::start(AuthSettings::default());
    let (all, own) = ("http://LOCALHOST:0/all?x=1", "http://127.0.0.1:0/own");
    let top = format!("mcp_oauth_callback_url = \"{all}\"");
    let keys = format!("oauth = {{ callback_url = \"{own}\" }}");
    assert_eq!(asked(&auth, &top, "")["redirect_uri"], all);
    assert_eq!(asked(&auth, &top, &keys)["redirect_uri"], own);

    let (all, own) = (free_port(), free_port());
    let top = format!("mcp_oauth_callback_port = {all}");
    let keys = format!("oauth = {{ callback_port = {own} }}");
    let port = |keys: &str| {
        let uri = &asked(&auth, &top, keys)["redirect_uri"];
        url::Url::parse(uri).unwrap().port()
    };
    assert_eq!(port(""), Some(all));
    assert_eq!(port(&keys), Some(own));
}

/// Rows 5.oauth.client_metadata_url, 8.mcp_oauth_client_metadata_url, 5.oauth.client_id.
#[test]
fn a_client_is_a_document_or_was_registered_by_hand() {
    let auth = FakeAuth::start(AuthSettings {
        metadata: json!({"client_id_metadata_document_supported": true}),
        ..AuthSettings::default()
    });
    auth.register("by-hand", None, &["http://127.0.0.1:0/cb"]);
    let top = "mcp_oauth_client_metadata_url = \"https://all.example/codex.json\"";
    let own = "oauth = { client_metadata_url = \"https://own.example/codex.json\" }";
    let by_hand = "oauth = { client_id = \"by-hand\", callback_url = \"http://127.0.0.1:0/cb\" }";
    for (keys, client_id) in [
        ("", "https://all.example/codex.json"),
        (own, "https://own.example/codex.json"),
        (by_hand, "by-hand"),
    ] {
        assert_eq!(asked(&auth, top, keys)["client_id"], client_id);
    }
    assert!(auth.requests("/register").is_empty());
}

/// Row 5.oauth.authorization_server_issuer.
#[test]
fn an_issuer_that_is_pinned_is_the_only_one() {
    let auth = FakeAuth::start(AuthSettings::default());
    let right = format!(
        "oauth = {{ authorization_server_issuer = \"{}\" }}",
        auth.issuer()
    );
    assert!(asked(&auth, "", &right).contains_key("code_challenge"));
    let wrong = "oauth = { authorization_server_issuer = \"https://pinned.example\" }";
    let out = codex(&home(&auth, "", wrong), &["mcp", "login", "oa"]).run();
    assert_eq!(out.exit(), Some(1));
    assert!(
        out.stderr
            .contains("the config names `https://pinned.example`"),
        "{out}"
    );
    assert!(out.stderr.contains(&auth.issuer()), "{out}");
    assert!(auth.requests("/token").is_empty());
}

/// Rows 5.oauth.client_secret_env_var, 5.oauth.client_secret, 5.oauth.token_endpoint_auth_method.
#[test]
fn the_secret_of_a_client_comes_from_the_environment_or_from_the_file() {
    let auth = FakeAuth::start(AuthSettings::default());
    auth.register("me", Some("hush"), &[]);
    let keys = |more: &str| {
        format!(
            "oauth = {{ grant = \"client_credentials\", client_id = \"me\", \
             token_endpoint_auth_method = \"client_secret_post\", {more} }}"
        )
    };
    let whoami = |home: &TestHome, secret: Option<&str>| {
        let call = codex(home, &["mcp", "call", "oa", "whoami"]);
        match secret {
            Some(secret) => call.env("OA_SECRET", secret).run(),
            None => call.run(),
        }
    };
    let by_variable = home(&auth, "", &keys("client_secret_env_var = \"OA_SECRET\""));
    let out = whoami(&by_variable, Some("hush"));
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("ada\n", ""));
    let out = whoami(&by_variable, None);
    let unset = "Environment variable OA_SECRET for MCP server 'oa' is not set";
    assert!(out.stderr.contains(unset), "{out}");

    let in_clear = home(&auth, "", &keys("client_secret = \"hush\""));
    let out = whoami(&in_clear, None);
    assert_eq!(out.stdout, "ada\n");
    let moved = "warning: [CODEX_HOME]/config.toml:";
    assert!(out.to_string().contains(moved), "{out}");
    assert!(out.stderr.contains("is stored in clear"), "{out}");
    assert!(!out.to_string().contains("hush"), "{out}");
    for request in auth.requests("/token") {
        assert_eq!(request.param("client_secret"), Some("hush"));
    }
    assert_eq!(auth.requests("/token").len(), 2);
}

/// Rows 5.oauth.private_key_file, 5.oauth.assertion_file, 5.oauth.token_endpoint_auth_method.
#[test]
fn a_key_or_an_assertion_in_a_file_proves_who_we_are() {
    let auth = FakeAuth::start(AuthSettings::default());
    auth.register("me", None, &[]);
    let keys = "oauth = { grant = \"client_credentials\", client_id = \"me\", \
                token_endpoint_auth_method = \"private_key_jwt\", private_key_file = \"key.pem\" }";
    let by_key = home(&auth, "", keys);
    let made = rcgen::generate_simple_self_signed(["me".to_owned()]).unwrap();
    let file = by_key.write_file("key.pem", made.signing_key.serialize_pem());
    let readable_by = |mode| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        codex(&by_key, &["mcp", "call", "oa", "whoami"]).run()
    };
    let out = readable_by(0o644);
    assert!(out.stderr.contains("`oauth.private_key_file`"), "{out}");
    assert!(auth.requests("/token").is_empty());
    assert_eq!(readable_by(0o600).stdout, "ada\n");
    let request = &auth.requests("/token")[0];
    let assertion = request.param("client_assertion").unwrap_or_default();
    assert_eq!(assertion.split('.').count(), 3, "{assertion}");

    let keys = "oauth = { grant = \"jwt_bearer\", assertion_file = \"token\" }";
    let by_assertion = home(&auth, "", keys);
    by_assertion.write_file("token", "assertion-canary\n");
    let out = codex(&by_assertion, &["mcp", "call", "oa", "whoami"]).run();
    assert_eq!(out.stdout, "ada\n", "{out}");
    let requests = auth.requests("/token");
    assert_eq!(requests[1].param("assertion"), Some("assertion-canary"));
}
