//! The keys of the top level that are about MCP, and the table of features.

use super::*;
use crate::Stage;

#[test]
fn every_key_of_the_top_level_for_mcp() {
    type Look = fn(&Config) -> String;
    let rows: &[(&str, &str, Look, &str, &str)] = &[
        (
            "Row 8.mcp_oauth_credentials_store",
            "mcp_oauth_credentials_store = 'keyring'",
            |c| shown(c.mcp_oauth.credentials_store),
            "Keyring",
            "Auto",
        ),
        (
            "Row 8.mcp_oauth_callback_port",
            "mcp_oauth_callback_port = 7",
            |c| shown(c.mcp_oauth.callback_port),
            "Some(7)",
            "None",
        ),
        (
            "Row 8.mcp_oauth_callback_url",
            "mcp_oauth_callback_url = 'http://LOCALHOST:7'",
            |c| shown(&c.mcp_oauth.callback_url),
            r#"Some("http://LOCALHOST:7")"#,
            "None",
        ),
        (
            "Row 8.mcp_oauth_client_metadata_url",
            "mcp_oauth_client_metadata_url = 'https://m'",
            |c| shown(&c.mcp_oauth.client_metadata_url),
            r#"Some("https://m")"#,
            "None",
        ),
        (
            "Row 8.mcp_optional_startup_grace_ms",
            "mcp_optional_startup_grace_ms = 0",
            |c| shown(c.mcp_optional_startup_grace),
            "Some(0ns)",
            "None",
        ),
        (
            "Row 8.mcp_server_logs",
            "mcp_server_logs = false",
            |c| shown(c.mcp_server_logs),
            "Some(false)",
            "None",
        ),
        (
            "Row 8.suppress_unstable_features_warning",
            "suppress_unstable_features_warning = true",
            |c| shown(c.suppress_unstable_features_warning),
            "true",
            "false",
        ),
        (
            "Row 1.default",
            "web_search = 'live'",
            |c| shown(c.web_search),
            "Some(Live)",
            "None",
        ),
    ];
    let unset = case("").loaded().config;
    for (row, line, look, with, without) in rows {
        assert_eq!(
            look(&case(&format!("{line}\n")).loaded().config),
            *with,
            "{row}"
        );
        assert_eq!(look(&unset), *without, "{row}");
    }
}

