//! The layers of the real program: the machine's files at their real places, profiles, projects.

use codex_test_support::{TestHome, private_etc};
use insta::assert_snapshot;

/// A home whose working directory is a git project with this file.
fn project(text: &str) -> TestHome {
    let home = TestHome::new();
    home.write_file(".git/HEAD", "");
    home.write_file(".codex/config.toml", text);
    home
}

fn trust(home: &TestHome) {
    let cwd = home.cwd();
    home.write_config(&format!("[projects.{cwd:?}]\ntrust_level = \"trusted\"\n"));
}

fn name_of(home: &TestHome, server: &str) -> String {
    let output = home.codex(["mcp", "get", server, "--json"]).run().success();
    output.json()["transport"]["command"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Rows 1.paths, 1.system, 1.managed-machine.
#[test]
fn the_machine_s_files_are_read_where_they_are_documented() {
    if !private_etc() {
        return;
    }
    let home = TestHome::with_config("[mcp_servers.s]\ncommand = \"user\"\n");
    home.write_system_file(
        "config.toml",
        "[mcp_servers.s]\ncommand = \"system\"\nargs = [\"1\"]\n",
    );
    assert_eq!(name_of(&home, "s"), "user");
    assert_snapshot!(home.codex(["mcp", "get", "s", "--explain"]).run(), @r#"
    s
      enabled: true
      transport: stdio
      command: user
      args: 1
      cwd: -
      env: -
      remove: codex mcp remove s
      explain:
        command     user       [CODEX_HOME]/config.toml:2, over system /etc/codex/config.toml:2  "user"
        args        system     /etc/codex/config.toml:3  ["1"]
        policy      none       servers are not restricted
        env HOME    inherited
        env LANG    inherited
        env PATH    inherited
        env TMPDIR  inherited
        env TZ      inherited
    [exit 0]
    "#);
    home.write_system_file(
        "managed_config.toml",
        "[mcp_servers.s]\ncommand = \"managed\"\n",
    );
    let typed = home
        .codex(["mcp", "get", "s", "-c", "mcp_servers.s.command=typed"])
        .run();
    assert!(typed.stdout.contains("command: managed"), "{typed}");
}

/// Rows 1.paths, 15.system-paths.
#[test]
fn no_variable_moves_the_machine_s_files() {
    if !private_etc() {
        return;
    }
    let home = TestHome::new();
    home.write_system_file("config.toml", "[mcp_servers.s]\ncommand = \"system\"\n");
    for name in [
        "ProgramData",
        "XDG_CONFIG_HOME",
        "XDG_CONFIG_DIRS",
        "CODEX_SYSTEM",
        "HOME",
    ] {
        let listed = home
            .codex(["mcp", "list", "--json"])
            .env(name, "/nowhere")
            .run()
            .success();
        assert_eq!(listed.json()[0]["name"], "s", "{name}");
    }
}

/// Rows 1.not-toml, 1.fatal-text.
#[test]
fn a_broken_file_of_the_machine_ends_every_command() {
    if !private_etc() {
        return;
    }
    let home = TestHome::new();
    home.write_system_file("managed_config.toml", "a = \"hunter2\nb\n");
    assert_snapshot!(home.codex(["mcp", "list"]).run(), @"
    [stderr]
    Error: failed to load configuration

    Caused by:
        /etc/codex/managed_config.toml:2:2: key with no value, expected `=`
          |
        2 | …
          |  ^
    [exit 1]
    ");
    assert_eq!(home.codex(["exec", "hi"]).run().exit(), Some(1));
    assert_eq!(home.codex(["features", "list"]).run().exit(), Some(1));
}

/// Row 4.untrusted.
#[test]
fn a_project_s_servers_are_there_when_it_is_trusted_and_named_once_when_not() {
    let home = project("[mcp_servers.p]\ncommand = \"prog\"\n");
    home.write_file(
        "sub/.codex/config.toml",
        "[mcp_servers.q]\ncommand = \"prog\"\n",
    );
    assert_snapshot!(home.codex(["mcp", "list", "-C", "sub"]).run(), @r#"
    No MCP servers configured yet. Try `codex mcp add my-tool -- my-command`.
    [stderr]
    note: To load project-local config, hooks, and exec policies, add [CWD] as a trusted project in [CODEX_HOME]/config.toml.
    hint: `codex exec --trust` does that, or two lines in the file: `[projects."[CWD]"]` and below it `trust_level = "trusted"`
    [exit 0]
    "#);
    let exec_like = home.codex(["mcp", "get", "p"]).run();
    assert_eq!(exec_like.exit(), Some(1), "{exec_like}");

    trust(&home);
    let names = |args: &[&str]| {
        let output = home.codex(args).run().success();
        assert_eq!(output.stderr, "");
        let servers = output.json();
        let names = servers.as_array().unwrap().iter();
        names
            .map(|server| server["name"].to_string())
            .collect::<String>()
    };
    assert_eq!(names(&["mcp", "list", "--json", "-C", "sub"]), r#""p""q""#);
    assert_eq!(names(&["mcp", "list", "--json"]), r#""p""#);
}

/// Rows 1.strict, 1.project-file.
#[test]
fn strict_makes_a_project_file_that_cannot_be_read_fatal_for_mcp_too() {
    let home = project("[mcp_servers.p\n");
    trust(&home);
    let lenient = home.codex(["mcp", "list"]).run().success();
    assert!(lenient.stderr.starts_with("warning: "), "{lenient}");
    assert_snapshot!(home.codex(["mcp", "list", "--strict-config"]).run(), @"
    [stderr]
    Error: failed to load configuration

    Caused by:
        [CWD]/.codex/config.toml:1:15: unclosed table, expected `]`
          |
        1 | [mcp_servers.p
          |               ^
    [exit 1]
    ");
}

/// Row 4.profile.
#[test]
fn a_profile_is_used_and_a_missing_one_names_both_places() {
    let home = TestHome::with_config("[mcp_servers.s]\ncommand = \"user\"\n");
    let file = home.codex_home().join("work.config.toml");
    std::fs::write(file, "[mcp_servers.s]\ncommand = \"work\"\n").unwrap();
    let text = home
        .codex(["mcp", "get", "s", "-p", "work"])
        .run()
        .success();
    assert!(text.stdout.contains("command: work"), "{text}");
    assert_snapshot!(home.codex(["-p", "play", "mcp", "list"]).run(), @"
    [stderr]
    Error: failed to load configuration

    Caused by:
        there is no profile `play`: neither [CODEX_HOME]/play.config.toml nor `[profiles.play]` in [CODEX_HOME]/config.toml
    [exit 1]
    ");
}

/// Row 15.cost.
#[cfg(target_os = "linux")]
#[test]
fn a_list_of_a_hundred_servers_opens_each_file_once() {
    use rustix::fs::inotify;

    let servers = (0..100).map(|n| format!("[mcp_servers.s{n}]\ncommand = \"x\"\n"));
    let home = TestHome::with_config(&servers.collect::<String>());
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    let flags = inotify::WatchFlags::OPEN;
    let folder = home.config_file().parent().unwrap().to_owned();
    home.write_file("../codex-home/managed_config.toml", "model = \"m\"\n");
    inotify::add_watch(&watch, &folder, flags).unwrap();
    let listed = home.codex(["mcp", "list", "--json"]).run().success();
    assert_eq!(listed.json().as_array().map(Vec::len), Some(100));
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(&watch, &mut buffer);
    let mut opened = Vec::new();
    while let Ok(event) = events.next() {
        // Without a name it is the folder itself.
        opened.extend(
            event
                .file_name()
                .map(|name| name.to_str().unwrap().to_owned()),
        );
    }
    opened.sort();
    assert_eq!(opened, ["config.toml", "managed_config.toml"]);
}
