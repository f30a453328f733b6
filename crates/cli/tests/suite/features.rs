//! `codex features`.

use codex_test_support::TestHome;
use insta::assert_snapshot;

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
fn an_unknown_feature_names_the_nearest() {
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
