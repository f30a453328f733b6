//! `codex exec resume`: going on with a thread.

use codex_test_support::{MockResponses, TestHome};
use insta::assert_snapshot;

use crate::exec_support::{json, last_user_texts, one_answer, says, thread_id};

fn two_answers() -> (MockResponses, TestHome) {
    let (provider, home) = one_answer("first answer");
    provider.queue(says("second answer"));
    (provider, home)
}

#[test]
fn a_thread_goes_on_under_its_id_with_its_history() {
    let (provider, home) = two_answers();
    let id = thread_id(&json(&home, &["first prompt"]).run().success());
    let output = json(&home, &["resume", &id, "second prompt"])
        .run()
        .success();
    assert_eq!(thread_id(&output), id);
    let (first, second) = (provider.request(0).input(), provider.request(1).input());
    assert_eq!(
        second[..first.len()],
        first[..],
        "the history is sent as it was"
    );
    assert!(
        provider
            .request(1)
            .texts("assistant")
            .contains(&"first answer".to_owned())
    );
    assert_eq!(last_user_texts(&provider, 1), ["second prompt"]);
    assert_eq!(provider.request(1).json()["prompt_cache_key"], id.as_str());
}

#[test]
fn the_newest_thread_of_this_directory_is_the_last() {
    let (provider, home) = two_answers();
    let id = thread_id(&json(&home, &["first prompt"]).run().success());
    let elsewhere = home.home();
    let none = json(&home, &["resume", "--last", "x"])
        .current_dir(&elsewhere)
        .run();
    assert_snapshot!(none, @r#"
    {"type":"error","message":"no recorded thread to resume"}
    [stderr]
    Error: no recorded thread to resume
    [exit 1]
    "#);
    let last = json(&home, &["resume", "--last", "--all", "x"])
        .current_dir(&elsewhere)
        .run();
    assert_eq!(thread_id(&last.success()), id);
    provider.queue(says("third answer"));
    assert_eq!(
        thread_id(&json(&home, &["resume", "--last", "y"]).run().success()),
        id
    );
}

#[test]
fn threads_that_are_not_there_are_named() {
    let home = TestHome::new();
    let id = "01a1fabd-271c-7641-9288-7a6c1251e488";
    let output = json(&home, &["resume", id, "x"]).run();
    assert_eq!(output.exit(), Some(1));
    let told = format!("no rollout found for thread id {id}");
    assert_eq!(output.json_lines()[0]["message"], told.as_str());
    let output = json(&home, &["resume", "my thread", "x"]).run();
    assert_eq!(output.exit(), Some(1));
    assert_eq!(
        output.json_lines()[0]["message"],
        "no thread named `my thread`"
    );
}

#[test]
fn a_thread_that_was_killed_can_be_resumed() {
    let (provider, home) = one_answer("first answer");
    let gate = codex_test_support::Gate::new();
    provider
        .queue(says("never told").hold_until(&gate))
        .queue(says("third answer"));
    let id = thread_id(&json(&home, &["first prompt"]).run().success());
    let running = json(&home, &["resume", &id, "second prompt"]).spawn();
    provider.wait_for_requests(2, crate::exec_support::LIMIT);
    running.kill();
    drop(running.wait());
    json(&home, &["resume", &id, "third prompt"])
        .run()
        .success();
    let asked = provider.request(2).texts("user");
    assert!(asked.contains(&"first prompt".to_owned()), "{asked:?}");
    assert_eq!(asked.last().map(String::as_str), Some("third prompt"));
    gate.open();
}

#[test]
fn a_fork_is_a_copy_under_its_own_id_that_can_be_resumed() {
    let (provider, home) = two_answers();
    provider.queue(says("third answer")).queue(says("fourth"));
    let id = thread_id(&json(&home, &["first prompt"]).run().success());
    let fork = json(&home, &["fork", &id, "another way"]).run().success();
    let fork_id = thread_id(&fork);
    assert_ne!(fork_id, id);
    let run = |id: &str, prompt| json(&home, &["resume", id, prompt]).run().success();
    assert_eq!(thread_id(&run(&fork_id, "on")), fork_id);
    assert_eq!(thread_id(&run(&id, "as before")), id);
    // Instructions and surroundings are user messages too; the prompts follow them.
    let prompts = |request: usize| -> Vec<String> {
        let texts = provider.request(request).texts("user");
        let known = ["first prompt", "another way", "on", "as before"];
        let own = texts.into_iter().filter(|text| known.contains(&&**text));
        own.collect()
    };
    assert_eq!(prompts(1), ["first prompt", "another way"]);
    assert_eq!(prompts(2), ["first prompt", "another way", "on"]);
    assert_eq!(prompts(3), ["first prompt", "as before"]);
}

#[test]
fn a_fork_needs_a_prompt_and_a_thread_that_is_there() {
    let (provider, home) = two_answers();
    let id = thread_id(&json(&home, &["first prompt"]).run().success());
    let output = json(&home, &["fork", &id]).run();
    assert_snapshot!(output, @r#"
    {"type":"error","message":"No prompt provided via stdin."}
    [stderr]
    Reading prompt from stdin...
    No prompt provided via stdin.
    [exit 1]
    "#);
    let output = json(&home, &["fork", "my thread", "x"]).run();
    assert_snapshot!(output, @r#"
    {"type":"error","message":"no thread named `my thread`"}
    [stderr]
    Error: no thread named `my thread`
    hint: a session id is a UUID; `codex exec resume --last` takes the newest session
    [exit 1]
    "#);
    assert_eq!(provider.requests().len(), 1);
}
