//! What every command that edits a file keeps to: kills, other editors, flags, and fifty at once.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use codex_test_support::{CommandOutput, TestHome};
use insta::assert_snapshot;

/// Longer than what a limit of one block lets a process write.
fn long_config() -> String {
    let note = "# a line that a half-written file would not have whole\n".repeat(60);
    format!("{note}[mcp_servers.a]\ncommand = \"x\"\n")
}

/// What lies in the home beside the file and its lock.
fn beside(home: &TestHome) -> Vec<PathBuf> {
    let found = std::fs::read_dir(home.codex_home()).unwrap();
    let found = found.map(|entry| entry.unwrap().path());
    let known = |path: &PathBuf| path.ends_with("config.toml") || path.ends_with(".config.lock");
    found.filter(|path| !known(path)).collect()
}

/// Temporary files that a killed writer left, each of them private or no wider than the file itself.
fn leftovers(home: &TestHome) -> Vec<PathBuf> {
    let left = beside(home);
    for path in &left {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            name.starts_with(".codex-") && name.ends_with(".tmp"),
            "{name}"
        );
        let mode =
            |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let allowed = [0o600, mode(&home.config_file())];
        assert!(allowed.contains(&mode(path)), "{name}");
    }
    left
}

/// What a kill left: the whole old file or the whole new one, and nothing that hinders the next edit.
fn after_a_kill(home: &TestHome, old: &str) -> bool {
    let (new_entry, found) = ("\n[mcp_servers.b]\ncommand = \"prog\"\n", home.config());
    let is_new = found == format!("{old}{new_entry}");
    assert!(is_new || found == old, "half a file: {found}");
    leftovers(home);
    home.codex(["mcp", "add", "c", "--", "prog"])
        .run()
        .success();
    let both = home.config();
    assert!(
        both.contains("[mcp_servers.c]") && both.starts_with(old),
        "{both}"
    );
    assert_eq!(both.contains("[mcp_servers.b]"), is_new, "{both}");
    is_new
}

/// Row E4.
#[test]
fn a_kill_at_any_moment_leaves_the_old_file_or_the_new_one() {
    let old = long_config();
    let start = |home: &TestHome| home.codex(["mcp", "add", "b", "--", "prog"]).spawn();
    let home = TestHome::with_config(&old);
    let whole_run = start(&home).wait().success().duration;
    let (mut n_old, mut n_new) = (0, 0);
    for step in 0..40_u32 {
        let home = TestHome::with_config(&old);
        let running = start(&home);
        std::thread::sleep(whole_run * step / 32);
        running.kill();
        running.wait();
        match after_a_kill(&home, &old) {
            true => n_new += 1,
            false => n_old += 1,
        }
    }
    assert!(n_old > 0 && n_new > 0, "{n_old} {n_new}");
}

/// Row E4.
#[test]
fn a_kill_between_the_new_content_and_the_rename_leaves_the_old_file() {
    let old = long_config();
    let mut n_between = 0;
    for _ in 0..60 {
        let home = TestHome::with_config(&old);
        let running = home.codex(["mcp", "add", "b", "--", "prog"]).spawn();
        let deadline = Instant::now() + Duration::from_secs(20);
        while beside(&home).is_empty() && home.config() == old && Instant::now() < deadline {}
        running.kill();
        running.wait();
        n_between += usize::from(!leftovers(&home).is_empty());
        after_a_kill(&home, &old);
        if n_between == 5 {
            return;
        }
    }
    assert!(n_between > 0, "no kill came in time");
}

/// Row E4.
#[test]
fn a_kill_in_the_middle_of_the_write_leaves_the_old_file() {
    let old = long_config();
    let home = TestHome::with_config(&old);
    let codex = codex_test_support::codex_program();
    // The system ends whoever writes a file beyond the limit.
    let script = "ulimit -c 0; ulimit -f 1; exec \"$0\" mcp add b -- prog";
    let killed = home.program("/bin/sh", ["-c", script, codex.to_str().unwrap()]);
    let output = killed.run();
    assert!(output.signal().is_some(), "{output}");
    let left = leftovers(&home);
    let [half] = left.as_slice() else {
        panic!("{left:?}")
    };
    let length = std::fs::metadata(half).unwrap().len();
    assert!(length > 0 && length < old.len() as u64, "{length}");
    assert!(!after_a_kill(&home, &old));
}

