//! What somebody meets who sets up a first server and gets something wrong.

use std::io::{Read, Write};
use std::net::TcpListener;

use codex_test_support::{CommandOutput, FakeHttp, FakeHttpServer, HttpFault, TestHome};
use insta::assert_snapshot;

/// A web server without any MCP, as a wrong path finds it.
fn web_server() -> FakeHttpServer {
    let server = FakeHttp::new().start();
    let page = "<html><head><title>Nothing here</title></head><body>try /mcp</body></html>";
    let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
    for method in ["initialize", "server/discover"] {
        let page = HttpFault::StatusWith(404, headers.clone(), page.to_owned());
        server.fault_always(method, page);
    }
    server
}

fn run(home: &TestHome, words: &[&str]) -> CommandOutput {
    home.codex([&["mcp"], words].concat()).run()
}

#[test]
fn a_wrong_path_is_no_server_that_needs_no_login() {
    let (server, home) = (web_server(), TestHome::new());
    assert_snapshot!(run(&home, &["add", "web", "--url", &server.url()]), @r#"
    Added global MCP server 'web'.
    [stderr]
    note: MCP server `web` answered HTTP 404: a web page, "Nothing here" (text/html)
    hint: `codex mcp check web` looks at it step by step
    [exit 0]
    "#);
    assert_snapshot!(run(&home, &["login", "web"]), @r#"
    [stderr]
    Error: MCP server `web` answered HTTP 404: a web page, "Nothing here" (text/html)
    hint: check the path of the URL: MCP endpoints often end in `/mcp`
    [exit 1]
    "#);
    assert_snapshot!(run(&home, &["tools", "web"]), @r#"
    [stderr]
    Error: MCP server 'web' failed to start: answered HTTP 404: a web page, "Nothing here" (text/html)
    hint: check the path of the URL: MCP endpoints often end in `/mcp`
    [exit 15]
    "#);
}

#[test]
fn a_server_that_does_not_answer_is_added_and_named() {
    let home = TestHome::new();
    let port = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = format!("http://127.0.0.1:{port}/mcp");
    assert_snapshot!(run(&home, &["add", "dead", "--url", &url]), @"
    Added global MCP server 'dead'.
    MCP server may or may not require login. Run `codex mcp login dead` to login.
    [stderr]
    note: MCP server `dead` cannot be reached at `http://127.0.0.1:[PORT]/mcp`: connection refused
    hint: `codex mcp check dead` looks at it step by step
    [exit 0]
    ");
    assert!(home.config().contains("[mcp_servers.dead]"));
}

#[test]
fn https_for_a_plain_http_server_is_told_so() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            // Reading first: closing with unread bytes would reset the connection.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let home = TestHome::with_config(&format!(
        "[mcp_servers.plain]\nurl = \"https://127.0.0.1:{port}/mcp\"\n"
    ));
    assert_snapshot!(run(&home, &["tools", "plain"]), @"
    [stderr]
    Error: MCP server 'plain' failed to start: cannot be reached at `https://127.0.0.1:[PORT]/mcp`: the server does not speak TLS there
    hint: use http:// if a server without TLS is meant
    [exit 13]
    ");
    let check = run(&home, &["check", "plain"]);
    let hint = "  hint: use http:// if a server without TLS is meant\n";
    assert!(check.stdout.contains(hint), "{check}");
}

#[test]
fn a_server_that_is_off_says_how_it_is_turned_on() {
    let home = TestHome::with_config("[mcp_servers.x]\ncommand = \"p\"\nenabled = false\n");
    assert_snapshot!(run(&home, &["tools", "x"]), @r#"
    [stderr]
    Error: MCP server 'x' is disabled: enabled = false
    hint: `codex mcp enable x` turns it on
    hint: for this once: -c 'mcp_servers."x".enabled=true'
    [exit 11]
    "#);
    let check = run(&home, &["check", "x"]);
    assert!(
        check.stdout.contains("`codex mcp enable x` turns it on"),
        "{check}"
    );
}

#[test]
fn a_command_line_in_one_string_is_split_in_the_hint() {
    let home = TestHome::new();
    assert_snapshot!(run(&home, &["add", "x", "--", "codex-no-such-program -l /"]), @"
    Added global MCP server 'x'.
    [stderr]
    warning: `codex-no-such-program -l /` is taken as the name of one program; to give arguments: codex mcp add x -- codex-no-such-program -l /
    [exit 0]
    ");
    assert_snapshot!(run(&home, &["tools", "x"]), @"
    [stderr]
    Error: MCP server 'x' failed to start: could not be started: program not found on PATH: `codex-no-such-program -l /`
    hint: if that is a command line, split it: the command is `codex-no-such-program`, its args are `-l`, `/`
    [exit 12]
    ");
    let there = home.write_file("a program", "");
    let there = there.to_str().unwrap();
    assert_eq!(run(&home, &["add", "y", "--", there]).stderr, "");
}

#[test]
fn a_token_in_the_place_of_a_variable_s_name_is_never_shown() {
    let token = "sk-0123456789abcdef0123";
    let home = TestHome::with_config(&format!(
        "[mcp_servers.a]\nurl = \"http://127.0.0.1:1/\"\nbearer_token_env_var = \"{token}\"\n"
    ));
    assert_snapshot!(run(&home, &["list"]), @r#"
    Name  Url                  Bearer Token Env Var  Status                                                                 Auth       
    a     http://127.0.0.1:[PORT]/  -                     disabled: invalid ([CODEX_HOME]/config.toml:3:1)  Unsupported
    [stderr]
    warning: [CODEX_HOME]/config.toml:3:1: bearer_token_env_var is not the name of an environment variable
    in `mcp_servers.a.bearer_token_env_var`
    MCP server `a` is off until this is repaired.
    hint: put the token into an environment variable and set bearer_token_env_var = "NAME"
    [exit 0]
    "#);
    for words in [
        &["list", "--json"][..],
        &["get", "a", "--explain"],
        &["get", "a", "--json", "--show-secrets"],
        &["check", "a", "--json"],
        &["tools"],
        &["export", "--to", "mcp-json", "--show-secrets"],
    ] {
        let output = run(&home, words);
        assert!(!format!("{output}").contains(token), "{output}");
    }
    home.write_config(&format!(
        "model_provider = \"p\"\n[model_providers.p]\nname = \"P\"\nbase_url = \"http://127.0.0.1:1/\"\nenv_key = \"{token}\"\n"
    ));
    assert_snapshot!(home.codex(["exec", "--skip-git-repo-check", "-m", "m", "hi"]).run(), @"
    [stderr]
    Error: failed to load configuration

    Caused by:
        [CODEX_HOME]/config.toml:5:1: env_key is not the name of an environment variable; put the key into one and name it
        in `model_providers.p`
    [exit 1]
    ");
}
