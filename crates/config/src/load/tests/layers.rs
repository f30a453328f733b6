//! Every layer, in its order, and what happens where two of them meet. The names of the tests name the
//! rows of the rules: M1 to M7 are those of merging.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codex_host::PrivateFile;
use insta::assert_snapshot;

use super::*;
use crate::{LayerSource, ManagedPreferences, PreferenceTexts, TrustLevel};

/// A machine, a home and a project below one folder.
struct Machine {
    dir: tempfile::TempDir,
    request: LoadRequest,
}

const TRUSTED: &str = "[projects.\"PROJECT\"]\ntrust_level = \"trusted\"\n";

#[expect(
    clippy::disallowed_methods,
    reason = "a test prepares its files directly"
)]
impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = AbsPath::new(std::fs::canonicalize(dir.path()).unwrap()).unwrap();
        for folder in ["etc", "home", "project/.git", "project/a/b"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let system = SystemPaths::below(&root.join("etc"));
        let home = CodexHome::at(root.join("home"));
        let request = LoadRequest::new(home, root.join("project/a/b"), system);
        Self { dir, request }
    }

    /// A machine whose user trusts the project.
    fn trusting() -> Self {
        Self::new().file("home/config.toml", TRUSTED)
    }

    fn path(&self, name: &str) -> PathBuf {
        std::fs::canonicalize(self.dir.path()).unwrap().join(name)
    }

    /// Writes a file; `PROJECT` in it stands for the project's folder.
    fn file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let project = self.path("project").display().to_string();
        std::fs::write(&path, text.replace("PROJECT", &project)).unwrap();
        self
    }

    fn bytes(self, name: &str, bytes: &[u8]) -> Self {
        std::fs::write(self.path(name), bytes).unwrap();
        self
    }

    fn preference(mut self, text: &str) -> Self {
        let encoded = STANDARD.encode(text);
        // Device managements wrap it.
        let (start, end) = encoded.split_at(encoded.len() / 2);
        self.request.system.preferences = ManagedPreferences::Given(PreferenceTexts {
            config: Some(format!("{start}\n\t {end}\n")),
            requirements: None,
        });
        self
    }

    fn flag(mut self, raw: &str) -> Self {
        self.request
            .overrides
            .push(CliOverride::Set(raw.to_owned()));
        self
    }

    fn profile(mut self, name: &str) -> Self {
        self.request.profile = Some(name.to_owned());
        self
    }

    fn strict(mut self) -> Self {
        self.request.strict = true;
        self
    }

    fn loaded(&self) -> Loaded {
        load(&self.request).unwrap_or_else(|error| panic!("{error}"))
    }

    fn model(&self) -> String {
        self.loaded().config.model.unwrap_or_default()
    }

    fn server(&self) -> crate::McpServerConfig {
        let config = self.loaded().config;
        config.mcp_servers.values().next().unwrap().clone()
    }

    fn said(&self) -> String {
        super::told(load(&self.request)).replace(&self.path("").display().to_string(), "/")
    }

    fn origin(&self, path: &[&str]) -> String {
        let origin = self.loaded().layers.origin(path).unwrap();
        let text = format!("{} {origin}", origin.layer.word());
        text.replace(&self.path("").display().to_string(), "/")
    }
}

