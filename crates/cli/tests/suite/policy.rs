//! Requirements of the machine, against the real program: what is not allowed starts no process and
//! opens no connection, whatever the way round.

mod detours;
mod guarded;
mod logins;
mod server;

use codex_test_support::CommandOutput;
use insta::assert_snapshot;

use guarded::{Guarded, MODEL, PROGRAMS};

#[test]
fn the_gate_is_tested_with_traps_that_work() {
    // What is allowed is started and visited, in the same environment and by the same names.
    let Some(guarded) = Guarded::new() else {
        return;
    };
    let servers = [
        ("docs", "command = \"docs-mcp\""),
        ("web", "url = \"http://ADDRESS/ok\""),
        ("below", "url = \"http://ADDRESS/ok/mcp\""),
    ];
    for (name, line) in servers {
        guarded.user(&format!(
            "[mcp_servers.{name}]\n{line}\nstartup_timeout_sec = 1\n"
        ));
        guarded.run(&["mcp", "tools", name]);
        match name {
            "docs" => assert!(guarded.mark.exists()),
            _ => assert!(guarded.listener.accept().is_ok(), "{name}"),
        }
    }
    // Without requirements each of the names leads to the program.
    guarded.requirements("");
    for program in PROGRAMS {
        std::fs::remove_file(&guarded.mark).unwrap();
        guarded.user(&format!(
            "[mcp_servers.s]\ncommand = \"{program}\"\nstartup_timeout_sec = 1\n"
        ));
        guarded.run(&["mcp", "tools", "s"]);
        assert!(guarded.mark.exists(), "{program}");
    }
}

/// Each row: what is different, the server's name, its entry.
#[track_caller]
fn all_stay_off(rows: &[(&str, &str, &str)]) {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    for (what, name, entry) in rows {
        guarded.user(&format!("{MODEL}[mcp_servers.{name}]\n{entry}\n"));
        guarded.stays_off(name, &[], what);
    }
}

/// Row 10.command.
#[test]
fn a_program_that_is_written_differently_stays_off() {
    all_stay_off(&[
        ("another name", "evil", "command = \"PROGRAM\""),
        ("renamed", "docs2", "command = \"docs-mcp\""),
        ("another program", "docs", "command = \"PROGRAM\""),
        ("case of the name", "Docs", "command = \"docs-mcp\""),
        ("case of the command", "docs", "command = \"Docs-mcp\""),
        ("a longer name", "docs", "command = \"docs-mcp2\""),
        ("something before it", "docs", "command = \"my-docs-mcp\""),
        ("a space at the end", "docs", "command = \"docs-mcp \""),
        ("percent encoding", "docs", "command = \"docs%2dmcp\""),
        ("a link", "docs", "command = \"./docs-mcp2\""),
        (
            "a link of the same name",
            "docs",
            "command = \"./docs-mcp\"",
        ),
        (
            "the link of another name",
            "docs2",
            "command = \"./docs-mcp\"",
        ),
        (
            "a variable",
            "docs",
            "command = \"${EVIL}\"\nexpand_env = true",
        ),
        (
            "a default of a variable",
            "docs",
            "command = \"${NOT_SET:-Docs-mcp}\"\nexpand_env = true",
        ),
        ("required", "evil", "command = \"PROGRAM\"\nrequired = true"),
        (
            "turned off by its user",
            "evil",
            "command = \"PROGRAM\"\nenabled = false",
        ),
    ]);
}

