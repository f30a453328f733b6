//! `codex mcp enable` and `disable`, and the other edits where a server is in more than one layer.

use codex_test_support::{TestHome, private_etc};
use insta::assert_snapshot;

const ONE: &str = "# mine\n[mcp_servers.a]\ncommand = \"x\" # keep\n";

/// A home with a trusted git project.
fn project(user: &str, project: &str) -> TestHome {
    let home = TestHome::new();
    home.write_file(".git/HEAD", "");
    home.write_file(".codex/config.toml", project);
    let cwd = home.cwd();
    home.write_config(&format!(
        "{user}[projects.{cwd:?}]\ntrust_level = \"trusted\"\n"
    ));
    home
}

fn project_file(home: &TestHome) -> String {
    std::fs::read_to_string(home.cwd().join(".codex/config.toml")).unwrap()
}

#[test]
fn one_key_of_the_entry_changes_and_changes_back() {
    let home = TestHome::with_config(ONE);
    let run = |verb: &str| home.codex(["mcp", verb, "a"]).run();
    assert_snapshot!(run("enable"), @"
    MCP server 'a' is already enabled.
    [exit 0]
    ");
    assert_eq!(home.config(), ONE);
    assert_snapshot!(run("disable"), @"
    Disabled MCP server 'a'.
    [exit 0]
    ");
    assert_eq!(home.config(), format!("{ONE}enabled = false\n"));
    assert_snapshot!(run("disable"), @"
    MCP server 'a' is already disabled.
    [exit 0]
    ");
    assert_snapshot!(run("enable"), @"
    Enabled MCP server 'a'.
    [exit 0]
    ");
    assert_eq!(home.config(), ONE);
    assert_snapshot!(home.codex(["mcp", "enable", "aa"]).run(), @"
    [stderr]
    Error: No MCP server named 'aa' found.
    hint: did you mean `a`?
    [exit 1]
    ");
}

#[test]
fn a_server_of_a_lower_layer_gets_one_key_in_the_user_s_file() {
    if !private_etc() {
        return;
    }
    let home = TestHome::new();
    home.write_system_file(
        "config.toml",
        "[mcp_servers.s]\ncommand = \"x\"\n[mcp_servers.off]\ncommand = \"x\"\nenabled = false\n",
    );
    home.codex(["mcp", "disable", "s"]).run().success();
    home.codex(["mcp", "enable", "off"]).run().success();
    assert_snapshot!(home.config(), @"
    [mcp_servers.s]
    enabled = false

    [mcp_servers.off]
    enabled = true
    ");
    home.codex(["mcp", "enable", "s"]).run().success();
    home.codex(["mcp", "disable", "off"]).run().success();
    let states = home.codex(["mcp", "list", "--json"]).run().success().json();
    assert_eq!(
        (&states[0]["enabled"], &states[1]["enabled"]),
        (&false.into(), &true.into())
    );
    // What was made for the one key is gone with it.
    assert!(
        !home.config().contains("mcp_servers.s"),
        "{}",
        home.config()
    );
    home.codex(["mcp", "disable", "s"]).run().success();
    // remove says where it is, and that it runs again.
    assert_snapshot!(home.codex(["mcp", "remove", "s"]).run(), @"
    Removed global MCP server 's'.
    [stderr]
    note: 's' is still configured in /etc/codex/config.toml
    note: 's' is on again: the removed entry had turned it off; `codex mcp disable s` turns it off
    [exit 0]
    ");
    assert_snapshot!(home.codex(["mcp", "remove", "s"]).run(), @"
    [stderr]
    Error: MCP server 's' is configured in /etc/codex/config.toml, which this command does not change.
    hint: `codex mcp disable s` turns it off for you
    [exit 1]
    ");
    home.write_config("[mcp_servers.s]\ncommand = \"mine\"\n");
    assert_snapshot!(home.codex(["mcp", "remove", "s"]).run(), @"
    Removed global MCP server 's'.
    [stderr]
    note: 's' is still configured in /etc/codex/config.toml
    [exit 0]
    ");
}

#[test]
fn a_server_of_a_profile_is_switched_in_the_profile_s_file() {
    let home = TestHome::with_config(ONE);
    let profile = home.codex_home().join("w.config.toml");
    let text = "[mcp_servers.w]\ncommand = \"x\"\n";
    std::fs::write(&profile, text).unwrap();
    let run = |args: &[&str]| home.codex([&["mcp", "-p", "w"], args].concat()).run();
    let said = || std::fs::read_to_string(&profile).unwrap();
    assert_snapshot!(run(&["disable", "w"]), @"
    Disabled MCP server 'w'.
    [exit 0]
    ");
    assert_eq!(said(), format!("{text}enabled = false\n"));
    run(&["enable", "w"]).success();
    assert_eq!(said(), text);
    assert_snapshot!(run(&["disable", "w", "--scope", "user"]), @"
    [stderr]
    Error: MCP server 'w' is configured in [CODEX_HOME]/w.config.toml only; an entry in [CODEX_HOME]/config.toml would be incomplete.
    [exit 1]
    ");
    let typed = ["mcp", "-c", "mcp_servers.t.command=x", "disable", "t"];
    assert_eq!(home.codex(typed).run().exit(), Some(1));
    assert_eq!(home.config(), ONE);
    assert_snapshot!(run(&["remove", "w"]), @"
    [stderr]
    Error: MCP server 'w' is configured in [CODEX_HOME]/w.config.toml, which this command does not change.
    hint: `codex mcp disable w -p w` turns it off there; to remove it, edit [CODEX_HOME]/w.config.toml
    [exit 1]
    ");
}

#[test]
fn a_server_that_is_not_approved_says_everywhere_how_it_is() {
    let home = project(
        "project_mcp_trust = \"entry\"\n",
        "[mcp_servers.v]\ncommand = \"x\"\nenabled = false\n",
    );
    let hint = "hint: `codex mcp enable v --scope project` approves it as it stands";
    assert_snapshot!(home.codex(["mcp", "enable", "v"]).run(), @"
    Enabled MCP server 'v'.
    [stderr]
    warning: `v` is still off: not approved ([CWD]/.codex/config.toml)
    hint: `codex mcp enable v --scope project` approves it as it stands
    [exit 0]
    ");
    for verb in [
        &["tools", "v"][..],
        &["call", "v", "t"],
        &["list"],
        &["list", "--json"],
    ] {
        let output = home.codex([&["mcp"], verb].concat()).run();
        assert!(output.stderr.contains(hint), "{output}");
    }
    let check = home.codex(["mcp", "check", "v"]).run();
    assert!(check.to_string().contains(hint), "{check}");
}

#[test]
fn a_server_of_a_folder_below_the_root_is_removed_where_it_is() {
    let home = project("", "# shared\n");
    let text = "[mcp_servers.subp]\ncommand = \"x\"\n";
    let file = home.write_file("sub/.codex/config.toml", text);
    let sub = home.cwd().join("sub");
    let run = |args: &[&str]| {
        let cd = ["-C", sub.to_str().unwrap(), "mcp"];
        home.codex([&cd, args].concat()).run()
    };
    let got = run(&["get", "subp"]).success();
    assert!(
        got.stdout
            .contains("remove: codex mcp remove subp --scope project"),
        "{got}"
    );
    assert_snapshot!(run(&["remove", "subp", "--scope", "project"]), @"
    Removed project MCP server 'subp'.
    [exit 0]
    ");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "");
    assert_eq!(project_file(&home), "# shared\n");
}

#[test]
fn a_server_of_a_project_that_is_not_trusted_is_not_said_to_be_missing() {
    let home = project("", "[mcp_servers.p]\ncommand = \"x\"\n");
    home.write_config("");
    for verb in ["get", "check", "tools", "enable", "disable"] {
        let output = home.codex(["mcp", verb, "p"]).run();
        let hint = "config.toml has one. To load project-local config";
        assert!(output.stderr.contains(hint), "{verb}: {output}");
        assert!(output.stderr.contains("codex exec --trust"), "{output}");
    }
    let call = home.codex(["mcp", "call", "p", "t"]).run();
    assert!(call.stderr.contains("has one. To load"), "{call}");
    let other = home.codex(["mcp", "get", "q"]).run();
    assert!(!other.stderr.contains("has one"), "{other}");
}

#[test]
fn a_layer_above_decides_and_nothing_is_written() {
    let home = TestHome::with_config(ONE);
    std::fs::write(
        home.codex_home().join("managed_config.toml"),
        "[mcp_servers.a]\nenabled = true\n",
    )
    .unwrap();
    assert_snapshot!(home.codex(["mcp", "disable", "a"]).run(), @"
    [stderr]
    Error: `enabled` of MCP server 'a' is set by [CODEX_HOME]/managed_config.toml:2:1, which is above [CODEX_HOME]/config.toml.
    [exit 1]
    ");
    assert_eq!(home.config(), ONE);
}

#[test]
fn a_project_s_server_is_switched_where_it_is() {
    let home = project("", "[mcp_servers.p]\ncommand = \"x\"\n");
    let user = home.config();
    home.codex(["mcp", "disable", "p"]).run().success();
    assert_eq!(
        project_file(&home),
        "[mcp_servers.p]\ncommand = \"x\"\nenabled = false\n"
    );
    assert_eq!(home.config(), user);
    home.codex(["mcp", "enable", "p", "--scope", "project"])
        .run()
        .success();
    assert_eq!(project_file(&home), "[mcp_servers.p]\ncommand = \"x\"\n");
}

/// Row 4.project_mcp_trust.
#[test]
fn servers_of_projects_can_need_an_approval_each_which_ends_with_a_change() {
    let home = project(
        "project_mcp_trust = \"entry\"\n",
        "[mcp_servers.p]\ncommand = \"x\"\nargs = [\"1\"]\n",
    );
    let status = || {
        let listed = home.codex(["mcp", "list", "--json"]).run().success();
        listed.json()[0]["disabled_reason"].clone()
    };
    let off = format!(
        "not approved ({})",
        home.cwd().join(".codex/config.toml").display()
    );
    assert_eq!(status(), off.as_str());
    assert_eq!(home.codex(["mcp", "tools", "p"]).run().exit(), Some(11));
    assert_snapshot!(home.codex(["mcp", "enable", "p"]).run(), @"
    [stderr]
    Error: MCP server 'p' is not approved ([CWD]/.codex/config.toml).
    hint: `codex mcp enable p --scope project` approves it as it stands
    [exit 1]
    ");
    assert_snapshot!(home.codex(["mcp", "enable", "p", "--scope", "project"]).run(), @"
    Enabled MCP server 'p'.
    [exit 0]
    ");
    assert_eq!(status(), serde_json::Value::Null);
    // What is only said about it changes nothing.
    home.write_file(
        ".codex/config.toml",
        "[mcp_servers.p]\nargs = [\"1\"]\ncommand = \"x\"\ntool_timeout_sec = 5\ntools.t.output_token_limit = 9\n",
    );
    assert_eq!(status(), serde_json::Value::Null);
    for change in [
        "command = \"y\"\nargs = [\"1\"]",
        "command = \"x\"\nargs = [\"2\"]",
        "command = \"x\"\nargs = [\"1\"]\nenv = { A = \"1\" }",
        "command = \"x\"\nargs = [\"1\"]\nenv_vars = [\"A\"]",
        "command = \"x\"\nargs = [\"1\"]\ncwd = \"sub\"",
        "command = \"x\"\nargs = [\"1\"]\ninherit_env = true",
        "command = \"x\"\nargs = [\"1\"]\nexpand_env = true",
        "command = \"x\"\nargs = [\"1\"]\ndefault_tools_approval_mode = \"approve\"",
        "command = \"x\"\nargs = [\"1\"]\ntools.t.approval_mode = \"approve\"",
        "command = \"x\"\nargs = [\"1\"]\ntools.t.approve_when = { id = { min = 1 } }",
        "url = \"http://127.0.0.1:1/\"",
        "url = \"http://127.0.0.1:1/\"\nhttp_headers_helper = \"x\"",
    ] {
        home.write_file(".codex/config.toml", format!("[mcp_servers.p]\n{change}\n"));
        assert_eq!(status(), off.as_str(), "{change}");
    }
    let login = home.codex(["mcp", "login", "p"]).run();
    assert!(login.stderr.contains("is not approved"), "{login}");
    let mode = std::fs::metadata(home.codex_home().join("mcp-trust.json"))
        .unwrap()
        .permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
        0o600
    );
}

/// A command in the sandbox can write such a file, and Codex may be started beside it later.
#[test]
fn a_server_planted_deeper_in_a_trusted_project_needs_an_approval_too() {
    let reason = |user: &str| {
        let home = project(user, "");
        let planted = "[mcp_servers.p]\ncommand = \"x\"\n";
        home.write_file("sub/.codex/config.toml", planted);
        let list = home.codex(["mcp", "list", "--json"]);
        let listed = list.current_dir(home.cwd().join("sub")).run().success();
        let file = home.cwd().join("sub/.codex/config.toml");
        let reason = listed.json()[0]["disabled_reason"].to_string();
        reason.replace(file.to_str().unwrap(), "FILE")
    };
    assert_eq!(reason(""), "null");
    let entry = "project_mcp_trust = \"entry\"\n";
    assert_eq!(reason(entry), "\"not approved (FILE)\"");
}

#[test]
fn add_and_remove_edit_the_project_s_file_and_say_when_it_is_not_used() {
    let home = project("", "# shared\n");
    let add = ["mcp", "add", "p", "--scope", "project", "--", "prog"];
    assert_snapshot!(home.codex(add).run(), @"
    Added project MCP server 'p'.
    [exit 0]
    ");
    assert_eq!(
        project_file(&home),
        "# shared\n\n[mcp_servers.p]\ncommand = \"prog\"\n"
    );
    assert_snapshot!(home.codex(["mcp", "remove", "p"]).run(), @"
    [stderr]
    Error: MCP server 'p' is configured in [CWD]/.codex/config.toml, which this command does not change.
    hint: `codex mcp remove p --scope project` removes it there
    [exit 1]
    ");
    assert_snapshot!(home.codex(["mcp", "remove", "p", "--scope", "project"]).run(), @"
    Removed project MCP server 'p'.
    [exit 0]
    ");
    assert_eq!(project_file(&home), "# shared\n");
    home.write_config("");
    assert_snapshot!(home.codex(add).run(), @r#"
    Added project MCP server 'p'.
    [stderr]
    note: To load project-local config, hooks, and exec policies, add [CWD] as a trusted project in [CODEX_HOME]/config.toml.
    hint: `codex exec --trust` does that, or two lines in the file: `[projects."[CWD]"]` and below it `trust_level = "trusted"`
    [exit 0]
    "#);
}

/// Row E5.
#[test]
fn a_link_out_of_a_project_that_is_not_trusted_is_not_followed() {
    let home = TestHome::new();
    home.write_file(".git/HEAD", "");
    let away = home.home().join("precious");
    std::fs::write(&away, "").unwrap();
    std::fs::create_dir(home.cwd().join(".codex")).unwrap();
    std::os::unix::fs::symlink(&away, home.cwd().join(".codex/config.toml")).unwrap();
    let add = ["mcp", "add", "p", "--scope", "project", "--", "prog"];
    assert_snapshot!(home.codex(add).run(), @"
    [stderr]
    Error: `[CWD]/.codex/config.toml` leads out of its project, which is not trusted; nothing was written
    [exit 1]
    ");
    assert_eq!(std::fs::read_to_string(&away).unwrap(), "");
}

#[test]
fn add_says_which_layer_overrides_what_was_typed() {
    let home = TestHome::new();
    std::fs::write(
        home.codex_home().join("managed_config.toml"),
        "[mcp_servers.a]\ncommand = \"theirs\"\n",
    )
    .unwrap();
    assert_snapshot!(home.codex(["mcp", "add", "a", "--", "mine"]).run(), @"
    Added global MCP server 'a'.
    [stderr]
    note: [CODEX_HOME]/managed_config.toml overrides command
    [exit 0]
    ");
}
