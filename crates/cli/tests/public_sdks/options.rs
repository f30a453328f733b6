//! What a program can set: of the thread, of the whole `Codex`, and of its environment.

use codex_test_support::MockResponses;
use serde_json::{Value, json};

use crate::room::{Room, Sdk, calls, error_of, item_of, runs, says};

pub(crate) fn the_model_and_each_effort_reach_the_request(room: &Room) {
    let known = ["minimal", "low", "medium", "high"];
    let newer = ["xhigh", "max", "ultra", "persistent"];
    let efforts: Vec<&str> = match room.sdk {
        Sdk::TypeScript => [known, newer].concat(),
        Sdk::Python => known.to_vec(),
    };
    room.provider.otherwise(says("x"));
    let thread = |effort: &&str| {
        let options = json!({"model": format!("gpt-5-{effort}"), "model_reasoning_effort": effort});
        json!({"thread": options, "turns": [{"input": "x"}]})
    };
    room.play(json!({}), efforts.iter().map(thread).collect());
    let mut seen: Vec<(Value, Value)> = Vec::new();
    for request in room.provider.requests() {
        let body = request.json();
        seen.push((body["model"].clone(), body["reasoning"]["effort"].clone()));
    }
    for effort in &efforts {
        let wanted = (json!(format!("gpt-5-{effort}")), json!(effort));
        assert!(seen.contains(&wanted), "{effort}: {seen:?}");
    }
    assert_eq!(seen.len(), efforts.len());
}

pub(crate) fn each_approval_policy_is_taken_and_nobody_is_asked(room: &Room) {
    for policy in ["never", "on-request", "on-failure", "untrusted"] {
        room.provider
            .queue(runs("echo $((6*7)); rm -rf nothing"))
            .queue(says("done"));
        let turn = room.run(json!({"approval_policy": policy}));
        let command = item_of(&turn, "command_execution");
        // A program that drives us has nobody to ask: the sandbox holds, whatever the policy.
        assert_eq!(
            (&command["status"], &command["aggregated_output"]),
            (&json!("completed"), &json!("42\n")),
            "{policy}: {turn}"
        );
    }
}

pub(crate) fn the_working_directory_is_where_commands_run(room: &Room) {
    room.home
        .write_file("sub/AGENTS.md", "Words of the folder.");
    let folder = room.home.cwd().join("sub");
    room.provider.queue(runs("pwd")).queue(says("done"));
    let turn = room.run(json!({"working_directory": folder}));
    let command = item_of(&turn, "command_execution");
    assert_eq!(
        command["aggregated_output"],
        format!("{}\n", folder.display()),
        "{turn}"
    );
    let users = room.provider.request(0).texts("user").concat();
    assert!(users.contains("Words of the folder."), "{users}");
    assert!(users.contains(&format!("<cwd>{}</cwd>", folder.display())));
}

pub(crate) fn a_working_directory_that_is_not_there_is_an_error(room: &Room) {
    let error = error_of(&room.run(json!({"working_directory": "/no/such/dir"})));
    assert!(error.contains("/no/such/dir"), "{error}");
    assert!(room.provider.requests().is_empty());
}

pub(crate) fn a_folder_without_git_wants_the_check_skipped(room: &Room) {
    let checked = json!({"skip_git_repo_check": false});
    let error = error_of(&room.run(checked.clone()));
    assert!(error.contains("Not inside a trusted directory"), "{error}");
    assert!(room.provider.requests().is_empty());
    room.home.write_file(".git/HEAD", "ref: refs/heads/main\n");
    room.provider.queue(says("x"));
    let turn = room.run(checked);
    assert_eq!(turn["final_response"], "x", "{turn}");
}

/// What the request of a run with these options says of web search.
fn searched(room: &Room, options: Value) -> Option<Value> {
    room.provider.queue(says("x"));
    let turn = room.run(options);
    assert_eq!(turn["final_response"], "x", "{turn}");
    let request = room.provider.requests().pop().unwrap();
    request.tool("web_search")
}

fn search(live: bool) -> Option<Value> {
    Some(json!({"type": "web_search", "external_web_access": live}))
}

pub(crate) fn web_search_follows_its_switch(room: &Room) {
    let on = searched(room, json!({"web_search_enabled": true}));
    assert_eq!(on, search(true));
    let off = searched(room, json!({"web_search_enabled": false}));
    match room.sdk {
        Sdk::TypeScript => assert_eq!(off, None),
        // It sets a feature that only ever turned the live search on.
        Sdk::Python => assert_eq!(off, search(false)),
    }
    assert_eq!(searched(room, json!({})), search(false));
}

pub(crate) fn each_mode_of_web_search_is_offered(room: &Room) {
    for (mode, offered) in [
        ("disabled", None),
        ("cached", search(false)),
        ("live", search(true)),
    ] {
        assert_eq!(
            searched(room, json!({"web_search_mode": mode})),
            offered,
            "{mode}"
        );
    }
}

