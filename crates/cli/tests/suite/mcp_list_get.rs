//! `codex mcp list` and `codex mcp get`: the reference's tables to the byte, and our keys after its own.

use codex_test_support::TestHome;
use insta::assert_snapshot;

const SERVERS: &str = r#"
[mcp_servers.docs]
command = "docs-mcp"
args = ["--port", "4100"]
cwd = "/srv"
env = { DOCS_KEY = "hunter2" }
env_vars = ["USER", { name = "FOO", source = "local" }]
startup_timeout_sec = 12.5
tool_timeout_sec = 34
enabled_tools = ["x", "y"]
disabled_tools = ["z"]
default_tools_approval_mode = "prompt"
required = true
[mcp_servers.docs.tools.x]
approval_mode = "approve"
[mcp_servers.alpha]
command = "alpha"
enabled = false
[mcp_servers.figma]
url = "http://127.0.0.1:1/mcp?token=hunter2&x=1"
bearer_token_env_var = "FIG"
http_headers = { X-Team = "hunter2" }
env_http_headers = { X-Env = "TEAM_ENV" }
startup_timeout_sec = 3
scopes = ["files:read"]
oauth = { client_id = "c", client_secret = "hunter2" }
[mcp_servers.web]
url = "http://127.0.0.1:1/mcp"
"#;