/// Row E4.
#[test]
fn what_a_killed_writer_left_goes_when_it_is_old() {
    let home = TestHome::with_config("");
    let left = |name: &str, age: u64| {
        let path = home.codex_home().join(name);
        let file = std::fs::File::create(&path).unwrap();
        let then = std::time::SystemTime::now() - Duration::from_secs(age);
        file.set_modified(then).unwrap();
        path
    };
    let old = left(".codex-AbC123.tmp", 7200);
    // Somebody may be at work on it.
    let new = left(".codex-DeF456.tmp", 60);
    let other = left("notes.tmp", 7200);
    home.codex(["mcp", "add", "b", "--", "prog"])
        .run()
        .success();
    assert!(!old.exists() && new.exists() && other.exists());
}

/// Row E3.
#[test]
fn fifty_different_edits_at_once_all_survive() {
    const ON: [&str; 5] = [
        "experimental_windows_sandbox",
        "mcp_2026_07_28",
        "mcp_lazy_stdio_startup",
        "non_prefixed_mcp_tool_names",
        "unbounded_connection_retries",
    ];
    const OFF: [&str; 5] = [
        "mcp_connection_sharing",
        "mcp_tool_list_changed",
        "shell_tool",
        "unified_exec",
        "view_image",
    ];
    let numbers = 0..10;
    let mut text = "# mine\nmodel = \"m\" # keep\n".to_owned();
    for n in numbers.clone() {
        text += &format!("\n[mcp_servers.on{n}]\ncommand = \"x\" # {n}\n");
        text += &format!("\n[mcp_servers.off{n}]\ncommand = \"x\"\nenabled = false\n");
        text += &format!("\n# about gone{n}\n[mcp_servers.gone{n}]\ncommand = \"x\"\n");
    }
    let home = TestHome::with_config(&text);
    let words = |verb: &str, name: String| ["mcp".to_owned(), verb.to_owned(), name].to_vec();
    let mut edits: Vec<Vec<String>> = Vec::new();
    for n in numbers.clone() {
        let mut add = words("add", format!("new{n}"));
        add.extend(["--".to_owned(), "prog".to_owned()]);
        edits.push(add);
        edits.push(words("disable", format!("on{n}")));
        edits.push(words("enable", format!("off{n}")));
        edits.push(words("remove", format!("gone{n}")));
    }
    for (verb, features) in [("enable", ON), ("disable", OFF)] {
        let edit = |key: &str| ["features", verb, key].map(str::to_owned).to_vec();
        edits.extend(features.map(edit));
    }
    assert_eq!(edits.len(), 50);
    let running: Vec<_> = edits.iter().map(|edit| home.codex(edit).spawn()).collect();
    for codex in running {
        codex.wait().success();
    }

    let listed = home.codex(["mcp", "list", "--json"]).run().success().json();
    let servers = listed.as_array().unwrap().iter();
    let mut servers: Vec<String> = servers
        .map(|server| format!("{} {}", server["name"], server["enabled"]).replace('"', ""))
        .collect();
    servers.sort();
    let wanted = |name: &str, on: bool| {
        let name = name.to_owned();
        numbers.clone().map(move |n| format!("{name}{n} {on}"))
    };
    let mut expected: Vec<String> = wanted("new", true).collect();
    expected.extend(wanted("on", false));
    expected.extend(wanted("off", true));
    expected.sort();
    assert_eq!(servers, expected);
    let config = home.config();
    for (keys, value) in [(ON, true), (OFF, false)] {
        for key in keys {
            assert!(config.contains(&format!("{key} = {value}\n")), "{config}");
        }
    }
    assert!(
        config.starts_with("# mine\nmodel = \"m\" # keep\n"),
        "{config}"
    );
    assert!(!config.contains("gone"), "{config}");
    for n in numbers {
        assert!(
            config.contains(&format!("command = \"x\" # {n}\n")),
            "{config}"
        );
    }
    assert!(leftovers(&home).is_empty());
}

