//! A coding agent's work: the built-in tools of `codex exec` on real commands and a real repository.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use codex_test_support::{
    MockResponses, Reply, RunningCodex, TestHome, ev_completed, ev_custom_tool_call,
    ev_function_call, ev_response_created, sse, wait_until_gone,
};
use serde_json::{Value, json};

use crate::exec_support::{LIMIT, completed_items, json, last_line, says, types};

/// An answer that runs one command.
pub(crate) fn runs(call_id: &str, cmd: &str) -> Reply {
    runs_with(call_id, &json!({"cmd": cmd, "login": false}))
}

fn runs_with(call_id: &str, arguments: &Value) -> Reply {
    let arguments = arguments.to_string();
    sse(vec![
        ev_response_created("r"),
        ev_function_call(call_id, "exec_command", &arguments),
        ev_completed("r"),
    ])
}

pub(crate) fn patches(call_id: &str, body: &str) -> Reply {
    let patch = format!("*** Begin Patch\n{body}\n*** End Patch\n");
    sse(vec![
        ev_response_created("r"),
        ev_custom_tool_call(call_id, "apply_patch", &patch),
        ev_completed("r"),
    ])
}

fn run_in(dir: &Path, program: &str, args: &[&str]) {
    let mut command = Command::new(program);
    command.args(args).current_dir(dir);
    // Neither the user's settings nor those of the machine.
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
}

/// Writes a program whose test fails into a new repository.
fn repository(dir: &Path) {
    std::fs::write(
        dir.join("add.sh"),
        "#!/bin/sh\n# Adds its two arguments.\nset -eu\n\necho \"$(($1 - $2))\"\n",
    )
    .unwrap();
    std::fs::write(
        dir.join("test.sh"),
        "#!/bin/sh\nset -eu\nsum=$(sh add.sh 2 3)\n[ \"$sum\" = 5 ] || { echo \"2 + 3 is $sum?\"; exit 1; }\necho passed\n",
    )
    .unwrap();
    run_in(dir, "git", &["init", "--quiet", "--initial-branch=main"]);
    run_in(dir, "git", &["add", "."]);
    let author = ["-c", "user.name=Test", "-c", "user.email=test@localhost"];
    run_in(
        dir,
        "git",
        &[&author[..], &["commit", "--quiet", "-m", "a program"]].concat(),
    );
}

#[test]
fn a_turn_fixes_a_failing_test_in_a_repository() {
    let provider = MockResponses::start();
    let home = TestHome::with_provider(&provider, "");
    repository(&home.cwd());
    let base_url = provider.base_url();
    let port = base_url
        .rsplit(':')
        .next()
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    // Of the shells only bash knows /dev/tcp; without the sandbox the same words connect.
    let connects = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected");
    run_in(&home.cwd(), "bash", &["-c", &connects]);
    let in_bash = json!({"cmd": connects, "shell": "bash", "login": false});
    provider
        .queue(runs("c1", "git log --oneline && cat add.sh test.sh"))
        .queue(runs("c2", "sh test.sh"))
        .queue(patches(
            "c3",
            "*** Update File: add.sh\n@@ set -eu\n \n-echo \"$(($1 - $2))\"\n+echo \"$(($1 + $2))\"",
        ))
        .queue(runs("c4", "sh test.sh && git status --short"))
        .queue(runs_with("c5", &in_bash))
        .queue(runs("c6", "echo x > .git/hooks/post-commit || echo x > /usr/x"))
        .queue(says("`add.sh` subtracted; now it adds, and the test passes."));
    let output = home
        .codex([
            "exec",
            "--json",
            "-s",
            "workspace-write",
            "make the test pass",
        ])
        .run();
    assert_eq!(output.exit(), Some(0), "{output}");
    let items = completed_items(&output);
    let ran = |index: usize| {
        (
            items[index]["exit_code"].clone(),
            items[index]["aggregated_output"].as_str().unwrap(),
        )
    };
    assert!(
        ran(0).1.contains("a program") && ran(0).1.contains("# Adds its two"),
        "{output}"
    );
    assert_eq!(ran(1), (json!(1), "2 + 3 is -1?\n"));
    assert_eq!(
        items[2],
        json!({
            "id": items[2]["id"], "type": "file_change", "status": "completed",
            "changes": [{"path": home.cwd().join("add.sh"), "kind": "update"}],
        })
    );
    assert_eq!(ran(3), (json!(0), "passed\n M add.sh\n"));
    // No network, no hook that would run outside later, nothing elsewhere.
    assert!(!ran(4).1.contains("connected"), "{output}");
    assert_ne!(ran(4).0, json!(0));
    assert_ne!(ran(5).0, json!(0), "{output}");
    assert!(!home.cwd().join(".git/hooks/post-commit").exists());
    assert_eq!(
        items[6]["text"],
        "`add.sh` subtracted; now it adds, and the test passes."
    );
    assert_eq!(last_line(&output)["type"], "turn.completed");
    run_in(&home.cwd(), "sh", &["test.sh"]);
    // The model was told what the commands said.
    let told = provider.request(2).function_call_output_text("c2").unwrap();
    assert!(
        told.contains("Process exited with code 1") && told.contains("2 + 3 is -1?"),
        "{told}"
    );
}