/// Row 10.url.
#[test]
fn an_address_that_is_written_differently_stays_off() {
    all_stay_off(&[
        (
            "the other transport",
            "docs",
            "url = \"http://ADDRESS/docs-mcp\"",
        ),
        (
            "the name of another rule",
            "docs",
            "url = \"http://ADDRESS/ok\"",
        ),
        ("another path", "web", "url = \"http://ADDRESS/mcp\""),
        ("a slash at the end", "web", "url = \"http://ADDRESS/ok/\""),
        ("two slashes", "web", "url = \"http://ADDRESS//ok\""),
        ("case of the path", "web", "url = \"http://ADDRESS/OK\""),
        ("percent encoding", "web", "url = \"http://ADDRESS/%6fk\""),
        (
            "a path that is put in order",
            "web",
            "url = \"http://ADDRESS/mcp/../ok\"",
        ),
        ("a query", "web", "url = \"http://ADDRESS/ok?to=evil\""),
        (
            "another name of the host",
            "web",
            "url = \"http://localhost:PORT/ok\"",
        ),
        (
            "another spelling of the host",
            "web",
            "url = \"http://127.1:PORT/ok\"",
        ),
        ("case of the scheme", "web", "url = \"HTTP://ADDRESS/ok\""),
        (
            "user info",
            "web",
            "url = \"http://mcp.example.com@ADDRESS/ok\"\nexpand_env = true",
        ),
        (
            "a fragment",
            "web",
            "url = \"http://ADDRESS/ok#mcp\"\nexpand_env = true",
        ),
        (
            "the url in a query",
            "web",
            "url = \"http://ADDRESS/?http://ADDRESS/ok\"",
        ),
        (
            "the url of a variable",
            "web",
            "url = \"${URL}\"\nexpand_env = true",
        ),
        (
            "a default of a variable",
            "web",
            "url = \"http://ADDRESS/${NOT_SET:-mcp}\"\nexpand_env = true",
        ),
        (
            "a path that begins alike",
            "below",
            "url = \"http://ADDRESS/okay/mcp\"",
        ),
        ("the folder alone", "below", "url = \"http://ADDRESS/ok\""),
        (
            "out of the folder",
            "below",
            "url = \"http://ADDRESS/ok/../mcp\"",
        ),
        (
            "out of the folder, encoded",
            "below",
            "url = \"http://ADDRESS/ok/%2e%2e/mcp\"",
        ),
        (
            "another host below",
            "below",
            "url = \"http://localhost:PORT/ok/mcp\"",
        ),
        (
            "a static token",
            "web",
            "url = \"http://ADDRESS/mcp\"\nhttp_headers = { Authorization = \"Bearer x\" }",
        ),
        (
            "a helper",
            "web",
            "url = \"http://ADDRESS/mcp\"\nhttp_headers_helper = \"PROGRAM\"",
        ),
        (
            "a proxy",
            "web",
            "url = \"http://mcp.example.com/ok\"\nhttp = { proxy = \"http://ADDRESS\" }",
        ),
        (
            "a login of its own",
            "web",
            "url = \"http://ADDRESS/mcp\"\noauth = { client_id = \"c\", client_secret_env_var = \"EVIL\", grant = \"client_credentials\" }",
        ),
        (
            "a broken entry",
            "web",
            "url = \"http://ADDRESS/mcp\"\nscopes = 3",
        ),
    ]);
}

/// Row 10.one-place.
#[test]
fn what_verbs_write_stays_off() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    let project =
        r#"{"mcpServers": {"docs": {"command": "PROGRAM"}, "web": {"url": "http://ADDRESS/mcp"}}}"#;
    guarded.home.write_file(".mcp.json", guarded.fill(project));
    guarded.user(MODEL);
    guarded.run(&["mcp", "import"]).success();
    guarded.untouched("import");
    guarded.stays_off("docs", &[], "an imported program");
    guarded.stays_off("web", &[], "an imported address");

    guarded.user(&format!(
        "{MODEL}[mcp_servers.docs]\ncommand = \"docs-mcp\"\n[mcp_servers.web]\nurl = \"http://ADDRESS/ok\"\n"
    ));
    let add = ["mcp", "add", "--replace"];
    guarded
        .run(&[&add[..], &["docs", "--", "PROGRAM"]].concat())
        .success();
    guarded
        .run(&[&add[..], &["web", "--url", "http://ADDRESS/mcp"]].concat())
        .success();
    guarded.untouched("add --replace");
    guarded.stays_off("docs", &[], "a replaced program");
    guarded.stays_off("web", &[], "a replaced address");
}

