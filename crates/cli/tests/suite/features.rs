//! `codex features`.

use codex_test_support::{
    MockResponses, TestHome, ev_completed, ev_function_call, ev_response_created, sse,
};
use insta::assert_snapshot;
use serde_json::Value;

use crate::exec_support::{json, says};

/// A picture of one pixel.
const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

#[test]
fn the_list_shows_the_effective_state() {
    let home = TestHome::with_config("[features]\nshell_tool = false\n");
    let output = home
        .codex(["features", "list", "--enable", "mcp_2026_07_28"])
        .run();
    assert_snapshot!(output, @"
        apply_patch_freeform            removed            false
        auth_elicitation                stable             true
        experimental_windows_sandbox    experimental       false
        mcp_2026_07_28                  experimental       true
        mcp_connection_sharing          stable             true
        mcp_lazy_stdio_startup          experimental       false
        mcp_oauth_refresh_coordination  removed            false
        mcp_tool_list_changed           stable             true
        non_prefixed_mcp_tool_names     under development  false
        rmcp_client                     removed            false
        shell_tool                      stable             false
        skill_mcp_dependency_install    stable             true
        tool_call_mcp_elicitation       stable             true
        unbounded_connection_retries    stable             false
        unified_exec                    stable             true
        use_legacy_landlock             deprecated         false
        view_image                      stable             true
        web_search_request              deprecated         false
        [exit 0]
        ");
}

#[test]
fn json_names_who_decided() {
    let home = TestHome::with_config("[features]\nshell_tool = false\n");
    let rows = home
        .codex(["--disable", "view_image", "features", "list", "--json"])
        .run()
        .success()
        .json();
    let row = |name: &str| {
        let rows = rows.as_array().unwrap().iter();
        rows.clone()
            .find(|row| row["name"] == name)
            .unwrap()
            .to_string()
    };
    assert_snapshot!(row("unified_exec"), @r#"{"name":"unified_exec","stage":"stable","default":true,"enabled":true,"source":"default"}"#);
    assert_snapshot!(row("shell_tool"), @r#"{"name":"shell_tool","stage":"stable","default":true,"enabled":false,"source":"user"}"#);
    assert_snapshot!(row("view_image"), @r#"{"name":"view_image","stage":"stable","default":true,"enabled":false,"source":"command line"}"#);
}

#[test]
fn enable_and_disable_edit_one_key() {
    let home = TestHome::with_config("# mine\nmodel = \"m\"\n\n[features] # mine too\n");
    assert_snapshot!(home.codex(["features", "enable", "mcp_2026_07_28"]).run(), @"
        Enabled feature `mcp_2026_07_28` in config.toml.
        [exit 0]
        ");
    assert_snapshot!(home.codex(["features", "disable", "shell_tool"]).run(), @"
        Disabled feature `shell_tool` in config.toml.
        [exit 0]
        ");
    assert_snapshot!(home.config(), @r#"
        # mine
        model = "m"

        [features] # mine too
        mcp_2026_07_28 = true
        shell_tool = false
        "#);
    home.codex(["features", "disable", "mcp_2026_07_28"])
        .run()
        .success();
    assert!(
        !home.config().contains("mcp_2026_07_28"),
        "off is its default, so the key goes"
    );
}

/// Row 9.unfinished.
#[test]
fn an_incomplete_feature_is_warned_about() {
    let home = TestHome::new();
    assert_snapshot!(home.codex(["features", "enable", "non_prefixed_mcp_tool_names"]).run(), @"
        Enabled feature `non_prefixed_mcp_tool_names` in config.toml.
        [stderr]
        Under-development features enabled: non_prefixed_mcp_tool_names. Under-development features are incomplete and may behave unpredictably. To suppress this warning, set `suppress_unstable_features_warning = true` in [CODEX_HOME]/config.toml.
        [exit 0]
        ");
    // Once, also when it is turned on again.
    for words in [
        &["mcp", "list"][..],
        &["features", "enable", "non_prefixed_mcp_tool_names"],
    ] {
        let output = home.codex(words).run();
        let n_told = output
            .stderr
            .matches("Under-development features enabled")
            .count();
        assert_eq!(n_told, 1, "{output}");
    }
}

#[test]
fn a_retired_feature_is_not_enabled_silently() {
    let home = TestHome::new();
    assert_snapshot!(home.codex(["features", "enable", "rmcp_client"]).run(), @"
        [stderr]
        deprecated: `[features].rmcp_client` has no effect: the MCP client is always on.
        Nothing was written.
        [exit 0]
        ");
    assert_eq!(home.config(), "");
    assert_snapshot!(home.codex(["features", "enable", "use_legacy_landlock"]).run(), @"
        Enabled feature `use_legacy_landlock` in config.toml.
        [stderr]
        deprecated: `[features].use_legacy_landlock` is deprecated and will be removed soon.
        Remove it from your configuration.
        [exit 0]
        ");
    assert!(home.config().contains("use_legacy_landlock = true"));
}

#[test]
fn an_unknown_feature_names_the_nearest() {
    assert_snapshot!(TestHome::new().codex(["features", "enable", "unified"]).run(), @"
        [stderr]
        Error: Unknown feature flag: unified
        hint: did you mean `unified_exec`?
        [exit 1]
        ");
    assert_snapshot!(TestHome::new().codex(["features", "enable", "teleport"]).run(), @"
        [stderr]
        Error: Unknown feature flag: teleport
        hint: `codex features list` names them all
        [exit 1]
        ");
    assert_snapshot!(TestHome::new().codex(["features", "enable", "shel_tool"]).run(), @"
        [stderr]
        Error: Unknown feature flag: shel_tool
        hint: did you mean `shell_tool`?
        [exit 1]
        ");
}

/// Rows 7.retired-key, 9.notice.
#[test]
fn a_retired_key_is_accepted_with_its_notice() {
    let home = TestHome::with_config("experimental_use_rmcp_client = true\n");
    assert_snapshot!(home.codex(["mcp", "list"]).run(), @"
        No MCP servers configured yet. Try `codex mcp add my-tool -- my-command`.
        [stderr]
        deprecated: `experimental_use_rmcp_client` has no effect: the MCP client is always on.
        Remove it from your configuration.
        [exit 0]
        ");
}

/// The names of the tools that a run with these arguments offers, and what a call gave.
fn offered(args: &[&str], call: Value) -> (Vec<String>, String) {
    let provider = MockResponses::start();
    provider
        .queue(sse(vec![ev_response_created("r"), call, ev_completed("r")]))
        .queue(says("done"));
    let home = TestHome::with_provider(&provider, "web_search = \"disabled\"\n");
    home.write_file("p.png", PNG);
    json(&home, &[args, &["x"]].concat()).run().success();
    let output = provider.request(1).function_call_output_text("c1");
    (provider.request(0).tool_names(), output.unwrap())
}

#[test]
fn unified_exec_switches_between_sessions_and_the_classic_shell() {
    let call = || ev_function_call("c1", "shell", r#"{"command":["echo","hi"]}"#);
    let (tools, output) = offered(&[], call());
    assert_eq!(
        tools,
        ["exec_command", "write_stdin", "apply_patch", "view_image"]
    );
    assert!(output.contains("hi\n"), "{output}");
    let (tools, output) = offered(&["--disable", "unified_exec"], call());
    assert_eq!(tools, ["shell", "apply_patch", "view_image"]);
    assert!(output.starts_with("Exit code: 0\n"), "{output}");
    let (tools, output) = offered(&["--disable", "shell_tool"], call());
    assert_eq!(tools, ["apply_patch", "view_image"]);
    assert!(output.starts_with("unsupported call: shell"), "{output}");
}

#[test]
fn view_image_switches_the_tool_by_every_spelling_of_its_row() {
    let call = || ev_function_call("c1", "view_image", r#"{"path":"p.png"}"#);
    let (tools, output) = offered(&[], call());
    assert!(tools.contains(&"view_image".to_owned()), "{tools:?}");
    assert!(!output.contains("unsupported"), "{output}");
    for args in [
        ["--disable", "view_image"],
        ["-c", "features.view_image_tool=false"],
        ["-c", "tools.view_image=false"],
    ] {
        let (tools, output) = offered(&args, call());
        assert_eq!(tools, ["exec_command", "write_stdin", "apply_patch"]);
        assert!(
            output.starts_with("unsupported call: view_image"),
            "{args:?}: {output}"
        );
    }
}

#[test]
fn the_form_of_apply_patch_follows_the_model_whatever_its_old_row_says() {
    for (model, form) in [("gpt-5.5", "custom"), ("llama", "function")] {
        for switch in ["true", "false"] {
            let provider = MockResponses::start();
            provider.queue(says("done"));
            let home = TestHome::with_provider(&provider, "");
            let feature = format!("features.apply_patch_freeform={switch}");
            let output = json(&home, &["-m", model, "-c", &feature, "x"]).run();
            let told = output.success().stdout;
            assert!(told.contains("the form of apply_patch follows the model"));
            let tool = provider.request(0).tool("apply_patch").unwrap();
            assert_eq!(tool["type"], form, "{model} {switch}");
        }
    }
}