/// The word that a row has, and what puts it there.
type Row = (&'static str, fn(Machine) -> Machine);

/// One key in the layer of each row, lowest first.
fn rows() -> Vec<Row> {
    vec![
        ("system", |machine| {
            machine.file("etc/config.toml", "model = \"system\"\n")
        }),
        ("user", |machine| {
            machine.file("home/config.toml", &format!("model = \"user\"\n{TRUSTED}"))
        }),
        ("profile", |machine| {
            machine
                .file("home/p.config.toml", "model = \"profile\"\n")
                .profile("p")
        }),
        ("root", |machine| {
            machine.file("project/.codex/config.toml", "model = \"root\"\n")
        }),
        ("nearest", |machine| {
            machine.file("project/a/b/.codex/config.toml", "model = \"nearest\"\n")
        }),
        ("flag", |machine| machine.flag("model=flag")),
        ("managed home", |machine| {
            machine.file("home/managed_config.toml", "model = \"managed home\"\n")
        }),
        ("managed machine", |machine| {
            machine.file("etc/managed_config.toml", "model = \"managed machine\"\n")
        }),
        ("preferences", |machine| {
            machine.preference("model = \"preferences\"\n")
        }),
    ]
}

/// Rows 1.system, 1.user, 1.profile, 1.project, 1.command-line, 1.managed-home, 1.managed-machine,
/// 1.managed-preferences.
#[test]
fn each_layer_beats_its_lower_neighbour_and_all_below() {
    let rows = rows();
    for pair in rows.windows(2) {
        let [(_, low), (name, high)] = pair else {
            panic!()
        };
        let machine = high(low(Machine::trusting()));
        assert_eq!(machine.model(), *name);
    }
    let mut machine = Machine::trusting();
    for (name, row) in rows {
        machine = row(machine);
        assert_eq!(machine.model(), name);
    }
    assert_eq!(machine.loaded().layers.layers().len(), 9);
}

/// Row 1.arrival.
#[test]
fn the_layer_that_takes_longest_to_read_has_its_own_place_all_the_same() {
    let whole = rows()
        .into_iter()
        .fold(Machine::trusting(), |machine, (_, row)| row(machine));
    let slow = format!("# {}\n", "long ".repeat(200_000));
    for name in [
        "etc/config.toml",
        "home/config.toml",
        "home/p.config.toml",
        "home/managed_config.toml",
        "etc/managed_config.toml",
    ] {
        let path = whole.path(name);
        let text = std::fs::read_to_string(&path).unwrap();
        let order = |machine: &Machine| {
            let loaded = machine.loaded();
            let layers = loaded.layers.layers().iter();
            layers
                .map(|layer| layer.source.to_string())
                .collect::<Vec<_>>()
        };
        let before = order(&whole);
        PrivateFile::replace(&path, format!("{slow}{text}").as_bytes()).unwrap();
        assert_eq!(order(&whole), before, "{name}");
        assert_eq!(whole.model(), "preferences", "{name}");
        PrivateFile::replace(&path, text.as_bytes()).unwrap();
    }
}

/// Rows 1.version, 1.missing.
#[test]
fn every_layer_has_a_version_and_a_missing_file_is_none() {
    let loaded = Machine::trusting().loaded();
    let [user] = loaded.layers.layers() else {
        panic!()
    };
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert!(user.version().starts_with("sha256:"));
    assert_eq!(user.version().len(), "sha256:".len() + empty.len());
    assert_eq!(Machine::new().loaded().layers.layers().len(), 0);
}

/// Row M1.
#[test]
fn m1_tables_merge_key_by_key_in_every_spelling() {
    let machine = Machine::new()
        .file(
            "etc/config.toml",
            "mcp_servers = { s = { command = \"x\", env = { A = \"1\", B = \"1\" } } }\n",
        )
        .file("home/config.toml", "[mcp_servers.s.env]\nB = \"2\"\n")
        .flag("mcp_servers.s.env.C='3'")
        .file(
            "etc/managed_config.toml",
            "mcp_servers.s.tool_timeout_sec = 5\n",
        );
    let server = machine.server();
    let McpTransport::Stdio(stdio) = &server.transport else {
        panic!()
    };
    let env: Vec<String> = stdio
        .env
        .iter()
        .map(|(name, value)| format!("{name}={}", value.expose()))
        .collect();
    assert_eq!(env, ["A=1", "B=2", "C=3"]);
    assert_eq!(server.tool_timeout().as_secs(), 5);
    assert_eq!(machine.said(), "");
}

/// Row M2.
#[test]
fn m2_everything_else_replaces_the_lower_value_whole() {
    let machine = Machine::new()
        .file(
            "etc/config.toml",
            "[mcp_servers.s]\ncommand = \"x\"\nargs = [\"1\", \"2\"]\nenv_vars = [\"A\"]\n",
        )
        .file("home/config.toml", "[mcp_servers.s]\nargs = [\"3\"]\n")
        .flag("mcp_servers.s.env_vars=[]");
    let McpTransport::Stdio(stdio) = machine.server().transport else {
        panic!()
    };
    assert_eq!((stdio.args, stdio.env_vars), (vec!["3".to_owned()], vec![]));
}

/// Row M3.
#[test]
fn m3_a_table_over_a_value_wins_with_one_warning() {
    let machine = Machine::new()
        .file(
            "etc/config.toml",
            "tools = 3\n[sandbox_workspace_write]\nnetwork_access = true\n",
        )
        .file("home/config.toml", "[tools]\nupdate_plan = true\n");
    assert_snapshot!(machine.said(), @"warning: /home/config.toml:1:2: `tools` replaces the whole of /etc/config.toml:1:1: one is a table and the other is not");
    assert!(machine.loaded().config.update_plan);
    let machine = Machine::new()
        .file(
            "etc/config.toml",
            "[mcp_servers.s.env]\nA = \"1\"\n[mcp_servers.s]\ncommand = \"x\"\n",
        )
        .file("home/config.toml", "mcp_servers.s.env = 3\n");
    assert_snapshot!(machine.said(), @"
    warning: /home/config.toml:1:15: `mcp_servers.s.env` replaces the whole of /etc/config.toml:1:16: one is a table and the other is not
    warning: /home/config.toml:1:21: invalid type: integer `3`, expected a table
    in `mcp_servers.s.env`
    MCP server `s` is off until this is repaired.
    ");
}

/// Row M4.
#[test]
fn m4_a_layer_may_set_one_key_of_a_lower_layer_s_server() {
    let machine = Machine::trusting()
        .file(
            "etc/config.toml",
            "[mcp_servers.s]\ncommand = \"x\"\nenv = { A = \"1\" }\n",
        )
        .file(
            "project/.codex/config.toml",
            "[mcp_servers.s]\nenabled = false\n",
        );
    let server = machine.server();
    assert!(!server.is_enabled());
    assert_eq!(
        machine.origin(&["mcp_servers", "s"]),
        "system /etc/config.toml:1:14"
    );
    assert_eq!(
        machine.origin(&["mcp_servers", "s", "enabled"]),
        "project /project/.codex/config.toml:2:1"
    );
    assert_eq!(machine.said(), "");
}

/// Row M5.
#[test]
fn m5_the_other_transport_above_drops_what_only_the_old_one_needs() {
    let machine = Machine::new()
        .file(
            "etc/config.toml",
            "[mcp_servers.s]\ncommand = \"x\"\nargs = [\"1\"]\nenv = { A = \"1\" }\ntool_timeout_sec = 5\n",
        )
        .file("home/config.toml", "[mcp_servers.s]\nurl = \"http://h/\"\n");
    assert_snapshot!(machine.said(), @"note: /home/config.toml:2:1: MCP server `s` is reached in another way than in lower layers; dropped: command, args, env");
    let server = machine.server();
    assert!(server.is_enabled());
    assert_eq!(server.tool_timeout().as_secs(), 5);
    assert_eq!(
        machine.loaded().layers.keys(&["mcp_servers", "s"]),
        ["tool_timeout_sec", "url"]
    );

    let back = machine.file(
        "etc/managed_config.toml",
        "[mcp_servers.s]\ncommand = \"y\"\n",
    );
    assert!(matches!(back.server().transport, McpTransport::Stdio(_)));
    let both = back.file(
        "etc/managed_config.toml",
        "[mcp_servers.s]\ncommand = \"y\"\nurl = \"http://h/\"\n",
    );
    assert!(both.said().contains("url is not supported for stdio"));
    assert!(!both.server().is_enabled());
}

const WITH_CREDENTIALS: &str = r#"
[mcp_servers.s]
url = "https://good.example/mcp"
bearer_token_env_var = "TOKEN"
http_headers = { A = "hunter2" }
env_http_headers = { B = "TEAM" }
http_headers_helper = "/bin/helper"
default_tools_approval_mode = "approve"
enabled_tools = ["t"]
[mcp_servers.s.oauth]
client_id = "c"
[mcp_servers.s.tools.t]
approval_mode = "approve"
output_token_limit = 7
[mcp_servers.s.tools.u]
approval_mode = "prompt"
approve_when = { id = { min = 1 } }
"#;

/// Row M6.
#[test]
fn m6_credentials_do_not_follow_a_project_to_another_origin() {
    let machine = Machine::trusting()
        .file("home/config.toml", &format!("{WITH_CREDENTIALS}{TRUSTED}"))
        .file(
            "project/.codex/config.toml",
            "[mcp_servers.s]\nurl = \"https://evil.example/mcp\"\n",
        );
    assert_snapshot!(machine.said(), @"warning: /project/.codex/config.toml:2:1: the project changes what MCP server `s` is; not taken over from lower layers: bearer_token_env_var, http_headers, env_http_headers, http_headers_helper, oauth, default_tools_approval_mode, tools.t.approval_mode, tools.u.approve_when");
    let server = machine.server();
    let McpTransport::StreamableHttp(http) = &server.transport else {
        panic!()
    };
    assert_eq!(http.url, "https://evil.example/mcp");
    assert!(http.bearer_token_env_var.is_none() && http.oauth.is_none());
    assert!(http.http_headers.is_empty() && http.env_http_headers.is_empty());
    assert!(http.http_headers_helper.is_none());
    assert_eq!(server.default_tools_approval_mode, None);
    assert_eq!(server.tool_settings["t"].approval_mode, None);
    assert_eq!(server.tool_settings["t"].output_token_limit, Some(7));
    assert!(server.tool_settings["u"].approval_mode.is_some());
    assert_eq!(server.approve_when("u"), None);
    assert_eq!(server.tools.enabled.unwrap(), ["t"]);
}

/// Row M6.
#[test]
fn m6_the_same_origin_and_a_layer_of_the_user_keep_the_credentials() {
    let with = |name: &str, url: &str| {
        let text = format!("[mcp_servers.s]\nurl = \"{url}\"\n");
        let machine = Machine::trusting()
            .file("etc/config.toml", WITH_CREDENTIALS)
            .file(name, &text);
        let McpTransport::StreamableHttp(http) = machine.server().transport else {
            panic!()
        };
        http.bearer_token_env_var.is_some()
    };
    let project = "project/.codex/config.toml";
    assert!(with(project, "https://good.example/other"));
    assert!(with(project, "https://GOOD.example:443/mcp"));
    assert!(!with(project, "https://good.example:444/mcp"));
    assert!(!with(project, "http://good.example/mcp"));
    assert!(!with(project, "https://good.example.evil.example/mcp"));
    assert!(!with(project, "https://good.example@evil.example/mcp"));
    assert!(!with(project, "https://${X}/mcp"));
    assert!(with(
        "home/managed_config.toml",
        "https://other.example/mcp"
    ));
}

/// Row M6.
#[test]
fn m6_another_command_of_a_project_gets_no_variables() {
    let user = "[mcp_servers.s]\ncommand = \"npx\"\nenv = { K = \"hunter2\" }\nenv_vars = [\"TOKEN\"]\ninherit_env = true\n";
    let with = |text: &str| {
        let machine = Machine::trusting()
            .file("etc/config.toml", user)
            .file("project/.codex/config.toml", text);
        let McpTransport::Stdio(stdio) = machine.server().transport else {
            panic!()
        };
        (stdio.env.len(), stdio.env_vars.len(), stdio.inherit_env)
    };
    assert_eq!(
        with("[mcp_servers.s]\ncommand = \"./evil\"\n"),
        (0, 0, false)
    );
    assert_eq!(with("[mcp_servers.s]\ncommand = \"npx\"\n"), (1, 1, true));
    // What the project itself gives is its own.
    let own = "[mcp_servers.s]\ncommand = \"./mine\"\nenv = { A = \"1\", B = \"2\" }\n";
    assert_eq!(with(own), (2, 0, false));
    // Each of these can make something else of the same command.
    for key in [
        "args = [\"evil\"]",
        "cwd = \"evil\"",
        "env = { LD_PRELOAD = \"/evil\" }",
        "expand_env = true",
    ] {
        let (_, n_env_vars, inherits) = with(&format!("[mcp_servers.s]\n{key}\n"));
        assert_eq!((n_env_vars, inherits), (0, false), "{key}");
    }
    let equal = "[mcp_servers.s]\nenv = { K = \"hunter2\" }\ninherit_env = true\n";
    assert_eq!(with(equal), (1, 1, true));
}

/// Row M6.
#[test]
fn m6_a_project_changes_no_way_of_a_login_that_stays() {
    let with = |text: &str| {
        let machine = Machine::trusting()
            .file("etc/config.toml", WITH_CREDENTIALS)
            .file("project/.codex/config.toml", text);
        let McpTransport::StreamableHttp(http) = machine.server().transport else {
            panic!()
        };
        let issuer = http
            .oauth
            .and_then(|oauth| oauth.authorization_server_issuer);
        (http.http.is_some(), issuer, http.http_headers_helper)
    };
    let ways = "http = { proxy = \"http://evil.example\", ca_file = \"/evil.pem\" }\n\
                oauth = { authorization_server_issuer = \"https://evil.example\" }\n\
                http_headers_helper = \"./evil\"\n";
    let helper = Some("/bin/helper".to_owned());
    let kept = (false, None, helper);
    assert_eq!(with(&format!("[mcp_servers.s]\n{ways}")), kept);
    let same = "[mcp_servers.s]\nurl = \"https://good.example/other\"\n";
    assert_eq!(with(&format!("{same}{ways}")), kept);
    // Of a server elsewhere all of it is the project's own.
    let other = "[mcp_servers.s]\nurl = \"https://own.example/\"\n";
    let (has_proxy, issuer, helper) = with(&format!("{other}{ways}"));
    assert!(has_proxy && issuer.is_some());
    assert_eq!(helper.as_deref(), Some("./evil"));
}

/// Row M6.
#[test]
fn m6_a_project_approves_no_arguments_of_a_lower_server() {
    let user = "[mcp_servers.s]\ncommand = \"x\"\n\
                tools.t.approve_when = { path = { within = \"/srv\" } }\n";
    let with = |text: &str| {
        Machine::trusting().file("etc/config.toml", user).file(
            "project/.codex/config.toml",
            &format!("[mcp_servers.s]\n{text}\n"),
        )
    };
    let own = Machine::new().file("etc/config.toml", user).server();
    for loose in [
        "tools.t.approve_when = { path = { within = \"/\" } }",
        "tools.t.approve_when.path.within = \"/\"",
        "tools.t.approve_when = [{ path = { within = \"/srv\" } }, { x = { equals = 1 } }]",
        "tools.u.approve_when = { path = { within = \"/srv\" } }",
        // The rule of the user holds it; a mode would let more run.
        "tools.t.approval_mode = \"auto\"",
    ] {
        let machine = with(loose);
        let said = machine.said();
        let key = loose.split([' ', '.']).nth(2).unwrap();
        assert!(said.contains("a project cannot loosen"), "{loose}: {said}");
        assert!(said.contains(key), "{loose}: {said}");
        let server = machine.server();
        assert_eq!(server.approve_when("t"), own.approve_when("t"), "{loose}");
        assert_eq!(server.approve_when("u"), None, "{loose}");
        let mode = server.approval_mode("t");
        assert_eq!(mode, codex_protocol::ToolApprovalMode::Prompt, "{loose}");
    }
    let same = with("tools.t.approve_when = { path = { within = \"/srv\" } }");
    assert_eq!(same.said(), "");
}

#[test]
fn m6_a_project_only_tightens_what_holds_a_server() {
    let user = "[mcp_servers.s]\ncommand = \"x\"\nsandbox = \"read-only\"\npin_tools = true\n\
                enabled_tools = [\"a\", \"b\"]\ndisabled_tools = [\"b\"]\n\
                default_tools_approval_mode = \"writes\"\n[mcp_servers.s.tools.t]\napproval_mode = \"auto\"\n";
    let with = |text: &str| {
        Machine::trusting().file("etc/config.toml", user).file(
            "project/.codex/config.toml",
            &format!("[mcp_servers.s]\n{text}"),
        )
    };
    let loosened = with(
        "sandbox = { mode = \"workspace-write\", network_access = true }\npin_tools = false\n\
         enabled_tools = [\"a\", \"c\"]\ndisabled_tools = []\ndefault_tools_approval_mode = \"approve\"\n\
         [mcp_servers.s.tools.t]\napproval_mode = \"approve\"\n[mcp_servers.s.tools.u]\napproval_mode = \"approve\"\n",
    );
    assert_snapshot!(loosened.said(), @"warning: /project/.codex/config.toml:1:14: a project cannot loosen MCP server `s` of a lower layer or change the way of its login; not used: sandbox, pin_tools, enabled_tools, disabled_tools, default_tools_approval_mode, tools.t.approval_mode, tools.u.approval_mode");
    let alone = Machine::new().file("etc/config.toml", user).server();
    let server = loosened.server();
    let shape = |server: &crate::McpServerConfig| {
        let modes = server.tool_settings.iter();
        let modes = modes.filter_map(|(name, tool)| Some((name.clone(), tool.approval_mode?)));
        let modes: Vec<_> = modes.collect();
        let tools = server.tools.clone();
        let default = server.default_tools_approval_mode;
        format!("{} {tools:?} {default:?} {modes:?}", server.pin_tools)
    };
    assert_eq!(shape(&server), shape(&alone));
    assert_eq!(server.transport, alone.transport);

    let tight = with(
        "enabled_tools = [\"a\"]\ndisabled_tools = [\"b\", \"c\"]\ndefault_tools_approval_mode = \"prompt\"\n\
         tools.t.approval_mode = \"prompt\"\n",
    );
    assert_eq!(tight.said(), "");
    assert_eq!(
        shape(&tight.server()),
        "true ToolFilter { enabled: Some([\"a\"]), disabled: [\"b\", \"c\"] } Some(Prompt) [(\"t\", Prompt)]"
    );
}

/// Rows M7, 5.cwd.
#[test]
fn m7_every_leaf_keeps_layer_file_line_and_column() {
    let machine = Machine::trusting()
        .file("etc/config.toml", "[mcp_servers.s]\ncommand = \"x\"\n")
        .file(
            "home/config.toml",
            &format!("{TRUSTED}\n[mcp_servers.s]\n  args = []\n"),
        )
        .file(
            "project/.codex/config.toml",
            "[mcp_servers]\ns.cwd = \"sub\"\n",
        )
        .flag("mcp_servers.s.required=true")
        .preference("\n\nmcp_servers = { s = { enabled = true } }\n");
    let origin = |key: &str| machine.origin(&["mcp_servers", "s", key]);
    assert_eq!(origin("command"), "system /etc/config.toml:2:1");
    assert_eq!(origin("args"), "user /home/config.toml:5:3");
    assert_eq!(origin("cwd"), "project /project/.codex/config.toml:2:3");
    assert_eq!(origin("required"), "command line command line");
    assert_eq!(
        origin("enabled"),
        "managed com.openai.codex:config_toml_base64:3:23"
    );
    // A relative directory of a project is the project's.
    let McpTransport::Stdio(stdio) = machine.server().transport else {
        panic!()
    };
    assert_eq!(stdio.cwd.as_deref(), Some(Path::new("sub")));
    assert_eq!(stdio.cwd_base, Some(machine.path("project")));
}

/// Rows 1.not-toml, 1.project-file, 1.strict, 1.fatal-text.
#[test]
fn a_program_that_prints_headers_is_known_to_be_a_project_s() {
    let helper = "http_headers_helper = \"./token\"\n";
    let url = "[mcp_servers.s]\nurl = \"https://a.example/mcp\"\n";
    let of_project = |user: &str, project: &str| {
        let machine = Machine::trusting()
            .file("home/config.toml", &format!("{TRUSTED}\n{user}"))
            .file("project/.codex/config.toml", project);
        match machine.server().transport {
            McpTransport::StreamableHttp(http) => {
                assert!(http.http_headers_helper.is_some());
                http.helper_of_project
            }
            McpTransport::Stdio(_) => panic!(),
        }
    };
    assert!(of_project("", &format!("{url}{helper}")));
    assert!(!of_project(&format!("{url}{helper}"), ""));
    let required = "[mcp_servers.s]\nrequired = true\n";
    assert!(!of_project(&format!("{url}{helper}"), required));
}

#[test]
fn a_broken_file_is_fatal_in_every_layer_but_a_project_s() {
    let broken = "model = \"hunter2\n";
    for name in [
        "etc/config.toml",
        "home/config.toml",
        "home/managed_config.toml",
        "etc/managed_config.toml",
    ] {
        let said = Machine::new().file(name, broken).said();
        assert!(said.starts_with(&format!("Error: /{name}:1:")), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let profile = Machine::new()
        .file("home/p.config.toml", broken)
        .profile("p");
    assert!(profile.said().starts_with("Error: /home/p.config.toml:1:"));
    let preference = Machine::new().preference(broken).said();
    assert!(
        preference.starts_with("Error: com.openai.codex:config_toml_base64:1:"),
        "{preference}"
    );

    let project = Machine::trusting().file("project/.codex/config.toml", broken);
    assert_snapshot!(project.said(), @r#"
    warning: /project/.codex/config.toml:1:17: invalid basic string, expected `"`
      |
    1 | model = "…
      |           ^
    The project's settings in /project/.codex/config.toml are not used.
    "#);
    assert_eq!(project.loaded().layers.disabled().len(), 1);
    assert!(
        project
            .strict()
            .said()
            .starts_with("Error: /project/.codex")
    );
}

/// Row 1.preferences.
#[test]
fn preferences_that_are_no_base64_are_fatal_and_named() {
    let mut machine = Machine::new();
    let mut set = |text: &str| {
        machine.request.system.preferences = ManagedPreferences::Given(PreferenceTexts {
            config: Some(text.to_owned()),
            requirements: None,
        });
        machine.said()
    };
    assert_snapshot!(set("not base64!"), @"Error: com.openai.codex:config_toml_base64: the value is not valid base64");
    assert_snapshot!(set("/w=="), @"Error: com.openai.codex:config_toml_base64: the decoded value is not valid UTF-8");
    assert_eq!(set(" \n"), "");
}

/// Rows 1.limit, 1.not-utf8, 1.no-file.
#[test]
fn what_is_no_text_of_a_sane_size_is_an_error_with_its_path() {
    let files = [
        "etc/config.toml",
        "home/config.toml",
        "home/managed_config.toml",
        "etc/managed_config.toml",
    ];
    for name in files {
        let path = format!("/{name}");
        let said = |machine: Machine| {
            let error = load(&machine.request).unwrap_err();
            let text = report::with_sources(&error);
            text.replace(&machine.path("").display().to_string(), "/")
        };
        let utf8 = said(Machine::new().bytes(name, b"a = 1\nb = \"\xff\"\n"));
        assert_eq!(utf8, format!("{path}:2: the file is not valid UTF-8"));
        let large = said(Machine::new().bytes(name, &vec![b'#'; 50_000_000]));
        assert_eq!(
            large,
            format!("cannot read `{path}`: the file is larger than 4 MiB")
        );
        let folder = Machine::new();
        std::fs::create_dir(folder.path(name)).unwrap();
        assert_eq!(
            said(folder),
            format!("cannot read `{path}`: it is a directory")
        );
        #[cfg(unix)]
        {
            let pipe = Machine::new();
            let made = std::process::Command::new("mkfifo")
                .arg(pipe.path(name))
                .status();
            assert!(made.unwrap().success());
            assert_eq!(
                said(pipe),
                format!("cannot read `{path}`: it is no regular file")
            );
            let link = Machine::new();
            std::os::unix::fs::symlink("config.toml", link.path("etc/config.toml")).unwrap();
            assert!(said(link).starts_with("cannot read `/etc/config.toml`: "));
        }
    }
}

/// Row 4.untrusted.
#[test]
fn the_files_of_a_project_that_is_not_trusted_are_named_and_not_used() {
    let project = "model = \"p\"\n[mcp_servers.s]\ncommand = \"x\"\n";
    let machine = Machine::new().file("project/.codex/config.toml", project);
    let loaded = machine.loaded();
    assert_eq!(
        (loaded.config.model, loaded.config.mcp_servers.len()),
        (None, 0)
    );
    let [disabled] = loaded.layers.disabled() else {
        panic!()
    };
    let expected = format!(
        "To load project-local config, hooks, and exec policies, add {} as a trusted project in {}.",
        machine.path("project").display(),
        machine.path("home/config.toml").display()
    );
    assert_eq!(disabled.reason, expected);
    assert!(matches!(
        disabled.source,
        LayerSource::Project { depth: 0, .. }
    ));
    // A file that cannot even be read is none of our business then.
    let untrusted = machine.bytes("project/.codex/config.toml", b"\xff");
    assert_eq!(untrusted.said(), "");
}

/// Row 4.trust.
#[test]
fn of_two_spellings_of_one_folder_the_one_that_does_not_trust_wins() {
    let trust = |first: &str, second: &str| {
        let text = format!(
            "[projects.\"PROJECT\"]\ntrust_level = \"{first}\"\n\
             [projects.\"PROJECT/../project\"]\ntrust_level = \"{second}\"\n"
        );
        let machine = Machine::new()
            .file("project/.codex/config.toml", "model = \"project\"\n")
            .file("home/config.toml", &text);
        machine.loaded().project.trust
    };
    let (yes, no) = ("trusted", "untrusted");
    assert_eq!(trust(yes, yes), Some(crate::TrustLevel::Trusted));
    assert_eq!(trust(yes, no), Some(crate::TrustLevel::Untrusted));
    assert_eq!(trust(no, yes), Some(crate::TrustLevel::Untrusted));
}

/// Row 4.trust.
#[test]
fn only_the_user_and_the_machine_can_trust_a_project() {
    let trust = |name: &str| {
        Machine::new()
            .file(
                "project/.codex/config.toml",
                &format!("model = \"p\"\n{TRUSTED}"),
            )
            .file("project/a/.codex/config.toml", TRUSTED)
            .file(name, TRUSTED)
    };
    for name in [
        "etc/config.toml",
        "home/config.toml",
        "home/managed_config.toml",
        "etc/managed_config.toml",
    ] {
        assert_eq!(trust(name).model(), "p", "{name}");
    }
    assert_eq!(trust("home/p.config.toml").profile("p").model(), "");
    let by_flag = trust("other").flag("projects.\"/\".trust_level=\"trusted\"");
    assert_eq!(by_flag.model(), "");
    assert_snapshot!(by_flag.said(), @"warning: Ignored config keys that the command line cannot set: projects.");
    // The machine's word beats the user's.
    let no = TRUSTED.replace("\"trusted\"", "\"untrusted\"");
    let machine = trust("home/config.toml").file("etc/managed_config.toml", &no);
    assert_eq!(machine.model(), "");
    assert_eq!(machine.loaded().project.trust, Some(TrustLevel::Untrusted));
    // Trust of a folder is no trust of those below it.
    let outer = TRUSTED.replace("PROJECT", "PROJECT/..");
    assert_eq!(trust("other").file("home/config.toml", &outer).model(), "");
}

/// Row 4.trust.
#[cfg(unix)]
#[test]
fn trust_is_compared_after_links_are_resolved() {
    let machine = Machine::new().file("project/.codex/config.toml", "model = \"p\"\n");
    std::os::unix::fs::symlink("project", machine.path("link")).unwrap();
    let linked = TRUSTED.replace("PROJECT", &machine.path("link").display().to_string());
    assert_eq!(machine.file("home/config.toml", &linked).model(), "p");
}

/// Row 4.ignored-keys.
#[test]
fn keys_that_are_not_for_projects_are_ignored_with_the_reference_s_words() {
    let text = "model_provider = \"x\"\nmodel = \"m\"\nnotify = []\nmcp_oauth_callback_port = 1\n\
                project_mcp_trust = \"project\"\n[projects.\"/x\"]\ntrust_level = \"trusted\"\n\
                [otel]\nexporter = \"none\"\n[model_providers.x]\nname = \"x\"\n";
    let machine = Machine::trusting().file("project/.codex/config.toml", text);
    assert_snapshot!(machine.said(), @"warning: Ignored unsupported project-local config keys in /project/.codex/config.toml: model_provider, notify, mcp_oauth_callback_port, project_mcp_trust, projects, otel, model_providers. If you want these settings to apply, manually set them in your user-level config.toml.");
    let config = machine.loaded().config;
    assert_eq!(config.model.as_deref(), Some("m"));
    assert_eq!((config.model_provider, config.projects.len()), (None, 1));
}

/// Row 4.profile.
#[test]
fn a_profile_is_a_file_or_an_old_table_and_never_both() {
    let old = "[profiles.w]\nmodel = \"old\"\n[profiles.w.features]\nview_image = false\n";
    let machine = Machine::new().file("home/config.toml", old).profile("w");
    assert_snapshot!(machine.said(), @"
    deprecated: `[profiles.w]` in /home/config.toml is deprecated.
    Move its settings to /home/w.config.toml.
    ");
    assert_eq!(machine.model(), "old");
    assert_eq!(machine.origin(&["model"]), "profile /home/config.toml:2:1");
    assert!(!machine.loaded().config.features.enabled(Feature::ViewImage));

    let both = machine.file("home/w.config.toml", "model = \"new\"\n");
    assert_snapshot!(both.said(), @"Error: the profile `w` is defined twice: in /home/w.config.toml and as `[profiles.w]` in /home/config.toml");
    let new = both.file("home/config.toml", "model = \"user\"\n");
    assert_eq!((new.model(), new.said()), ("new".to_owned(), String::new()));
    assert_snapshot!(new.profile("z").said(), @"Error: there is no profile `z`: neither /home/z.config.toml nor `[profiles.z]` in /home/config.toml");
}

/// Rows 4.profile-default, 4.profile-keys.
#[test]
fn the_user_s_file_selects_a_profile_and_a_flag_another_one() {
    let machine = Machine::new()
        .file("home/config.toml", "profile = \"w\"\nmodel = \"user\"\n")
        .file(
            "home/w.config.toml",
            "model = \"w\"\nprofile = \"x\"\n[projects]\n",
        )
        .file("home/v.config.toml", "model = \"v\"\n");
    assert_snapshot!(machine.said(), @"
    note: the profile `w` is selected by `profile` in /home/config.toml; `-p NAME` selects another one
    warning: Ignored config keys that a profile cannot set in /home/w.config.toml: profile, projects.
    ");
    assert_eq!(machine.model(), "w");
    let typed = machine.profile("v");
    assert_eq!(
        (typed.model(), typed.said()),
        ("v".to_owned(), String::new())
    );
    let away = Machine::new()
        .file("home/config.toml", "profile = \"../w\"\n")
        .file("w.config.toml", "model = \"away\"\n");
    assert!(away.said().contains("Error: there is no profile `../w`"));
}

/// Row 7.wrong-type.
#[test]
fn a_wrong_value_leaves_the_lower_layer_s_in_place() {
    let machine = Machine::new()
        .file("etc/config.toml", "model = \"system\"\n")
        .file("home/config.toml", "model = 3\n");
    assert!(machine.said().contains("The setting is ignored."));
    assert_eq!(machine.model(), "system");
}

/// Row 9.order.
#[test]
fn features_beat_old_keys_of_their_own_group_of_layers() {
    const OLD: &str = "experimental_use_unified_exec_tool";
    let on = |machine: &Machine| {
        machine
            .loaded()
            .config
            .features
            .enabled(Feature::UnifiedExec)
    };
    let files = Machine::new()
        .file("etc/config.toml", "[features]\nunified_exec = false\n")
        .file("home/config.toml", &format!("{OLD} = true\n"));
    assert!(!on(&files));
    let typed = files.flag(&format!("{OLD}=true"));
    assert!(on(&typed));
    let managed = typed.file(
        "etc/managed_config.toml",
        "[features]\nunified_exec = false\n",
    );
    assert!(!on(&managed));
    assert_eq!(
        managed
            .loaded()
            .config
            .features
            .source(Feature::UnifiedExec),
        "managed"
    );
    // The older spelling in a higher layer.
    let image = |machine: &Machine| machine.loaded().config.features.enabled(Feature::ViewImage);
    let alias = Machine::new()
        .file("etc/config.toml", "[features]\nview_image = false\n")
        .file("home/config.toml", "[features]\nview_image_tool = true\n");
    assert!(image(&alias));
    assert!(!image(&alias.flag("features.view_image=false")));
}

/// A project may, but not without a word.
#[test]
fn what_a_project_loosens_is_told_with_both_values() {
    let said = |user: &str, project: &str, flag: Option<&str>| {
        let machine = Machine::new()
            .file("home/config.toml", &format!("{user}{TRUSTED}"))
            .file("project/.codex/config.toml", project);
        let machine = match flag {
            Some(flag) => machine.flag(flag),
            None => machine,
        };
        machine.said()
    };
    let wide = "sandbox_mode = \"danger-full-access\"\napproval_policy = \"never\"\n\
                [sandbox_workspace_write]\nwritable_roots = [\"/a\", \"/b\"]\nnetwork_access = true\n";
    assert_snapshot!(said("", wide, None), @r#"
    warning: The project loosens what holds without it:
      /project/.codex/config.toml:1:1: `sandbox_mode` is "danger-full-access" instead of "read-only", the default
      /project/.codex/config.toml:2:1: `approval_policy` is "never" instead of "on-request", the default
      /project/.codex/config.toml:4:1: `writable_roots` has `/a`, `/b` besides none
      /project/.codex/config.toml:5:1: `network_access` is true instead of false
    "#);
    let user = "sandbox_mode = \"workspace-write\"\napproval_policy = \"untrusted\"\n\
                sandbox_workspace_write.writable_roots = [\"/a\"]\n";
    assert_snapshot!(said(user, wide, None), @r#"
    warning: The project loosens what holds without it:
      /project/.codex/config.toml:1:1: `sandbox_mode` is "danger-full-access" instead of "workspace-write"
      /project/.codex/config.toml:2:1: `approval_policy` is "never" instead of "untrusted"
      /project/.codex/config.toml:4:1: `writable_roots` has `/b` besides `/a`
      /project/.codex/config.toml:5:1: `network_access` is true instead of false
    "#);
    assert_eq!(
        said(
            wide,
            "sandbox_mode = \"read-only\"\napproval_policy = \"untrusted\"\n",
            None
        ),
        ""
    );
    assert_eq!(said(wide, "", None), "");
    assert_eq!(said(user, user, None), "");
    // What was typed for this run holds, and nobody loosened that.
    let sandbox = "sandbox_mode = \"workspace-write\"\n";
    assert_eq!(said("", sandbox, Some("sandbox_mode=read-only")), "");
}
