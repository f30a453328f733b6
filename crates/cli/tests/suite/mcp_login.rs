//! `codex mcp login` and `logout` from outside, against an authorization server that is strict.

use std::io::Read;
use std::time::Duration;

use codex_test_support::{
    AuthFault, AuthSettings, CodexCommand, DpopRule, FakeAuth, FakeHttp, TestHome, browser_follow,
    browser_get, codex_program,
};
use insta::assert_snapshot;

const LIMIT: Duration = Duration::from_secs(20);

/// A home with one server behind a login, and its logins in the file.
fn home(auth: &FakeAuth) -> TestHome {
    TestHome::with_config(&format!(
        "mcp_oauth_credentials_store = \"file\"\n[mcp_servers.oa]\nurl = \"{}\"\n",
        auth.mcp_url()
    ))
}

fn codex(home: &TestHome, words: &[&str]) -> CodexCommand {
    // No browser opens in a test: the test is the browser.
    home.codex(words).env("BROWSER", "true").limit(LIMIT)
}

/// Logs in by the browser and returns what the command printed.
pub(crate) fn log_in(home: &TestHome, words: &[&str]) -> String {
    let running = codex(home, words).spawn();
    let shown = running.wait_for_stdout("/authorize?");
    let shown = match shown.contains("state=") {
        true => shown,
        false => running.wait_for_stdout("state="),
    };
    let url = shown.lines().find(|line| line.contains("/authorize?"));
    let page = browser_follow(url.unwrap_or_default());
    assert_eq!(
        (page.status, page.body.as_str()),
        (200, "Authentication complete. You may close this window.")
    );
    running.wait().to_string()
}

fn status(home: &TestHome) -> serde_json::Value {
    let listed = codex(home, &["mcp", "list", "--json"]).run().json();
    listed[0].clone()
}