#[test]
fn nothing_configured_says_what_to_do() {
    let home = TestHome::new();
    assert_snapshot!(home.codex(["mcp", "list"]).run(), @"
        No MCP servers configured yet. Try `codex mcp add my-tool -- my-command`.
        [exit 0]
        ");
    assert_snapshot!(home.codex(["mcp", "list", "--json"]).run(), @"
        []
        [exit 0]
        ");
}

#[test]
fn tables_show_stdio_first_and_no_secret() {
    let output = TestHome::with_config(SERVERS)
        .codex(["mcp", "list"])
        .run()
        .success();
    let visible_ends = output.filtered_stdout().replace(" \n", "$\n");
    assert_snapshot!(visible_ends, @"
        Name   Command   Args         Env                                    Cwd   Status    Auth      $
        alpha  alpha     -            -                                      -     disabled  Unsupported
        docs   docs-mcp  --port 4100  DOCS_KEY=*****, USER=*****, FOO=*****  /srv  enabled   Unsupported

        Name   Url                                     Bearer Token Env Var  Status   Auth       $
        figma  http://127.0.0.1:[PORT]/mcp?token=*****&x=1  FIG                   enabled  Bearer token
        web    http://127.0.0.1:[PORT]/mcp                  -                     enabled  Unknown    $
        ");
}

#[test]
fn the_layout_is_the_reference_s() {
    // Taken from 0.169.0 (2026-11-21); trailing blanks belong to it.
    let home = TestHome::with_config("[mcp_servers.a]\nurl = \"http://h/mcp\"\n");
    assert_eq!(
        home.codex(["mcp", "list"]).run().stdout,
        "Name  Url           Bearer Token Env Var  Status   Auth   \n\
         a     http://h/mcp  -                     enabled  Unknown\n"
    );
}

#[test]
fn json_has_every_key_in_a_fixed_order() {
    let home = TestHome::with_config(SERVERS);
    let output = home.codex(["mcp", "list", "--json"]).run().success();
    assert_snapshot!(output, @r#"
        [
          {
            "name": "alpha",
            "enabled": false,
            "disabled_reason": null,
            "transport": {
              "type": "stdio",
              "command": "alpha",
              "args": [],
              "env": null,
              "env_vars": [],
              "cwd": null
            },
            "startup_timeout_sec": null,
            "tool_timeout_sec": null,
            "auth_status": "unsupported",
            "enabled_tools": null,
            "disabled_tools": null,
            "required": false,
            "default_tools_approval_mode": null,
            "tools": {},
            "supports_parallel_tool_calls": false,
            "scopes": null,
            "oauth": null,
            "oauth_resource": null,
            "source": {
              "layer": "user",
              "file": "[CODEX_HOME]/config.toml",
              "line": 16
            },
            "auth_detail": {
              "state": "none",
              "backend": null,
              "expires_at": null,
              "refreshable": false,
              "issuer": null,
              "scopes": []
            },
            "problems": []
          },
          {
            "name": "docs",
            "enabled": true,
            "disabled_reason": null,
            "transport": {
              "type": "stdio",
              "command": "docs-mcp",
              "args": [
                "--port",
                "4100"
              ],
              "env": {
                "DOCS_KEY": "*****"
              },
              "env_vars": [
                "USER",
                {
                  "name": "FOO",
                  "source": "local"
                }
              ],
              "cwd": "/srv"
            },
            "startup_timeout_sec": 12.5,
            "tool_timeout_sec": 34.0,
            "auth_status": "unsupported",
            "enabled_tools": [
              "x",
              "y"
            ],
            "disabled_tools": [
              "z"
            ],
            "required": true,
            "default_tools_approval_mode": "prompt",
            "tools": {
              "x": {
                "approval_mode": "approve"
              }
            },
            "supports_parallel_tool_calls": false,
            "scopes": null,
            "oauth": null,
            "oauth_resource": null,
            "source": {
              "layer": "user",
              "file": "[CODEX_HOME]/config.toml",
              "line": 2
            },
            "auth_detail": {
              "state": "none",
              "backend": null,
              "expires_at": null,
              "refreshable": false,
              "issuer": null,
              "scopes": []
            },
            "problems": []
          },
          {
            "name": "figma",
            "enabled": true,
            "disabled_reason": null,
            "transport": {
              "type": "streamable_http",
              "url": "http://127.0.0.1:[PORT]/mcp?token=*****&x=1",
              "bearer_token_env_var": "FIG",
              "http_headers": {
                "X-Team": "*****"
              },
              "env_http_headers": {
                "X-Env": "TEAM_ENV"
              },
              "http_headers_helper": null
            },
            "startup_timeout_sec": 3.0,
            "tool_timeout_sec": null,
            "auth_status": "bearer_token",
            "enabled_tools": null,
            "disabled_tools": null,
            "required": false,
            "default_tools_approval_mode": null,
            "tools": {},
            "supports_parallel_tool_calls": false,
            "scopes": [
              "files:read"
            ],
            "oauth": {
              "client_id": "c",
              "client_secret": "*****",
              "callback_url": null,
              "callback_port": null,
              "token_endpoint_auth_method": null
            },
            "oauth_resource": null,
            "source": {
              "layer": "user",
              "file": "[CODEX_HOME]/config.toml",
              "line": 19
            },
            "auth_detail": {
              "state": "static",
              "backend": null,
              "expires_at": null,
              "refreshable": false,
              "issuer": null,
              "scopes": []
            },
            "problems": []
          },
          {
            "name": "web",
            "enabled": true,
            "disabled_reason": null,
            "transport": {
              "type": "streamable_http",
              "url": "http://127.0.0.1:[PORT]/mcp",
              "bearer_token_env_var": null,
              "http_headers": null,
              "env_http_headers": null,
              "http_headers_helper": null
            },
            "startup_timeout_sec": null,
            "tool_timeout_sec": null,
            "auth_status": "unknown",
            "enabled_tools": null,
            "disabled_tools": null,
            "required": false,
            "default_tools_approval_mode": null,
            "tools": {},
            "supports_parallel_tool_calls": false,
            "scopes": null,
            "oauth": null,
            "oauth_resource": null,
            "source": {
              "layer": "user",
              "file": "[CODEX_HOME]/config.toml",
              "line": 27
            },
            "auth_detail": {
              "state": "unknown",
              "backend": null,
              "expires_at": null,
              "refreshable": false,
              "issuer": null,
              "scopes": [],
              "reason": "cannot reach `http://127.0.0.1:[PORT]`: connection refused"
            },
            "problems": []
          }
        ]
        [stderr]
        warning: [CODEX_HOME]/config.toml:26:28: the secret in `mcp_servers.figma.oauth.client_secret` is stored in clear
        hint: move it into an environment variable and set `client_secret_env_var` to its name
        [exit 0]
        "#);
    assert_eq!(
        output.stdout,
        home.codex(["mcp", "list", "--json"]).run().stdout
    );
}

#[test]
fn get_shows_one_server_as_text() {
    let home = TestHome::with_config(SERVERS);
    assert_snapshot!(home.codex(["mcp", "get", "docs"]).run(), @"
        docs
          enabled: true
          enabled_tools: x, y
          disabled_tools: z
          transport: stdio
          command: docs-mcp
          args: --port 4100
          cwd: /srv
          env: DOCS_KEY=*****, USER=*****, FOO=*****
          startup_timeout_sec: 12.5
          tool_timeout_sec: 34
          default_tools_approval_mode: prompt
          remove: codex mcp remove docs
        [stderr]
        warning: [CODEX_HOME]/config.toml:26:28: the secret in `mcp_servers.figma.oauth.client_secret` is stored in clear
        hint: move it into an environment variable and set `client_secret_env_var` to its name
        [exit 0]
        ");
    assert_snapshot!(home.codex(["mcp", "get", "figma"]).run(), @"
        figma
          enabled: true
          transport: streamable_http
          url: http://127.0.0.1:[PORT]/mcp?token=*****&x=1
          bearer_token_env_var: FIG
          http_headers: X-Team=*****
          env_http_headers: X-Env=TEAM_ENV
          http_headers_helper: -
          startup_timeout_sec: 3
          remove: codex mcp remove figma
        [stderr]
        warning: [CODEX_HOME]/config.toml:26:28: the secret in `mcp_servers.figma.oauth.client_secret` is stored in clear
        hint: move it into an environment variable and set `client_secret_env_var` to its name
        [exit 0]
        ");
    assert_snapshot!(home.codex(["mcp", "get", "alpha"]).run(), @"
        alpha (disabled)
        [stderr]
        warning: [CODEX_HOME]/config.toml:26:28: the secret in `mcp_servers.figma.oauth.client_secret` is stored in clear
        hint: move it into an environment variable and set `client_secret_env_var` to its name
        [exit 0]
        ");
}

#[test]
fn get_json_has_its_own_order() {
    let home = TestHome::with_config(SERVERS);
    assert_snapshot!(home.codex(["mcp", "get", "alpha", "--json"]).run(), @r#"
        {
          "name": "alpha",
          "enabled": false,
          "disabled_reason": null,
          "transport": {
            "type": "stdio",
            "command": "alpha",
            "args": [],
            "env": null,
            "env_vars": [],
            "cwd": null
          },
          "enabled_tools": null,
          "disabled_tools": null,
          "startup_timeout_sec": null,
          "tool_timeout_sec": null,
          "auth_status": "unsupported",
          "required": false,
          "default_tools_approval_mode": null,
          "tools": {},
          "supports_parallel_tool_calls": false,
          "scopes": null,
          "oauth": null,
          "oauth_resource": null,
          "source": {
            "layer": "user",
            "file": "[CODEX_HOME]/config.toml",
            "line": 16
          },
          "auth_detail": {
            "state": "none",
            "backend": null,
            "expires_at": null,
            "refreshable": false,
            "issuer": null,
            "scopes": []
          },
          "problems": []
        }
        [stderr]
        warning: [CODEX_HOME]/config.toml:26:28: the secret in `mcp_servers.figma.oauth.client_secret` is stored in clear
        hint: move it into an environment variable and set `client_secret_env_var` to its name
        [exit 0]
        "#);
}

#[test]
fn configured_literals_are_shown_when_asked_for() {
    let home = TestHome::with_config(SERVERS);
    let hidden = home.codex(["mcp", "list", "--json"]).run().to_string();
    assert!(!hidden.contains("hunter2"));
    let shown = home
        .codex(["mcp", "list", "--json", "--show-secrets"])
        .run()
        .stdout;
    assert_eq!(
        shown.matches("hunter2").count(),
        3,
        "variable, header and URL, but not the client secret"
    );
    assert!(
        home.codex(["mcp", "get", "docs", "--show-secrets"])
            .run()
            .stdout
            .contains("DOCS_KEY=hunter2")
    );
}

#[test]
fn an_unknown_server_names_the_nearest() {
    let home = TestHome::with_config(SERVERS);
    assert_snapshot!(home.codex(["mcp", "get", "figam"]).run(), @"
        [stderr]
        warning: [CODEX_HOME]/config.toml:26:28: the secret in `mcp_servers.figma.oauth.client_secret` is stored in clear
        hint: move it into an environment variable and set `client_secret_env_var` to its name
        Error: No MCP server named 'figam' found.
        hint: did you mean `figma`?
        [exit 1]
        ");
    assert_snapshot!(home.codex(["mcp", "get", "nope"]).run(), @"
        [stderr]
        warning: [CODEX_HOME]/config.toml:26:28: the secret in `mcp_servers.figma.oauth.client_secret` is stored in clear
        hint: move it into an environment variable and set `client_secret_env_var` to its name
        Error: No MCP server named 'nope' found.
        [exit 1]
        ");
}

#[test]
fn wide_and_control_characters_cannot_break_a_table() {
    let home = TestHome::with_config(
        "[mcp_servers.\"日本\"]\ncommand = \"a\\u001b[2Jb\"\n[mcp_servers.x]\ncommand = \"y\"\n",
    );
    assert_snapshot!(home.codex(["mcp", "list"]).run(), @r#"
        Name  Command    Args  Env  Cwd  Status   Auth       
        x     y          -     -    -    enabled  Unsupported
        日本  a\x1b[2Jb  -     -    -    enabled  Unsupported
        [exit 0]
        "#);
}

/// Row 7.views.
#[test]
fn a_quarantined_server_keeps_the_shape() {
    let home = TestHome::with_config("[mcp_servers.a]\nurl = \"http://h/\"\nscopes = 3\n");
    let output = home.codex(["mcp", "get", "a", "--json"]).run();
    assert_snapshot!(output, @r#"
        {
          "name": "a",
          "enabled": false,
          "disabled_reason": "invalid ([CODEX_HOME]/config.toml:3:10)",
          "transport": {
            "type": "streamable_http",
            "url": "http://h/",
            "bearer_token_env_var": null,
            "http_headers": null,
            "env_http_headers": null,
            "http_headers_helper": null
          },
          "enabled_tools": null,
          "disabled_tools": null,
          "startup_timeout_sec": null,
          "tool_timeout_sec": null,
          "auth_status": "unsupported",
          "required": false,
          "default_tools_approval_mode": null,
          "tools": {},
          "supports_parallel_tool_calls": false,
          "scopes": null,
          "oauth": null,
          "oauth_resource": null,
          "source": {
            "layer": "user",
            "file": "[CODEX_HOME]/config.toml",
            "line": 1
          },
          "auth_detail": {
            "state": "none",
            "backend": null,
            "expires_at": null,
            "refreshable": false,
            "issuer": null,
            "scopes": []
          },
          "problems": [
            {
              "severity": "error",
              "message": "invalid type: integer `3`, expected an array",
              "file": "[CODEX_HOME]/config.toml",
              "line": 3,
              "column": 10
            }
          ]
        }
        [stderr]
        warning: [CODEX_HOME]/config.toml:3:10: invalid type: integer `3`, expected an array
        in `mcp_servers.a.scopes`
        MCP server `a` is off until this is repaired.
        [exit 0]
        "#);
}

#[test]
fn a_login_is_judged_before_anything_else() {
    let home = TestHome::with_config(SERVERS);
    assert_snapshot!(home.codex(["mcp", "login", "web"]).run(), @"
        [stderr]
        warning: [CODEX_HOME]/config.toml:26:28: the secret in `mcp_servers.figma.oauth.client_secret` is stored in clear
        hint: move it into an environment variable and set `client_secret_env_var` to its name
        Error: MCP server `web` cannot be reached at `http://127.0.0.1:[PORT]/mcp`: connection refused
        hint: check that the server runs and that the port is right
        [exit 1]
        ");
    assert_snapshot!(home.codex(["mcp", "login", "docs"]).run(), @"
        [stderr]
        warning: [CODEX_HOME]/config.toml:26:28: the secret in `mcp_servers.figma.oauth.client_secret` is stored in clear
        hint: move it into an environment variable and set `client_secret_env_var` to its name
        Error: OAuth login is only supported for streamable HTTP servers.
        [exit 1]
        ");
    assert_snapshot!(home.codex(["mcp", "login", "figma"]).run(), @"
        [stderr]
        warning: [CODEX_HOME]/config.toml:26:28: the secret in `mcp_servers.figma.oauth.client_secret` is stored in clear
        hint: move it into an environment variable and set `client_secret_env_var` to its name
        Error: MCP server 'figma' uses a bearer token from `FIG`; there is nothing to log in to.
        [exit 1]
        ");
    assert_snapshot!(home.codex(["mcp", "logout", "docs"]).run(), @"
        [stderr]
        warning: [CODEX_HOME]/config.toml:26:28: the secret in `mcp_servers.figma.oauth.client_secret` is stored in clear
        hint: move it into an environment variable and set `client_secret_env_var` to its name
        Error: OAuth logout is only supported for streamable_http transports.
        [exit 1]
        ");
    assert_snapshot!(home.codex(["mcp", "logout", "nope"]).run(), @"
        [stderr]
        warning: [CODEX_HOME]/config.toml:26:28: the secret in `mcp_servers.figma.oauth.client_secret` is stored in clear
        hint: move it into an environment variable and set `client_secret_env_var` to its name
        Error: No MCP server named 'nope' found in configuration.
        [exit 1]
        ");
}

#[test]
fn explain_tells_the_layer_of_each_key_and_what_the_child_gets() {
    let home = TestHome::with_config(SERVERS);
    let explain = |flags: &[&str]| {
        let words = ["mcp", "get", "--explain"].iter().chain(flags);
        let output = home.codex(words).env("USER", "ada").run().success();
        let text = output.filtered_stdout();
        text[text.find("  explain:").unwrap()..].to_owned()
    };
    assert_snapshot!(explain(&["docs", "-c", "mcp_servers.docs.tool_timeout_sec=5"]), @r#"
    explain:
      command                      user          [CODEX_HOME]/config.toml:3  "docs-mcp"
      args                         user          [CODEX_HOME]/config.toml:4  ["--port", "4100"]
      cwd                          user          [CODEX_HOME]/config.toml:5  "/srv"
      startup_timeout_sec          user          [CODEX_HOME]/config.toml:8  12.5
      tool_timeout_sec             command line  over user [CODEX_HOME]/config.toml:9  5
      enabled_tools                user          [CODEX_HOME]/config.toml:10  ["x", "y"]
      disabled_tools               user          [CODEX_HOME]/config.toml:11  ["z"]
      default_tools_approval_mode  user          [CODEX_HOME]/config.toml:12  "prompt"
      required                     user          [CODEX_HOME]/config.toml:13  true
      tools.x.approval_mode        user          [CODEX_HOME]/config.toml:15  "approve"
      policy                       none          servers are not restricted
      env DOCS_KEY                 env           [CODEX_HOME]/config.toml:6  *****
      env FOO                      env_vars      [CODEX_HOME]/config.toml:7  not set
      env HOME                     inherited
      env LANG                     inherited
      env PATH                     inherited
      env TMPDIR                   inherited
      env TZ                       inherited
      env USER                     env_vars      [CODEX_HOME]/config.toml:7  *****
    "#);
    assert_snapshot!(explain(&["figma"]), @r#"
    explain:
      url                   user                  [CODEX_HOME]/config.toml:20  "http://127.0.0.1:[PORT]/mcp?token=*****&x=1"
      bearer_token_env_var  user                  [CODEX_HOME]/config.toml:21  "FIG"
      startup_timeout_sec   user                  [CODEX_HOME]/config.toml:24  3
      scopes                user                  [CODEX_HOME]/config.toml:25  ["files:read"]
      oauth.client_id       user                  [CODEX_HOME]/config.toml:26  "c"
      oauth.client_secret   user                  [CODEX_HOME]/config.toml:26  *****
      policy                none                  servers are not restricted
      header X-Team         http_headers          [CODEX_HOME]/config.toml:22  *****
      header X-Env          env_http_headers      [CODEX_HOME]/config.toml:23  TEAM_ENV is not set
      header Authorization  bearer_token_env_var  [CODEX_HOME]/config.toml:21  FIG is not set
      login                 static                nothing stored
      redirect              login                 http://127.0.0.1/callback/l24hQIyQTSaa
    "#);
}

#[test]
fn explain_masks_what_may_be_a_secret_wherever_it_stands() {
    let home = TestHome::with_config(
        r#"[mcp_servers.a]
command = "x"
args = ["--key=sk-hunter2hunter2hunter2", "--plain"]
password = "hunter2"
tools."a.b".approval_mode = "approve"
environment = { API_KEY = "hunter2", LIMIT = 4711 }
[mcp_servers.a.extra.deep]
value = "hunter2"
[mcp_servers.h]
url = "https://h.example/mcp?token=hunter2"
http = { proxy = "http://me:hunter2@proxy.example:1" }
oauth = { client_id = "c", client_secret = "hunter2", secret = "hunter2" }
[mcp_servers.broken]
command = "x"
http_headers = "Bearer hunter2"
args = 3
name = "hunter2"
"#,
    );
    for name in ["a", "h", "broken"] {
        for json in [&["--explain"][..], &["--explain", "--json"]] {
            let words = [&["mcp", "get", name], json].concat();
            let output = home.codex(words).run().success();
            // Arguments are shown by `get` itself, as they always were.
            let explained = output.stdout.split_once("explain").unwrap().1;
            assert!(!explained.contains("hunter2"), "{output}");
            assert!(!explained.contains("4711"), "{output}");
        }
    }
    let text = |name: &str, more: &[&str]| {
        let words = [&["mcp", "get", name, "--explain"], more].concat();
        let text = home.codex(words).run().filtered_stdout();
        let lines = text.lines().filter(|line| line.contains("config.toml"));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(text("a", &[]), @r#"
    command                    user       [CODEX_HOME]/config.toml:2  "x"
    args                       user       [CODEX_HOME]/config.toml:3  ["--key=*****", "--plain"]
    password                   user       [CODEX_HOME]/config.toml:4  *****
    tools."a.b".approval_mode  user       [CODEX_HOME]/config.toml:5  "approve"
    environment.API_KEY        user       [CODEX_HOME]/config.toml:6  *****
    environment.LIMIT          user       [CODEX_HOME]/config.toml:6  *****
    extra.deep.value           user       [CODEX_HOME]/config.toml:8  *****
    "#);
    assert_snapshot!(text("h", &[]), @r#"
    url                  user     [CODEX_HOME]/config.toml:10  "https://h.example/mcp?token=*****"
    http.proxy           user     [CODEX_HOME]/config.toml:11  "http://me:*****@proxy.example:1"
    oauth.client_id      user     [CODEX_HOME]/config.toml:12  "c"
    oauth.client_secret  user     [CODEX_HOME]/config.toml:12  *****
    oauth.secret         user     [CODEX_HOME]/config.toml:12  *****
    "#);
    assert_snapshot!(text("broken", &[]), @r#"
    broken (disabled: invalid ([CODEX_HOME]/config.toml:15:16))
        command     user       [CODEX_HOME]/config.toml:14  *****
        args        user       [CODEX_HOME]/config.toml:16  *****
        name        user       [CODEX_HOME]/config.toml:17  *****
        problem     invalid    [CODEX_HOME]/config.toml:15  invalid type: string "…", expected a table
    "#);
    assert!(text("h", &["--show-secrets"]).contains("me:hunter2@proxy"));
}

/// Row 11.printing.
#[test]
fn what_is_printed_is_as_it_was_written() {
    let home = TestHome::with_config(
        "[mcp_servers.a]\ncommand = \"${PROG}\"\nargs = [\"--key=${KEY}\"]\nexpand_env = true\n\
         [mcp_servers.b]\nurl = \"http://127.0.0.1:1/${KEY:-h}\"\nexpand_env = true\n",
    );
    for words in [
        &["mcp", "list"][..],
        &["mcp", "list", "--json"],
        &["mcp", "get", "a"],
        &["mcp", "get", "b", "--explain"],
    ] {
        let command = home.codex(words).env("KEY", "hunter2").env("PROG", "prog");
        let output = command.run().success();
        assert!(output.stdout.contains("${"), "{words:?}: {output}");
        assert!(
            !output.to_string().contains("hunter2"),
            "{words:?}: {output}"
        );
    }
}

#[test]
fn explain_shows_why_a_server_is_off_and_adds_one_key_to_the_json() {
    let home = TestHome::with_config("[mcp_servers.a]\ncommand = \"x\"\nurl = \"http://h/\"\n");
    let output = home.codex(["mcp", "get", "a", "--explain"]).run();
    let problem = output.success().stdout;
    let problem = problem.lines().last().unwrap();
    assert!(
        problem.ends_with("  url is not supported for stdio"),
        "{problem}"
    );

    let plain = home
        .codex(["mcp", "get", "a", "--json"])
        .run()
        .success()
        .json();
    let mut explained = home
        .codex(["mcp", "get", "a", "--json", "--explain"])
        .run()
        .success()
        .json();
    let rows = explained
        .as_object_mut()
        .unwrap()
        .remove("explain")
        .unwrap();
    assert_eq!(explained, plain);
    assert_eq!(rows[0]["item"], "command");
    assert_eq!(rows[0]["places"][0]["line"], 2);
}
