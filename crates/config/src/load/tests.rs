//! What a file and flags give: settings, notices or an error.

use insta::assert_snapshot;

use std::path::Path;

mod faults;
mod keys;
mod layers;
mod root;

use super::*;
use crate::{Enablement, McpTransport};

/// A value as a text that rows of a table can hold.
fn shown(value: impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

struct Case {
    _dir: tempfile::TempDir,
    request: LoadRequest,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test prepares its file directly"
)]
fn case(toml: &str) -> Case {
    let dir = tempfile::tempdir().unwrap();
    let home = AbsPath::new(std::fs::canonicalize(dir.path()).unwrap()).unwrap();
    std::fs::write(home.join("config.toml"), toml).unwrap();
    let system = SystemPaths::below(&home.join("no-system"));
    let cwd = AbsPath::new("/work").unwrap();
    let request = LoadRequest::new(CodexHome::at(home), cwd, system);
    Case { _dir: dir, request }
}

impl Case {
    fn set(mut self, raw: &str) -> Self {
        self.request
            .overrides
            .push(CliOverride::Set(raw.to_owned()));
        self
    }

    fn strict(mut self) -> Self {
        self.request.strict = true;
        self
    }

    fn loaded(&self) -> Loaded {
        load(&self.request).unwrap()
    }

    /// Everything that a user is told.
    fn said(&self) -> String {
        told(load(&self.request)).replace(&self.request.home.path().to_string(), "HOME")
    }
}

fn told(loaded: Result<Loaded, ConfigError>) -> String {
    match loaded {
        Ok(loaded) => {
            let lines = loaded
                .notices
                .iter()
                .map(|notice| format!("{}: {}\n", notice.prefix(), notice.message));
            lines.collect()
        }
        Err(error) => {
            let hints = error
                .hints()
                .iter()
                .map(|hint| format!("hint: {hint}\n"))
                .collect::<String>();
            format!("Error: {error}\n{hints}")
        }
    }
}

fn said(toml: &str) -> String {
    case(toml).said()
}