#[test]
fn a_login_by_browser_serves_tools_and_ends_with_a_logout() {
    let auth = FakeAuth::start(AuthSettings::default());
    let home = home(&auth);
    assert_eq!(status(&home)["auth_status"], "not_logged_in");
    assert_snapshot!(codex(&home, &["mcp", "tools", "oa"]).run(), @"
    [stderr]
    Error: The oa MCP server is not logged in. Run `codex mcp login oa`.
    [exit 14]
    ");

    let said = log_in(&home, &["mcp", "login", "oa"]);
    assert!(
        said.starts_with("Authorize `oa` by opening this URL in your browser:\n"),
        "{said}"
    );
    assert!(
        said.ends_with("\n\nSuccessfully logged in to MCP server 'oa'.\n[exit 0]"),
        "{said:?}"
    );

    assert_snapshot!(codex(&home, &["mcp", "call", "oa", "whoami"]).run(), @"
    ada
    [exit 0]
    ");
    let listed = status(&home);
    assert_eq!(listed["auth_status"], "o_auth");
    assert_eq!(listed["auth_detail"]["state"], "logged_in");
    assert_eq!(listed["auth_detail"]["backend"], "file");
    assert_eq!(listed["auth_detail"]["refreshable"], true);

    let issuer = auth.issuer();
    let out = codex(&home, &["mcp", "logout", "oa"]).run();
    assert_eq!(out.stdout, "Removed OAuth credentials for 'oa'.\n");
    assert!(
        out.stderr
            .starts_with(&format!("note: revoked at {issuer}\n")),
        "{}",
        out.stderr
    );
    assert!(!home.codex_home().join(".credentials.json").exists());
    assert_snapshot!(codex(&home, &["mcp", "logout", "oa"]).run(), @"
    No OAuth credentials stored for 'oa'.
    [exit 0]
    ");
    assert_eq!(status(&home)["auth_status"], "not_logged_in");
}

#[test]
fn a_token_that_the_server_no_longer_takes_is_renewed_and_stored() {
    let auth = FakeAuth::start(AuthSettings::default());
    let home = home(&auth);
    log_in(&home, &["mcp", "login", "oa"]);
    let file = home.codex_home().join(".credentials.json");
    let before = std::fs::read_to_string(&file).unwrap();
    auth.end_access_tokens();
    codex(&home, &["mcp", "tools", "oa"]).run().success();
    let after = std::fs::read_to_string(&file).unwrap();
    assert_ne!(before, after);
    codex(&home, &["mcp", "tools", "oa"]).run().success();
    let n_renewals = auth
        .requests("/token")
        .iter()
        .filter(|request| request.param("grant_type") == Some("refresh_token"))
        .count();
    assert_eq!(n_renewals, 1);
}

#[test]
fn a_pasted_callback_url_logs_in() {
    let auth = FakeAuth::start(AuthSettings::default());
    let home = home(&auth);
    let login = codex(&home, &["mcp", "login", "oa", "--no-browser"]);
    let mut login = login.stdin_stays_open().spawn();
    login.wait_for_stderr("Callback URL (input hidden): ");
    let shown = login.wait_for_stdout("state=");
    let (first, rest) = shown.split_once('\n').unwrap_or_default();
    assert_eq!(
        first,
        "Authorize the MCP server by opening this URL in your browser:"
    );
    // A browser elsewhere ends at an address that leads nowhere there.
    let page = browser_get(rest.trim());
    let callback = page.header("location").unwrap_or_default();
    login.type_line(callback);
    let out = login.wait();
    assert!(
        out.stdout
            .ends_with("Successfully logged in to MCP server 'oa'.\n"),
        "{out}"
    );
    codex(&home, &["mcp", "tools", "oa"]).run().success();
}

#[test]
fn a_code_alone_is_refused() {
    let auth = FakeAuth::start(AuthSettings::default());
    let home = home(&auth);
    let login = codex(&home, &["mcp", "login", "oa", "--no-browser"]);
    let out = login.stdin("just-a-code\n").run();
    assert!(
        out.stderr.ends_with(
            "\nError: this is not the whole callback URL; copy it from the browser's address bar\n"
        ),
        "{}",
        out.stderr
    );
    assert_eq!(out.exit(), Some(1));
    let out = codex(&home, &["mcp", "login", "oa", "--no-browser"]).run();
    assert!(
        out.stderr
            .ends_with("Error: No OAuth callback URL received before input closed\n"),
        "{}",
        out.stderr
    );
    assert_eq!(auth.requests("/token").len(), 0);
}

#[test]
fn a_secret_that_was_typed_outlives_the_denied_login_of_its_add() {
    let auth = FakeAuth::start(AuthSettings::default());
    let home = TestHome::with_config("mcp_oauth_credentials_store = \"file\"\n");
    let begin = |command: CodexCommand| {
        let running = command.spawn();
        let shown = running.wait_for_stdout("\n\n");
        let url = shown.lines().find(|line| line.contains("/authorize?"));
        let url = url::Url::parse(url.unwrap_or_default()).unwrap();
        let param = |name| {
            url.query_pairs()
                .find(|(known, _)| known == name)
                .unwrap()
                .1
        };
        let (callback, state) = (param("redirect_uri"), param("state"));
        auth.register("by-hand", Some("typed-canary"), &[&callback]);
        let denial = format!("?error=access_denied&iss={}&state={state}", auth.issuer());
        (running, format!("{callback}{denial}"), url.to_string())
    };
    let mcp_url = auth.mcp_url();
    let words = ["mcp", "add", "oa", "--url", &mcp_url, "--oauth-client-id"];
    let add = codex(&home, &words).arg("by-hand");
    let add = add.arg("--oauth-client-secret").arg("-");
    let (add, denial, _) = begin(add.stdin("typed-canary\n"));
    assert_eq!(browser_get(&denial).status, 400);
    let out = add.wait();
    assert_eq!(out.exit(), Some(1), "{out}");
    assert!(out.stderr.contains("`access_denied`"), "{out}");

    // Nobody types it again.
    let (login, _, url) = begin(codex(&home, &["mcp", "login", "oa"]));
    assert_eq!(browser_follow(&url).status, 200);
    login.wait().success();
    codex(&home, &["mcp", "tools", "oa"]).run().success();
}

#[test]
fn a_device_code_logs_in() {
    let auth = FakeAuth::start(AuthSettings::default());
    let home = home(&auth);
    let running = codex(&home, &["mcp", "login", "oa", "--device"]).spawn();
    let shown = running.wait_for_stdout("ABCD-EFGH");
    let issuer = auth.issuer();
    assert!(
        shown.contains(&format!(
            "Open {issuer}/activate and enter the code ABCD-EFGH\n"
        )),
        "{shown}"
    );
    auth.approve_device();
    let out = running.wait();
    assert!(
        out.stdout
            .ends_with("Successfully logged in to MCP server 'oa'.\n"),
        "{out}"
    );
    codex(&home, &["mcp", "tools", "oa"]).run().success();
}

#[test]
fn add_finds_the_login_and_makes_it() {
    let auth = FakeAuth::start(AuthSettings::default());
    let home = TestHome::with_config("mcp_oauth_credentials_store = \"file\"\n");
    let said = log_in(&home, &["mcp", "add", "oa", "--url", &auth.mcp_url()]);
    assert!(
        said.starts_with(
            "Added global MCP server 'oa'.\nDetected OAuth support. Starting OAuth flow…\n"
        ),
        "{said}"
    );
    assert!(
        said.ends_with("\n\nSuccessfully logged in.\n[exit 0]"),
        "{said}"
    );
    let out = codex(&home, &["mcp", "remove", "oa"]).run();
    assert_eq!(out.stdout, "Removed global MCP server 'oa'.\n");
    assert!(
        out.stderr.starts_with("note: removed the stored login\n"),
        "{out}"
    );
    assert!(!home.codex_home().join(".credentials.json").exists());
}

#[test]
fn a_login_that_nobody_finishes_ends_at_its_limit() {
    let auth = FakeAuth::start(AuthSettings::default());
    let out = codex(&home(&auth), &["mcp", "login", "oa", "--timeout", "0.2"]).run();
    assert_eq!(out.exit(), Some(1));
    assert_eq!(out.stderr, "Error: timed out waiting for OAuth callback\n");
}

/// A server whose tokens need nobody: `keys` of its entry, `top` before it.
fn unattended(auth: &FakeAuth, keys: &str, top: &str) -> TestHome {
    TestHome::with_config(&format!(
        "mcp_oauth_credentials_store = \"file\"\n{top}\n[mcp_servers.oa]\nurl = \"{}\"\n{keys}\n",
        auth.mcp_url()
    ))
}

/// Row 5.oauth.grant.
#[test]
fn a_workload_needs_no_login_and_says_what_it_lacks() {
    let auth = FakeAuth::start(AuthSettings::default());
    let keys = "oauth = { grant = \"jwt_bearer\", assertion_file = \"token\" }";
    let home = unattended(&auth, keys, "");
    let listed = status(&home);
    assert_eq!(listed["auth_status"], "not_logged_in");
    let why = listed["auth_detail"]["reason"].as_str().unwrap_or_default();
    assert!(why.starts_with("`oauth.assertion_file`: `"), "{listed}");
    let out = codex(&home, &["mcp", "tools", "oa"]).run();
    assert!(out.stderr.contains("`oauth.assertion_file`: `"), "{out}");
    assert_eq!(auth.requests("/token").len(), 0);

    home.write_file("token", "assertion-canary\n");
    assert_eq!(status(&home)["auth_status"], "o_auth");
    assert_snapshot!(codex(&home, &["mcp", "login", "oa"]).run(), @"
    MCP server 'oa' needs no login: its assertion was accepted.
    [exit 0]
    ");
    assert_snapshot!(codex(&home, &["mcp", "call", "oa", "whoami"]).run(), @"
    ada
    [exit 0]
    ");

    home.write_file("token", "refused-canary");
    let n_before = auth.requests("/token").len();
    let out = codex(&home, &["mcp", "tools", "oa"]).run();
    assert!(
        out.stderr
            .contains("the token endpoint answered `invalid_grant`"),
        "{out}"
    );
    assert!(!out.to_string().contains("canary"), "{out}");
    assert_eq!(auth.requests("/token").len(), n_before + 1);
}

/// Rows 8.mcp_enterprise_managed_auth.idp, 5.auth.
#[test]
fn an_identity_provider_decides_about_a_server_of_the_enterprise() {
    let auth = FakeAuth::start(AuthSettings::default());
    auth.register("at-server", Some("hush"), &[]);
    let idp = FakeAuth::start(AuthSettings::default());
    idp.register("at-idp", None, &[]);
    let top = format!(
        "[mcp_enterprise_managed_auth.idp]\nissuer = \"{}\"\nclient_id = \"at-idp\"\n\
         id_token_file = \"id.jwt\"\n",
        idp.issuer()
    );
    let keys =
        "auth = \"ema_auth\"\noauth = { client_id = \"at-server\", client_secret = \"hush\" }";
    let home = unattended(&auth, keys, &top);
    assert_eq!(status(&home)["auth_status"], "not_logged_in");
    home.write_file("../codex-home/id.jwt", "id-token-canary");
    assert_eq!(status(&home)["auth_status"], "o_auth");
    assert_snapshot!(codex(&home, &["mcp", "login", "oa"]).run(), @"
    MCP server 'oa' needs no login: the grant of your identity provider was accepted.
    [stderr]
    warning: [CODEX_HOME]/config.toml:10:36: the secret in `mcp_servers.oa.oauth.client_secret` is stored in clear
    hint: move it into an environment variable and set `client_secret_env_var` to its name
    [exit 0]
    ");
    assert_snapshot!(codex(&home, &["mcp", "call", "oa", "whoami"]).run(), @"
    ada
    [stderr]
    warning: [CODEX_HOME]/config.toml:10:36: the secret in `mcp_servers.oa.oauth.client_secret` is stored in clear
    hint: move it into an environment variable and set `client_secret_env_var` to its name
    [exit 0]
    ");
    assert!(auth.requests("/authorize").is_empty() && idp.requests("/authorize").is_empty());
}

#[test]
fn a_bound_login_serves_tools_in_later_runs_and_is_never_a_bearer_token() {
    let auth = FakeAuth::start(AuthSettings {
        dpop: Some(DpopRule::Nonces),
        ..AuthSettings::default()
    });
    let home = home(&auth);
    log_in(&home, &["mcp", "login", "oa"]);
    let call = || codex(&home, &["mcp", "call", "oa", "whoami"]).run();
    assert_snapshot!(call(), @"
    ada
    [exit 0]
    ");
    auth.end_access_tokens();
    assert_snapshot!(call(), @"
    ada
    [exit 0]
    ");
    let sent = auth.requests("/mcp").into_iter();
    let sent: Vec<_> = sent.filter_map(|request| request.authorization).collect();
    assert!(
        sent.len() > 4 && sent.iter().all(|it| it.starts_with("DPoP ")),
        "{sent:?}"
    );
    let out = codex(&home, &["mcp", "logout", "oa"]).run();
    assert_eq!(out.stdout, "Removed OAuth credentials for 'oa'.\n");
    assert!(!home.codex_home().join(".mcp-clients.json").exists());
}

#[test]
fn a_server_whose_nonce_is_never_right_is_asked_twice() {
    let auth = FakeAuth::start(AuthSettings {
        dpop: Some(DpopRule::Proofs),
        ..AuthSettings::default()
    });
    let home = home(&auth);
    log_in(&home, &["mcp", "login", "oa"]);
    let n_before = auth.requests("/mcp").len();
    for number in 0..9 {
        let challenge = "DPoP error=\"use_dpop_nonce\"".to_owned();
        let headers = vec![
            ("www-authenticate".to_owned(), challenge),
            ("dpop-nonce".to_owned(), format!("n{number}")),
        ];
        auth.script("/mcp", AuthFault::Raw(401, headers, String::new()));
    }
    let out = codex(&home, &["mcp", "tools", "oa"]).run();
    assert_snapshot!(out, @"
    [stderr]
    Error: MCP server 'oa' failed to start: cannot be asked: it keeps asking for a nonce in the proof of our key (DPoP)
    [exit 14]
    ");
    assert_eq!(auth.requests("/mcp").len(), n_before + 2);
}

#[test]
fn a_project_url_gets_no_token() {
    let auth = FakeAuth::start(AuthSettings::default());
    let thief = FakeHttp::new().require_bearer("any").start();
    let home = home(&auth);
    let headers = "http_headers = { \"X-Api-Key\" = \"key-canary\" }\n";
    home.write_config(&format!("{}{headers}", home.config()));
    log_in(&home, &["mcp", "login", "oa"]);
    home.write_file(".git/HEAD", "");
    let entry = format!("[mcp_servers.oa]\nurl = \"{}\"\n", thief.url());
    home.write_file(".codex/config.toml", &entry);
    let trusted = format!("[projects.{:?}]\ntrust_level = \"trusted\"\n", home.cwd());
    home.write_config(&format!("{}{trusted}", home.config()));

    let out = codex(&home, &["mcp", "tools", "oa"]).run();
    assert_eq!(out.exit(), Some(14), "{out}");
    let seen = thief.seen();
    assert!(!seen.is_empty(), "{out}");
    for request in seen {
        let shown = [request.header("authorization"), request.header("x-api-key")];
        assert_eq!(shown, [None, None]);
    }
    // Outside of the project the server is the user's, and the login is there as it was.
    let outside = codex(&home, &["mcp", "tools", "oa"]).current_dir(home.codex_home());
    outside.run().success();
}

#[test]
fn no_client_id_of_another_product_is_in_the_program() {
    // Codex of OpenAI, Visual Studio Code (at GitHub, and its document), Claude Code (likewise).
    let foreign = [
        "app_EMoamEEZ73f0CkXaXp7hrann",
        "01ab8ac9400c4e429b23",
        "vscode.dev/oauth",
        "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
        "claude.ai/oauth",
    ];
    let mut program = std::fs::File::open(codex_program()).unwrap();
    let (mut text, mut has_our_name) = (Vec::new(), false);
    loop {
        let n_read = program
            .by_ref()
            .take(1 << 20)
            .read_to_end(&mut text)
            .unwrap();
        let part = String::from_utf8_lossy(&text);
        has_our_name |= part.contains("codex-mcp-client");
        let found = foreign.iter().find(|id| part.contains(**id));
        assert_eq!(found, None);
        // What a border cuts is looked at again.
        let begin = text.len().saturating_sub(64);
        text.drain(..begin);
        if n_read == 0 {
            break;
        }
    }
    assert!(has_our_name, "the search finds what is there");
}
