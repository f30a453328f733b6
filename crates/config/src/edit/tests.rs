//! Edits of whole files: what changed, and that nothing else did.

use codex_host::Secret;
use insta::assert_snapshot;

use super::*;
use crate::McpTransport;

mod values;

struct Home {
    dir: tempfile::TempDir,
    home: CodexHome,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test prepares its file directly"
)]
fn home(text: &str) -> Home {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.toml"), text).unwrap();
    let home = CodexHome::at(AbsPath::new(dir.path()).unwrap());
    Home { dir, home }
}

impl Home {
    fn text(&self) -> String {
        std::fs::read_to_string(self.home.config_file()).unwrap()
    }

    fn set(&self, server: &McpServerConfig) -> Result<Saved, EditError> {
        let mut file = ConfigFile::open(&self.home)?;
        file.set_mcp_server(server)?;
        file.save()
    }

    fn remove(&self, name: &str) -> Result<Saved, EditError> {
        let mut file = ConfigFile::open(&self.home)?;
        file.remove_mcp_server(&ServerName::from_config(name))?;
        file.save()
    }
}

fn name(text: &str) -> ServerName {
    ServerName::from_config(text)
}

fn server_b() -> McpServerConfig {
    let mut server = McpServerConfig::stdio(name("b"), "prog");
    if let McpTransport::Stdio(stdio) = &mut server.transport {
        stdio.args = vec!["--port".into(), "1".into()];
        stdio.env.insert("K".into(), Secret::new("v \"q\""));
    }
    server.startup_timeout = Some(Duration::from_millis(12_500));
    server.tool_timeout = Some(Duration::from_secs(34));
    server
}

/// Files in every spelling that people use for server `a`.
const SPELLINGS: &[&str] = &[
    "",
    "# only a comment\n",
    "# mine\n[mcp_servers.a]\ncommand = \"x\" # keep\n",
    "[mcp_servers.a]\ncommand='x'   \nargs = [ # list\n  \"1\",\n]",
    "\u{feff}model = \"m\"\r\n\r\n[mcp_servers.a]\r\ncommand = \"x\"\r\n\r\n# tail\r\n",
    "[mcp_servers]\na = { command = \"x\", env = { A = \"1\" } } # inline\n\n[features]\nview_image = 1_000\n",
    "mcp_servers.a.command = \"x\"\nmcp_servers.a.args = []\n",
    "[mcp_servers]\na.command = \"x\"\n[projects.\"/p\"]\ntrust_level = \"trusted\"\n",
    "[mcp_servers.a]\ncommand = \"x\"\n[mcp_servers.a.env]\nA = \"\"\"\n[mcp_servers.b]\n\"\"\"\nunknown = 3\n",
];

/// Row E1.
#[test]
fn adding_b_leaves_every_byte_of_a() {
    for before in SPELLINGS {
        let home = home(before);
        assert_eq!(home.set(&server_b()).unwrap(), Saved::Written, "{before}");
        let after = home.text();
        let mut rest = after.as_str();
        for line in before.lines() {
            let at = rest
                .find(line)
                .unwrap_or_else(|| panic!("{line:?} is gone from {after:?}"));
            rest = &rest[at + line.len()..];
        }
        if !before.is_empty() {
            assert_eq!(after.contains("\r\n"), before.contains("\r\n"), "{after:?}");
        }
        let server = ConfigFile::open(&home.home)
            .unwrap()
            .mcp_server(&name("b"))
            .unwrap();
        assert_eq!(
            McpServerConfig {
                source: None,
                ..server
            },
            server_b(),
            "{after}"
        );
    }
}

/// Rows E1, E2.
#[test]
fn adding_and_removing_b_gives_the_same_meaning_and_the_bytes_of_finished_files() {
    for before in SPELLINGS {
        let home = home(before);
        home.set(&server_b()).unwrap();
        home.remove("b").unwrap();
        assert_eq!(home.text().trim_end(), before.trim_end());
        if before.ends_with('\n') {
            assert_eq!(&home.text(), before);
        }
    }
}

