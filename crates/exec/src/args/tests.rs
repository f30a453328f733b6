//! Tables: a command line in, a request out.

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    exec: ExecArgs,
}

fn request(words: &[&str]) -> Request {
    Line::try_parse_from([&["exec"], words].concat())
        .unwrap()
        .exec
        .resolve()
        .unwrap()
}

fn usage_error(words: &[&str]) -> String {
    match Line::try_parse_from([&["exec"], words].concat()) {
        Ok(line) => line.exec.resolve().unwrap_err().to_string(),
        Err(error) => {
            assert_eq!(error.exit_code(), 2);
            error.to_string().lines().next().unwrap().to_owned()
        }
    }
}

fn argument(text: &str) -> Option<PromptSource> {
    Some(PromptSource::Argument(text.to_owned()))
}

#[test]
fn a_bare_word_is_the_prompt() {
    let request = request(&["--json", "say hi"]);
    assert_eq!(request.prompt, argument("say hi"));
    assert_eq!(request.thread, ThreadArg::New);
    assert!(request.json);
}

#[test]
fn an_image_takes_one_word_and_leaves_the_prompt() {
    let request = request(&["-i", "a.png", "--image", "b.png,c.png", "look"]);
    assert_eq!(request.images, ["a.png", "b.png,c.png"]);
    assert_eq!(request.prompt, argument("look"));
}

#[test]
fn images_around_the_subcommand_keep_the_order_of_argv() {
    let request = request(&["-i", "a.png", "resume", "ID", "-i", "b.png", "go on"]);
    assert_eq!(request.images, ["a.png", "b.png"]);
    assert_eq!(request.thread, ThreadArg::Resume("ID".to_owned()));
    assert_eq!(request.prompt, argument("go on"));
}

#[test]
fn flags_right_of_the_subcommand_win() {
    let request = request(&[
        "-m", "a", "-c", "x=1", "resume", "ID", "-m", "b", "--json", "-c", "x=2",
    ]);
    assert_eq!(request.model.as_deref(), Some("b"));
    assert!(request.json);
    assert_eq!(request.config.flags.len(), 2);
}

#[test]
fn with_last_the_only_word_is_the_prompt() {
    let newest = request(&["resume", "--last", "go on"]);
    assert_eq!(
        newest.thread,
        ThreadArg::ResumeLast {
            any_directory: false
        }
    );
    assert_eq!(newest.prompt, argument("go on"));
    let any = request(&["resume", "--last", "--all"]);
    assert_eq!(
        any.thread,
        ThreadArg::ResumeLast {
            any_directory: true
        }
    );
    assert_eq!(any.prompt, Some(PromptSource::Stdin));
}

#[test]
fn a_replay_without_a_prompt_asks_nobody_for_one() {
    assert_eq!(request(&["--replay", "f"]).prompt, None);
    assert_eq!(
        request(&["--replay", "f", "-"]).prompt,
        Some(PromptSource::Stdin)
    );
    assert_eq!(
        request(&["--record", "f"]).prompt,
        Some(PromptSource::Stdin)
    );
}

#[test]
fn fork_takes_an_id_and_a_prompt() {
    let request = request(&["--json", "fork", "ID", "x", "--ephemeral"]);
    assert_eq!(request.thread, ThreadArg::Fork("ID".to_owned()));
    assert_eq!(request.prompt, argument("x"));
    assert!(request.json && request.ephemeral);
}

#[test]
fn usage_errors() {
    let rows: [(&[&str], &str); 10] = [
        (
            &["-a", "never", "x"],
            "error: unexpected argument '-a' found",
        ),
        (
            &["--worktree", "x"],
            "error: unexpected argument '--worktree' found",
        ),
        (&["--nope"], "error: unexpected argument '--nope' found"),
        (
            &["-s", "nope", "x"],
            "error: invalid value 'nope' for '--sandbox <SANDBOX_MODE>'",
        ),
        (&["resume"], "resume needs a session id, or --last"),
        (
            &["resume", "--last", "a", "b"],
            "a session id cannot be combined with --last",
        ),
        (
            &["--record", "a", "--replay", "b"],
            "--record cannot be combined with --replay",
        ),
        (
            &["--replay", "a", "-m", "x"],
            "--model cannot be combined with --replay",
        ),
        (
            &["resume", "ID", "--record", "a"],
            "--record and --replay cannot be combined with resume or fork",
        ),
        (
            &["fork", "ID", "--record", "a"],
            "--record and --replay cannot be combined with resume or fork",
        ),
    ];
    for (words, expected) in rows {
        assert_eq!(usage_error(words), expected, "{words:?}");
    }
}

