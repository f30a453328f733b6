//! `codex mcp add` and `codex mcp remove`: one entry changes, everything else keeps its bytes.

use std::os::unix::fs::{PermissionsExt, symlink};

use codex_test_support::{CommandOutput, TestHome};
use insta::assert_snapshot;

const MINE: &str = "# mine\n[mcp_servers.a]\ncommand = \"x\" # keep\nenv = {  K='v' }\n";

fn add(home: &TestHome, args: &[&str]) -> CommandOutput {
    home.codex(["mcp", "add"].iter().chain(args)).run()
}

#[test]
fn an_edit_keeps_the_mode_of_the_file() {
    let home = TestHome::with_config(MINE);
    for mode in [0o640, 0o644, 0o600] {
        let wanted = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(home.config_file(), wanted).unwrap();
        add(&home, &["b", "--", "prog"]).success();
        home.codex(["mcp", "remove", "b"]).run().success();
        let found = std::fs::metadata(home.config_file()).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, mode);
    }
}

/// Row E1.
#[test]
fn a_command_is_added_and_the_neighbour_keeps_its_bytes() {
    let home = TestHome::with_config(MINE);
    assert_snapshot!(add(&home, &["b", "--env", "A=", "-e", "B=c=d", "--", "prog", "--flag", "x"]), @"
        Added global MCP server 'b'.
        [exit 0]
        ");
    let config = home.config();
    assert!(config.starts_with(MINE), "{config}");
    assert_snapshot!(&config[MINE.len()..], @r#"

        [mcp_servers.b]
        command = "prog"
        args = ["--flag", "x"]

        [mcp_servers.b.env]
        A = ""
        B = "c=d"
        "#);
}

#[test]
fn the_dashes_before_a_command_may_be_left_out() {
    let home = TestHome::new();
    add(&home, &["b", "prog", "-x"]).success();
    assert_snapshot!(home.config(), @r#"
        [mcp_servers.b]
        command = "prog"
        args = ["-x"]
        "#);
}

#[test]
fn a_url_that_nobody_answers_at_is_added_all_the_same() {
    let home = TestHome::new();
    let output = add(&home, &["web", "--url", "http://127.0.0.1:1/mcp"]);
    assert_eq!(output.exit(), Some(0), "{output}");
    assert_eq!(
        output.stdout,
        "Added global MCP server 'web'.\n\
         MCP server may or may not require login. Run `codex mcp login web` to login.\n"
    );
    assert_eq!(
        home.config(),
        "[mcp_servers.web]\nurl = \"http://127.0.0.1:1/mcp\"\n"
    );
}

#[test]
fn a_static_token_needs_no_login() {
    let home = TestHome::new();
    let url = ["--url", "https://h.example/mcp"];
    let run = |args: &[&str]| add(&home, &[args, &url].concat());
    assert_snapshot!(run(&["b", "--bearer-token-env-var", "TOK"]), @"
        Added global MCP server 'b'.
        [exit 0]
        ");
    assert_snapshot!(run(&["h", "-H", "Authorization: Bearer ${TOK}", "-H", "X-Env: ${TEAM}", "-H", "X-A: b"]), @"
        Added global MCP server 'h'.
        [exit 0]
        ");
    assert_snapshot!(run(&["n", "--no-login"]), @"
        Added global MCP server 'n'.
        [exit 0]
        ");
    assert_snapshot!(home.config(), @r#"
        [mcp_servers.b]
        url = "https://h.example/mcp"
        bearer_token_env_var = "TOK"

        [mcp_servers.h]
        url = "https://h.example/mcp"
        bearer_token_env_var = "TOK"

        [mcp_servers.h.http_headers]
        X-A = "b"

        [mcp_servers.h.env_http_headers]
        X-Env = "TEAM"

        [mcp_servers.n]
        url = "https://h.example/mcp"
        "#);
}

#[test]
fn every_flag_writes_its_key() {
    let home = TestHome::new();
    let args = [
        "s",
        "--env-var",
        "A,B",
        "--cwd",
        "sub",
        "--startup-timeout",
        "2.5",
        "--tool-timeout",
        "60",
        "--required",
        "--enabled-tools",
        "x,y",
        "--disabled-tools",
        "z",
        "--",
        "prog",
    ];
    add(&home, &args).success();
    assert_snapshot!(home.config().replace(&home.cwd().display().to_string(), "[CWD]"), @r#"
        [mcp_servers.s]
        command = "prog"
        env_vars = ["A", "B"]
        cwd = "[CWD]/sub"
        required = true
        startup_timeout_sec = 2.5
        tool_timeout_sec = 60
        enabled_tools = ["x", "y"]
        disabled_tools = ["z"]
        "#);
}

#[test]
fn a_name_that_exists_keeps_what_does_not_say_how_it_is_started() {
    let home = TestHome::with_config(
        "[mcp_servers.foo]\n# why\ncommand = \"old\" # which\nargs = [\"1\"]\nenv = { A = \"b\" }\n\
         tool_timeout_sec = 34\nfuture_key = 1\n[mcp_servers.foo.tools.drop]\napproval_mode = \"approve\"\n",
    );
    assert_snapshot!(add(&home, &["foo", "--", "new", "2"]), @"
        Added global MCP server 'foo'.
        [stderr]
        warning: Codex is ignoring 1 unrecognized configuration setting. Check for typos or deprecated settings.
          user ([CODEX_HOME]/config.toml:7:1): `mcp_servers.foo.future_key` is ignored.
        note: replaced how `foo` is started; kept tool_timeout_sec, future_key (use --replace for an empty start)
        note: dropped the approval of `drop`: it was given to another command or address
        note: dropped env
        [exit 0]
        ");
    assert_snapshot!(home.config(), @r#"
        [mcp_servers.foo]
        # why
        command = "new" # which
        args = ["2"]
        tool_timeout_sec = 34
        future_key = 1
        [mcp_servers.foo.tools.drop]
        "#);
}

/// Row E11.
#[test]
fn another_command_gets_no_approval_of_arguments_and_unknown_keys_stay() {
    let home = TestHome::with_config(
        "[mcp_servers.foo]\ncommand = \"old\"\n[mcp_servers.foo.tools.drop]\n\
         approve_when = { id = { min = 1 } }\nfuture_key = 1\n",
    );
    assert_snapshot!(add(&home, &["foo", "--", "new"]), @"
    Added global MCP server 'foo'.
    [stderr]
    warning: Codex is ignoring 1 unrecognized configuration setting. Check for typos or deprecated settings.
      user ([CODEX_HOME]/config.toml:5:1): `mcp_servers.foo.tools.drop.future_key` is ignored.
    note: replaced how `foo` is started
    note: dropped the approval of `drop`: it was given to another command or address
    [exit 0]
    ");
    assert_snapshot!(home.config(), @r#"
    [mcp_servers.foo]
    command = "new"
    [mcp_servers.foo.tools.drop]
    future_key = 1
    "#);
    let home = TestHome::with_config(
        "[mcp_servers.web]\nurl = \"http://127.0.0.1:1/a\"\n[mcp_servers.web.oauth]\nclient_id = \"c\"\nfuture_key = 1\n\
         [mcp_servers.web.http]\nno_proxy = \"*\"\nfuture_key = 2\n",
    );
    add(&home, &["web", "--url", "http://127.0.0.1:1/b"]).success();
    assert_snapshot!(home.config(), @r#"
    [mcp_servers.web]
    url = "http://127.0.0.1:1/b"
    [mcp_servers.web.oauth]
    future_key = 1
    [mcp_servers.web.http]
    no_proxy = "*"
    future_key = 2
    "#);
    add(&home, &["web", "--", "prog"]).success();
    assert_snapshot!(home.config(), @r#"
    [mcp_servers.web]
    command = "prog"
    "#);
}

/// Row E11.
#[test]
fn the_same_command_again_changes_nothing_and_says_nothing() {
    let home = TestHome::new();
    add(&home, &["foo", "--", "prog", "x"]).success();
    let (before, changed) = (
        home.config(),
        std::fs::metadata(home.config_file())
            .unwrap()
            .modified()
            .unwrap(),
    );
    assert_eq!(
        add(&home, &["foo", "--", "prog", "x"]).to_string(),
        "Added global MCP server 'foo'.\n[exit 0]"
    );
    assert_eq!(home.config(), before);
    assert_eq!(
        std::fs::metadata(home.config_file())
            .unwrap()
            .modified()
            .unwrap(),
        changed
    );
}

#[test]
fn replace_begins_with_an_empty_entry() {
    let home = TestHome::with_config(
        "# mine\n[mcp_servers.foo]\ncommand = \"old\"\ntool_timeout_sec = 34\nx = 1\n\n[z]\n",
    );
    add(&home, &["foo", "--replace", "--", "new"]).success();
    assert_eq!(
        home.config(),
        "# mine\n[mcp_servers.foo]\ncommand = \"new\"\n\n[z]\n"
    );
}

#[test]
fn what_is_dropped_is_named_and_no_value_of_it() {
    let home = TestHome::with_config(
        "[mcp_servers.foo]\ncommand = \"old\"\nargs = [\"hush\"]\nenv_vars = [\"V\"]\ncwd = \"/\"\nenv = { A = \"hush\", B = \"hush\" }\n",
    );
    assert_snapshot!(add(&home, &["foo", "--env", "B=new", "--", "prog"]), @"
        Added global MCP server 'foo'.
        [stderr]
        note: replaced how `foo` is started
        note: dropped args, env_vars, cwd, env.A
        [exit 0]
        ");
}

#[test]
fn another_transport_takes_the_keys_of_the_old_one_away() {
    let home = TestHome::with_config(
        "[mcp_servers.foo]\ncommand = \"old\"\ninherit_env = true\nrequired = true\n",
    );
    assert_snapshot!(add(&home, &["foo", "--no-login", "--url", "https://h.example/"]), @"
        Added global MCP server 'foo'.
        [stderr]
        note: replaced how `foo` is started; kept required (use --replace for an empty start)
        note: dropped inherit_env
        [exit 0]
        ");
    assert_eq!(
        home.config(),
        "[mcp_servers.foo]\nrequired = true\nurl = \"https://h.example/\"\n"
    );
}

#[test]
fn usage_errors_come_before_anything_is_written() {
    let home = TestHome::new();
    assert_snapshot!(add(&home, &["x"]), @"
        [stderr]
        error: the following required arguments were not provided:
          <COMMAND|--url <URL>>

        Usage: codex mcp add [OPTIONS] <NAME> (--url <URL> | -- <COMMAND>...)

        For more information, try '--help'.
        [exit 2]
        ");
    assert_snapshot!(add(&home, &["x", "--url", "http://h/", "--", "y"]), @"
        [stderr]
        error: the argument '--url <URL>' cannot be used with '[COMMAND]...'

        Usage: codex mcp add [OPTIONS] <NAME> (--url <URL> | -- <COMMAND>...)

        For more information, try '--help'.
        [exit 2]
        ");
    assert_snapshot!(add(&home, &["x", "--env", "C", "--", "y"]), @"
        [stderr]
        error: invalid value 'C' for '--env <KEY=VALUE>': environment entries must be in KEY=VALUE form

        For more information, try '--help'.
        [exit 2]
        ");
    assert_snapshot!(add(&home, &["x", "--env", "A=b", "--url", "http://h/"]), @"
        [stderr]
        error: the argument '--env <KEY=VALUE>' cannot be used with '--url <URL>'

        Usage: codex mcp add [OPTIONS] <NAME> (--url <URL> | -- <COMMAND>...)

        For more information, try '--help'.
        [exit 2]
        ");
    assert_snapshot!(add(&home, &["x", "--bearer-token-env-var", "T", "--", "y"]), @"
        [stderr]
        error: the argument '--bearer-token-env-var <ENV_VAR>' cannot be used with '[COMMAND]...'

        Usage: codex mcp add [OPTIONS] <NAME> (--url <URL> | -- <COMMAND>...)

        For more information, try '--help'.
        [exit 2]
        ");
    assert_snapshot!(add(&home, &["x", "--url", "notaurl"]), @"
        [stderr]
        error: invalid value 'notaurl' for '--url <URL>': it is not an absolute http or https URL

        For more information, try '--help'.
        [exit 2]
        ");
    assert_snapshot!(add(&home, &["x", "--url", "localhost:3001/mcp"]), @"
        [stderr]
        error: invalid value 'localhost:[PORT]/mcp' for '--url <URL>': it is not an absolute http or https URL

        hint: put http:// or https:// in front of it

        For more information, try '--help'.
        [exit 2]
        ");
    assert_snapshot!(add(&home, &["x", "--url", "http://u:p@h/"]), @"
        [stderr]
        error: invalid value 'http://u:*****@h/' for '--url <URL>': it must not contain a user name or password

        For more information, try '--help'.
        [exit 2]
        ");
    assert_snapshot!(add(&home, &["x", "https://h/mcp"]), @"
        [stderr]
        error: the command `https://h/mcp` is a URL

        hint: use `codex mcp add x --url <URL>`

        For more information, try '--help'.
        [exit 2]
        ");
    assert_snapshot!(add(&home, &["x", "--scope", "local", "--", "y"]), @"
        [stderr]
        error: invalid value 'local' for '--scope <SCOPE>'
          [possible values: user, project]

        For more information, try '--help'.
        [exit 2]
        ");
    assert_eq!(home.config(), "");
}

#[test]
fn a_secret_in_the_wrong_place_is_refused_and_not_printed_back() {
    let home = TestHome::new();
    let token = "sk-0123456789abcdef0123";
    assert_snapshot!(add(&home, &["x", "--bearer-token-env-var", token, "--url", "http://h/"]), @"
        [stderr]
        error: invalid value for '--bearer-token-env-var <ENV_VAR>': this is not the name of a variable

        hint: export the value as a variable and give its name here

        For more information, try '--help'.
        [exit 2]
        ");
    for token in [
        "my-token-0123456789",
        "two words",
        "ghp_0123456789abcdef0123",
        "1A",
        "",
    ] {
        let args = ["x", "--bearer-token-env-var", token, "--url", "http://h/"];
        let output = add(&home, &args);
        assert_eq!(output.exit(), Some(2), "{output}");
        assert!(
            token.is_empty() || !output.stderr.contains(token),
            "{output}"
        );
    }
    assert_snapshot!(add(&home, &["x", "--env-var", "A,TOKEN=hunter2", "--", "y"]), @"
        [stderr]
        error: invalid value for '--env-var <NAME,NAME>': this is not the name of a variable

        hint: export the value as a variable and give its name here

        For more information, try '--help'.
        [exit 2]
        ");
    let header = format!("Authorization Bearer {token}");
    assert_snapshot!(add(&home, &["x", "-H", &header, "--url", "http://h/"]), @"
        [stderr]
        error: invalid value for '--header <NAME: VALUE>': headers must be in `NAME: VALUE` form

        For more information, try '--help'.
        [exit 2]
        ");
    assert_snapshot!(add(&home, &["x", "https://h/mcp?token=hunter2"]), @"
        [stderr]
        error: the command `https://h/mcp?token=*****` is a URL

        hint: use `codex mcp add x --url <URL>`

        For more information, try '--help'.
        [exit 2]
        ");
    assert_eq!(home.config(), "");
}

#[test]
fn an_empty_command_and_a_negative_limit_are_refused() {
    let home = TestHome::new();
    assert_snapshot!(add(&home, &["x", "--", ""]), @"
        [stderr]
        error: the command is empty

        For more information, try '--help'.
        [exit 2]
        ");
    assert_snapshot!(add(&home, &["x", "--startup-timeout", "-1", "--", "y"]), @"
        [stderr]
        error: invalid value '-1' for '--startup-timeout <SECS>': a number of seconds, 0 or more, is expected

        For more information, try '--help'.
        [exit 2]
        ");
    assert_eq!(home.config(), "");
}

#[test]
fn a_bad_name_is_refused() {
    assert_snapshot!(add(&TestHome::new(), &["bad name", "--", "x"]), @"
        [stderr]
        Error: invalid server name 'bad name' (use letters, numbers, '-', '_', ':', '@', '/', '.')
        [exit 1]
        ");
}

#[test]
fn a_client_that_was_registered_by_hand_is_written_with_its_callback_url() {
    let home = TestHome::new();
    let words = [
        "x",
        "--oauth-client-id",
        "c",
        "--no-login",
        "--url",
        "https://mcp.example.com/mcp",
    ];
    assert_snapshot!(add(&home, &words), @"
        Added global MCP server 'x'.
        OAuth callback URL: http://127.0.0.1/callback/epMNJ6P1xGQ9
        [exit 0]
        ");
    assert_snapshot!(home.config(), @r#"
    [mcp_servers.x]
    url = "https://mcp.example.com/mcp"

    [mcp_servers.x.oauth]
    client_id = "c"
    callback_url = "http://127.0.0.1/callback/epMNJ6P1xGQ9"
    "#);
}

#[test]
fn add_with_secret_leaves_config_clean() {
    let home = TestHome::with_config("mcp_oauth_credentials_store = \"file\"\n");
    let words = [
        "mcp",
        "add",
        "x",
        "--oauth-client-id",
        "c",
        "--oauth-client-secret",
        "-",
    ];
    let command = home.codex(words).arg("--no-login");
    let command = command.arg("--url").arg("https://mcp.example.com/mcp");
    let output = command.stdin("canary-secret\n").run().success();
    assert!(!output.to_string().contains("canary"), "{output}");
    assert!(!home.config().contains("canary"));
    let file = home.codex_home().join(".mcp-clients.json");
    let kept = || std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept().contains("canary-secret"), "{}", kept());

    // It is configuration: a logout leaves it, and it goes with its server.
    home.codex(["mcp", "logout", "x"]).run().success();
    assert!(kept().contains("canary-secret"), "{}", kept());
    assert_snapshot!(home.codex(["mcp", "remove", "x"]).run(), @"
    Removed global MCP server 'x'.
    [stderr]
    note: removed the stored client
    [exit 0]
    ");
    assert!(!kept().contains("canary-secret"), "{}", kept());
}

#[test]
fn secrets_in_clear_and_open_networks_are_warned_about() {
    let home = TestHome::new();
    let token = "sk-0123456789abcdef0123";
    assert_snapshot!(add(&home, &["a", "--env", "GITHUB_TOKEN=hunter2", "--", "prog", token]), @"
        Added global MCP server 'a'.
        [stderr]
        warning: an argument that looks like a secret is stored in clear; prefer --env-var / --bearer-token-env-var
        warning: the value of `GITHUB_TOKEN` is stored in clear; prefer --env-var / --bearer-token-env-var
        [exit 0]
        ");
    let open = [
        "b",
        "--no-login",
        "-H",
        "X-Api-Key: hunter2",
        "--url",
        "http://h.example/",
    ];
    assert_snapshot!(add(&home, &open), @"
        Added global MCP server 'b'.
        [stderr]
        warning: http:// sends everything in clear over the network; prefer https://
        warning: the value of `X-Api-Key` is stored in clear; prefer --env-var / --bearer-token-env-var
        [exit 0]
        ");
    let flag = format!("--api-key={token}");
    assert_snapshot!(add(&home, &["c", "--", "prog", &flag]), @"
        Added global MCP server 'c'.
        [stderr]
        warning: an argument that looks like a secret is stored in clear; prefer --env-var / --bearer-token-env-var
        [exit 0]
        ");
    assert_snapshot!(add(&home, &["d", "--no-login", "--url", "https://h.example/?key=hunter2"]), @"
        Added global MCP server 'd'.
        [stderr]
        warning: a part of the URL that looks like a secret is stored in clear; prefer --env-var / --bearer-token-env-var
        [exit 0]
        ");
}

#[test]
fn fifty_adds_at_once_leave_fifty_servers() {
    let home = TestHome::with_config("# mine\n");
    let running: Vec<_> = (0..50)
        .map(|number| {
            home.codex(["mcp", "add", &format!("s{number}"), "--", "prog"])
                .spawn()
        })
        .collect();
    for codex in running {
        codex.wait().success();
    }
    let listed = home.codex(["mcp", "list", "--json"]).run().success().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(50));
    assert!(home.config().starts_with("# mine\n"));
}

/// Row E10.
#[test]
fn a_read_only_file_is_respected() {
    let home = TestHome::with_config(MINE);
    let read_only = std::fs::Permissions::from_mode(0o400);
    std::fs::set_permissions(home.config_file(), read_only).unwrap();
    assert_snapshot!(add(&home, &["b", "--", "prog"]), @"
        [stderr]
        Error: `[CODEX_HOME]/config.toml` is read-only
        hint: make it writable: `chmod u+w [CODEX_HOME]/config.toml`
        [exit 1]
        ");
    assert_eq!(home.config(), MINE);
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    // Not even root may write there.
    let output = TestHome::new()
        .codex(["mcp", "add", "b", "--", "prog"])
        .env("CODEX_HOME", "/proc")
        .run();
    assert_snapshot!(output, @"
        [stderr]
        Error: cannot lock `/proc/.config.lock`

        Caused by:
            No such file or directory (os error 2)
        [exit 1]
        ");
}

/// Row E5.
#[test]
fn a_linked_config_stays_a_link() {
    let home = TestHome::new();
    let real = home.write_file("dotfiles/codex.toml", MINE);
    symlink(&real, home.config_file()).unwrap();
    add(&home, &["b", "--", "prog"]).success();
    assert!(
        std::fs::symlink_metadata(home.config_file())
            .unwrap()
            .is_symlink()
    );
    assert!(
        std::fs::read_to_string(real)
            .unwrap()
            .contains("[mcp_servers.b]")
    );
}

/// Row E5.
#[test]
fn a_link_that_leads_nowhere_is_refused() {
    let home = TestHome::new();
    symlink("/no/such/file", home.config_file()).unwrap();
    assert_snapshot!(add(&home, &["b", "--", "prog"]), @"
        [stderr]
        Error: `[CODEX_HOME]/config.toml` is a link to a file that does not exist
        [exit 1]
        ");
}

/// Row E2.
#[test]
fn remove_takes_one_entry_and_its_comment() {
    let home = TestHome::with_config(&format!(
        "{MINE}\n# about b\n[mcp_servers.b]\ncommand = \"y\"\n[mcp_servers.b.env]\nA = \"1\"\n\n# tail\n"
    ));
    assert_snapshot!(home.codex(["mcp", "remove", "b"]).run(), @"
        Removed global MCP server 'b'.
        [exit 0]
        ");
    assert_eq!(home.config(), format!("{MINE}\n# tail\n"));
}

#[test]
fn removing_what_is_not_there_is_fine() {
    let home = TestHome::with_config(MINE);
    assert_snapshot!(home.codex(["mcp", "remove", "nope"]).run(), @"
        No MCP server named 'nope' found.
        [exit 0]
        ");
    assert_snapshot!(home.codex(["mcp", "remove", "aa"]).run(), @"
        No MCP server named 'aa' found.
        [stderr]
        hint: did you mean `a`?
        [exit 0]
        ");
    assert_eq!(home.config(), MINE);
}

/// Row 1.first-write.
#[test]
fn the_home_is_made_by_the_first_write() {
    let home = TestHome::new();
    let run = |args: &[&str]| home.codex(args).env_remove("CODEX_HOME").run().success();
    let made = home.home().join(".codex");
    run(&["mcp", "list"]);
    run(&["mcp", "remove", "b"]);
    assert!(!made.exists());
    run(&["mcp", "add", "b", "--", "prog"]);
    assert_eq!(
        std::fs::metadata(&made).unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert!(made.join("config.toml").exists());
}
