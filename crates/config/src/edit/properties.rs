//! What holds for every file and every edit, tried on generated ones.

use std::collections::BTreeMap;

use codex_host::Secret;
use codex_protocol::{SandboxMode, ToolApprovalMode};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::text::BYTE_ORDER_MARK;
use super::*;
use crate::{
    EnvVar, EnvVarSource, McpTransport, OAuthConfig, ServerSandbox, ToolFilter, ToolSettings,
};

/// A piece of a file that belongs together, with the server it is about.
#[derive(Debug, Clone)]
struct Piece {
    server: Option<&'static str>,
    text: String,
}

/// How a file spells its servers: one kind a file, as TOML has rules against mixtures.
#[derive(Debug, Clone, Copy)]
enum Spelling {
    Headers,
    Inline,
    Dotted,
    RootDotted,
}

const NAMES: [&str; 4] = ["a", "b", "c", "\"d.e\""];
const VALUES: [&str; 5] = [
    "\"x\"",
    "\"# [mcp_servers.b]\"",
    "\"\"\"\n[mcp_servers.b]\ncommand = 'no'\n\"\"\"",
    "\"ä\\n\\u00e9\"",
    "\"\"",
];

fn comment() -> impl Strategy<Value = &'static str> {
    select(&["", "", "# note\n", "  # [mcp_servers.b]\n", "# a\n# b\n"])
}

fn piece(name: &'static str, spelling: Spelling) -> impl Strategy<Value = Piece> {
    let list = select(&["[]", "[ \"1\",\"2\" ]", "[ # list\n  '1', # one\n  ]"]);
    (comment(), select(&VALUES), list, any::<bool>(), select(&["", " # keep", "  "])).prop_map(
        move |(comment, command, args, env, tail)| {
            let text = match spelling {
                Spelling::Headers => {
                    let table = format!("[mcp_servers.{name}]{tail}\ncommand = {command}{tail}\nargs={args}\nunknown = 1_0\n");
                    let env = if env { format!("\n[mcp_servers.{name}.env]\nA = {command}\n") } else { String::new() };
                    format!("{comment}{table}{env}\n")
                }
                Spelling::Inline => {
                    let one_line = command.replace('\n', "");
                    let one_line = if one_line.starts_with("\"\"\"") { "'m'" } else { &one_line };
                    format!("{comment}{name} = {{ command = {one_line}, unknown = 0x1F }}{tail}\n")
                }
                Spelling::Dotted => format!("{comment}{name}.command = {command}{tail}\n{name}.args = {args}\n"),
                Spelling::RootDotted => format!("{comment}mcp_servers.{name}.command = {command}{tail}\nmcp_servers.{name}.env.A = {command}\n"),
            };
            Piece { server: Some(name), text }
        },
    )
}

/// A file as pieces in their order.
fn file() -> impl Strategy<Value = Vec<Piece>> {
    let spelling = select(&[
        Spelling::Headers,
        Spelling::Inline,
        Spelling::Dotted,
        Spelling::RootDotted,
    ]);
    let root = select(&[
        "",
        "model = \"m\" # mine\n",
        "# head\n\n",
        "approval_policy='never'\n\n",
    ]);
    let tail = select(&[
        "",
        "[features]\nview_image = true\n",
        "# the end\n[projects.\"/p\"]\ntrust_level = 'trusted'\n",
    ]);
    (root, spelling, vec(any::<bool>(), NAMES.len()), tail).prop_flat_map(
        |(root, spelling, used, tail)| {
            let names = NAMES.into_iter().zip(used).filter(|(_, used)| *used);
            let pieces: Vec<_> = names
                .map(|(name, _)| piece(name, spelling).boxed())
                .collect();
            let open = match spelling {
                Spelling::Headers | Spelling::RootDotted => "",
                Spelling::Inline | Spelling::Dotted => "[mcp_servers] # all of them\n",
            };
            pieces.prop_map(move |pieces| {
                let plain = |text: &str| Piece {
                    server: None,
                    text: text.to_owned(),
                };
                let mut file = vec![plain(root), plain(open)];
                file.extend(pieces);
                file.push(plain(tail));
                file
            })
        },
    )
}

