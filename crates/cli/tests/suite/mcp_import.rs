//! `codex mcp import` and `export`: other clients' files in, and out again.

use std::process::Command;

use codex_test_support::{CommandOutput, FakeStdio, Journal, TestHome};
use insta::assert_snapshot;
use serde_json::Value;

fn import(home: &TestHome, more: &[&str]) -> CommandOutput {
    let fixed = ["mcp", "import"];
    home.codex(fixed.iter().chain(more)).run()
}

/// A project of another client: a file below the working directory.
fn project(config: &str, name: &str, text: &str) -> TestHome {
    let home = TestHome::with_config(config);
    let file = home.cwd().join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
    home
}

const MCP_JSON: &str = r#"{
  "mcpServers": {
    "docs": {"command": "docs-mcp"},
    "github": {"type": "http", "url": "https://api.example.com/mcp",
      "headers": {"Authorization": "Bearer ${GITHUB_TOKEN}", "X-Team": "${TEAM}", "X-Literal": "a"}},
    "old": {"type": "sse", "url": "https://old.example.com/sse"},
    "web": {"command": "web-mcp", "args": ["--root", "${ROOT:-/srv}"],
      "env": {"KEY": "${KEY}", "PORT": 4100}, "disabled": true, "timeout": 1500, "autoApprove": []}
  }
}"#;

#[test]
fn a_dry_run_says_what_the_run_will_do() {
    // `docs` stands in the project only, and `web` is broken in the file that is written.
    let config = "[mcp_servers.web]\nurl = 3\n";
    let home = project(config, ".mcp.json", MCP_JSON);
    home.write_file(".git/HEAD", "");
    home.write_file(
        ".codex/config.toml",
        "[mcp_servers.docs]\ncommand = \"other\"\n",
    );
    let trust = format!(
        "{config}[projects.{:?}]\ntrust_level = \"trusted\"\n",
        home.cwd()
    );
    home.write_config(&trust);
    for scope in ["user", "project"] {
        let fates = |more: &[&str]| {
            let output = import(&home, &[&["--json", "--scope", scope], more].concat());
            let entries = output.json()["entries"].clone();
            let fate = |entry: &Value| format!("{} {}", entry["name"], entry["result"]);
            entries.as_array().unwrap().iter().map(fate).collect()
        };
        let dry: Vec<String> = fates(&["--dry-run"]);
        assert_eq!(home.config().contains("docs"), scope == "project");
        let real: Vec<String> = fates(&[]);
        assert_eq!(dry, real, "{scope}");
        let kept = if scope == "user" { "web" } else { "docs" };
        assert!(dry.contains(&format!("{kept:?} \"kept\"")), "{dry:?}");
        assert_eq!(
            dry.iter().filter(|fate| fate.ends_with("\"kept\"")).count(),
            1
        );
    }
}