#[test]
fn a_thread_that_goes_on_starts_nothing_either() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    guarded.user(MODEL);
    guarded.turn(&["hi"], &[]);
    guarded.user(&format!(
        "{MODEL}[mcp_servers.docs]\ncommand = \"PROGRAM\"\n[mcp_servers.web]\nurl = \"http://ADDRESS/mcp\"\n"
    ));
    let turn = guarded.turn(&["resume", "--last", "again"], &[]);
    guarded.is_told("docs", &turn, "resume");
    guarded.is_told("web", &turn, "resume");
    guarded.untouched("resume");
}

/// Rows 1.requirements, 10.one-place.
#[test]
fn no_layer_and_no_flag_leads_round_the_requirements() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    let evil = "[mcp_servers.docs]\ncommand = \"PROGRAM\"\n";
    guarded.user(MODEL);
    let command = guarded.fill("mcp_servers.docs.command=\"PROGRAM\"");
    guarded.stays_off("docs", &["-c", &command], "a flag");
    let on = ["-c", &command, "-c", "mcp_servers.docs.enabled=true"];
    guarded.stays_off("docs", &on, "turned on by a flag");

    let home = &guarded.home;
    std::fs::write(home.codex_home().join("w.config.toml"), guarded.fill(evil)).unwrap();
    guarded.stays_off("docs", &["-p", "w"], "a profile");
    std::fs::write(
        home.codex_home().join("managed_config.toml"),
        guarded.fill(evil),
    )
    .unwrap();
    guarded.stays_off("docs", &[], "a managed file of the home");
    std::fs::remove_file(home.codex_home().join("managed_config.toml")).unwrap();

    home.write_file(".git/HEAD", "");
    home.write_file(".codex/config.toml", guarded.fill(evil));
    let cwd = home.cwd();
    guarded.user(&format!(
        "{MODEL}[projects.{cwd:?}]\ntrust_level = \"trusted\"\n"
    ));
    guarded.stays_off("docs", &[], "a project");

    // A requirements file in the places of a user is no policy.
    home.write_file(".codex/requirements.toml", "");
    std::fs::write(home.codex_home().join("requirements.toml"), "").unwrap();
    guarded.stays_off("docs", &[], "a policy of the user's");
}