/// The bytes of a file: line ends, mark and last line end as asked for.
fn bytes_of(file: &[Piece], crlf: bool, mark: bool, last_line_end: bool) -> String {
    let mut text: String = file.iter().map(|piece| piece.text.as_str()).collect();
    if !last_line_end {
        text.truncate(text.trim_end().len());
    }
    if crlf {
        text = text.replace('\n', "\r\n");
    }
    format!("{}{text}", if mark { BYTE_ORDER_MARK } else { "" })
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec("[ -~äß\\n\"'\\\\]{0,8}", 0..3)
}

fn table() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[A-Za-z_.\" -]{1,6}", "[ -~é\\n]{0,8}", 0..3)
}

/// Headers and the variables that hold their values.
fn named() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[A-Za-z_.\" -]{1,6}", "[A-Z_][A-Z0-9_]{0,4}", 0..3)
}

fn secrets(map: BTreeMap<String, String>) -> BTreeMap<String, Secret> {
    map.into_iter()
        .map(|(key, value)| (key, Secret::new(value)))
        .collect()
}

fn transport() -> impl Strategy<Value = McpTransport> {
    let env_var = (
        "[A-Z]{1,4}",
        option::of(select(&[EnvVarSource::Local, EnvVarSource::Remote])),
    )
        .prop_map(|(name, source)| EnvVar { name, source });
    let stdio = (
        "[ -~ü]{1,8}",
        texts(),
        table(),
        vec(env_var, 0..3),
        option::of("/[a-z]{1,5}"),
        any::<bool>(),
        option::of((any::<bool>(), vec("/[a-z]{1,5}", 0..3), any::<bool>())),
    );
    let stdio = stdio.prop_map(
        |(command, args, env, env_vars, cwd, inherit_env, sandbox)| {
            let mut server = McpServerConfig::stdio(ServerName::from_config("b"), command);
            if let McpTransport::Stdio(stdio) = &mut server.transport {
                stdio.args = args;
                stdio.env = secrets(env);
                stdio.env_vars = env_vars;
                stdio.cwd = cwd.map(PathBuf::from);
                stdio.inherit_env = inherit_env;
                stdio.sandbox = sandbox.map(|(writes, roots, network_access)| match writes {
                    true => ServerSandbox {
                        writable_roots: roots.into_iter().map(PathBuf::from).collect(),
                        network_access,
                        ..ServerSandbox::of_mode(SandboxMode::WorkspaceWrite)
                    },
                    false => ServerSandbox {
                        network_access,
                        ..ServerSandbox::of_mode(SandboxMode::ReadOnly)
                    },
                });
            }
            server.transport
        },
    );
    let http = (
        table(),
        named(),
        option::of("[A-Z]{1,4}"),
        option::of("[a-z]{1,5}"),
        option::of(any::<u16>()),
    );
    let http = http.prop_map(|(headers, env_headers, bearer, client_id, port)| {
        let mut server = McpServerConfig::http(
            ServerName::from_config("b"),
            "https://mcp.example.com/mcp?q=1",
        );
        if let McpTransport::StreamableHttp(http) = &mut server.transport {
            http.http_headers = secrets(headers);
            http.env_http_headers = env_headers;
            http.bearer_token_env_var = bearer;
            http.oauth = client_id.map(|id| OAuthConfig {
                client_id: Some(id),
                callback_port: port,
                ..OAuthConfig::default()
            });
        }
        server.transport
    });
    prop_oneof![stdio, http]
}