/// Row 1.fatal-text.
#[test]
fn a_file_that_is_no_toml_shows_place_and_line_but_no_string() {
    assert_snapshot!(said("model = \"x\"\n[mcp_servers.a]\nenv = { KEY = \"hunter2\" } y\n"), @r#"
    Error: HOME/config.toml:3:27: unexpected key or value, expected newline, `#`
      |
    3 | env = { KEY = "…" } …
      |                     ^
    "#);
}

/// Row 1.fatal-text.
#[test]
fn an_unfinished_string_does_not_show_itself() {
    let text = said("token = \"hunter2\n");
    assert!(text.starts_with("Error: HOME/config.toml:1:"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

/// Rows 6.two-transports, 7.quarantine.
#[test]
fn a_server_with_two_transports_is_off_and_its_neighbour_works() {
    let case = case(
        "[mcp_servers.a]\ncommand = \"x\"\nurl = \"http://h/\"\n[mcp_servers.b]\ncommand = \"y\"\n",
    );
    assert_snapshot!(case.said(), @"
    warning: HOME/config.toml:3:1: url is not supported for stdio
    in `mcp_servers.a.url`
    MCP server `a` is off until this is repaired.
    ");
    let config = case.loaded().config;
    let enabled: Vec<bool> = config
        .mcp_servers
        .values()
        .map(crate::McpServerConfig::is_enabled)
        .collect();
    assert_eq!(enabled, [false, true]);
}

#[test]
fn a_string_where_none_belongs_is_not_shown() {
    let text = said("[mcp_servers.a]\ncommand = \"x\"\nenabled = \"hunter2\"\n");
    assert!(
        text.contains("invalid type: string \"…\", expected a boolean"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

/// Row 6.wrong-type.
#[test]
fn a_table_that_is_a_number_names_no_type_of_ours() {
    assert_snapshot!(said("[mcp_servers]\na = 3\n"), @"
    warning: HOME/config.toml:2:5: invalid type: integer `3`, expected a table
    in `mcp_servers.a`
    MCP server `a` is off until this is repaired.
    ");
}

/// Row 7.unknown-key.
#[test]
fn unknown_keys_give_one_warning_that_says_what_was_meant() {
    let toml = "foo = 1\nmodle = \"x\"\n[mcp_servers.a]\nurl = \"http://h/\"\ntype = \"http\"\nheaders = {}\n\
                [features]\nunified_exce = true\n[tui]\nx = 1\n";
    assert_snapshot!(said(toml), @"
    warning: Codex is ignoring 5 unrecognized configuration settings. Check for typos or deprecated settings.
      user (HOME/config.toml:1:1): `foo` is ignored.
      user (HOME/config.toml:2:1): `modle` is ignored. Did you mean `model`?
      user (HOME/config.toml:5:1): `mcp_servers.a.type` is ignored. It is not needed: `command` or `url` decides.
      user (HOME/config.toml:6:1): `mcp_servers.a.headers` is ignored. Did you mean `http_headers`?
      user (HOME/config.toml:8:1): `features.unified_exce` is ignored. Did you mean `unified_exec`?
    ");
}

/// Row 7.strict-config.
#[test]
fn keys_of_other_programs_and_shortened_ones_are_known_by_what_they_mean() {
    let toml = "tool_timeout = 3\nstartup_timeout_sec = 3\n\
                [mcp_server.x]\n[mcpServers.x]\n[servers.x]\n\
                [mcp_servers.a]\ncommand = \"x\"\ncmd = \"y\"\ntool_timeout = 3\nstartup_timeout = 3\n\
                enabledTools = []\ndisabled = true\ntui = 1\n[features]\nunified = true\n";
    assert_snapshot!(said(toml), @"
    warning: Codex is ignoring 12 unrecognized configuration settings. Check for typos or deprecated settings.
      user (HOME/config.toml:1:1): `tool_timeout` is ignored. A server has a key `tool_timeout_sec`: it belongs below `[mcp_servers.NAME]`.
      user (HOME/config.toml:2:1): `startup_timeout_sec` is ignored. A server has a key `startup_timeout_sec`: it belongs below `[mcp_servers.NAME]`.
      user (HOME/config.toml:3:2): `mcp_server` is ignored. Did you mean `mcp_servers`?
      user (HOME/config.toml:4:2): `mcpServers` is ignored. Did you mean `mcp_servers`?
      user (HOME/config.toml:5:2): `servers` is ignored. Did you mean `mcp_servers`?
      user (HOME/config.toml:8:1): `mcp_servers.a.cmd` is ignored. Did you mean `command`?
      user (HOME/config.toml:9:1): `mcp_servers.a.tool_timeout` is ignored. Did you mean `tool_timeout_sec`?
      user (HOME/config.toml:10:1): `mcp_servers.a.startup_timeout` is ignored. Did you mean `startup_timeout_sec`?
      user (HOME/config.toml:11:1): `mcp_servers.a.enabledTools` is ignored. Did you mean `enabled_tools`?
      user (HOME/config.toml:12:1): `mcp_servers.a.disabled` is ignored. Did you mean `enabled = false`?
      user (HOME/config.toml:13:1): `mcp_servers.a.tui` is ignored.
      user (HOME/config.toml:15:1): `features.unified` is ignored. Did you mean `unified_exec`?
    ");
}

#[test]
fn a_wrong_type_is_told_in_the_words_of_the_file() {
    let why = |body: &str| {
        let text = said(&format!("[mcp_servers.a]\ncommand = \"x\"\n{body}\n"));
        let line = text.lines().next().unwrap_or_default().to_owned();
        line.split_once(": invalid ").map(|(_, why)| why.to_owned())
    };
    let rows = [
        ("args = \"a b\"", "type: string \"…\", expected an array"),
        ("env = [\"A=B\"]", "type: array, expected a table"),
        ("cwd = { a = 1 }", "type: table, expected a string"),
        (
            "startup_timeout_sec = \"3\"",
            "type: string \"…\", expected a number",
        ),
        (
            "startup_timeout_ms = -1",
            "value: integer `-1`, expected an integer of 0 or more",
        ),
        (
            "startup_timeout_ms = 1.5",
            "type: floating point `1.5`, expected an integer of 0 or more",
        ),
        (
            "oauth = { callback_port = 70000 }",
            "value: integer `70000`, expected an integer from 0 to 65535",
        ),
        (
            "enabled = \"yes\"",
            "type: string \"…\", expected a boolean",
        ),
        ("tools = 3", "type: integer `3`, expected a table"),
    ];
    for (body, expected) in rows {
        assert_eq!(why(body).as_deref(), Some(expected), "{body}");
    }
}

#[test]
fn strict_makes_the_first_fault_in_line_order_fatal() {
    let toml = "[mcp_servers.a]\ncommand = \"x\"\nfoo = \"hunter2\"\n[mcp_servers.b]\n";
    assert_snapshot!(case(toml).strict().said(), @r#"
    Error: HOME/config.toml:3:1: unknown configuration field `mcp_servers.a.foo`
      |
    3 | foo = "…"
      | ^
    "#);
}

#[test]
fn what_is_not_built_yet_is_said() {
    assert_snapshot!(said("notify = [\"x\"]\n"), @"warning: `notify` is not available yet and has no effect (HOME/config.toml:1:1)");
}

/// Rows 7.wrong-type, 7.security-keys.
#[test]
fn a_wrong_type_is_ignored_with_a_notice_unless_safety_hangs_on_it() {
    assert_snapshot!(said("model = 3\nmodel_verbosity = \"low\"\n"), @"
    warning: HOME/config.toml:1:9: invalid type: integer `3`, expected a string
    in `model`
    The setting is ignored.
    ");
    assert_snapshot!(said("sandbox_mode = \"none\"\n"), @"
    Error: HOME/config.toml:1:16: unknown variant `none`, expected one of `read-only`, `workspace-write`, `danger-full-access`
    in `sandbox_mode`
    ");
}

/// Row 3.fault.
#[test]
fn a_fault_that_was_typed_for_this_run_is_fatal() {
    assert_snapshot!(case("").set("model=3").said(), @"
    Error: command line: invalid type: integer `3`, expected a string
    in `model`
    ");
    let toml = "[mcp_servers.a]\ncommand = \"x\"\n";
    assert_snapshot!(case(toml).set("mcp_servers.a.oauth_resource=x").said(), @"
    Error: command line: oauth_resource is not supported for stdio
    in `mcp_servers.a.oauth_resource`
    ");
}

/// Rows 3.types, 5.names.
#[test]
fn a_flag_sets_one_key_of_a_server_of_the_file() {
    let toml = "[mcp_servers.\"q.r\"]\ncommand = \"x\"\nargs = [\"1\"]\n";
    let config = case(toml)
        .set(r#"mcp_servers."q.r".command=y"#)
        .loaded()
        .config;
    let McpTransport::Stdio(stdio) = &config.mcp_servers.values().next().unwrap().transport else {
        panic!()
    };
    assert_eq!(
        (stdio.command.as_str(), stdio.args.as_slice()),
        ("y", &["1".to_owned()][..])
    );
}

/// Row 3.types.
#[test]
fn the_later_of_enable_and_disable_wins() {
    let mut case = case("");
    case.request.overrides = vec![
        CliOverride::Disable("shell_tool".into()),
        CliOverride::Set("features.shell_tool=false".into()),
        CliOverride::Enable("shell_tool".into()),
    ];
    let features = case.loaded().config.features;
    assert!(features.enabled(Feature::ShellTool));
    assert_eq!(features.source(Feature::ShellTool), "command line");
}

/// Rows 9.renamed, 9.notice, 7.retired-key.
#[test]
fn old_spellings_of_features_work_with_a_notice() {
    let case = case(
        "experimental_use_unified_exec_tool = false\n[features]\nrmcp_client = true\nview_image_tool = false\n",
    );
    assert_snapshot!(case.said(), @"
    deprecated: `experimental_use_unified_exec_tool` is deprecated. Use `[features].unified_exec` instead.
    Enable it with `--enable unified_exec` or `[features].unified_exec` in config.toml.
    deprecated: `[features].view_image_tool` is deprecated. Use `[features].view_image` instead.
    Enable it with `--enable view_image` or `[features].view_image` in config.toml.
    deprecated: `[features].rmcp_client` has no effect: the MCP client is always on.
    Remove it from your configuration.
    ");
    let features = case.loaded().config.features;
    assert!(!features.enabled(Feature::UnifiedExec));
    assert!(!features.enabled(Feature::ViewImage));
    assert!(!features.enabled(Feature::RmcpClient));
}

/// Row 7.quarantine.
#[test]
fn a_rule_of_arguments_with_a_slip_turns_its_server_off() {
    let entry = |rule: &str| {
        said(&format!(
            "[mcp_servers.a]\ncommand = \"x\"\n[mcp_servers.a.tools.t]\n{rule}\n"
        ))
    };
    assert_eq!(
        entry("approve_when = { path = { within = \"/srv\" }, n = { max = 3 } }"),
        ""
    );
    assert_snapshot!(entry("approve_when = { path = { prefx = \"/srv/\" } }"), @"
    warning: HOME/config.toml:3:22: argument `path`: `prefx` is no test; there are equals, one_of, prefix, within, min, max, absent
    in `mcp_servers.a.tools.t`
    MCP server `a` is off until this is repaired.
    ");
    assert_snapshot!(entry("approve_when = true"), @"
    warning: HOME/config.toml:3:22: expected a table of arguments with their tests, or a list of such tables
    in `mcp_servers.a.tools.t`
    MCP server `a` is off until this is repaired.
    ");
    assert_snapshot!(entry("approve_when = { x = { equals = 1 } }\napproval_mode = \"approve\""), @r#"
    warning: HOME/config.toml:3:16: tools.t: approve_when beside approval_mode = "approve", which runs every call
    in `mcp_servers.a.tools`
    MCP server `a` is off until this is repaired.
    hint: remove one of the two
    "#);
}

#[test]
fn a_rule_of_arguments_holds_its_tool_whatever_the_default_of_the_server() {
    let case = case(
        "[mcp_servers.a]\ncommand = \"x\"\ndefault_tools_approval_mode = \"approve\"\n\
         [mcp_servers.a.tools.t]\napprove_when = { path = { within = \"/srv\" } }\n",
    );
    let config = case.loaded().config;
    let server = config.mcp_servers.values().next().unwrap();
    assert_eq!(
        ["t", "u"].map(|tool| server.approval_mode(tool)),
        [
            codex_protocol::ToolApprovalMode::Prompt,
            codex_protocol::ToolApprovalMode::Approve
        ]
    );
    assert!(server.approve_when("t").is_some() && server.approve_when("u").is_none());
}

#[test]
fn a_quarantined_entry_keeps_what_could_be_read() {
    let case = case("[mcp_servers.a]\nurl = \"http://h/\"\nrequired = true\nscopes = 3\n");
    let config = case.loaded().config;
    let server = config.mcp_servers.values().next().unwrap();
    let McpTransport::StreamableHttp(http) = &server.transport else {
        panic!()
    };
    assert_eq!((http.url.as_str(), server.required), ("http://h/", true));
    let Enablement::Off(reason) = &server.enablement else {
        panic!()
    };
    let text = reason
        .text()
        .unwrap()
        .replace(&case.request.home.path().to_string(), "HOME");
    assert_eq!(text, "invalid (HOME/config.toml:4:10)");
}

#[test]
fn every_top_level_setting_is_read() {
    let case = case(
        "model = \"m\"\nmodel_provider = \"p\"\nopenai_base_url = \"http://o\"\nmodel_context_window = 9\n\
         model_reasoning_effort = \"high\"\nmodel_reasoning_summary = \"auto\"\nmodel_verbosity = \"low\"\n\
         model_instructions_file = \"i.md\"\ndeveloper_instructions = \"d\"\napproval_policy = \"never\"\n\
         sandbox_mode = \"workspace-write\"\nweb_search = \"live\"\nmcp_optional_startup_grace_ms = 5\n\
         mcp_oauth_credentials_store = \"file\"\nmcp_oauth_callback_port = 7\n\
         suppress_unstable_features_warning = true\n[sandbox_workspace_write]\nnetwork_access = true\n\
         [tools]\nupdate_plan = { enabled = true }\n[projects.\"/p\"]\ntrust_level = \"trusted\"\n\
         [features]\nnon_prefixed_mcp_tool_names = true\n\
         [model_providers.p]\nname = \"P\"\nbase_url = \"http://h/v1/\"\nenv_key = \"K\"\nwire_api = \"chat\"\n\
         request_max_retries = 0\nstream_idle_timeout_ms = 10\nhttp_headers = { a = \"b\" }\n\
         [model_providers.p.auth]\ncommand = \"c\"\n",
    );
    assert_eq!(case.said(), "");
    let config = case.loaded().config;
    assert_eq!(
        config.model_instructions_file.unwrap(),
        case.request.home.join("i.md").into_path_buf()
    );
    let provider = &config.model_providers["p"];
    assert_eq!(provider.base_url, "http://h/v1");
    assert_eq!(provider.auth.as_ref().unwrap().timeout.as_millis(), 5000);
    assert_eq!(config.mcp_optional_startup_grace.unwrap().as_millis(), 5);
    assert_eq!(config.projects[Path::new("/p")], crate::TrustLevel::Trusted);
    assert!(config.update_plan && config.sandbox_workspace_write.network_access);
}

/// Row 8.mcp_enterprise_managed_auth.idp.
#[test]
fn an_identity_provider_is_read_whole_or_not_at_all() {
    let case = case(
        "[mcp_enterprise_managed_auth.idp]\nissuer = \"https://idp.example\"\nclient_id = \"c\"\n\
         client_secret_env_var = \"S\"\ntoken_endpoint_auth_method = \"client_secret_post\"\n\
         id_token_file = \"id.jwt\"\n",
    );
    assert_eq!(case.said(), "");
    let idp = case.loaded().config.mcp_oauth.identity_provider.unwrap();
    assert_eq!(
        (idp.issuer.as_str(), idp.client_id.as_str()),
        ("https://idp.example", "c")
    );
    let file = case.request.home.join("id.jwt").into_path_buf();
    assert_eq!(idp.id_token_file, Some(file));

    assert_snapshot!(said("[mcp_enterprise_managed_auth.idp]\nclient_id = \"c\"\n"), @"
    Error: HOME/config.toml:1:30: missing field `issuer`
    in `mcp_enterprise_managed_auth.idp`
    ");
    assert_snapshot!(said("[mcp_enterprise_managed_auth]\nidp = { issuer = \"idp\", client_id = \"c\" }\n"), @"
    Error: HOME/config.toml:2:9: issuer is not an absolute http or https URL
    in `mcp_enterprise_managed_auth.idp`
    ");
}

#[test]
fn a_provider_without_address_or_with_a_built_in_id_is_an_error() {
    assert_snapshot!(said("[model_providers.p]\nname = \"P\"\n"), @"
    Error: HOME/config.toml:1:18: missing field `base_url`
    in `model_providers.p`
    ");
    assert_snapshot!(said("[model_providers.openai]\nname = \"P\"\n"), @"
    Error: HOME/config.toml:2:1: `openai` is a built-in provider and cannot be configured; use another id
    in `model_providers.openai`
    ");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_fault() {
    let case = case("\u{feff}model = \"m\"\r\nfoo = 1\r\n");
    assert_eq!(case.loaded().config.model.as_deref(), Some("m"));
    assert!(case.said().contains("config.toml:2:1"));
}

/// Rows 1.missing, 1.no-file.
#[test]
fn a_missing_file_is_no_settings_and_a_directory_is_an_error() {
    let case = case("");
    std::fs::remove_file(case.request.home.config_file()).unwrap();
    assert_eq!(case.said(), "");
    std::fs::create_dir(case.request.home.config_file()).unwrap();
    assert_snapshot!(case.said(), @"Error: cannot read `HOME/config.toml`");
}

#[test]
fn printing_a_config_shows_no_secret() {
    let case = case(
        "[mcp_servers.a]\ncommand = \"x\"\nenv = { K = \"hunter2\" }\n\
         [mcp_servers.b]\nurl = \"https://h.example\"\n\
         http = { proxy = \"http://me:hunter2@proxy.example\" }\n",
    );
    assert!(!format!("{:?}", case.loaded().config).contains("hunter2"));
}

#[test]
fn no_slip_of_the_finger_shows_a_secret() {
    let text = "model = \"m\"\n[mcp_servers.a]\ncommand = 'x'\nenv = { K = \"hunter2\", L = 'hunter2' }\n\
                args = [\"hunter2\", '''\nhunter2''']\n";
    let case = case("");
    for (at, _) in text.char_indices() {
        for slip in ["", "\"", "'", "=", "]", "\\", "\n", "ä"] {
            // An empty slip drops one character, the others insert one.
            let rest = if slip.is_empty() { at + 1 } else { at };
            let broken = format!("{}{slip}{}", &text[..at], &text[rest..]);
            codex_host::PrivateFile::replace(&case.request.home.config_file(), broken.as_bytes())
                .unwrap();
            let said = case.said();
            assert!(!said.contains("unter2"), "{broken}\n{said}");
        }
    }
}

/// Row 1.no-file.
#[cfg(unix)]
#[test]
fn a_pipe_is_an_error_and_not_a_wait() {
    let case = case("");
    let file = case.request.home.config_file();
    std::fs::remove_file(&file).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&*file).status();
    assert!(made.unwrap().success());
    let error = load(&case.request).unwrap_err();
    assert!(matches!(error, ConfigError::Unreadable { .. }), "{error}");
}