#[test]
fn nothing_that_edits_turns_a_refused_server_on() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    guarded.user("");
    let added = guarded.run(&["mcp", "add", "evil", "--url", "http://ADDRESS/mcp"]);
    assert_snapshot!(added, @"
    Added global MCP server 'evil'.
    [stderr]
    warning: `evil` is disabled: requirements (/etc/codex/requirements.toml)
    [exit 0]
    ");
    let theirs =
        r#"{"mcpServers": {"evil2": {"command": "PROGRAM"}, "docs": {"command": "docs-mcp"}}}"#;
    guarded.home.write_file("theirs.json", guarded.fill(theirs));
    let imported = guarded.run(&["mcp", "import", "theirs.json", "--dry-run"]);
    assert_snapshot!(imported.filtered_stderr(), @"warning: `evil2` is disabled: requirements (/etc/codex/requirements.toml): its name is not listed");
    let config = guarded.home.config();
    let enabled = guarded.run(&["mcp", "enable", "evil"]);
    assert_snapshot!(enabled, @"
    [stderr]
    Error: MCP server 'evil' is disabled by requirements (/etc/codex/requirements.toml).
    hint: its name is not listed
    [exit 1]
    ");
    assert_eq!(guarded.home.config(), config);
    guarded.user("[mcp_servers.evil]\ncommand = \"PROGRAM\"\nenabled = false\n");
    assert_eq!(guarded.run(&["mcp", "enable", "evil"]).exit(), Some(1));
    guarded.run(&["mcp", "remove", "evil"]).success();
    guarded.untouched("edits");
}

/// Row 10.fails-closed.
#[test]
fn one_malformed_entry_among_good_ones_allows_nothing_and_is_told() {
    let rules = "[mcp_server_allowlist.evil]\ncommand = \"PROGRAM\"\ncomand = 1\n[mcp_server_allowlist.docs]\ncommand = \"docs-mcp\"\n";
    let Some(guarded) = Guarded::new() else {
        return;
    };
    guarded.requirements(rules);
    guarded.user(&format!("{MODEL}[mcp_servers.evil]\ncommand = \"PROGRAM\"\n[mcp_servers.docs]\ncommand = \"docs-mcp\"\nenabled = false\n"));
    guarded.stays_off("evil", &[], "a malformed entry");
    let listed = guarded.run(&["mcp", "list", "--json"]);
    assert_snapshot!(listed.filtered_stderr(), @"warning: /etc/codex/requirements.toml:3:1: [mcp_server_allowlist.evil] allows nothing: `comand` is not a key that it can have");
    let servers = listed.json();
    assert_snapshot!(servers[1]["problems"], @r#"[{"severity":"error","message":"its entry allows nothing: `comand` is not a key that it can have (/etc/codex/requirements.toml:1:23)","file":"/etc/codex/requirements.toml","line":1,"column":23}]"#);
    // The good entry still works.
    assert_eq!(servers[0]["disabled_reason"], serde_json::Value::Null);
}

/// Row 10.unreadable.
#[test]
fn a_policy_that_cannot_be_read_stops_threads_and_nothing_else() {
    let Some(guarded) = Guarded::with("[mcp_servers\n") else {
        return;
    };
    guarded.user(&format!(
        "{MODEL}[mcp_servers.evil]\ncommand = \"PROGRAM\"\n"
    ));
    assert_snapshot!(guarded.run(&["mcp", "get", "evil"]), @"
    evil (disabled: requirements (/etc/codex/requirements.toml))
    [stderr]
    warning: /etc/codex/requirements.toml:1:13: unclosed table, expected `]`
      |
    1 | [mcp_servers
      |             ^
    The requirements cannot be read: every MCP server is off, and no thread starts.
    [exit 0]
    ");
    let exec = guarded.run(&["exec", "--skip-git-repo-check", "hi"]);
    assert_eq!(exec.exit(), Some(1));
    assert!(
        exec.stderr.contains("/etc/codex/requirements.toml:1:13"),
        "{exec}"
    );
    assert_eq!(guarded.run(&["mcp", "tools", "evil"]).exit(), Some(11));
    guarded.untouched("a broken policy");
}

/// Rows 10.unreadable, 10.look-alikes, 10.features.
#[test]
#[cfg(target_os = "linux")]
fn requirements_that_cannot_be_used_let_no_command_run() {
    let Some(guarded) = Guarded::with("") else {
        return;
    };
    let words = ["sandbox", "-s", "danger-full-access", "--", "touch", "x"];
    let touched = guarded.home.cwd().join("x");
    for unusable in [
        "not toml",
        "allowed_sandbox_modes = []\n",
        "allowed_sandbox_modes = [\"readonly\"]\n",
        "allowed_sandbox_mode = [\"read-only\"]\n",
        "Allowed_sandbox_modes = [\"read-only\"]\n",
        "sandbox_modes = [\"read-only\"]\n",
        "[features]\nunified_exe = false\n",
    ] {
        guarded.requirements(unusable);
        guarded.user(MODEL);
        let exec = guarded.run(&["exec", "--skip-git-repo-check", "hi"]);
        for refused in [guarded.run(&words), exec] {
            assert_eq!(refused.exit(), Some(1), "{unusable}\n{refused}");
            let error = refused.stderr.rsplit("Error: ").next().unwrap();
            let place = "/etc/codex/requirements.toml:";
            assert!(error.starts_with(place), "{unusable}\n{refused}");
        }
        assert!(!touched.exists(), "{unusable}");
    }
    guarded.requirements("allowed_sandbox_mode = [\"read-only\"]\n");
    assert_snapshot!(guarded.run(&words), @"
    [stderr]
    warning: /etc/codex/requirements.toml:1:1: `allowed_sandbox_mode` is not a requirement that this version knows; did you mean `allowed_sandbox_modes`? No thread starts until this is repaired.
    Error: /etc/codex/requirements.toml:1:1: `allowed_sandbox_mode` is not a requirement that this version knows; did you mean `allowed_sandbox_modes`? No thread starts until this is repaired.
    [exit 1]
    ");
    guarded.requirements("");
    guarded.run(&words).success();
    assert!(touched.exists());
}

/// Row 10.reason.
#[test]
fn the_policy_is_seen_in_every_view() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    guarded
        .user("[mcp_servers.docs]\ncommand = \"docs-mcp\"\n[mcp_servers.evil]\ncommand = \"x\"\n");
    let list = guarded.run(&["mcp", "list"]).success();
    assert!(
        list.stdout
            .contains("disabled: requirements (/etc/codex/requirements.toml)"),
        "{list}"
    );
    assert_snapshot!(guarded.run(&["mcp", "get", "evil"]), @"
    evil (disabled: requirements (/etc/codex/requirements.toml))
    [exit 0]
    ");
    let explained = guarded.run(&["mcp", "get", "evil", "--explain"]).success();
    let policy = |output: &CommandOutput| {
        let mut lines = output
            .stdout
            .lines()
            .filter(|line| line.starts_with("    policy"));
        lines.next().unwrap().to_owned()
    };
    assert_snapshot!(policy(&explained), @"    policy      refused    by /etc/codex/requirements.toml: its name is not listed");
    let allowed = guarded.run(&["mcp", "get", "docs", "--explain"]).success();
    assert_snapshot!(policy(&allowed), @"    policy      allowed    by [mcp_server_allowlist.docs] /etc/codex/requirements.toml:1");
    guarded.user("[mcp_servers.web]\nurl = \"http://ADDRESS/mcp\"\n");
    assert_snapshot!(guarded.run(&["mcp", "login", "web"]), @"
    [stderr]
    Error: the MCP server is disabled by managed requirements (/etc/codex/requirements.toml)
    hint: its url is not an allowed one (/etc/codex/requirements.toml:3:23)
    [exit 1]
    ");
    guarded.untouched("a login");
}

/// Rows 10.features, 10.constraints.
#[test]
fn features_and_policies_of_approval_are_pinned() {
    let Some(guarded) = Guarded::with(
        "allowed_sandbox_modes = [\"read-only\"]\nallowed_approval_policies = [\"untrusted\"]\n[features]\nview_image = false\n",
    ) else {
        return;
    };
    guarded.user(MODEL);
    let list = guarded
        .run(&["features", "list", "--json", "--enable", "view_image"])
        .success();
    let rows = list.json();
    let row = rows
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "view_image")
        .unwrap();
    assert_eq!(
        (row["enabled"].as_bool(), row["source"].as_str()),
        (Some(false), Some("requirements"))
    );
    assert_snapshot!(list.filtered_stderr(), @r#"
    note: `view_image` is set to false by requirements (/etc/codex/requirements.toml:4:1); nothing else changes it
    "#);
    assert_snapshot!(guarded.run(&["features", "enable", "view_image"]), @r#"
    [stderr]
    Error: feature `view_image` is set to false by requirements (/etc/codex/requirements.toml:4:1)
    [exit 1]
    "#);
    let turn = guarded.turn(&["hi"], &["-s", "danger-full-access"]);
    assert_snapshot!(turn.filtered_stderr(), @r#"
    Codex v0.1.0
    --------
    workdir: [CWD]
    model: gpt-5.5
    provider: openai
    approval: untrusted
    sandbox: read-only
    reasoning effort: medium
    reasoning summaries: none
    session id: [UUID]
    --------
    user
    hi
    warning: `approval_policy` = "never" is not allowed by /etc/codex/requirements.toml; allowed: "untrusted"
    warning: `sandbox_mode` = "danger-full-access" is not allowed by /etc/codex/requirements.toml; allowed: "read-only"
    codex
    done
    tokens used
    0
    "#);
}