#[test]
fn entries_are_added_kept_and_skipped_in_one_edit() {
    let config = "# mine\n[mcp_servers.docs]\ncommand = \"other\" # keep\n";
    let home = project(config, ".mcp.json", MCP_JSON);
    let dry = import(&home, &["--dry-run"]);
    assert!(dry.stdout.starts_with("Would import 2 of 4"), "{dry}");
    assert_eq!(home.config(), config);
    assert_snapshot!(import(&home, &[]), @"
    Imported 2 of 4 MCP servers from .mcp.json (mcp-json).
      docs    kept (already configured; --replace overwrites)
      github  added: https://api.example.com/mcp
      old     skipped: the SSE transport is not supported
      web     added: web-mcp --root ${ROOT:-/srv}
    [stderr]
    note: web: `autoApprove` is not taken over
    note: set these variables: GITHUB_TOKEN, KEY, TEAM
    [exit 1]
    ");
    assert_snapshot!(home.config(), @r#"
        # mine
        [mcp_servers.docs]
        command = "other" # keep

        [mcp_servers.github]
        url = "https://api.example.com/mcp"
        bearer_token_env_var = "GITHUB_TOKEN"

        [mcp_servers.github.http_headers]
        X-Literal = "a"

        [mcp_servers.github.env_http_headers]
        X-Team = "TEAM"

        [mcp_servers.web]
        command = "web-mcp"
        args = ["--root", "${ROOT:-/srv}"]
        env_vars = ["KEY"]
        enabled = false
        tool_timeout_sec = 1.5
        expand_env = true

        [mcp_servers.web.env]
        PORT = "4100"
        "#);
    // What was imported is kept the next time.
    let again = import(&home, &["--json"]);
    assert_snapshot!(again.stdout, @r#"
    {
      "file": ".mcp.json",
      "dialect": "mcp-json",
      "entries": [
        {
          "name": "docs",
          "result": "kept",
          "reason": "already configured; --replace overwrites",
          "endpoint": null
        },
        {
          "name": "github",
          "result": "kept",
          "reason": "already configured; --replace overwrites",
          "endpoint": null
        },
        {
          "name": "old",
          "result": "skipped",
          "reason": "the SSE transport is not supported",
          "endpoint": null
        },
        {
          "name": "web",
          "result": "kept",
          "reason": "already configured; --replace overwrites",
          "endpoint": null
        }
      ],
      "variables": []
    }
    "#);
    let replaced = import(&home, &["--replace", "--only", "docs"]);
    assert_eq!(replaced.exit(), Some(0), "{replaced}");
    assert!(home.config().contains("docs-mcp"), "{}", home.config());
}

#[test]
fn each_dialect_is_read_in_its_own_spelling() {
    let vscode = r#"{
      // comments are allowed here
      "inputs": [{"id": "api-key", "type": "promptString", "password": true}],
      "servers": {
        "a": {"type": "stdio", "command": "${workspaceFolder}/bin/a", "envFile": "${workspaceFolder}/.env",
          "env": {"API_KEY": "${input:api-key}", "B": "${env:C}"}, /* and trailing commas */ },
      },
    }"#;
    let home = project("", ".vscode/mcp.json", vscode);
    std::fs::write(
        home.cwd().join(".env"),
        "# c\nexport TOKEN='from file'\nB=x\n",
    )
    .unwrap();
    let output = import(&home, &[]);
    assert_eq!(output.exit(), Some(0), "{output}");
    assert!(
        output.stdout.contains("from .vscode/mcp.json (vscode)"),
        "{output}"
    );
    let config = home
        .config()
        .replace(&*home.cwd().to_string_lossy(), "[CWD]");
    assert_snapshot!(config, @r#"
        [mcp_servers.a]
        command = "[CWD]/bin/a"
        env_vars = ["API_KEY"]
        expand_env = true

        [mcp_servers.a.env]
        B = "${C}"
        TOKEN = "from file"
        "#);

    let cursor = r#"{"mcpServers": {"c": {"command": "${userHome}/c", "args": ["${env:X}"]}}}"#;
    let home = project("", ".cursor/mcp.json", cursor);
    assert_eq!(import(&home, &[]).exit(), Some(0));
    assert!(
        home.config().contains("args = [\"${X}\"]"),
        "{}",
        home.config()
    );

    let home = TestHome::new();
    let output = home
        .codex(["mcp", "import", "-", "--from", "claude-desktop"])
        .stdin(r#"{"mcpServers": {"d": {"command": "d"}}}"#)
        .run();
    assert!(
        output
            .stdout
            .starts_with("Imported 1 of 1 MCP servers from stdin (claude-desktop)."),
        "{output}"
    );
}

#[test]
fn a_file_that_cannot_be_used_says_why_and_nothing_is_written() {
    let told = |name: &str, bytes: &[u8]| {
        let home = TestHome::new();
        home.write_file(name, bytes);
        let output = import(&home, &[name]);
        assert_eq!(output.exit(), Some(1), "{output}");
        assert_eq!(output.stdout, "", "{output}");
        assert!(!home.config_file().exists());
        output.filtered_stderr()
    };
    let servers = br#"{"servers": {}}"#;
    let home = TestHome::new();
    home.write_file("x.json", servers);
    assert_snapshot!(import(&home, &["x.json", "--from", "mcp-json"]), @"
        [stderr]
        Error: the file has no `mcpServers`

        Caused by:
            this looks like VS Code's `servers`
        hint: use `--from vscode`
        [exit 1]
        ");
    assert_snapshot!(told("twice.json", b"{\"mcpServers\": {\"a\": {}, \"a\": {}}}"), @"
        Error: cannot import from `twice.json`

        Caused by:
            it is not valid JSON: the key `a` stands twice at line 1 column 33
        ");
    let deep = format!("{{\"mcpServers\": {}", "{\"a\":".repeat(100_000));
    assert!(told("deep.json", deep.as_bytes()).contains("recursion limit exceeded"));
    assert_snapshot!(told("bytes.json", b"{\n\"mcpServers\": \"\xff\"}"), @"
        Error: cannot read `bytes.json`

        Caused by:
            line 2 is not valid UTF-8
        ");
    assert!(told("large.json", &vec![b' '; 50 * 1024 * 1024]).contains("larger than 4 MiB"));
    assert!(told("none.json", b"{}").contains("the file has no `mcpServers`"));
    assert!(told("list.json", b"[]").contains("it is not a JSON object"));
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let home = TestHome::new();
    let pipe = home.cwd().join("pipe.json");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    std::fs::create_dir(home.cwd().join("folder.json")).unwrap();
    for (name, why) in [
        ("pipe.json", "it is no regular file"),
        ("folder.json", "it is a directory"),
    ] {
        let output = import(&home, &[name]);
        assert!(output.stderr.contains(why), "{output}");
    }
    assert!(
        import(&home, &["missing.json"])
            .stderr
            .contains("No such file")
    );
    assert_snapshot!(import(&home, &[]), @"
        [stderr]
        Error: there is no .mcp.json, .vscode/mcp.json, .cursor/mcp.json in `[CWD]`
        hint: name the file: `codex mcp import PATH`
        [exit 1]
        ");
    std::fs::write(home.cwd().join(".mcp.json"), "{}").unwrap();
    std::fs::create_dir(home.cwd().join(".cursor")).unwrap();
    std::fs::write(home.cwd().join(".cursor/mcp.json"), "{}").unwrap();
    assert_snapshot!(import(&home, &[]), @"
        [stderr]
        error: this project has .mcp.json, .cursor/mcp.json

        hint: name the one to import from

        For more information, try '--help'.
        [exit 2]
        ");
}

#[test]
fn odd_entries_are_skipped_one_by_one() {
    let text = r#"{"mcpServers": {
      "bad name": {"command": "x"}, "both": {"command": "x", "url": "http://a/b"}, "neither": {},
      "list": [], "args": {"command": "x", "args": "y"}, "env": {"command": "x", "env": {"A": {}}},
      "type": {"type": "carrier-pigeon", "command": "x"}, "url": {"url": "not a url"},
      "ref": {"command": "${input:x}"}, "time": {"command": "x", "timeout": -1}, "good": {"command": "x"}
    }}"#;
    let home = project("", ".mcp.json", text);
    assert_snapshot!(import(&home, &[]), @"
    Imported 1 of 11 MCP servers from .mcp.json (mcp-json).
      args      skipped: `args` is not a list of texts
      bad name  skipped: invalid server name 'bad name' (use letters, numbers, '-', '_', ':', '@', '/', '.')
      both      skipped: it has both `command` and `url`
      env       skipped: `env.A` is not a text
      good      added: x
      list      skipped: its entry is not an object
      neither   skipped: it has neither `command` nor `url`
      ref       skipped: `${input:x}` is not supported
      time      skipped: `timeout` is no number of milliseconds
      type      skipped: the transport `carrier-pigeon` is not known
      url       skipped: its url is not an absolute http or https URL
    [exit 1]
    ");
    let near = import(&home, &["--only", "goood"]);
    assert!(near.stderr.contains("hint: did you mean `good`?"), "{near}");
}

#[test]
fn variables_come_from_a_file_of_the_project_only() {
    let entry =
        |path: &str| format!(r#"{{"servers": {{"a": {{"command": "a", "envFile": "{path}"}}}}}}"#);
    for path in ["${userHome}/.secrets", "../secrets", "inside/link"] {
        let home = project("", ".vscode/mcp.json", &entry(path));
        let secrets = home.home().join(".secrets");
        for file in [&secrets, &home.cwd().join("../secrets")] {
            std::fs::write(file, "TOKEN=hunter2\n").unwrap();
        }
        std::fs::create_dir(home.cwd().join("inside")).unwrap();
        std::os::unix::fs::symlink(&secrets, home.cwd().join("inside/link")).unwrap();
        let output = import(&home, &[]);
        assert_eq!(output.exit(), Some(1), "{output}");
        assert!(
            output.stdout.contains("it is outside of the project"),
            "{output}"
        );
        assert!(!home.config().contains("TOKEN"), "{path}");
    }
}

#[test]
fn what_looks_like_a_secret_is_not_shown_by_an_import() {
    let text = r#"{"mcpServers": {
      "a": {"command": "a", "args": ["--key=sk-abcdefghijklmnopqrstuvwxyz012345"]},
      "b": {"url": "https://b.example/mcp?token=hunter2"}
    }}"#;
    let home = project("", ".mcp.json", text);
    let output = import(&home, &["--dry-run"]);
    assert!(!output.stdout.contains("sk-abc"), "{output}");
    assert!(!output.stdout.contains("hunter2"), "{output}");
    assert!(output.stdout.contains("added: a *****"), "{output}");
}

#[test]
fn nothing_is_started_by_an_import() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().join("journal"));
    let fake = FakeStdio::new().noting_in(&journal);
    let entry =
        serde_json::json!({"mcpServers": {"x": {"command": fake.program(), "args": fake.args()}}});
    let home = project("", ".mcp.json", &entry.to_string());
    assert_eq!(import(&home, &[]).exit(), Some(0));
    assert!(journal.pids().is_empty());
    home.codex(["mcp", "tools", "x"]).run().success();
    assert!(!journal.pids().is_empty());
}

#[test]
fn an_export_shows_no_value_and_comes_back() {
    let config = r#"[mcp_servers.docs]
command = "docs-mcp"
args = ["--port", "4100"]
env = { KEY = "hunter2" }
env_vars = ["HOME"]
required = true

[mcp_servers.web]
url = "https://mcp.example.com/mcp"
bearer_token_env_var = "TOKEN"
http_headers = { X-Team = "hunter2" }
enabled = false
"#;
    let home = TestHome::with_config(config);
    let export = |more: &[&str]| {
        let fixed = ["mcp", "export", "--to"];
        home.codex(fixed.iter().chain(more)).run()
    };
    assert_snapshot!(export(&["mcp-json"]), @r#"
        {
          "mcpServers": {
            "docs": {
              "command": "docs-mcp",
              "args": [
                "--port",
                "4100"
              ],
              "env": {
                "HOME": "${HOME}",
                "KEY": "${KEY}"
              }
            },
            "web": {
              "type": "http",
              "url": "https://mcp.example.com/mcp",
              "headers": {
                "Authorization": "Bearer ${TOKEN}",
                "X-Team": "${X_TEAM}"
              },
              "disabled": true
            }
          }
        }
        [stderr]
        note: docs: a configured value became ${KEY}
        note: docs: dropped required
        note: web: a configured value became ${X_TEAM}
        [exit 0]
        "#);
    assert_snapshot!(export(&["claude-desktop", "web", "docs"]), @r#"
        {
          "mcpServers": {
            "docs": {
              "command": "docs-mcp",
              "args": [
                "--port",
                "4100"
              ],
              "env": {
                "HOME": "${HOME}",
                "KEY": "${KEY}"
              }
            }
          }
        }
        [stderr]
        warning: web is left out: claude-desktop has stdio servers only
        note: docs: a configured value became ${KEY}
        note: docs: dropped required
        [exit 1]
        "#);
    assert!(
        export(&["vscode", "docs"])
            .stdout
            .contains("\"${env:HOME}\"")
    );
    let whole = export(&["cursor", "--show-secrets"]);
    assert!(whole.stdout.contains("hunter2"), "{whole}");

    let written = export(&["mcp-json", "--show-secrets", "-o", "out.json"]);
    assert_eq!(
        (written.exit(), written.stdout.as_str()),
        (Some(0), ""),
        "{written}"
    );
    let again = export(&["mcp-json", "-o", "out.json"]);
    assert_eq!(again.exit(), Some(1), "{again}");
    let other = TestHome::new();
    let file = home.cwd().join("out.json");
    let output = import(&other, &[&file.to_string_lossy()]);
    assert!(output.stdout.starts_with("Imported 2 of 2"), "{output}");
    let listed = |home: &TestHome| {
        let servers = home
            .codex(["mcp", "list", "--json", "--show-secrets"])
            .run()
            .json();
        let keep = |server: &serde_json::Value| {
            serde_json::json!([server["name"], server["enabled"], server["transport"]])
        };
        servers
            .as_array()
            .unwrap()
            .iter()
            .map(keep)
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(&other), listed(&home));
}
