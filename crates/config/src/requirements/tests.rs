//! The allowlist in both spellings, every way round it, and what closes it. Row names are those of the
//! table of the requirements.

mod detours;
mod sources;

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codex_host::{CodexHome, Env, Secret};
use codex_protocol::ServerName;
use insta::assert_snapshot;

use super::*;
use crate::{
    CliOverride, Enablement, LoadRequest, Loaded, ManagedPreferences, McpServerConfig,
    McpTransport, OffReason, SystemPaths, load,
};

struct Machine {
    dir: tempfile::TempDir,
    request: LoadRequest,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test prepares its files directly"
)]
impl Machine {
    fn new(requirements: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = AbsPath::new(std::fs::canonicalize(dir.path()).unwrap()).unwrap();
        for folder in ["etc", "home", "work"] {
            std::fs::create_dir(root.join(folder)).unwrap();
        }
        let system = SystemPaths::below(&root.join("etc"));
        let home = CodexHome::at(root.join("home"));
        let mut request = LoadRequest::new(home, root.join("work"), system);
        request.env = Env::from_pairs([
            ("HOST", "mcp.example.com"),
            ("EVIL", "evil.example"),
            ("CMD", "docs-mcp"),
        ]);
        Self { dir, request }.file("etc/requirements.toml", requirements)
    }

    fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.path(name), text).unwrap();
        self
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        std::fs::canonicalize(self.dir.path()).unwrap().join(name)
    }

    fn user(self, text: &str) -> Self {
        self.file("home/config.toml", text)
    }

    fn preference(mut self, text: &str) -> Self {
        self.request.system.preferences = ManagedPreferences::Given(PreferenceTexts {
            config: None,
            requirements: Some(STANDARD.encode(text)),
        });
        self
    }

    fn flag(mut self, raw: &str) -> Self {
        self.request
            .overrides
            .push(CliOverride::Set(raw.to_owned()));
        self
    }

    fn loaded(&self) -> Loaded {
        load(&self.request).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Every server with `on`, or why it is off.
    fn servers(&self) -> String {
        let loaded = self.loaded();
        let lines = loaded.config.mcp_servers.values().map(|server| {
            let state = match &server.enablement {
                Enablement::On => "on".to_owned(),
                Enablement::Off(OffReason::Requirements { why, .. }) => {
                    format!("requirements: {why}")
                }
                Enablement::Off(reason) => reason.text().unwrap_or("user".to_owned()),
            };
            format!("{}: {state}\n", server.name)
        });
        self.short(&lines.collect::<String>())
    }

    fn said(&self) -> String {
        let notices = self.loaded().notices;
        let lines = notices
            .iter()
            .map(|notice| format!("{}: {}\n", notice.prefix(), notice.message));
        self.short(&lines.collect::<String>())
    }

    fn short(&self, text: &str) -> String {
        text.replace(&self.path("").display().to_string(), "/")
    }
}

/// Whether this one server runs under these requirements.
fn runs(requirements: &str, server: &str) -> bool {
    let machine = Machine::new(requirements).user(&format!("[mcp_servers.s]\n{server}\n"));
    machine.loaded().config.mcp_servers.value()[&ServerName::from_config("s")].is_enabled()
}

const FORM_A: &str = "[mcp_server_allowlist.docs]\ncommand = \"docs-mcp\"\n\
                      [mcp_server_allowlist.web]\nurl = \"https://mcp.example.com/mcp\"\n";
const FORM_B: &str = r#"
[mcp_servers.web.identity]
url = { match = "prefix", value = "https://mcp.example.com/" }
[mcp_servers.docs.identity]
command = { executable = "docs-mcp", args = [ { match = "exact", value = "--ro" }, { match = "regex", expression = "db[0-9]+" } ] }
"#;