#[test]
fn a_read_only_run_reads_and_writes_nothing() {
    let provider = MockResponses::start();
    let home = TestHome::with_provider(&provider, "");
    std::fs::write(home.cwd().join("f"), "text\n").unwrap();
    provider
        .queue(runs("c1", "cat f"))
        .queue(runs("c2", "echo x > new"))
        .queue(patches("c3", "*** Add File: new\n+x"))
        .queue(says("done"));
    let output = json(&home, &["read"]).run();
    let items = completed_items(&output);
    assert_eq!(items[0]["aggregated_output"], "text\n", "{output}");
    assert_eq!(items[1]["status"], "failed");
    assert_eq!(
        (&items[2]["type"], &items[2]["status"]),
        (&json!("file_change"), &json!("failed"))
    );
    assert!(!home.cwd().join("new").exists());
}

/// Full access, so that the process ids that commands tell are ours.
pub(crate) fn full_access(provider: &MockResponses) -> (TestHome, [&'static str; 3]) {
    let home = TestHome::with_provider(provider, "");
    (home, ["-s", "danger-full-access", "hi"])
}

struct Endless {
    running: RunningCodex,
    pids: Vec<u32>,
    _home: TestHome,
}

/// Starts a run whose command tells its process ids and never ends; returns them.
fn endless(provider: &MockResponses, script: &str) -> Endless {
    let (home, args) = full_access(provider);
    let pids = home.cwd().join("pids");
    provider.queue(runs("c1", script));
    let running = json(&home, &args).spawn();
    let deadline = Instant::now() + LIMIT;
    let told = loop {
        let told = std::fs::read_to_string(&pids).unwrap_or_default();
        if told.ends_with("end\n") {
            break told;
        }
        assert!(Instant::now() < deadline, "the command does not run");
        std::thread::yield_now();
    };
    let pids = told.lines().filter_map(|line| line.parse().ok()).collect();
    Endless {
        running,
        pids,
        _home: home,
    }
}

const ENDLESS: &str = "trap '' TERM INT; sleep 1000 & echo $! >> pids; sleep 1000 & echo $! >> pids; echo $$ >> pids; echo end >> pids; wait; wait";

#[test]
fn an_interrupt_ends_running_commands_with_their_children() {
    let provider = MockResponses::start();
    let Endless {
        running,
        pids,
        _home,
    } = endless(&provider, ENDLESS);
    assert_eq!(pids.len(), 3);
    running.interrupt();
    let output = running.wait();
    assert_eq!(output.exit(), Some(130), "{output}");
    let items = completed_items(&output);
    assert_eq!(
        (items.len(), &items[0]["status"]),
        (1, &json!("failed")),
        "{output}"
    );
    assert_eq!(
        types(&output),
        [
            "thread.started",
            "turn.started",
            "item.started command_execution",
            "item.completed command_execution",
            "turn.failed",
        ]
    );
    for pid in pids {
        assert!(
            wait_until_gone(pid, Duration::from_secs(10)),
            "{pid} is left"
        );
    }
}

#[test]
fn after_a_kill_no_command_is_alive() {
    let provider = MockResponses::start();
    let Endless {
        running,
        pids,
        _home,
    } = endless(&provider, ENDLESS);
    running.kill();
    drop(running.wait());
    for pid in pids {
        assert!(
            wait_until_gone(pid, Duration::from_secs(10)),
            "{pid} is left"
        );
    }
}

#[test]
fn a_run_that_ends_well_ends_its_background_commands() {
    let provider = MockResponses::start();
    let (home, args) = full_access(&provider);
    let arguments = json!({"cmd": "echo $$; sleep 1000", "login": false, "yield_time_ms": 250});
    provider
        .queue(sse(vec![
            ev_response_created("r"),
            ev_function_call("c1", "exec_command", &arguments.to_string()),
            ev_completed("r"),
        ]))
        .queue(says("it runs"));
    let output = json(&home, &args).run();
    assert_eq!(output.exit(), Some(0), "{output}");
    let items = completed_items(&output);
    let ran = items
        .iter()
        .find(|item| item["type"] == "command_execution")
        .unwrap();
    assert_eq!(
        (&ran["status"], &ran["exit_code"]),
        (&json!("failed"), &Value::Null)
    );
    let pid = ran["aggregated_output"]
        .as_str()
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(wait_until_gone(pid, Duration::from_secs(10)));
}

#[test]
fn a_program_in_the_sandbox_asks_on_its_terminal_and_is_answered() {
    let provider = MockResponses::start();
    let home = TestHome::with_provider(&provider, "");
    let ask = json!({
        "cmd": "read -p 'name? ' name; echo \"hello $name\"; read -p 'more? ' more", "login": false,
        "tty": true, "yield_time_ms": 1000,
    });
    let write = |call_id: &str, chars: &str, wait: u32| {
        let arguments = json!({"session_id": 1, "chars": chars, "yield_time_ms": wait});
        sse(vec![
            ev_response_created("r"),
            ev_function_call(call_id, "write_stdin", &arguments.to_string()),
            ev_completed("r"),
        ])
    };
    provider
        .queue(sse(vec![
            ev_response_created("r"),
            ev_function_call("c1", "exec_command", &ask.to_string()),
            ev_completed("r"),
        ]))
        .queue(write("c2", "Ada\n", 1000))
        .queue(write("c3", "\u{3}", 30_000))
        .queue(says("done"));
    let output = json(&home, &["hi"]).run();
    let items = completed_items(&output);
    assert_eq!(items.len(), 2, "{output}");
    let told = items[0]["aggregated_output"].as_str().unwrap();
    assert!(
        told.starts_with("name? Ada\r\nhello Ada\r\nmore? "),
        "{output}"
    );
    assert_eq!(items[0]["exit_code"], 130, "{output}");
}

/// Whether a process with this word among its arguments lives.
pub(crate) fn lives(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.any(|line| {
        line.split(|byte| *byte == 0)
            .any(|arg| arg == word.as_bytes())
    })
}

#[test]
fn an_interrupt_ends_what_runs_in_the_sandbox() {
    // An argument that no other process has.
    let word = format!("1000.{}", std::process::id());
    let provider = MockResponses::start();
    let home = TestHome::with_provider(&provider, "");
    provider.queue(runs(
        "c1",
        &format!("trap '' TERM INT; sleep {word} & setsid sleep {word} & wait"),
    ));
    let running = json(&home, &["hi"]).spawn();
    let deadline = Instant::now() + LIMIT;
    while !lives(&word) {
        assert!(Instant::now() < deadline, "the command does not run");
        std::thread::yield_now();
    }
    running.interrupt();
    let output = running.wait();
    assert_eq!(output.exit(), Some(130), "{output}");
    assert_eq!(completed_items(&output)[0]["status"], "failed", "{output}");
    let deadline = Instant::now() + Duration::from_secs(1);
    while lives(&word) {
        assert!(Instant::now() < deadline, "a process is left");
        std::thread::yield_now();
    }
}

#[test]
fn keys_and_tokens_of_ours_are_not_given_to_commands() {
    let provider = MockResponses::start();
    let home = TestHome::with_provider(
        &provider,
        "[model_providers.other]\nname = \"O\"\nbase_url = \"http://127.0.0.1:1/v1\"\n\
         env_key = \"OTHER_KEY\"\n\
         [mcp_servers.s]\nurl = \"http://127.0.0.1:1/\"\nenabled = false\n\
         bearer_token_env_var = \"S_TOKEN\"\n",
    );
    let script = "for name in CODEX_API_KEY OPENAI_API_KEY CODEX_ACCESS_TOKEN OTHER_KEY S_TOKEN MINE; \
        do printenv $name || echo unset; done";
    provider.queue(runs("c1", script)).queue(says("done"));
    let mut command = json(&home, &["-s", "danger-full-access", "hi"]);
    for name in [
        "CODEX_API_KEY",
        "OPENAI_API_KEY",
        "CODEX_ACCESS_TOKEN",
        "OTHER_KEY",
        "S_TOKEN",
    ] {
        command = command.env(name, "k-secret");
    }
    let output = command.env("MINE", "kept").run();
    assert_eq!(
        completed_items(&output)[0]["aggregated_output"],
        "unset\nunset\nunset\nunset\nunset\nkept\n",
        "{output}"
    );
}

#[test]
fn a_patch_that_was_killed_in_the_middle_is_undone_by_the_next_run() {
    const N_FILES: usize = 120;
    let provider = MockResponses::start();
    let home = TestHome::with_provider(&provider, "");
    let dir = home.cwd();
    let update = |n: usize| format!("*** Update File: f{n}\n@@\n-old\n+new\n");
    let body: String = (0..N_FILES).map(update).collect();
    let is_new = |n: usize| {
        std::fs::read(dir.join(format!("f{n}"))).is_ok_and(|content| content == b"new\n")
    };
    let n_new = || (0..N_FILES).filter(|n| is_new(*n)).count();
    // Kills a patch at a moment, has the next run undo it, and returns whether the kill came when
    // some files had their new content already and others had not.
    let kill_in_the_middle = |is_time: &dyn Fn() -> bool| {
        for n in 0..N_FILES {
            std::fs::write(dir.join(format!("f{n}")), "old\n").unwrap();
        }
        provider.queue(patches("c1", body.trim_end()));
        let running = json(&home, &["-s", "workspace-write", "hi"]).spawn();
        let deadline = Instant::now() + LIMIT;
        while !is_time() {
            assert!(Instant::now() < deadline, "the patch is not applied");
        }
        running.kill();
        drop(running.wait());
        let was_in_the_middle = (1..N_FILES).contains(&n_new()) && beside(&dir, ".old") > 0;

        provider.otherwise(says("done"));
        let next = json(&home, &["hi"]).run();
        assert_eq!(next.exit(), Some(0), "{next}");
        assert_eq!((beside(&dir, ".new"), beside(&dir, ".old")), (0, 0));
        assert!([0, N_FILES].contains(&n_new()), "{}", n_new());
        was_in_the_middle
    };
    for n_prepared in [1, 60, 119] {
        kill_in_the_middle(&|| beside(&dir, ".new") >= n_prepared);
    }
    // The renames take less than a kill now and then; a few attempts are enough.
    let in_the_middle = (0..20).any(|_| kill_in_the_middle(&|| is_new(0)));
    assert!(in_the_middle, "no kill came in the middle");
}

/// Counts the files that a patch puts beside its targets.
fn beside(dir: &Path, suffix: &str) -> usize {
    let names = std::fs::read_dir(dir).unwrap().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| name.starts_with(".codex-") && name.ends_with(suffix))
        .count()
}
