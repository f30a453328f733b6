//! `codex exec`: one turn, in JSON and for people.

use codex_test_support::{
    MockResponses, TestHome, UsageCounts, ev_assistant_message, ev_completed_with_usage,
    ev_reasoning, ev_response_created, sse,
};
use insta::assert_snapshot;

use crate::exec_support::{human, json, notices, one_answer, says};

#[test]
fn one_turn_is_four_lines() {
    let (provider, home) = one_answer("Hello");
    let output = json(&home, &["say hi"]).run();
    assert_snapshot!(output, @r#"
    {"type":"thread.started","thread_id":"[UUID]"}
    {"type":"turn.started"}
    {"type":"item.completed","item":{"id":"item_0","type":"agent_message","text":"Hello"}}
    {"type":"turn.completed","usage":{"input_tokens":0,"cached_input_tokens":0,"cache_write_input_tokens":0,"output_tokens":0,"reasoning_output_tokens":0}}
    [exit 0]
    "#);
    let request = provider.request(0);
    assert_eq!(
        request.header("authorization"),
        Some("Bearer test-key-of-the-mock")
    );
    assert_eq!(request.header("originator"), Some("codex_exec"));
    assert_eq!(provider.requests().len(), 1);
}

#[test]
fn experimental_json_is_the_same_flag() {
    let (_provider, home) = one_answer("Hello");
    let args = [
        "exec",
        "--experimental-json",
        "--skip-git-repo-check",
        "say hi",
    ];
    assert_eq!(home.codex(args).run().success().json_lines().len(), 4);
}

#[test]
fn reasoning_and_messages_are_items_and_usage_is_counted() {
    let provider = MockResponses::start();
    let usage = UsageCounts {
        input: 100,
        cached: 40,
        output: 7,
        reasoning: 3,
    };
    provider.queue(sse(vec![
        ev_response_created("r"),
        ev_reasoning("rs", &["**Plan**", "look first"]),
        ev_assistant_message("m1", "Looking."),
        ev_assistant_message("m2", "Done."),
        ev_completed_with_usage("r", usage),
    ]));
    let home = TestHome::with_provider(&provider, "");
    assert_snapshot!(json(&home, &["look"]).run(), @r#"
    {"type":"thread.started","thread_id":"[UUID]"}
    {"type":"turn.started"}
    {"type":"item.completed","item":{"id":"item_0","type":"reasoning","text":"**Plan**\n\nlook first"}}
    {"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"Looking."}}
    {"type":"item.completed","item":{"id":"item_2","type":"agent_message","text":"Done."}}
    {"type":"turn.completed","usage":{"input_tokens":100,"cached_input_tokens":40,"cache_write_input_tokens":0,"output_tokens":7,"reasoning_output_tokens":3}}
    [exit 0]
    "#);
}

#[test]
fn people_get_the_answer_on_stdout_and_the_rest_on_stderr() {
    let (_provider, home) = one_answer("Hello");
    let output = human(&home, &["say hi"]).run();
    assert_snapshot!(output.to_string().replace(env!("CARGO_PKG_VERSION"), "VERSION"), @r"
    Hello
    [stderr]
    Codex vVERSION
    --------
    workdir: [CWD]
    model: gpt-5.5
    provider: openai
    approval: never
    sandbox: read-only
    reasoning effort: medium
    reasoning summaries: none
    session id: [UUID]
    --------
    user
    say hi
    codex
    Hello
    tokens used
    0
    [exit 0]
    ");
}

#[test]
fn an_override_of_the_provider_is_honoured() {
    let provider = MockResponses::start();
    provider.queue(says("Hello"));
    let home = TestHome::new().env("OPENAI_BASE_URL", provider.base_url());
    json(&home, &["-m", "other-model", "hi"])
        .env("OPENAI_API_KEY", "k")
        .run()
        .success();
    let request = provider.request(0);
    assert_eq!(request.json()["model"], "other-model");
    assert_eq!(request.header("authorization"), Some("Bearer k"));
}

#[test]
fn originator_can_be_overridden() {
    let (provider, home) = one_answer("Hello");
    let run = json(&home, &["hi"])
        .env("CODEX_INTERNAL_ORIGINATOR_OVERRIDE", "my_sdk")
        .run();
    run.success();
    let request = provider.request(0);
    assert_eq!(request.header("originator"), Some("my_sdk"));
    assert!(
        request
            .header("user-agent")
            .unwrap_or_default()
            .starts_with("my_sdk/")
    );
}

#[test]
fn outside_of_git_a_run_must_be_asked_for() {
    let (provider, home) = one_answer("Hello");
    assert_snapshot!(home.codex(["exec", "hi"]).run(), @r"
    [stderr]
    Not inside a trusted directory and --skip-git-repo-check was not specified.
    hint: add `--trust` once to trust this folder, or `--skip-git-repo-check` for this run
    [exit 1]
    ");
    assert_snapshot!(home.codex(["exec", "--json", "hi"]).run(), @r#"
    {"type":"error","message":"Not inside a trusted directory and --skip-git-repo-check was not specified."}
    [stderr]
    Not inside a trusted directory and --skip-git-repo-check was not specified.
    hint: add `--trust` once to trust this folder, or `--skip-git-repo-check` for this run
    [exit 1]
    "#);
    home.write_file(".git/HEAD", "ref: refs/heads/main\n");
    home.codex(["exec", "hi"]).run().success();
    assert_eq!(provider.requests().len(), 1);
}

#[test]
fn trust_is_saved_and_lasts() {
    let (provider, home) = one_answer("Hello");
    provider.otherwise(says("again"));
    home.codex(["exec", "--trust", "hi"]).run().success();
    assert!(
        home.config().contains("trust_level = \"trusted\""),
        "{}",
        home.config()
    );
    home.codex(["exec", "hi"]).run().success();
}

#[test]
fn a_run_that_trusts_its_project_has_the_project_s_settings_and_servers() {
    let (provider, home) = one_answer("Hello");
    provider.otherwise(says("again"));
    home.write_file(".git/HEAD", "ref: refs/heads/main\n");
    home.write_file(
        ".codex/config.toml",
        "model = \"of-the-project\"\n[mcp_servers.p]\ncommand = \"codex-no-such-program\"\n",
    );
    let run = |args: &[&str]| {
        let output = home
            .codex([&["exec", "--json", "hi"], args].concat())
            .run()
            .success();
        notices(&output).join("\n")
    };
    let root = home.cwd().display().to_string();
    let config = home.config_file().display().to_string();
    let untrusted = run(&[]).replace(&config, "CONFIG").replace(&root, "CWD");
    assert_snapshot!(untrusted, @r#"
    To load project-local config, hooks, and exec policies, add CWD as a trusted project in CONFIG.
    hint: `codex exec --trust` does that, or two lines in the file: `[projects."CWD"]` and below it `trust_level = "trusted"`
    "#);
    assert_ne!(provider.request(0).json()["model"], "of-the-project");
    let trusted = run(&["--trust"]);
    assert!(
        trusted.starts_with("MCP server `p` failed to start"),
        "{trusted}"
    );
    assert_eq!(provider.request(1).json()["model"], "of-the-project");
    home.write_config(&home.config().replace("\"trusted\"", "\"untrusted\""));
    assert_snapshot!(home.codex(["exec", "--trust", "hi"]).run(), @r#"
    [stderr]
    Error: `[CWD]` is marked as untrusted in config.toml
    hint: set its `trust_level` to "trusted" there to change that
    [exit 1]
    "#);
}

#[test]
fn a_further_directory_that_will_not_be_writable_is_named() {
    let (provider, home) = one_answer("Hello");
    provider.otherwise(says("again"));
    home.write_file("there/x", "");
    let run = |args: &[&str]| {
        let output = json(
            &home,
            &[args, &["--add-dir", "there", "--add-dir", "no/such", "hi"]].concat(),
        );
        notices(&output.run().success()).join("\n")
    };
    assert_snapshot!(run(&[]), @"`there`, `no/such` cannot be written: the sandbox is `read-only`; `-s workspace-write` opens it");
    assert_snapshot!(run(&["-s", "workspace-write"]), @"`no/such` does not exist, so it cannot be opened for writing");
    assert_eq!(run(&["-s", "danger-full-access"]), "");
}

#[test]
fn what_is_not_there_yet_says_so() {
    let home = TestHome::new();
    assert_snapshot!(home.codex(["exec", "--oss", "hi"]).run(), @r"
    [stderr]
    Error: --oss is not available yet
    [exit 1]
    ");
    assert_snapshot!(home.codex(["exec", "--json", "review"]).run(), @r#"
    {"type":"error","message":"codex exec review is not available yet"}
    [stderr]
    Error: codex exec review is not available yet
    [exit 1]
    "#);
}

#[test]
fn usage_errors_write_nothing_to_stdout() {
    let home = TestHome::new();
    let output = json(&home, &["--record", "a", "--replay", "b"]).run();
    assert_snapshot!(output, @r"
    [stderr]
    error: --record cannot be combined with --replay

    For more information, try '--help'.
    [exit 2]
    ");
    for args in [vec!["-a", "never", "x"], vec!["resume"], vec!["--nope"]] {
        let output = json(&home, &args).run();
        assert_eq!(
            (output.exit(), output.stdout.as_str()),
            (Some(2), ""),
            "{output}"
        );
    }
}

#[test]
fn flags_without_effect_give_one_notice() {
    let (_provider, home) = one_answer("Hello");
    let output = json(&home, &["--ignore-rules", "--full-auto", "hi"]).run();
    assert_snapshot!(output, @r#"
    {"type":"thread.started","thread_id":"[UUID]"}
    {"type":"item.completed","item":{"id":"item_0","type":"error","message":"Accepted without effect: `--ignore-rules`. Taken as `--sandbox workspace-write`: `--full-auto`."}}
    {"type":"turn.started"}
    {"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"Hello"}}
    {"type":"turn.completed","usage":{"input_tokens":0,"cached_input_tokens":0,"cache_write_input_tokens":0,"output_tokens":0,"reasoning_output_tokens":0}}
    [exit 0]
    "#);
}

#[test]
fn the_working_directory_of_the_flag_is_named_when_missing() {
    let home = TestHome::new();
    assert_snapshot!(json(&home, &["-C", "no/such", "hi"]).run(), @r#"
    {"type":"error","message":"working directory `no/such` does not exist"}
    [stderr]
    Error: working directory `no/such` does not exist
    [exit 1]
    "#);
}

#[test]
fn the_reader_may_leave() {
    let (provider, home) = one_answer("Hello");
    let gate = codex_test_support::Gate::new();
    let held = MockResponses::start();
    held.queue(says("Hello").hold_until(&gate));
    drop(provider);
    let url = held.base_url();
    home.write_config(&format!("openai_base_url = \"{url}\"\n"));
    let running = json(&home, &["hi"]).spawn();
    running.wait_for_stdout("turn.started");
    running.stop_reading();
    gate.open();
    assert_eq!(running.wait().exit(), Some(0));
}