/// Row E11.
#[test]
fn a_new_entry_is_the_smallest_one_in_the_order_of_the_contract() {
    let home = home("# mine\n[mcp_servers.a]\ncommand = \"x\" # keep\n");
    home.set(&server_b()).unwrap();
    assert_snapshot!(home.text(), @r#"
    # mine
    [mcp_servers.a]
    command = "x" # keep

    [mcp_servers.b]
    command = "prog"
    args = ["--port", "1"]
    startup_timeout_sec = 12.5
    tool_timeout_sec = 34

    [mcp_servers.b.env]
    K = 'v "q"'
    "#);
}

/// Row E11.
#[test]
fn setting_an_equal_server_writes_nothing() {
    for limit in ["startup_timeout_ms = 12_500", "startup_timeout_sec=12.50"] {
        let text = format!(
            "[mcp_servers.b]\ncommand = 'prog'\nargs = [ '--port', '1' ]\n\
             env = {{ K = 'v \"q\"' }}\n{limit}\ntool_timeout_sec = 34.0\nfoo = 1\n"
        );
        let home = home(&text);
        assert_eq!(home.set(&server_b()).unwrap(), Saved::Unchanged, "{limit}");
        assert_eq!(home.text(), text);
    }
}

/// Row E11.
#[test]
fn replacing_a_server_keeps_unknown_keys_and_comments() {
    let home = home(
        "[mcp_servers.b]\n# why\ncommand = \"old\" # which\nfuture = { x = 1 }\ncwd = \"/srv\"\n\
         [mcp_servers.b.tools.t]\napproval_mode = \"approve\"\nnew_key = 1\n",
    );
    home.set(&McpServerConfig::stdio(name("b"), "new")).unwrap();
    assert_snapshot!(home.text(), @r#"
    [mcp_servers.b]
    # why
    command = "new" # which
    future = { x = 1 }
    [mcp_servers.b.tools.t]
    new_key = 1
    "#);
}

/// Row E11.
#[test]
fn a_tool_keeps_its_unknown_keys_when_its_approval_goes() {
    let home = home(
        "[mcp_servers.b]\ncommand = \"x\"\n[mcp_servers.b.tools.t]\n# c\napproval_mode = \"approve\"\n\
         output_token_limit = 5\nnew_key = 1\n",
    );
    let mut file = ConfigFile::open(&home.home).unwrap();
    let mut server = file.mcp_server(&name("b")).unwrap();
    server
        .tool_settings
        .values_mut()
        .for_each(|tool| tool.approval_mode = None);
    file.set_mcp_server(&server).unwrap();
    file.save().unwrap();
    assert_snapshot!(home.text(), @r#"
    [mcp_servers.b]
    command = "x"
    [mcp_servers.b.tools.t]
    # c
    output_token_limit = 5
    new_key = 1
    "#);
}

/// Row E1.
#[test]
fn other_spellings_are_edited_in_their_own_way() {
    let edit = |text: &str| {
        let home = home(text);
        let mut server = McpServerConfig::stdio(name("b"), "new");
        server.required = true;
        home.set(&server).unwrap();
        home.text()
    };
    assert_snapshot!(edit("[mcp_servers]\nb = { command = \"old\", x = 1 } # c\n"), @r#"
    [mcp_servers]
    b = { command = "new", x = 1 , required = true } # c
    "#);
    assert_snapshot!(edit("mcp_servers.b.command = \"old\" # c\nmodel = \"m\"\n"), @r#"
    mcp_servers.b.command = "new" # c
    mcp_servers.b.required = true
    model = "m"
    "#);
    assert_snapshot!(edit("mcp_servers = { b = { command = \"old\" }, a = { command = \"x\" } }\n"), @r#"
    mcp_servers = { b = { command = "new", required = true }, a = { command = "x" } }
    "#);
    assert_snapshot!(edit("[mcp_servers.b.env]\nA = \"1\"\n"), @r#"

    [mcp_servers.b]
    command = "new"
    required = true
    "#);
}

/// Row E2.
#[test]
fn removal_takes_the_entry_its_tables_and_the_comment_above_only() {
    let text = "# top\n\n[mcp_servers.a]\ncommand = \"x\"\n\n# not b's\n\n# about b\n# more\n[mcp_servers.b]\n# inside\n\
                command = \"y\"\n\n[mcp_servers.b.env]\nA = \"1\"\n\n# about c\n[mcp_servers.c]\ncommand = \"z\"\n";
    let home = home(text);
    home.remove("b").unwrap();
    assert_snapshot!(home.text(), @r#"
    # top

    [mcp_servers.a]
    command = "x"

    # not b's

    # about c
    [mcp_servers.c]
    command = "z"
    "#);
    assert_eq!(home.remove("nope").unwrap(), Saved::Unchanged);
}

/// Row E8.
#[test]
fn a_file_that_is_no_toml_is_never_written() {
    let text = "[mcp_servers.a]\ncommand = \n";
    let home = home(text);
    let error = home.set(&server_b()).unwrap_err();
    assert!(error.to_string().contains("config.toml:2:"), "{error}");
    assert_eq!(home.text(), text);
}

/// Row E6.
#[test]
fn a_file_that_changes_in_the_middle_of_an_edit_is_edited_again() {
    let home = home("model = \"m\"\n");
    let mut file = ConfigFile::open(&home.home).unwrap();
    file.set_mcp_server(&server_b()).unwrap();
    PrivateFile::replace(&home.home.config_file(), b"model = \"n\" # by an editor\n").unwrap();
    assert_eq!(file.save().unwrap(), Saved::Written);
    assert!(
        home.text()
            .starts_with("model = \"n\" # by an editor\n\n[mcp_servers.b]\n"),
        "{}",
        home.text()
    );
}

/// Row E6.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "another program writes as it likes"
)]
fn a_file_that_changes_all_the_time_is_refused_after_three_tries() {
    let home = home("model = \"m\"\n");
    let file = home.home.config_file();
    let done = std::sync::atomic::AtomicBool::new(false);
    let mut refused = None;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0_u64.. {
                if done.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                // In one step, as careful editors do.
                let beside = file.parent_dir().join("beside");
                std::fs::write(&beside, format!("model = \"m\" # {n}\n")).unwrap();
                std::fs::rename(&beside, &file).unwrap();
            }
        });
        for _ in 0..500 {
            if let Err(error) = home.set(&server_b()) {
                refused = Some(error);
                break;
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let error = refused.unwrap();
    assert!(matches!(error, EditError::Changed(_)), "{error}");
    assert_snapshot!(error, @"config.toml changed while it was being edited; nothing was written");
    assert!(
        home.text().starts_with("model = \"m\" # "),
        "{}",
        home.text()
    );
}

#[test]
fn an_emptied_entry_is_filled_in_its_place_below_its_comment() {
    let filled = |text: &str| {
        let home = home(text);
        let mut file = ConfigFile::open(&home.home).unwrap();
        file.empty_mcp_server(&name("a")).unwrap();
        file.set_mcp_server(&McpServerConfig::stdio(name("a"), "new"))
            .unwrap();
        file.save().unwrap();
        home.text()
    };
    let text = "# mine\r\n[mcp_servers.a] # here\r\nurl = \"http://h/\"\r\nx = 1\r\n\
                [mcp_servers.a.tools.t]\r\napproval_mode = \"approve\"\r\n\r\n[z]\r\n";
    assert_snapshot!(filled(text).replace("\r\n", "$\n"), @r#"
        # mine$
        [mcp_servers.a] # here$
        command = "new"$
        $
        [z]$
        "#);
    assert_snapshot!(filled("[mcp_servers]\n# mine\na = { url = \"http://h/\", x = 1 } # c\n"), @r#"
        [mcp_servers]
        # mine
        a = { command = "new" } # c
        "#);
    assert_snapshot!(filled("mcp_servers.a.url = \"http://h/\"\nmcp_servers.a.x.y = 1\n"), @r#"
        [mcp_servers.a]
        command = "new"
        "#);
    assert_snapshot!(filled("[mcp_servers]\na = 3\n"), @r#"
        [mcp_servers]
        a = { command = "new" }
        "#);
    assert_snapshot!(filled("[mcp_servers.a.env]\nK = \"v\"\n[mcp_servers.a]\ncommand = \"old\"\n"), @r#"
        [mcp_servers.a]
        command = "new"
        "#);
}

/// Row E3.
#[test]
fn twenty_edits_at_once_all_survive() {
    let home = home("# mine\n");
    std::thread::scope(|scope| {
        for number in 0..20 {
            let home = &home;
            scope.spawn(move || {
                home.set(&McpServerConfig::stdio(name(&format!("s{number}")), "x"))
                    .unwrap()
            });
        }
    });
    let file = ConfigFile::open(&home.home).unwrap();
    let kept = (0..20).filter(|number| file.mcp_server(&name(&format!("s{number}"))).is_some());
    assert_eq!(kept.count(), 20);
    let left = std::fs::read_dir(home.dir.path()).unwrap().count();
    assert_eq!(left, 2, "the file and its lock, no temporary file");
}

#[test]
fn features_and_trust_are_set_and_taken_out() {
    let home = home("[features]\nshell_tool = true # c\n");
    let mut file = ConfigFile::open(&home.home).unwrap();
    file.set_feature("shell_tool", Some(false))
        .unwrap()
        .set_feature("view_image", Some(true))
        .unwrap();
    file.set_trust(&AbsPath::new("/my project").unwrap(), TrustLevel::Trusted)
        .unwrap();
    file.save().unwrap();
    assert_snapshot!(home.text(), @r#"
    [features]
    shell_tool = false # c
    view_image = true

    [projects."/my project"]
    trust_level = "trusted"
    "#);
    let mut file = ConfigFile::open(&home.home).unwrap();
    file.set_feature("view_image", None).unwrap();
    file.save().unwrap();
    assert!(!home.text().contains("view_image"));
}

/// Row E3.
#[test]
fn a_file_that_somebody_else_holds_says_what_to_do() {
    let held = EditError::Lock(LockError::Held {
        path: "/h/.config.lock".into(),
        limit: LOCK_LIMIT,
        holder: Some(7),
    });
    assert_snapshot!(held, @"`/h/.config.lock` is locked by another process (pid 7) (waited 10 s)");
    assert_eq!(held.hints(), ["try again when it has ended"]);
}

/// Row E5.
#[cfg(unix)]
#[test]
fn a_link_out_of_a_project_that_is_not_trusted_is_refused() {
    let Home { dir, home } = home("");
    let root = AbsPath::new(std::fs::canonicalize(dir.path()).unwrap()).unwrap();
    let project = root.join("project");
    for (leads_to, is_refused) in [("..", true), ("../..", true), ("inner", false)] {
        let _ = std::fs::remove_dir_all(&*project);
        std::fs::create_dir_all(project.join("inner")).unwrap();
        std::os::unix::fs::symlink(leads_to, project.join(".codex")).unwrap();
        let path = project.join(".codex").join("config.toml");
        let opened = ConfigFile::open_project(&home, path, Some(&project));
        let refused = matches!(opened, Err(EditError::LeadsOut(_)));
        // `.codex -> ..` is what lies above the project, `inner` is in it.
        assert_eq!(refused, is_refused, "{leads_to}");
    }
}