#[test]
fn flags_of_the_reference_without_effect_give_one_notice() {
    let request = request(&[
        "--ignore-rules",
        "--dangerously-bypass-hook-trust",
        "--cyber-access-program",
        "daybreak_blue",
        "--full-auto",
        "x",
    ]);
    assert_eq!(request.sandbox, Some(SandboxMode::WorkspaceWrite));
    assert_eq!(
        request.flags_notice.as_deref(),
        Some(
            "Accepted without effect: `--ignore-rules`, `--dangerously-bypass-hook-trust`, \
             `--cyber-access-program`. Taken as `--sandbox workspace-write`: `--full-auto`."
        )
    );
}

#[test]
fn of_two_flags_for_the_sandbox_the_notice_says_which_one_counts() {
    let rows: [(&[&str], SandboxMode, &str); 3] = [
        (
            &["--full-auto", "-s", "read-only"],
            SandboxMode::ReadOnly,
            "Without effect beside `--sandbox read-only`: `--full-auto`.",
        ),
        (
            &["-s", "danger-full-access", "--approve-for-me"],
            SandboxMode::DangerFullAccess,
            "Without effect beside `--sandbox danger-full-access`: `--approve-for-me`.",
        ),
        (
            &[
                "--dangerously-bypass-approvals-and-sandbox",
                "-s",
                "read-only",
            ],
            SandboxMode::DangerFullAccess,
            "Without effect beside `--dangerously-bypass-approvals-and-sandbox`: `--sandbox`.",
        ),
    ];
    for (words, mode, notice) in rows {
        let request = request(&[words, &["x"]].concat());
        assert_eq!(request.sandbox, Some(mode), "{words:?}");
        assert_eq!(request.flags_notice.as_deref(), Some(notice), "{words:?}");
    }
}

#[test]
fn bypass_is_no_sandbox() {
    let request = request(&[
        "--dangerously-bypass-approvals-and-sandbox",
        "-s",
        "read-only",
        "x",
    ]);
    assert_eq!(request.sandbox, Some(SandboxMode::DangerFullAccess));
    assert!(request.bypass);
}

#[test]
fn what_is_not_there_yet_says_so() {
    let unavailable = |words: &[&str]| request(words).unavailable;
    assert_eq!(
        unavailable(&["review", "--base", "main"]),
        Some("codex exec review")
    );
    assert_eq!(unavailable(&["--oss", "x"]), Some("--oss"));
    assert_eq!(
        unavailable(&["--local-provider", "ollama", "x"]),
        Some("--oss")
    );
    assert_eq!(unavailable(&["x"]), None);
}

#[test]
fn the_typescript_sdk_is_understood() {
    let request = request(&[
        "--experimental-json",
        "--config",
        "a.b=\"c\"",
        "--config",
        "openai_base_url=\"http://127.0.0.1:1\"",
        "--model",
        "gpt-5.5",
        "--thread-source",
        "sdk",
        "--sandbox",
        "workspace-write",
        "--cd",
        "/w",
        "--add-dir",
        "/x",
        "--add-dir",
        "/y",
        "--skip-git-repo-check",
        "--output-schema",
        "/s.json",
        "--cyber-access-program",
        "standard",
        "--config",
        "model_reasoning_effort=\"high\"",
        "--config",
        "sandbox_workspace_write.network_access=true",
        "--config",
        "web_search=\"cached\"",
        "--config",
        "approval_policy=\"on-request\"",
        "resume",
        "01a1fabd-271c-7641-9288-7a6c1251e488",
        "--image",
        "a.png",
        "--image",
        "b.png",
    ]);
    assert!(request.json && request.skip_git_repo_check);
    assert_eq!(
        request.thread,
        ThreadArg::Resume("01a1fabd-271c-7641-9288-7a6c1251e488".to_owned())
    );
    assert_eq!(request.prompt, Some(PromptSource::Stdin));
    assert_eq!(request.images, ["a.png", "b.png"]);
    assert_eq!(request.add_dirs, [PathBuf::from("/x"), PathBuf::from("/y")]);
    assert_eq!(request.config.cd, Some(PathBuf::from("/w")));
    assert_eq!(request.config.flags.len(), 6);
    assert_eq!(request.sandbox, Some(SandboxMode::WorkspaceWrite));
    assert_eq!(request.output_schema, Some(PathBuf::from("/s.json")));
    assert_eq!(request.thread_source.as_deref(), Some("sdk"));
}

#[test]
fn the_python_sdk_is_understood() {
    let request = request(&[
        "--experimental-json",
        "--model",
        "gpt-5.5",
        "--sandbox",
        "read-only",
        "--skip-git-repo-check",
        "--config",
        "features.web_search_request=true",
        "--image",
        "a.png",
        "resume",
        "my thread",
    ]);
    assert_eq!(request.thread, ThreadArg::Resume("my thread".to_owned()));
    assert_eq!(request.images, ["a.png"]);
    assert_eq!(request.prompt, Some(PromptSource::Stdin));
}
