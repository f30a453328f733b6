//! What is wrong with an entry or a key, in the words that the user reads.

use super::*;

/// What is said about an entry with these lines, and the key that it names.
fn fault(lines: &str) -> String {
    let text = said(&format!("[mcp_servers.a]\n{lines}\n"));
    let text = text
        .strip_prefix("warning: HOME/config.toml:")
        .unwrap_or(&text);
    let lines = text.lines().filter(|line| !line.starts_with("MCP server"));
    lines.collect::<Vec<_>>().join(" / ")
}

#[test]
fn each_bad_entry_has_its_sentence_and_place() {
    for (row, lines, text) in [
        (
            "Row 6.two-transports",
            "command = 'x'\nurl = 'http://h/'",
            "3:1: url is not supported for stdio / in `mcp_servers.a.url`",
        ),
        (
            "Row 6.bearer_token",
            "url = 'http://h/'\nbearer_token = 'hunter2'",
            "3:1: bearer_token is not supported for streamable_http / in `mcp_servers.a.bearer_token` / \
             hint: put the token into an environment variable and set bearer_token_env_var = \"NAME\"",
        ),
        (
            "Row 5.bearer_token",
            "command = 'x'\nbearer_token = 'hunter2'",
            "3:1: bearer_token is not supported for stdio / in `mcp_servers.a.bearer_token`",
        ),
        (
            "Row 6.variable-name",
            "url = 'http://h/'\nbearer_token_env_var = 'hunter-2'",
            "3:1: bearer_token_env_var is not the name of an environment variable / in `mcp_servers.a.bearer_token_env_var` / \
             hint: put the token into an environment variable and set bearer_token_env_var = \"NAME\"",
        ),
        (
            "Row 6.variable-name",
            "url = 'http://h/'\nenv_http_headers = { X-Key = 'hunter 2' }",
            "3:1: a value of env_http_headers is not the name of an environment variable / in `mcp_servers.a.env_http_headers` / \
             hint: put the value into an environment variable and give its name here",
        ),
        (
            "Row 6.variable-name",
            "url = 'http://h/'\noauth = { client_id = 'c', client_secret_env_var = 'hunter-2' }",
            "3:28: oauth.client_secret_env_var is not the name of an environment variable / in `mcp_servers.a.oauth.client_secret_env_var` / \
             hint: put the value into an environment variable and give its name here",
        ),
        (
            "Row 6.neither",
            "enabled = false",
            "1:14: invalid transport / in `mcp_servers.a` / hint: set command or url",
        ),
        (
            "Row 6.neither",
            "args = []",
            "1:14: invalid transport / in `mcp_servers.a` / hint: set command or url",
        ),
        (
            "Row 6.wrong-type",
            "command = 3",
            "2:11: invalid type: integer `3`, expected a string / in `mcp_servers.a.command`",
        ),
        (
            "Row 6.negative-time",
            "command = 'x'\nstartup_timeout_sec = -1",
            "3:1: cannot convert float seconds to Duration: value is negative / in `mcp_servers.a.startup_timeout_sec`",
        ),
        (
            "Row 6.negative-time",
            "command = 'x'\ntool_timeout_sec = -0.5",
            "3:1: cannot convert float seconds to Duration: value is negative / in `mcp_servers.a.tool_timeout_sec`",
        ),
        (
            "Row 6.wrong-word",
            "command = 'x'\ndefault_tools_approval_mode = 'ask'",
            "3:31: unknown variant `ask`, expected one of `auto`, `prompt`, `writes`, `approve` / in `mcp_servers.a.default_tools_approval_mode`",
        ),
        (
            "Row 6.client_secret",
            "url = 'http://h/'\noauth = { client_secret = 'hunter2' }",
            "3:11: oauth.client_secret needs oauth.client_id / in `mcp_servers.a.oauth.client_secret`",
        ),
        (
            "Row 6.client_secret",
            "url = 'http://h/'\noauth = { client_secret_env_var = 'S' }",
            "3:11: oauth.client_secret_env_var needs oauth.client_id / in `mcp_servers.a.oauth.client_secret_env_var`",
        ),
        (
            "Row 6.grant",
            "url = 'http://h/'\noauth.grant = 'client_credentials'",
            "3:7: oauth.grant = \"client_credentials\" needs oauth.client_id / in `mcp_servers.a.oauth.grant`",
        ),
        (
            "Row 6.grant",
            "url = 'http://h/'\noauth.grant = 'jwt_bearer'",
            "3:7: oauth.grant = \"jwt_bearer\" needs oauth.assertion_file or oauth.private_key_file / in `mcp_servers.a.oauth.grant`",
        ),
        (
            "Row 6.relative-url",
            "url = 'h/mcp'",
            "2:1: url is not an absolute http or https URL / in `mcp_servers.a.url`",
        ),
        (
            "Row 6.relative-url",
            "url = 'ftp://h/mcp'",
            "2:1: url is not an absolute http or https URL / in `mcp_servers.a.url`",
        ),
        (
            "Row 5.env",
            "command = 'x'\nenv = { 'A=hunter2' = '' }",
            "3:1: a key of env is not the name of an environment variable / in `mcp_servers.a.env` / hint: a name is not empty and has no `=` in it: env = { NAME = \"value\" }",
        ),
        (
            "Row 5.env_vars",
            "command = 'x'\nenv_vars = ['A=hunter2']",
            "3:1: an item of env_vars is not the name of an environment variable / in `mcp_servers.a.env_vars` / hint: put the value into an environment variable and give its name here",
        ),
        (
            "Row 5.url",
            "url = 'https://u:hunter2@h/'",
            "2:1: url must not contain a user name or password / in `mcp_servers.a.url`",
        ),
        (
            "Row 5.url",
            "url = 'https://h/#x'",
            "2:1: url must not contain a fragment (`#…`) / in `mcp_servers.a.url`",
        ),
        (
            "Row 5.tools.output_token_limit",
            "command = 'x'\ntools.t.output_token_limit = 0",
            "3:1: the limit must be greater than 0 / in `mcp_servers.a.tools`",
        ),
        (
            "Row 5.tool_input_schema_max_bytes",
            "command = 'x'\ntool_input_schema_max_bytes = 0",
            "3:1: the limit must be greater than 0 / in `mcp_servers.a.tool_input_schema_max_bytes`",
        ),
        (
            "Row 7.inner-item",
            "command = 'x'\nenv = { A = 1 }",
            "3:13: invalid type: integer `1`, expected a string / in `mcp_servers.a.env.A`",
        ),
        (
            "Row 7.inner-item",
            "command = 'x'\nenv_vars = ['A', 3]",
            "3:18: invalid type: integer `3`, expected a name or a table with `name` and `source` / in `mcp_servers.a.env_vars`",
        ),
        (
            "Row 7.inner-item",
            "url = 'http://h/'\nhttp_headers = { A = [] }",
            "3:22: invalid type: array, expected a string / in `mcp_servers.a.http_headers.A`",
        ),
        (
            "Row 7.inner-item",
            "command = 'x'\ntools.t = 3",
            "3:11: invalid type: integer `3`, expected a table / in `mcp_servers.a.tools.t`",
        ),
        (
            "Row 5.auth",
            "url = 'http://h/'\nauth = 'chatgpt'",
            "3:1: auth = \"chatgpt\" is not supported / in `mcp_servers.a.auth`",
        ),
        (
            "Row 5.environment_id",
            "command = 'x'\nenvironment_id = 'vm'",
            "3:1: environment_id = \"vm\" is not the local environment / in `mcp_servers.a.environment_id`",
        ),
    ] {
        assert_eq!(fault(lines), text, "{row}");
    }
}