/// Rows 5.oauth.client_secret, 8.mcp_enterprise_managed_auth.idp.
#[test]
fn a_client_s_secret_in_a_file_is_used_with_a_warning_to_move_it() {
    let text = "[mcp_servers.a]\nurl = \"https://h/mcp\"\n\
                oauth = { client_id = \"c\", client_secret = \"hunter2\" }\n\
                [mcp_enterprise_managed_auth.idp]\nissuer = \"https://i\"\nclient_id = \"c\"\n\
                client_secret = \"hunter2\"\n";
    assert_snapshot!(said(text), @"
    warning: HOME/config.toml:3:28: the secret in `mcp_servers.a.oauth.client_secret` is stored in clear
    hint: move it into an environment variable and set `client_secret_env_var` to its name
    warning: HOME/config.toml:7:1: the secret in `mcp_enterprise_managed_auth.idp.client_secret` is stored in clear
    hint: move it into an environment variable and set `client_secret_env_var` to its name
    ");
    assert!(case(text).strict().said().starts_with("warning: "));
    let moved = text.replace(
        "client_secret = \"hunter2\"",
        "client_secret_env_var = \"S\"",
    );
    assert_eq!(said(&moved), "");
    // What was typed for this run is stored nowhere.
    let typed = case("[mcp_servers.a]\nurl = \"https://h/mcp\"\noauth = { client_id = \"c\" }\n");
    let typed = typed.set("mcp_servers.a.oauth.client_secret=hunter2");
    assert_eq!(typed.said(), "");
}

/// Row 8.suppress_unstable_features_warning.
#[test]
fn the_warning_about_features_under_development_can_be_silenced() {
    let on = "[features]\nnon_prefixed_mcp_tool_names = true\n";
    let told = |toml: &str| said(toml).contains("Under-development features enabled");
    assert!(told(on));
    assert!(!told(&format!(
        "suppress_unstable_features_warning = true\n{on}"
    )));
}

#[test]
fn every_feature_has_its_stage_its_default_and_its_older_keys() {
    use Stage::{Deprecated, Experimental, Removed, Stable, UnderDevelopment};
    let rows: &[(&str, Stage, bool, &[&str])] = &[
        (
            "Row 9.unified_exec",
            Stable,
            true,
            &["experimental_use_unified_exec_tool"],
        ),
        (
            "Row 9.view_image",
            Stable,
            true,
            &["features.view_image_tool", "tools.view_image"],
        ),
        ("Row 9.shell_tool", Stable, true, &[]),
        (
            "Row 9.apply_patch_freeform",
            Removed,
            false,
            &[
                "experimental_use_freeform_apply_patch",
                "include_apply_patch_tool",
            ],
        ),
        (
            "Row 9.rmcp_client",
            Removed,
            false,
            &["experimental_use_rmcp_client"],
        ),
        (
            "Row 9.web_search_request",
            Deprecated,
            false,
            &["tools.web_search"],
        ),
        (
            "Row 9.experimental_windows_sandbox",
            Experimental,
            false,
            &["features.enable_experimental_windows_sandbox"],
        ),
        ("Row 9.use_legacy_landlock", Deprecated, false, &[]),
        ("Row 9.mcp_2026_07_28", Experimental, false, &[]),
        ("Row 9.mcp_tool_list_changed", Stable, true, &[]),
        ("Row 9.mcp_connection_sharing", Stable, true, &[]),
        ("Row 9.mcp_lazy_stdio_startup", Experimental, false, &[]),
        (
            "Row 9.non_prefixed_mcp_tool_names",
            UnderDevelopment,
            false,
            &[],
        ),
        ("Row 9.mcp_oauth_refresh_coordination", Removed, false, &[]),
        ("Row 9.auth_elicitation", Stable, true, &[]),
        ("Row 9.tool_call_mcp_elicitation", Stable, true, &[]),
        ("Row 9.skill_mcp_dependency_install", Stable, true, &[]),
        ("Row 9.unbounded_connection_retries", Stable, false, &[]),
    ];
    assert_eq!(rows.len(), Feature::table().len());
    for (name, stage, default, older) in rows {
        let row = Feature::from_key(name.split_once('.').unwrap().1).unwrap();
        assert_eq!((row.stage, row.default), (*stage, *default), "{name}");
        for key in *older {
            // Each older key turns it to what it was not, as far as it still can be turned.
            let case = case("").set(&format!("{key}={}", !default));
            let enabled = case.loaded().config.features.enabled(row.feature);
            assert_eq!(enabled, !default && *stage != Removed, "{name}: {key}");
            assert!(case.said().contains("deprecated: "), "{name}: {key}");
        }
    }
}

/// Row 9.decided-by.
#[test]
fn every_feature_that_is_not_settled_has_the_day_on_which_it_will_be() {
    for row in Feature::table() {
        let settled = matches!(
            row.stage,
            Stage::Stable | Stage::Deprecated | Stage::Removed
        );
        assert_eq!(row.decided_by.is_none(), settled, "{}", row.key);
        let is_date = |day: &str| day.len() == 10 && day.split('-').count() == 3;
        assert!(row.decided_by.is_none_or(is_date), "{}", row.key);
    }
}

/// Row 9.notice.
#[test]
fn a_deprecated_feature_is_told_with_what_to_do() {
    assert_snapshot!(said("[features]\nweb_search_request = true\nuse_legacy_landlock = true\n"), @r#"
    deprecated: `[features].web_search_request` is deprecated because web search is enabled by default.
    Set `web_search` to `"live"`, `"cached"`, or `"disabled"` at the top level of config.toml if you want to override it.
    deprecated: `[features].use_legacy_landlock` is deprecated and will be removed soon.
    Remove it from your configuration.
    "#);
}