/// Server `b` in every shape that a file can hold.
fn server_b() -> impl Strategy<Value = McpServerConfig> {
    let millis = || option::of((0_u64..4_000_000).prop_map(Duration::from_millis));
    let mode = select(&[
        ToolApprovalMode::Auto,
        ToolApprovalMode::Prompt,
        ToolApprovalMode::Approve,
    ]);
    let tool =
        (option::of(mode), option::of(1_u64..9)).prop_map(|(approval_mode, output_token_limit)| {
            ToolSettings {
                approval_mode,
                output_token_limit,
                approve_when: None,
            }
        });
    let settings = btree_map("[a-z. ]{1,4}", tool, 0..3);
    (
        transport(),
        any::<bool>(),
        millis(),
        millis(),
        option::of(texts()),
        texts(),
        settings,
    )
        .prop_map(
            |(transport, required, startup, tool, enabled, disabled, settings)| {
                let mut server = McpServerConfig::new(ServerName::from_config("b"), transport);
                server.required = required;
                server.startup_timeout = startup;
                server.tool_timeout = tool;
                server.tools = ToolFilter { enabled, disabled };
                server.tool_settings = settings;
                server
            },
        )
}

fn path() -> AbsPath {
    AbsPath::new("/home/ada/.codex/config.toml").expect("it is absolute")
}

/// Reads `b` out of a text, without the place where it stands.
fn read_b(text: &Text) -> McpServerConfig {
    let entry = text
        .tree
        .entry(&["mcp_servers", "b"])
        .expect("it was written");
    let layers = text.layers(&path());
    let read = entry::read(entry, &layers, &mut Vec::new());
    McpServerConfig {
        source: None,
        ..read.server
    }
}

/// Finds every piece of the others in an edited text, in their order and byte for byte.
fn others_are_whole(
    file: &[Piece],
    before: &str,
    crlf: bool,
    after: &str,
) -> Result<(), TestCaseError> {
    let mut rest = after;
    for piece in file.iter().filter(|piece| piece.server != Some("b")) {
        let wanted = bytes_of(std::slice::from_ref(piece), crlf, false, false);
        let at = rest.find(&wanted);
        prop_assert!(at.is_some(), "{wanted:?} is gone from {after:?}");
        rest = &rest[at.unwrap_or_default() + wanted.len()..];
    }
    // A file without any line end has no kind of line end to keep.
    let windows = before.contains('\n') && crlf;
    prop_assert!(
        !windows || !after.replace("\r\n", "").contains('\n'),
        "{after:?}"
    );
    prop_assert!(windows || !after.contains("\r\n"), "{after:?}");
    Ok(())
}

proptest! {
    #![proptest_config(crate::properties::config())]

    /// Rows E1, E2, E9.
    #[test]
    fn an_edit_of_b_never_changes_a_byte_of_the_others(
        file in file(), server in server_b(), crlf: bool, mark: bool, last_line_end: bool,
    ) {
        let before = bytes_of(&file, crlf, mark, last_line_end);
        let mut text = Text::parse(&path(), Some(before.as_bytes())).expect("the generator writes TOML");
        text.apply(&path(), &Change::Server(Box::new(server)))?;
        let with_b = String::from_utf8(text.bytes())?;
        prop_assert_eq!(with_b.starts_with(BYTE_ORDER_MARK), mark);
        others_are_whole(&file, &before, crlf, &with_b)?;
        text.apply(&path(), &Change::Remove(vec!["mcp_servers".to_owned(), "b".to_owned()]))?;
        others_are_whole(&file, &before, crlf, &String::from_utf8(text.bytes())?)?;
    }

    /// Row E9.
    #[test]
    fn a_written_server_reads_back_as_it_was(file in file(), server in server_b()) {
        // Without an older `b`, whose unknown keys would stay.
        let file: Vec<Piece> = file.into_iter().filter(|piece| piece.server != Some("b")).collect();
        let before = bytes_of(&file, false, false, true);
        let mut text = Text::parse(&path(), Some(before.as_bytes())).expect("the generator writes TOML");
        text.apply(&path(), &Change::Server(Box::new(server.clone())))?;
        prop_assert_eq!(read_b(&text), server);
    }
}