/// Row 3.not-written.
#[test]
fn what_was_typed_for_one_run_is_written_by_no_edit() {
    let home = TestHome::with_config("[mcp_servers.a]\ncommand = \"x\"\n");
    let from = home.write_file("servers.json", r#"{"mcpServers": {"i": {"command": "y"}}}"#);
    let typed = |words: &[&str]| {
        let mut command = home.codex(words);
        for flag in [
            "mcp_servers.a.args=['typed']",
            "mcp_servers.t.command=typed",
            "model=typed",
        ] {
            command = command.arg("-c").arg(flag);
        }
        let output = command.run();
        assert!(
            !home.config().contains("typed"),
            "{words:?}: {}",
            home.config()
        );
        output
    };
    typed(&["mcp", "disable", "a"]).success();
    typed(&["mcp", "enable", "a"]).success();
    typed(&["features", "disable", "shell_tool"]).success();
    typed(&["mcp", "import", from.to_str().unwrap()]).success();
    home.codex([
        "-c",
        "mcp_servers.b={command='typed'}",
        "mcp",
        "add",
        "b",
        "--",
        "prog",
    ])
    .run()
    .success();
    typed(&["mcp", "remove", "b"]).success();
    typed(&["mcp", "remove", "t"]).success();
    assert_snapshot!(home.config(), @r#"
    [mcp_servers.a]
    command = "x"

    [features]
    shell_tool = false

    [mcp_servers.i]
    command = "y"
    "#);
}

/// Rows E8, E9.
#[test]
fn no_edit_writes_a_file_that_does_not_parse() {
    let text = "[mcp_servers.a]\ncommand = \n";
    let home = TestHome::with_config(text);
    for words in [
        &["mcp", "add", "b", "--", "prog"][..],
        &["mcp", "remove", "a"],
        &["mcp", "disable", "a"],
        &["features", "disable", "shell_tool"],
    ] {
        let output = home.codex(words).run();
        assert_eq!(output.exit(), Some(1), "{output}");
        assert!(output.stderr.contains("config.toml:2:"), "{output}");
        assert_eq!(home.config(), text);
    }
    // A server that is spelled as no edit could change it without touching the others.
    let text = "mcp_servers = { a = { command = \"x\" } }\n";
    let home = TestHome::with_config(text);
    home.codex(["mcp", "add", "b", "--", "prog"])
        .run()
        .success();
    assert_snapshot!(home.config(), @r#"
    mcp_servers = { a = { command = "x" } , b = { command = "prog" } }
    "#);
}

/// Row E10.
#[test]
fn neither_the_machine_s_nor_a_managed_file_is_ever_written() {
    if !codex_test_support::private_etc() {
        return;
    }
    let home = TestHome::new();
    let managed = home.codex_home().join("managed_config.toml");
    std::fs::write(&managed, "[mcp_servers.m]\ncommand = \"m\"\n").unwrap();
    home.write_system_file("config.toml", "[mcp_servers.s]\ncommand = \"s\"\n");
    let said = |output: CommandOutput| format!("{output}");
    assert_snapshot!(said(home.codex(["mcp", "remove", "m"]).run()), @r#"
    [stderr]
    Error: MCP server 'm' is configured in [CODEX_HOME]/managed_config.toml, which this command does not change.
    hint: `codex mcp disable m` turns it off for you
    [exit 1]
    "#);
    assert_snapshot!(said(home.codex(["mcp", "remove", "s"]).run()), @r#"
    [stderr]
    Error: MCP server 's' is configured in /etc/codex/config.toml, which this command does not change.
    hint: `codex mcp disable s` turns it off for you
    [exit 1]
    "#);
    home.codex(["mcp", "disable", "s"]).run().success();
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(managed), "[mcp_servers.m]\ncommand = \"m\"\n");
    let system = home.path().join("etc/codex/config.toml");
    assert_eq!(read(system), "[mcp_servers.s]\ncommand = \"s\"\n");
    assert_snapshot!(home.config(), @r#"
    [mcp_servers.s]
    enabled = false
    "#);
}
