//! `codex exec`: providers and configurations that are broken.

use codex_test_support::{
    MockResponses, Reply, TestHome, ev_failed, ev_incomplete, ev_response_created, sse,
};
use insta::assert_snapshot;

use crate::exec_support::{human, json, last_line, notices, one_answer, says, types};

/// The lines of a turn that failed without any item.
const FAILED: [&str; 4] = ["thread.started", "turn.started", "error", "turn.failed"];

fn failing(reply: Reply) -> (MockResponses, TestHome) {
    let provider = MockResponses::start();
    provider.otherwise(reply);
    let home = TestHome::with_provider(&provider, "");
    (provider, home)
}

fn failure(home: &TestHome) -> String {
    let output = json(home, &["hi"]).run();
    assert_eq!(output.exit(), Some(1), "{output}");
    let last = last_line(&output);
    assert_eq!(last["type"], "turn.failed", "{output}");
    last["error"]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_refusal_of_the_provider_fails_the_turn_once() {
    let (provider, home) = failing(Reply::error(400, "invalid_value", "bad thing"));
    let output = json(&home, &["hi"]).run();
    assert_snapshot!(output, @r#"
    {"type":"thread.started","thread_id":"[UUID]"}
    {"type":"turn.started"}
    {"type":"error","message":"bad thing (HTTP 400, code invalid_value)"}
    {"type":"turn.failed","error":{"message":"bad thing (HTTP 400, code invalid_value)"}}
    [stderr]
    Error: bad thing (HTTP 400, code invalid_value)
    [exit 1]
    "#);
    assert_eq!(provider.requests().len(), 1);
}

#[test]
fn people_read_the_failure_on_stderr() {
    let (_provider, home) = failing(Reply::error(400, "invalid_value", "bad thing"));
    let output = human(&home, &["hi"]).run();
    assert_eq!((output.exit(), output.stdout.as_str()), (Some(1), ""));
    assert!(
        output
            .stderr
            .ends_with("\nError: bad thing (HTTP 400, code invalid_value)\n"),
        "{output}"
    );
}

#[test]
fn a_wrong_key_is_not_tried_twice_and_the_hint_names_the_variables() {
    let (provider, home) = failing(Reply::error(401, "invalid_api_key", "Incorrect API key"));
    let output = json(&home, &["hi"]).run();
    assert_eq!(types(&output), FAILED);
    let hint =
        "hint: check the key of this provider: OPENAI_API_KEY, CODEX_API_KEY or its `env_key`";
    assert!(output.stderr.contains(hint), "{output}");
    assert_eq!(provider.requests().len(), 1);
}

#[test]
fn no_key_fails_before_any_request() {
    let home = TestHome::new();
    let output = json(&home, &["hi"]).run();
    assert_eq!(output.exit(), Some(1));
    assert_eq!(types(&output), FAILED);
    let hint = "hint: set OPENAI_API_KEY or CODEX_API_KEY to a key of the provider";
    assert!(output.stderr.contains(hint), "{output}");
}

#[test]
fn an_unreachable_provider_is_named() {
    let provider = MockResponses::start();
    let url = provider.base_url();
    drop(provider);
    let home = TestHome::with_config(&format!(
        "model = \"m\"\nmodel_provider = \"p\"\n[model_providers.p]\nname = \"p\"\n\
         base_url = \"{url}\"\nrequest_max_retries = 1\n"
    ));
    let message = failure(&home);
    assert!(
        message.contains(&url) || message.contains("http://127.0.0.1"),
        "{message}"
    );
    assert!(message.contains("connection refused"), "{message}");
}

#[test]
fn a_busy_provider_is_asked_again_and_each_retry_is_a_notice() {
    let provider = MockResponses::start();
    provider
        .queue(Reply::error(429, "rate_limit_exceeded", "slow down").retry_after("0"))
        .queue(Reply::error(500, "server_error", "oops"))
        .queue(says("Hello"));
    let home = TestHome::with_provider(&provider, "");
    let output = json(&home, &["hi"]).run().success();
    let told = notices(&output);
    assert_eq!(told.len(), 2, "{output}");
    assert!(
        told.iter().all(|text| text.starts_with("Reconnecting... ")),
        "{told:?}"
    );
    assert_eq!(last_line(&output)["type"], "turn.completed");
}

#[test]
fn a_provider_that_keeps_failing_is_given_up() {
    let (provider, home) = failing(Reply::error(500, "server_error", "oops"));
    let url = provider.base_url();
    home.write_config(&format!(
        "model = \"m\"\nmodel_provider = \"p\"\n[model_providers.p]\nname = \"p\"\n\
         base_url = \"{url}\"\nrequest_max_retries = 2\n"
    ));
    let message = failure(&home);
    assert!(message.contains("oops"), "{message}");
    assert_eq!(provider.requests().len(), 3);
}

#[test]
fn failures_within_the_answer_fail_the_turn() {
    let (_provider, home) = failing(sse(vec![
        ev_response_created("r"),
        ev_failed("invalid_prompt", "no such prompt"),
    ]));
    assert!(failure(&home).contains("no such prompt"));
    let (_provider, home) = failing(sse(vec![
        ev_response_created("r"),
        ev_incomplete("max_output_tokens"),
    ]));
    assert!(failure(&home).contains("incomplete: max_output_tokens"));
}

#[test]
fn a_broken_config_is_told_with_its_place() {
    let (provider, home) = one_answer("Hello");
    home.write_config("model = \"x\"\n[mcp_servers.a\ncommand = \"x\"\n");
    let output = json(&home, &["hi"]).run();
    assert_eq!(output.exit(), Some(1));
    assert_eq!(types(&output), ["error"]);
    assert!(
        output
            .stderr
            .starts_with("Error: failed to load configuration\n\nCaused by:\n"),
        "{output}"
    );
    assert!(
        output
            .filtered_stderr()
            .contains("[CODEX_HOME]/config.toml:2:"),
        "{output}"
    );
    assert!(provider.requests().is_empty());
    // The file that nobody reads cannot be in the way.
    let url = format!("openai_base_url=\"{}\"", provider.base_url());
    json(&home, &["--ignore-user-config", "-c", &url, "hi"])
        .run()
        .success();
}

#[test]
fn an_unknown_provider_and_a_missing_model_are_named() {
    let home = TestHome::with_config("model_provider = \"zz\"\n");
    assert_snapshot!(json(&home, &["-m", "m", "hi"]).run(), @r#"
    {"type":"error","message":"Model provider `zz` not found"}
    [stderr]
    Error: Model provider `zz` not found
    hint: defined are `openai`
    hint: another one is added as [model_providers.zz] in config.toml
    [exit 1]
    "#);
    let home = TestHome::with_config(
        "model_provider = \"azur\"\n[model_providers.azure]\nname = \"A\"\nbase_url = \"http://127.0.0.1:9/v1\"\n",
    );
    assert_snapshot!(home.codex(["exec", "--skip-git-repo-check", "hi"]).run(), @"
    [stderr]
    Error: Model provider `azur` not found
    hint: did you mean `azure`?
    hint: defined are `openai`, `azure`
    hint: another one is added as [model_providers.azur] in config.toml
    [exit 1]
    ");
    let home = TestHome::with_config(
        "model_provider = \"p\"\n[model_providers.p]\nname = \"p\"\nbase_url = \"http://127.0.0.1:9/v1\"\n",
    );
    assert_snapshot!(json(&home, &["hi"]).run(), @r#"
    {"type":"error","message":"no model is configured for model provider `p`"}
    [stderr]
    Error: no model is configured for model provider `p`
    hint: pass one with `-m MODEL`, or set `model` in config.toml
    [exit 1]
    "#);
}

#[test]
fn a_missing_home_is_named() {
    let home = TestHome::new();
    let output = json(&home, &["hi"]).env("CODEX_HOME", "/no/such").run();
    assert_snapshot!(output, @r#"
    {"type":"error","message":"failed to resolve CODEX_HOME: CODEX_HOME points to \"/no/such\", but that path does not exist"}
    [stderr]
    Error: failed to resolve CODEX_HOME

    Caused by:
        CODEX_HOME points to "/no/such", but that path does not exist
    [exit 1]
    "#);
}

/// Rows 15.notices, 7.views.
#[test]
fn notices_of_the_configuration_come_once() {
    let (_provider, home) = one_answer("Hello");
    let config = home.config();
    home.write_config(&format!("{config}no_such_key = 1\n"));
    let output = json(&home, &["hi"]).run().success();
    let told = notices(&output);
    assert_eq!(
        told.iter()
            .filter(|text| text.contains("no_such_key"))
            .count(),
        1,
        "{output}"
    );
    assert_eq!(output.stderr, "");
}