/// Row 10.active.
#[test]
fn active_a_server_needs_a_listed_name_and_the_listed_identity() {
    let user = "[mcp_servers.docs]\ncommand = \"docs-mcp\"\nargs = [\"any\"]\n\
                [mcp_servers.web]\nurl = \"https://mcp.example.com/mcp\"\n\
                [mcp_servers.other]\ncommand = \"docs-mcp\"\n";
    assert_snapshot!(Machine::new(FORM_A).user(user).servers(), @"
    docs: on
    other: requirements: its name is not listed
    web: on
    ");
    let user = "[mcp_servers.docs]\ncommand = \"docs-mcp\"\nargs = [\"--ro\", \"db12\"]\n\
                [mcp_servers.web]\nurl = \"https://mcp.example.com/any?x=1\"\n";
    assert_snapshot!(Machine::new(FORM_B).user(user).servers(), @"
    docs: on
    web: on
    ");
}

/// Rows 10.active, 10.reason.
#[test]
fn active_as_soon_as_a_table_exists_even_empty_and_in_any_layer() {
    let user = "[mcp_servers.docs]\ncommand = \"docs-mcp\"\n";
    let servers = |requirements: &str| Machine::new(requirements).user(user).servers();
    assert_eq!(servers(""), "docs: on\n");
    assert_eq!(servers("[features]\nview_image = true\n"), "docs: on\n");
    for table in ["[mcp_servers]\n", "mcp_server_allowlist = {}\n"] {
        assert_eq!(
            servers(table),
            "docs: requirements: its name is not listed\n"
        );
    }
    let preferred = Machine::new("").user(user).preference("[mcp_servers]\n");
    assert_snapshot!(preferred.servers(), @"docs: requirements: its name is not listed");
    let servers = preferred.loaded().config.mcp_servers;
    let Enablement::Off(reason) = &servers[&ServerName::from_config("docs")].enablement else {
        panic!()
    };
    assert_eq!(
        reason.text().unwrap(),
        "requirements (MDM com.openai.codex:requirements_toml_base64)"
    );
}

/// Rows 10.places, 10.layers, 10.empty-table.
#[test]
fn layers_merge_per_name_and_an_empty_table_above_closes_the_list() {
    let user = "[mcp_servers.docs]\ncommand = \"docs-mcp\"\n[mcp_servers.web]\nurl = \"https://mcp.example.com/mcp\"\n";
    let with = |preference: &str| {
        let machine = Machine::new(FORM_A).user(user).preference(preference);
        machine.servers()
    };
    let other = "[mcp_server_allowlist.docs]\ncommand = \"other\"\n";
    assert_snapshot!(with(other), @"
    docs: requirements: its command is not the allowed one (MDM com.openai.codex:requirements_toml_base64:1:23)
    web: on
    ");
    assert_snapshot!(with("[mcp_servers]\n"), @"
    docs: requirements: its name is not listed
    web: requirements: its name is not listed
    ");
    // A broken entry above is no hole through which the lower one is seen.
    assert_snapshot!(with("mcp_server_allowlist.docs = 3\n"), @"
    docs: requirements: its entry allows nothing: invalid type: integer `3`, expected a table (MDM com.openai.codex:requirements_toml_base64:1:22)
    web: on
    ");
}

/// Row 10.both-forms.
#[test]
fn the_same_name_in_both_forms_must_match_both() {
    let both = format!("{FORM_A}{FORM_B}");
    let user = |args: &str, url: &str| {
        let text = format!(
            "[mcp_servers.docs]\ncommand = \"docs-mcp\"\nargs = {args}\n[mcp_servers.web]\nurl = \"{url}\"\n"
        );
        Machine::new(&both).user(&text).servers()
    };
    assert_eq!(
        user("[\"--ro\", \"db1\"]", "https://mcp.example.com/mcp"),
        "docs: on\nweb: on\n"
    );
    assert_snapshot!(user("[]", "https://mcp.example.com/mcp/"), @"
    docs: requirements: its arguments are not the allowed ones (/etc/requirements.toml:8:19)
    web: requirements: its url is not an allowed one (/etc/requirements.toml:3:23)
    ");
}

/// Rows 10.command, 11.policy.
#[test]
fn command_is_compared_byte_for_byte_as_it_is_really_started() {
    let rule = "[mcp_server_allowlist.s]\ncommand = \"docs-mcp\"\n";
    assert!(runs(rule, "command = \"docs-mcp\"\nargs = [\"--rm\"]"));
    for other in [
        "Docs-MCP",
        "./docs-mcp",
        "docs-mcp ",
        "docs-mcp/",
        "/bin/docs-mcp",
        "docs%2Dmcp",
    ] {
        assert!(!runs(rule, &format!("command = \"{other}\"")), "{other}");
    }
    assert!(!runs(rule, "command = \"${CMD}\""));
    assert!(runs(rule, "command = \"${CMD}\"\nexpand_env = true"));
    assert!(!runs(rule, "command = \"${CMD}x\"\nexpand_env = true"));
    assert!(!runs(rule, "command = \"${UNSET}\"\nexpand_env = true"));
    assert!(!runs(rule, "url = \"http://docs-mcp/\""));
}

/// Row 10.command-args.
#[test]
fn arguments_need_one_matcher_each() {
    let rule = |args: &str| {
        format!("[mcp_servers.s.identity]\ncommand = {{ executable = \"x\", args = [{args}] }}\n")
    };
    let given = |args: &str| format!("command = \"x\"\nargs = [{args}]");
    let exact = rule("{ match = \"exact\", value = \"a\" }");
    assert!(runs(&exact, &given("\"a\"")));
    for other in ["", "\"a\", \"b\"", "\"A\"", "\"aa\""] {
        assert!(!runs(&exact, &given(other)), "{other}");
    }
    let prefix = rule("{ match = \"prefix\", value = \"--db=\" }");
    assert!(runs(&prefix, &given("\"--db=x\"")));
    assert!(!runs(&prefix, &given("\"x--db=\"")));
    let regex = rule("{ match = \"regex\", expression = \"a|b\" }");
    assert!(runs(&regex, &given("\"b\"")));
    // The whole string, whatever the expression begins or ends with.
    for other in ["\"xb\"", "\"ax\"", "\"a\\n\""] {
        assert!(!runs(&regex, &given(other)), "{other}");
    }
    assert!(runs(&rule(""), "command = \"x\""));
    assert!(!runs(&rule(""), &given("\"a\"")));
    let expanded = "command = \"x\"\nargs = [\"${HOST}\"]\nexpand_env = true";
    assert!(runs(
        &rule("{ match = \"exact\", value = \"mcp.example.com\" }"),
        expanded
    ));
}

/// Row 10.url.
#[test]
fn url_exact_is_byte_exact() {
    let rule = "[mcp_server_allowlist.s]\nurl = \"https://mcp.example.com/mcp\"\n";
    assert!(runs(rule, "url = \"https://mcp.example.com/mcp\""));
    for other in [
        "https://mcp.example.com/mcp/",
        "https://MCP.example.com/mcp",
        "HTTPS://mcp.example.com/mcp",
        "https://mcp.example.com:443/mcp",
        "https://mcp.example.com/mcp?",
        "https://mcp.example.com/%6Dcp",
        "https://mcp.example.com/x/../mcp",
        "https://mcp.example.com./mcp",
        "https://mcp.ex\u{430}mple.com/mcp",
        "http://mcp.example.com/mcp",
        "https://u:p@mcp.example.com/mcp",
        "https://mcp.example.com@evil.example/mcp",
    ] {
        assert!(!runs(rule, &format!("url = \"{other}\"")), "{other}");
        assert!(
            !runs(rule, &format!("url = \"{other}\"\nexpand_env = true")),
            "{other}"
        );
    }
    assert!(runs(
        rule,
        "url = \"https://${HOST}/mcp\"\nexpand_env = true"
    ));
    assert!(!runs(
        rule,
        "url = \"https://${EVIL}/mcp\"\nexpand_env = true"
    ));
}

/// Row 10.url-prefix.
#[test]
fn url_prefix_keeps_the_origin() {
    let rule = "[mcp_servers.s.identity]\nurl = { match = \"prefix\", value = \"https://mcp.example.com/team\" }\n";
    for same in [
        "https://mcp.example.com/team",
        "https://mcp.example.com/team/mcp?x=1",
        "https://MCP.example.com:443/team/mcp",
    ] {
        assert!(runs(rule, &format!("url = \"{same}\"")), "{same}");
    }
    for other in [
        "https://mcp.example.com.evil.example/team",
        "https://mcp.example.com@evil.example/team",
        "https://u@mcp.example.com/team",
        "https://mcp.example.com:444/team",
        "http://mcp.example.com/team",
        "https://mcp.example.com/Team",
        "https://mcp.example.com/team/../admin",
        "https://mcp.example.com/team/%2e%2e/admin",
        "https://mcp.example.com/team/..%2fadmin",
        "https://mcp.example.com/team/..%5Cadmin",
        "https://mcp.example.com/%74eam",
        "https://mcp.ex\u{430}mple.com/team",
        "https:\\\\\\\\mcp.example.com\\\\team",
        "https://mcp.exa\\tmple.com/team",
        "https://mcp.example.com/team#x",
        "https://evil.example/team?https://mcp.example.com/team",
    ] {
        assert!(
            !runs(rule, &format!("url = \"{other}\"\nexpand_env = true")),
            "{other}"
        );
    }
    let bare = rule.replace("/team", "");
    assert!(runs(&bare, "url = \"https://mcp.example.com/any\""));
    assert!(!runs(
        &bare,
        "url = \"https://mcp.example.com.evil.example/\""
    ));
}

/// Row 10.url-regex.
#[test]
fn url_regex_matches_the_whole_text() {
    let rule = "[mcp_servers.s.identity]\nurl = { match = \"regex\", expression = 'https://[a-z]+\\.example\\.com/mcp' }\n";
    assert!(runs(rule, "url = \"https://docs.example.com/mcp\""));
    for other in [
        "https://docs.example.com/mcp/x",
        "https://docs.example.com.evil.example/mcp",
        "https://evil.example/?https://docs.example.com/mcp",
        "https://docs.example.com/mcp\\n",
    ] {
        assert!(
            !runs(rule, &format!("url = \"{other}\"\nexpand_env = true")),
            "{other}"
        );
    }
    // What stands before the path in the text is not always the host.
    let rule = "[mcp_servers.s.identity]\nurl = { match = \"regex\", expression = 'https://[^/]+\\.example\\.com/mcp' }\n";
    assert!(runs(rule, "url = \"https://docs.example.com/mcp\""));
    for other in [
        "https://evil.example?.example.com/mcp",
        "https://evil.example#.example.com/mcp",
        "https://evil.example?@docs.example.com/mcp",
        "https://ada:pw@docs.example.com/mcp",
    ] {
        for expand in [false, true] {
            let server = format!("url = \"{other}\"\nexpand_env = {expand}");
            assert!(!runs(rule, &server), "{server}");
        }
    }
}

/// Row 10.sha256.
#[test]
fn a_hash_pins_the_file_of_a_command() {
    let dir = tempfile::tempdir().unwrap();
    let program = std::fs::canonicalize(dir.path()).unwrap().join("prog");
    let link = program.with_file_name("link");
    codex_host::PrivateFile::replace(&program, b"#!/bin/sh\n").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&program, &link).unwrap();
    let hash = crate::layers::hex(&<sha2::Sha256 as sha2::Digest>::digest(b"#!/bin/sh\n"));
    let rule = |path: &Path, hash: &str| {
        format!("[mcp_server_allowlist.s]\ncommand = {path:?}\nsha256 = \"{hash}\"\n")
    };
    let server = |path: &Path| format!("command = {path:?}");
    assert!(runs(&rule(&program, &hash), &server(&program)));
    assert!(runs(
        &rule(&program, &hash.to_uppercase()),
        &server(&program)
    ));
    assert!(!runs(
        &rule(&program, &hash.replace(&hash[..2], "00")),
        &server(&program)
    ));
    assert!(!runs(&rule(&program, &hash), &server(&link)));
    codex_host::PrivateFile::replace(&program, b"#!/bin/sh\nevil\n").unwrap();
    assert!(!runs(&rule(&program, &hash), &server(&program)));
    assert!(!runs(
        &rule(&program.with_file_name("gone"), &hash),
        &server(&program)
    ));
}

/// Row 10.fails-closed.
#[test]
fn fails_closed_an_entry_that_cannot_be_read_allows_nothing_and_says_where() {
    let said = |entry: &str| {
        let machine = Machine::new(&format!("{entry}\n{FORM_A}")).user(
            "[mcp_servers.bad]\ncommand = \"x\"\n[mcp_servers.docs]\ncommand = \"docs-mcp\"\n",
        );
        assert!(machine.servers().contains("docs: on"), "{entry}");
        assert!(
            machine
                .servers()
                .contains("bad: requirements: its entry allows nothing"),
            "{entry}"
        );
        machine.said().trim().to_owned()
    };
    let rows = [
        "[mcp_server_allowlist.bad]\ncommand = \"x\"\nurl = \"http://h/\"",
        "[mcp_server_allowlist.bad]",
        "[mcp_server_allowlist.bad]\ncommand = \"x\"\nargs = []",
        "[mcp_server_allowlist.bad]\ncommand = 3",
        "[mcp_server_allowlist.bad]\ncommand = \"x\"\nsha256 = \"00\"",
        "[mcp_servers.bad]\ncommand = \"x\"",
        "[mcp_servers.bad]",
        "[mcp_servers.bad.identity]\ncommand = { executable = \"x\", arg = [] }",
        "[mcp_servers.bad.identity]\ncommand = { executable = \"x\", args = [\"a\"] }",
        "[mcp_servers.bad.identity]\ncommand = { executable = \"x\", args = [{ match = \"exact\", value = \"a\", x = 1 }] }",
        "[mcp_servers.bad.identity]\ncommand = { executable = \"x\", args = [{ match = \"glob\", value = \"a\" }] }",
        "[mcp_servers.bad.identity]\ncommand = { executable = \"x\", args = [{ match = \"regex\", expression = \"(\" }] }",
        "[mcp_servers.bad.identity]\ncommand = { executable = \"x\", args = [{ match = \"regex\", expression = \"a)|(b\" }] }",
        "[mcp_servers.bad.identity]\nurl = { match = \"prefix\", value = \"mcp.example.com\" }",
        "[mcp_servers.bad]\nidentity = { command = \"x\" }\nname = \"y\"",
    ];
    let all: Vec<String> = rows.into_iter().map(said).collect();
    assert_snapshot!(all.join("\n"), @r#"
    warning: /etc/requirements.toml:1:23: [mcp_server_allowlist.bad] allows nothing: it has both `command` and `url`
    warning: /etc/requirements.toml:1:23: [mcp_server_allowlist.bad] allows nothing: it has neither `command` nor `url`
    warning: /etc/requirements.toml:3:1: [mcp_server_allowlist.bad] allows nothing: `args` is not a key that it can have
    warning: /etc/requirements.toml:2:11: [mcp_server_allowlist.bad] allows nothing: invalid type: integer `3`, expected a string or a table
    warning: /etc/requirements.toml:1:23: [mcp_server_allowlist.bad] allows nothing: `sha256` is not 64 hexadecimal digits
    warning: /etc/requirements.toml:2:1: [mcp_servers.bad.identity] allows nothing: `command` is not a key that it can have
    warning: /etc/requirements.toml:1:14: [mcp_servers.bad.identity] allows nothing: missing field `identity`
    warning: /etc/requirements.toml:2:11: [mcp_servers.bad.identity] allows nothing: unknown field `arg`, expected `executable` or `args`
    warning: /etc/requirements.toml:2:39: [mcp_servers.bad.identity] allows nothing: invalid type: string "…", expected a table
    warning: /etc/requirements.toml:2:71: [mcp_servers.bad.identity] allows nothing: `identity.command.args.x` is not a key that it can have
    warning: /etc/requirements.toml:2:49: [mcp_servers.bad.identity] allows nothing: unknown variant `glob`, expected one of `exact`, `prefix`, `regex`
    warning: /etc/requirements.toml:1:14: [mcp_servers.bad.identity] allows nothing: `expression` is not a regular expression
    warning: /etc/requirements.toml:1:14: [mcp_servers.bad.identity] allows nothing: `expression` is not a regular expression
    warning: /etc/requirements.toml:1:14: [mcp_servers.bad.identity] allows nothing: the prefix of a url must be an absolute http or https URL
    warning: /etc/requirements.toml:3:1: [mcp_servers.bad.identity] allows nothing: `name` is not a key that it can have
    "#);
}

/// Rows 10.look-alikes, 10.unknown-key.
#[test]
fn look_alikes_make_the_policy_active_and_allow_nothing() {
    let user = "[mcp_servers.docs]\ncommand = \"docs-mcp\"\n";
    for key in [
        "mcp_server_allowlists",
        "mcp_serverz",
        "mcpServers",
        "cmp_servers",
        "MCP_servers",
        "mcp",
    ] {
        let text = format!("[{key}.docs]\ncommand = \"docs-mcp\"\n");
        let machine = Machine::new(&text).user(user);
        assert_eq!(
            machine.servers(),
            "docs: requirements: its name is not listed\n",
            "{key}"
        );
        assert!(machine.said().contains("it allows none"), "{key}");
    }
    let other = Machine::new("rules = []\n").user(user);
    assert_eq!(other.servers(), "docs: on\n");
    assert_snapshot!(other.said(), @"warning: /etc/requirements.toml:1:1: `rules` is not a requirement that this version knows");
    assert!(other.loaded().config.requirements.refusal().is_none());
}

/// Row 10.look-alikes.
#[test]
fn a_misspelt_restriction_lets_no_thread_start() {
    for (key, meant) in [
        ("allowed_sandbox_mode", SANDBOXES),
        ("Allowed_sandbox_modes", SANDBOXES),
        ("allowedSandboxModes", SANDBOXES),
        ("sandbox_modes", SANDBOXES),
        ("sandbox_mode", SANDBOXES),
        ("my_allowed_sandbox_modes_", SANDBOXES),
        ("alowed-aproval-policies", APPROVALS),
        ("approval_policies", APPROVALS),
        ("approval_policy", APPROVALS),
        ("feature", FEATURES),
        ("Features", FEATURES),
    ] {
        let loaded = Machine::new(&format!("\n{key} = [\"read-only\"]\n")).loaded();
        let requirements = loaded.config.requirements;
        let refusal = requirements.refusal().expect(key).to_string();
        let said = format!(
            "`{key}` is not a requirement that this version knows; did you mean `{meant}`? No thread starts"
        );
        assert!(refusal.contains(&said), "{refusal}");
        assert!(refusal.contains("requirements.toml:2:1: "), "{refusal}");
        assert_eq!(requirements.allowed_sandbox_modes(), Some(&[][..]), "{key}");
    }
    for other in [
        "rules",
        "enforce_residency",
        "ode",
        "allowed_web_search_modes",
    ] {
        let loaded = Machine::new(&format!("{other} = 1\n")).loaded();
        let refusal = loaded
            .config
            .requirements
            .refusal()
            .map(ToString::to_string);
        assert_eq!(refusal, None, "{other}");
    }
}

/// Row 10.features.
#[test]
fn a_misspelt_pin_lets_no_thread_start() {
    let machine = Machine::new("[features]\nunified_exe = false\n");
    let refusal = machine.loaded().config.requirements;
    assert!(refusal.refusal().is_some());
    assert_snapshot!(machine.said(), @"warning: /etc/requirements.toml:2:1: `features.unified_exe` is no feature; did you mean `unified_exec`? No thread starts until this is repaired.");
}

/// Row 10.unreadable.
#[test]
fn a_file_that_cannot_be_read_turns_every_server_off_and_lets_no_thread_start() {
    let user = "[mcp_servers.docs]\ncommand = \"docs-mcp\"\n";
    let machine = Machine::new("[mcp_servers.docs\n").user(user);
    assert_snapshot!(machine.said(), @"
    warning: /etc/requirements.toml:1:18: unclosed table, expected `]`
      |
    1 | [mcp_servers.docs
      |                  ^
    The requirements cannot be read: every MCP server is off, and no thread starts.
    ");
    assert_eq!(
        machine.servers(),
        "docs: requirements: the requirements cannot be read\n"
    );
    assert!(machine.loaded().config.requirements.refusal().is_some());
    for bytes in [&b"\xff"[..], &vec![b'#'; 50_000_000]] {
        let machine = Machine::new("")
            .file("etc/requirements.toml", bytes)
            .user(user);
        assert!(machine.servers().contains("requirements"));
        assert!(machine.loaded().config.requirements.refusal().is_some());
    }
    let folder = Machine::new("").user(user);
    std::fs::remove_file(folder.path("etc/requirements.toml")).unwrap();
    std::fs::create_dir(folder.path("etc/requirements.toml")).unwrap();
    assert!(folder.said().contains("it is a directory"));
    assert!(folder.servers().contains("requirements"));
    let mut preferred = Machine::new(FORM_A).user(user);
    preferred.request.system.preferences = ManagedPreferences::Given(PreferenceTexts {
        config: None,
        requirements: Some("###".to_owned()),
    });
    assert!(preferred.said().contains("the value is not valid base64"));
    assert!(preferred.servers().contains("requirements"));
}

/// Rows 10.features, 1.requirements.
#[test]
fn features_are_pinned_with_one_note_when_something_tries() {
    let pinned = "[features]\nview_image = false\nshell_tool = true\nnope = true\n";
    let machine = Machine::new(pinned)
        .user("[features]\nview_image = true\n")
        .flag("features.view_image=true");
    let features = machine.loaded().config.features;
    assert!(!features.enabled(Feature::ViewImage));
    assert_eq!(features.source(Feature::ViewImage), "requirements");
    assert_snapshot!(machine.said(), @"
    note: `view_image` is set to false by requirements (/etc/requirements.toml:2:1); nothing else changes it
    warning: /etc/requirements.toml:4:1: `features.nope` is no feature; it has no effect
    ");
    let wrong = Machine::new("[features]\nview_image = 1\n");
    assert!(wrong.loaded().config.requirements.refusal().is_some());
}

/// Row 10.constraints.
#[test]
fn other_constraints_fall_back_to_the_first_allowed_value() {
    let rules = "allowed_approval_policies = [\"untrusted\", \"on-request\"]\nallowed_sandbox_modes = [\"read-only\"]\n";
    let machine = Machine::new(rules)
        .user("approval_policy = \"on-request\"\nsandbox_mode = \"workspace-write\"\n")
        .flag("approval_policy=never");
    assert_snapshot!(machine.said(), @r#"
    warning: `approval_policy` = "never" is not allowed by /etc/requirements.toml; allowed: "untrusted", "on-request"; using "untrusted"
    warning: `sandbox_mode` = "workspace-write" is not allowed by /etc/requirements.toml; allowed: "read-only"; using "read-only"
    "#);
    let mut config = machine.loaded().config;
    assert_eq!(*config.approval_policy, Some(AskForApproval::Untrusted));
    assert_eq!(*config.sandbox_mode, Some(SandboxMode::ReadOnly));
    let error = config
        .approval_policy
        .set(Some(AskForApproval::Never))
        .unwrap_err();
    assert_eq!(error.key, "approval_policy");
    config
        .approval_policy
        .set(Some(AskForApproval::OnRequest))
        .unwrap();

    let default = Machine::new("allowed_approval_policies = [\"never\"]\n").loaded();
    assert_eq!(*default.config.approval_policy, Some(AskForApproval::Never));
    for broken in [
        "allowed_sandbox_modes = []\n",
        "allowed_sandbox_modes = [\"readonly\"]\n",
        "allowed_approval_policies = 3\n",
    ] {
        assert!(
            Machine::new(broken)
                .loaded()
                .config
                .requirements
                .refusal()
                .is_some(),
            "{broken}"
        );
    }
}

/// Row 10.one-place.
#[test]
fn whatever_is_set_later_goes_through_the_policy_too() {
    let machine = Machine::new(FORM_A).user("[mcp_servers.docs]\ncommand = \"docs-mcp\"\n");
    let mut servers = machine.loaded().config.mcp_servers;
    let mut all = servers.value().clone();
    let evil = McpServerConfig::stdio(ServerName::from_config("evil"), "docs-mcp");
    all.insert(evil.name.clone(), evil);
    for server in all.values_mut() {
        if let McpTransport::Stdio(stdio) = &mut server.transport {
            stdio.env.insert("A_TOKEN".to_owned(), Secret::new("x"));
        }
        server.enablement = Enablement::On;
    }
    servers.set(all).unwrap();
    let enabled: Vec<&str> = servers
        .values()
        .filter(|server| server.is_enabled())
        .map(|server| server.name.as_str())
        .collect();
    assert_eq!(enabled, ["docs"]);
}

/// Row 10.reason.
#[test]
fn a_server_that_its_user_turned_off_or_that_is_broken_shows_the_policy() {
    let user = "[mcp_servers.a]\ncommand = \"x\"\nenabled = false\n[mcp_servers.b]\nurl = \"http://h/\"\nscopes = 3\n\
                [mcp_servers.docs]\ncommand = \"docs-mcp\"\nenabled = false\n";
    assert_snapshot!(Machine::new(FORM_A).user(user).servers(), @"
    a: requirements: its name is not listed
    b: requirements: its name is not listed
    docs: user
    ");
}