/// Rows 6.http-key, 6.stdio-key.
#[test]
fn a_key_of_the_other_transport_is_named() {
    for (key, value) in [
        ("bearer_token", "'t'"),
        ("bearer_token_env_var", "'T'"),
        ("http_headers", "{}"),
        ("env_http_headers", "{}"),
        ("http_headers_helper", "'h'"),
        ("oauth", "{}"),
        ("oauth_resource", "'r'"),
        ("auth", "'oauth'"),
        ("http", "{}"),
    ] {
        let expected = format!("3:1: {key} is not supported for stdio / in `mcp_servers.a.{key}`");
        assert_eq!(fault(&format!("command = 'x'\n{key} = {value}")), expected);
    }
    for (key, value) in [
        ("args", "[]"),
        ("env", "{}"),
        ("env_vars", "[]"),
        ("cwd", "'/'"),
        ("inherit_env", "false"),
        ("sandbox", "'read-only'"),
    ] {
        let expected =
            format!("3:1: {key} is not supported for streamable_http / in `mcp_servers.a.{key}`");
        assert_eq!(
            fault(&format!("url = 'http://h/'\n{key} = {value}")),
            expected
        );
    }
}

/// Row 6.place.
#[test]
fn the_place_is_the_one_of_the_key_wherever_it_stands() {
    let text = said("# ä\n\n[mcp_servers]\n\"é\" = { command = \"x\", url = \"http://h/\" }\n");
    assert_snapshot!(text, @r#"
    warning: HOME/config.toml:4:24: url is not supported for stdio
    in `mcp_servers."é".url`
    MCP server `é` is off until this is repaired.
    "#);
}

/// Row 7.slips.
#[test]
fn keys_of_other_programs_are_known_as_slips() {
    for (key, advice) in [
        ("headers = {}", "Did you mean `http_headers`?"),
        ("environment = {}", "Did you mean `env`?"),
        (
            "type = 'http'",
            "It is not needed: `command` or `url` decides.",
        ),
        (
            "transport = 'http'",
            "It is not needed: `command` or `url` decides.",
        ),
        ("timeout = 3", "Did you mean `tool_timeout_sec`?"),
        ("token = 'hunter2'", "Did you mean `bearer_token_env_var`?"),
        ("httpUrl = 'http://h/'", "Did you mean `url`?"),
    ] {
        let text = said(&format!("[mcp_servers.a]\nurl = 'http://h/'\n{key}\n"));
        let name = key.split(' ').next().unwrap();
        let expected =
            format!("  user (HOME/config.toml:3:1): `mcp_servers.a.{name}` is ignored. {advice}");
        assert_eq!(text.lines().nth(1), Some(expected.as_str()), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

/// Row 7.security-keys.
#[test]
fn a_wrong_value_of_a_key_that_safety_hangs_on_ends_the_command() {
    for line in [
        "approval_policy = 'sometimes'",
        "sandbox_mode = 3",
        "sandbox_workspace_write = { network_access = 'yes' }",
        "project_mcp_trust = 'all'",
        "projects = 3",
        "model_provider = 3",
        "model_providers.p = { name = 'p', base_url = 3 }",
        "mcp_oauth_credentials_store = 'keyrung'",
        "mcp_enterprise_managed_auth = { idp = 3 }",
    ] {
        let text = said(&format!("{line}\n"));
        assert!(text.starts_with("Error: HOME/config.toml:1:"), "{text}");
    }
}

/// Row 7.retired-key.
#[test]
fn a_retired_key_is_not_unknown_and_no_fault_under_strict() {
    let toml = "experimental_use_rmcp_client = true\nexperimental_use_unified_exec_tool = true\n\
                [features]\nrmcp_client = true\nview_image_tool = true\napply_patch_freeform = true\n\
                [profiles.old]\nmodel = \"m\"\n";
    let text = case(toml).strict().said();
    assert!(
        !text.contains("Error") && !text.contains("ignoring"),
        "{text}"
    );
    assert_eq!(text.matches("deprecated: ").count(), 5, "{text}");
}
