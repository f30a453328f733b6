//! What holds for every command: help, errors, streams, flags, broken configuration.

use codex_test_support::{CommandOutput, TestHome};
use insta::assert_snapshot;

/// The output with columns two blanks apart: their width follows the path of the test's home.
fn narrow(output: &CommandOutput) -> String {
    let mut text = output.to_string();
    while text.contains("   ") {
        text = text.replace("   ", "  ");
    }
    text
}

#[test]
fn the_version_is_one_line_and_needs_nothing() {
    let home = TestHome::new();
    let output = home
        .codex(["--version"])
        .env("CODEX_HOME", "/no/such")
        .env_remove("HOME")
        .run();
    assert_eq!(
        output.success().stdout,
        format!("codex-cli {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn without_a_command_it_says_what_there_is_instead() {
    assert_snapshot!(TestHome::new().codex([""; 0]).run(), @"
        [stderr]
        Error: the interactive interface is not available yet
        hint: run `codex exec PROMPT` for one turn, or `codex --help`
        [exit 1]
        ");
}

#[test]
fn a_command_of_the_reference_that_is_not_there_says_so() {
    let home = TestHome::new();
    assert_snapshot!(home.codex(["login", "--device-auth"]).run(), @"
        [stderr]
        Error: codex login is not available yet
        hint: set CODEX_API_KEY or OPENAI_API_KEY to a key of the provider
        [exit 1]
        ");
    assert_snapshot!(home.codex(["what time is it"]).run(), @"
        [stderr]
        Error: the interactive interface is not available yet
        hint: run `codex exec PROMPT` for one turn
        [exit 1]
        ");
}

#[test]
fn mcp_alone_prints_its_help_to_stderr() {
    let output = TestHome::new().codex(["mcp"]).run();
    assert_eq!((output.exit(), output.stdout.as_str()), (Some(2), ""));
    assert!(
        output
            .stderr
            .contains("\nUsage: codex mcp [OPTIONS] <COMMAND>\n"),
        "{output}"
    );
}

#[test]
fn each_fault_of_an_override_has_its_sentence() {
    let home = TestHome::new();
    let list = |flags: &[&str]| home.codex(flags.iter().chain(&["mcp", "list"])).run();
    assert_snapshot!(list(&["-c", "foo"]), @"
        [stderr]
        Error: Invalid override (missing '='): foo
        [exit 1]
        ");
    assert_snapshot!(list(&["-c", "=x"]), @"
        [stderr]
        Error: Empty key in override: =x
        [exit 1]
        ");
    assert_snapshot!(list(&["-c", "mcp_servers.\"a"]), @r#"
        [stderr]
        Error: Unfinished quote in override: mcp_servers."a
        [exit 1]
        "#);
    assert_snapshot!(list(&["--enable", "unified_exce"]), @"
        [stderr]
        Error: Unknown feature flag: unified_exce
        hint: did you mean `unified_exec`?
        [exit 1]
        ");
    assert_snapshot!(list(&["-c", "mcp_servers.a.command=3"]), @"
        [stderr]
        Error: failed to load configuration

        Caused by:
            command line: invalid type: integer `3`, expected a string
            in `mcp_servers.a.command`
        [exit 1]
        ");
    assert_snapshot!(list(&["-p", "a/b"]), @"
        [stderr]
        error: invalid value 'a/b' for '--profile <NAME>': invalid --profile value `a/b`; pass a plain name such as `work`

        For more information, try '--help'.
        [exit 2]
        ");
}

/// Row 3.types.
#[test]
fn overrides_hold_at_every_level_and_the_later_one_wins() {
    let home = TestHome::new();
    let flags = [
        "-c",
        "mcp_servers.\"q.r\".command=one",
        "mcp",
        "-c",
        "mcp_servers.\"q.r\".command=two",
    ];
    let output = home
        .codex(
            flags
                .iter()
                .chain(&["list", "-c", "mcp_servers.\"q.r\".args=[\"x\"]"]),
        )
        .run();
    assert_snapshot!(output, @"
        Name  Command  Args  Env  Cwd  Status   Auth       
        q.r   two      x     -    -    enabled  Unsupported
        [exit 0]
        ");
    assert_eq!(home.config(), "", "an override is never written");
}

/// Row 1.codex-home.
#[test]
fn a_home_that_does_not_exist_is_named() {
    assert_snapshot!(TestHome::new().codex(["mcp", "list"]).env("CODEX_HOME", "/no/such").run(), @r#"
        [stderr]
        Error: failed to resolve CODEX_HOME

        Caused by:
            CODEX_HOME points to "/no/such", but that path does not exist
        [exit 1]
        "#);
}

/// Row 1.fatal-text.
#[test]
fn malformed_toml_shows_file_line_and_caret_but_no_secret_whatever_the_command() {
    let home =
        TestHome::with_config("model = \"x\"\n[mcp_servers.a]\nenv = { KEY = \"hunter2\" } y\n");
    let listed = home.codex(["mcp", "list"]).env("RUST_BACKTRACE", "1").run();
    assert_snapshot!(listed, @r#"
        [stderr]
        Error: failed to load configuration

        Caused by:
            [CODEX_HOME]/config.toml:3:27: unexpected key or value, expected newline, `#`
              |
            3 | env = { KEY = "…" } …
              |                     ^
        [exit 1]
        "#);
    for args in [
        vec!["mcp", "get", "a"],
        vec!["mcp", "add", "b", "x"],
        vec!["mcp", "remove", "a"],
        vec!["features", "list"],
    ] {
        let output = home.codex(&args).run();
        assert_eq!(output.to_string(), listed.to_string(), "{args:?}");
    }
    assert!(
        home.config().ends_with("} y\n"),
        "a broken file is never written"
    );
}

#[test]
fn a_wrong_type_is_told_with_its_place() {
    let home =
        TestHome::with_config("model = 3\n[mcp_servers.a]\ncommand = \"x\"\nargs = \"--one\"\n");
    assert_snapshot!(narrow(&home.codex(["mcp", "list"]).run()), @r#"
        Name  Command  Args  Env  Cwd  Status  Auth  
        a  x  -  -  -  disabled: invalid ([CODEX_HOME]/config.toml:4:8)  Unsupported
        [stderr]
        warning: [CODEX_HOME]/config.toml:4:8: invalid type: string "…", expected an array
        in `mcp_servers.a.args`
        MCP server `a` is off until this is repaired.
        warning: [CODEX_HOME]/config.toml:1:9: invalid type: integer `3`, expected a string
        in `model`
        The setting is ignored.
        [exit 0]
        "#);
    let home = TestHome::with_config("sandbox_mode = \"none\"\n");
    assert_snapshot!(home.codex(["mcp", "list"]).run(), @"
        [stderr]
        Error: failed to load configuration

        Caused by:
            [CODEX_HOME]/config.toml:1:16: unknown variant `none`, expected one of `read-only`, `workspace-write`, `danger-full-access`
            in `sandbox_mode`
        [exit 1]
        ");
}

/// Rows 6.two-transports, 7.quarantine.
#[test]
fn two_transports_turn_one_server_off_and_leave_the_others() {
    let home = TestHome::with_config(
        "[mcp_servers.a]\ncommand = \"x\"\nurl = \"http://h/\"\n[mcp_servers.b]\ncommand = \"y\"\n",
    );
    assert_snapshot!(narrow(&home.codex(["mcp", "list"]).run()), @"
        Name  Command  Args  Env  Cwd  Status  Auth  
        a  x  -  -  -  disabled: invalid ([CODEX_HOME]/config.toml:3:1)  Unsupported
        b  y  -  -  -  enabled  Unsupported
        [stderr]
        warning: [CODEX_HOME]/config.toml:3:1: url is not supported for stdio
        in `mcp_servers.a.url`
        MCP server `a` is off until this is repaired.
        [exit 0]
        ");
    assert_snapshot!(home.codex(["mcp", "get", "a"]).run(), @"
        a (disabled: invalid ([CODEX_HOME]/config.toml:3:1))
        [stderr]
        warning: [CODEX_HOME]/config.toml:3:1: url is not supported for stdio
        in `mcp_servers.a.url`
        MCP server `a` is off until this is repaired.
        [exit 0]
        ");
    assert_snapshot!(home.codex(["--strict-config", "mcp", "list"]).run(), @"
        [stderr]
        Error: failed to load configuration

        Caused by:
            [CODEX_HOME]/config.toml:3:1: url is not supported for stdio
            in `mcp_servers.a.url`
        [exit 1]
        ");
}

/// Row 6.bearer_token.
#[test]
fn a_plaintext_bearer_token_is_refused_and_not_shown() {
    let home =
        TestHome::with_config("[mcp_servers.a]\nurl = \"http://h/\"\nbearer_token = \"hunter2\"\n");
    let output = home.codex(["mcp", "list"]).run();
    assert_snapshot!(narrow(&output), @r#"
        Name  Url  Bearer Token Env Var  Status  Auth  
        a  http://h/  -  disabled: invalid ([CODEX_HOME]/config.toml:3:1)  Unsupported
        [stderr]
        warning: [CODEX_HOME]/config.toml:3:1: bearer_token is not supported for streamable_http
        in `mcp_servers.a.bearer_token`
        MCP server `a` is off until this is repaired.
        hint: put the token into an environment variable and set bearer_token_env_var = "NAME"
        [exit 0]
        "#);
    assert!(
        !home
            .codex(["mcp", "list", "--json"])
            .run()
            .stdout
            .contains("hunter2")
    );
}

/// Rows 7.unknown-key, 15.notices.
#[test]
fn unknown_keys_are_told_once_with_what_was_meant() {
    let home = TestHome::with_config(
        "foo = 1\n[mcp_servers.a]\nurl = \"http://h/\"\nheaders = { A = \"b\" }\n",
    );
    assert_snapshot!(home.codex(["mcp", "get", "a"]).run(), @"
        a
          enabled: true
          transport: streamable_http
          url: http://h/
          bearer_token_env_var: -
          http_headers: -
          env_http_headers: -
          http_headers_helper: -
          remove: codex mcp remove a
        [stderr]
        warning: Codex is ignoring 2 unrecognized configuration settings. Check for typos or deprecated settings.
          user ([CODEX_HOME]/config.toml:1:1): `foo` is ignored.
          user ([CODEX_HOME]/config.toml:4:1): `mcp_servers.a.headers` is ignored. Did you mean `http_headers`?
        [exit 0]
        ");
    assert_snapshot!(home.codex(["mcp", "list", "--strict-config"]).run(), @"
        [stderr]
        Error: failed to load configuration

        Caused by:
            [CODEX_HOME]/config.toml:1:1: unknown configuration field `foo`
              |
            1 | foo = 1
              | ^
        [exit 1]
        ");
}

#[test]
fn a_closed_stdout_is_a_quiet_end() {
    let home = TestHome::with_config("[mcp_servers.a]\ncommand = \"x\"\n");
    let codex = codex_test_support::codex_program();
    for command in [
        "mcp list",
        "mcp list --json",
        "completion zsh",
        "features list",
        "--help",
    ] {
        // The shell's `true` never reads; what is written meets a closed pipe sooner or later.
        let script = format!(
            "'{}' {command} | true; echo ${{PIPESTATUS[0]}}",
            codex.display()
        );
        let output = home.program("bash", ["-c", &script]).run().success();
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("0\n", ""),
            "{command}"
        );
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let home = TestHome::with_config("[mcp_servers.a]\ncommand = \"x\"\n");
    let codex = codex_test_support::codex_program();
    let script = format!("'{}' mcp list > /dev/full", codex.display());
    assert_snapshot!(home.program("bash", ["-c", &script]).run(), @"
        [stderr]
        Error: cannot write the result

        Caused by:
            No space left on device (os error 28)
        [exit 1]
        ");
}

/// Row 1.first-write.
#[test]
fn reading_creates_no_file() {
    let home = TestHome::new();
    for args in [
        vec!["mcp", "list"],
        vec!["mcp", "get", "a"],
        vec!["mcp", "remove", "a"],
        vec!["features", "list"],
    ] {
        home.codex(args).run();
    }
    assert_eq!(std::fs::read_dir(home.codex_home()).unwrap().count(), 0);
}

#[test]
fn completion_works_without_a_readable_config() {
    let home = TestHome::with_config("no toml");
    let script = home.codex(["completion"]).run().success().stdout;
    assert!(script.contains("complete -F _codex"), "bash is the default");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(
            home.codex(["completion", shell])
                .run()
                .success()
                .stdout
                .len()
                > 1000,
            "{shell}"
        );
    }
    assert_snapshot!(home.codex(["completion", "bad"]).run(), @"
        [stderr]
        error: invalid value 'bad' for '[SHELL]'
          [possible values: bash, elvish, fish, powershell, zsh]

          tip: a similar value exists: 'bash'

        For more information, try '--help'.
        [exit 2]
        ");
}