pub(crate) fn the_base_url_and_the_key_are_used(room: &Room) {
    let other = MockResponses::start();
    other.queue(says("from the other one"));
    let thread = || vec![json!({"thread": {}, "turns": [{"input": "x"}]})];
    let codex = json!({"base_url": other.base_url(), "api_key": "another-canary-key"});
    let played = room.play(codex, thread()).remove(0);
    let turn = &played["turns"][0];
    assert_eq!(turn["final_response"], "from the other one", "{turn}");
    let request = other.request(0);
    assert_eq!(
        request.header("authorization"),
        Some("Bearer another-canary-key")
    );
    // It may be asked without a key; a key of another address is not lent to it.
    other.queue(says("without a key"));
    let codex = json!({"base_url": other.base_url(), "api_key": null});
    let played = room.play(codex, thread()).remove(0);
    assert_eq!(
        played["turns"][0]["final_response"], "without a key",
        "{played}"
    );
    assert_eq!(other.request(1).header("authorization"), None);
    assert!(room.provider.requests().is_empty());
    room.provider.queue(says("x"));
    room.run(json!({}));
    let request = room.provider.request(0);
    let bearer = format!("Bearer {}", Room::key());
    assert_eq!(request.header("authorization"), Some(&*bearer));
}

pub(crate) fn the_environment_is_the_given_one(room: &Room) {
    room.provider.queue(says("x"));
    room.run(json!({}));
    let originator = match room.sdk {
        Sdk::TypeScript => "codex_sdk_ts",
        Sdk::Python => "codex_sdk_py",
    };
    assert_eq!(
        room.provider.request(0).header("originator"),
        Some(originator)
    );
    // A given environment is the whole one; a command inherits it.
    let mut env: serde_json::Map<String, Value> = room
        .home
        .env_pairs()
        .into_iter()
        .map(|(name, value)| (name, json!(value)))
        .collect();
    env.insert("OPENAI_BASE_URL".into(), json!(room.provider.base_url()));
    env.insert("MINE".into(), json!("given"));
    env.insert(
        "CODEX_INTERNAL_ORIGINATOR_OVERRIDE".into(),
        json!("my_program"),
    );
    room.provider
        .queue(runs("echo $MINE ${CODEX_API_KEY-no key}"))
        .queue(says("done"));
    let thread = json!({"thread": {}, "turns": [{"input": "x"}]});
    let played = room.play(json!({"env": env}), vec![thread]).remove(0);
    let command = item_of(&played["turns"][0], "command_execution");
    assert_eq!(command["aggregated_output"], "given no key\n", "{played}");
    let request = room.provider.request(1);
    assert_eq!(request.header("originator"), Some("my_program"));
    let agent = request.header("user-agent").unwrap();
    assert!(agent.starts_with("my_program/"), "{agent}");
}

pub(crate) fn config_overrides_reach_the_config(room: &Room) {
    room.provider
        .queue(calls(json!({"cmd": "true"})))
        .queue(says("x"));
    let codex = json!({
        "config": {
            "model": "gpt-5-by-config",
            "model_verbosity": "low",
            "tools": {"update_plan": {"enabled": true}},
            "developer_instructions": "say \"yes\"\nand no more",
            "sandbox_workspace_write": {"writable_roots": [room.home.home()]},
        },
        // Raw ones come later, and options of the thread last.
        "config_overrides": ["model_verbosity=\"high\"", "sandbox_mode=\"read-only\""],
    });
    let thread = json!({
        "thread": {"sandbox_mode": "workspace-write"}, "turns": [{"input": "x"}],
    });
    let played = room.play(codex, vec![thread]).remove(0);
    assert_eq!(played["turns"][0]["final_response"], "x", "{played}");
    let request = room.provider.request(0);
    let body = request.json();
    assert_eq!(
        (&body["model"], &body["text"]["verbosity"]),
        (&json!("gpt-5-by-config"), &json!("high"))
    );
    assert!(request.tool("update_plan").is_some());
    let developer = request.texts("developer");
    assert_eq!(developer[1], "say \"yes\"\nand no more");
    assert!(developer[0].contains("`workspace-write`"), "{developer:?}");
    assert!(developer[0].contains(&*room.home.home().to_string_lossy()));
}

pub(crate) fn the_source_of_a_thread_is_kept(room: &Room) {
    room.provider.queue(says("one")).queue(says("two"));
    let options = json!({"thread_source": "my batch"});
    let played = room.thread(options, json!([{"input": "a"}, {"input": "b"}]));
    assert_eq!(played["turns"][1]["final_response"], "two", "{played}");
    let recorded = find_thread(&room.home.codex_home(), played["id"].as_str().unwrap());
    assert!(recorded.contains("\"my batch\""), "{recorded}");
}

/// The text of the file that holds a thread.
fn find_thread(folder: &std::path::Path, id: &str) -> String {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(id) {
                return std::fs::read_to_string(path).unwrap();
            }
        }
    }
    panic!("no file of thread {id}")
}

pub(crate) fn a_program_of_cyber_access_is_taken(room: &Room) {
    room.provider.queue(says("x"));
    let step = json!({"input": "x", "options": {"cyber_access_program": "daybreak_blue"}});
    let turn = room.turn(json!({}), step);
    assert_eq!(turn["final_response"], "x", "{turn}");
    let told = item_of(&turn, "error")["message"].as_str().unwrap();
    assert!(told.contains("--cyber-access-program"), "{told}");
}

pub(crate) fn an_option_that_is_not_known_is_an_error(room: &Room) {
    // As a newer package would send it, with a prompt that no pipe holds.
    let step = json!({
        "input": "x".repeat(300_000), "options": {"cyber_access_program": "of_the_future"},
    });
    let error = error_of(&room.turn(json!({}), step));
    assert!(
        error.contains("code 2") && error.contains("of_the_future"),
        "{error}"
    );
    assert!(room.provider.requests().is_empty());
}
